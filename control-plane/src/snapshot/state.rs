//! The current desired state in memory, and what changed since a revision: pure, fed by listings and watch changes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hasher},
    sync::Arc,
};

use headland_proto::{
    id::{DistributionId, ResourceId},
    revision::Revision,
    v1::{DesiredDistribution, DesiredResource, DistributionRecord, ResourceRecord},
};

use crate::store::{
    Change, Entry, Listing,
    keys::{Key, Record},
};

/// Deletions that are remembered. An edge that was away for more of them is sent everything.
const TOMBSTONES_MAX: usize = 10_000;

/// What edges are told of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Id {
    /// A resource that distributions refer to.
    Resource(ResourceId),
    Distribution(DistributionId),
}

/// What they are told.
#[derive(Debug, Clone)]
enum Desired {
    Resource(Arc<DesiredResource>),
    Distribution(Arc<DesiredDistribution>),
}

impl Desired {
    fn revision(&self) -> u64 {
        match self {
            Self::Resource(desired) => desired.revision,
            Self::Distribution(desired) => desired.revision,
        }
    }
}

/// One of them, and since when this snapshot has it.
#[derive(Debug, Clone)]
struct Held {
    desired: Desired,
    /// The revision under which edges learn of it: that of its last mutation, or a later one if the watch withheld it.
    learned: Revision,
    /// Of the stored value, so that a comparison need not decode it.
    value_hash: u64,
}

/// The desired state as of one revision.
#[derive(Debug, Default)]
pub(crate) struct State {
    cluster_id: Arc<str>,
    revision: Revision,
    /// Deletions at or below this revision are forgotten.
    floor: Revision,
    epoch: u64,
    held: HashMap<Id, Held>,
    distributions: usize,
    by_learned: Index,
    tombstones: Index,
    deleted_at: HashMap<Id, Revision>,
}

/// What a watch change meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The state changed.
    Changed,
    /// Nothing that edges must hear of.
    Nothing,
    /// The value cannot be read; the version before it stays.
    Unreadable,
    /// It should have come earlier: the watch is faulty, list again.
    OutOfOrder,
}

/// What a listing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reconciled {
    /// Distributions and resources that differ from before.
    pub(crate) changed: usize,
    /// Those of them that the watch should have brought before.
    pub(crate) healed: usize,
    /// Values that cannot be read; the versions before them stay.
    pub(crate) unreadable: usize,
    /// The store is behind what it was: restored from a backup, or another one.
    pub(crate) rewound: bool,
}

/// All changes in `(from, to]`, or everything there is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    /// Where it begins; zero if it is whole.
    pub(crate) from: Revision,
    /// Where it ends.
    pub(crate) to: Revision,
    /// What it does not name does not exist.
    pub(crate) whole: bool,
    /// Changed distributions, in the order of their changes.
    pub(crate) distributions: Vec<Arc<DesiredDistribution>>,
    /// Deleted distributions, in the order of their deletion.
    pub(crate) deleted: Vec<DistributionId>,
    /// Changed resources, in the order of their changes.
    pub(crate) resources: Vec<Arc<DesiredResource>>,
    /// Deleted resources, in the order of their deletion.
    pub(crate) deleted_resources: Vec<ResourceId>,
}

impl Span {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.distributions.is_empty()
            && self.deleted.is_empty()
            && self.resources.is_empty()
            && self.deleted_resources.is_empty()
    }

    fn new(from: Revision, to: Revision, whole: bool) -> Self {
        let (distributions, deleted) = (Vec::new(), Vec::new());
        let (resources, deleted_resources) = (Vec::new(), Vec::new());
        Self { from, to, whole, distributions, deleted, resources, deleted_resources }
    }

    /// Adds one.
    fn add(&mut self, desired: &Desired) {
        match desired {
            Desired::Distribution(desired) => self.distributions.push(Arc::clone(desired)),
            Desired::Resource(desired) => self.resources.push(Arc::clone(desired)),
        }
    }
}

impl State {
    /// The cluster this state belongs to; empty before the first listing.
    #[must_use]
    pub(crate) fn cluster_id(&self) -> &Arc<str> {
        &self.cluster_id
    }

