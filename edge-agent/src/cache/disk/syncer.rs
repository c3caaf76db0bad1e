//! The syncer: a thread that waits until what was written is on the medium, so that the writer need not.

use std::{
    fs::File,
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use tracing::warn;

use super::{figures::add, segment::Segment, store::Store};
use crate::error_chain::ErrorChain;

/// Files that may wait. Beyond them the writer waits, because the disk is slower than what is written.
const WAITING_MAX: usize = 8;

/// A file that has been written to.
#[derive(Debug)]
pub(super) enum Unsynced {
    Segment(Arc<Segment>),
    Graves(Arc<File>),
}

/// The thread and what leads to it. Both are gone after [`Syncer::finish`].
#[derive(Debug)]
pub(super) struct Syncer(Option<(SyncSender<Unsynced>, JoinHandle<()>)>);

impl Syncer {
    pub(super) fn start(store: &Arc<Store>) -> io::Result<Self> {
        let (files, waiting) = sync_channel(WAITING_MAX);
        let store = Arc::clone(store);
        let thread = thread::Builder::new().name("disk-sync".into()).spawn(move || run(&store, &waiting))?;
        Ok(Self(Some((files, thread))))
    }

    /// Has a file synced. What fails is counted and logged.
    pub(super) fn sync(&self, file: Unsynced) {
        if let Some((files, _)) = &self.0 {
            // The thread ends after this does.
            let _ = files.send(file);
        }
    }

    /// Waits until all of them are.
    pub(super) fn finish(&mut self) {
        if let Some((files, thread)) = self.0.take() {
            drop(files);
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

fn run(store: &Store, waiting: &Receiver<Unsynced>) {
    for file in waiting {
        // A store that was abandoned is as if it had been killed.
        if store.queue.is_abandoned() {
            return;
        }
        let synced = match file {
            Unsynced::Segment(segment) => segment.sync(),
            Unsynced::Graves(file) => file.sync_data(),
        };
        if let Err(error) = synced {
            add(&store.counters.write_errors, 1);
            warn!(error = %ErrorChain(&error), "what the disk cache has written may not survive a power failure");
        }
    }
}
