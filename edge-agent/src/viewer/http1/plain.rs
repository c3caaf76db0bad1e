//! Plain requests: a GET of which nothing counts but host, path and query, told apart from all others by the bytes of its head.

use std::{borrow::Cow, mem::MaybeUninit};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, uri::PathAndQuery};
use httparse::{Header, Request, Status};

use crate::viewer::{
    alphabet::Alphabet,
    request::{self, HEAD_BYTES_MAX, Target, URL_BYTES_MAX},
};

/// Header fields a plain request may have: more than any browser sends. A request with more of them is not plain.
const HEADERS_MAX: usize = 48;

/// What has come of a request so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received<'b> {
    /// Not the whole head.
    Part,
    /// A plain request, whose head has this length.
    Plain(Plain<'b>, usize),
    /// Another request without a body, whose head has this length.
    Other(usize),
    /// What cannot be delimited by its head alone: it has a body, is not HTTP/1.1, is too large, or is malformed.
    Unclear,
}

/// A GET whose answer depends, beside the target, on these at most.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plain<'b> {
    pub(crate) target: Target<'b>,
    /// It has cookies, which are part of some keys.
    pub(crate) has_cookies: bool,
    /// It has Cache-Control or Pragma, which some policies obey.
    pub(crate) has_directives: bool,
    /// Its Accept-Encoding, which some policies key by.
    pub(crate) accept_encoding: Option<&'b [u8]>,
    /// Its Origin, which some policies answer.
    pub(crate) origin: Option<&'b [u8]>,
    /// Its last X-Forwarded-Proto, which trusted proxies are believed.
    pub(crate) forwarded_proto: Option<&'b [u8]>,
}

/// What a header field means for the way a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// None, unless a policy keys by it or a response varies on it.
    None,
    Host,
    Cookie,
    Directive,
    AcceptEncoding,
    Origin,
    ForwardedProto,
    Connection,
    /// It changes the answer, or where it comes from.
    Answer,
    /// There may be a body, or bytes of another protocol.
    Framing,
}

/// Reads what has come.
pub(crate) fn read(bytes: &[u8]) -> Received<'_> {
    let mut headers = [MaybeUninit::<Header<'_>>::uninit(); HEADERS_MAX];
    let mut request = Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
        Ok(Status::Complete(_)) => return Received::Unclear,
        Ok(Status::Partial) => return Received::Part,
        Err(_) => return Received::Unclear,
    };
    let (Some(method), Some(target), Some(1)) = (request.method, request.path, request.version) else {
        return Received::Unclear;
    };
    let mut plain = method == "GET";
    let (mut host, mut has_cookies, mut has_directives) = (None, false, false);
    let (mut accept_encoding, mut origin, mut forwarded_proto) = (None, None, None);
    for header in request.headers.iter() {
        match effect(header.name) {
            Effect::None => {}
            Effect::Host => plain &= host.replace(header.value).is_none(),
            Effect::Cookie => has_cookies = true,
            Effect::Directive => has_directives = true,
            // Several lines are seldom, and left to those who read them all.
            Effect::AcceptEncoding => plain &= accept_encoding.replace(header.value).is_none(),
            Effect::Origin => plain &= origin.replace(header.value).is_none(),
            Effect::ForwardedProto => forwarded_proto = Some(header.value),
            Effect::Connection => plain &= header.value.eq_ignore_ascii_case(b"keep-alive"),
            Effect::Answer => plain = false,
            Effect::Framing => return Received::Unclear,
        }
    }
    if method == "CONNECT" {
        return Received::Unclear;
    }
    match host.filter(|_| plain).and_then(|host| plain_target(target, host)) {
        Some(target) => {
            let plain =
                Plain { target, has_cookies, has_directives, accept_encoding, origin, forwarded_proto };
            Received::Plain(plain, length)
        }
        None => Received::Other(length),
    }
}

/// The whole of a plain request, whose head this is.
pub(crate) fn request(head: &Bytes) -> Option<http::Request<()>> {
    let mut fields = [MaybeUninit::<Header<'_>>::uninit(); HEADERS_MAX];
    let mut parsed = Request::new(&mut []);
    parsed.parse_with_uninit_headers(head, &mut fields).ok()?;
    let target = PathAndQuery::from_maybe_shared(head.slice_ref(parsed.path?.as_bytes())).ok()?;
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers.iter() {
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value)).ok()?;
        headers.append(HeaderName::from_bytes(field.name.as_bytes()).ok()?, value);
    }
    // A GET over HTTP/1.1, as every plain request is.
    let mut request = http::Request::new(());
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = headers;
    Some(request)
}

/// The target, if it needs neither refusal nor interpretation.
fn plain_target<'b>(target: &'b str, host: &'b [u8]) -> Option<Target<'b>> {
    if !target.starts_with('/') || target.len() > URL_BYTES_MAX || !PLAIN.has_all_of(target.as_bytes()) {
        return None;
    }
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let host = request::canonical_host(std::str::from_utf8(host).ok()?)?;
    (matches!(host, Cow::Borrowed(_)) && !request::has_hostile_segment(path)).then_some(Target {
        host,
        path,
        query,
    })
}

/// What RFC 3986 allows in path and query, and no more: all else is left to those who know how to refuse it.
const PLAIN: Alphabet = Alphabet::alphanumeric_and(b"-._~!$&'()*+,;=:@/?%");

