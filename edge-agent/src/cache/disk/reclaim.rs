//! Making room: the oldest segment is given up, and what the policy wants of it is written to main.

use std::{
    collections::HashSet,
    io,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tracing::warn;

use super::{
    entry::{Entry, Name, RecordId, USES_MAX},
    figures::add,
    index::SHARDS,
    policy::{Candidate, Fate, Log},
    record::{self, HEADER_BYTES, Record, stored_bytes},
    segment::{self, RECORDS_AT, Segment},
    snapshot,
    writer::{BATCH_BYTES, Item, Writer},
};
use crate::error_chain::ErrorChain;

/// Of the writer's time, at most one part in so many goes by while it asks what is used elsewhere.
const ASKING_SHARE: u32 = 20;
/// What takes no longer than this is asked however often.
const ASKING_CHEAP: Duration = Duration::from_millis(1);

/// When it was asked what is used elsewhere, and how long that took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    at: Instant,
    took: Duration,
}

/// A record that goes on to main.
struct Moved {
    from: Entry,
    record: Record,
    sequence: u64,
    uses: u8,
}

impl Writer {
    /// Gives up segments until there is room.
    pub(super) fn make_room(&mut self) -> io::Result<()> {
        if self.loading.as_ref().is_some_and(|loading| loading.is_reading) {
            return Ok(());
        }
        while let Some((segment, log)) = self.policy.reclaim(self.store.index.records()) {
            self.reclaim(segment, log)?;
            if self.store.queue.is_abandoned() {
                break;
            }
        }
        Ok(())
    }

    fn reclaim(&mut self, id: u32, log: Log) -> io::Result<()> {
        // Once what has replaced them is gone, nothing else tells that they are dead.
        self.bury()?;
        let Some(segment) = self.store.segment(id) else {
            self.policy.gone(id);
            return Ok(());
        };
        let Ok(entries) = segment.records(&self.store.seed) else {
            return self.drop_segment(id);
        };
        let now = self.store.now_seconds();
        let still_there = |e: Entry| self.store.index.get(e.name, e.tag, e.id);
        let (expired, living): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().filter_map(still_there).partition(|entry| entry.is_expired(now));
        let mut candidates: Vec<_> = living.iter().map(candidate).collect();
        self.count_uses_above(&mut candidates);
        let fates = self.policy.fates(log, &candidates);
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        for (entry, fate) in living.into_iter().zip(fates) {
            match fate {
                Fate::Main { uses } => kept.push((entry, uses)),
                Fate::Dropped => dropped.push(entry),
            }
        }
        let mut moved = Vec::new();
        // If the disk has no room for them, they go with their segment.
        let written = self.move_all(&segment, &kept, &mut moved);
        if let Err(error) = segment.unlink() {
            self.unburied.extend(moved);
            return Err(error);
        }
        let remove = |e: &&Entry| self.store.index.remove_exactly(e.name, e.id);
        add(&self.store.counters.expired, expired.iter().filter(remove).count() as u64);
        // Of those to be moved, what has been is not at its old place any more.
        let evicted = dropped.iter().chain(kept.iter().map(|(entry, _)| entry)).filter(remove).count();
        add(&self.store.counters.evicted, evicted as u64);
        self.forget(id);
        written
    }

    /// What memory has is never asked for here, however much it is used: whoever knows is asked before it is dropped.
    fn count_uses_above(&mut self, candidates: &mut [Candidate]) {
        let unused = |candidate: &&mut Candidate| candidate.uses == 0;
        let Some(used_above) = self.store.used_above.get() else { return };
        let is_dear =
            |asked: &Asked| asked.took > ASKING_CHEAP && asked.at.elapsed() < asked.took * ASKING_SHARE;
        if self.asked.as_ref().is_some_and(is_dear) {
            return;
        }
        let at = Instant::now();
        let names: HashSet<Name> = candidates.iter_mut().filter(unused).map(|c| c.name).collect();
        let used = if names.is_empty() { HashSet::new() } else { used_above.of(&names) };
        let is_used = |candidate: &&mut Candidate| used.contains(&candidate.name);
        candidates.iter_mut().filter(unused).filter(is_used).for_each(|candidate| candidate.uses = USES_MAX);
        self.asked = Some(Asked { at, took: at.elapsed() });
    }

