//! Promotion: which of what is read from disk is worth memory.
//!
//! What is asked for again before as much was read as memory holds would have been there. All else would only drive out what is: it
//! is sent from disk, and the next time too.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes of what is read are counted in units of this.
const UNIT_BYTES: u64 = 4 << 10;
/// Memory for each name remembered. What is read between two uses is seldom smaller on average; of what is, some are forgotten.
const BYTES_PER_NAME: u64 = 8 << 10;
/// Names that are remembered at least, and at most.
const NAMES: (u64, u64) = (1 << 10, 1 << 22);

/// Remembers when names were read last: each in the one place that its hash gives it.
#[derive(Debug)]
pub struct Promotion {
    /// Half of a name's hash, and how much had been read, in units.
    places: Box<[AtomicU64]>,
    /// Bytes read in all.
    read: AtomicU64,
    memory_units: u32,
}

impl Promotion {
    /// For a memory of so many bytes.
    #[must_use]
    pub fn new(memory_bytes: u64) -> Self {
        let names = (memory_bytes / BYTES_PER_NAME).clamp(NAMES.0, NAMES.1);
        Self {
            places: (0..names).map(|_| AtomicU64::new(0)).collect(),
            read: AtomicU64::new(0),
            memory_units: u32::try_from(memory_bytes / UNIT_BYTES).unwrap_or(u32::MAX / 2),
        }
    }

    /// Counts that a name with this hash is read, and so many bytes with it. Tells whether it should come to memory.
    #[must_use]
    pub fn is_due(&self, hash: u64, bytes: usize) -> bool {
        let bytes = (bytes as u64).max(UNIT_BYTES);
        // The counter wraps after 16 TiB: once in a while something comes to memory that need not.
        let now = (self.read.fetch_add(bytes, Relaxed) / UNIT_BYTES) as u32;
        let half = hash & (u64::from(u32::MAX) << 32);
        let place = (hash % self.places.len() as u64) as usize;
        let before = self.places[place].swap(half | u64::from(now), Relaxed);
        let is_same = before != 0 && before & (u64::from(u32::MAX) << 32) == half;
        is_same && now.wrapping_sub(before as u32) <= self.memory_units
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn hash(name: u64) -> u64 {
        (name + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn what_comes_again_soon_is_due_and_what_goes_round_is_not() {
        let promotion = Promotion::new(8 << 20);
        assert!(!promotion.is_due(hash(1), MIB));
        assert!(promotion.is_due(hash(1), MIB));
        // Sixteen in turn, where there is memory for eight.
        let due = (0..160).filter(|round| promotion.is_due(hash(100 + round % 16), MIB)).count();
        assert_eq!(due, 0);
        let due = (0..160).filter(|round| promotion.is_due(hash(200 + round % 8), MIB)).count();
        assert_eq!(due, 160 - 8);
    }

    #[test]
    fn small_ones_count_as_a_page_each() {
        let promotion = Promotion::new(1 << 20);
        let due = |names: u64| {
            let in_turn = (0..4 * names).map(|n| hash(names * 1000 + n % names));
            in_turn.filter(|name| promotion.is_due(*name, 10)).count()
        };
        assert!(due(100) > 200);
        assert_eq!(due(1000), 0);
    }
}
