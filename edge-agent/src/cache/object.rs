//! Stored objects: a response head, made ready for sending, and a body that is never copied again.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::{freshness::Timing, invalidation::Epoch, part::Part, terms::Terms, vary::Vary};
#[cfg(test)]
use super::{
    freshness::{Freshness, Source},
    reuse::Failing,
};
use crate::clock::Timestamp;

/// Bodies are kept in pieces of at most this size: few enough to hand over quickly, small enough to find memory for.
const SEGMENT_BYTES: usize = 4 << 20;
/// What an object costs beside its body, key and header text: tables, allocations, counters. Measured, rounded up.
const OVERHEAD_BYTES: u64 = 512;
/// What one header costs beside its text.
const HEADER_OVERHEAD_BYTES: u64 = 104;

/// The head of a response, as it is sent with every hit: end-to-end headers only, plus what this edge adds to all of them.
#[derive(Debug, Clone)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The headers, without Age, which differs from hit to hit.
    pub headers: HeaderMap,
    /// Length of the body, when the origin announced it.
    pub content_length: Option<u64>,
    /// When it was asked for, or validated, and when the answer came.
    pub timing: Timing,
    /// When it was generated: Date, or when it was received.
    pub date: Timestamp,
    /// What may be done with it, and until when.
    pub terms: Terms,
    /// For which requests, besides having the same key.
    pub vary: Option<Vary>,
    /// The groups it belongs to (RFC 9875).
    pub groups: Box<[Box<str>]>,
    /// Which changes the origin may not have known of yet.
    pub began: Epoch,
    /// Which part of the object it holds; `None` for all of it.
    pub part: Option<Part>,
}

impl Head {
    /// Whether it is fresh (RFC 9111 section 4.2).
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.terms.freshness.fresh_until
    }

    /// Whether it was chosen by headers that this request has too (RFC 9111 section 4.1).
    #[must_use]
    pub fn answers(&self, request: &HeaderMap) -> bool {
        self.vary.as_ref().is_none_or(|vary| vary.matches(request))
    }

    /// Age (RFC 9111 section 4.2.3, current_age).
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Duration {
        self.terms.freshness.initial_age + now.since(self.timing.response)
    }

    /// Age in whole seconds, as Age has it.
    #[must_use]
    pub fn age_seconds(&self, now: Timestamp) -> u64 {
        self.age(now).as_secs()
    }

    /// A 200 without headers, received at this moment, fresh for so long, and not kept for longer.
    #[cfg(test)]
    pub(crate) fn sample(received: Timestamp, fresh_for: Duration) -> Self {
        let freshness = Freshness {
            lifetime: fresh_for,
            source: Source::MaxAge,
            initial_age: Duration::ZERO,
            fresh_until: received.after(fresh_for),
        };
        let terms = Terms {
            freshness,
            validate_always: false,
            immutable: false,
            stale_on_request: false,
            while_revalidate_until: Timestamp::default(),
            if_error_until: Timestamp::default(),
            if_unreachable_until: Timestamp::default(),
            hold_until: Timestamp::default(),
            held_for: Failing::Error,
            kept_until: freshness.fresh_until,
        };
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            content_length: None,
            timing: Timing { request: received, response: received },
            date: received,
            terms,
            vary: None,
            groups: Box::default(),
            began: Epoch::default(),
            part: None,
        }
    }
}

/// A complete body: as it came, in as few pieces as is reasonable.
#[derive(Debug, Clone, Default)]
pub struct Body {
    segments: Box<[Bytes]>,
    bytes: u64,
}

impl Body {
    /// Copies the chunks into memory of exactly their size. A chunk is a slice of the connection's read buffer and would keep the
    /// whole of it alive.
    #[must_use]
    pub fn from_chunks<'c>(chunks: impl IntoIterator<Item = &'c Bytes>, bytes: u64) -> Self {
        let mut segments = Vec::new();
        let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut current = BytesMut::with_capacity(left.min(SEGMENT_BYTES));
        for chunk in chunks {
            let mut chunk = &chunk[..];
            while !chunk.is_empty() {
                let room = SEGMENT_BYTES - current.len();
                let (now, later) = chunk.split_at(chunk.len().min(room));
                current.extend_from_slice(now);
                left = left.saturating_sub(now.len());
                chunk = later;
                if current.len() == SEGMENT_BYTES {
                    let next = BytesMut::with_capacity(left.min(SEGMENT_BYTES));
                    segments.push(std::mem::replace(&mut current, next).freeze());
                }
            }
        }
        if !current.is_empty() {
            segments.push(current.freeze());
        }
        Self { bytes: segments.iter().map(|s| s.len() as u64).sum(), segments: segments.into() }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The rest of the piece that holds this position; `None` at the end.
    #[must_use]
    pub fn from(&self, position: u64) -> Option<Bytes> {
        let position = usize::try_from(position).ok()?;
        let segment = self.segments.get(position / SEGMENT_BYTES)?;
        let offset = position % SEGMENT_BYTES;
        (offset < segment.len()).then(|| segment.slice(offset..))
    }

    /// The pieces, in order; none is empty, and all but the last are of one size.
    #[must_use]
    pub fn segments(&self) -> &[Bytes] {
        &self.segments
    }
}

/// A stored object: immutable once it is in the cache.
#[derive(Debug)]
pub struct Object {
    /// The head.
    pub head: Head,
    /// The body.
    pub body: Body,
}

impl Object {
    /// What it costs to keep, the key included. Constant for an object.
    #[must_use]
    pub fn weight(&self, key: &[u8]) -> u64 {
        let headers: u64 = self
            .head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().len() + value.len()) as u64 + HEADER_OVERHEAD_BYTES)
            .sum();
        let vary = self.head.vary.as_ref().map_or(0, Vary::bytes);
        let groups: u64 = self.head.groups.iter().map(|g| g.len() as u64 + 16).sum();
        self.body.len() + headers + vary + groups + key.len() as u64 + OVERHEAD_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_gathered_into_segments() {
        let chunks: Vec<Bytes> = (0..10u8).map(|i| Bytes::from(vec![i; 1 << 20])).collect();
        let body = Body::from_chunks(&chunks, 10 << 20);
        assert_eq!(body.len(), 10 << 20);
        assert_eq!(body.segments().iter().map(Bytes::len).collect::<Vec<_>>(), [4 << 20, 4 << 20, 2 << 20]);
        let flat: Vec<u8> = body.segments().iter().flatten().copied().collect();
        assert!(flat.chunks(1 << 20).zip(0u8..).all(|(chunk, i)| chunk.iter().all(|&b| b == i)));
        assert_eq!(body.from(9 << 20).map(|b| b.len()), Some(1 << 20));
        assert_eq!(body.from(10 << 20), None);
        assert_eq!(body.from(0).map(|b| b.len()), Some(4 << 20));
        assert!(Body::from_chunks([], 0).is_empty());
        assert_eq!(Body::from_chunks([], 0).from(0), None);
    }
}
