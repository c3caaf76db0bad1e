//! Invalidation: what an unsafe request has changed must not be served as it was (RFC 9111 section 4.4, RFC 9875).
//!
//! Nothing is searched for. Each invalidation raises a barrier: a number one higher than the last. Every fetch notes the number in
//! force when it began, and its response counts only if no barrier of its URI or groups is higher. So a response that was on its
//! way when the change was made cannot outlive it either.

use std::{
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use quick_cache::{Lifecycle, UnitWeighter, sync::Cache};

use super::object::Head;

/// Barriers remembered. One that has to be forgotten is made a barrier for everything: being cold is correct, being stale is not.
const BARRIERS_MAX: usize = 65_536;

/// The number in force when a fetch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Epoch(u64);

impl Epoch {
    /// The number, to write it down.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// As it was written down by the same process.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// The barriers.
#[derive(Debug)]
pub struct Invalidations {
    current: AtomicU64,
    floor: Arc<AtomicU64>,
    barriers: Cache<u64, Arc<AtomicU64>, UnitWeighter, foldhash::fast::RandomState, RaiseFloor>,
    /// One at a time: a barrier that is put in place of another would count as forgotten.
    raising: Mutex<()>,
    hasher: foldhash::quality::RandomState,
}

#[derive(Debug, Clone)]
struct RaiseFloor(Arc<AtomicU64>);

impl Lifecycle<u64, Arc<AtomicU64>> for RaiseFloor {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: u64, barrier: Arc<AtomicU64>) {
        self.0.fetch_max(barrier.load(Ordering::Acquire), Ordering::AcqRel);
    }
}

impl Default for Invalidations {
    fn default() -> Self {
        Self::with_room_for(BARRIERS_MAX)
    }
}

impl Invalidations {
    fn with_room_for(barriers: usize) -> Self {
        let floor: Arc<AtomicU64> = Arc::default();
        Self {
            current: AtomicU64::default(),
            barriers: Cache::with(
                barriers,
                barriers as u64,
                UnitWeighter,
                foldhash::fast::RandomState::default(),
                RaiseFloor(Arc::clone(&floor)),
            ),
            floor,
            raising: Mutex::default(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    /// The number to note when a fetch begins.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.current.load(Ordering::Acquire))
    }

    /// Whatever was fetched for this URI before now no longer counts. `uri` is the part of a key that stands for it.
    pub fn invalidate_uri(&self, uri: &[u8]) {
        self.raise(self.hasher.hash_one(uri));
    }

    /// Whatever belongs to this group of `scope` and was fetched before now no longer counts.
    pub fn invalidate_group(&self, scope: &[u8], group: &str) {
        self.raise(self.hasher.hash_one((scope, group)));
    }

    fn raise(&self, what: u64) {
        let _raising = self.raising.lock();
        // First the barrier, then the number: a fetch that begins in between is taken for an earlier one.
        let barrier = self.current.load(Ordering::Acquire) + 1;
        match self.barriers.get(&what) {
            Some(known) => known.store(barrier, Ordering::Release),
            None => self.barriers.insert(what, Arc::new(AtomicU64::new(barrier))),
        }
        self.current.store(barrier, Ordering::Release);
    }

    /// Whether a response no longer counts. Costs next to nothing as long as nothing was ever invalidated.
    #[must_use]
    pub fn covers(&self, uri: &[u8], scope: &[u8], head: &Head) -> bool {
        let began = head.began();
        if began.0 == self.current.load(Ordering::Acquire) {
            return false;
        }
        let raised = |what: u64| {
            self.barriers.get(&what).is_some_and(|barrier| began.0 < barrier.load(Ordering::Acquire))
        };
        // The floor last: a barrier that is forgotten meanwhile is in it.
        raised(self.hasher.hash_one(uri))
            || head.groups().iter().any(|group| raised(self.hasher.hash_one((scope, &**group))))
            || began.0 < self.floor.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{cache::object::Unpacked, clock::Timestamp};

    fn fetched(began: Epoch, groups: &[&str]) -> Head {
        let groups = groups.iter().map(|&g| g.into()).collect();
        Unpacked { began, groups, ..Unpacked::sample(Timestamp::default(), Duration::ZERO) }.pack()
    }

    #[test]
    fn what_was_fetched_before_a_change_no_longer_counts() {
        let all = Invalidations::default();
        let before = fetched(all.epoch(), &[]);
        assert!(!all.covers(b"/a", b"d", &before));
        all.invalidate_uri(b"/a");
        assert!(all.covers(b"/a", b"d", &before));
        assert!(!all.covers(b"/b", b"d", &before));
        assert!(!all.covers(b"/a", b"d", &fetched(all.epoch(), &[])));
        all.invalidate_uri(b"/b");
        assert!(!all.covers(b"/a", b"d", &fetched(Epoch(1), &[])), "changed before it was fetched");
    }

    #[test]
    fn groups_are_told_apart_by_scope_and_name() {
        let all = Invalidations::default();
        let before = fetched(all.epoch(), &["x", "y"]);
        all.invalidate_group(b"d1", "y");
        assert!(all.covers(b"/a", b"d1", &before));
        assert!(!all.covers(b"/a", b"d2", &before));
        assert!(!all.covers(b"/a", b"d1", &fetched(Epoch::default(), &["x"])));
    }

    #[test]
    fn the_same_change_twice_is_no_change_of_anything_else() {
        let all = Invalidations::default();
        let other = fetched(all.epoch(), &[]);
        (0..10).for_each(|_| all.invalidate_uri(b"/a"));
        assert!(!all.covers(b"/b", b"d", &other));
        assert!(all.covers(b"/a", b"d", &other));
    }

    #[test]
    fn a_forgotten_barrier_covers_everything_before_it() {
        let all = Invalidations::with_room_for(8);
        let before = fetched(all.epoch(), &[]);
        (0..1000u32).for_each(|i| all.invalidate_uri(&i.to_le_bytes()));
        assert!((0..1000u32).all(|i| all.covers(&i.to_le_bytes(), b"d", &before)));
        assert!(!all.covers(b"/a", b"d", &fetched(all.epoch(), &[])));
    }
}
