//! The load: what is in the directory at the start is put into the index, while others look things up in it already, and write.

use std::{
    collections::HashSet,
    io,
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use rustix::io::Errno;
use tracing::{info, warn};

use super::{
    checksum::Seed,
    entry::{Entry, RecordId},
    figures::add,
    graves::Graves,
    index::{Loaded, SHARDS},
    policy::Log,
    segment::{self, Segment},
    snapshot,
    writer::Writer,
};
use crate::error_chain::ErrorChain;

/// What is in the directory when a store is opened.
pub(super) struct Found {
    pub(super) segments: Vec<(u32, Log)>,
    pub(super) graves: Graves,
    /// What is dead; nothing if nobody knows any more.
    pub(super) dead: Option<HashSet<RecordId>>,
}

/// Looks what there is, before there is a writer: without all of this nothing on the disk may be believed.
pub(super) fn look(dir: &Path, seed: Seed) -> io::Result<Found> {
    let segments = segment::list(dir)?;
    let (graves, dead) = match Graves::open(dir, seed) {
        // It will not be better the next time.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => (Graves::new(dir, seed), None),
        opened => opened?,
    };
    Ok(Found { segments, graves, dead })
}

impl Writer {
    /// Reads the snapshot if there is a right one, otherwise the footers.
    pub(super) fn load(&mut self, found: Found) {
        for (id, log) in found.segments {
            self.next_segment = self.next_segment.max(id.saturating_add(1));
            self.open_segment(id, log);
        }
        self.graves = found.graves;
        let after_graves = self.graves.segment_max().map_or(0, |id| id.saturating_add(1));
        self.next_segment = self.next_segment.max(after_graves);
        // Later than whatever any earlier process has written: each begins a segment for what it writes.
        self.sequence = u64::from(self.next_segment) << 32;
        match (found.dead, &mut self.loading) {
            (Some(dead), Some(loading)) => loading.dead = dead,
            _ => {
                warn!("the disk cache's graves are damaged: it starts empty");
                self.store.emptying.store(true, Relaxed);
                self.empty();
            }
        }
        let (stamp, snapshot) = (self.stamp(), snapshot::take(&self.store.dir));
        let seed = self.store.seed;
        let whole = match (stamp, snapshot) {
            (Ok(stamp), Some(snapshot)) => snapshot::read(snapshot, &stamp, &seed, |entries| {
                entries.into_iter().for_each(|entry| self.load_entry(entry));
                self.meanwhile();
            }),
            _ => false,
        };
        if !whole {
            self.load_footers();
        }
        if self.store.queue.is_abandoned() {
            return;
        }
        self.end_of_reading();
        let (records, segments) = (self.store.index.records(), self.store.segments.read().len());
        info!(path = %self.store.dir.display(), records, segments, snapshot = whole, "the disk cache is loaded");
        // It may be smaller than it was.
        if let Err(error) = self.make_room() {
            self.failed(&error);
        }
        self.look_after();
    }

    /// Opens a segment that is there. One that cannot be opened now is tried again, one that is none is taken away.
    fn open_segment(&mut self, id: u32, log: Log) -> Option<Arc<Segment>> {
        let error = match Segment::open(&self.store.dir, id, log, &self.store.seed) {
            Ok((segment, bytes)) => {
                let segment = Arc::new(segment);
                self.policy.opened(id, log);
                self.policy.wrote(id, bytes);
                self.policy.sealed(id);
                self.store.segments.write().insert(id, Arc::clone(&segment));
                return Some(segment);
            }
            Err(error) => error,
        };
        let is_none = matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound
        );
        match &mut self.loading {
            Some(loading) if !is_none => {
                warn!(segment = id, error = %ErrorChain(&error), "a segment of the disk cache cannot be opened now");
                loading.unopened.push((id, log));
            }
            _ => _ = self.take_away(id, log, &error),
        }
        None
    }

    /// What is in it could be out of date by the time it can be read again. Tells whether that was possible.
    fn take_away(&self, id: u32, log: Log, why: &io::Error) -> bool {
        let removed = segment::remove(&self.store.dir, id, log).is_ok();
        warn!(segment = id, removed, error = %ErrorChain(why), "a segment of the disk cache is of no use");
        add(&self.store.counters.corrupt, 1);
        removed
    }

    fn load_footers(&mut self) {
        let mut segments: Vec<_> = self.store.segments.read().values().cloned().collect();
        // The latest first: they are what is likeliest to be asked for.
        segments.sort_unstable_by_key(|segment| std::cmp::Reverse(segment.id));
        for segment in segments {
            if self.store.queue.is_abandoned() {
                return;
            }
            // What is written meanwhile is in the index already.
            if !self.open.iter().any(|open| open.segment.id == segment.id) {
                self.load_footer(&segment);
                self.meanwhile();
            }
        }
    }

    fn load_footer(&mut self, segment: &Segment) {
        let now = self.store.now_seconds();
        match segment.records(&self.store.seed) {
            // The later of one segment are newer, too.
            Ok(entries) => {
                entries.into_iter().rev().filter(|e| !e.is_expired(now)).for_each(|e| self.load_entry(e));
            }
            Err(error) => {
                warn!(segment = segment.id, error = %ErrorChain(&error), "a segment of the disk cache cannot be read");
                let _ = self.drop_segment(segment.id);
            }
        }
    }

    fn load_entry(&mut self, entry: Entry) {
        if let Some(loading) = &self.loading {
            if loading.dead.contains(&entry.id) {
                return;
            }
            if loading.is_superseded(&entry) {
                self.unburied.push(entry.id);
                return;
            }
        }
        match self.store.index.load(entry) {
            (Loaded::Added, gone) => self.unburied.extend(gone),
            (Loaded::Barred, _) => self.unburied.push(entry.id),
            (Loaded::Beside(there), _) if there.id == entry.id => {}
            (Loaded::Beside(there), _) => {
                // A crash came between the newer one and the older one's grave.
                let sequence = |entry: &Entry| {
                    let segment = self.store.segment(entry.id.segment)?;
                    segment.header(entry, &self.store.seed).map(|header| header.sequence)
                };
                if sequence(&entry) > sequence(&there) {
                    self.unburied.extend(self.store.index.insert(entry));
                } else {
                    self.unburied.push(entry.id);
                }
            }
        }
    }

    /// Does what has been ordered since the start, as far as nothing need be given up for it.
    fn meanwhile(&mut self) {
        let room = self.policy.capacity_bytes().saturating_sub(self.store.segment_bytes);
        let has_room = self.policy.bytes() + self.batch_bytes() <= room;
        if has_room && self.loading.as_ref().is_some_and(|loading| !loading.is_full()) {
            // The end, if it is told, is told again.
            let taken = self.store.queue.take(self.batch_bytes(), Duration::ZERO);
            self.do_all(taken.orders);
        }
    }

    fn end_of_reading(&mut self) {
        let Some(loading) = &mut self.loading else { return };
        loading.is_reading = false;
        if loading.has_dropped {
            let segments: HashSet<u32> = self.store.segments.read().keys().copied().collect();
            for shard in 0..SHARDS {
                self.store.index.remove_where(shard, |entry| !segments.contains(&entry.id.segment));
            }
        }
        if loading.unopened.is_empty() {
            self.loaded();
        }
    }

    /// Tries to open what could not be opened before, for a while.
    pub(super) fn open_again(&mut self) {
        let now = self.store.clock.now();
        let Some(loading) = self.loading.as_mut().filter(|loading| !loading.unopened.is_empty()) else {
            return;
        };
        if !loading.is_retry_due(now) {
            return;
        }
        for (id, log) in std::mem::take(&mut loading.unopened) {
            if let Some(segment) = self.open_segment(id, log) {
                self.load_footer(&segment);
            }
        }
        if self.loading.as_ref().is_some_and(|loading| loading.is_over(now)) {
            self.give_unopened_up();
        }
        if self.loading.as_ref().is_some_and(|loading| loading.unopened.is_empty()) {
            self.loaded();
        }
    }

    /// Takes away the segments that could not be opened. Tells whether that was possible.
    pub(super) fn give_unopened_up(&mut self) -> bool {
        let unopened = self.loading.as_mut().map(|loading| std::mem::take(&mut loading.unopened));
        let why = io::Error::from(io::ErrorKind::TimedOut);
        let mut all = true;
        for (id, log) in unopened.unwrap_or_default() {
            all &= self.take_away(id, log, &why);
        }
        all
    }

    /// All is in the index. Whoever has waited for that is told.
    fn loaded(&mut self) {
        self.store.index.loaded();
        self.try_to_bury();
        let is_kept = self.is_kept();
        let waiting = self.loading.take().map(|loading| loading.settled);
        waiting.into_iter().flatten().for_each(|settled| _ = settled.send(is_kept));
    }
}
