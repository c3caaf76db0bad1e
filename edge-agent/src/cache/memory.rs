//! The memory tier: finished objects, weighted by the bytes they cost, the least useful evicted first.

use std::{
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    thread,
};

use parking_lot::Mutex;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter, sync};

use super::{
    Limits,
    expiry::ExpiryIndex,
    object::Object,
    variants::{self, Variants},
};
use crate::{clock::Timestamp, metrics::SharedMetrics};

type Inner = sync::Cache<Arc<[u8]>, Variants, ByBytes, foldhash::fast::RandomState, CountEvictions>;

/// Objects of the largest size that a shard must have room for: each shard decides on its own what leaves, and with little room it
/// decides badly (docs/decisions/0011).
const OBJECTS_PER_SHARD_MIN: u64 = 64;
/// Bytes that the variants of one key may hold together, in objects of the largest size: less than a shard has room for.
const VARIANTS_OBJECTS_MAX: u64 = 2;
/// Locks for changing what a key has.
const WRITER_LOCKS: usize = 64;
/// Shards for each core at most. Reading takes a shared lock for a moment; more shards than this do not make it faster.
const SHARDS_PER_CORE: u64 = 4;
/// What an average object is taken to weigh, for the number of keys to remember after eviction.
const TYPICAL_OBJECT_BYTES: u64 = 16 << 10;
/// Share of the room for what was asked for again, and keys to remember for each object that there is room for: chosen by replay
/// (docs/decisions/0011).
const HOT_SHARE: f64 = 0.96;
const GHOST_SHARE: f64 = 0.75;

/// The memory tier. Reading takes a shared lock on one of many shards.
#[derive(Debug)]
pub struct MemoryCache {
    objects: Inner,
    expiry: ExpiryIndex,
    /// How many more responses there are than keys: those beyond the first of their key, less the blocks.
    beyond_keys: Arc<AtomicI64>,
    /// Bytes of large bodies that are stored.
    large: Arc<AtomicU64>,
    /// Taken to change what a key has, so that two who do it at once do not undo each other. Never taken to read.
    writers: Box<[Mutex<()>]>,
    hasher: foldhash::fast::RandomState,
    variants_bytes_max: u64,
    metrics: Arc<SharedMetrics>,
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<Arc<[u8]>, Variants> for ByBytes {
    fn weight(&self, key: &Arc<[u8]>, variants: &Variants) -> u64 {
        variants.as_slice().iter().map(|object| object.weight(key)).sum()
    }
}

/// Sees all that leaves, however it does.
#[derive(Debug, Clone)]
struct CountEvictions {
    metrics: Arc<SharedMetrics>,
    /// Bytes of large bodies that are stored.
    large: Arc<AtomicU64>,
}

fn large_bytes(variants: &Variants) -> u64 {
    variants.as_slice().iter().map(|object| object.large_bytes()).sum()
}

/// What is written, and what had to make room for it.
#[derive(Debug, Default)]
struct Writing {
    /// What was under this key is replaced, not evicted.
    key: Option<Arc<[u8]>>,
    evicted: Vec<Evicted>,
}

/// What had to make room.
#[derive(Debug)]
pub(super) struct Evicted {
    pub(super) key: Arc<[u8]>,
    pub(super) variants: Variants,
    /// It had been asked for again since it was stored.
    pub(super) was_used: bool,
}

impl CountEvictions {
    fn evicted(&self, writing: &mut Writing, key: Arc<[u8]>, variants: Variants, was_used: bool) {
        self.large.fetch_sub(large_bytes(&variants), Ordering::Relaxed);
        if writing.key.as_ref() != Some(&key) {
            self.metrics.evictions.fetch_add(variants.responses(), Ordering::Relaxed);
            writing.evicted.push(Evicted { key, variants, was_used });
        }
    }
}

impl Lifecycle<Arc<[u8]>, Variants> for CountEvictions {
    type RequestState = Writing;

    fn on_evict_cold(&self, writing: &mut Writing, key: Arc<[u8]>, variants: Variants) {
        self.evicted(writing, key, variants, false);
    }

