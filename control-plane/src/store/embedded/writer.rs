//! The one thread that writes: many queued commits, one transaction, one fsync.

use std::{path::PathBuf, sync::Arc};

use headland_proto::revision::Revision;
use redb::{Database, Durability, ReadableTable, Table};
use tokio::sync::{mpsc, oneshot};

use super::{
    file,
    history::Recorder,
    tables::{ENTRIES, NUMBERS, REVISION, number},
};
use crate::store::{
    Change, Committed, Entry, Precondition, StoreError, Write,
    check::{holds, key_of},
};

/// How many commits may wait for the writer; further callers wait to queue.
pub(super) const COMMIT_QUEUE_MAX: usize = 256;

/// How many commits share one fsync. With the limit on one commit's bytes it bounds what a transaction holds in memory.
const COMMITS_PER_SYNC_MAX: usize = 64;

type Entries<'a> = Table<'a, &'static str, (u64, &'static [u8])>;

/// One commit on its way to the writer.
pub(super) struct Request {
    pub(super) preconditions: Vec<Precondition>,
    pub(super) writes: Vec<Write>,
    pub(super) answer: oneshot::Sender<Result<Committed, StoreError>>,
}

/// What a batch of commits came to.
struct Batch {
    /// For each request, in order.
    verdicts: Vec<Committed>,
    /// For watches: each commit that changed something.
    changes: Vec<(Revision, Vec<Change>)>,
}

/// Why a whole batch failed.
enum Failure {
    /// Before the transaction was committed: nothing was written.
    NothingWritten(redb::Error),
    /// While it was committed: it may or may not be on disk.
    OutcomeUnknown(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::NothingWritten(error.into())
    }
}

/// Owns the right to write.
pub(super) struct Writer {
    path: PathBuf,
    database: Arc<Database>,
    recorder: Recorder,
}

impl Writer {
    pub(super) fn new(path: PathBuf, database: Arc<Database>, recorder: Recorder) -> Self {
        Self { path, database, recorder }
    }

    /// Writes until there is nobody left who could ask, or until it is unknown what is on the disk.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < COMMITS_PER_SYNC_MAX
                && let Ok(next) = requests.try_recv()
            {
                batch.push(next);
            }
            match self.write(&batch) {
                Ok(done) => self.publish(batch, done),
                Err(Failure::NothingWritten(error)) => self.refuse(batch, &error),
                Err(Failure::OutcomeUnknown(error)) => return self.give_up(batch, &error),
            }
        }
    }

    fn write(&self, batch: &[Request]) -> Result<Batch, Failure> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        let mut numbers = transaction.open_table(NUMBERS)?;
        let mut entries = transaction.open_table(ENTRIES)?;
        let mut revision = Revision(number(&numbers, REVISION)?);
        let mut done = Batch { verdicts: Vec::with_capacity(batch.len()), changes: Vec::new() };
        for request in batch {
            if !all_hold(&entries, &request.preconditions)? {
                done.verdicts.push(Committed::Refused);
                continue;
            }
            let changes = apply(&mut entries, &request.writes, revision.next())?;
            if !changes.is_empty() {
                revision = revision.next();
                done.changes.push((revision, changes));
            }
            done.verdicts.push(Committed::Applied(revision));
        }
        if done.changes.is_empty() {
            drop((numbers, entries));
            transaction.abort()?;
            return Ok(done);
        }
        numbers.insert(REVISION, revision.0)?;
        drop((numbers, entries));
        transaction.commit().map_err(|error| Failure::OutcomeUnknown(error.into()))?;
        Ok(done)
    }

    /// Tells the watches first: whoever has an answer can rely on them being told.
    fn publish(&mut self, batch: Vec<Request>, done: Batch) {
        self.recorder.record(done.changes);
        for (request, verdict) in batch.into_iter().zip(done.verdicts) {
            // Whoever has stopped waiting does not want to know.
            let _ = request.answer.send(Ok(verdict));
        }
    }

    fn refuse(&self, batch: Vec<Request>, error: &redb::Error) {
        tracing::error!(path = %self.path.display(), %error, commits = batch.len(), "could not write to the store");
        for request in batch {
            let _ = request.answer.send(Err(file::unusable(&self.path, error)));
        }
    }

    /// Ends the writer, and with it every watch: only opening the file again tells what is in it.
    fn give_up(self, batch: Vec<Request>, error: &redb::Error) {
        tracing::error!(path = %self.path.display(), %error, commits = batch.len(), "lost track of the store");
        for request in batch {
            let reason = format!("{}: {error}", self.path.display());
            let _ = request.answer.send(Err(StoreError::OutcomeUnknown { reason }));
        }
    }
}

fn all_hold(entries: &Entries<'_>, preconditions: &[Precondition]) -> Result<bool, redb::Error> {
    for precondition in preconditions {
        let modified = entries.get(key_of(precondition))?.map(|guard| Revision(guard.value().0));
        if !holds(precondition, modified) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Applies one commit's writes and says what they changed.
fn apply(
    entries: &mut Entries<'_>,
    writes: &[Write],
    revision: Revision,
) -> Result<Vec<Change>, redb::Error> {
    let mut changes = Vec::with_capacity(writes.len());
    for write in writes {
        match write {
            Write::Put { key, value } => {
                entries.insert(key.as_str(), (revision.0, value.as_ref()))?;
                let (key, value) = (key.clone(), value.clone());
                changes.push(Change::Put(Entry { key, value, modified: revision }));
            }
            Write::Delete { key } => {
                if entries.remove(key.as_str())?.is_some() {
                    changes.push(Change::Deleted { key: key.clone(), revision });
                }
            }
        }
    }
    Ok(changes)
}
