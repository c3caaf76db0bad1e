//! Range requests (RFC 9110 section 14): which bytes of a body a viewer asks for.

use http::{HeaderMap, HeaderValue, header};

/// What to send of a body of known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// All of it, with the status it has.
    Whole,
    /// These bytes, with 206.
    Part {
        /// First byte.
        start: u64,
        /// Byte after the last.
        end: u64,
    },
    /// Nothing: 416.
    Unsatisfiable,
}

/// What a request asks for. More than one range, another unit, or a Range that cannot be read is answered with the whole body,
/// which section 14.2 allows.
#[must_use]
pub fn select(request: &HeaderMap, length: u64) -> Selection {
    let mut values = request.get_all(header::RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Selection::Whole;
    };
    value.to_str().ok().and_then(|text| parse(text, length)).unwrap_or(Selection::Whole)
}

fn parse(text: &str, length: u64) -> Option<Selection> {
    let (unit, set) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim_matches([' ', '\t']).split_once('-')?;
    if first.is_empty() {
        let suffix = position(last)?;
        return Some(match suffix.min(length) {
            0 => Selection::Unsatisfiable,
            bytes => Selection::Part { start: length - bytes, end: length },
        });
    }
    let start = position(first)?;
    let last = if last.is_empty() { u64::MAX } else { position(last)? };
    if last < start {
        return None;
    }
    Some(if start < length {
        Selection::Part { start, end: last.saturating_add(1).min(length) }
    } else {
        Selection::Unsatisfiable
    })
}

/// Digits only; more than fit count as "beyond the end".
fn position(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The Content-Range of a part.
#[must_use]
pub fn content_range(start: u64, end: u64, length: u64) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("bytes {start}-{}/{length}", end.saturating_sub(1))).ok()
}

/// The Content-Range of a 416.
#[must_use]
pub fn unsatisfied_range(length: u64) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("bytes */{length}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, expected: Selection) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().expect("value"));
        assert_eq!(select(&headers, 100), expected, "{range}");
    }

    #[test]
    fn single_ranges_are_obeyed() {
        let part = |start, end| Selection::Part { start, end };
        check("bytes=0-9", part(0, 10));
        check("Bytes=0-9", part(0, 10));
        check("bytes=90-", part(90, 100));
        check("bytes=90-1000", part(90, 100));
        check("bytes=-10", part(90, 100));
        check("bytes=-1000", part(0, 100));
        check("bytes=0-99999999999999999999999", part(0, 100));
        check("bytes=100-", Selection::Unsatisfiable);
        check("bytes=99999999999999999999999-", Selection::Unsatisfiable);
        check("bytes=-0", Selection::Unsatisfiable);
    }

    #[test]
    fn what_cannot_be_read_means_the_whole() {
        for range in [
            "bytes=",
            "bytes=-",
            "bytes=9-0",
            "bytes=a-b",
            "bytes=0-1,5-6",
            "lines=0-1",
            "bytes 0-1",
            "bytes=+1-2",
            "bytes=0 -1",
        ] {
            check(range, Selection::Whole);
        }
        let mut twice = HeaderMap::new();
        twice.append(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        twice.append(header::RANGE, HeaderValue::from_static("bytes=2-3"));
        assert_eq!(select(&twice, 100), Selection::Whole);
        assert_eq!(select(&HeaderMap::new(), 100), Selection::Whole);
    }
}
