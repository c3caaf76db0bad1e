//! The load: what is in the directory at the start is put into the index, while others look things up in it already.

use std::{collections::HashSet, fs, sync::Arc};

use tracing::{info, warn};

use super::{
    entry::{Entry, RecordId},
    figures::add,
    index::Loaded,
    segment::{self, Segment},
    snapshot,
    writer::Writer,
};
use crate::error_chain::ErrorChain;

impl Writer {
    /// Reads the snapshot if there is a right one, otherwise the footers.
    pub(super) fn load(&mut self) {
        self.open_segments();
        let dead = self.graves_of_old();
        let stamp = self.stamp();
        let index = &self.store.index;
        let whole = stamp.is_ok_and(|stamp| {
            snapshot::read(&self.store.dir, &stamp, &self.store.seed, |entry| {
                // Nothing has been written yet that could be beside it.
                if index.load(entry) == (Loaded::Barred, None) {
                    self.unburied.push(entry.id);
                }
            })
        });
        // From here on the directory changes, and the snapshot would be wrong.
        if let Err(error) = snapshot::remove(&self.store.dir) {
            warn!(error = %ErrorChain(&error), "the disk cache's snapshot cannot be removed");
        }
        if !whole {
            self.load_footers(&dead);
        }
        self.store.index.loaded();
        let (records, segments) = (self.store.index.records(), self.store.segments.read().len());
        info!(path = %self.store.dir.display(), records, segments, snapshot = whole, "the disk cache is loaded");
        // It may be smaller than it was.
        if let Err(error) = self.make_room() {
            self.failed(&error);
        }
        self.look_after();
    }

    fn open_segments(&mut self) {
        let mut found: Vec<_> = fs::read_dir(&self.store.dir)
            .into_iter()
            .flatten()
            .filter_map(|file| file.ok()?.file_name().to_str().and_then(segment::of_file_name))
            .collect();
        found.sort_unstable_by_key(|(id, _)| *id);
        for (id, log) in found {
            self.next_segment = self.next_segment.max(id.saturating_add(1));
            match Segment::open(&self.store.dir, id, log, &self.store.seed) {
                Ok((segment, bytes)) => {
                    self.policy.opened(id, log);
                    self.policy.wrote(id, bytes);
                    self.policy.sealed(id);
                    self.store.segments.write().insert(id, Arc::new(segment));
                }
                Err(error) => {
                    // What is in it could be out of date by the time it can be read again.
                    warn!(segment = id, error = %ErrorChain(&error), "a segment of the disk cache is of no use");
                    add(&self.store.counters.corrupt, 1);
                    segment::remove(&self.store.dir, id, log);
                }
            }
        }
    }

    /// What is dead. If nobody knows any more, the store is emptied.
    fn graves_of_old(&mut self) -> HashSet<RecordId> {
        let dead = super::graves::Graves::open(&self.store.dir, self.store.seed);
        let Ok((graves, Some(dead))) = dead else {
            warn!("the disk cache's graves are damaged: it starts empty");
            self.empty();
            return HashSet::new();
        };
        self.graves = graves;
        self.next_segment =
            self.next_segment.max(self.graves.segment_max().map_or(0, |id| id.saturating_add(1)));
        // Later than whatever any earlier process has written: each begins a segment for what it writes.
        self.sequence = u64::from(self.next_segment) << 32;
        dead
    }

    fn load_footers(&mut self, dead: &HashSet<RecordId>) {
        let mut segments: Vec<_> = self.store.segments.read().values().cloned().collect();
        // The latest first: they are what is likeliest to be asked for.
        segments.sort_unstable_by_key(|segment| std::cmp::Reverse(segment.id));
        let now = self.store.now_seconds();
        for segment in segments {
            if self.store.queue.is_abandoned() {
                return;
            }
            let entries = match segment.records(&self.store.seed) {
                Ok(entries) => entries,
                Err(error) => {
                    warn!(segment = segment.id, error = %ErrorChain(&error), "a segment of the disk cache cannot be read");
                    let _ = self.drop_segment(segment.id);
                    continue;
                }
            };
            // The later of one segment are newer, too.
            for entry in entries.into_iter().rev() {
                if !dead.contains(&entry.id) && !entry.is_expired(now) {
                    self.load_entry(entry);
                }
            }
        }
    }

    fn load_entry(&mut self, entry: Entry) {
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
}
