//! `headland apply`: makes what is there into what files say.

mod carry_out;
mod check;
mod diff;
mod files;
mod plan;

use std::{
    io::{self, BufRead, IsTerminal},
    path::{Path, PathBuf},
};

use headland::error::{Error, ErrorKind};

pub(super) use self::check::check;
use self::plan::Plan;
use super::{Session, distribution::wait, things::Everything};

const EXAMPLES: &str = "\
Examples:
  headland apply -f site/ --dry-run
  headland apply -f site/ --set site --prune --yes
  headland apply -f policies.yaml -f site.yaml --wait=2m
  headland export EABCDEFGHIJKLM | headland --endpoint http://other:7070 apply -f - --yes

Exit codes with --dry-run: 0 no changes, 2 changes are pending, 1 an error of whatever kind. Without it they are as for every \
command (headland --help).";

/// Make what is there into what files say
///
/// The files hold distributions, policies, public keys and key groups, as `headland export` writes them: YAML or JSON, any number of
/// documents in each, every one with its `kind` and its `config`. What is not there is created, what differs is changed, what is as it
/// should be is left alone: a second run finds nothing to do. A distribution is known by its caller reference, all else by its name; a
/// distribution that has none is called after its file. Whatever is referred to may be named, also if it is in the same files.
///
/// When something fails, what comes after it is not done; the next run goes on from there.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// File, or folder whose files are read (.yaml, .yml, .json; not the folders in it); may be repeated; - is stdin
    #[arg(long = "file", short, value_name = "FILE|DIR", required = true)]
    files: Vec<PathBuf>,
    /// Name of this set of files. What is created is tagged with it (headland:applied-by)
    #[arg(long, value_name = "NAME", default_value = "default")]
    set: String,
    /// Also delete what was created by this set and is in none of its files any more. Nothing else is ever deleted
    #[arg(long, requires = "set")]
    prune: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    wait: wait::Flag,
}

pub(crate) async fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Error> {
    if args.dry_run {
        return dry_run(args, session).await;
    }
    let (mut plan, everything) = made(args, session).await?;
    if plan.is_empty() {
        session.output.say("no changes");
        return plan.print(session);
    }
    plan.lines().iter().for_each(|line| session.output.say(line));
    if !args.yes {
        confirm(args, session)?;
    }
    let outcome = carry_out::carry_out(&mut plan, everything.names, &args.wait, session).await;
    plan.print(session).and(outcome)
}

async fn dry_run(args: &Args, session: &mut Session<'_>) -> Result<(), Error> {
    let (plan, _) = made(args, session).await?;
    if plan.is_empty() {
        session.output.say("no changes");
        return plan.print(session);
    }
    plan.lines().iter().for_each(|line| session.output.say(line));
    plan.print(session)?;
    Err(Error::new(ErrorKind::Pending, format!("find nothing to do: {} pending", plan.summary()))
        .with_hint("the same without --dry-run does it"))
}

async fn made(args: &Args, session: &Session<'_>) -> Result<(Plan, Everything), Error> {
    let read = files::read(&args.files)?;
    let everything = Everything::all(&session.client).await?;
    let plan = plan::plan(read, &everything, &args.set, args.prune)?;
    Ok((plan, everything))
}

/// Asks whether to go on. Who cannot be asked has to say it with a flag.
fn confirm(args: &Args, session: &mut Session<'_>) -> Result<(), Error> {
    let refused = |why: &str| Err(Error::new(ErrorKind::Usage, format!("apply the changes: {why}")));
    let stdin_is_taken = args.files.iter().any(|path| path == Path::new("-"));
    if stdin_is_taken || !io::stdin().is_terminal() {
        return refused("nobody can be asked")
            .map_err(|e| e.with_hint("say --yes, or --dry-run to look only"));
    }
    session.output.say("Apply these changes? [y/N]");
    let mut answer = String::new();
    let asked = io::stdin().lock().read_line(&mut answer);
    match asked {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => refused("not confirmed").map_err(|e| e.with_hint("answer y to go on")),
    }
}