    fn on_evict_hot(&self, writing: &mut Writing, key: Arc<[u8]>, variants: Variants) {
        self.evicted(writing, key, variants, true);
    }
}

/// What writing to memory changed.
#[derive(Debug, Default)]
#[must_use = "the disk has to follow"]
pub(super) struct Change {
    /// What is there now and was not.
    pub(super) come: Option<Arc<Object>>,
    /// What was under the key and is no longer.
    pub(super) gone: Vec<Arc<Object>>,
    /// What had to make room.
    pub(super) evicted: Vec<Evicted>,
}

impl MemoryCache {
    pub(crate) fn new(limits: Limits, metrics: Arc<SharedMetrics>) -> Self {
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let shards = (limits.memory_bytes / (OBJECTS_PER_SHARD_MIN * limits.piece_bytes_max()))
            .clamp(1, SHARDS_PER_CORE * cores);
        let items = (limits.memory_bytes / TYPICAL_OBJECT_BYTES).max(16);
        let options = OptionsBuilder::new()
            .weight_capacity(limits.memory_bytes)
            .estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX))
            .hot_allocation(HOT_SHARE)
            .ghost_allocation(GHOST_SHARE)
            // A power of two is what quick_cache rounds up to; rounding down keeps the room promised above.
            .shards(1 << shards.ilog2())
            .build()
            .unwrap_or_else(|_| unreachable!("both required options are set"));
        let large = Arc::new(AtomicU64::new(0));
        let objects = Inner::with_options(
            options,
            ByBytes,
            foldhash::fast::RandomState::default(),
            CountEvictions { metrics: Arc::clone(&metrics), large: Arc::clone(&large) },
        );
        Self {
            objects,
            expiry: ExpiryIndex::default(),
            beyond_keys: Arc::default(),
            large,
            writers: (0..WRITER_LOCKS).map(|_| Mutex::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
            variants_bytes_max: VARIANTS_OBJECTS_MAX * limits.piece_bytes_max(),
            metrics,
        }
    }

