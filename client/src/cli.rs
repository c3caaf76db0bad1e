//! The command line: every command and flag, documented in place.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use headland::error::{Error, ErrorKind};

use crate::{
    commands::{Command, Context},
    output::Output,
    settings::{Flags, Settings},
};

/// Headland: a content delivery network that you run yourself.
///
/// A distribution says which hosts are served from which origin, and how long objects are kept. Create one, and every edge
/// serves it.
#[derive(Debug, Parser)]
#[command(
    name = "headland",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    max_term_width = 110,
    after_help = EXAMPLES
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
    /// Print the settings in effect, each with where it comes from, as a settings file
    #[arg(long)]
    print_config: bool,
}

const EXAMPLES: &str = "\
Examples:
  headland distribution create --origin https://example.com --wait
  headland distribution list -o json
  headland apply -f site/ --dry-run
  headland edge list
  headland explain http://www.example.com/image.jpg
  headland --print-config

Exit codes: 0 done, 1 failed, 2 wrong input, 3 not found, 4 conflict with what is there, \
5 no answer from the control plane, 6 waited in vain.";

/// Runs the command of this process.
pub(crate) fn main() -> ExitCode {
    let mut output = Output::of_process();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are data that was asked for; clap knows which stream is meant.
            drop(error.print());
            let asked_for = !error.use_stderr();
            return if asked_for { ExitCode::SUCCESS } else { ErrorKind::Usage.exit_code().into() };
        }
    };
    match run(cli, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.failure(&error);
            error.exit_code().into()
        }
    }
}

fn run(cli: Cli, output: &mut Output) -> Result<(), Error> {
    if cli.print_config {
        return output.text(&Settings::of_process(&cli.flags)?.to_toml());
    }
    let Some(command) = cli.command else {
        output.say(&Cli::command().render_usage().to_string());
        return Err(
            Error::new(ErrorKind::Usage, "run: a command is missing").with_hint("headland --help lists them")
        );
    };
    command.run(&mut Context::new(&cli.flags, output))
}

#[cfg(test)]
mod tests;