    /// The store revision up to which this state is complete; zero before the first listing.
    #[must_use]
    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// Changes whenever spans from before can no longer be continued: everybody needs everything.
    #[must_use]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many distributions there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.distributions
    }

    /// One distribution.
    #[must_use]
    pub(crate) fn get(&self, id: &DistributionId) -> Option<&Arc<DesiredDistribution>> {
        match &self.held.get(&Id::Distribution(id.clone()))?.desired {
            Desired::Distribution(desired) => Some(desired),
            Desired::Resource(_) => None,
        }
    }

    /// One resource.
    #[must_use]
    pub(crate) fn resource(&self, id: &str) -> Option<&Arc<DesiredResource>> {
        match &self.held.get(&Id::Resource(id.parse().ok()?))?.desired {
            Desired::Resource(desired) => Some(desired),
            Desired::Distribution(_) => None,
        }
    }

    /// Whether changes since this revision are all known, deletions included.
    #[must_use]
    pub(crate) fn can_count_from(&self, revision: Revision) -> bool {
        revision >= self.floor && revision <= self.revision
    }

    /// What changed since a revision that [`State::can_count_from`]; costs what changed, not what exists.
    #[must_use]
    pub(crate) fn changes_since(&self, from: Revision) -> Span {
        let mut span = Span::new(from, self.revision, false);
        self.by_learned
            .after(from)
            .filter_map(|id| self.held.get(id))
            .for_each(|held| span.add(&held.desired));
        for id in self.tombstones.after(from) {
            match id {
                Id::Distribution(id) => span.deleted.push(id.clone()),
                Id::Resource(id) => span.deleted_resources.push(id.clone()),
            }
        }
        span
    }

    /// Everything.
    #[must_use]
    pub(crate) fn everything(&self) -> Span {
        let mut span = Span::new(Revision::ZERO, self.revision, true);
        let all = self.by_learned.after(Revision::ZERO).filter_map(|id| self.held.get(id));
        all.for_each(|held| span.add(&held.desired));
        span
    }

    /// Takes in one change of the watch.
    pub(crate) fn apply(&mut self, change: &Change) -> Applied {
        let (key, revision) = match change {
            Change::Put(entry) => (&entry.key, entry.modified),
            Change::Deleted { key, revision } => (key, *revision),
            Change::Progress(revision) => {
                self.revision = self.revision.max(*revision);
                return Applied::Nothing;
            }
        };
        if revision <= self.revision {
            return Applied::OutOfOrder;
        }
        self.revision = revision;
        let Some(id) = told(key) else {
            return Applied::Unreadable;
        };
        match change {
            Change::Put(entry) => match decode(&id, entry) {
                Some(desired) => self.put(id, desired, revision, hash(&entry.value)),
                None => return Applied::Unreadable,
            },
            _ if !self.held.contains_key(&id) => return Applied::Nothing,
            _ => self.delete(id, revision),
        }
        Applied::Changed
    }

    /// Takes in a listing of everything, whatever was known before.
    pub(crate) fn reconcile(&mut self, cluster_id: &str, listing: &Listing) -> Reconciled {
        let first = self.revision == Revision::ZERO;
        let foreign = !first && *self.cluster_id != *cluster_id;
        let rewound = foreign || listing.revision < self.revision;
        let before = self.revision;
        self.cluster_id = cluster_id.into();
        if first || rewound {
            self.restart_from(listing.revision, rewound);
        }
        self.revision = listing.revision;
        let mut result = Reconciled { rewound, ..Reconciled::default() };
        let mut gone: BTreeSet<Id> = self.held.keys().cloned().collect();
        for entry in &listing.entries {
            let Some(id) = told(&entry.key) else {
                result.unreadable += 1;
                continue;
            };
            gone.remove(&id);
            let known = self.held.get(&id).map(|h| (h.desired.revision(), h.value_hash));
            let value_hash = hash(&entry.value);
            if known == Some((entry.modified.0, value_hash)) {
                continue;
            }
            let Some(desired) = decode(&id, entry) else {
                result.unreadable += 1;
                continue;
            };
            result.changed += 1;
            let missed = !first && !rewound && entry.modified <= before;
            result.healed += usize::from(missed);
            let learned = if missed { listing.revision } else { entry.modified };
            self.put(id, desired, learned, value_hash);
        }
        result.changed += gone.len();
        if before == listing.revision {
            result.healed += gone.len();
        }
        for id in gone {
            self.delete(id, listing.revision);
        }
        if result.healed > 0 && before == listing.revision {
            // Edges may have applied this very revision without it: there is no later one to tell them under.
            self.floor = listing.revision;
            self.epoch += 1;
        }
        result
    }

    fn restart_from(&mut self, revision: Revision, rewound: bool) {
        self.floor = revision;
        self.epoch += u64::from(rewound);
        self.tombstones = Index::default();
        self.deleted_at.clear();
        if rewound {
            self.held.clear();
            self.distributions = 0;
            self.by_learned = Index::default();
        }
    }

    fn put(&mut self, id: Id, desired: Desired, learned: Revision, value_hash: u64) {
        if let Some(at) = self.deleted_at.remove(&id) {
            self.tombstones.remove(at, &id);
        }
        let held = Held { desired, learned, value_hash };
        match self.held.insert(id.clone(), held) {
            Some(before) => self.by_learned.remove(before.learned, &id),
            None => self.distributions += usize::from(matches!(id, Id::Distribution(_))),
        }
        self.by_learned.insert(learned, id);
    }

    fn delete(&mut self, id: Id, revision: Revision) {
        if let Some(before) = self.held.remove(&id) {
            self.by_learned.remove(before.learned, &id);
            self.distributions -= usize::from(matches!(id, Id::Distribution(_)));
        }
        self.tombstones.insert(revision, id.clone());
        self.deleted_at.insert(id, revision);
        while self.deleted_at.len() > TOMBSTONES_MAX {
            if let Some((at, id)) = self.tombstones.pop_first() {
                self.deleted_at.remove(&id);
                self.floor = self.floor.max(at);
            }
        }
    }
}

