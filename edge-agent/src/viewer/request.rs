//! Admitting requests: what is malformed or hostile is refused, the rest is told by its canonical host, path and query.

use std::borrow::Cow;

use headland_proto::model::HostName;
use http::{HeaderMap, Method, Request, Uri, Version, header};
use percent_encoding::percent_decode_str;

use super::alphabet::Alphabet;
use crate::signing::Denial;

/// Bytes of path and query. CloudFront: 8,192.
pub const URL_BYTES_MAX: usize = 8192;
/// Bytes of request line and headers together. CloudFront: 20,480.
pub const HEAD_BYTES_MAX: usize = 20_480;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Target<'r> {
    /// Host in lower case, without port and trailing dot.
    pub host: Cow<'r, str>,
    /// Path as the viewer sent it, with its leading slash.
    pub path: &'r str,
    /// Query as the viewer sent it, without the question mark.
    pub query: Option<&'r str>,
}

/// Why a request is not served. What a viewer is told stands in `error_page`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No host, several, or one that is not a host name.
    Host,
    /// A path with dot segments or a NUL, or none.
    Path,
    /// Path and query are too long.
    UrlTooLong,
    /// A method that no edge serves.
    Method,
    /// No distribution answers to the host.
    UnknownHost,
    /// The distribution is disabled.
    Disabled,
    /// The distribution does not serve viewers in the country that this one is in.
    Country,
    /// The behavior is for https only, and the viewer came by http.
    HttpsOnly,
    /// The behavior does not allow the method.
    MethodNotAllowed,
    /// A GET with a body (CloudFront guide, "GET requests that include a body").
    UnexpectedBody,
    /// The request has been through this edge before.
    Loop,
    /// The request wants only what is stored, and that cannot answer it (RFC 9111 section 5.2.1.7).
    OnlyIfCached,
    /// It must be signed, and is not as it should be.
    NotSigned(Denial),
}

impl Refusal {
    /// A stable label, for logs and fields.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "bad-host",
            Self::Path => "bad-path",
            Self::UrlTooLong => "url-too-long",
            Self::Method => "method-not-served",
            Self::UnknownHost => "unknown-host",
            Self::Disabled => "distribution-disabled",
            Self::Country => "country",
            Self::HttpsOnly => "https-only",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::UnexpectedBody => "unexpected-body",
            Self::Loop => "loop",
            Self::OnlyIfCached => "only-if-cached",
            Self::NotSigned(denial) => denial.as_str(),
        }
    }
}

/// Checks what every request must fulfil, whatever it is for.
///
/// # Errors
/// The first reason to refuse it.
pub fn admit<B>(request: &Request<B>) -> Result<Target<'_>, Refusal> {
    let uri = request.uri();
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Refusal::Method);
    }
    if uri.path_and_query().map_or(0, |p| p.as_str().len()) > URL_BYTES_MAX {
        return Err(Refusal::UrlTooLong);
    }
    let host = host(uri, request.headers(), request.version())?;
    let path = uri.path();
    if !path.starts_with('/') || has_hostile_segment(path) {
        return Err(Refusal::Path);
    }
    Ok(Target { host, path, query: uri.query() })
}

/// Whether a request names one host (RFC 9112 section 3.2), whatever else it asks for.
pub fn has_host<B>(request: &Request<B>) -> bool {
    host(request.uri(), request.headers(), request.version()).is_ok()
}

/// Host and port as the viewer wrote them; of a request that is admitted.
pub(crate) fn authority<B>(request: &Request<B>) -> &str {
    let field = || request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    request.uri().authority().map_or_else(|| field().unwrap_or_default(), |authority| authority.as_str())
}

/// The host a request is for: the authority of the target if it has one, otherwise the Host header (RFC 9112 section 3.2).
fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap, version: Version) -> Result<Cow<'r, str>, Refusal> {
    let mut fields = headers.get_all(header::HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(Refusal::Host);
    }
    let field = field.map(|value| value.to_str().map_err(|_| Refusal::Host)).transpose()?;
    let authority = match (uri.authority(), field) {
        // In HTTP/2 both are the viewer's word for one thing; two words are one too many (RFC 9113 section 8.3.1).
        (Some(authority), Some(field)) if version == Version::HTTP_2 && authority.as_str() != field => {
            return Err(Refusal::Host);
        }
        // A target in absolute form does not replace the Host field, which HTTP/1.1 demands in any case.
        (Some(_), None) if version == Version::HTTP_11 => return Err(Refusal::Host),
        (Some(authority), _) => authority.as_str(),
        (None, Some(field)) => field,
        (None, None) => return Err(Refusal::Host),
    };
    canonical_host(authority).ok_or(Refusal::Host)
}

