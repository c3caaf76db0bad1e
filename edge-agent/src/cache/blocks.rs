//! Blocks: a large object is kept, and fetched, in aligned pieces of one size, each under a key of its own. What is stored under the
//! object's own key is its head alone, which says how long it is and which blocks are its own.
//!
//! Blocks of one object are told from those of any other, and of any other version of it, by a number that nothing else ever has.
//! Two versions can never be mixed: a response belongs to these blocks only if a strong validator says so (RFC 9110 section 8.8).

use std::{ops::Range, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use uuid::Uuid;

use super::{
    fields::Fields,
    object::{Compressed, Head, Unpacked},
    revalidation,
};
use crate::clock::Timestamp;

/// Length of a block; the last of an object may be shorter.
pub const BLOCK_BYTES: u64 = 1 << 20;
/// Begins what is added to a key to name a block. No part of a key has this tag.
const BLOCK: u8 = b'r';
/// A block whose object has gone is never asked for, and leaves when others need its place; at the latest after this.
const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);

/// Which blocks are an object's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// What tells them from all others.
    pub id: u64,
    /// Bytes of the whole object; more than one block.
    pub length: u64,
}

impl Blocks {
    /// Those of an object that has none yet.
    #[must_use]
    pub fn new(length: u64) -> Self {
        Self { id: Uuid::new_v4().as_u64_pair().1, length }
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> u64 {
        self.length.div_ceil(BLOCK_BYTES)
    }

    /// The bytes that one holds.
    #[must_use]
    pub fn bytes(self, index: u64) -> Range<u64> {
        let start = index.saturating_mul(BLOCK_BYTES).min(self.length);
        start..start.saturating_add(BLOCK_BYTES).min(self.length)
    }

    /// The key of one of them, `key` being the object's.
    #[must_use]
    pub fn key(self, key: &[u8], index: u64) -> Arc<[u8]> {
        [key, &[BLOCK], &self.id.to_le_bytes(), &index.to_le_bytes()].concat().into()
    }

    /// Whether a response with these headers, of a whole object of this length, belongs to the same version of the object. `head`
    /// is what is stored of it.
    #[must_use]
    pub fn are_of(self, head: &Head, response: &HeaderMap, length: u64) -> bool {
        let same = |name| head.first(&name) == response.first(&name);
        let tag = head.first(&header::ETAG);
        // A strong tag decides alone. Without one, the date does.
        let is_strong = tag.is_none_or(|tag| tag.starts_with(b"\""));
        let same_date = tag.is_some() || same(header::LAST_MODIFIED);
        length == self.length && is_strong && same(header::ETAG) && same_date
    }
}

/// Whether an object can be kept in blocks: it has more than one, and its origin can be asked for some of them without the danger
/// of getting those of another version.
#[must_use]
pub fn can_hold(head: &Unpacked, length: u64) -> bool {
    let refuses = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"none");
    head.status == StatusCode::OK
        && length > BLOCK_BYTES
        && !head.headers.get_all(header::ACCEPT_RANGES).iter().any(refuses)
        && revalidation::strong_validator(&head.headers, head.date).is_some()
}

/// The head that a block of so many bytes is stored with, which nobody is ever sent. `object` is what is stored of the whole.
#[must_use]
pub fn head_of_block(object: &Head, bytes: u64, now: Timestamp) -> Head {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, bytes.into());
    let mut terms = object.terms();
    terms.kept_until = now.after(KEPT_FOR);
    let (timing, date, began) = (object.timing(), object.date(), object.began());
    let (vary, groups, blocks) = (None, Box::default(), None);
    let (status, compressed) = (StatusCode::OK, Compressed::No);
    Unpacked { status, headers, timing, date, terms, vary, groups, began, blocks, compressed }.pack()
}

/// Where a position of an object is.
#[must_use]
pub fn index_of(position: u64) -> u64 {
    position / BLOCK_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_the_last_ends_with_the_object() {
        let blocks = Blocks { id: 1, length: 2 * BLOCK_BYTES + 5 };
        assert_eq!(blocks.count(), 3);
        assert_eq!(blocks.bytes(1), BLOCK_BYTES..2 * BLOCK_BYTES);
        assert_eq!(blocks.bytes(2), 2 * BLOCK_BYTES..2 * BLOCK_BYTES + 5);
        assert!(blocks.bytes(3).is_empty() && blocks.bytes(u64::MAX).is_empty());
        assert_eq!(Blocks { length: 2 * BLOCK_BYTES, ..blocks }.count(), 2);
        assert_eq!((index_of(BLOCK_BYTES - 1), index_of(BLOCK_BYTES)), (0, 1));
    }

    #[test]
    fn no_two_blocks_have_one_key() {
        let (a, b) = (Blocks::new(5 << 20), Blocks::new(5 << 20));
        let keys = [a.key(b"k", 0), a.key(b"k", 1), b.key(b"k", 0), a.key(b"l", 0)];
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
    }

    fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse().expect("name"), value.parse().expect("value")))
            .collect()
    }

    #[test]
    fn only_the_same_version_is_of_the_same_blocks() {
        const OLD: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
        const NEW: &str = "Tue, 02 Jan 2024 00:00:00 GMT";
        let check = |stored: &[(&'static str, &str)], response: &[(&'static str, &str)], length, expected| {
            let head =
                Unpacked { headers: map(stored), ..Unpacked::sample(Timestamp::default(), Duration::ZERO) };
            let blocks = Blocks { id: 1, length: 5 << 20 };
            assert_eq!(
                blocks.are_of(&head.pack(), &map(response), length),
                expected,
                "{stored:?} {response:?}"
            );
        };
        let whole = 5 << 20;
        check(&[("etag", "\"a\"")], &[("etag", "\"a\"")], whole, true);
        check(&[("etag", "\"a\"")], &[("etag", "\"a\"")], whole + 1, false);
        check(&[("etag", "\"a\"")], &[("etag", "\"b\"")], whole, false);
        check(&[("etag", "\"a\"")], &[], whole, false);
        check(&[("etag", "\"a\"")], &[("last-modified", OLD)], whole, false);
        check(&[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")], whole, false);
        check(&[("last-modified", OLD)], &[("last-modified", OLD)], whole, true);
        check(&[("last-modified", OLD)], &[("last-modified", NEW)], whole, false);
        check(&[("last-modified", OLD)], &[("last-modified", OLD), ("etag", "\"a\"")], whole, false);
    }

    #[test]
    fn only_what_has_a_strong_validator_is_kept_in_blocks() {
        const DATE: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
        let date = Timestamp::from_unix_seconds(1_704_067_200 + 100);
        let check = |headers: &[(&'static str, &str)], length, expected| {
            let head = Unpacked { headers: map(headers), ..Unpacked::sample(date, Duration::ZERO) };
            assert_eq!(can_hold(&head, length), expected, "{headers:?}");
        };
        check(&[("etag", "\"a\"")], BLOCK_BYTES + 1, true);
        check(&[("etag", "\"a\"")], BLOCK_BYTES, false);
        check(&[("etag", "W/\"a\"")], BLOCK_BYTES + 1, false);
        check(&[("last-modified", DATE)], BLOCK_BYTES + 1, true);
        check(&[("last-modified", "Mon, 01 Jan 2024 00:01:40 GMT")], BLOCK_BYTES + 1, false);
        check(&[], BLOCK_BYTES + 1, false);
        check(&[("etag", "\"a\""), ("accept-ranges", "none")], BLOCK_BYTES + 1, false);
        check(&[("etag", "\"a\""), ("accept-ranges", "bytes")], BLOCK_BYTES + 1, true);
    }
}
