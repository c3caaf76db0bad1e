//! Headers that are meant for the next hop only, and those that are not (RFC 9110 section 7.6.1).

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{self, GetAll},
};

/// The way a request took so far, the last hop last.
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Takes away what Connection names: it is between the sender and this edge. Were it left, a viewer could have a response stored as
/// the answer to a field that the origin never saw.
pub fn drop_nominated(headers: &mut HeaderMap) {
    let usual = |value: &HeaderValue| {
        matches!(value.as_bytes(), b"keep-alive" | b"Keep-Alive" | b"close" | b"Close") || value.is_empty()
    };
    if headers.get_all(header::CONNECTION).iter().all(usual) {
        return;
    }
    let names: Vec<String> = nominated(headers).map(str::to_owned).collect();
    // TE is about this hop too, and is obeyed on it.
    let kept = |name: &&String| ["connection", "te"].iter().any(|kept| name.eq_ignore_ascii_case(kept));
    for name in names.iter().filter(|name| !kept(name)) {
        headers.remove(name.as_str());
    }
}

fn nominated(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let fields = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

/// Tells which of these are meant for the next hop only (RFC 9110 section 7.6.1).
fn for_next_hop(headers: &HeaderMap) -> impl Fn(&HeaderName) -> bool {
    let nominated: Vec<&str> = nominated(headers).collect();
    move |name| is_hop_by_hop(name) || nominated.iter().any(|n| name.as_str().eq_ignore_ascii_case(n))
}

/// Copies what is not meant for the next hop only.
pub fn copy(from: &HeaderMap, to: &mut HeaderMap) {
    let goes = for_next_hop(from);
    for (name, value) in from {
        if !goes(name) {
            to.append(name.clone(), value.clone());
        }
    }
}

/// Takes the last address out of X-Forwarded-For: whoever sent this says that it came from there.
pub(crate) fn take_last_forwarded_for(headers: &mut HeaderMap) -> Option<IpAddr> {
    let all: Vec<&str> = headers
        .get_all(&X_FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let (last, before) = all.split_last()?;
    let address = last.parse().ok();
    let before = HeaderValue::from_str(&before.join(", ")).ok().filter(|before| !before.is_empty());
    headers.remove(&X_FORWARDED_FOR);
    headers.extend(before.map(|before| (X_FORWARDED_FOR, before)));
    address
}

/// Takes away what is meant for the next hop only.
pub fn strip(headers: &mut HeaderMap) {
    let goes = for_next_hop(headers);
    let gone: Vec<HeaderName> = headers.keys().filter(|name| goes(name)).cloned().collect();
    drop(goes);
    gone.iter().for_each(|name| _ = headers.remove(name));
}

pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "expect"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether who sent these headers says that it can take trailers (RFC 9110 section 10.1.4).
#[must_use]
pub fn asks_for_trailers(headers: &HeaderMap) -> bool {
    let elements =
        headers.get_all(header::TE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    elements.map(str::trim).any(|element| element.eq_ignore_ascii_case("trailers"))
}

/// Whether a viewer gets the trailers of a response that is passed on: in HTTP/2 always, they are part of it; otherwise if it asks.
#[must_use]
pub fn takes_trailers(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_2 || (version == Version::HTTP_11 && asks_for_trailers(headers))
}

/// Announces trailers as the origin does: HTTP/1.1 sends none that are not announced.
pub fn announce_trailers(from: &HeaderMap, to: &mut HeaderMap) {
    from.get_all(header::TRAILER).iter().for_each(|names| _ = to.append(header::TRAILER, names.clone()));
}

/// The trailers that may be passed on: none that have a meaning for the message itself, or before its body (RFC 9110 section 6.5.1).
#[must_use]
pub fn trailers(from: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(from.len());
    copy(from, &mut out);
    NOT_IN_TRAILERS.iter().for_each(|name| _ = out.remove(name));
    out
}

/// Fields for framing, routing, authentication, caching, or telling what the content is.
const NOT_IN_TRAILERS: [HeaderName; 19] = [
    header::AGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::DATE,
    header::EXPIRES,
    header::HOST,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::PRAGMA,
    header::RETRY_AFTER,
    header::SET_COOKIE,
    header::VARY,
    header::VIA,
    header::WWW_AUTHENTICATE,
];

/// Sets a list header to what it was, however many lines that took, and one element more.
pub fn append_to_list(before: GetAll<'_, HeaderValue>, name: HeaderName, element: &str, out: &mut HeaderMap) {
    if let Some(value) = list_with(before, element) {
        out.insert(name, value);
    }
}

/// A list header as it was, however many lines that took, and one element more.
#[must_use]
pub fn list_with(before: GetAll<'_, HeaderValue>, element: &str) -> Option<HeaderValue> {
    let lines = before.iter().map(|value| value.as_bytes().trim_ascii()).filter(|line| !line.is_empty());
    let list: Vec<&[u8]> = lines.chain([element.as_bytes()]).collect();
    HeaderValue::try_from(list.join(&b", "[..])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_for_those_who_take_them_and_say_nothing_of_the_message() {
        let te = |value: &'static str| HeaderMap::from_iter([(header::TE, HeaderValue::from_static(value))]);
        assert!(takes_trailers(Version::HTTP_11, &te("gzip;q=0.5, Trailers")));
        assert!(!takes_trailers(Version::HTTP_11, &te("gzip")));
        assert!(!takes_trailers(Version::HTTP_10, &te("trailers")));
        assert!(takes_trailers(Version::HTTP_2, &HeaderMap::new()));
        let mut from = HeaderMap::new();
        for name in ["x-checksum", "content-length", "transfer-encoding", "set-cookie", "trailer", "vary"] {
            from.insert(name, HeaderValue::from_static("1"));
        }
        assert_eq!(trailers(&from).keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-checksum"]);
    }

    #[test]
    fn a_list_keeps_what_it_was_and_gains_one_element() {
        let check = |before: &[&[u8]], expected: &[u8]| {
            let (mut from, mut out) = (HeaderMap::new(), HeaderMap::new());
            for line in before {
                from.append(header::VIA, HeaderValue::from_bytes(line).expect("value"));
            }
            append_to_list(from.get_all(header::VIA), header::VIA, "1.1 me", &mut out);
            assert_eq!(out[header::VIA].as_bytes(), expected);
        };
        check(&[], b"1.1 me");
        check(&[b"1.0 a, 1.1 b", b"1.1 c"], b"1.0 a, 1.1 b, 1.1 c, 1.1 me");
        check(&[b"", b" "], b"1.1 me");
        check(&[b"1.1 caf\xe9"], b"1.1 caf\xe9, 1.1 me");
    }

    #[test]
    fn what_connection_names_is_taken_away() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("connection", "origin, connection, no such name"),
            ("x-hop", "1"),
            ("origin", "http://a.test"),
            ("etag", "\"e\""),
        ] {
            headers.append(name, value.parse().expect("value"));
        }
        drop_nominated(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["connection", "etag"]);
    }

    #[test]
    fn nominated_and_well_known_hop_by_hop_headers_stay_behind() {
        let mut from = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("connection", "x-also"),
            ("x-hop", "1"),
            ("x-also", "1"),
            ("te", "trailers"),
            ("etag", "\"e\""),
        ] {
            from.append(name, value.parse().expect("value"));
        }
        let mut to = HeaderMap::new();
        copy(&from, &mut to);
        strip(&mut from);
        assert_eq!(to.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["etag"]);
        assert_eq!(from, to);
    }
}
