//! The index: every record's entry in memory, in shards with a short lock each. It never reads the disk.

mod shard;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::entry::{Entry, Name, RecordId};
use shard::Shard;

/// Locks; a power of two.
pub(super) const SHARDS: usize = 64;
/// Buckets that are looked through under one lock: some ten microseconds.
const BUCKETS_AT_ONCE: usize = 1024;

/// All records that can be found.
#[derive(Debug)]
pub(super) struct Index {
    shards: Box<[Mutex<Shard>]>,
    loading: AtomicBool,
    records: AtomicU64,
}

/// What came of an entry that was loaded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// It is in the index.
    Added,
    /// It has been removed since the start: it must be buried.
    Barred,
    /// There is this one already, of the same name and tag.
    Beside(Entry),
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            loading: AtomicBool::new(true),
            records: AtomicU64::new(0),
        }
    }

    fn shard(&self, name: Name) -> &Mutex<Shard> {
        // The bits that the shard itself does not use.
        &self.shards[(name.0[1] >> 32) as usize % SHARDS]
    }

    pub(super) fn records(&self) -> u64 {
        self.records.load(Relaxed)
    }

    /// Bytes of memory that the tables have taken.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().memory_bytes() as u64).sum()
    }

    /// All records of a name that are not expired.
    pub(super) fn find(&self, name: Name, now: u32) -> Vec<Entry> {
        let mut found = Vec::new();
        self.shard(name).lock().each(name, |entry| {
            if !entry.is_expired(now) {
                found.push(*entry);
            }
        });
        found
    }

    /// Whether a name has any record that is not expired.
    pub(super) fn has(&self, name: Name, now: u32) -> bool {
        let mut has = false;
        self.shard(name).lock().each(name, |entry| has |= !entry.is_expired(now));
        has
    }

    /// The record of this name and tag, if it is still this one.
    pub(super) fn get(&self, name: Name, tag: u64, id: RecordId) -> Option<Entry> {
        self.shard(name).lock().get(name, tag).filter(|entry| entry.id == id).copied()
    }

    /// Changes the entry of this name and tag, if it is still this record.
    pub(super) fn change(&self, name: Name, tag: u64, id: RecordId, change: impl FnOnce(&mut Entry)) -> bool {
        let mut shard = self.shard(name).lock();
        let entry = shard.get_mut(name, tag).filter(|entry| entry.id == id);
        entry.map(change).is_some()
    }

    /// Puts in an entry, and returns those that had to leave for it, or that one itself if it is barred: they must be buried.
    pub(super) fn insert(&self, entry: Entry) -> Vec<RecordId> {
        let mut gone = Vec::new();
        let mut shard = self.shard(entry.name).lock();
        if shard.is_barred(entry.name, entry.tag) {
            return vec![entry.id];
        }
        if let Some(old) = shard.get_mut(entry.name, entry.tag) {
            gone.push(std::mem::replace(old, entry).id);
            return gone;
        }
        gone.extend(shard.add(entry));
        self.records.fetch_add(1, Relaxed);
        self.records.fetch_sub(gone.len() as u64, Relaxed);
        gone
    }

    /// Puts in what the load has found on the disk, unless there is something newer to go by.
    pub(super) fn load(&self, entry: Entry) -> (Loaded, Option<RecordId>) {
        let mut shard = self.shard(entry.name).lock();
        if shard.is_barred(entry.name, entry.tag) {
            return (Loaded::Barred, None);
        }
        if let Some(there) = shard.get(entry.name, entry.tag) {
            return (Loaded::Beside(*there), None);
        }
        let gone = shard.add(entry);
        self.records.fetch_add(1, Relaxed);
        self.records.fetch_sub(u64::from(gone.is_some()), Relaxed);
        (Loaded::Added, gone)
    }

    /// Removes the record of this name and tag, or all of this name, and returns where they were: they must be buried. None
    /// is put in until [`Index::lift`]: there may be some on their way, from a viewer or from the disk.
    pub(super) fn remove_and_bar(&self, name: Name, tag: Option<u64>) -> Vec<RecordId> {
        self.shard(name).lock().bar(name, tag);
        self.remove(name, tag)
    }

    /// Takes back one bar.
    pub(super) fn lift(&self, name: Name, tag: Option<u64>) {
        self.shard(name).lock().lift(name, tag);
    }

    /// Removes the record of this name and tag, or all of this name, and returns where they were.
    pub(super) fn remove(&self, name: Name, tag: Option<u64>) -> Vec<RecordId> {
        let mut gone = Vec::new();
        let is_meant = |entry: &Entry| entry.name == name && tag.is_none_or(|tag| tag == entry.tag);
        self.shard(name).lock().remove(is_meant, name, &mut gone);
        self.records.fetch_sub(gone.len() as u64, Relaxed);
        gone
    }

    /// Removes this very record, if it is still the one of its name and tag.
    pub(super) fn remove_exactly(&self, name: Name, id: RecordId) -> bool {
        let mut gone = Vec::new();
        self.shard(name).lock().remove(|entry| entry.name == name && entry.id == id, name, &mut gone);
        self.records.fetch_sub(gone.len() as u64, Relaxed);
        !gone.is_empty()
    }

    /// Removes what `gone` says, from one shard. Whoever wants to find something there never waits for all of it.
    pub(super) fn remove_where(&self, shard: usize, gone: impl Fn(&Entry) -> bool) -> Vec<RecordId> {
        let mut removed = Vec::new();
        let mut from = Some(0);
        while let Some(buckets) = from {
            let before = removed.len();
            from = self.shards[shard % SHARDS].lock().remove_where(
                buckets,
                BUCKETS_AT_ONCE,
                &gone,
                &mut removed,
            );
            self.records.fetch_sub((removed.len() - before) as u64, Relaxed);
        }
        removed
    }

    /// A copy of one shard's entries.
    pub(super) fn entries(&self, shard: usize) -> Vec<Entry> {
        self.shards[shard % SHARDS].lock().entries()
    }

    /// All that is on the disk is in it.
    pub(super) fn loaded(&self) {
        self.loading.store(false, Relaxed);
    }

    pub(super) fn is_loading(&self) -> bool {
        self.loading.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::disk::entry::Packed;

    fn entry(name: u64, tag: u64, unit: u32) -> Entry {
        Entry {
            name: Name([name, name << 32]),
            tag,
            id: RecordId { segment: 1, unit },
            packed: Packed::new(1, 2),
            kept_until: 100,
        }
    }

    fn units(found: &[Entry]) -> Vec<u32> {
        let mut units: Vec<_> = found.iter().map(|e| e.id.unit).collect();
        units.sort_unstable();
        units
    }

    #[test]
    fn records_of_a_name_are_told_apart_and_replaced_by_tag() {
        let index = Index::new();
        let name = entry(1, 0, 0).name;
        assert!(index.insert(entry(1, 1, 1)).is_empty());
        assert!(index.insert(entry(1, 2, 2)).is_empty());
        assert_eq!(index.insert(entry(1, 1, 3)), [RecordId { segment: 1, unit: 1 }]);
        assert_eq!(units(&index.find(name, 0)), [2, 3]);
        assert!(index.find(name, 100).is_empty(), "expired");
        assert!(!index.change(name, 1, RecordId { segment: 1, unit: 1 }, |_| ()), "replaced");
        assert_eq!(index.remove(name, Some(2)).len(), 1);
        assert_eq!(units(&index.find(name, 0)), [3]);
        assert_eq!(index.records(), 1);
    }

    #[test]
    fn what_is_barred_is_not_put_in() {
        let index = Index::new();
        index.insert(entry(1, 8, 1));
        assert_eq!(index.remove_and_bar(entry(1, 0, 0).name, None).len(), 1);
        assert!(index.remove_and_bar(entry(2, 0, 0).name, Some(5)).is_empty());
        assert!(index.remove_and_bar(entry(2, 0, 0).name, Some(5)).is_empty());
        assert_eq!(index.load(entry(1, 9, 1)).0, Loaded::Barred);
        assert_eq!(index.load(entry(2, 5, 2)).0, Loaded::Barred);
        assert_eq!(index.insert(entry(2, 5, 2)), [entry(2, 5, 2).id]);
        assert_eq!(index.load(entry(2, 6, 3)).0, Loaded::Added);
        assert_eq!(index.load(entry(2, 6, 4)).0, Loaded::Beside(entry(2, 6, 3)));
        index.lift(entry(1, 0, 0).name, None);
        assert_eq!(index.load(entry(1, 9, 1)).0, Loaded::Added);
        index.lift(entry(2, 0, 0).name, Some(5));
        assert_eq!(index.load(entry(2, 5, 2)).0, Loaded::Barred, "barred twice");
        index.lift(entry(2, 0, 0).name, Some(5));
        assert_eq!(index.load(entry(2, 5, 2)).0, Loaded::Added);
    }

    #[test]
    fn many_come_and_go_and_memory_stays_small() {
        let index = Index::new();
        for round in 0..3 {
            for n in 0..100_000u64 {
                index.insert(entry(n.wrapping_mul(0x9e37_79b9_7f4a_7c15), 0, n as u32));
            }
            assert_eq!(index.records(), 100_000);
            assert!(index.memory_bytes() < 100_000 * 80, "{} in round {round}", index.memory_bytes());
            let removed: usize = (0..SHARDS).map(|shard| index.remove_where(shard, |_| true).len()).sum();
            assert_eq!(removed, 100_000);
        }
    }

    #[test]
    fn variants_of_a_name_are_bounded() {
        let index = Index::new();
        let gone: Vec<_> = (0..100).flat_map(|tag| index.insert(entry(1, tag, tag as u32))).collect();
        let found = index.find(entry(1, 0, 0).name, 0);
        assert_eq!(found.len() + gone.len(), 100);
        assert_eq!(found.len(), shard::TAGS_MAX);
        assert!(found.iter().any(|e| e.tag == 99), "the newest stays");
        assert_eq!(index.records(), shard::TAGS_MAX as u64);
    }
}