/// Ids in the order of the revision under which they are filed.
#[derive(Debug, Default)]
struct Index(BTreeMap<Revision, BTreeSet<Id>>);

impl Index {
    fn insert(&mut self, revision: Revision, id: Id) {
        self.0.entry(revision).or_default().insert(id);
    }

    fn remove(&mut self, revision: Revision, id: &Id) {
        if let Some(ids) = self.0.get_mut(&revision) {
            ids.remove(id);
            if ids.is_empty() {
                self.0.remove(&revision);
            }
        }
    }

    fn after(&self, revision: Revision) -> impl Iterator<Item = &Id> {
        self.0.range(revision.next()..).flat_map(|(_, ids)| ids)
    }

    fn pop_first(&mut self) -> Option<(Revision, Id)> {
        let mut first = self.0.first_entry()?;
        let revision = *first.key();
        let id = first.get_mut().pop_first();
        if first.get().is_empty() {
            first.remove();
        }
        id.map(|id| (revision, id))
    }
}

fn hash(value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(value);
    hasher.finish()
}

/// What a key that edges are told of stands for.
fn told(key: &str) -> Option<Id> {
    match key.parse().ok()? {
        Key::Distribution(id) => Some(Id::Distribution(id)),
        Key::Resource(_, id) => Some(Id::Resource(id)),
        _ => None,
    }
}

/// What an edge needs; `None` if the value is not what its key says.
fn decode(id: &Id, entry: &Entry) -> Option<Desired> {
    match id {
        Id::Distribution(id) => {
            let record = DistributionRecord::from_value(&entry.key, &entry.value).ok()?;
            (record.id == id.as_str()).then_some(())?;
            Some(Desired::Distribution(Arc::new(DesiredDistribution {
                id: record.id,
                domain_name: record.domain_name,
                revision: entry.modified.0,
                config: record.config,
            })))
        }
        Id::Resource(id) => {
            let record = ResourceRecord::from_value(&entry.key, &entry.value).ok()?;
            (record.id == id.as_str()).then_some(())?;
            let (id, revision) = (record.id, entry.modified.0);
            Some(Desired::Resource(Arc::new(DesiredResource { id, revision, config: record.config })))
        }
    }
}

#[cfg(test)]
mod tests;
