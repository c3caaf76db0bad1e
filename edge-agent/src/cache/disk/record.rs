//! A record's bytes: a header of fixed layout with two checksums, then meta, then body.
//!
//! ```text
//! 0 magic 4 | 4 segment 4 | 8 offset/16 4 | 12 meta bytes 4 | 16 body bytes 4 | 20 zero 4
//! 24 name 16 | 40 tag 8 | 48 kept until, ms 8 | 56 sequence 8
//! 64 checksum of the body 8 | 72 checksum of bytes 0..72 and the meta 8 | 80 meta | body | zeros up to a multiple of 16
//! ```

use bytes::Bytes;

use super::{
    checksum::{Seed, u32_at, u64_at},
    entry::{BODY_BYTES_MAX, Entry, META_BYTES_MAX, Name, Packed, RecordId, UNIT_BYTES, seconds},
};
use crate::clock::Timestamp;

/// Bytes of a record before its meta.
pub(super) const HEADER_BYTES: usize = 80;
/// Bytes of the header that its checksum covers.
const COVERED: usize = 72;
const MAGIC: u32 = 0x5244_4c48;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The hash of its cache key.
    pub name: Name,
    /// Tells records of one name apart; one of the same name and tag replaces the one before.
    pub tag: u64,
    /// From then on it is not found any more; whole seconds count.
    pub kept_until: Timestamp,
    /// What the layer above wants to know of it; at most [`META_BYTES_MAX`].
    pub meta: Bytes,
    /// At most [`BODY_BYTES_MAX`].
    pub body: Bytes,
}

/// A record's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: RecordId,
    pub(super) name: Name,
    pub(super) tag: u64,
    pub(super) kept_until_ms: u64,
    /// Of two records of one name and tag, the later one has the larger.
    pub(super) sequence: u64,
    pub(super) meta_bytes: usize,
    pub(super) body_bytes: usize,
    pub(super) body_checksum: u64,
}

/// Bytes that a record takes in its segment.
pub(super) fn stored_bytes(meta_bytes: usize, body_bytes: usize) -> u64 {
    ((HEADER_BYTES + meta_bytes + body_bytes) as u64).next_multiple_of(UNIT_BYTES)
}

impl Header {
    pub(super) fn of(record: &Record, id: RecordId, sequence: u64, seed: &Seed) -> Self {
        Self {
            id,
            name: record.name,
            tag: record.tag,
            kept_until_ms: record.kept_until.since(Timestamp::default()).as_millis() as u64,
            sequence,
            meta_bytes: record.meta.len(),
            body_bytes: record.body.len(),
            body_checksum: seed.checksum(&[&record.body]),
        }
    }

    pub(super) fn encode(&self, meta: &[u8], seed: &Seed) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC.to_le_bytes());
        put(4, &self.id.encode());
        put(12, &(self.meta_bytes as u32).to_le_bytes());
        put(16, &(self.body_bytes as u32).to_le_bytes());
        put(24, &self.name.0[0].to_le_bytes());
        put(32, &self.name.0[1].to_le_bytes());
        put(40, &self.tag.to_le_bytes());
        put(48, &self.kept_until_ms.to_le_bytes());
        put(56, &self.sequence.to_le_bytes());
        put(64, &self.body_checksum.to_le_bytes());
        let checksum = seed.checksum(&[&bytes[..COVERED], meta]);
        bytes[COVERED..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Bytes of header and meta, as the header has it before its checksum is known; nothing if it is none.
    pub(super) fn head_bytes(bytes: &[u8]) -> Option<usize> {
        let meta_bytes = u32_at(bytes, 12) as usize;
        (u32_at(bytes, 0) == MAGIC && meta_bytes <= META_BYTES_MAX).then_some(HEADER_BYTES + meta_bytes)
    }

    /// Reads header and meta, which `bytes` begin with. Nothing unless the checksum, the limits and the place are right.
    pub(super) fn decode(bytes: &[u8], at: RecordId, seed: &Seed) -> Option<Self> {
        let head = bytes.get(..Self::head_bytes(bytes.get(..HEADER_BYTES)?)?)?;
        let body_bytes = u32_at(head, 16) as usize;
        let right = seed.checksum(&[&head[..COVERED], &head[HEADER_BYTES..]]) == u64_at(head, COVERED)
            && RecordId::decode(&head[4..12]) == at
            && body_bytes <= BODY_BYTES_MAX;
        right.then(|| Self {
            id: at,
            name: Name([u64_at(head, 24), u64_at(head, 32)]),
            tag: u64_at(head, 40),
            kept_until_ms: u64_at(head, 48),
            sequence: u64_at(head, 56),
            meta_bytes: head.len() - HEADER_BYTES,
            body_bytes,
            body_checksum: u64_at(head, 64),
        })
    }

    pub(super) fn kept_until(&self) -> Timestamp {
        Timestamp::default().after(std::time::Duration::from_millis(self.kept_until_ms))
    }

    pub(super) fn entry(&self) -> Entry {
        Entry {
            name: self.name,
            tag: self.tag,
            id: self.id,
            packed: Packed::new(self.meta_bytes, self.body_bytes),
            kept_until: seconds(self.kept_until()),
        }
    }

    pub(super) fn is_of(&self, entry: &Entry) -> bool {
        let lengths = Packed::new(self.meta_bytes, self.body_bytes);
        (self.name, self.tag, self.id) == (entry.name, entry.tag, entry.id)
            && (lengths.meta_bytes(), lengths.body_bytes())
                == (entry.packed.meta_bytes(), entry.packed.body_bytes())
    }
}