    /// Writes these to main, a few megabytes at a time, and lets the index point there. Adds their old places to `moved`.
    fn move_all(
        &mut self,
        segment: &Segment,
        kept: &[(Entry, u8)],
        moved: &mut Vec<RecordId>,
    ) -> io::Result<()> {
        let mut rest = kept;
        while !rest.is_empty() {
            let mut bytes = 0;
            let few = rest.iter().take_while(|(entry, _)| {
                let fits = bytes < BATCH_BYTES;
                bytes += candidate(entry).bytes;
                fits
            });
            let (now, later) = rest.split_at(few.count());
            rest = later;
            let read: Vec<Moved> =
                now.iter().filter_map(|(entry, uses)| self.read_again(segment, entry, *uses)).collect();
            let items: Vec<_> = read
                .iter()
                .map(|Moved { record, sequence, uses, .. }| Item { record, sequence: *sequence, uses: *uses })
                .collect();
            let mut entries = Vec::new();
            let result = self.append(Log::Main, &items, &mut entries);
            for (old, new) in read.iter().map(|m| m.from).zip(entries) {
                add(&self.store.counters.rewrites, 1);
                add(&self.store.counters.rewrite_bytes, candidate(&new).bytes);
                if self.store.index.change(old.name, old.tag, old.id, |entry| *entry = new) {
                    moved.push(old.id);
                } else {
                    // Removed or dropped since it was looked at.
                    self.unburied.push(new.id);
                }
            }
            result?;
        }
        Ok(())
    }

    fn read_again(&self, segment: &Segment, entry: &Entry, uses: u8) -> Option<Moved> {
        if !segment::fits(RECORDS_AT, candidate(entry).bytes, self.store.segment_bytes) {
            // Segments have become smaller since it was written.
            return None;
        }
        let length = HEADER_BYTES + entry.packed.meta_bytes() + entry.packed.body_bytes();
        let bytes =
            segment.read(entry.id.offset(), length).inspect_err(|_| add(&self.store.counters.read_errors, 1));
        let opened = record::open(Bytes::from(bytes.ok()?), entry, &self.store.seed);
        if opened.is_none() {
            add(&self.store.counters.corrupt, 1);
        }
        let (header, record) = opened?;
        Some(Moved { from: *entry, record, sequence: header.sequence, uses })
    }

    /// Gives up a segment with all that is in it.
    pub(super) fn drop_segment(&mut self, id: u32) -> io::Result<()> {
        if let Some(place) = self.open.iter().position(|open| open.segment.id == id) {
            self.close(place);
        }
        let Some(segment) = self.store.segment(id) else {
            self.policy.gone(id);
            return Ok(());
        };
        if let Err(error) = segment.unlink() {
            warn!(error = %ErrorChain(&error), "a segment of the disk cache cannot be removed");
            return Err(error);
        }
        for shard in 0..SHARDS {
            let gone = self.store.index.remove_where(shard, |entry| entry.id.segment == id);
            add(&self.store.counters.evicted, gone.len() as u64);
        }
        self.forget(id);
        Ok(())
    }

    /// The file has lost its name, and nothing in the index points into it.
    fn forget(&mut self, id: u32) {
        if let Some(loading) = &mut self.loading {
            loading.has_dropped = true;
        }
        self.store.give_up(id);
        self.policy.gone(id);
        self.graves.forget(id);
        self.unburied.retain(|dead| dead.segment != id);
        add(&self.store.counters.segments_reclaimed, 1);
        if let Err(error) = self.graves.clean() {
            self.failed_to_clean(&error);
        }
    }

    fn failed_to_clean(&self, error: &io::Error) {
        add(&self.store.counters.write_errors, 1);
        warn!(error = %ErrorChain(error), "the graves of the disk cache cannot be written anew");
    }

    /// Drops everything. If the disk does not allow that, nothing is found until it does.
    pub(super) fn empty(&mut self) {
        let ids: Vec<u32> = self.store.segments.read().keys().copied().collect();
        // Those that cannot be removed have said so.
        ids.into_iter().for_each(|id| _ = self.drop_segment(id));
        let emptied = self.give_unopened_up() && self.store.segments.read().is_empty();
        let gone = snapshot::remove(&self.store.dir).and_then(|()| self.graves.clear());
        if emptied && gone.is_ok() {
            self.unburied.clear();
            add(&self.store.counters.emptied, 1);
            self.store.emptying.store(false, Relaxed);
            warn!(path = %self.store.dir.display(), "the disk cache was emptied: it does not know any more what was removed");
        }
    }
}

fn candidate(entry: &Entry) -> Candidate {
    Candidate {
        name: entry.name,
        bytes: stored_bytes(entry.packed.meta_bytes(), entry.packed.body_bytes()),
        uses: entry.packed.uses(),
    }
}
