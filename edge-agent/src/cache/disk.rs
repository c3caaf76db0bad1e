//! The disk engine: a log-structured store of records, each with a name, a tag, a meta and a body of up to a block. It knows nothing of HTTP.
//!
//! Records are appended to *segments*, files that are written once and unlinked as a whole; bytes in a file are never written
//! over. The *index*, in memory, says where each record is. One *writer* thread changes the directory; *readers* wait for the
//! disk. The *policy* decides what is kept. Whatever leaves the index while its segment stays gets a *grave*, so that no
//! restart brings back what was removed or replaced. A clean stop leaves a *snapshot* of the index; after a crash it is read
//! from the footers of the segments, and the few that were open are walked.

use std::{
    collections::HashSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::oneshot;
use tracing::warn;

use crate::clock::{Clock, Timestamp};

mod buffers;
mod checksum;
mod config;
mod entry;
mod figures;
mod graves;
mod health;
mod index;
mod load;
mod loading;
pub mod policy;
mod queue;
mod readers;
mod reclaim;
mod record;
mod segment;
mod snapshot;
mod store;
mod superblock;
mod syncer;
mod writer;

pub use checksum::Seed;
pub use config::{BYTES_MIN, DiskConfig, OpenError};
pub use entry::{BODY_BYTES_MAX, META_BYTES_MAX, Name, RecordId, USES_MAX};
pub use figures::DiskFigures;
pub use health::{State, Trouble};
pub use record::Record;
pub use segment::Segment;
pub use store::{Part, ReadError};

use entry::Entry;
use figures::{Counters, add};
use graves::Graves;
use health::Health;
use index::Index;
use loading::Loading;
use policy::Policy;
use queue::{End, Full, Order, Queue};
use readers::Readers;
use record::{HEADER_BYTES, stored_bytes};
use store::{Store, UsedAbove, Wait};
use syncer::Syncer;
use writer::Writer;

/// A record that was found: where it is, and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located(Entry);

impl Located {
    /// Which of its name's records it is.
    #[must_use]
    pub fn tag(&self) -> u64 {
        self.0.tag
    }

    /// Where it is. No two records ever have the same.
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.0.id
    }

    /// Bytes of its meta.
    #[must_use]
    pub fn meta_bytes(&self) -> usize {
        self.0.packed.meta_bytes()
    }

    /// Bytes of its body.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.0.packed.body_bytes()
    }

    /// From then on it is not found.
    #[must_use]
    pub fn kept_until(&self) -> Timestamp {
        self.0.kept_until()
    }
}

/// A body in its file, to be sent without a copy. It stays there for as long as the segment is held.
#[derive(Debug, Clone)]
pub struct FileBody {
    /// The open file.
    pub segment: Arc<Segment>,
    /// Where the body begins.
    pub offset: u64,
    /// Its bytes.
    pub length: usize,
}

/// Whether a body is in the page cache is told by a byte of every so many: the kernel reads ahead as far at least.
const RESIDENT_STEP: usize = 128 << 10;
/// Segments that were given up, and are still held by those who send from them, may take this fraction of the disk.
const HELD_FRACTION: u64 = 16;

impl FileBody {
    /// Whether it is in the page cache, as far as can be told at little cost: then sending it hardly ever waits for the disk.
    #[must_use]
    pub fn is_resident(&self) -> bool {
        let last = self.length.saturating_sub(1);
        let mut looked_at = (0..last).step_by(RESIDENT_STEP).chain([last]);
        looked_at.all(|at| self.segment.read_resident_into(self.offset + at as u64, &mut [0]).is_ok())
    }
}

/// Why a record is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Its meta or its body is too large, or both are together for a segment.
    TooLarge,
    /// Too much is waiting to be written.
    QueueFull,
    /// The disk is not well.
    Degraded,
    /// The store has stopped.
    Stopped,
}

/// The store. Dropped without [`Disk::stop`] it leaves the directory as a crash would.
#[derive(Debug)]
pub struct Disk {
    store: Arc<Store>,
    readers: Arc<Readers>,
    bytes_max: u64,
}

