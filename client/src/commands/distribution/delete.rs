//! `headland distribution delete`.

use headland::{
    client::WaitOptions,
    error::{Error, ErrorKind},
    spec::SpecDuration,
};

use super::wait;
use crate::commands::Session;

const EXAMPLES: &str = "\
Examples:
  headland distribution delete EABCDEFGHIJKLM
  headland distribution delete EABCDEFGHIJKLM --disable";

/// Delete a distribution, which must be disabled
///
/// Its host names are free again. There is no way back.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The distribution's id
    id: String,
    /// Delete only this state of the distribution, and refuse if it is another by now
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    /// Disable it first if it is enabled, and wait until every live edge has stopped serving it
    #[arg(long)]
    disable: bool,
    /// Longest time to wait after disabling
    #[arg(long, value_name = "DURATION", default_value = wait::TIMEOUT_DEFAULT, requires = "disable")]
    timeout: SpecDuration,
}

pub(super) async fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Error> {
    let etag = match (&args.etag, args.disable) {
        (_, true) => disable(args, session).await?,
        (Some(etag), false) => etag.clone(),
        (None, false) => session.client.get_distribution(&args.id).await?.etag,
    };
    session
        .client
        .delete_distribution(&args.id, &etag)
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::Precondition => error.with_hint(format!(
                "disable it first: headland distribution update {0} --disabled --wait, or do both with headland distribution \
                 delete {0} --disable",
                args.id
            )),
            _ => error,
        })?;
    session.output.say(&format!("deleted {}", args.id));
    Ok(())
}

/// Makes sure that it is disabled and no edge serves it. Returns the etag it has then.
async fn disable(args: &Args, session: &mut Session<'_>) -> Result<String, Error> {
    let mut distribution = session.client.get_distribution(&args.id).await?;
    let mut config = distribution.config.clone().unwrap_or_default();
    if config.enabled {
        config.enabled = false;
        let etag = args.etag.as_deref().unwrap_or(&distribution.etag);
        distribution = session.client.update_distribution(&args.id, etag, config).await?;
        session.output.say(&format!("disabled {}", args.id));
    } else if let Some(etag) = &args.etag {
        return Ok(etag.clone());
    }
    let options = WaitOptions {
        timeout: args.timeout.0,
        revision_min: distribution.revision,
        // Where nobody serves, nobody has to stop.
        empty_fleet_counts: true,
    };
    let settled = wait::with_progress(&args.id, options, session).await?;
    Ok(settled.etag)
}
