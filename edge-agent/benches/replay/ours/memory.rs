//! The memory tier itself, as a fill and a hit drive it.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use headland_edge_agent::{
    cache::{Cache, object::Object},
    clock::Timestamp,
    measuring,
};
use http::{HeaderMap, HeaderValue};

use crate::replay::{policy::Policy, trace::Trace};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);
/// Between two sweeps, as the agent has them every second.
const SWEEP_REQUESTS: u64 = 50_000;

/// Keys and objects as they would be stored. Objects of about the same size are one object under several keys: what
/// the tier decides by is what they weigh, and so a replay takes far less memory than what it stands for.
#[derive(Debug)]
pub(crate) struct Stored {
    keys: Vec<Arc<[u8]>>,
    objects: Vec<Arc<Object>>,
    /// What each weighs, by the tier's own account.
    pub(crate) weights: Vec<u64>,
}

impl Stored {
    pub(crate) fn of(trace: &Trace) -> Self {
        let (policy, mut by_class) = (measuring::policy(), HashMap::new());
        let object = |bytes: u64| {
            let body = Bytes::from(vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)]);
            measuring::object(&policy, &headers(bytes), &body, NOW)
        };
        let keys: Vec<_> = (0..trace.sizes.len()).map(|n| measuring::key(&policy, &path(n))).collect();
        let objects: Vec<Arc<Object>> = trace
            .sizes
            .iter()
            .map(|bytes| Arc::clone(by_class.entry(class(*bytes)).or_insert_with_key(|bytes| object(*bytes))))
            .collect();
        let weights = keys.iter().zip(&objects).map(|(key, object)| object.weight(key)).collect();
        Self { keys, objects, weights }
    }

    /// A tier of this size for these objects.
    pub(crate) fn tier(&self, memory_bytes: u64) -> Memory<'_> {
        let largest = self.objects.iter().map(|object| object.body_bytes()).max().unwrap_or(0);
        let cache = measuring::cache(memory_bytes, largest.clamp(1, memory_bytes));
        Memory { stored: self, cache, requests: 0 }
    }
}

/// Sizes up to the next of sixteen between a power of two and the next.
fn class(bytes: u64) -> u64 {
    let step = 1 << bytes.max(1).ilog2().saturating_sub(4);
    bytes.next_multiple_of(step)
}

fn path(n: usize) -> String {
    format!("/assets/images/{n:08}.html")
}

/// What an ordinary origin sends.
fn headers(bytes: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("server", "nginx/1.26.2"),
        ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("content-type", "text/html; charset=utf-8"),
        ("last-modified", "Mon, 01 Dec 2025 10:20:30 GMT"),
        ("etag", "\"5e1c-6123456789abc-0\""),
        ("cache-control", "public, max-age=86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("content-length", bytes.into());
    headers
}

#[derive(Debug)]
pub(crate) struct Memory<'s> {
    stored: &'s Stored,
    cache: Cache,
    requests: u64,
}

impl Policy for Memory<'_> {
    fn request(&mut self, object: u32, _: u64) -> bool {
        let at = object as usize;
        self.requests += 1;
        if self.requests.is_multiple_of(SWEEP_REQUESTS) {
            self.cache.sweep(NOW);
        }
        if self.cache.memory.get(&self.stored.keys[at]).is_some() {
            return true;
        }
        self.cache.insert(Arc::clone(&self.stored.keys[at]), Arc::clone(&self.stored.objects[at]), NOW);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_by_a_sixteenth_at_most() {
        for bytes in [0, 1, 15, 16, 17, 1000, 1024, 1025, 4095, 1 << 20, (1 << 20) + 1] {
            assert!(class(bytes) >= bytes && class(bytes) <= bytes + bytes / 16, "{bytes}: {}", class(bytes));
        }
        assert_eq!((class(1025), class(1088), class(1089)), (1088, 1088, 1152));
    }

    #[test]
    fn the_tier_is_the_shipped_one_with_its_own_weights() {
        let trace = Trace { sizes: vec![1000, 100_000], requests: vec![0, 1], ..Trace::default() };
        let stored = Stored::of(&trace);
        assert!(stored.weights[0] > 1000 + 300, "head, key and places are counted: {:?}", stored.weights);
        let mut tier = stored.tier(1 << 20);
        let told: Vec<bool> = [0, 0, 1, 1, 0].into_iter().map(|object| tier.request(object, 0)).collect();
        assert_eq!(told, [false, true, false, true, true]);
        assert_eq!(tier.cache.memory.bytes(), stored.weights.iter().sum::<u64>());
        let mut tier = stored.tier(stored.weights[1]);
        tier.request(1, 0);
        tier.request(0, 0);
        assert!(tier.cache.memory.bytes() <= stored.weights[1], "there is no room for both");
    }
}
