//! The readers: a few threads that wait for the disk, so that no worker does.

use std::{collections::VecDeque, io, sync::Arc, thread};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{
    entry::Entry,
    figures::add,
    record::Record,
    store::{Part, ReadError, Store, Wait},
};

/// Reads that may wait for a thread. Beyond them a read is refused, and the origin asked.
const WAITING_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Readers {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    stopped: bool,
}

#[derive(Debug)]
struct Job {
    entry: Entry,
    part: Part,
    done: oneshot::Sender<Result<Record, ReadError>>,
}

impl Readers {
    pub(super) fn start(store: &Arc<Store>, threads: usize) -> io::Result<Arc<Self>> {
        let readers = Arc::new(Self::default());
        for number in 0..threads.max(1) {
            let (readers, store) = (Arc::clone(&readers), Arc::clone(store));
            thread::Builder::new().name(format!("disk-read-{number}")).spawn(move || readers.run(&store))?;
        }
        Ok(readers)
    }

    fn run(&self, store: &Store) {
        while let Some(Job { entry, part, done }) = self.next() {
            // Nobody may be waiting any more.
            if !done.is_closed() {
                let _ = done.send(store.read(&entry, part, Wait::ForDisk));
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            self.filled.wait(&mut state);
        }
    }

    /// Has a record read.
    pub(super) async fn read(&self, store: &Store, entry: Entry, part: Part) -> Result<Record, ReadError> {
        let (done, result) = oneshot::channel();
        {
            let mut state = self.state.lock();
            if state.stopped {
                return Err(ReadError::Stopped);
            }
            if state.jobs.len() >= WAITING_MAX {
                add(&store.counters.reads_refused, 1);
                return Err(ReadError::Busy);
            }
            state.jobs.push_back(Job { entry, part, done });
        }
        self.filled.notify_one();
        result.await.unwrap_or(Err(ReadError::Stopped))
    }

    /// No more reads; those that wait fail.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        state.jobs.clear();
        self.filled.notify_all();
    }
}
