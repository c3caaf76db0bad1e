//! Keys whose last response could not be stored: their requests do not wait for one another.
//!
//! Without this, every request for a personal page would first wait to see whether somebody else's turns out shareable.

use std::{hash::BuildHasher, time::Duration};

use quick_cache::sync::Cache;

use crate::clock::Timestamp;

/// How many keys are remembered; the least used are forgotten first.
const KEYS_MAX: usize = 65_536;
/// For how long.
const REMEMBERED_FOR: Duration = Duration::from_secs(120);

/// A bounded memory of such keys. It holds hashes: a collision costs one missed chance to share, never a wrong answer.
#[derive(Debug)]
pub struct Uncacheable {
    until: Cache<u64, Timestamp>,
    hasher: foldhash::quality::RandomState,
}

impl Default for Uncacheable {
    fn default() -> Self {
        Self { until: Cache::new(KEYS_MAX), hasher: foldhash::quality::RandomState::default() }
    }
}

impl Uncacheable {
    /// The response to this key could not be stored.
    pub fn remember(&self, key: &[u8], now: Timestamp) {
        self.until.insert(self.hasher.hash_one(key), now.after(REMEMBERED_FOR));
    }

    /// The response to this key could be stored after all.
    pub fn forget(&self, key: &[u8]) {
        self.until.remove(&self.hasher.hash_one(key));
    }

    /// Whether requests for this key should not wait for one another.
    #[must_use]
    pub fn contains(&self, key: &[u8], now: Timestamp) -> bool {
        self.until.get(&self.hasher.hash_one(key)).is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_remembered_for_a_while() {
        let uncacheable = Uncacheable::default();
        let now = Timestamp::from_unix_seconds(10);
        assert!(!uncacheable.contains(b"k", now));
        uncacheable.remember(b"k", now);
        assert!(uncacheable.contains(b"k", now));
        assert!(!uncacheable.contains(b"other", now));
        assert!(!uncacheable.contains(b"k", now.after(REMEMBERED_FOR)));
        uncacheable.forget(b"k");
        assert!(!uncacheable.contains(b"k", now));
    }
}
