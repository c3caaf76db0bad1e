//! What is wrong with a set, by the control plane's own rules, before anything is asked of it.

use std::collections::BTreeSet;

use headland::{
    error::{Error, Violation},
    model::{
        DistributionConfig, Resource, Resources, Violations, key_group::unknown_keys, managed, resources,
    },
    spec::{DistributionSpec, DocumentKind, KeyGroupSpec, Names},
    v1,
};
use uuid::Uuid;

use crate::commands::things::{Everything, Read, Thing};

/// Everything that is wrong with the files, by the rules of the control plane, each in its place.
pub(crate) fn check(
    documents: &[Read],
    unreadable: Vec<Violation>,
    everything: &Everything,
) -> Vec<Violation> {
    let all_readable = unreadable.is_empty();
    let mut wrong = unreadable;
    let (names, referred) = referred_to(documents, everything);
    let mut seen: BTreeSet<(DocumentKind, &str)> = BTreeSet::new();
    for read in documents {
        let mut found = Violations::default();
        let identity = (read.thing.kind(), read.thing.identity());
        if !identity.1.is_empty() && !seen.insert(identity) {
            let field = if identity.0 == DocumentKind::Distribution { "caller_reference" } else { "name" };
            found.add(field, format!("{:?} is that of another {} in these files", identity.1, identity.0));
        }
        let resolved = match &read.thing {
            Thing::Distribution(spec) => check_distribution(spec, (&names, &referred), &mut found),
            Thing::KeyGroup(group) => check_key_group(group, (&names, &referred), &mut found),
            policy => {
                let is_managed =
                    |kind| managed::of_kind(kind).any(|m| resources::name(&m.config) == identity.1);
                if policy.resource_kind().is_some_and(is_managed) {
                    found.add("name", "is the name of a managed one; choose another");
                }
                let config = policy.resource_config().unwrap_or_default();
                if let Err(violations) = Resource::try_from(&config) {
                    add(&violations, &mut found);
                }
                Ok(())
            }
        };
        // What it refers to may stand in a file that could not be read.
        if let Err(unresolved) = resolved
            && all_readable
        {
            wrong.extend(unresolved.violations().iter().cloned().map(&read.locate));
        }
        wrong.extend(found.list().iter().map(|violation| {
            (read.locate)(Violation {
                field: format!("config.{}", violation.field),
                description: violation.description.clone(),
                place: None,
            })
        }));
    }
    wrong
}

/// What is wrong with a distribution goes into `found`. An error is about names that nothing has.
fn check_distribution(
    spec: &DistributionSpec,
    (names, resources): (&Names, &Resources),
    found: &mut Violations,
) -> Result<(), Error> {
    let config = v1::DistributionConfig::from(&spec.clone().with_ids(names)?);
    if let Err(violations) = DistributionConfig::check(&config, resources) {
        add(&violations, found);
    }
    Ok(())
}

/// The same of a key group.
fn check_key_group(
    group: &KeyGroupSpec,
    (names, resources): (&Names, &Resources),
    found: &mut Violations,
) -> Result<(), Error> {
    let wire = v1::KeyGroupConfig::from(&group.clone().with_ids(names)?);
    for (i, description) in unknown_keys(&wire, resources) {
        found.add(format!("public_key_ids[{i}]"), description);
    }
    let config = v1::ResourceConfig { kind: Some(v1::resource_config::Kind::KeyGroup(wire)) };
    if let Err(violations) = Resource::try_from(&config) {
        add(&violations, found);
    }
    Ok(())
}

fn add(violations: &Violations, found: &mut Violations) {
    for violation in violations.list() {
        found.add(&violation.field, &violation.description);
    }
}

/// What distributions may refer to once the files are applied. What is not there yet has an id for the while.
fn referred_to(documents: &[Read], everything: &Everything) -> (Names, Resources) {
    let (mut names, mut resources) = (everything.names.clone(), Resources::default());
    let wanted = documents.iter().map(|read| &read.thing);
    let mut things: Vec<&Thing> =
        everything.existing.iter().map(|there| &there.thing).chain(wanted).collect();
    // Public keys before the key groups that name them.
    things.sort_by_key(|thing| thing.kind());
    for thing in things {
        let thing = match thing {
            // With a name that nothing has it is left out here; its own check tells.
            Thing::KeyGroup(group) => match group.clone().with_ids(&names) {
                Ok(group) => Thing::KeyGroup(group),
                Err(_) => continue,
            },
            other => other.clone(),
        };
        let (Some(kind), Some(config)) = (thing.resource_kind(), thing.resource_config()) else { continue };
        let id = names.id(kind, thing.identity()).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        names.insert(kind, thing.identity(), &id);
        if let (Ok(id), Ok(resource)) = (id.parse(), Resource::try_from(&config)) {
            resources.insert(id, resource);
        }
    }
    (names, resources)
}
