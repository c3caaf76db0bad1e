//! What compression changes in a head: all that was said of the bytes as the origin sent them.

use headland_proto::model::Coding;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{cache::object::Compressed, end_to_end};

/// Fields about the bytes that are not sent, beside their length: their digests (RFC 9530, RFC 3230, RFC 1864), and whether the origin
/// would send some of them.
const ABOUT_OTHER_BYTES: [HeaderName; 5] = [
    header::ACCEPT_RANGES,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// Makes the head of a response one of the same response compressed. Its length is not known yet.
pub(in crate::pipeline) fn transform(headers: &mut HeaderMap, coding: Coding) -> Compressed {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.token()));
    headers.remove(header::CONTENT_LENGTH);
    keep(headers)
}

/// The same for a head that says in what coding and how long it is, and has been brought up to date by what the origin says of its own
/// bytes.
pub(in crate::pipeline) fn keep(headers: &mut HeaderMap) -> Compressed {
    ABOUT_OTHER_BYTES.iter().for_each(|name| _ = headers.remove(name));
    vary_by_coding(headers);
    weaken(headers)
}

/// The same bytes have one strong entity tag: what is compressed has the same meaning, not the same bytes (RFC 9110 sections 7.7 and
/// 8.8.3.3). One that is none is taken out, as CloudFront does.
fn weaken(headers: &mut HeaderMap) -> Compressed {
    let weak = match headers.get(header::ETAG).map(HeaderValue::as_bytes) {
        None => return Compressed::Yes,
        Some(tag) if tag.starts_with(b"W/\"") => return Compressed::Yes,
        Some(tag) if tag.starts_with(b"\"") => HeaderValue::from_bytes(&[b"W/", tag].concat()).ok(),
        Some(_) => None,
    };
    headers.remove(header::ETAG);
    match weak {
        Some(weak) => {
            headers.insert(header::ETAG, weak);
            Compressed::TagWeakened
        }
        None => Compressed::Yes,
    }
}

/// Tells caches on the way to the viewer that another viewer might get it in another coding (RFC 9110 section 12.5.5).
pub(in crate::pipeline) fn vary_by_coding(headers: &mut HeaderMap) {
    let says_so = |name: &[u8]| {
        let name = name.trim_ascii();
        name == b"*" || name.eq_ignore_ascii_case(header::ACCEPT_ENCODING.as_str().as_bytes())
    };
    let mut lines = headers.get_all(header::VARY).iter();
    if !lines.any(|line| line.as_bytes().split(|&b| b == b',').any(says_so)) {
        let list = end_to_end::list_with(headers.get_all(header::VARY), "Accept-Encoding");
        if let Some(list) = list {
            headers.insert(header::VARY, list);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'static str, &'static str)];

    fn check(origin: Pairs<'_>, expected: Pairs<'_>, compressed: Compressed) {
        let table = |pairs: Pairs<'_>| {
            let mut map = HeaderMap::new();
            pairs.iter().for_each(|&(name, value)| _ = map.append(name, HeaderValue::from_static(value)));
            map
        };
        let mut headers = table(origin);
        assert_eq!(transform(&mut headers, Coding::Brotli), compressed, "{origin:?}");
        let mut expected = table(expected);
        expected.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
        assert_eq!(headers, expected, "{origin:?}");
        keep(&mut headers);
        assert_eq!(headers, expected, "{origin:?}, once more");
    }

    const VARY: (&str, &str) = ("vary", "Accept-Encoding");

    #[test]
    fn what_is_said_of_other_bytes_is_gone() {
        check(
            &[
                ("accept-ranges", "bytes"),
                ("content-digest", "sha-256=:AA==:"),
                ("content-length", "1000"),
                ("content-md5", "AA=="),
                ("content-type", "text/html"),
                ("digest", "sha-256=AA=="),
                ("repr-digest", "sha-256=:AA==:"),
                ("x-other", "1"),
            ],
            &[("content-type", "text/html"), ("x-other", "1"), VARY],
            Compressed::Yes,
        );
    }

    #[test]
    fn a_strong_tag_becomes_weak() {
        check(&[("etag", "\"a\"")], &[("etag", "W/\"a\""), VARY], Compressed::TagWeakened);
        check(&[("etag", "W/\"a\"")], &[("etag", "W/\"a\""), VARY], Compressed::Yes);
        check(&[("etag", "a")], &[VARY], Compressed::Yes);
        check(&[("last-modified", "x")], &[("last-modified", "x"), VARY], Compressed::Yes);
    }

    #[test]
    fn vary_names_the_request_header_once() {
        for already in ["accept-encoding", "Origin, Accept-Encoding", "*"] {
            check(&[("vary", already)], &[("vary", already)], Compressed::Yes);
        }
        check(&[("vary", "Origin")], &[("vary", "Origin, Accept-Encoding")], Compressed::Yes);
        check(&[("vary", "a"), ("vary", "b")], &[("vary", "a, b, Accept-Encoding")], Compressed::Yes);
    }
}
