//! Requests to be explained: what a viewer would send, checked before an edge is asked about it.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

use super::{
    origin::Scheme,
    violation::{Checker, Violations},
};
use crate::{
    limits::{
        EXPLAIN_HEADERS_BYTES_MAX, EXPLAIN_HEADERS_MAX, EXPLAIN_HOST_BYTES_MAX, EXPLAIN_METHOD_CHARS_MAX,
        EXPLAIN_URL_BYTES_MAX,
    },
    v1,
};

/// A checked request to be explained. Only its form is right: an edge may still refuse it, and its answer will say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The method.
    pub method: Method,
    /// What the viewer names in Host.
    pub host: HeaderValue,
    /// Path and query, beginning with "/".
    pub uri: Uri,
    /// All other headers, in their order.
    pub headers: HeaderMap,
    /// Where the viewer asks from, with port 0 if that is not said; `None`: from nowhere that is known.
    pub viewer_address: Option<SocketAddr>,
    /// By which scheme it comes.
    pub scheme: Scheme,
}

impl Question {
    /// The request as an edge gets it over HTTP/1.1, without a body.
    #[must_use]
    pub fn into_request(self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request.headers_mut().insert(header::HOST, self.host);
        request
    }
}

impl TryFrom<&v1::ExplainRequest> for Question {
    type Error = Violations;

    /// Checks everything and reports everything that is wrong. The edge's id is not looked at.
    fn try_from(wire: &v1::ExplainRequest) -> Result<Self, Violations> {
        let mut found = Violations::default();
        let mut c = Checker::new(&mut found);
        let method = check_method(&wire.method, &mut c.field("method"));
        let host = check_host(&wire.host, &mut c.field("host"));
        let uri = check_url(wire, &mut c);
        let headers = check_headers(&wire.headers, &mut c.field("headers"));
        let viewer_address = check_address(&wire.viewer_address, &mut c.field("viewer_address"));
        let scheme = if wire.https { Scheme::Https } else { Scheme::Http };
        found.into_result(Self { method, host, uri, headers, viewer_address, scheme })
    }
}

fn check_method(wire: &str, c: &mut Checker<'_>) -> Method {
    if wire.is_empty() {
        return Method::GET;
    }
    c.chars_max(wire, EXPLAIN_METHOD_CHARS_MAX);
    Method::from_bytes(wire.as_bytes()).unwrap_or_else(|_| {
        c.violation(format!("{wire:?} is not a method"));
        Method::GET
    })
}

fn check_host(wire: &str, c: &mut Checker<'_>) -> HeaderValue {
    c.ensure(!wire.is_empty(), || "is required: the name that the viewer asks for".into());
    c.ensure(wire.len() <= EXPLAIN_HOST_BYTES_MAX, || {
        format!("has {} bytes; at most {EXPLAIN_HOST_BYTES_MAX} are allowed", wire.len())
    });
    check_value(wire, c).unwrap_or_else(|| HeaderValue::from_static(""))
}

fn check_url(wire: &v1::ExplainRequest, c: &mut Checker<'_>) -> Uri {
    let bytes = wire.path.len() + wire.query.as_ref().map_or(0, |query| query.len() + 1);
    c.field("path").ensure(bytes <= EXPLAIN_URL_BYTES_MAX, || {
        format!("has {bytes} bytes with its query; at most {EXPLAIN_URL_BYTES_MAX} are allowed")
    });
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    let advice = "has characters that no URL has; encode them as %XX";
    c.field("path").ensure(wire.path.starts_with('/'), || "must begin with \"/\"".into());
    let path_is_plain = plain(&wire.path) && !wire.path.contains('?');
    c.field("path").ensure(path_is_plain, || advice.into());
    let query_is_plain = wire.query.as_deref().is_none_or(plain);
    c.field("query").ensure(query_is_plain, || advice.into());
    if !(wire.path.starts_with('/') && path_is_plain && query_is_plain) {
        return Uri::default();
    }
    let query = wire.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", wire.path).parse().unwrap_or_else(|_| {
        c.field("path").violation(advice);
        Uri::default()
    })
}

fn check_headers(wire: &[v1::HeaderField], c: &mut Checker<'_>) -> HeaderMap {
    c.count_max(wire.len(), EXPLAIN_HEADERS_MAX);
    let bytes: usize = wire.iter().map(|field| field.name.len() + field.value.len()).sum();
    c.ensure(bytes <= EXPLAIN_HEADERS_BYTES_MAX, || {
        format!("have {bytes} bytes together; at most {EXPLAIN_HEADERS_BYTES_MAX} are allowed")
    });
    let mut headers = HeaderMap::new();
    for (i, field) in wire.iter().enumerate().take(EXPLAIN_HEADERS_MAX) {
        let mut c = c.index(i);
        let name = field.name.parse::<HeaderName>();
        if name.is_err() {
            c.field("name").violation(format!("{:?} is not a header name", field.name));
        }
        c.field("name").ensure(name.as_ref().ok() != Some(&header::HOST), || {
            "must not be host, which has a field of its own".into()
        });
        if let (Ok(name), Some(value)) = (name, check_value(&field.value, &mut c.field("value"))) {
            headers.append(name, value);
        }
    }
    headers
}