    /// What is stored under a key, fresh or not.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Variants> {
        self.objects.get(key)
    }

    /// The same, without counting as a use.
    #[must_use]
    pub fn peek(&self, key: &[u8]) -> Option<Variants> {
        self.objects.peek(key)
    }

    /// Stores an object beside the other variants of its key, in place of those it replaces.
    pub(super) fn insert(&self, key: Arc<[u8]>, object: Arc<Object>, now: Timestamp) -> Change {
        let kept_until = object.head.kept_until();
        let change = self.change(&key, |old| variants::with(old, object, self.variants_bytes_max, now));
        self.expiry.add(key, kept_until);
        change
    }

    /// Stores a block under its own key.
    pub(super) fn insert_block(&self, key: Arc<[u8]>, block: Arc<Object>) -> Change {
        let kept_until = block.head.kept_until();
        let mut writing = Writing { key: Some(Arc::clone(&key)), ..Writing::default() };
        let stored = Variants::block(block, &self.beyond_keys);
        self.put(&key, stored, &mut writing);
        self.expiry.add(key, kept_until);
        Change { evicted: writing.evicted, ..Change::default() }
    }

    /// Drops a block, if it is there.
    pub(super) fn remove_block(&self, key: &[u8]) {
        self.take_away(key);
    }

    /// Puts `new` where `old` is, or nothing. Does nothing if `old` has gone already.
    pub(super) fn replace(&self, key: &Arc<[u8]>, old: &Arc<Object>, new: Option<Arc<Object>>) -> Change {
        let due = |object: &Arc<Object>| object.head.kept_until().unix_seconds();
        let new_due = new.as_ref().filter(|new| due(new) != due(old)).map(|new| new.head.kept_until());
        let mut was_there = false;
        let change = self.change(key, |list| {
            let mut changed: Vec<_> =
                list.iter().filter(|object| !Arc::ptr_eq(object, old)).cloned().collect();
            was_there = changed.len() < list.len();
            if was_there {
                changed.extend(new);
                // Stable, and nearly always in order already.
                changed.sort_by_key(|object| std::cmp::Reverse(object.head.date()));
            }
            changed
        });
        if let Some(at) = new_due.filter(|_| was_there) {
            self.expiry.add(Arc::clone(key), at);
        }
        change
    }

    /// Drops the objects that are no longer worth keeping, and tells which. Nothing goes to any origin because of it. Returns how many
    /// there were.
    pub(super) fn sweep(&self, now: Timestamp, mut gone: impl FnMut(&[u8], &Object)) -> usize {
        let mut dropped = 0;
        for key in self.expiry.take_due(now) {
            // Meanwhile another object may have taken the key.
            // The disk looks after its own.
            let change = self.change(&key, |list| {
                let kept: Vec<_> =
                    list.iter().filter(|object| object.head.kept_until() > now).cloned().collect();
                dropped += list.len() - kept.len();
                kept
            });
            change.gone.iter().for_each(|object| gone(&key, object));
        }
        self.metrics.expirations.fetch_add(dropped as u64, Ordering::Relaxed);
        let is_kept_until = |object: &Arc<Object>, second| object.head.kept_until().unix_seconds() == second;
        self.expiry.clean(self.objects.len(), |key, second| {
            let variants = self.objects.peek(key);
            variants.is_some_and(|v| v.as_slice().iter().any(|object| is_kept_until(object, second)))
        });
        dropped
    }

    /// Changes what a key has, one at a time.
    fn change(&self, key: &Arc<[u8]>, change: impl FnOnce(&[Arc<Object>]) -> Vec<Arc<Object>>) -> Change {
        let lock = usize::try_from(self.hasher.hash_one(key) % WRITER_LOCKS as u64).unwrap_or(0);
        let _writing = self.writers[lock].lock();
        let old = self.objects.peek(&**key);
        let old = old.as_ref().map_or(&[][..], Variants::as_slice);
        let new = change(old);
        if new.len() == old.len() && new.iter().zip(old).all(|(new, old)| Arc::ptr_eq(new, old)) {
            return Change::default();
        }
        let is_in = |list: &[Arc<Object>], object: &Arc<Object>| list.iter().any(|o| Arc::ptr_eq(o, object));
        let come = new.iter().find(|object| !is_in(old, object)).cloned();
        let gone = old.iter().filter(|object| !is_in(&new, object)).cloned().collect();
        let mut writing = Writing { key: Some(Arc::clone(key)), ..Writing::default() };
        match Variants::new(new, &self.beyond_keys) {
            Some(variants) => {
                self.put(key, variants, &mut writing);
            }
            None => self.take_away(key),
        }
        Change { come, gone, evicted: writing.evicted }
    }

    fn put(&self, key: &Arc<[u8]>, variants: Variants, writing: &mut Writing) {
        // What comes back soon after its eviction is put in before room is made, and may itself be chosen to make it. The second time it
        // is new, and room is made first.
        for _ in 0..2 {
            // Before it can leave again.
            self.large.fetch_add(large_bytes(&variants), Ordering::Relaxed);
            self.objects.insert_with_lifecycle(Arc::clone(key), variants.clone(), writing);
            if self.objects.peek(&**key).is_some() {
                break;
            }
        }
    }

    fn take_away(&self, key: &[u8]) {
        if let Some((_, variants)) = self.objects.remove(key) {
            self.large.fetch_sub(large_bytes(&variants), Ordering::Relaxed);
        }
    }

    /// Bytes of large bodies that are stored.
    pub(super) fn large_bytes(&self) -> u64 {
        self.large.load(Ordering::Relaxed)
    }

    /// The keys of all that is stored. Takes a shared lock for each.
    pub(super) fn keys(&self) -> impl Iterator<Item = Arc<[u8]>> {
        self.objects.iter().map(|(key, _)| key)
    }

    /// How many objects there are, those kept in blocks included.
    #[must_use]
    pub fn objects(&self) -> u64 {
        let keys = i64::try_from(self.objects.len()).unwrap_or(i64::MAX);
        u64::try_from(keys + self.beyond_keys.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// What they cost together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.objects.weight()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::cache::object::Head;

    fn cache(memory_bytes: u64, object_bytes_max: u64) -> MemoryCache {
        MemoryCache::new(
            Limits { memory_bytes, object_bytes_max, background_fill_percent: 50 },
            Arc::default(),
        )
    }

    fn object(bytes: usize, fresh_until: Timestamp) -> Arc<Object> {
        let head = Head::sample(Timestamp::default(), fresh_until.since(Timestamp::default()));
        Arc::new(Object::new(head, &[Bytes::from(vec![0; bytes])], bytes as u64))
    }

    #[test]
    fn expired_objects_are_dropped_by_the_sweep() {
        let cache = cache(1 << 20, 1 << 16);
        let at = Timestamp::from_unix_seconds;
        let _ = cache.insert(Arc::from(&b"a"[..]), object(10, at(10)), Timestamp::default());
        let _ = cache.insert(Arc::from(&b"b"[..]), object(10, at(20)), Timestamp::default());
        assert_eq!(cache.sweep(at(9), |_, _| {}), 0);
        assert_eq!(cache.sweep(at(15), |_, _| {}), 1);
        assert!(cache.get(b"a").is_none());
        assert!(cache.get(b"b").is_some());
        assert_eq!(cache.objects(), 1);
    }

    #[test]
    fn a_newer_object_survives_the_expiry_of_the_older() {
        let cache = cache(1 << 20, 1 << 16);
        let at = Timestamp::from_unix_seconds;
        let _ = cache.insert(Arc::from(&b"a"[..]), object(10, at(10)), Timestamp::default());
        let _ = cache.insert(Arc::from(&b"a"[..]), object(10, at(100)), Timestamp::default());
        assert_eq!(cache.sweep(at(50), |_, _| {}), 0);
        assert!(cache.get(b"a").is_some());
    }

    #[test]
    fn the_capacity_holds() {
        let cache = cache(1 << 20, 1 << 16);
        for i in 0..1000u32 {
            let _ = cache.insert(
                Arc::from(&i.to_le_bytes()[..]),
                object(10_000, Timestamp::NEVER),
                Timestamp::default(),
            );
            assert!(cache.bytes() <= 1 << 20);
        }
        assert!(cache.objects() > 50, "{}", cache.objects());
        assert!(cache.metrics.evictions.load(Ordering::Relaxed) > 800);
    }

    #[test]
    fn what_was_used_says_so_when_it_is_evicted() {
        let evicted = |uses: bool| {
            let cache = cache(1 << 20, 1 << 16);
            let mut evicted = Vec::new();
            for i in 0..1000u32 {
                let key: Arc<[u8]> = Arc::from(&i.to_le_bytes()[..]);
                let object = object(10_000, Timestamp::NEVER);
                evicted.extend(cache.insert(Arc::clone(&key), object, Timestamp::default()).evicted);
                (0..3).filter(|_| uses).for_each(|_| drop(cache.get(&key)));
            }
            evicted
        };
        assert!(evicted(true).iter().any(|evicted| evicted.was_used));
        assert!(evicted(false).iter().all(|evicted| !evicted.was_used));
    }

    #[test]
    fn what_comes_back_after_its_eviction_stays_though_all_others_are_in_use() {
        let cache = cache(1 << 20, 1 << 16);
        let key = |i: u32| Arc::from(&i.to_le_bytes()[..]);
        for i in (0..40u32).cycle().take(400) {
            if cache.get(&i.to_le_bytes()).is_none() {
                let _ = cache.insert(key(i), object(50_000, Timestamp::NEVER), Timestamp::default());
            }
            assert!(cache.get(&i.to_le_bytes()).is_some(), "{i}");
        }
    }

    #[test]
    fn the_largest_object_allowed_is_admitted() {
        let cache = cache(1 << 20, 1 << 18);
        let _ = cache.insert(Arc::from(&b"a"[..]), object(1 << 18, Timestamp::NEVER), Timestamp::default());
        assert!(cache.get(b"a").is_some());
    }
}
