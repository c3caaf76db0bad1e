//! Conditional requests answered from the cache (RFC 9110 section 13): has the viewer got this already?

use http::{HeaderMap, HeaderValue, header};

use crate::cache::freshness::http_date;

/// Whether a GET or HEAD can be answered with 304: the viewer's copy is the stored one.
///
/// If-None-Match, when there, decides alone (section 13.1.3).
#[must_use]
pub fn is_not_modified(request: &HeaderMap, stored: &HeaderMap) -> bool {
    if request.contains_key(header::IF_NONE_MATCH) {
        let tag = stored.get(header::ETAG).and_then(|v| v.to_str().ok());
        return request.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok()).any(|list| {
            list.trim() == "*" || tag.is_some_and(|tag| entity_tags(list).any(|t| weak(t) == weak(tag)))
        });
    }
    let since = request.get(header::IF_MODIFIED_SINCE).and_then(|v| v.to_str().ok()).and_then(http_date);
    let modified = stored.get(header::LAST_MODIFIED).and_then(|v| v.to_str().ok()).and_then(http_date);
    since.zip(modified).is_some_and(|(since, modified)| modified <= since)
}

/// Whether a Range is to be obeyed: there is no If-Range, or it names exactly the stored object (section 13.1.5).
#[must_use]
pub fn if_range_holds(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let Some(condition) = request.get(header::IF_RANGE) else {
        return true;
    };
    let is = |name| stored.get(name).is_some_and(|value: &HeaderValue| value == condition);
    // Only a strong tag identifies bytes; a date counts when it is the very one.
    let strong = !condition.as_bytes().starts_with(b"W/");
    (strong && is(header::ETAG)) || is(header::LAST_MODIFIED)
}

fn weak(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The entity tags of a list. A comma may stand inside a tag, so tags are told apart by their quotes.
fn entity_tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let open = rest.find('"')?;
        let close = open + 1 + rest[open + 1..].find('"')?;
        let start = if rest[..open].ends_with("W/") { open - 2 } else { open };
        let tag = &rest[start..=close];
        rest = &rest[close + 1..];
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().expect("value"));
        }
        map
    }

    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    #[test]
    fn an_equal_tag_or_an_old_date_means_not_modified() {
        let stored = headers(&[("etag", "\"a,b\""), ("last-modified", OLD)]);
        let check = |request: &[(&'static str, &str)], expected| {
            assert_eq!(is_not_modified(&headers(request), &stored), expected, "{request:?}");
        };
        check(&[], false);
        check(&[("if-none-match", "\"a,b\"")], true);
        check(&[("if-none-match", "W/\"a,b\"")], true);
        check(&[("if-none-match", "\"x\", W/\"y\", \"a,b\"")], true);
        check(&[("if-none-match", "\"x\""), ("if-none-match", "\"a,b\"")], true);
        check(&[("if-none-match", "*")], true);
        check(&[("if-none-match", "\"a\"")], false);
        check(&[("if-none-match", "a,b")], false);
        check(&[("if-none-match", "\"x\""), ("if-modified-since", NEW)], false);
        check(&[("if-modified-since", OLD)], true);
        check(&[("if-modified-since", NEW)], true);
        check(&[("if-modified-since", "Sat, 05 Nov 1994 08:49:37 GMT")], false);
        check(&[("if-modified-since", "garbage")], false);
        assert!(!is_not_modified(&headers(&[("if-none-match", "\"a\"")]), &headers(&[])));
    }

    #[test]
    fn if_range_wants_the_very_object() {
        let stored = headers(&[("etag", "\"a\""), ("last-modified", OLD)]);
        let check = |value: &str, expected| {
            assert_eq!(if_range_holds(&headers(&[("if-range", value)]), &stored), expected, "{value}");
        };
        check("\"a\"", true);
        check("\"b\"", false);
        check("W/\"a\"", false);
        check(OLD, true);
        check(NEW, false);
        assert!(if_range_holds(&headers(&[]), &stored));
        assert!(!if_range_holds(&headers(&[("if-range", "W/\"a\"")]), &headers(&[("etag", "W/\"a\"")])));
    }
}