impl Disk {
    /// Opens the store, or makes one. The index is loaded by a thread of the store's own; what is not loaded yet is not found.
    ///
    /// # Errors
    /// If the directory cannot be used at all, or another process uses it.
    pub fn open(config: DiskConfig, clock: Clock) -> Result<Arc<Self>, OpenError> {
        let DiskConfig { path, bytes, segment_bytes, .. } = config;
        let min = 8 * segment_bytes;
        if bytes < min || segment_bytes < stored_bytes(META_BYTES_MAX, 0) {
            return Err(OpenError::TooSmall { path, bytes, min: min.max(BYTES_MIN) });
        }
        let failed = |source| OpenError::Io { path: path.clone(), source };
        let (lock, seed) = config::prepare(&path).map_err(failed)?;
        let lock = lock.ok_or_else(|| OpenError::Locked(path.clone()))?;
        let found = load::look(&path, seed).map_err(failed)?;
        let store = Arc::new(Store {
            dir: path.clone(),
            seed,
            segment_bytes,
            clock,
            index: Index::new(),
            segments: RwLock::default(),
            given_up: Mutex::default(),
            queue: Queue::new(config.queue_bytes),
            buffers: Arc::default(),
            counters: Counters::default(),
            health: Health::default(),
            bytes: AtomicU64::new(0),
            capacity_bytes: AtomicU64::new(bytes),
            emptying: AtomicBool::new(false),
            used_above: OnceLock::new(),
            ended: (Mutex::new(false), Condvar::new()),
        });
        let writer = Writer {
            store: Arc::clone(&store),
            policy: Policy::new(bytes, segment_bytes, config.records_max),
            graves: Graves::new(&path, seed),
            unburied: Vec::new(),
            open: Vec::new(),
            next_segment: 0,
            sequence: 0,
            configured_bytes: bytes,
            shrunk_until: None,
            sweep_shard: 0,
            lock: Some(lock),
            loading: Some(Loading::new(store.clock.now())),
            asked: None,
            syncer: Syncer::start(&store).map_err(failed)?,
        };
        let readers = Readers::start(&store, config.readers).map_err(failed)?;
        let disk = Self { store, readers, bytes_max: segment_bytes - segment::RECORDS_AT };
        thread::Builder::new().name("disk-write".into()).spawn(|| writer.run(found)).map_err(failed)?;
        Ok(Arc::new(disk))
    }

