//! Expiry: which objects have had their time, found without looking at all the others.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use crate::clock::Timestamp;

/// Entries beyond twice the live objects by which the index may grow before it is cleaned.
const SLACK: usize = 4096;

/// Keys by the second they expire in. Objects that leave the cache early leave their entry behind; cleaning drops those once
/// they outnumber the living.
#[derive(Debug, Default)]
pub(crate) struct ExpiryIndex {
    seconds: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    by_second: BTreeMap<u64, Vec<Arc<[u8]>>>,
    entries: usize,
}

impl ExpiryIndex {
    pub(crate) fn add(&self, key: Arc<[u8]>, at: Timestamp) {
        let mut buckets = self.seconds.lock();
        buckets.by_second.entry(at.unix_seconds()).or_default().push(key);
        buckets.entries += 1;
    }

    /// Takes out the keys whose second is over.
    pub(crate) fn take_due(&self, now: Timestamp) -> Vec<Arc<[u8]>> {
        let mut buckets = self.seconds.lock();
        let later = buckets.by_second.split_off(&now.unix_seconds());
        let due: Vec<_> = std::mem::replace(&mut buckets.by_second, later).into_values().flatten().collect();
        buckets.entries -= due.len();
        due
    }

    /// Drops entries for which `alive` says no, if there are many more entries than `objects`.
    pub(crate) fn clean(&self, objects: usize, alive: impl Fn(&[u8], u64) -> bool) {
        if self.seconds.lock().entries <= 2 * objects + SLACK {
            return;
        }
        // The list is checked without the lock: fills go on meanwhile and add to the new one.
        let old = std::mem::take(&mut *self.seconds.lock());
        let mut kept = old.by_second;
        kept.retain(|second, keys| {
            keys.sort_unstable();
            keys.dedup();
            keys.retain(|key| alive(key, *second));
            !keys.is_empty()
        });
        let mut buckets = self.seconds.lock();
        for (second, keys) in kept {
            buckets.entries += keys.len();
            buckets.by_second.entry(second).or_default().extend(keys);
        }
    }

    #[cfg(test)]
    fn entries(&self) -> usize {
        self.seconds.lock().entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_out_when_their_second_is_over() {
        let index = ExpiryIndex::default();
        let at = Timestamp::from_unix_seconds;
        index.add(Arc::from(&b"a"[..]), at(10));
        index.add(Arc::from(&b"b"[..]), at(20));
        index.add(Arc::from(&b"c"[..]), at(10));
        assert!(index.take_due(at(10)).is_empty());
        assert_eq!(index.take_due(at(11)), [Arc::from(&b"a"[..]), Arc::from(&b"c"[..])]);
        assert_eq!(index.take_due(at(30)).len(), 1);
        assert_eq!(index.entries(), 0);
    }

    #[test]
    fn entries_of_departed_objects_are_cleaned_away() {
        let index = ExpiryIndex::default();
        for i in 0..10_000u32 {
            index.add(Arc::from(&i.to_le_bytes()[..]), Timestamp::from_unix_seconds(u64::from(i % 7)));
        }
        index.clean(5000, |_, _| false);
        assert_eq!(index.entries(), 10_000, "not yet worth it");
        index.clean(10, |key, _| key[0] == 1);
        assert_eq!(index.entries(), 10_000 / 256 + 1);
    }
}