/// Without port and trailing dot, in lower case. Allocates only for what is not canonical already.
pub(crate) fn canonical_host(authority: &str) -> Option<Cow<'_, str>> {
    const PLAIN: Alphabet = Alphabet::lowercase_and(b"-._");
    let host = match memchr::memrchr(b':', authority.as_bytes()) {
        Some(colon) if !authority.as_bytes()[colon..].contains(&b']') => {
            let port = &authority[colon + 1..];
            if !port.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            &authority[..colon]
        }
        _ => authority,
    };
    if !host.is_empty() && PLAIN.has_all_of(host.as_bytes()) && !host.ends_with('.') {
        return Some(Cow::Borrowed(host));
    }
    let name: HostName = host.parse().ok()?;
    Some(Cow::Owned(name.as_str().to_owned()))
}

/// Whether a path has a segment "." or "..", or a NUL, plain or encoded, also behind an encoded slash or a backslash. An origin
/// might resolve it to something else than the key says.
pub(crate) fn has_hostile_segment(path: &str) -> bool {
    let bytes = path.as_bytes();
    if !bytes.windows(2).any(|w| w == b"/.") && !bytes.iter().any(|b| matches!(b, b'%' | b'\\')) {
        return false;
    }
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    decoded.contains(&0)
        || decoded.split(|b| matches!(b, b'/' | b'\\')).any(|segment| matches!(segment, b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, hosts: &[&str]) -> Request<()> {
        let mut builder = Request::get(uri);
        for host in hosts {
            builder = builder.header("host", *host);
        }
        builder.body(()).expect("request")
    }

    fn check(uri: &str, hosts: &[&str], expected: Result<(&str, &str, Option<&str>), Refusal>) {
        let request = request(uri, hosts);
        let expected = expected.map(|(host, path, query)| Target { host: host.into(), path, query });
        assert_eq!(admit(&request), expected, "{uri} {hosts:?}");
    }

    #[test]
    fn the_host_is_canonical() {
        check("/a?b", &["example.com"], Ok(("example.com", "/a", Some("b"))));
        check("/a", &["Example.COM:8080"], Ok(("example.com", "/a", None)));
        check("/a", &["example.com."], Ok(("example.com", "/a", None)));
        check("/a", &["127.0.0.1:8080"], Ok(("127.0.0.1", "/a", None)));
        check("/a", &["[::1]:8080"], Ok(("[::1]", "/a", None)));
        check("/a", &["[::1]"], Ok(("[::1]", "/a", None)));
        check("http://abs.example.com/a", &["other"], Ok(("abs.example.com", "/a", None)));
    }

    #[test]
    fn a_host_that_is_none_is_refused() {
        for hosts in [&[][..], &["a", "a"], &[""], &["a b"], &["a:x"], &["user@a"], &["a/b"], &["[::1"]] {
            check("/a", hosts, Err(Refusal::Host));
        }
        check("http://abs.example.com/a", &[], Err(Refusal::Host));
        let mut h2 = request("http://a.example.com/a", &["b.example.com"]);
        *h2.version_mut() = Version::HTTP_2;
        assert_eq!(admit(&h2), Err(Refusal::Host));
    }

    #[test]
    fn hostile_paths_are_refused() {
        for path in [
            "/a/../b",
            "/..",
            "/.",
            "/a/%2e%2E/b",
            "/a/.%2e",
            "/a%00b",
            "/%2E",
            "/a/..%2fb",
            "/%2e%2e%5cb",
            "/a%2F.%2Fb",
        ] {
            check(path, &["a"], Err(Refusal::Path));
        }
        for path in ["/a/...", "/.well-known/x", "/a..b", "/%2ehidden", "/a//b", "/a%2Fb"] {
            check(path, &["a"], Ok(("a", path, None)));
        }
    }

    #[test]
    fn limits_and_methods_are_kept() {
        check(&format!("/{}", "a".repeat(URL_BYTES_MAX)), &["a"], Err(Refusal::UrlTooLong));
        let mut trace = request("/a", &["a"]);
        *trace.method_mut() = Method::TRACE;
        assert_eq!(admit(&trace), Err(Refusal::Method));
    }
}
