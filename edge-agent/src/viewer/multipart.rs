//! multipart/byteranges (RFC 9110 section 14.6): several parts of an object in one body.

use std::{collections::VecDeque, ops::Range};

use bytes::Bytes;
use http::HeaderValue;
use uuid::Uuid;

use super::body::Piece;

/// A body of several parts: what stands around the bytes of the object.
#[derive(Debug)]
pub struct Multipart {
    /// The Content-Type of the whole.
    pub content_type: HeaderValue,
    /// The parts in order, each with the text before it.
    pub(crate) parts: VecDeque<(Bytes, Range<u64>)>,
    /// What ends it.
    pub(crate) closing: Bytes,
    /// Bytes of the whole: texts and parts.
    pub length: u64,
}

impl Multipart {
    /// The parts `ranges` of an object of `length` bytes and this Content-Type, with a boundary that nobody can foresee, so that
    /// nobody can write an object that contains it.
    #[must_use]
    pub fn new(ranges: &[Range<u64>], length: u64, content_type: Option<&HeaderValue>) -> Self {
        Self::with_boundary(&Uuid::new_v4().simple().to_string(), ranges, length, content_type)
    }

    /// The whole in pieces, in order.
    pub(crate) fn into_pieces(self) -> VecDeque<Piece> {
        let parts = self.parts.into_iter();
        let parts = parts.flat_map(|(head, range)| [Piece::Text(head), Piece::Of(range)]);
        parts.chain([Piece::Text(self.closing)]).collect()
    }

    fn with_boundary(
        boundary: &str,
        ranges: &[Range<u64>],
        length: u64,
        content_type: Option<&HeaderValue>,
    ) -> Self {
        let mut parts = VecDeque::with_capacity(ranges.len());
        let mut bytes = 0;
        for range in ranges {
            let mut head = Vec::with_capacity(160);
            if !parts.is_empty() {
                head.extend_from_slice(b"\r\n");
            }
            head.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            if let Some(content_type) = content_type {
                head.extend_from_slice(b"Content-Type: ");
                head.extend_from_slice(content_type.as_bytes());
                head.extend_from_slice(b"\r\n");
            }
            let (first, last) = (range.start, range.end.saturating_sub(1));
            head.extend_from_slice(
                format!("Content-Range: bytes {first}-{last}/{length}\r\n\r\n").as_bytes(),
            );
            bytes += head.len() as u64 + (range.end - range.start);
            parts.push_back((Bytes::from(head), range.clone()));
        }
        let closing = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let content_type = HeaderValue::try_from(format!("multipart/byteranges; boundary={boundary}"))
            .expect("a boundary of hexadecimal digits is plain text");
        Self { content_type, parts, length: bytes + closing.len() as u64, closing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_is_never_the_same() {
        let boundary = || Multipart::new(&[], 0, None).content_type;
        assert_ne!(boundary(), boundary());
    }

    #[test]
    fn every_part_has_a_head_of_its_own() {
        let content_type = HeaderValue::from_static("text/plain");
        let multipart = Multipart::with_boundary("B", &[0..2, 5..6], 10, Some(&content_type));
        assert_eq!(multipart.content_type, "multipart/byteranges; boundary=B");
        let heads: Vec<_> =
            multipart.parts.iter().map(|(head, _)| std::str::from_utf8(head).expect("text")).collect();
        assert_eq!(
            heads,
            [
                "--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n",
                "\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-5/10\r\n\r\n",
            ]
        );
        assert_eq!(multipart.closing, "\r\n--B--\r\n");
        let around: usize = heads.iter().map(|head| head.len()).sum::<usize>() + multipart.closing.len();
        assert_eq!(multipart.length, around as u64 + 3);
        let bare = Multipart::with_boundary("B", std::slice::from_ref(&(0..2)), 10, None);
        assert_eq!(bare.parts[0].0, "--B\r\nContent-Range: bytes 0-1/10\r\n\r\n");
    }
}
