//! One shard of the index: a hash table of chains through slots that are never moved.

use std::collections::HashMap;

use super::super::entry::{Entry, Name, Packed, RecordId};

/// Records that one name may have; the one that has been there longest leaves for another.
pub(super) const TAGS_MAX: usize = 32;
/// Slots are taken from the allocator so many at a time: growing moves nothing, and little is taken in advance.
const CHUNK_SLOTS: usize = 256;
/// The end of a chain.
const NONE: u32 = u32::MAX;

/// Entries whose names have this shard's bits.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// First slot of each chain; a power of two of them, and never fewer than there are entries.
    heads: Vec<u32>,
    chunks: Vec<Box<Chunk>>,
    /// First of the slots that were in use and are not.
    free: Option<u32>,
    /// Slots that have been in use.
    used: usize,
    len: usize,
    /// What may not be put in, and how often that was said; any tag, if none is given.
    barred: HashMap<(Name, Option<u64>), u32>,
}

/// Slots. The links are apart from the entries because together they would be padded.
#[derive(Debug)]
struct Chunk {
    entries: [Entry; CHUNK_SLOTS],
    next: [u32; CHUNK_SLOTS],
}

const EMPTY: Entry = Entry {
    name: Name([0, 0]),
    tag: 0,
    id: RecordId { segment: 0, unit: 0 },
    packed: Packed::EMPTY,
    kept_until: 0,
};

impl Shard {
    pub(super) fn memory_bytes(&self) -> usize {
        self.heads.capacity() * size_of::<u32>()
            + self.chunks.len() * size_of::<Chunk>()
            + self.chunks.capacity() * size_of::<Box<Chunk>>()
            + size_of::<Self>()
    }

    fn entry(&self, at: u32) -> &Entry {
        &self.chunks[at as usize / CHUNK_SLOTS].entries[at as usize % CHUNK_SLOTS]
    }

    fn entry_mut(&mut self, at: u32) -> &mut Entry {
        &mut self.chunks[at as usize / CHUNK_SLOTS].entries[at as usize % CHUNK_SLOTS]
    }

    fn next(&self, at: u32) -> u32 {
        self.chunks[at as usize / CHUNK_SLOTS].next[at as usize % CHUNK_SLOTS]
    }

    fn link(&mut self, at: u32, next: u32) {
        self.chunks[at as usize / CHUNK_SLOTS].next[at as usize % CHUNK_SLOTS] = next;
    }

    fn bucket(&self, name: Name) -> usize {
        name.0[0] as usize & (self.heads.len() - 1)
    }

    /// The slots of a bucket, from the newest.
    fn chain(&self, name: Name) -> impl Iterator<Item = u32> {
        let first = if self.heads.is_empty() { NONE } else { self.heads[self.bucket(name)] };
        let some = |at: u32| (at != NONE).then_some(at);
        std::iter::successors(some(first), move |&at| some(self.next(at)))
    }

    pub(super) fn each(&self, name: Name, mut seen: impl FnMut(&Entry)) {
        self.chain(name).map(|at| self.entry(at)).filter(|entry| entry.name == name).for_each(&mut seen);
    }

    pub(super) fn get(&self, name: Name, tag: u64) -> Option<&Entry> {
        let is_it = |entry: &&Entry| entry.name == name && entry.tag == tag;
        self.chain(name).map(|at| self.entry(at)).find(is_it)
    }

    pub(super) fn get_mut(&mut self, name: Name, tag: u64) -> Option<&mut Entry> {
        let at = self.chain(name).find(|&at| {
            let entry = self.entry(at);
            entry.name == name && entry.tag == tag
        })?;
        Some(self.entry_mut(at))
    }