/// Takes a record apart that was read from `entry.id`: without its body if only that many bytes were read. Nothing if any
/// byte of it is wrong, or it is not the one that the index means.
pub(super) fn open(bytes: Bytes, entry: &Entry, seed: &Seed) -> Option<(Header, Record)> {
    let header = Header::decode(&bytes, entry.id, seed).filter(|header| header.is_of(entry))?;
    let body_at = HEADER_BYTES + header.meta_bytes;
    let mut body = Bytes::new();
    if bytes.len() > body_at {
        body = (bytes.len() == body_at + header.body_bytes).then(|| bytes.slice(body_at..))?;
        if seed.checksum(&[&body]) != header.body_checksum {
            return None;
        }
    }
    let record = Record {
        name: header.name,
        tag: header.tag,
        kept_until: header.kept_until(),
        meta: bytes.slice(HEADER_BYTES..body_at),
        body,
    };
    Some((header, record))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEED: Seed = Seed([7; 16]);
    const AT: RecordId = RecordId { segment: 3, unit: 9 };

    fn stored(record: &Record) -> (Entry, Vec<u8>) {
        let header = Header::of(record, AT, 5, &SEED);
        let bytes = [&header.encode(&record.meta, &SEED)[..], &record.meta, &record.body].concat();
        (header.entry(), bytes)
    }

    fn record() -> impl Strategy<Value = Record> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..60);
        (any::<[u64; 2]>(), any::<u64>(), any::<u32>(), bytes(), bytes()).prop_map(
            |(name, tag, kept_until, meta, body)| Record {
                name: Name(name),
                tag,
                kept_until: Timestamp::from_unix_seconds(u64::from(kept_until)),
                meta: meta.into(),
                body: body.into(),
            },
        )
    }

    proptest! {
        #[test]
        fn a_record_is_what_it_was(record in record()) {
            let (entry, bytes) = stored(&record);
            let (header, again) = open(bytes.into(), &entry, &SEED).expect("right");
            prop_assert_eq!(header.sequence, 5);
            prop_assert_eq!(again, record);
        }

        #[test]
        fn a_changed_byte_is_noticed(record in record(), at: prop::sample::Index, by in 1..=255u8) {
            let (entry, mut bytes) = stored(&record);
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            prop_assert_eq!(open(bytes.into(), &entry, &SEED), None);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), record in record()) {
            let (entry, good) = stored(&record);
            prop_assert_eq!(Header::decode(&bytes, AT, &SEED), None);
            let mixed = [&good[..HEADER_BYTES], &bytes].concat();
            let _ = open(mixed.into(), &entry, &SEED);
        }
    }

    #[test]
    fn a_record_out_of_its_place_or_of_another_store_is_none() {
        let record = Record {
            name: Name([1, 2]),
            tag: 3,
            kept_until: Timestamp::NEVER,
            meta: Bytes::from_static(b"meta"),
            body: Bytes::from_static(b"body"),
        };
        let (entry, bytes) = stored(&record);
        let open = |entry, seed| super::open(bytes.clone().into(), &entry, &seed).map(|(_, r)| r);
        assert_eq!(open(entry, SEED), Some(record.clone()));
        assert_eq!(open(Entry { id: RecordId { unit: 8, ..AT }, ..entry }, SEED), None, "another place");
        assert_eq!(open(Entry { tag: 4, ..entry }, SEED), None, "another tag");
        assert_eq!(open(Entry { packed: Packed::new(4, 5), ..entry }, SEED), None, "another length");
        assert_eq!(open(entry, Seed([8; 16])), None, "another store");
        let head = bytes[..HEADER_BYTES + 4].to_vec();
        let (_, without_body) = super::open(head.into(), &entry, &SEED).expect("head");
        assert_eq!((without_body.meta, without_body.body), (record.meta, Bytes::new()));
    }
}
