//! What this edge holds and what an update makes of it: pure rules, no I/O.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use headland_proto::{id::DistributionId, model::Resources, revision::Revision, v1};
use rpds::RedBlackTreeMapSync;

use super::{
    assembly::WholeUpdate,
    holdings::{Holdings, Taken},
    unsaved::Unsaved,
};
use crate::routing::{Distribution, Table};

#[cfg(test)]
mod tests;

/// Characters of a refusal's reason; the rest is cut off.
const REASON_CHARS_MAX: usize = 1024;

/// One distribution that is served.
#[derive(Debug)]
struct Held {
    desired: Arc<v1::DesiredDistribution>,
    compiled: Arc<Distribution>,
}

/// A distribution whose newest revision this edge does not serve.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refused {
    pub(crate) revision: Revision,
    pub(crate) reason: String,
    /// Refused by an earlier run, so this program has not seen it yet and asks for it again.
    pub(crate) resend: bool,
    /// What was refused, to be tried again when something that it refers to changes.
    desired: Option<Arc<v1::DesiredDistribution>>,
}

/// Everything this edge holds, at one revision of one cluster. Immutable; an update makes a new one, which shares with it what stays.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    cluster_id: String,
    applied: Revision,
    history: u64,
    held: RedBlackTreeMapSync<Arc<str>, Arc<Held>>,
    refused: RedBlackTreeMapSync<Arc<str>, Refused>,
    /// What distributions refer to.
    resources: Arc<Holdings>,
}

/// An update and what the session that brought it believed when it said Hello.
#[derive(Debug)]
pub(crate) struct Offer {
    /// From the control plane's Welcome.
    pub(crate) cluster_id: String,
    /// [`State::history`] at this session's Hello, or after the last update it brought.
    pub(crate) history: u64,
    pub(crate) update: WholeUpdate,
}

/// What became of an offer.
#[derive(Debug)]
pub(crate) enum Outcome {
    Applied(Box<Applied>),
    /// It says nothing new.
    Ignored,
    /// It does not join on to what is held: the session must start again with Hello.
    Gap(&'static str),
}

/// The state after an update.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) state: State,
    /// What it changes in the table that is in force.
    pub(crate) served: Served,
    /// What it changes in what is to be saved.
    pub(crate) unsaved: Unsaved,
    /// Ids refused by this update.
    pub(crate) refused: Vec<Arc<str>>,
}

/// What an update changes in what is served.
#[derive(Debug)]
pub(crate) enum Served {
    /// Nothing.
    Same,
    /// These distributions are served no more, and those are.
    Changed { gone: Vec<Arc<Distribution>>, come: Vec<Arc<Distribution>> },
    /// All may be other.
    Anew,
}

impl State {
    /// The cluster the revision belongs to; empty before anything was applied.
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Every update up to this one is applied.
    pub(crate) fn applied(&self) -> Revision {
        self.applied
    }

    /// Counts how often the revisions lost their meaning: a rewind, another cluster. Sessions that said Hello in an
    /// earlier history speak of other revisions than this state.
    pub(crate) fn history(&self) -> u64 {
        self.history
    }

    /// Whether a configuration was ever applied, from a control plane or from disk.
    pub(crate) fn is_serving(&self) -> bool {
        !self.cluster_id.is_empty()
    }

    /// How many distributions are served.
    pub(crate) fn len(&self) -> usize {
        self.held.size()
    }

    /// What is not served in its newest revision, by distribution id.
    pub(crate) fn refused(&self) -> impl ExactSizeIterator<Item = (&str, &Refused)> {
        self.refused.iter().map(|(id, refused)| (&**id, refused))
    }

    /// What a distribution was sent as that is served.
    pub(super) fn desired(&self, id: &str) -> Option<&v1::DesiredDistribution> {
        self.held.get(id).map(|held| &*held.desired)
    }

    /// What distributions refer to.
    pub(super) fn resources(&self) -> &Holdings {
        &self.resources
    }

    /// Why one distribution is not served in its newest revision.
    pub(crate) fn refusal(&self, id: &str) -> Option<&Refused> {
        self.refused.get(id)
    }

    /// Whether some revision of this distribution is served.
    pub(crate) fn holds(&self, id: &str) -> bool {
        self.held.contains_key(id)
    }

    /// The routing table of what is held. Costs as much as there is, but compiles nothing.
    pub(crate) fn table(&self) -> Table {
        Table::new(self.held.values().map(|held| Arc::clone(&held.compiled)))
    }

    /// What to save.
    pub(crate) fn to_record(&self) -> v1::LastGood {
        v1::LastGood {
            cluster_id: self.cluster_id.clone(),
            revision: self.applied.0,
            distributions: self.held.values().map(|held| (*held.desired).clone()).collect(),
            refused_distribution_ids: self.refused.keys().map(|id| id.to_string()).collect(),
            resources: self.resources.to_records(),
        }
    }

