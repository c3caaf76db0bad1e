//! The writer: the one thread that changes the directory. It appends what is queued, buries what is removed, and makes room.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, IoSlice},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use tracing::{info, warn};

use super::{
    entry::{Entry, RecordId, UNIT_BYTES},
    figures::add,
    graves::Graves,
    health::Trouble,
    index::SHARDS,
    load::Found,
    loading::Loading,
    policy::{Log, Policy},
    queue::{End, Order},
    reclaim::Asked,
    record::{HEADER_BYTES, Header, Record, stored_bytes},
    segment::{self, Segment},
    snapshot::{self, Stamp},
    store::Store,
    superblock,
    syncer::{Syncer, Unsynced},
};
use crate::{clock::Timestamp, durable, error_chain::ErrorChain};

/// Written at once.
pub(super) const BATCH_BYTES: u64 = 4 << 20;
/// Records whose slices go to the kernel at once: four each.
const BATCH_RECORDS: usize = 256;
/// Between looks at what has expired. All shards are seen in about a minute.
const TICK: Duration = Duration::from_secs(1);
/// After the disk was full, until the store tries to have its whole size again.
const SHRUNK_FOR: Duration = Duration::from_secs(600);

pub(super) struct Writer {
    pub(super) store: Arc<Store>,
    pub(super) policy: Policy,
    pub(super) graves: Graves,
    /// Dead, and not yet in the graves' file, because the disk did not take it.
    pub(super) unburied: Vec<RecordId>,
    pub(super) open: Vec<Open>,
    pub(super) next_segment: u32,
    pub(super) sequence: u64,
    pub(super) configured_bytes: u64,
    pub(super) shrunk_until: Option<Timestamp>,
    pub(super) sweep_shard: usize,
    pub(super) lock: Option<File>,
    /// Until all that was there at the start is in the index.
    pub(super) loading: Option<Loading>,
    pub(super) asked: Option<Asked>,
    pub(super) syncer: Syncer,
}

/// A segment that is being written.
pub(super) struct Open {
    pub(super) segment: Arc<Segment>,
    pub(super) at: u64,
    pub(super) entries: Vec<Entry>,
}

/// A record to append, and what it takes along from where it was.
pub(super) struct Item<'r> {
    pub(super) record: &'r Record,
    pub(super) sequence: u64,
    pub(super) uses: u8,
}

