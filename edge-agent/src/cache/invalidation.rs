//! Invalidation: what an unsafe request has changed must not be served as it was (RFC 9111 section 4.4, RFC 9875).
//!
//! Nothing is searched for. Each invalidation raises a barrier: a number one higher than the last. Every fetch notes the number in
//! force when it began, and its response counts only if no barrier of its URI or groups is higher. So a response that was on its
//! way when the change was made cannot outlive it either. With a cache on disk, a journal makes the barriers outlive the process.

mod journal;

use std::{
    hash::BuildHasher,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use quick_cache::{Lifecycle, UnitWeighter, sync::Cache};

use self::journal::{Journal, Raised};
use super::object::Head;
use crate::clock::Timestamp;

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
    journal: Mutex<Option<Journal>>,
    has_journal: AtomicBool,
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
            journal: Mutex::default(),
            has_journal: AtomicBool::default(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    /// The number to note when a fetch begins.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.current.load(Ordering::Acquire))
    }

    /// Takes up what the journal in this directory says, and keeps it from now on. Called before anything is invalidated or fetched.
    ///
    /// # Errors
    /// If there can be no journal. Then what is on disk cannot be trusted after the next start.
    pub(crate) fn keep_in(&self, dir: &Path, now: Timestamp) -> io::Result<()> {
        let (journal, content) = Journal::open(dir, now)?;
        self.floor.fetch_max(content.base, Ordering::AcqRel);
        for Raised { barrier, subject } in content.raised {
            if let Some((place, group)) = parse_subject(&subject) {
                self.put(self.hash(place, group), barrier);
            }
        }
        self.current.fetch_max(content.start, Ordering::AcqRel);
        *self.journal.lock() = Some(journal);
        self.has_journal.store(true, Ordering::Release);
        Ok(())
    }

    /// Whatever was fetched for this URI before now no longer counts. `uri` is the part of a key that stands for it.
    pub fn invalidate_uri(&self, uri: &[u8]) -> Invalidated {
        self.raise(uri, None)
    }

    /// Whatever belongs to this group of `scope` and was fetched before now no longer counts.
    pub fn invalidate_group(&self, scope: &[u8], group: &str) -> Invalidated {
        self.raise(scope, Some(group))
    }

    fn raise(&self, place: &[u8], group: Option<&str>) -> Invalidated {
        let _raising = self.raising.lock();
        // First the barrier, then the number: a fetch that begins in between is taken for an earlier one.
        let barrier = self.current.load(Ordering::Acquire) + 1;
        self.put(self.hash(place, group), barrier);
        Invalidated(Raised { barrier, subject: subject(place, group) })
    }

    fn put(&self, what: u64, barrier: u64) {
        match self.barriers.get(&what) {
            Some(known) => known.store(barrier, Ordering::Release),
            None => self.barriers.insert(what, Arc::new(AtomicU64::new(barrier))),
        }
        self.current.store(barrier, Ordering::Release);
    }

    fn hash(&self, place: &[u8], group: Option<&str>) -> u64 {
        self.hasher.hash_one((place, group))
    }

    /// Whether what is invalidated is to be [kept](Self::keep).
    #[must_use]
    pub fn has_journal(&self) -> bool {
        self.has_journal.load(Ordering::Acquire)
    }

    /// Writes what was invalidated to the journal, if there is one. Blocks for the time of a small write. If that fails, all that is
    /// stored until now no longer counts after the next start.
    pub fn keep(&self, invalidated: &[Invalidated]) {
        let mut journal = self.journal.lock();
        let Some(open) = journal.as_mut() else { return };
        let raised: Vec<_> = invalidated.iter().map(|Invalidated(raised)| raised.clone()).collect();
        if let Err(error) = open.add(&raised) {
            tracing::error!(%error, "failed to note an invalidation; at the next start the disk cache counts as stale");
            if let Err(error) = open.give_up() {
                tracing::error!(%error, "failed to remove the journal of invalidations; remove the disk cache before the next start");
            }
            *journal = None;
            self.has_journal.store(false, Ordering::Release);
        }
    }

    /// Whether a response no longer counts. Costs next to nothing as long as nothing was ever invalidated.
    #[must_use]
    pub fn covers(&self, uri: &[u8], scope: &[u8], head: &Head) -> bool {
        let began = head.began();
        if began.0 == self.current.load(Ordering::Acquire) {
            return false;
        }
        let raised = |place: &[u8], group: Option<&str>| {
            let barrier = self.barriers.get(&self.hash(place, group));
            barrier.is_some_and(|barrier| began.0 < barrier.load(Ordering::Acquire))
        };
        // The floor last: a barrier that is forgotten meanwhile is in it.
        raised(uri, None)
            || head.groups().iter().any(|group| raised(scope, Some(group)))
            || began.0 < self.floor.load(Ordering::Acquire)
    }
}

/// Something that was invalidated.
#[derive(Debug)]
#[must_use = "it is forgotten at the next start, unless it is kept"]
pub struct Invalidated(Raised);