    /// What was saved. A distribution that this program cannot compile is refused, like one from a control plane.
    pub(crate) fn from_record(record: v1::LastGood) -> Self {
        let applied = Revision(record.revision);
        let mut state = Self { cluster_id: record.cluster_id, applied, ..Self::default() };
        let mut resources = Holdings::default();
        // Something that is no id was refused for that, and no control plane can send it again.
        let is_id = |id: &String| id.parse::<DistributionId>().is_ok();
        for id in record.refused_distribution_ids.into_iter().filter(is_id) {
            let reason = "refused before this edge agent restarted; asked for again".to_owned();
            let refused = Refused { revision: applied, reason, resend: true, desired: None };
            state.refused.insert_mut(id.into(), refused);
        }
        for desired in record.resources {
            if let Err(reason) = resources.put(desired, None) {
                tracing::error!(%reason, "cannot use a saved resource");
            }
        }
        state.resources = Arc::new(resources);
        for desired in record.distributions {
            let id: Arc<str> = desired.id.as_str().into();
            match compile(&desired, state.resources.checked()) {
                Ok(compiled) => {
                    state.held.insert_mut(id, Arc::new(Held { desired: Arc::new(desired), compiled }));
                }
                Err(reason) => {
                    // Of what is newest only the revision of the whole is known.
                    let refused = Refused { revision: applied, reason, resend: true, desired: None };
                    state.refused.insert_mut(id, refused);
                }
            }
        }
        state
    }

    /// Rules 3 to 6 of the sync protocol.
    pub(crate) fn apply(&self, offer: Offer) -> Outcome {
        let Offer { cluster_id, history, update } = offer;
        if history != self.history {
            return Outcome::Gap("the edge has since been moved to another history");
        }
        if cluster_id != self.cluster_id {
            if !update.whole {
                return Outcome::Gap("the edge holds the state of another cluster");
            }
            if update.distributions.is_empty() && !self.held.is_empty() {
                // More likely a store that was lost than a wish to serve nothing; its first distribution will tell.
                tracing::warn!(
                    cluster_id,
                    "a control plane of another cluster has nothing to serve; serving on what there is"
                );
                return Outcome::Ignored;
            }
            let fresh =
                Self { cluster_id, history: self.history + u64::from(self.is_serving()), ..Self::default() };
            return self.advance(fresh, update);
        }
        if update.whole {
            if update.to <= self.applied && !update.rewind {
                return Outcome::Ignored;
            }
            let history = self.history + u64::from(update.to <= self.applied);
            return self.advance(Self { cluster_id, history, ..Self::default() }, update);
        }
        if update.from > self.applied {
            return Outcome::Gap("the update begins after what the edge has applied");
        }
        if update.to > self.applied {
            return self.advance(self.clone(), update);
        }
        self.apply_resent(update)
    }

    /// An update that is not newer can still answer a request to send again.
    fn apply_resent(&self, mut update: WholeUpdate) -> Outcome {
        let asked = |id: &str| self.refused.get(id).is_some_and(|refused| refused.resend);
        update.distributions.retain(|desired| asked(&desired.id));
        update.deleted_resources.clear();
        if update.to < self.applied || update.distributions.is_empty() {
            return Outcome::Ignored;
        }
        update.deleted.clear();
        self.advance(self.clone(), update)
    }

    /// Puts the update's content into `next`, which holds what stays whatever the update says.
    fn advance(&self, mut next: Self, update: WholeUpdate) -> Outcome {
        let (none, nothing) = (RedBlackTreeMapSync::default(), Holdings::default());
        // Another cluster's distributions are not earlier versions of these.
        let same_cluster = next.cluster_id == self.cluster_id;
        let previous = if same_cluster { &self.held } else { &none };
        next.applied = update.to;
        let taken = match update.resources.is_empty() && update.deleted_resources.is_empty() {
            true => Taken::default(),
            false => {
                let earlier = if same_cluster { &*self.resources } else { &nothing };
                Arc::make_mut(&mut next.resources).take(update.resources, &update.deleted_resources, earlier)
            }
        };
        let mut touched = BTreeSet::new();
        for id in &update.deleted {
            touched.insert(Arc::from(id.as_str()));
            next.held.remove_mut(id.as_str());
            next.refused.remove_mut(id.as_str());
        }
        let mut refused = Vec::new();
        for desired in update.distributions.into_iter().map(Arc::new) {
            let id: Arc<str> = desired.id.as_str().into();
            let revision = Revision(desired.revision);
            let before = previous.get(&id);
            if !update.whole && before.is_some_and(|before| before.desired.revision > desired.revision) {
                continue;
            }
            touched.insert(Arc::clone(&id));
            let before_is_good = before.filter(|held| !taken.concern(&held.desired));
            match hold(&desired, before_is_good, &next.resources) {
                Ok(held) => {
                    next.refused.remove_mut(&id);
                    next.held.insert_mut(id, held);
                }
                Err(reason) => {
                    if let Some(before) = before {
                        next.held.insert_mut(Arc::clone(&id), Arc::clone(before));
                    }
                    let desired = Some(desired);
                    let refusal = Refused { revision, reason, resend: false, desired };
                    next.refused.insert_mut(Arc::clone(&id), refusal);
                    refused.push(id);
                }
            }
        }
        if taken.any() {
            next.compile_anew(&taken, &mut touched, &mut refused);
        }
        let served = match update.whole {
            true if same(&self.held, &next.held) => Served::Same,
            true => Served::Anew,
            false => self.differing(&next, &touched),
        };
        let unsaved = match update.whole {
            true => Unsaved::everything(),
            false => Unsaved::these(touched, taken),
        };
        Outcome::Applied(Box::new(Applied { state: next, served, unsaved, refused }))
    }

