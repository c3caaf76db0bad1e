//! What has changed since the last-good state was saved: so that as much is written as has changed, not as much as there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use headland_proto::v1;

use super::{holdings::Taken, state::State};

/// What is not saved yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unsaved {
    /// More than can be named.
    everything: bool,
    distributions: BTreeSet<Arc<str>>,
    resources: BTreeSet<String>,
}

impl Unsaved {
    /// All there is.
    pub(crate) fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// These distributions and resources, changed or gone.
    pub(super) fn these(distributions: BTreeSet<Arc<str>>, resources: Taken) -> Self {
        Self { everything: false, distributions, resources: resources.into_ids() }
    }

    /// Adds what has changed since, or before.
    pub(crate) fn add(&mut self, other: Self) {
        self.everything |= other.everything;
        self.distributions.extend(other.distributions);
        self.resources.extend(other.resources);
        if self.everything {
            (self.distributions, self.resources) = Default::default();
        }
    }

    /// What to add to what is saved, so that it says what `state` does. `None` if all has to be saved.
    pub(crate) fn to_record(&self, state: &State) -> Option<v1::LastGoodChange> {
        if self.everything {
            return None;
        }
        let mut change = v1::LastGoodChange {
            revision: state.applied().0,
            refused_distribution_ids: state.refused().map(|(id, _)| id.to_owned()).collect(),
            ..Default::default()
        };
        for id in &self.distributions {
            match state.desired(id) {
                Some(desired) => change.distributions.push(desired.clone()),
                None => change.deleted_distribution_ids.push(id.to_string()),
            }
        }
        for id in &self.resources {
            match state.resources().desired(id) {
                Some(desired) => change.resources.push(desired.clone()),
                None => change.deleted_resource_ids.push(id.clone()),
            }
        }
        Some(change)
    }
}

/// Adds changes, oldest first, to what was saved before them.
pub(super) fn apply(mut saved: v1::LastGood, changes: Vec<v1::LastGoodChange>) -> v1::LastGood {
    if changes.is_empty() {
        return saved;
    }
    let distributions = std::mem::take(&mut saved.distributions);
    let mut distributions: BTreeMap<String, _> =
        distributions.into_iter().map(|d| (d.id.clone(), d)).collect();
    let resources = std::mem::take(&mut saved.resources);
    let mut resources: BTreeMap<String, _> = resources.into_iter().map(|r| (r.id.clone(), r)).collect();
    for change in changes {
        saved.revision = change.revision;
        saved.refused_distribution_ids = change.refused_distribution_ids;
        change.deleted_distribution_ids.iter().for_each(|id| _ = distributions.remove(id));
        change.deleted_resource_ids.iter().for_each(|id| _ = resources.remove(id));
        distributions.extend(change.distributions.into_iter().map(|d| (d.id.clone(), d)));
        resources.extend(change.resources.into_iter().map(|r| (r.id.clone(), r)));
    }
    saved.distributions = distributions.into_values().collect();
    saved.resources = resources.into_values().collect();
    saved
}