/// What a barrier is raised for, as the journal has it: a URI, or a group and its scope.
fn subject(place: &[u8], group: Option<&str>) -> Vec<u8> {
    match group {
        None => [&[0], place].concat(),
        // A group was part of a head: far smaller than 4 GiB.
        Some(group) => {
            let length = u32::try_from(group.len()).unwrap_or(u32::MAX).to_le_bytes();
            [&[1], &length[..], group.as_bytes(), place].concat()
        }
    }
}

/// The same read back.
fn parse_subject(subject: &[u8]) -> Option<(&[u8], Option<&str>)> {
    match subject.split_first()? {
        (0, place) => Some((place, None)),
        (_, rest) => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (group, place) = rest.split_at_checked(length)?;
            Some((place, Some(std::str::from_utf8(group).ok()?)))
        }
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
        let _ = all.invalidate_uri(b"/a");
        assert!(all.covers(b"/a", b"d", &before));
        assert!(!all.covers(b"/b", b"d", &before));
        assert!(!all.covers(b"/a", b"d", &fetched(all.epoch(), &[])));
        let _ = all.invalidate_uri(b"/b");
        assert!(!all.covers(b"/a", b"d", &fetched(Epoch(1), &[])), "changed before it was fetched");
    }

    #[test]
    fn groups_are_told_apart_by_scope_and_name() {
        let all = Invalidations::default();
        let before = fetched(all.epoch(), &["x", "y"]);
        let _ = all.invalidate_group(b"d1", "y");
        assert!(all.covers(b"/a", b"d1", &before));
        assert!(!all.covers(b"/a", b"d2", &before));
        assert!(!all.covers(b"/a", b"d1", &fetched(Epoch::default(), &["x"])));
    }

    #[test]
    fn the_same_change_twice_is_no_change_of_anything_else() {
        let all = Invalidations::default();
        let other = fetched(all.epoch(), &[]);
        (0..10).for_each(|_| drop(all.invalidate_uri(b"/a")));
        assert!(!all.covers(b"/b", b"d", &other));
        assert!(all.covers(b"/a", b"d", &other));
    }

    #[test]
    fn a_forgotten_barrier_covers_everything_before_it() {
        let all = Invalidations::with_room_for(8);
        let before = fetched(all.epoch(), &[]);
        (0..1000u32).for_each(|i| drop(all.invalidate_uri(&i.to_le_bytes())));
        assert!((0..1000u32).all(|i| all.covers(&i.to_le_bytes(), b"d", &before)));
        assert!(!all.covers(b"/a", b"d", &fetched(all.epoch(), &[])));
    }

    #[test]
    fn what_was_kept_counts_after_a_restart() {
        let dir = tempfile::tempdir().expect("directory");
        let start = |millis| {
            let all = Invalidations::default();
            let now = Timestamp::default().after(Duration::from_millis(millis));
            all.keep_in(dir.path(), now).expect("journal");
            all
        };
        let all = start(1000);
        assert!(all.has_journal());
        let before = fetched(all.epoch(), &["x"]);
        let other = fetched(all.epoch(), &["y"]);
        all.keep(&[all.invalidate_uri(b"/a"), all.invalidate_group(b"d", "x")]);
        let between = fetched(all.epoch(), &["x"]);
        drop(all.invalidate_uri(b"/not-kept"));
        drop(all);
        let all = start(2000);
        assert!(all.covers(b"/a", b"d", &other));
        assert!(all.covers(b"/b", b"d", &before));
        assert!(!all.covers(b"/b", b"d", &other));
        assert!(!all.covers(b"/a", b"d", &between));
        assert!(!all.covers(b"/not-kept", b"d", &between));
        assert!(!all.covers(b"/a", b"d", &fetched(all.epoch(), &["x"])));
    }

    #[test]
    fn without_its_journal_nothing_that_was_stored_counts() {
        let dir = tempfile::tempdir().expect("directory");
        let all = Invalidations::default();
        all.keep_in(dir.path(), Timestamp::from_unix_seconds(1)).expect("journal");
        let before = fetched(all.epoch(), &[]);
        std::fs::remove_file(dir.path().join("invalidations")).expect("remove");
        let all = Invalidations::default();
        all.keep_in(dir.path(), Timestamp::from_unix_seconds(2)).expect("journal");
        assert!(all.covers(b"/a", b"d", &before));
        assert!(!all.covers(b"/a", b"d", &fetched(all.epoch(), &[])));
    }

    #[test]
    fn subjects_are_read_as_they_were_written() {
        for (place, group) in [(&b"uri"[..], None), (b"", None), (b"scope", Some("group")), (b"", Some(""))] {
            assert_eq!(parse_subject(&subject(place, group)), Some((place, group)));
        }
        for garbage in [&b""[..], b"\x01", b"\x01\xff\xff\xff\xff", b"\x01\x01\0\0\0\xff"] {
            assert_eq!(parse_subject(garbage), None);
        }
    }
}
