//! Ranged fetches: what an origin is asked for when a viewer wants some bytes of an object of which nothing is stored, and what its
//! answer holds.

use std::ops::Range;

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};

use crate::{
    cache::blocks::BLOCK_BYTES,
    viewer::range::{self, ContentRange, Selection},
};

/// A length that no object has, to see what a Range asks for without knowing.
const UNKNOWN_LENGTH: u64 = u64::MAX - 1;
/// A range that begins beyond this is counted from the end.
const FROM_THE_END: u64 = UNKNOWN_LENGTH / 2;

/// The Range to ask an origin for, so that all blocks arrive that a viewer's request touches; of several ranges, those of the first.
/// `None` if the whole had better be asked for.
pub(super) fn to_ask<B>(request: &Request<B>) -> Option<HeaderValue> {
    if request.method() != Method::GET || !request.headers().contains_key(header::RANGE) {
        return None;
    }
    let wanted = match range::select(request.headers(), UNKNOWN_LENGTH) {
        Selection::Whole => return None,
        Selection::Part(wanted) => wanted,
        Selection::Parts(parts) => parts.into_iter().next()?,
        Selection::Unsatisfiable => 0..1,
    };
    HeaderValue::try_from(aligned(wanted)?).ok()
}

fn aligned(Range { start, end }: Range<u64>) -> Option<String> {
    let first = start / BLOCK_BYTES * BLOCK_BYTES;
    match (start, end) {
        (0, UNKNOWN_LENGTH) => None,
        // Where its first block begins, only the origin knows: at most one block before.
        (FROM_THE_END.., UNKNOWN_LENGTH) => Some(format!("bytes=-{}", UNKNOWN_LENGTH - start + BLOCK_BYTES)),
        (_, UNKNOWN_LENGTH) => Some(format!("bytes={first}-")),
        (FROM_THE_END.., _) => None,
        _ => Some(format!("bytes={first}-{}", end.checked_next_multiple_of(BLOCK_BYTES)? - 1)),
    }
}

/// The Range that asks for these bytes.
pub(super) fn exactly(bytes: &Range<u64>) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("bytes={}-{}", bytes.start, bytes.end.saturating_sub(1))).ok()
}

/// Which bytes of an object a 206 holds, and how long the object is, if that is what it says and it fits with its length.
pub(super) fn held_by(status: StatusCode, headers: &HeaderMap) -> Option<(Range<u64>, u64)> {
    let range = ContentRange::of(headers).filter(|_| status == StatusCode::PARTIAL_CONTENT)?;
    let bytes = range.bytes.end - range.bytes.start;
    let fits = content_length(headers).is_none_or(|announced| announced == bytes);
    Some((range.bytes, range.length?)).filter(|_| fits)
}

/// The length that a message says its body has.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_are_the_blocks_that_are_touched() {
        let check = |range: &str, expected: Option<&str>| {
            let request = Request::builder().header("range", range).body(()).expect("request");
            assert_eq!(to_ask(&request).as_ref().and_then(|v| v.to_str().ok()), expected, "{range}");
        };
        check("bytes=0-0", Some("bytes=0-1048575"));
        check("bytes=1048575-1048576", Some("bytes=0-2097151"));
        check("bytes=1048576-1048577", Some("bytes=1048576-2097151"));
        check("bytes=3000000-", Some("bytes=2097152-"));
        check("bytes=-10", Some("bytes=-1048586"));
        check("bytes=5000000-5000001,0-1", Some("bytes=4194304-5242879"));
        // The whole, as it turns out.
        check("bytes=0-", None);
        check("bytes=x", None);
        check("lines=1-2", None);
        check("bytes=-0", Some("bytes=0-1048575"));
        check("bytes=18446744073709551615-18446744073709551615", Some("bytes=0-1048575"));
        check("bytes=9223372036854775807-9223372036854775808", None);
        check("bytes=0-18446744073709551612", None);
        let head = Request::head("/").header("range", "bytes=0-0").body(()).expect("request");
        assert_eq!(to_ask(&head), None);
    }

    #[test]
    fn a_206_says_what_it_holds_or_holds_nothing() {
        let check = |range: &str, length: Option<&str>, expected: Option<(Range<u64>, u64)>| {
            let mut headers = HeaderMap::new();
            headers.insert("content-range", range.parse().expect("value"));
            headers.extend(length.map(|l| (header::CONTENT_LENGTH, l.parse().expect("value"))));
            assert_eq!(held_by(StatusCode::PARTIAL_CONTENT, &headers), expected, "{range} {length:?}");
            assert_eq!(held_by(StatusCode::OK, &headers), None);
        };
        check("bytes 0-3/10", Some("4"), Some((0..4, 10)));
        check("bytes 0-3/10", None, Some((0..4, 10)));
        check("bytes 0-3/10", Some("5"), None);
        check("bytes 0-3/*", Some("4"), None);
        check("bytes 7-3/10", None, None);
    }
}
