//! Loading: what is remembered until all that is on the disk is in the index, so that orders need not wait for it.

use std::{collections::HashSet, time::Duration};

use tokio::sync::oneshot;

use super::{
    entry::{Entry, Name, RecordId},
    policy::Log,
};
use crate::clock::Timestamp;

/// Names that are remembered. If there are more, orders wait in the queue.
const SUPERSEDED_MAX: usize = 1 << 20;
/// Between two tries to open a segment.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// For how long it is tried: nobody can be told that a removal will last before.
const RETRY_FOR: Duration = Duration::from_secs(60);

/// The state of a load.
#[derive(Debug)]
pub(super) struct Loading {
    /// The index is being read. Until that is done nothing can be given up: what is in a segment is not known yet.
    pub(super) is_reading: bool,
    /// Segments were given up nevertheless, and the index may point into them.
    pub(super) has_dropped: bool,
    /// What was dead at the start.
    pub(super) dead: HashSet<RecordId>,
    /// Segments that could not be opened: too many files are open, or the disk failed.
    pub(super) unopened: Vec<(u32, Log)>,
    /// Who waits until all orders are done. A removal may concern what is not known yet.
    pub(super) settled: Vec<oneshot::Sender<bool>>,
    /// Removed or written since: what the disk has under these is out of date. No tag means all.
    superseded: HashSet<(Name, Option<u64>)>,
    retry_at: Timestamp,
    retry_until: Timestamp,
}

impl Loading {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            is_reading: true,
            has_dropped: false,
            dead: HashSet::new(),
            unopened: Vec::new(),
            settled: Vec::new(),
            superseded: HashSet::new(),
            retry_at: now.after(RETRY_PAUSE),
            retry_until: now.after(RETRY_FOR),
        }
    }

    pub(super) fn supersede(&mut self, name: Name, tag: Option<u64>) {
        self.superseded.insert((name, tag));
    }

    /// Whether something has taken the place of what is loaded.
    pub(super) fn is_superseded(&self, entry: &Entry) -> bool {
        !self.superseded.is_empty()
            && (self.superseded.contains(&(entry.name, Some(entry.tag)))
                || self.superseded.contains(&(entry.name, None)))
    }

    pub(super) fn has_superseded(&self) -> bool {
        !self.superseded.is_empty()
    }

    /// Whether no more can be remembered.
    pub(super) fn is_full(&self) -> bool {
        self.superseded.len() >= SUPERSEDED_MAX
    }

    /// Whether to try again now to open what could not be opened.
    pub(super) fn is_retry_due(&mut self, now: Timestamp) -> bool {
        let is_due = !self.is_reading && now >= self.retry_at;
        if is_due {
            self.retry_at = now.after(RETRY_PAUSE);
        }
        is_due
    }

    /// Whether there have been enough tries.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.retry_until || self.is_full()
    }
}
