//! Stored objects: a response head, made ready for sending, and a body that is never copied again.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::vary::Vary;
use crate::clock::Timestamp;

/// Bodies are kept in pieces of at most this size: few enough to hand over quickly, small enough to find memory for.
const SEGMENT_BYTES: usize = 4 << 20;
/// What an object costs beside its body, key and header text: tables, allocations, counters. Measured, rounded up.
const OVERHEAD_BYTES: u64 = 512;
/// What one header costs beside its text.
const HEADER_OVERHEAD_BYTES: u64 = 104;

/// The head of a response, as it is sent with every hit: end-to-end headers only, plus what this edge adds to all of them.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The headers, without Age, which differs from hit to hit.
    pub headers: HeaderMap,
    /// Length of the body, when the origin announced it.
    pub content_length: Option<u64>,
    /// When it was received.
    pub received: Timestamp,
    /// Age when it was received.
    pub initial_age: Duration,
    /// Not to be used from this moment on.
    pub fresh_until: Timestamp,
    /// For which requests, besides having the same key.
    pub vary: Option<Vary>,
}

impl Head {
    /// Whether it may be used without asking the origin (RFC 9111 section 4.2).
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.fresh_until
    }

    /// Whether it was chosen by headers that this request has too (RFC 9111 section 4.1).
    #[must_use]
    pub fn answers(&self, request: &HeaderMap) -> bool {
        self.vary.as_ref().is_none_or(|vary| vary.matches(request))
    }

    /// Age in seconds (RFC 9111 section 4.2.3, current_age).
    #[must_use]
    pub fn age_seconds(&self, now: Timestamp) -> u64 {
        (self.initial_age + now.since(self.received)).as_secs()
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
        self.body.len() + headers + vary + key.len() as u64 + OVERHEAD_BYTES
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