fn check_address(wire: &str, c: &mut Checker<'_>) -> Option<SocketAddr> {
    if wire.is_empty() {
        return None;
    }
    let address = match wire.parse::<IpAddr>() {
        Ok(ip) => Some(SocketAddr::new(ip, 0)),
        Err(_) => wire.parse().ok(),
    };
    c.ensure(address.is_some(), || {
        "is not an address; write an IP address, or one with a port: 192.0.2.1, [2001:db8::1]:4711".into()
    });
    address
}

/// What may stand in a field line (RFC 9110 section 5.5). White space around it is not part of a value and would be lost.
fn check_value(text: &str, c: &mut Checker<'_>) -> Option<HeaderValue> {
    let value = HeaderValue::from_bytes(text.as_bytes());
    c.ensure(value.is_ok(), || "contains control characters; remove them".into());
    let trimmed = text.trim_matches([' ', '\t']).len() == text.len();
    c.ensure(trimmed, || "begins or ends with white space; remove it".into());
    value.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> v1::ExplainRequest {
        v1::ExplainRequest { host: "www.example.com".into(), path: "/a".into(), ..Default::default() }
    }

    fn header(name: &str, value: &str) -> v1::HeaderField {
        v1::HeaderField { name: name.into(), value: value.into() }
    }

    #[test]
    fn a_sound_request_is_what_an_edge_gets() {
        let mut wire = v1::ExplainRequest { query: Some("b=1&c".into()), ..wire() };
        wire.headers = vec![header("Accept", "a"), header("accept", "ü")];
        let request = Question::try_from(&wire).expect("question").into_request();
        assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::GET, "/a?b=1&c"));
        assert_eq!(request.headers()["host"], "www.example.com");
        assert_eq!(request.headers().get_all("accept").iter().count(), 2);
        // An empty query is not the same as none.
        wire.query = Some(String::new());
        assert_eq!(Question::try_from(&wire).expect("question").uri.query(), Some(""));
    }

    #[test]
    fn a_viewer_is_somewhere_or_nowhere() {
        for (text, expected) in [
            ("", None),
            ("192.0.2.1", Some("192.0.2.1:0")),
            ("192.0.2.1:4711", Some("192.0.2.1:4711")),
            ("2001:db8::1", Some("[2001:db8::1]:0")),
            ("[2001:db8::1]:4711", Some("[2001:db8::1]:4711")),
        ] {
            let wire = v1::ExplainRequest { viewer_address: text.into(), https: true, ..wire() };
            let question = Question::try_from(&wire).expect("question");
            assert_eq!(question.viewer_address, expected.map(|text| text.parse().expect("address")));
            assert_eq!(question.scheme, Scheme::Https);
        }
    }

    #[test]
    fn every_violation_names_its_field() {
        let check = |change: &dyn Fn(&mut v1::ExplainRequest), fields: &[&str]| {
            let mut wire = wire();
            change(&mut wire);
            let violations = Question::try_from(&wire).expect_err("violations");
            let named: Vec<&str> = violations.list().iter().map(|v| v.field.as_str()).collect();
            assert_eq!(named, fields, "{violations}");
        };
        check(&|w| w.method = "G T".into(), &["method"]);
        check(&|w| w.method = "X".repeat(EXPLAIN_METHOD_CHARS_MAX + 1), &["method"]);
        check(&|w| w.host.clear(), &["host"]);
        check(&|w| w.host = "a\r\nb".into(), &["host"]);
        check(&|w| w.host = "a".repeat(EXPLAIN_HOST_BYTES_MAX + 1), &["host"]);
        check(&|w| w.path = "a".into(), &["path"]);
        check(&|w| w.path = "/a b".into(), &["path"]);
        check(&|w| w.path = "/ü".into(), &["path"]);
        check(&|w| w.path = "/a?b".into(), &["path"]);
        check(&|w| w.query = Some("a#b".into()), &["query"]);
        check(&|w| w.path = format!("/{}", "a".repeat(EXPLAIN_URL_BYTES_MAX)), &["path"]);
        check(
            &|w| w.headers = vec![header("a", "b"), header("a b", " c")],
            &["headers[1].name", "headers[1].value"],
        );
        check(&|w| w.viewer_address = "example.com".into(), &["viewer_address"]);
        check(&|w| w.headers = vec![header("Host", "b")], &["headers[0].name"]);
        check(&|w| w.headers = vec![header("a", "b\0")], &["headers[0].value"]);
        check(&|w| w.headers = vec![header("a", "b"); EXPLAIN_HEADERS_MAX + 1], &["headers"]);
        check(&|w| w.headers = vec![header("a", &"b".repeat(EXPLAIN_HEADERS_BYTES_MAX))], &["headers"]);
    }

    proptest::proptest! {
        #[test]
        fn no_question_ends_the_process(method: String, host: String, path: String, query: Option<String>, header: (String, String)) {
            let (name, value) = header;
            let headers = vec![v1::HeaderField { name, value }];
            let wire = v1::ExplainRequest { edge_id: String::new(), method, host, path: format!("/{path}"), query, headers, viewer_address: path.clone(), https: false };
            drop(Question::try_from(&wire).map(Question::into_request));
        }
    }
}
