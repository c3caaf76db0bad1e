//! `headland distribution wait`, and `--wait` of the commands that change something.

mod progress;

use headland::{client::WaitOptions, error::Error, spec::SpecDuration, v1};

use self::progress::Progress;
use super::show;
use crate::commands::Session;

/// Longest time to wait unless the caller says.
pub(super) const TIMEOUT_DEFAULT: &str = "5m";

const EXAMPLES: &str = "\
Examples:
  headland distribution wait EABCDEFGHIJKLM
  headland distribution wait EABCDEFGHIJKLM --timeout 30s";

/// Wait until every live edge serves a distribution's current revision
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The distribution's id
    id: String,
    /// Longest time to wait
    #[arg(long, value_name = "DURATION", default_value = TIMEOUT_DEFAULT)]
    timeout: SpecDuration,
}

/// `--wait`, for commands that change something.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::commands) struct Flag {
    /// Wait until every live edge serves it [default time: 5m]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = TIMEOUT_DEFAULT)]
    wait: Option<SpecDuration>,
}

pub(super) async fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Error> {
    let options = WaitOptions { timeout: args.timeout.0, ..WaitOptions::default() };
    let deployed = with_progress(&args.id, options, session).await?;
    show::print(&deployed, session)
}

/// Waits for what was just changed if the flag asks for it. Returns the distribution as it is then.
pub(in crate::commands) async fn after_change(
    flag: &Flag,
    changed: &v1::Distribution,
    session: &mut Session<'_>,
) -> Result<v1::Distribution, Error> {
    let Some(timeout) = flag.wait else {
        return Ok(changed.clone());
    };
    let options =
        WaitOptions { timeout: timeout.0, revision_min: changed.revision, ..WaitOptions::default() };
    with_progress(&changed.id, options, session).await
}

/// Waits, and says on stderr how far it is.
pub(super) async fn with_progress(
    id: &str,
    options: WaitOptions,
    session: &mut Session<'_>,
) -> Result<v1::Distribution, Error> {
    let mut progress = Progress::default();
    let output = &mut session.output;
    session
        .client
        .wait_deployed(id, options, |seen| {
            for line in progress.lines(seen) {
                output.say(&line);
            }
        })
        .await
}
