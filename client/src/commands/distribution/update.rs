//! `headland distribution update`.

use std::path::PathBuf;

use headland::{
    error::{Error, ErrorKind},
    spec::{DistributionSpec, NotRepresentable, Source},
    v1,
};

use super::{flags, show, wait};
use crate::commands::{Session, lint, names, source};

/// How often a change by flags is made again on what somebody else changed meanwhile.
const ATTEMPTS_MAX: u32 = 3;

const EXAMPLES: &str = "\
Examples:
  headland distribution update EABCDEFGHIJKLM --default-ttl 10m --wait
  headland distribution update EABCDEFGHIJKLM --alias www.example.com --alias example.com
  headland distribution update EABCDEFGHIJKLM --disabled
  headland distribution update EABCDEFGHIJKLM -f site.yaml";

/// Change a distribution
///
/// Flags change just what they name. A file replaces everything; if it is what `get -o yaml` printed, edited, the change is
/// refused when somebody else changed the distribution in between.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The distribution's id
    id: String,
    /// File that holds the whole distribution, YAML or JSON; - is stdin
    #[arg(long, short, value_name = "FILE", conflicts_with = "fields")]
    file: Option<PathBuf>,
    /// Change only this state of the distribution, and refuse if it is another by now
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    #[command(flatten)]
    wait: wait::Flag,
    #[command(flatten)]
    fields: flags::ConfigFlags,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Error> {
    let updated = match &args.file {
        Some(path) => replace(&args, &source::read(path)?, session).await?,
        None if args.fields.any() => change(&args, session).await?,
        None => {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("update distribution {}: nothing to change was named", args.id),
            )
            .with_hint("name it with flags (headland distribution update --help) or give a file with -f"));
        }
    };
    session.output.say(&format!("updated {} to revision {}", updated.id, updated.revision));
    lint::warn(&updated, session).await;
    match wait::after_change(&args.wait, &updated, session).await {
        Ok(distribution) => show::print(&distribution, session),
        Err(error) => show::print(&updated, session).and(Err(error)),
    }
}

/// Replaces everything by what the file says.
async fn replace(args: &Args, file: &Source, session: &mut Session<'_>) -> Result<v1::Distribution, Error> {
    if let Some(id) = file.id().filter(|id| *id != args.id) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("update distribution {}: {} describes {id}", args.id, file.name()),
        )
        .with_hint("name the distribution that the file is of, or remove the file's id"));
    }
    let config = names::resolved(file.spec().clone(), &session.client).await;
    let mut config = config.map_err(|e| e.map_violations(|v| file.locate(v)))?;
    let etag = args.etag.as_deref().or(file.etag());
    let etag = match etag {
        Some(etag) if !config.caller_reference.is_empty() => etag.to_owned(),
        _ => {
            let current = session.client.get_distribution(&args.id).await?;
            if config.caller_reference.is_empty() {
                config.caller_reference = current.config.unwrap_or_default().caller_reference;
            }
            etag.map_or(current.etag, str::to_owned)
        }
    };
    session
        .client
        .update_distribution(&args.id, &etag, config)
        .await
        .map_err(|e| e.map_violations(|v| file.locate(v)))
}

/// Changes what the flags name, on whatever the rest is by now.
async fn change(args: &Args, session: &mut Session<'_>) -> Result<v1::Distribution, Error> {
    let mut attempt = 1;
    loop {
        let current = session.client.get_distribution(&args.id).await?;
        let config = current.config.unwrap_or_default();
        let mut spec = DistributionSpec::try_from(&config).map_err(cannot_edit)?;
        args.fields.apply(&mut spec)?;
        let etag = args.etag.as_deref().unwrap_or(&current.etag);
        let config =
            names::resolved(spec, &session.client).await.map_err(|e| e.map_violations(flags::in_flags))?;
        let updated = session.client.update_distribution(&args.id, etag, config).await;
        match updated {
            Err(error)
                if error.kind() == ErrorKind::StaleEtag && args.etag.is_none() && attempt < ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            other => return other.map_err(|e| e.map_violations(flags::in_flags)),
        }
    }
}

fn cannot_edit(error: NotRepresentable) -> Error {
    error.into()
}
