//! The checksum of everything on the disk: CRC-64/NVME over the store's seed and the bytes.

use crc_fast::{CrcAlgorithm, Digest};

/// Random bytes of one store. They go into every checksum, so that what an origin sends can never pass for a record,
/// and what another store wrote is not taken for this one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 16]);

impl Seed {
    /// The checksum of these parts, one after the other.
    pub(super) fn checksum(&self, parts: &[&[u8]]) -> u64 {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        digest.update(&self.0);
        for part in parts {
            digest.update(part);
        }
        digest.finalize()
    }
}

/// Four bytes of a fixed layout; zero where the layout has been misread, which no checksum passes.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// Eight bytes of a fixed layout; zero as above.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_and_every_byte_count_and_the_cuts_do_not() {
        let (one, other) = (Seed([1; 16]), Seed([2; 16]));
        assert_eq!(one.checksum(&[b"ab", b"c"]), one.checksum(&[b"abc"]));
        assert_ne!(one.checksum(&[b"abc"]), other.checksum(&[b"abc"]));
        assert_ne!(one.checksum(&[b"abc"]), one.checksum(&[b"abd"]));
        assert_ne!(one.checksum(&[b"abc"]), one.checksum(&[b"abc\0"]));
    }
}
