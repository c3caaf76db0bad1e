//! Range requests (RFC 9110 section 14): which bytes of a body a viewer asks for.

use std::ops::Range;

use http::{HeaderMap, HeaderValue, header};

/// Ranges one request may ask for; one that asks for more gets the whole (RFC 9110 section 14.2 allows that, section 17.15 advises it).
pub const RANGES_MAX: usize = 16;

/// What to send of a body of known length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it, with the status it has.
    Whole,
    /// These bytes, with 206. Never empty.
    Part(Range<u64>),
    /// Several parts in this order, with 206: at least two, none empty, none touching another.
    Parts(Vec<Range<u64>>),
    /// Nothing: 416.
    Unsatisfiable,
}

/// What a request asks for. Another unit, a Range that cannot be read, and one that asks for more than there is in too many or
/// overlapping pieces are answered with the whole body, which section 14.2 allows.
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
    let mut parts: Vec<Range<u64>> = Vec::new();
    let (mut ranges, mut bytes) = (0, 0u64);
    // Empty elements of a list mean nothing (section 5.6.1.2).
    for spec in set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty()) {
        ranges += 1;
        let range = range(spec, length)?;
        bytes = bytes.saturating_add(range.end - range.start);
        if ranges > RANGES_MAX {
            return None;
        }
        if !range.is_empty() {
            add(&mut parts, range);
        }
    }
    if ranges == 0 || (ranges > 1 && bytes > length) {
        return None;
    }
    let one = parts.pop();
    Some(match one {
        None => Selection::Unsatisfiable,
        Some(one) if parts.is_empty() => Selection::Part(one),
        Some(one) => {
            parts.push(one);
            Selection::Parts(parts)
        }
    })
}

/// The bytes of one range that there are; empty if it cannot be satisfied.
fn range(spec: &str, length: u64) -> Option<Range<u64>> {
    let (first, last) = spec.split_once('-')?;
    if first.is_empty() {
        return Some(length - position(last)?.min(length)..length);
    }
    let start = position(first)?;
    let last = if last.is_empty() { u64::MAX } else { position(last)? };
    if last < start {
        return None;
    }
    Some(start.min(length)..last.saturating_add(1).min(length))
}

/// Adds a range to parts that do not touch one another: it stands where the first that it touches stood, else at the end
/// (section 15.3.7.2).
fn add(parts: &mut Vec<Range<u64>>, mut range: Range<u64>) {
    let mut place = None;
    // What has grown by one part may touch another.
    while let Some(at) = parts.iter().position(|p| p.start <= range.end && range.start <= p.end) {
        let touched = parts.remove(at);
        range = range.start.min(touched.start)..range.end.max(touched.end);
        place = Some(place.map_or(at, |place: usize| place.min(at)));
    }
    parts.insert(place.unwrap_or(parts.len()), range);
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

/// Which part of an object an origin's 206 holds (RFC 9110 section 14.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRange {
    /// The bytes. Never empty.
    pub bytes: Range<u64>,
    /// Length of the whole object, if the origin knows it.
    pub length: Option<u64>,
}

impl ContentRange {
    /// Reads the Content-Range of a response with one part; `None` if there is none, several, or one that contradicts itself.
    #[must_use]
    pub fn of(response: &HeaderMap) -> Option<Self> {
        let mut values = response.get_all(header::CONTENT_RANGE).iter();
        let text = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
        let (unit, rest) = text.trim_matches([' ', '\t']).split_once(' ')?;
        let (range, length) = rest.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (exact(first)?, exact(last)?);
        let length = if length == "*" { None } else { Some(exact(length)?) };
        let sound = unit.eq_ignore_ascii_case("bytes")
            && first <= last
            && last < u64::MAX
            && length.is_none_or(|length| last < length);
        sound.then(|| Self { bytes: first..last + 1, length })
    }
}