impl Writer {
    /// Loads the index, then does what it is told until the end.
    pub(super) fn run(mut self, found: Found) {
        self.load(found);
        let mut ticked = Instant::now();
        loop {
            let taken = self.store.queue.take(self.batch_bytes(), TICK);
            if taken.end == Some(End::Abandon) {
                break;
            }
            self.do_all(taken.orders);
            if taken.end == Some(End::Stop) {
                self.finish();
                break;
            }
            // However much there is to do.
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.tick();
            }
            self.look_after();
        }
        drop(self.lock.take());
        *self.store.ended.0.lock() = true;
        self.store.ended.1.notify_all();
    }

    /// What is done about once in [`TICK`].
    fn tick(&mut self) {
        if let Some(file) = self.graves.unsynced() {
            self.syncer.sync(Unsynced::Graves(file));
        }
        self.sweep(self.sweep_shard);
        self.sweep_shard += 1;
    }

    /// Bytes of records that are taken from the queue at once.
    pub(super) fn batch_bytes(&self) -> u64 {
        BATCH_BYTES.min(self.store.segment_bytes)
    }

    pub(super) fn do_all(&mut self, orders: Vec<Order>) {
        let mut records = Vec::new();
        for order in orders {
            if let Order::Write(record) = order {
                records.push(record);
                continue;
            }
            self.write(std::mem::take(&mut records));
            match order {
                Order::Remove { name, tag, gone } => {
                    self.unburied.extend(gone);
                    if let Some(loading) = &mut self.loading {
                        loading.supersede(name, tag);
                    }
                    // What was put in between.
                    self.unburied.extend(self.store.index.remove(name, tag));
                    self.store.index.lift(name, tag);
                }
                Order::Bury(id) => self.unburied.push(id),
                Order::Sweep => (0..SHARDS).for_each(|shard| self.sweep(shard)),
                Order::Settled(done) => self.settle(done),
                Order::Write(_) => {}
            }
        }
        self.write(records);
        self.try_to_bury();
    }

    /// Tells that all is done, once it is.
    fn settle(&mut self, done: oneshot::Sender<bool>) {
        self.try_to_bury();
        match &mut self.loading {
            Some(loading) => loading.settled.push(done),
            None => _ = done.send(self.is_kept()),
        }
    }

    /// Whether nothing that was removed comes back at the next start.
    pub(super) fn is_kept(&self) -> bool {
        self.unburied.is_empty() && !self.store.emptying.load(Relaxed)
    }

    /// Writes records, or drops them.
    fn write(&mut self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        if let Some(loading) = &mut self.loading {
            records.iter().for_each(|record| loading.supersede(record.name, Some(record.tag)));
        }
        let mut entries = vec![None; records.len()];
        if self.store.health.may_try(self.store.clock.now())
            && let Err(error) = self.append_all(&records, &mut entries)
        {
            self.failed(&error);
        }
        for (record, entry) in records.iter().zip(entries) {
            match entry {
                Some(entry) => {
                    add(&self.store.counters.writes, 1);
                    let bytes = stored_bytes(record.meta.len(), record.body.len());
                    add(&self.store.counters.write_bytes, bytes);
                    self.unburied.extend(self.store.index.insert(entry));
                }
                None => {
                    add(&self.store.counters.dropped_degraded, 1);
                    // It would have replaced this, which is therefore out of date.
                    self.unburied.extend(self.store.index.remove(record.name, Some(record.tag)));
                }
            }
        }
        self.try_to_bury();
    }

    fn append_all(&mut self, records: &[Record], entries: &mut [Option<Entry>]) -> io::Result<()> {
        self.make_room()?;
        let logs: Vec<Log> = records.iter().map(|record| self.policy.admit(record.name)).collect();
        let first = self.sequence;
        self.sequence += records.len() as u64;
        for log in [Log::Probation, Log::Main] {
            let places: Vec<usize> = (0..records.len()).filter(|&at| logs[at] == log).collect();
            let item = |&at: &usize| Item { record: &records[at], sequence: first + at as u64, uses: 0 };
            let items: Vec<_> = places.iter().map(item).collect();
            let mut written = Vec::new();
            let result = self.append(log, &items, &mut written);
            places.iter().zip(written).for_each(|(&at, entry)| entries[at] = Some(entry));
            result?;
        }
        if self.store.health.worked() {
            info!(path = %self.store.dir.display(), "the disk cache is written to again");
        }
        Ok(())
    }

    /// Appends to a log, and adds an entry for each record that is in the file. After an error, the segment is left as it is.
    pub(super) fn append(&mut self, log: Log, items: &[Item<'_>], done: &mut Vec<Entry>) -> io::Result<()> {
        let mut rest = items;
        while let Some(first) = rest.first() {
            let place = self.open_for(log, stored_bytes(first.record.meta.len(), first.record.body.len()))?;
            let open = &self.open[place];
            let mut end = open.at;
            let room = segment::RECORDS_MAX - open.entries.len();
            let fits = |item: &&Item<'_>| {
                let bytes = stored_bytes(item.record.meta.len(), item.record.body.len());
                let fits = segment::fits(end, bytes, self.store.segment_bytes);
                end += bytes;
                fits
            };
            let count = rest.iter().take(room.min(BATCH_RECORDS)).take_while(fits).count();
            let (now, later) = rest.split_at(count);
            match write_to(&self.store, open, now) {
                Ok(entries) => {
                    let open = &mut self.open[place];
                    let end = entries.last().map_or(open.at, |e| {
                        e.id.offset() + stored_bytes(e.packed.meta_bytes(), e.packed.body_bytes())
                    });
                    self.policy.wrote(open.segment.id, end - open.at);
                    open.at = end;
                    open.entries.extend(&entries);
                    done.extend(entries);
                }
                Err(error) => {
                    // What is wrong with this file may not be wrong with the next.
                    let Open { segment, at, .. } = &self.open[place];
                    let (id, cut) = (segment.id, segment.cut(*at));
                    self.close(place);
                    if cut.is_err() {
                        let _ = self.drop_segment(id);
                    }
                    return Err(error);
                }
            }
            rest = later;
        }
        Ok(())
    }

    /// The open segment of a log with room for so many bytes, begun now if need be.
    fn open_for(&mut self, log: Log, bytes: u64) -> io::Result<usize> {
        if let Some(place) = self.open.iter().position(|open| open.segment.log == log) {
            let Open { at, entries, .. } = &self.open[place];
            if segment::fits(*at, bytes, self.store.segment_bytes) && entries.len() < segment::RECORDS_MAX {
                return Ok(place);
            }
            self.close(place);
        }
        let id = self.next_segment;
        let segment = match Segment::create(&self.store.dir, id, log, &self.store.seed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.found_again()?;
                Segment::create(&self.store.dir, id, log, &self.store.seed)?
            }
            other => other?,
        };
        let segment = Arc::new(segment);
        self.next_segment = id.checked_add(1).ok_or(io::ErrorKind::StorageFull)?;
        self.policy.opened(id, log);
        self.policy.wrote(id, segment::RECORDS_AT);
        self.store.segments.write().insert(id, Arc::clone(&segment));
        self.open.push(Open { segment, at: segment::RECORDS_AT, entries: Vec::new() });
        Ok(self.open.len() - 1)
    }

    /// The directory has vanished: makes it anew. What was in it can still be read, as long as this process lives.
    fn found_again(&mut self) -> io::Result<()> {
        durable::create_dir(&self.store.dir)?;
        self.lock = None;
        let other = || io::Error::new(io::ErrorKind::ResourceBusy, "the directory is another process's now");
        self.lock = Some(superblock::lock(&self.store.dir)?.ok_or_else(other)?);
        superblock::write(&self.store.dir, &self.store.seed)?;
        warn!(path = %self.store.dir.display(), "the disk cache's directory had vanished, and was made again");
        self.graves.clear()
    }

    /// Closes an open segment: its footer is written, and its bytes are on their way to the medium.
    pub(super) fn close(&mut self, place: usize) {
        let Open { segment, at, entries } = self.open.swap_remove(place);
        self.policy.sealed(segment.id);
        // Without its footer the next start takes a little longer.
        if let Ok(bytes) = segment.write_footer(&entries, at, &self.store.seed) {
            self.policy.wrote(segment.id, bytes);
        }
        self.syncer.sync(Unsynced::Segment(segment));
    }

    /// Puts what is dead into the graves' file, if the disk takes it.
    pub(super) fn bury(&mut self) -> io::Result<()> {
        match self.graves.add(&self.unburied) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.found_again()?;
                self.graves.add(&self.unburied)?;
            }
            other => other?,
        }
        self.unburied.clear();
        Ok(())
    }

    pub(super) fn try_to_bury(&mut self) {
        if self.unburied.is_empty() || !self.store.health.may_try(self.store.clock.now()) {
            return;
        }
        if let Err(error) = self.bury() {
            self.failed(&error);
        }
    }

    /// The disk has refused something.
    pub(super) fn failed(&mut self, error: &io::Error) {
        let now = self.store.clock.now();
        let trouble = Trouble::of(error);
        add(&self.store.counters.write_errors, 1);
        if self.store.health.failed(trouble, now) {
            warn!(path = %self.store.dir.display(), error = %ErrorChain(error), "the disk cache is not written to");
        }
        if trouble == Trouble::Full {
            self.shrink(now);
        }
    }

    /// Others have taken the space: what there is must be enough for a while, with some to spare.
    fn shrink(&mut self, now: Timestamp) {
        while let Some(place) = self.open.len().checked_sub(1) {
            self.close(place);
        }
        self.policy.set_capacity_bytes(self.policy.bytes().min(self.policy.capacity_bytes()));
        self.shrunk_until = Some(now.after(SHRUNK_FOR));
        // What it was says enough.
        let _ = self.bury_or_drop();
        while let Some((segment, _)) = self.policy.reclaim(self.store.index.records()) {
            let before = self.policy.bytes();
            let _ = self.drop_segment(segment);
            if self.policy.bytes() == before {
                break;
            }
        }
        self.publish();
    }

    /// Buries what is dead. What cannot be buried goes with its segment.
    fn bury_or_drop(&mut self) -> io::Result<()> {
        self.bury().or_else(|error| {
            let doomed: HashSet<u32> = self.unburied.iter().map(|id| id.segment).collect();
            doomed.into_iter().for_each(|segment| _ = self.drop_segment(segment));
            if self.unburied.is_empty() { Ok(()) } else { Err(error) }
        })
    }

    /// Drops what has expired from one shard.
    fn sweep(&mut self, shard: usize) {
        let now = self.store.now_seconds();
        let gone = self.store.index.remove_where(shard, |entry| entry.is_expired(now));
        add(&self.store.counters.expired, gone.len() as u64);
        self.unburied.extend(gone);
    }

    /// What is done between batches.
    pub(super) fn look_after(&mut self) {
        let now = self.store.clock.now();
        if self.shrunk_until.is_some_and(|until| until <= now) {
            self.shrunk_until = None;
            self.policy.set_capacity_bytes(self.configured_bytes);
        }
        if self.store.emptying.load(Relaxed) {
            self.empty();
        }
        self.open_again();
        self.try_to_bury();
        self.publish();
    }

    fn publish(&self) {
        self.store.bytes.store(self.policy.bytes(), Relaxed);
        self.store.capacity_bytes.store(self.policy.capacity_bytes(), Relaxed);
    }

    /// A clean stop: everything closed, and the index in a snapshot.
    fn finish(&mut self) {
        while let Some(place) = self.open.len().checked_sub(1) {
            self.close(place);
        }
        // What could not be opened is opened by the next start, unless it would find there what has been removed since.
        if self.loading.as_ref().is_some_and(Loading::has_superseded) {
            self.give_unopened_up();
        }
        let stamp = self.bury_or_drop().and_then(|()| self.stamp());
        // The snapshot says that the segments are as they should be.
        self.syncer.finish();
        let written = stamp
            .and_then(|stamp| snapshot::write(&self.store.dir, &self.store.index, &stamp, &self.store.seed));
        match written {
            Ok(()) => info!(records = self.store.index.records(), "the disk cache's index is saved"),
            Err(error) => {
                warn!(error = %ErrorChain(&error), "the disk cache's index is not saved; the next start reads it from the segments");
            }
        }
        self.publish();
    }

    /// What the directory is now.
    pub(super) fn stamp(&self) -> io::Result<Stamp> {
        let mut segments = Vec::new();
        for (id, segment) in self.store.segments.read().iter() {
            segments.push((*id, segment.bytes()?));
        }
        segments.sort_unstable();
        Ok(Stamp { segments, graves_bytes: self.graves.bytes() })
    }
}

