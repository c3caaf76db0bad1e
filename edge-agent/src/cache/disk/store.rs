//! The store: what those who ask, the readers and the writer share.

use std::{
    collections::{HashMap, HashSet},
    fmt, io,
    path::PathBuf,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};

use super::{
    buffers::{Buffers, LARGE_BYTES},
    checksum::Seed,
    entry::{Entry, Name},
    figures::{Counters, add},
    health::Health,
    index::Index,
    queue::{Order, Queue},
    record::{self, HEADER_BYTES, Record},
    segment::Segment,
};
use crate::clock::Clock;

/// Tells which of these names are in use somewhere above, where uses are not counted by [`super::Disk::touch`].
pub(super) struct UsedAbove(Box<AskAbove>);

type AskAbove = dyn Fn(&HashSet<Name>) -> HashSet<Name> + Send + Sync;

impl UsedAbove {
    pub(super) fn new(ask: impl Fn(&HashSet<Name>) -> HashSet<Name> + Send + Sync + 'static) -> Self {
        Self(Box::new(ask))
    }

    pub(super) fn of(&self, names: &HashSet<Name>) -> HashSet<Name> {
        (self.0)(names)
    }
}

impl fmt::Debug for UsedAbove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UsedAbove")
    }
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) dir: PathBuf,
    pub(super) seed: Seed,
    pub(super) segment_bytes: u64,
    pub(super) clock: Clock,
    pub(super) index: Index,
    pub(super) segments: RwLock<HashMap<u32, Arc<Segment>>>,
    /// Segments that have lost their name and may still be held.
    pub(super) given_up: Mutex<Vec<Weak<Segment>>>,
    pub(super) queue: Queue,
    pub(super) buffers: Arc<Buffers>,
    pub(super) counters: Counters,
    pub(super) health: Health,
    /// Of all segments, and how many there may be.
    pub(super) bytes: AtomicU64,
    pub(super) capacity_bytes: AtomicU64,
    /// Everything must go, and nothing is found until it has: what is to be removed is not known any more.
    pub(super) emptying: AtomicBool,
    /// Who else uses records, if anybody does.
    pub(super) used_above: OnceLock<UsedAbove>,
    /// The writer has ended, and the directory is free.
    pub(super) ended: (Mutex<bool>, Condvar),
}

/// Why a record was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It has been given up since it was found.
    #[error("the record is gone")]
    Gone,
    /// Its bytes were not what had been written. It will not be found again.
    #[error("the record is corrupt")]
    Corrupt,
    /// It is not in the page cache, and this thread may not wait.
    #[error("the record is not in memory")]
    WouldBlock,
    /// Too many reads are waiting.
    #[error("the disk has too many reads waiting")]
    Busy,
    /// The store has stopped.
    #[error("the disk cache has stopped")]
    Stopped,
    /// The disk failed.
    #[error("read a segment")]
    Io(#[source] io::Error),
}

/// How much of a record to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Without the body, which comes back empty.
    Meta,
    /// All of it.
    Whole,
}

/// Whether a read may wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    Never,
    ForDisk,
}

impl Store {
    pub(super) fn now_seconds(&self) -> u32 {
        super::entry::seconds(self.clock.now())
    }

    pub(super) fn segment(&self, id: u32) -> Option<Arc<Segment>> {
        self.segments.read().get(&id).cloned()
    }

    /// Lets go of a segment that has lost its name.
    pub(super) fn give_up(&self, id: u32) {
        if let Some(segment) = self.segments.write().remove(&id) {
            self.given_up.lock().push(Arc::downgrade(&segment));
        }
    }

    /// Bytes of segments that have lost their name and are still held.
    pub(super) fn held_bytes(&self) -> u64 {
        let mut given_up = self.given_up.lock();
        given_up.retain(|segment| segment.strong_count() > 0);
        given_up.len() as u64 * self.segment_bytes
    }

    fn read_bytes(&self, segment: &Segment, offset: u64, length: usize, wait: Wait) -> io::Result<Bytes> {
        if length < LARGE_BYTES {
            let bytes = match wait {
                Wait::Never => segment.read_resident(offset, length),
                Wait::ForDisk => segment.read(offset, length),
            };
            return bytes.map(Bytes::from);
        }
        let mut buffer = self.buffers.take(length);
        match wait {
            Wait::Never => segment.read_resident_into(offset, &mut buffer),
            Wait::ForDisk => segment.read_into(offset, &mut buffer),
        }?;
        Ok(buffer.freeze())
    }

    /// Reads a record. What is wrong is dropped from the index.
    pub(super) fn read(&self, entry: &Entry, part: Part, wait: Wait) -> Result<Record, ReadError> {
        let segment = self.segment(entry.id.segment).ok_or(ReadError::Gone)?;
        let body_bytes = if part == Part::Whole { entry.packed.body_bytes() } else { 0 };
        let length = HEADER_BYTES + entry.packed.meta_bytes() + body_bytes;
        let bytes = match self.read_bytes(&segment, entry.id.offset(), length, wait) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(ReadError::WouldBlock),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(self.corrupt(entry)),
            Err(error) => {
                // The next viewer would wait for the same bad sector.
                self.drop_record(entry);
                add(&self.counters.read_errors, 1);
                return Err(ReadError::Io(error));
            }
        };
        let Some((_, record)) = record::open(bytes, entry, &self.seed) else {
            return Err(self.corrupt(entry));
        };
        add(&self.counters.reads, 1);
        add(&self.counters.read_bytes, length as u64);
        if part == Part::Whole && !entry.packed.verified() {
            self.index.change(entry.name, entry.tag, entry.id, |e| e.packed = e.packed.with_verified(true));
        }
        Ok(record)
    }

    fn corrupt(&self, entry: &Entry) -> ReadError {
        add(&self.counters.corrupt, 1);
        self.drop_record(entry);
        ReadError::Corrupt
    }

    fn drop_record(&self, entry: &Entry) {
        if self.index.remove_exactly(entry.name, entry.id) {
            // If the queue is full, the worst is that it is found wrong again after a restart.
            let _ = self.queue.push(Order::Bury(entry.id));
        }
    }

    pub(super) fn empty_everything(&self) {
        self.emptying.store(true, Relaxed);
    }
}