    /// What is served otherwise in `next`, of what an update has touched.
    fn differing(&self, next: &Self, touched: &BTreeSet<Arc<str>>) -> Served {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for id in touched {
            let compiled = |state: &Self| state.held.get(id).map(|held| Arc::clone(&held.compiled));
            match (compiled(self), compiled(next)) {
                (Some(before), Some(after)) if Arc::ptr_eq(&before, &after) => {}
                (before, after) => {
                    gone.extend(before);
                    come.extend(after);
                }
            }
        }
        match gone.is_empty() && come.is_empty() {
            true => Served::Same,
            false => Served::Changed { gone, come },
        }
    }
}

impl State {
    /// Compiles whatever refers to what has changed, and is not `touched` by the update itself: what is served, and what was refused
    /// and may now do. It is touched then.
    fn compile_anew(&mut self, taken: &Taken, touched: &mut BTreeSet<Arc<str>>, refused: &mut Vec<Arc<str>>) {
        let applied = self.applied;
        let settled = touched.clone();
        let is_due = |id: &Arc<str>, desired: &v1::DesiredDistribution| {
            !settled.contains(id) && taken.concern(desired)
        };
        let waiting = self.refused.iter().filter_map(|(id, refused)| {
            let desired = refused.desired.as_ref().filter(|desired| is_due(id, desired))?;
            Some((Arc::clone(id), Arc::clone(desired)))
        });
        for (id, desired) in waiting.collect::<Vec<_>>() {
            if let Ok(held) = hold(&desired, None, &self.resources) {
                touched.insert(Arc::clone(&id));
                self.refused.remove_mut(&id);
                self.held.insert_mut(id, held);
            }
        }
        let is_newest = |id: &Arc<str>| !self.refused.contains_key(id);
        let stale = self.held.iter().filter(|(id, held)| is_newest(id) && is_due(id, &held.desired));
        let stale: Vec<_> = stale.map(|(id, held)| (Arc::clone(id), Arc::clone(held))).collect();
        for (id, before) in stale {
            touched.insert(Arc::clone(&id));
            match hold(&before.desired, None, &self.resources) {
                Ok(held) => {
                    self.held.insert_mut(id, held);
                }
                Err(reason) => {
                    let desired = Some(Arc::clone(&before.desired));
                    let refusal = Refused { revision: applied, reason, resend: false, desired };
                    self.refused.insert_mut(Arc::clone(&id), refusal);
                    refused.push(id);
                }
            }
        }
    }
}

/// What is held after a distribution was sent: the very same if it says the same, so that nothing is compiled twice.
fn hold(
    desired: &Arc<v1::DesiredDistribution>,
    before: Option<&Arc<Held>>,
    resources: &Holdings,
) -> Result<Arc<Held>, String> {
    if let Some(reason) = resources.refusal_for(desired) {
        return Err(reason);
    }
    if let Some(before) = before.filter(|before| before.desired == *desired) {
        return Ok(Arc::clone(before));
    }
    let compiled = compile(desired, resources.checked())?;
    Ok(Arc::new(Held { desired: Arc::clone(desired), compiled }))
}

/// Compiles one distribution. Whatever is wrong with it, or with the compiler, concerns this one only.
fn compile(desired: &v1::DesiredDistribution, resources: &Resources) -> Result<Arc<Distribution>, String> {
    let mut reason = match catch_unwind(AssertUnwindSafe(|| Distribution::compile(desired, resources))) {
        Ok(Ok(compiled)) => return Ok(Arc::new(compiled)),
        Ok(Err(violations)) => violations.to_string(),
        Err(_) => "this edge agent panicked while compiling it; its log says where".to_owned(),
    };
    if let Some((end, _)) = reason.char_indices().nth(REASON_CHARS_MAX) {
        reason.truncate(end);
    }
    Err(reason)
}

fn same(a: &RedBlackTreeMapSync<Arc<str>, Arc<Held>>, b: &RedBlackTreeMapSync<Arc<str>, Arc<Held>>) -> bool {
    a.size() == b.size() && a.values().zip(b.values()).all(|(a, b)| Arc::ptr_eq(a, b))
}
