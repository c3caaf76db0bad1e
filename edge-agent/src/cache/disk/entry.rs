//! What the index knows of a record, and its 44 bytes in a segment's footer and in a snapshot.

use super::checksum::{u32_at, u64_at};
use crate::clock::Timestamp;

/// Bytes of an entry on the disk.
pub(super) const ENTRY_BYTES: usize = 44;
/// Records begin at multiples of this.
pub(super) const UNIT_BYTES: u64 = 16;
/// Largest meta of a record.
pub const META_BYTES_MAX: usize = 64 << 10;
/// Largest body of a record.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Uses are counted up to this.
pub const USES_MAX: u8 = 3;

/// The 128-bit hash of a cache key. It must be spread evenly (the store's seed is for that): its bits choose the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub [u64; 2]);

/// Where a record begins: a segment's number and the offset in its file. Never used for another record again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId {
    pub(super) segment: u32,
    /// In units of [`UNIT_BYTES`].
    pub(super) unit: u32,
}

impl RecordId {
    pub(super) const BYTES: usize = 8;

    pub(super) fn at(segment: u32, offset: u64) -> Self {
        // Segments are far smaller than 64 GiB.
        Self { segment, unit: u32::try_from(offset / UNIT_BYTES).unwrap_or(u32::MAX) }
    }

    pub(super) fn offset(self) -> u64 {
        u64::from(self.unit) * UNIT_BYTES
    }

    pub(super) fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.segment.to_le_bytes());
        bytes[4..].copy_from_slice(&self.unit.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Self {
        Self { segment: u32_at(bytes, 0), unit: u32_at(bytes, 4) }
    }
}

/// A record as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) tag: u64,
    pub(super) id: RecordId,
    pub(super) packed: Packed,
    /// Whole seconds since 1970; the largest number is never.
    pub(super) kept_until: u32,
}

/// Lengths and marks in one word: meta in 24 bits, body in 24, uses in 2, verified in 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Packed(u64);

const LENGTH_BITS: u32 = 24;
const LENGTH_MASK: u64 = (1 << LENGTH_BITS) - 1;
const USES_SHIFT: u32 = 2 * LENGTH_BITS;
const VERIFIED: u64 = 1 << (USES_SHIFT + 2);

impl Packed {
    pub(super) const EMPTY: Self = Self(0);

    /// Lengths above their limits do not come here: records are checked when they are written and when they are read.
    pub(super) fn new(meta_bytes: usize, body_bytes: usize) -> Self {
        Self((meta_bytes as u64 & LENGTH_MASK) | (body_bytes as u64 & LENGTH_MASK) << LENGTH_BITS)
    }

    pub(super) fn meta_bytes(self) -> usize {
        (self.0 & LENGTH_MASK) as usize
    }

    pub(super) fn body_bytes(self) -> usize {
        (self.0 >> LENGTH_BITS & LENGTH_MASK) as usize
    }

    pub(super) fn uses(self) -> u8 {
        (self.0 >> USES_SHIFT & 3) as u8
    }

    pub(super) fn with_uses(self, uses: u8) -> Self {
        Self(self.0 & !(3 << USES_SHIFT) | u64::from(uses.min(USES_MAX)) << USES_SHIFT)
    }

    pub(super) fn verified(self) -> bool {
        self.0 & VERIFIED != 0
    }

    pub(super) fn with_verified(self, verified: bool) -> Self {
        if verified { Self(self.0 | VERIFIED) } else { Self(self.0 & !VERIFIED) }
    }
}

/// The last second in which a record may be used; [`Timestamp::NEVER`] and what is too far become the largest number.
pub(super) fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.unix_seconds()).unwrap_or(u32::MAX)
}

impl Entry {
    pub(super) fn kept_until(&self) -> Timestamp {
        if self.kept_until == u32::MAX {
            return Timestamp::NEVER;
        }
        Timestamp::from_unix_seconds(u64::from(self.kept_until))
    }

    pub(super) fn is_expired(&self, now: u32) -> bool {
        self.kept_until <= now && self.kept_until != u32::MAX
    }

    pub(super) fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..8].copy_from_slice(&self.name.0[0].to_le_bytes());
        bytes[8..16].copy_from_slice(&self.name.0[1].to_le_bytes());
        bytes[16..24].copy_from_slice(&self.tag.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.id.encode());
        // What this process has verified, the next has not.
        bytes[32..40].copy_from_slice(&self.packed.with_verified(false).0.to_le_bytes());
        bytes[40..].copy_from_slice(&self.kept_until.to_le_bytes());
        bytes
    }

    /// Nothing if the lengths are beyond their limits.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let packed = Packed(u64_at(bytes, 32)).with_verified(false);
        let entry = Self {
            name: Name([u64_at(bytes, 0), u64_at(bytes, 8)]),
            tag: u64_at(bytes, 16),
            id: RecordId::decode(bytes.get(24..32)?),
            packed,
            kept_until: u32_at(bytes, 40),
        };
        (packed.meta_bytes() <= META_BYTES_MAX && packed.body_bytes() <= BODY_BYTES_MAX).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_is_what_it_was_and_not_verified(
            name in any::<[u64; 2]>(), tag: u64, segment: u32, unit: u32,
            meta in 0..=META_BYTES_MAX, body in 0..=BODY_BYTES_MAX, uses in 0..=USES_MAX, kept_until: u32,
        ) {
            let packed = Packed::new(meta, body).with_uses(uses).with_verified(true);
            prop_assert!(packed.verified());
            prop_assert_eq!((packed.meta_bytes(), packed.body_bytes(), packed.uses()), (meta, body, uses));
            let entry = Entry { name: Name(name), tag, id: RecordId { segment, unit }, packed, kept_until };
            let again = Entry::decode(&entry.encode());
            prop_assert_eq!(again, Some(Entry { packed: packed.with_verified(false), ..entry }));
        }
    }

    #[test]
    fn expiry_is_at_the_second_and_never_is_never() {
        let at = |kept_until| Entry {
            name: Name([0, 0]),
            tag: 0,
            id: RecordId { segment: 0, unit: 0 },
            packed: Packed::default(),
            kept_until,
        };
        assert!(!at(10).is_expired(9));
        assert!(at(10).is_expired(10));
        assert!(!at(seconds(Timestamp::NEVER)).is_expired(u32::MAX));
        assert_eq!(at(seconds(Timestamp::NEVER)).kept_until(), Timestamp::NEVER);
        assert_eq!(at(10).kept_until(), Timestamp::from_unix_seconds(10));
    }
}
