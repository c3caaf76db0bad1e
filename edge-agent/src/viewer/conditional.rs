//! Conditional requests answered from the cache (RFC 9110 section 13, RFC 9111 section 4.3.2): has the viewer got this already?

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    cache::{date, fields::Fields},
    clock::Timestamp,
};

/// How much older than Date a Last-Modified has to be to tell bytes apart (RFC 9110 section 8.8.2.2).
const STRONG_AFTER_SECONDS: u64 = 1;

/// Fields that describe a body, which a 304 has not: those of a 200 would say no more than the viewer knows (RFC 9110 section 15.4.5).
const ABOUT_THE_BODY: [HeaderName; 5] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
];

/// Whether a request has preconditions that only an origin can evaluate (RFC 9111 section 4.3.2).
#[must_use]
pub fn is_for_origin(request: &HeaderMap) -> bool {
    request.contains_key(header::IF_MATCH) || request.contains_key(header::IF_UNMODIFIED_SINCE)
}

/// Whether a GET or HEAD that a stored 2xx can answer is answered with 304: the viewer's copy is the stored one, which was generated at
/// `generated`.
///
/// If-None-Match, when there, decides alone (RFC 9110 section 13.2.2).
#[must_use]
pub fn is_not_modified(request: &HeaderMap, stored: &impl Fields, generated: Timestamp) -> bool {
    if request.contains_key(header::IF_NONE_MATCH) {
        let tag = stored.first(&header::ETAG);
        return request.get_all(header::IF_NONE_MATCH).iter().map(HeaderValue::as_bytes).any(|list| {
            list.trim_ascii() == b"*"
                || tag.is_some_and(|tag| entity_tags(list).any(|t| opaque(t) == opaque(tag)))
        });
    }
    // Several, or one that is no date, are ignored (section 13.1.3).
    let since = only(request, &header::IF_MODIFIED_SINCE).and_then(|value| moment(value, generated));
    let Some(since) = since else {
        return false;
    };
    let modified = match stored.first(&header::LAST_MODIFIED) {
        Some(_) => date::of(stored, &header::LAST_MODIFIED, generated),
        // Its Date, or when it was received (RFC 9111 section 4.3.2).
        None => Some(generated),
    };
    modified.is_some_and(|modified| modified.unix_seconds() <= since.unix_seconds())
}

/// Whether a Range is to be obeyed: there is no If-Range, or it names exactly the stored object (RFC 9110 section 13.1.5).
#[must_use]
pub fn if_range_holds(request: &HeaderMap, stored: &impl Fields, generated: Timestamp) -> bool {
    if !request.contains_key(header::IF_RANGE) {
        return true;
    }
    let Some(condition) = only(request, &header::IF_RANGE) else {
        return false;
    };
    let Some(date) = moment(condition, generated) else {
        // Only a strong tag identifies bytes.
        return condition.as_bytes().starts_with(b"\"")
            && stored.first(&header::ETAG) == Some(condition.as_bytes());
    };
    // A date counts when it is the very one, and when the object cannot have changed twice in that second.
    let is_strong = generated.unix_seconds() >= date.unix_seconds().saturating_add(STRONG_AFTER_SECONDS);
    is_strong && date::of(stored, &header::LAST_MODIFIED, generated) == Some(date)
}

/// Takes what a 304 has no use for out of the head of a 200.
pub(crate) fn strip(headers: &mut HeaderMap) {
    ABOUT_THE_BODY.iter().for_each(|name| _ = headers.remove(name));
}

/// The value of a field that has one.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn moment(value: &HeaderValue, generated: Timestamp) -> Option<Timestamp> {
    value.to_str().ok().and_then(|text| date::parse(text, generated))
}