    /// Adds an entry whose name and tag are not there. Returns the one that had to leave.
    pub(super) fn add(&mut self, entry: Entry) -> Option<RecordId> {
        let same = self.chain(entry.name).filter(|&at| self.entry(at).name == entry.name);
        let (count, oldest) = same.fold((0, NONE), |(count, _), at| (count + 1, at));
        let mut gone = Vec::new();
        if count >= TAGS_MAX {
            let oldest = self.entry(oldest).id;
            self.remove(|other| other.id == oldest, entry.name, &mut gone);
        }
        if self.len >= self.heads.len() {
            self.grow();
        }
        let at = self.take_slot();
        let bucket = self.bucket(entry.name);
        let next = std::mem::replace(&mut self.heads[bucket], at);
        *self.entry_mut(at) = entry;
        self.link(at, next);
        self.len += 1;
        gone.pop()
    }

    fn take_slot(&mut self) -> u32 {
        if let Some(at) = self.free {
            let next = self.next(at);
            self.free = (next != NONE).then_some(next);
            return at;
        }
        if self.used == self.chunks.len() * CHUNK_SLOTS {
            self.chunks.push(Box::new(Chunk { entries: [EMPTY; CHUNK_SLOTS], next: [NONE; CHUNK_SLOTS] }));
        }
        self.used += 1;
        // Four billion entries of one shard do not fit into any memory.
        (self.used - 1) as u32
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.heads);
        self.heads = vec![NONE; (old.len() * 2).max(16)];
        for first in old {
            // Turned round twice, so that chains stay ordered from the newest.
            let mut chain = Vec::new();
            let mut at = first;
            while at != NONE {
                chain.push(at);
                at = self.next(at);
            }
            for at in chain.into_iter().rev() {
                let bucket = self.bucket(self.entry(at).name);
                let next = std::mem::replace(&mut self.heads[bucket], at);
                self.link(at, next);
            }
        }
    }

    /// Removes from the chain of `name` what `gone` says.
    pub(super) fn remove(&mut self, gone: impl Fn(&Entry) -> bool, name: Name, removed: &mut Vec<RecordId>) {
        if !self.heads.is_empty() {
            self.remove_from(self.bucket(name), gone, removed);
        }
    }

    /// Removes what `gone` says from so many buckets, and returns the next one, if there is any. A table that grows meanwhile
    /// moves nothing to a bucket before that one which was not there already.
    pub(super) fn remove_where(
        &mut self,
        from: usize,
        buckets: usize,
        gone: impl Fn(&Entry) -> bool,
        removed: &mut Vec<RecordId>,
    ) -> Option<usize> {
        let end = (from + buckets).min(self.heads.len());
        (from..end).for_each(|bucket| self.remove_from(bucket, &gone, removed));
        (end < self.heads.len()).then_some(end)
    }

    fn remove_from(&mut self, bucket: usize, gone: impl Fn(&Entry) -> bool, removed: &mut Vec<RecordId>) {
        let mut before = NONE;
        let mut at = self.heads[bucket];
        while at != NONE {
            let (entry, next) = (*self.entry(at), self.next(at));
            if gone(&entry) {
                if before == NONE {
                    self.heads[bucket] = next;
                } else {
                    self.link(before, next);
                }
                let free = self.free.replace(at).unwrap_or(NONE);
                self.link(at, free);
                self.len -= 1;
                removed.push(entry.id);
            } else {
                before = at;
            }
            at = next;
        }
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut all = Vec::with_capacity(self.len);
        for &first in &self.heads {
            let mut at = first;
            while at != NONE {
                all.push(*self.entry(at));
                at = self.next(at);
            }
        }
        all
    }

    pub(super) fn bar(&mut self, name: Name, tag: Option<u64>) {
        *self.barred.entry((name, tag)).or_default() += 1;
    }

    pub(super) fn lift(&mut self, name: Name, tag: Option<u64>) {
        let Some(times) = self.barred.get_mut(&(name, tag)) else {
            return;
        };
        *times -= 1;
        if *times == 0 {
            self.barred.remove(&(name, tag));
        }
    }

    pub(super) fn is_barred(&self, name: Name, tag: u64) -> bool {
        // Nearly always empty.
        !self.barred.is_empty()
            && (self.barred.contains_key(&(name, None)) || self.barred.contains_key(&(name, Some(tag))))
    }
}
