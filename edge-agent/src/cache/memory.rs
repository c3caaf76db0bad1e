//! The memory tier: finished objects, weighted by the bytes they cost, the least useful evicted first.

use std::sync::{Arc, atomic::Ordering};

use quick_cache::{Lifecycle, OptionsBuilder, Weighter, sync};

use super::{Limits, expiry::ExpiryIndex, object::Object};
use crate::{clock::Timestamp, metrics::SharedMetrics};

type Inner = sync::Cache<Arc<[u8]>, Arc<Object>, ByBytes, foldhash::fast::RandomState, CountEvictions>;

/// Objects that a shard must have room for, so that one large object does not empty it.
const OBJECTS_PER_SHARD_MIN: u64 = 4;
/// More shards than this do not make a machine of any size faster.
const SHARDS_MAX: u64 = 256;
/// What an average object is taken to weigh, for the size of the first tables.
const TYPICAL_OBJECT_BYTES: u64 = 64 << 10;

/// The memory tier. Reading takes a shared lock on one of many shards.
#[derive(Debug)]
pub struct MemoryCache {
    objects: Inner,
    expiry: ExpiryIndex,
    metrics: Arc<SharedMetrics>,
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<Arc<[u8]>, Arc<Object>> for ByBytes {
    fn weight(&self, key: &Arc<[u8]>, object: &Arc<Object>) -> u64 {
        object.weight(key)
    }
}

#[derive(Debug, Clone)]
struct CountEvictions(Arc<SharedMetrics>);

impl Lifecycle<Arc<[u8]>, Arc<Object>> for CountEvictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Arc<[u8]>, _: Arc<Object>) {
        self.0.evictions.fetch_add(1, Ordering::Relaxed);
    }
}

impl MemoryCache {
    pub(crate) fn new(limits: Limits, metrics: Arc<SharedMetrics>) -> Self {
        let shards = (limits.memory_bytes / (OBJECTS_PER_SHARD_MIN * limits.object_bytes_max.max(1)))
            .clamp(1, SHARDS_MAX);
        let items = (limits.memory_bytes / TYPICAL_OBJECT_BYTES).max(16);
        let options = OptionsBuilder::new()
            .weight_capacity(limits.memory_bytes)
            .estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX))
            // A power of two is what quick_cache rounds up to; rounding down keeps the room promised above.
            .shards(1 << shards.ilog2())
            .build()
            .unwrap_or_else(|_| unreachable!("both required options are set"));
        let objects = Inner::with_options(
            options,
            ByBytes,
            foldhash::fast::RandomState::default(),
            CountEvictions(Arc::clone(&metrics)),
        );
        Self { objects, expiry: ExpiryIndex::default(), metrics }
    }

    /// The object under a key, fresh or not.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Arc<Object>> {
        self.objects.get(key)
    }

    /// Stores an object, in place of any other under the same key.
    pub fn insert(&self, key: Arc<[u8]>, object: Arc<Object>) {
        let fresh_until = object.head.fresh_until;
        self.objects.insert(Arc::clone(&key), object);
        self.expiry.add(key, fresh_until);
    }

    /// Drops the objects whose time is over. Nothing goes to any origin because of it. Returns how many there were.
    pub fn sweep(&self, now: Timestamp) -> usize {
        let mut dropped = 0;
        for key in self.expiry.take_due(now) {
            // Meanwhile a fresh object may have taken the key.
            dropped +=
                usize::from(self.objects.remove_if(&*key, |object| !object.head.is_fresh(now)).is_some());
        }
        self.metrics.expirations.fetch_add(dropped as u64, Ordering::Relaxed);
        self.expiry.clean(self.objects.len(), |key, second| {
            self.objects.peek(key).is_some_and(|object| object.head.fresh_until.unix_seconds() == second)
        });
        dropped
    }

    /// How many objects there are.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.objects.len() as u64
    }

    /// What they cost together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.objects.weight()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::cache::object::{Body, Head};

    fn cache(memory_bytes: u64, object_bytes_max: u64) -> MemoryCache {
        MemoryCache::new(Limits { memory_bytes, object_bytes_max }, Arc::default())
    }

    fn object(bytes: usize, fresh_until: Timestamp) -> Arc<Object> {
        Arc::new(Object {
            head: Head {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                content_length: Some(bytes as u64),
                received: Timestamp::default(),
                initial_age: Duration::ZERO,
                fresh_until,
                vary: None,
            },
            body: Body::from_chunks(&[Bytes::from(vec![0; bytes])], bytes as u64),
        })
    }

    #[test]
    fn expired_objects_are_dropped_by_the_sweep() {
        let cache = cache(1 << 20, 1 << 16);
        let at = Timestamp::from_unix_seconds;
        cache.insert(Arc::from(&b"a"[..]), object(10, at(10)));
        cache.insert(Arc::from(&b"b"[..]), object(10, at(20)));
        assert_eq!(cache.sweep(at(9)), 0);
        assert_eq!(cache.sweep(at(15)), 1);
        assert!(cache.get(b"a").is_none());
        assert!(cache.get(b"b").is_some());
        assert_eq!(cache.objects(), 1);
    }

    #[test]
    fn a_newer_object_survives_the_expiry_of_the_older() {
        let cache = cache(1 << 20, 1 << 16);
        let at = Timestamp::from_unix_seconds;
        cache.insert(Arc::from(&b"a"[..]), object(10, at(10)));
        cache.insert(Arc::from(&b"a"[..]), object(10, at(100)));
        assert_eq!(cache.sweep(at(50)), 0);
        assert!(cache.get(b"a").is_some());
    }

    #[test]
    fn the_capacity_holds() {
        let cache = cache(1 << 20, 1 << 16);
        for i in 0..1000u32 {
            cache.insert(Arc::from(&i.to_le_bytes()[..]), object(10_000, Timestamp::NEVER));
            assert!(cache.bytes() <= 1 << 20);
        }
        assert!(cache.objects() > 50, "{}", cache.objects());
        assert!(cache.metrics.evictions.load(Ordering::Relaxed) > 800);
    }

    #[test]
    fn the_largest_object_allowed_is_admitted() {
        let cache = cache(1 << 20, 1 << 18);
        cache.insert(Arc::from(&b"a"[..]), object(1 << 18, Timestamp::NEVER));
        assert!(cache.get(b"a").is_some());
    }
}
