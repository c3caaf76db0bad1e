//! `headland lint`: what a distribution may say, and what its operator will regret.

use std::path::PathBuf;

use headland::{
    client::Client,
    error::{Error, ErrorKind, Violation},
    model::{
        DistributionConfig, Resource, Resources,
        lint::lint,
        managed,
        resources::{Kind, used_by, used_by_resource},
    },
    spec::{DistributionSpec, Source},
    v1,
};
use serde::Serialize;

use super::{Session, names, source};
use crate::output::Table;

const EXAMPLES: &str = "\
Examples:
  headland lint -f site.yaml
  headland distribution get EABCDEFGHIJKLM -o yaml | headland lint -f -";

/// Look for traps in a distribution's file
///
/// Tells what is allowed and yet likely to be a mistake: what is forwarded and not in the cache key, cookies in the key of static
/// files, a minimum TTL over personal responses, behaviors that are never reached. The control plane is asked only for policies that
/// were created there. Exits with 0 if nothing is found, otherwise with 2.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// File that holds the whole distribution, YAML or JSON; - is stdin
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
}

/// One warning, as it is printed.
#[derive(Debug, Serialize)]
struct Warning {
    field: String,
    place: Option<String>,
    description: String,
}

pub(crate) async fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Error> {
    let file = source::read::<DistributionSpec>(&args.file)?;
    let config = names::resolved(file.spec().clone(), &session.client).await;
    let mut config = config.map_err(|e| e.map_violations(|v| file.locate(v)))?;
    if config.caller_reference.is_empty() {
        // `create` chooses one.
        config.caller_reference = "lint".into();
    }
    let resources = resources_of(&config, &session.client).await?;
    let checked = DistributionConfig::check(&config, &resources).map_err(|found| {
        let place = |violation: &headland::model::Violation| {
            file.locate(Violation {
                field: format!("config.{}", violation.field),
                description: violation.description.clone(),
                place: None,
            })
        };
        let message = format!("accept {}: {} things are wrong", file.name(), found.list().len());
        Error::new(ErrorKind::Invalid, message)
            .with_violations(found.list().iter().map(place).collect())
            .with_hint("correct what is listed first; then look for traps again")
    })?;
    let warnings: Vec<Warning> = lint(&checked).iter().map(|warning| located(warning, &file)).collect();
    session.output.data(session.settings.output.0, &warnings, || {
        let mut table = Table::of_things(&["PLACE", "FIELD", "WARNING"]);
        for warning in &warnings {
            table.row(&[&warning.place.as_deref().unwrap_or_default(), &warning.field, &warning.description]);
        }
        table
    })?;
    match warnings.len() {
        0 => Ok(()),
        found => {
            Err(Error::new(ErrorKind::Invalid, format!("find {} free of traps: {found} found", file.name()))
                .with_hint("what is found is allowed: change it, or know why it is as it is"))
        }
    }
}

/// Says on stderr what is likely to be a mistake in a distribution that was just created or changed.
pub(super) async fn warn(distribution: &v1::Distribution, session: &mut Session<'_>) {
    let Some(config) = &distribution.config else { return };
    // It is done already: whatever keeps the traps from being looked for is no failure of the command.
    let Ok(resources) = resources_of(config, &session.client).await else { return };
    let Ok(checked) = DistributionConfig::check(config, &resources) else { return };
    for warning in lint(&checked) {
        session.output.say(&format!("warning: {}: {}", warning.field, warning.description));
    }
}

/// What a distribution refers to and is not managed, from the control plane. What does not exist is found by the check.
async fn resources_of(config: &v1::DistributionConfig, client: &Client) -> Result<Resources, Error> {
    use v1::resource_config::Kind as Wire;
    let mut resources = Resources::default();
    let used = used_by(config).into_iter().filter(|(_, id)| managed::find(id).is_none());
    let mut used: Vec<(Kind, String)> = used.map(|(kind, id)| (kind, id.to_owned())).collect();
    while let Some((kind, id)) = used.pop() {
        let (id, Ok(parsed)) = (id.as_str(), id.parse()) else { continue };
        let wire = match kind {
            Kind::CachePolicy => client.get_cache_policy(id).await.map(|p| p.config.map(Wire::CachePolicy)),
            Kind::OriginRequestPolicy => {
                client.get_origin_request_policy(id).await.map(|p| p.config.map(Wire::OriginRequestPolicy))
            }
            Kind::ResponseHeadersPolicy => {
                let policy = client.get_response_headers_policy(id).await;
                policy.map(|p| p.config.map(Wire::ResponseHeadersPolicy))
            }
            Kind::PublicKey => client.get_public_key(id).await.map(|key| key.config.map(Wire::PublicKey)),
            Kind::KeyGroup => client.get_key_group(id).await.map(|group| group.config.map(Wire::KeyGroup)),
        };
        let kind = match wire {
            Ok(kind) => kind,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let config = v1::ResourceConfig { kind };
        used.extend(used_by_resource(&config).into_iter().map(|(kind, id)| (kind, id.to_owned())));
        if let Ok(resource) = Resource::try_from(&config) {
            resources.insert(parsed, resource);
        }
    }
    Ok(resources)
}

fn located(warning: &headland::model::Violation, file: &Source) -> Warning {
    let Violation { field, description, place } = file.locate(Violation {
        field: format!("config.{}", warning.field),
        description: warning.description.clone(),
        place: None,
    });
    Warning { field, place, description }
}