/// What weak comparison compares (RFC 9110 section 8.8.3.2).
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The entity tags of a list. A comma may stand inside a quoted tag. What has no quotes is taken as it stands: some origins make such
/// tags, and viewers send them back.
fn entity_tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|b| !matches!(b, b',' | b' ' | b'\t'))?;
        rest = &rest[start..];
        let before = rest.len() - opaque(rest).len();
        let quoted = rest.get(before) == Some(&b'"');
        let end = if quoted {
            let close = rest[before + 1..].iter().position(|&b| b == b'"')?;
            before + 1 + close + 1
        } else {
            rest.iter().position(|&b| b == b',').unwrap_or(rest.len())
        };
        let (tag, later) = rest.split_at(end);
        rest = later;
        Some(tag.trim_ascii_end())
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().expect("value"));
        }
        map
    }

    const OLDER: &str = "Sat, 05 Nov 1994 08:49:37 GMT";
    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const OLD_IN_1036: &str = "Sunday, 06-Nov-94 08:49:37 GMT";
    const A_SECOND_LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const NEW: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    type Stored = (HeaderMap, Timestamp);

    fn stored(date: &str, pairs: &[(&'static str, &str)]) -> Stored {
        let date = date::parse(date, Timestamp::default()).expect("date").after(Duration::from_millis(500));
        (headers(pairs), date)
    }

    #[test]
    fn an_equal_tag_or_an_old_date_means_not_modified() {
        let stored = stored(NEW, &[("etag", "\"a,b\""), ("last-modified", OLD)]);
        let check = |request: &[(&'static str, &str)], expected| {
            assert_eq!(is_not_modified(&headers(request), &stored.0, stored.1), expected, "{request:?}");
        };
        check(&[], false);
        // RFC 9110 section 13.1.2: weak comparison, in a list over any number of lines.
        check(&[("if-none-match", "\"a,b\"")], true);
        check(&[("if-none-match", "W/\"a,b\"")], true);
        check(&[("if-none-match", "\"x\", W/\"y\",, \"a,b\"")], true);
        check(&[("if-none-match", "\"x\""), ("if-none-match", "\"a,b\"")], true);
        check(&[("if-none-match", " * ")], true);
        check(&[("if-none-match", "\"a\"")], false);
        check(&[("if-none-match", "a,b")], false);
        check(&[("if-none-match", "\"*\"")], false);
        check(&[("if-none-match", "w/\"a,b\"")], false);
        check(&[("if-none-match", "\"a,b")], false);
        check(&[("if-none-match", "")], false);
        // Section 13.2.2: it goes before If-Modified-Since.
        check(&[("if-none-match", "\"x\""), ("if-modified-since", NEW)], false);
        check(&[("if-none-match", "\"a,b\""), ("if-modified-since", OLDER)], true);
        // Section 13.1.3.
        check(&[("if-modified-since", OLD)], true);
        check(&[("if-modified-since", OLD_IN_1036)], true);
        check(&[("if-modified-since", NEW)], true);
        check(&[("if-modified-since", OLDER)], false);
        check(&[("if-modified-since", "garbage")], false);
        check(&[("if-modified-since", OLD), ("if-modified-since", OLD)], false);
    }

    #[test]
    fn without_a_validator_of_its_own() {
        let check = |stored: &Stored, request: &[(&'static str, &str)], expected| {
            assert_eq!(is_not_modified(&headers(request), &stored.0, stored.1), expected, "{request:?}");
        };
        // RFC 9111 section 4.3.2: the Date, or the time it was received, stands for Last-Modified.
        let plain = stored(OLD, &[]);
        check(&plain, &[("if-modified-since", OLD)], true);
        check(&plain, &[("if-modified-since", OLDER)], false);
        check(&plain, &[("if-none-match", "\"a\"")], false);
        check(&plain, &[("if-none-match", "*")], true);
        // RFC 9110 section 13.1.3: not if there is one that cannot be read.
        check(&stored(OLD, &[("last-modified", "yesterday")]), &[("if-modified-since", NEW)], false);
        // Tags that are none, as some origins make them.
        check(&stored(OLD, &[("etag", "abc")]), &[("if-none-match", "x, abc , y")], true);
        check(&stored(OLD, &[("etag", "abc")]), &[("if-none-match", "\"abc\"")], false);
    }

    #[test]
    fn if_range_wants_the_very_object() {
        let check = |stored: &Stored, value: &str, expected| {
            assert_eq!(
                if_range_holds(&headers(&[("if-range", value)]), &stored.0, stored.1),
                expected,
                "{value}"
            );
        };
        let strong = stored(NEW, &[("etag", "\"a\""), ("last-modified", OLD)]);
        // RFC 9110 section 13.1.5.
        check(&strong, "\"a\"", true);
        check(&strong, "\"b\"", false);
        check(&strong, "W/\"a\"", false);
        check(&strong, OLD, true);
        check(&strong, OLD_IN_1036, true);
        check(&strong, NEW, false);
        check(&strong, OLDER, false);
        check(&strong, "a", false);
        // Section 8.8.2.2: a date of the very second of Date is weak.
        check(&stored(OLD, &[("last-modified", OLD)]), OLD, false);
        check(&stored(A_SECOND_LATER, &[("last-modified", OLD)]), OLD, true);
        check(&stored(NEW, &[("etag", "W/\"a\"")]), "W/\"a\"", false);
        check(&stored(NEW, &[]), "\"a\"", false);
        assert!(if_range_holds(&headers(&[]), &strong.0, strong.1));
        let twice = headers(&[("if-range", "\"a\""), ("if-range", "\"a\"")]);
        assert!(!if_range_holds(&twice, &strong.0, strong.1));
    }

    #[test]
    fn preconditions_of_origins() {
        assert!(is_for_origin(&headers(&[("if-match", "*")])));
        assert!(is_for_origin(&headers(&[("if-unmodified-since", OLD)])));
        assert!(!is_for_origin(&headers(&[("if-none-match", "*"), ("if-range", "\"a\"")])));
    }

    proptest! {
        #[test]
        fn any_list_is_survived_and_its_tags_are_found(
            before in "[ -~]{0,20}",
            tags in prop::collection::vec("(W/)?\"[!#-~]{0,5}\"", 0..4),
        ) {
            let all: Vec<_> = entity_tags(before.as_bytes()).collect();
            prop_assert!(all.iter().all(|tag| !tag.is_empty()));
            let list = tags.join(" , ");
            let found: Vec<_> = entity_tags(list.as_bytes()).collect();
            prop_assert_eq!(found, tags.iter().map(String::as_bytes).collect::<Vec<_>>());
        }
    }
}
