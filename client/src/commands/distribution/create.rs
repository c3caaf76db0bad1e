//! `headland distribution create`.

use std::path::PathBuf;

use clap::ArgGroup;
use headland::{
    error::{Error, ErrorKind},
    spec::DistributionSpec,
};

use super::{flags, show, wait};
use crate::commands::{Session, lint, names, source};

const EXAMPLES: &str = "\
Examples:
  headland distribution create --origin https://example.com/site --alias www.example.com --wait
  headland distribution create --s3-bucket photos --s3-region eu-central-1 --default-ttl 1h
  headland distribution create --s3-bucket photos --s3-endpoint http://127.0.0.1:9000 --s3-path-style
  headland distribution create --origin https://example.com --cache-policy 658327ea-f89d-4fab-a63d-7e88639e58f6
  headland distribution create -f site.yaml --caller-reference site-2026 --wait=2m
  headland distribution create -f - -o json";

/// Create a distribution
///
/// Either from flags, which say what most need, or from a file, which can say everything. Creating is idempotent by caller
/// reference: the same reference with the same content gives the distribution that is there.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    group = ArgGroup::new("source").args(["origin", "s3_bucket", "file"]).required(true)
)]
pub(super) struct Args {
    /// File that holds the whole distribution, YAML or JSON; - is stdin
    #[arg(long, short, value_name = "FILE", conflicts_with = "fields")]
    file: Option<PathBuf>,
    /// Makes creation idempotent: any text that is unique to this distribution [default: chosen]
    #[arg(long, value_name = "TEXT")]
    caller_reference: Option<String>,
    #[command(flatten)]
    wait: wait::Flag,
    #[command(flatten)]
    fields: flags::ConfigFlags,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Error> {
    let file = args.file.as_deref().map(source::read::<DistributionSpec>).transpose()?;
    let mut spec = match &file {
        Some(file) => file.spec().clone(),
        None => {
            let mut spec = DistributionSpec::default();
            args.fields.apply(&mut spec)?;
            spec
        }
    };
    set_caller_reference(&mut spec, args.caller_reference)?;
    let located = |e: Error| match &file {
        Some(file) => e.map_violations(|v| file.locate(v)),
        None => e.map_violations(flags::in_flags),
    };
    let config = names::resolved(spec, &session.client).await.map_err(located)?;
    let created = session.client.create_distribution(config).await.map_err(located)?;
    session.output.say(&format!("created {} at {}", created.id, created.domain_name));
    lint::warn(&created, session).await;
    match wait::after_change(&args.wait, &created, session).await {
        Ok(distribution) => show::print(&distribution, session),
        // It was created all the same: whoever reads stdout needs its id.
        Err(error) => show::print(&created, session).and(Err(error)),
    }
}

/// A reference may come from the flag or from the file, not differently from both.
fn set_caller_reference(spec: &mut DistributionSpec, flag: Option<String>) -> Result<(), Error> {
    let Some(flag) = flag else { return Ok(()) };
    if !spec.caller_reference.is_empty() && spec.caller_reference != flag {
        return Err(Error::new(
            ErrorKind::Usage,
            format!(
                "choose the caller reference: the file says {:?}, --caller-reference {flag:?}",
                spec.caller_reference
            ),
        )
        .with_hint("leave out one of them"));
    }
    spec.caller_reference = flag;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_and_file_may_agree_on_the_caller_reference() {
        let check = |file: &str, flag: Option<&str>, result: Option<&str>| {
            let mut spec = DistributionSpec { caller_reference: file.into(), ..DistributionSpec::default() };
            let set = set_caller_reference(&mut spec, flag.map(str::to_owned));
            assert_eq!(set.ok().map(|()| spec.caller_reference.as_str()), result, "{file} {flag:?}");
        };
        check("", None, Some(""));
        check("", Some("a"), Some("a"));
        check("a", None, Some("a"));
        check("a", Some("a"), Some("a"));
        check("a", Some("b"), None);
    }
}