/// What a header field of this name means. Whatever the pipeline looks at in a request for an object must be named here.
fn effect(name: &str) -> Effect {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match name.len() {
        2 if is("te") => Effect::Answer,
        3 if is("via") => Effect::Answer,
        4 if is("host") => Effect::Host,
        5 if is("range") => Effect::Answer,
        6 if is("cookie") => Effect::Cookie,
        6 if is("pragma") => Effect::Directive,
        6 if is("origin") => Effect::Origin,
        6 if is("expect") => Effect::Framing,
        7 if is("upgrade") || is("trailer") => Effect::Framing,
        8 if is("if-match") || is("if-range") || is("cdn-loop") => Effect::Answer,
        10 if is("connection") => Effect::Connection,
        12 if is("max-forwards") => Effect::Answer,
        13 if is("cache-control") => Effect::Directive,
        13 if is("if-none-match") || is("authorization") => Effect::Answer,
        14 if is("headland-debug") => Effect::Answer,
        14 if is("content-length") => Effect::Framing,
        15 if is("accept-encoding") => Effect::AcceptEncoding,
        17 if is("x-forwarded-proto") => Effect::ForwardedProto,
        17 if is("if-modified-since") => Effect::Answer,
        17 if is("transfer-encoding") => Effect::Framing,
        19 if is("if-unmodified-since") => Effect::Answer,
        _ => Effect::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain<'b>(host: &'b str, path: &'b str, query: Option<&'b str>) -> Plain<'b> {
        let target = Target { host: Cow::Borrowed(host), path, query };
        Plain {
            target,
            has_cookies: false,
            has_directives: false,
            accept_encoding: None,
            origin: None,
            forwarded_proto: None,
        }
    }

    fn check(head: &str, expected: Received<'_>) {
        assert_eq!(read(head.as_bytes()), expected, "{head:?}");
    }

    #[test]
    fn a_browsers_get_is_plain() {
        let head = "GET /a/b.css?v=1 HTTP/1.1\r\nHost: cdn.test\r\nConnection: keep-alive\r\nUser-Agent: x\r\n\
                    Accept: */*\r\nAccept-Encoding: gzip, br\r\nSec-Fetch-Mode: no-cors\r\n\r\n";
        let expected = || {
            let accept_encoding = Some(&b"gzip, br"[..]);
            Received::Plain(
                Plain { accept_encoding, ..plain("cdn.test", "/a/b.css", Some("v=1")) },
                head.len(),
            )
        };
        check(head, expected());
        let two = format!("{head}GET /next");
        check(&two, expected());
        for end in 0..head.len() {
            check(&head[..end], Received::Part);
        }
    }

    #[test]
    fn the_whole_of_a_plain_request_is_what_was_sent() {
        let head = Bytes::from_static(b"GET /a?b HTTP/1.1\r\nHost: a\r\nX-Y: 1 \r\nx-y: 2\r\n\r\n");
        let request = request(&head).expect("request");
        assert_eq!((request.method().as_str(), request.uri().to_string()), ("GET", "/a?b".to_owned()));
        assert_eq!((request.version(), request.headers().len()), (http::Version::HTTP_11, 3));
        assert_eq!(request.headers().get_all("x-y").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(request.headers()["host"], "a");
    }

    #[test]
    fn cookies_and_directives_are_noted() {
        let head = "GET / HTTP/1.1\r\nhost: a\r\ncookie: a=b\r\ncache-control: no-cache\r\n\r\n";
        let expected = Plain { has_cookies: true, has_directives: true, ..plain("a", "/", None) };
        check(head, Received::Plain(expected, head.len()));
    }

    #[test]
    fn what_changes_the_answer_is_not_plain() {
        for field in [
            "range: bytes=0-1",
            "If-None-Match: \"a\"",
            "if-match: *",
            "if-modified-since: x",
            "if-unmodified-since: x",
            "if-range: x",
            "authorization: x",
            "cdn-loop: x",
            "via: 1.1 x",
            "te: trailers",
            "max-forwards: 1",
            "headland-debug: 1",
            "connection: close",
            "connection: keep-alive, x",
            "host: b",
            "accept-encoding: br\r\naccept-encoding: gzip",
            "origin: http://a\r\norigin: http://b",
        ] {
            let head = format!("GET / HTTP/1.1\r\nhost: a\r\n{field}\r\n\r\n");
            check(&head, Received::Other(head.len()));
        }
        for start in ["HEAD / HTTP/1.1", "POST / HTTP/1.1", "GET http://a/ HTTP/1.1", "OPTIONS * HTTP/1.1"] {
            let head = format!("{start}\r\nhost: a\r\n\r\n");
            check(&head, Received::Other(head.len()));
        }
    }

    #[test]
    fn an_odd_target_or_host_is_not_plain() {
        for target in ["/a/../b", "/%2e%2e", "/a%00", "/a\"b", "/a{b}", "/a#b", "/a\\b", "/\u{e9}"] {
            let head = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
            assert!(!matches!(read(head.as_bytes()), Received::Plain(..)), "{target}");
        }
        for host in ["", "A", "a.", "a b", "a:x", "[::1"] {
            let head = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
            check(&head, Received::Other(head.len()));
        }
        let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(URL_BYTES_MAX));
        check(&long, Received::Other(long.len()));
        let none = "GET / HTTP/1.1\r\naccept: a\r\n\r\n";
        check(none, Received::Other(none.len()));
    }

    #[test]
    fn what_its_head_does_not_delimit_is_unclear() {
        for head in [
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\r\n",
            "GET / HTTP/1.0\r\nhost: a\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
            "\0",
        ] {
            check(head, Received::Unclear);
        }
        let large = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(HEAD_BYTES_MAX));
        check(&large, Received::Unclear);
        let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(HEADERS_MAX));
        check(&many, Received::Unclear);
    }
}
