//! `headland import`: configs of another network, made one's own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use headland::{
    cloudfront::{self, Imported, Outcome, Report},
    error::{Error, ErrorKind, Violation},
    spec::{Names, OriginSpec},
};
use serde_json::Value;

use super::{
    Session, apply, export, source,
    things::{Everything, Read, Thing},
};
use crate::output::Table;

/// Bring distributions over from another network
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    Cloudfront(CloudfrontArgs),
}

const EXAMPLES: &str = "\
Examples:
  headland import cloudfront site.json --dry-run
  headland import cloudfront site.json --policies policy.json --dir site/
  headland import cloudfront site.json --origin web=http://127.0.0.1:8000 -o json";

/// Bring distributions over from Amazon CloudFront
///
/// Takes what the AWS CLI prints (aws cloudfront get-distribution-config --id EDFDVBD6EXAMPLE > site.json) and says of every field what becomes of it: it means the same (exact), it is done otherwise
/// (differs), or it is not done (not supported), and what happens instead. Then it creates what the files say, or writes it to a folder
/// that `headland apply` takes. Where something that keeps people out is not done here, the distribution comes disabled.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct CloudfrontArgs {
    /// Output of get-distribution-config, get-distribution, get-key-group, get-public-key, get-cache-policy, get-origin-request-policy
    /// or get-response-headers-policy; - is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// More such files: what the distributions use. Managed policies are there already; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1..)]
    policies: Vec<PathBuf>,
    /// Only say what becomes of each field
    #[arg(long)]
    dry_run: bool,
    /// Write files to this folder instead of creating anything
    #[arg(long, short, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Replace files that say something else
    #[arg(long, requires = "dir")]
    overwrite: bool,
    /// Where an origin is instead, as http://host[:port][/path], https://... or s3://bucket; may be repeated
    #[arg(long = "origin", value_name = "ID=URL")]
    origins: Vec<String>,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Error> {
    match args.from {
        From::Cloudfront(args) => from_cloudfront(&args, session).await,
    }
}

async fn from_cloudfront(args: &CloudfrontArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let files: Result<Vec<_>, _> = args.files.iter().chain(&args.policies).map(|path| json(path)).collect();
    let imported = cloudfront::import(&files?, origins(&args.origins)?);
    readable(&imported.report)?;
    print(&imported.report, session)?;
    let things = things(imported);
    acceptable(&things)?;
    if args.dry_run {
        return Ok(());
    }
    if let Some(dir) = &args.dir {
        for path in export::write(&things, dir, args.overwrite, session.settings.output.0)? {
            session.output.say(&format!("wrote {}", path.display()));
        }
        return Ok(());
    }
    create(&things, session).await
}

fn json(path: &Path) -> Result<(String, Value), Error> {
    let (name, text) = source::text(path)?;
    let value = serde_json::from_str(&text).map_err(|e| {
        Error::new(ErrorKind::Spec, format!("read {name}:{}:{}: {e}", e.line(), e.column()))
            .with_hint("give it what aws cloudfront get-distribution-config prints with --output json")
    })?;
    Ok((name, value))
}

fn origins(flags: &[String]) -> Result<BTreeMap<String, OriginSpec>, Error> {
    let mut origins = BTreeMap::new();
    for flag in flags {
        // An id may have "=" in it, the beginning of a URL has none.
        let (id, url) = flag
            .split_once("=http")
            .map(|(id, rest)| (id, format!("http{rest}")))
            .or_else(|| flag.split_once("=s3:").map(|(id, rest)| (id, format!("s3:{rest}"))))
            .ok_or_else(|| {
                Error::new(ErrorKind::Usage, format!("understand --origin {flag:?}: it is not ID=URL"))
                    .with_hint("--origin web=http://127.0.0.1:8000")
            })?;
        origins.insert(id.to_owned(), OriginSpec::from_url(&url)?);
    }
    Ok(origins)
}

/// Fails if anything could not be read, with all of it.
fn readable(report: &Report) -> Result<(), Error> {
    if report.problems.is_empty() {
        return Ok(());
    }
    let violation = |problem: &cloudfront::Problem| Violation {
        place: Some(problem.file.clone()),
        field: problem.path.clone(),
        description: problem.description.clone(),
    };
    let message = format!("understand what CloudFront says: {} problems", report.problems.len());
    Err(Error::new(ErrorKind::Spec, message)
        .with_violations(report.problems.iter().map(violation).collect())
        .with_hint("nothing was imported; correct what is listed, or leave it out"))
}

/// Fails if what was made of it would be refused, with all that is wrong with it: before anything is created or written.
fn acceptable(things: &[Thing]) -> Result<(), Error> {
    let everything = Everything { names: Names::managed(), ..Everything::default() };
    let documents: Vec<Read> = things.iter().cloned().map(Read::from).collect();
    let wrong = apply::check(&documents, Vec::new(), &everything);
    if wrong.is_empty() {
        return Ok(());
    }
    let message = format!("make the same of it: {} of what it says cannot be done", wrong.len());
    Err(Error::new(ErrorKind::Spec, message)
        .with_violations(wrong)
        .with_hint("fields are named as in the files that --dir writes; change the config and import again"))
}

fn print(report: &Report, session: &mut Session<'_>) -> Result<(), Error> {
    let count = |outcome| report.entries.iter().filter(|entry| entry.outcome == outcome).count();
    session.output.say(&format!(
        "{} fields mean the same, {} differ, {} are not supported",
        count(Outcome::Exact),
        count(Outcome::Differs),
        count(Outcome::NotSupported)
    ));
    session.output.data(session.settings.output.0, &report.entries, || {
        let mut table = Table::of_things(&["FIELD", "OUTCOME", "NOTE"]);
        for entry in &report.entries {
            table.row(&[&entry.path, &entry.outcome, &entry.note]);
        }
        table
    })
}

/// In the order in which they can be made.
fn things(imported: Imported) -> Vec<Thing> {
    let mut things: Vec<Thing> = imported.cache_policies.into_iter().map(Thing::CachePolicy).collect();
    things.extend(imported.origin_request_policies.into_iter().map(Thing::OriginRequestPolicy));
    things.extend(imported.response_headers_policies.into_iter().map(Thing::ResponseHeadersPolicy));
    things.extend(imported.public_keys.into_iter().map(Thing::PublicKey));
    things.extend(imported.key_groups.into_iter().map(Thing::KeyGroup));
    things.extend(imported.distributions.into_iter().map(|spec| Thing::Distribution(Box::new(spec))));
    things
}

/// Creates what is not there yet. What is there must be the same.
async fn create(things: &[Thing], session: &mut Session<'_>) -> Result<(), Error> {
    let mut everything = Everything::all(&session.client).await?;
    for thing in things {
        let (kind, identity) = (thing.kind(), thing.identity());
        match everything.find(kind, identity) {
            Some(there) if there.thing == *thing => {
                session.output.say(&format!("{kind} {identity} is there already ({})", there.id));
            }
            Some(there) => {
                let message = format!("create {kind} {identity}: another one is there ({})", there.id);
                return Err(Error::new(ErrorKind::AlreadyExists, message).with_hint(
                    "write files with --dir, and see what would change with headland apply --dry-run",
                ));
            }
            None => {
                let created = thing.create(&session.client, &mut everything.names).await?;
                session.output.say(&format!("created {kind} {identity} ({})", created.id));
            }
        }
    }
    Ok(())
}