/// Appends records that fit to an open segment, and returns their entries.
fn write_to(store: &Store, open: &Open, items: &[Item<'_>]) -> io::Result<Vec<Entry>> {
    const ZEROS: [u8; UNIT_BYTES as usize] = [0; UNIT_BYTES as usize];
    let mut heads = Vec::with_capacity(items.len());
    let mut entries = Vec::with_capacity(items.len());
    let mut at = open.at;
    for Item { record, sequence, uses } in items {
        let header = Header::of(record, RecordId::at(open.segment.id, at), *sequence, &store.seed);
        heads.push(header.encode(&record.meta, &store.seed));
        let entry = header.entry();
        entries.push(Entry { packed: entry.packed.with_uses(*uses).with_verified(true), ..entry });
        at += stored_bytes(record.meta.len(), record.body.len());
    }
    let mut parts = Vec::with_capacity(4 * items.len());
    for (head, Item { record, .. }) in heads.iter().zip(items) {
        let bytes = HEADER_BYTES + record.meta.len() + record.body.len();
        let pad = bytes.next_multiple_of(UNIT_BYTES as usize) - bytes;
        let all = [&head[..], &record.meta, &record.body, &ZEROS[..pad]];
        parts.extend(all.into_iter().filter(|part| !part.is_empty()).map(IoSlice::new));
    }
    open.segment.write(&mut parts, open.at)?;
    Ok(entries)
}
