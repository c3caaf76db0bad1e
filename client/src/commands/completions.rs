//! `headland completions`.

use clap::CommandFactory;
use clap_complete::Shell;
use headland::error::{Error, ErrorKind};

use super::Context;
use crate::cli::Cli;

const EXAMPLES: &str = "\
Examples:
  headland completions bash
  headland completions zsh
  headland completions fish";

/// Print what a shell needs to complete commands and flags
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "headland", &mut script);
    let script = String::from_utf8(script)
        .map_err(|e| Error::new(ErrorKind::Internal, format!("write the completions: {e}")))?;
    context.output.text(script.trim_end())
}
