//! The text of a stored head: as HTTP/1.1 sends it, from the status line on, without the empty line at the end.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use memchr::{memchr, memchr_iter};

use crate::end_to_end;

const VERSION: &[u8] = b"HTTP/1.1 ";
const LINE_END: &[u8] = b"\r\n";
const AFTER_NAME: &[u8] = b": ";
/// Room for what is added for each viewer, so that the table need not grow.
const ADDED_FIELDS: usize = 4;
/// Fields of a text that is read from outside; a table of headers has an end.
pub(super) const FIELDS_MAX: usize = 1024;
/// Stored heads all have it; it is no well-known name to [`HeaderName`], which would allocate for it.
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// Writes it.
pub(super) fn write(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let status_line = status_line(&status);
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    // Of exactly this size: it is kept as it is.
    let mut text = Vec::with_capacity(status_line.iter().map(|part| part.len()).sum::<usize>() + fields);
    status_line.iter().for_each(|part| text.extend_from_slice(part));
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), AFTER_NAME, value.as_bytes(), LINE_END] {
            text.extend_from_slice(part);
        }
    }
    text
}

fn status_line(status: &StatusCode) -> [&[u8]; 5] {
    let reason = status.canonical_reason().unwrap_or_default();
    [VERSION, status.as_str().as_bytes(), b" ", reason.as_bytes(), LINE_END]
}

/// Names and values, in order.
pub(super) fn fields(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut start = 0;
    // No value holds a line break. The first line is the status.
    memchr_iter(b'\n', text).filter_map(move |end| {
        let line = text.get(std::mem::replace(&mut start, end + 1)..end)?.strip_suffix(b"\r")?;
        let colon = memchr(b':', line)?;
        Some((&line[..colon], line.get(colon + AFTER_NAME.len()..)?))
    })
}

/// The values of a field.
pub(super) fn all<'t>(text: &'t [u8], name: &HeaderName) -> impl Iterator<Item = &'t [u8]> {
    fields(text).filter(move |(other, _)| *other == name.as_str().as_bytes()).map(|(_, value)| value)
}

/// The fields as a table, with some room for more.
pub(super) fn headers(text: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(memchr_iter(b'\n', text).count() + ADDED_FIELDS);
    // One copy that all values share: no counter that several workers would have to change.
    let shared = Bytes::copy_from_slice(text);
    for (name, value) in fields(&shared) {
        let name =
            if name == X_CACHE.as_str().as_bytes() { Ok(X_CACHE) } else { HeaderName::from_lowercase(name) };
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_maybe_shared(shared.slice_ref(value))) {
            headers.append(name, value);
        }
    }
    headers
}

/// Whether it is the text of a final response with this status, as [`write`] would write it: a text from outside may not be.
pub(super) fn is_of(text: &[u8], status: StatusCode) -> bool {
    let status_line = status_line(&status).concat();
    let Some(mut rest) = text.strip_prefix(&status_line[..]).filter(|_| status.as_u16() >= 200) else {
        return false;
    };
    for _ in 0..=FIELDS_MAX {
        let Some(end) = memchr(b'\n', rest) else { return rest.is_empty() };
        let (line, later) = rest.split_at(end + 1);
        if !is_field(line) {
            return false;
        }
        rest = later;
    }
    false
}

fn is_field(line: &[u8]) -> bool {
    let colon = memchr(b':', line).unwrap_or(0);
    let (name, rest) = line.split_at(colon);
    let value = rest.strip_prefix(AFTER_NAME).and_then(|rest| rest.strip_suffix(LINE_END));
    HeaderName::from_lowercase(name).is_ok_and(|name| !end_to_end::is_hop_by_hop(&name))
        && value.is_some_and(|value| HeaderValue::from_bytes(value).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let value = |value| HeaderValue::from_bytes(value).expect("value");
        let mut map = HeaderMap::new();
        pairs.iter().for_each(|&(name, bytes)| _ = map.append(name, value(bytes)));
        map
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let table = table(&[
            ("etag", b"\"a: b\""),
            ("set-cookie", b"a=1"),
            ("set-cookie", b""),
            ("x-cache", b"Hit from headland"),
            ("x-other", b" caf\xe9\t"),
        ]);
        let text = write(StatusCode::NOT_FOUND, &table);
        assert!(
            text.starts_with(
                b"HTTP/1.1 404 Not Found\r\netag: \"a: b\"\r\nset-cookie: a=1\r\nset-cookie: \r\n"
            )
        );
        assert_eq!(text.capacity(), text.len());
        assert_eq!(headers(&text), table);
        assert!(is_of(&text, StatusCode::NOT_FOUND));
        assert!(!is_of(&text, StatusCode::OK));
        assert_eq!(all(&text, &http::header::SET_COOKIE).collect::<Vec<_>>(), [&b"a=1"[..], b""]);
        let odd = StatusCode::from_u16(299).expect("status");
        let nameless = write(odd, &HeaderMap::new());
        assert_eq!(nameless, b"HTTP/1.1 299 \r\n");
        assert!(is_of(&nameless, odd) && headers(&nameless).is_empty());
    }

    #[test]
    fn what_no_head_says_is_refused() {
        let check = |fields: &str, expected| {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}");
            assert_eq!(is_of(text.as_bytes(), StatusCode::OK), expected, "{fields:?}");
        };
        check("", true);
        check("a: b\r\n", true);
        check("a: b", false);
        check("a: b\n", false);
        check("a: b\r\n\r\n", false);
        check("a: b\rc: d\r\n", false);
        check("a:b\r\n", false);
        check("A: b\r\n", false);
        check(": b\r\n", false);
        check("a b: c\r\n", false);
        check(" a: b\r\n", false);
        check("a: b\0\r\n", false);
        check("transfer-encoding: chunked\r\n", false);
        check(&"a: b\r\n".repeat(FIELDS_MAX), true);
        check(&"a: b\r\n".repeat(FIELDS_MAX + 1), false);
        let early = write(StatusCode::CONTINUE, &HeaderMap::new());
        assert!(!is_of(&early, StatusCode::CONTINUE));
    }
}