/// Digits only, and a number that fits.
fn exact(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(range: &str, expected: &Selection) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().expect("value"));
        assert_eq!(select(&headers, 100), *expected, "{range}");
    }

    #[test]
    fn single_ranges_are_obeyed() {
        let part = |start, end| Selection::Part(start..end);
        // RFC 9110 section 14.1.2.
        check("bytes=0-9", &part(0, 10));
        check("Bytes=0-9", &part(0, 10));
        check("bytes= 0-9 ", &part(0, 10));
        check("bytes=,0-9,", &part(0, 10));
        check("bytes=90-", &part(90, 100));
        check("bytes=90-1000", &part(90, 100));
        check("bytes=-10", &part(90, 100));
        check("bytes=-1000", &part(0, 100));
        check("bytes=0-99999999999999999999999", &part(0, 100));
        check("bytes=100-", &Selection::Unsatisfiable);
        check("bytes=99999999999999999999999-", &Selection::Unsatisfiable);
        check("bytes=-0", &Selection::Unsatisfiable);
    }

    #[test]
    fn several_ranges_are_parts_in_the_order_asked() {
        let parts = |parts: &[Range<u64>]| Selection::Parts(parts.to_vec());
        // RFC 9110 section 15.3.7.2.
        check("bytes=0-1,5-6", &parts(&[0..2, 5..7]));
        check("bytes=50-59 , 0-9", &parts(&[50..60, 0..10]));
        check("bytes=0-0,-1", &parts(&[0..1, 99..100]));
        // Those that cannot be satisfied are left out.
        check("bytes=0-1,200-300,5-6", &parts(&[0..2, 5..7]));
        check("bytes=200-,5-6", &Selection::Part(5..7));
        check("bytes=200-,-0", &Selection::Unsatisfiable);
        // Those that overlap or touch become one, in the place of the first.
        check("bytes=10-19,50-59,20-29", &parts(&[10..30, 50..60]));
        check("bytes=10-19,30-39,15-34", &Selection::Part(10..40));
        check("bytes=0-9,10-19", &Selection::Part(0..20));
        check("bytes=50-59,0-9,9-12,58-60", &parts(&[50..61, 0..13]));
        // Section 14.2: more than there is, or too many pieces.
        check("bytes=0-,0-", &Selection::Whole);
        check("bytes=0-60,40-", &Selection::Whole);
        let many = |n: u64| (0..n).map(|i| format!("{}-{}", i * 3, i * 3)).collect::<Vec<_>>().join(",");
        check(&format!("bytes={}", many(16)), &parts(&(0..16).map(|i| i * 3..i * 3 + 1).collect::<Vec<_>>()));
        check(&format!("bytes={}", many(17)), &Selection::Whole);
    }

    #[test]
    fn what_cannot_be_read_means_the_whole() {
        for range in [
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=9-0",
            "bytes=a-b",
            "bytes=0-1,9-0",
            "bytes=0-1;5-6",
            "lines=0-1",
            "bytes 0-1",
            "bytes=+1-2",
            "bytes=0 -1",
        ] {
            check(range, &Selection::Whole);
        }
        let mut twice = HeaderMap::new();
        twice.append(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        twice.append(header::RANGE, HeaderValue::from_static("bytes=2-3"));
        assert_eq!(select(&twice, 100), Selection::Whole);
        assert_eq!(select(&HeaderMap::new(), 100), Selection::Whole);
    }

    #[test]
    fn content_range_of_a_response() {
        let check = |lines: &[&str], expected: Option<(Range<u64>, Option<u64>)>| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::CONTENT_RANGE, line.parse().expect("value"));
            }
            let expected = expected.map(|(bytes, length)| ContentRange { bytes, length });
            assert_eq!(ContentRange::of(&headers), expected, "{lines:?}");
        };
        // RFC 9110 section 14.4.
        check(&["bytes 42-1233/1234"], Some((42..1234, Some(1234))));
        check(&["bytes 42-1233/*"], Some((42..1234, None)));
        check(&["BYTES 0-0/1"], Some((0..1, Some(1))));
        // "Invalid if its last-pos is less than its first-pos, or its complete-length is not greater than its last-pos."
        check(&["bytes 2-1/10"], None);
        check(&["bytes 0-9/9"], None);
        check(&["bytes */1234"], None);
        check(&["lines 0-1/2"], None);
        check(&["bytes 0-1"], None);
        check(&["bytes=0-1/2"], None);
        check(&["bytes -1/2"], None);
        check(&["bytes 0-1/"], None);
        check(&["bytes 0-18446744073709551615/*"], None);
        check(&["bytes 0-99999999999999999999/*"], None);
        check(&["bytes 0-1/5", "bytes 0-1/5"], None);
        check(&[], None);
    }

    proptest! {
        #[test]
        fn parts_are_within_bounds_apart_and_cover_what_was_asked(
            asked in prop::collection::vec((0u64..120, 0u64..30), 1..8),
            length in 0u64..100,
        ) {
            let set: Vec<_> = asked.iter().map(|(start, more)| format!("{start}-{}", start + more)).collect();
            let selection = parse(&format!("bytes={}", set.join(",")), length);
            let parts = match selection {
                None | Some(Selection::Whole) => return Ok(()),
                Some(Selection::Unsatisfiable) => vec![],
                Some(Selection::Part(part)) => vec![part],
                Some(Selection::Parts(parts)) => parts,
            };
            for byte in 0..length {
                let wanted = asked.iter().any(|(start, more)| (*start..=start + more).contains(&byte));
                prop_assert_eq!(parts.iter().filter(|part| part.contains(&byte)).count(), usize::from(wanted));
            }
            prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= length));
        }

        #[test]
        fn any_text_is_survived(text in "(bytes=)?[0-9,= -]{0,30}", length: u64) {
            let _ = parse(&text, length);
        }
    }
}