    /// The store's own random bytes. Names should be hashed with them, so that no stranger can choose them.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.store.seed
    }

    /// Has `ask` say, before records are dropped, which of these names are used above without being touched here: those are
    /// kept as if they had been. It is asked by the writer's thread, once for each segment that is given up, and may take a
    /// while: a twentieth of the writer's time at most. Only the first `ask` counts.
    pub fn ask_above(&self, ask: impl Fn(&HashSet<Name>) -> HashSet<Name> + Send + Sync + 'static) {
        let _ = self.store.used_above.set(UsedAbove::new(ask));
    }

    /// All records of a name. Never waits for the disk.
    #[must_use]
    pub fn find(&self, name: Name) -> Vec<Located> {
        if self.store.emptying.load(Relaxed) {
            return Vec::new();
        }
        self.store.index.find(name, self.store.now_seconds()).into_iter().map(Located).collect()
    }

    /// Whether there is any record of a name. Never waits for the disk.
    #[must_use]
    pub fn has(&self, name: Name) -> bool {
        !self.store.emptying.load(Relaxed) && self.store.index.has(name, self.store.now_seconds())
    }

    /// The same for a viewer: this is what is counted as a hit or a miss.
    #[must_use]
    pub fn look_up(&self, name: Name) -> bool {
        let is_there = self.has(name);
        let counters = &self.store.counters;
        add(if is_there { &counters.hits } else { &counters.misses }, 1);
        is_there
    }

    /// Counts a use, which keeps a record longer. Tells whether it is still there.
    pub fn touch(&self, record: &Located) -> bool {
        let Entry { name, tag, id, .. } = record.0;
        self.store.index.change(name, tag, id, |e| e.packed = e.packed.with_uses(e.packed.uses() + 1))
    }

    /// The same for a record that has answered a viewer, which counts as a hit.
    pub fn touch_for_viewer(&self, record: &Located) -> bool {
        let is_there = self.touch(record);
        add(&self.store.counters.hits, u64::from(is_there));
        is_there
    }

    /// Reads a record on a thread of the store's own, and checks every byte of it.
    ///
    /// # Errors
    /// Any is a miss: it was given up, is damaged, or the disk failed or has too much to do.
    pub fn read(
        &self,
        record: &Located,
        part: Part,
    ) -> impl Future<Output = Result<Record, ReadError>> + Send + use<> {
        let (store, readers, entry) = (Arc::clone(&self.store), Arc::clone(&self.readers), record.0);
        async move { readers.read(&store, entry, part).await }
    }

    /// Reads a record on this thread if it is in the page cache, and checks every byte of it.
    ///
    /// # Errors
    /// [`ReadError::WouldBlock`] if it is not: then [`Disk::read`] may be asked. Any other is a miss.
    pub fn read_resident(&self, record: &Located, part: Part) -> Result<Record, ReadError> {
        self.store.read(&record.0, part, Wait::Never)
    }

    /// Where a record's body is, if its checksum has been found right since this process started: by a read, or because it
    /// was written by it. Nothing while too many hold what was given up long ago: what they hold keeps its place on the disk.
    #[must_use]
    pub fn body(&self, record: &Located) -> Option<FileBody> {
        if self.store.held_bytes() > self.store.capacity_bytes.load(Relaxed) / HELD_FRACTION {
            return None;
        }
        let entry = self.store.index.get(record.0.name, record.0.tag, record.0.id)?;
        let segment = self.store.segment(entry.id.segment).filter(|_| entry.packed.verified())?;
        let offset = entry.id.offset() + (HEADER_BYTES + entry.packed.meta_bytes()) as u64;
        Some(FileBody { segment, offset, length: entry.packed.body_bytes() })
    }

    /// Has a record written, in place of what has its name and tag. Never waits. It is found once it is in the file.
    ///
    /// # Errors
    /// If it is not kept. Then what it would have replaced is not kept either.
    pub fn write(&self, record: Record) -> Result<(), Dropped> {
        let (name, tag) = (record.name, record.tag);
        let refused = self.try_to_write(record);
        if refused.is_err() && self.is_loading() {
            // What it would have replaced may not have been found yet.
            self.remove(name, Some(tag));
        } else if refused.is_err() {
            for id in self.store.index.remove(name, Some(tag)) {
                if self.store.queue.push(Order::Bury(id)) == Err(Full::Full) {
                    self.store.empty_everything();
                }
            }
        }
        refused
    }

    fn try_to_write(&self, record: Record) -> Result<(), Dropped> {
        let counters = &self.store.counters;
        let (meta, body) = (record.meta.len(), record.body.len());
        if meta > META_BYTES_MAX || body > BODY_BYTES_MAX || stored_bytes(meta, body) > self.bytes_max {
            add(&counters.dropped_too_large, 1);
            return Err(Dropped::TooLarge);
        }
        if !self.store.health.may_try(self.store.clock.now()) {
            add(&counters.dropped_degraded, 1);
            return Err(Dropped::Degraded);
        }
        self.store.queue.write(record).map_err(|full| match full {
            Full::Full => {
                add(&counters.dropped_queue_full, 1);
                Dropped::QueueFull
            }
            Full::Ended => {
                add(&counters.dropped_stopped, 1);
                Dropped::Stopped
            }
        })
    }

    /// Removes a record, or all of a name. None that was written before is found from now on; nor after a restart, once this
    /// is [settled](Disk::settled).
    pub fn remove(&self, name: Name, tag: Option<u64>) {
        let gone = self.store.index.remove_and_bar(name, tag);
        add(&self.store.counters.removed, gone.len() as u64);
        if self.store.queue.push(Order::Remove { name, tag, gone }) == Err(Full::Full) {
            self.store.index.lift(name, tag);
            self.store.empty_everything();
        }
    }

    /// Has expired records looked for now; otherwise that is done bit by bit.
    pub fn sweep(&self) {
        // There are so many orders that it does not matter.
        let _ = self.store.queue.push(Order::Sweep);
    }

    /// Waits until all that was ordered before has been done, or the store has stopped. Tells whether no removal can be undone by
    /// a restart: not if the disk did not take them, which is tried again.
    pub fn settled(&self) -> impl Future<Output = bool> + Send + use<> {
        let (done, settled) = oneshot::channel();
        let _ = self.store.queue.push(Order::Settled(done));
        async move { settled.await.unwrap_or(false) }
    }

    /// Bytes of records that wait to be written.
    #[must_use]
    pub fn queue_bytes(&self) -> u64 {
        self.store.queue.bytes()
    }

    /// Whether a record of so many bytes, meta and body together, would be taken now. Whoever can wait should, until it is:
    /// what is written while there is no room is dropped. More than the queue holds in all never has room.
    #[must_use]
    pub fn has_room(&self, record_bytes: u64) -> bool {
        self.store.queue.has_room(record_bytes)
    }

    /// Waits until there [is room](Disk::has_room). It may be gone again: others write, too. False if there never will be,
    /// because the store has stopped or the record is larger than the queue.
    pub fn room(&self, record_bytes: u64) -> impl Future<Output = bool> + Send + use<> {
        let store = Arc::clone(&self.store);
        async move { store.queue.room(record_bytes).await }
    }

    /// Writes what is queued, and the snapshot, and frees the directory. Blocks for that, but not longer than `within`; tells
    /// whether it was enough.
    pub fn stop(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        self.store.queue.end(End::Stop);
        self.readers.stop();
        let (ended, changed) = &self.store.ended;
        let mut ended = ended.lock();
        while !*ended && !changed.wait_until(&mut ended, until).timed_out() {}
        if !*ended {
            warn!("the disk cache did not stop in time; the next start reads its index from the segments");
        }
        *ended
    }

    /// Whether there may be records on the disk that are not found yet.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.store.index.is_loading()
    }

    /// Whether the disk takes what is written.
    #[must_use]
    pub fn state(&self) -> State {
        self.store.health.state()
    }

    /// What has been done, and what there is.
    #[must_use]
    pub fn figures(&self) -> DiskFigures {
        DiskFigures {
            records: self.store.index.records(),
            bytes: self.store.bytes.load(Relaxed),
            capacity_bytes: self.store.capacity_bytes.load(Relaxed),
            index_bytes: self.store.index.memory_bytes(),
            queue_bytes: self.store.queue.bytes(),
            ..self.store.counters.read()
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.store.queue.end(End::Abandon);
        self.readers.stop();
    }
}
