//! The recent history in memory, and the watches that read from it.
//!
//! A watch holds nothing but the revision it wants next and reads from the shared history when it is woken, so any
//! number of slow watches cost no memory. One that falls behind what is kept ends with `Compacted`.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use headland_proto::revision::Revision;
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use super::tables::FIRST_REVISION;
use crate::store::{Change, StoreError};

/// How many changes can be replayed to a watch.
const HISTORY_CHANGES_MAX: usize = 10_000;

/// How many bytes of keys and values can be replayed to a watch.
const HISTORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How many changes a watch takes from the history at once.
const CHANGES_PER_READ_MAX: usize = 256;

/// How long a watch is silent before it gives a sign of life.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Begins an empty history at a revision: the one end records, the other watches.
pub(super) fn begin_at(revision: Revision) -> (Recorder, Watches) {
    let history = Arc::new(Mutex::new(History::begin_at(revision, Limits::DEFAULT)));
    let (wake, woken) = watch::channel(());
    (Recorder { history: Arc::clone(&history), wake }, Watches { history, woken })
}

/// The writer's end. Watches end with an error when it is dropped.
pub(super) struct Recorder {
    history: Arc<Mutex<History>>,
    wake: watch::Sender<()>,
}

impl Recorder {
    /// Adds commits in the order of their revisions and wakes the watches.
    pub(super) fn record(&self, commits: Vec<(Revision, Vec<Change>)>) {
        if commits.is_empty() {
            return;
        }
        {
            let mut history = self.history.lock();
            for (revision, changes) in commits {
                history.push(revision, changes);
            }
        }
        self.wake.send_replace(());
    }
}

/// The reader's end.
pub(super) struct Watches {
    history: Arc<Mutex<History>>,
    woken: watch::Receiver<()>,
}

impl Watches {
    /// The changes to keys that begin with `prefix`, from the given revision on.
    pub(super) fn watch(
        &self,
        prefix: String,
        from: Revision,
    ) -> Result<BoxStream<'static, Result<Change, StoreError>>, StoreError> {
        let watch = Watch {
            history: Arc::clone(&self.history),
            woken: self.woken.clone(),
            prefix,
            next: from.max(FIRST_REVISION),
            ready: VecDeque::new(),
            newest: Revision::ZERO,
            progress_due: Instant::now() + PROGRESS_INTERVAL,
        };
        self.history.lock().check(watch.next)?;
        let stream = stream::unfold(Some(watch), |watch| async {
            let mut watch = watch?;
            match watch.next().await {
                Ok(change) => Some((Ok(change), Some(watch))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(stream.boxed())
    }
}

struct Watch {
    history: Arc<Mutex<History>>,
    woken: watch::Receiver<()>,
    prefix: String,
    next: Revision,
    ready: VecDeque<Change>,
    /// The history's newest revision when it was last read.
    newest: Revision,
    progress_due: Instant,
}

impl Watch {
    async fn next(&mut self) -> Result<Change, StoreError> {
        loop {
            if self.ready.is_empty() {
                // Before reading, so that no commit after the read goes unnoticed.
                self.woken.mark_unchanged();
                self.read()?;
            }
            if let Some(change) = self.ready.pop_front() {
                self.progress_due = Instant::now() + PROGRESS_INTERVAL;
                return Ok(change);
            }
            if self.next <= self.newest {
                continue;
            }
            match tokio::time::timeout_at(self.progress_due, self.woken.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => {
                    return Err(StoreError::Unavailable { reason: "the store was closed".to_owned() });
                }
                Err(_) => {
                    self.progress_due = Instant::now() + PROGRESS_INTERVAL;
                    return Ok(Change::Progress(self.newest));
                }
            }
        }
    }

    fn read(&mut self) -> Result<(), StoreError> {
        let history = self.history.lock();
        let (changes, next) = history.read(self.next, &self.prefix)?;
        self.ready = changes;
        self.next = next;
        self.newest = history.newest;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    changes: usize,
    bytes: usize,
    per_read: usize,
}

impl Limits {
    const DEFAULT: Self =
        Self { changes: HISTORY_CHANGES_MAX, bytes: HISTORY_BYTES_MAX, per_read: CHANGES_PER_READ_MAX };
}

struct Commit {
    revision: Revision,
    changes: Vec<Change>,
    bytes: usize,
}

/// The last commits, without a gap.
struct History {
    commits: VecDeque<Commit>,
    /// The oldest revision that can be watched from.
    oldest: Revision,
    newest: Revision,
    changes: usize,
    bytes: usize,
    limits: Limits,
}

impl History {
    fn begin_at(revision: Revision, limits: Limits) -> Self {
        // Nothing was ever committed up to the first revision, so there is nothing that could be missing.
        let oldest = if revision <= FIRST_REVISION { FIRST_REVISION } else { revision.next() };
        Self { commits: VecDeque::new(), oldest, newest: revision, changes: 0, bytes: 0, limits }
    }

    fn push(&mut self, revision: Revision, changes: Vec<Change>) {
        let bytes = changes.iter().map(bytes_of).sum();
        self.newest = revision;
        self.changes += changes.len();
        self.bytes += bytes;
        self.commits.push_back(Commit { revision, changes, bytes });
        while self.changes > self.limits.changes || self.bytes > self.limits.bytes {
            let Some(forgotten) = self.commits.pop_front() else {
                break;
            };
            self.changes -= forgotten.changes.len();
            self.bytes -= forgotten.bytes;
            self.oldest = forgotten.revision.next();
        }
    }

    fn check(&self, from: Revision) -> Result<(), StoreError> {
        if from < self.oldest {
            return Err(StoreError::Compacted { asked: from, oldest: self.oldest });
        }
        Ok(())
    }

    /// The next changes from a revision on, whole commits only, and the revision to go on from.
    fn read(&self, from: Revision, prefix: &str) -> Result<(VecDeque<Change>, Revision), StoreError> {
        self.check(from)?;
        let mut changes = VecDeque::new();
        let begin = self.commits.partition_point(|commit| commit.revision < from);
        for commit in self.commits.range(begin..) {
            changes
                .extend(commit.changes.iter().filter(|change| key_of(change).starts_with(prefix)).cloned());
            if changes.len() >= self.limits.per_read {
                return Ok((changes, commit.revision.next()));
            }
        }
        Ok((changes, from.max(self.newest.next())))
    }
}

fn key_of(change: &Change) -> &str {
    match change {
        Change::Put(entry) => &entry.key,
        Change::Deleted { key, .. } => key,
        Change::Progress(_) => "",
    }
}

fn bytes_of(change: &Change) -> usize {
    match change {
        Change::Put(entry) => entry.key.len() + entry.value.len(),
        other => key_of(other).len(),
    }
}

#[cfg(test)]
mod tests;
