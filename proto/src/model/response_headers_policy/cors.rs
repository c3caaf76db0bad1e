//! What a response headers policy says of cross-origin requests.

use std::time::Duration;

use http::HeaderValue;

use crate::{
    limits::{CORS_MAX_AGE_MAX, CORS_NAMES_MAX, CORS_ORIGIN_CHARS_MAX},
    model::{selection::check_header_names, violation::Checker},
    v1,
};

/// What other origins' scripts may do (Fetch standard, "CORS protocol").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Which origins.
    pub origins: Origins,
    /// Access-Control-Allow-Credentials.
    pub credentials: bool,
    /// Access-Control-Expose-Headers.
    pub expose_headers: Option<HeaderValue>,
    /// Access-Control-Allow-Methods, of preflights.
    pub methods: HeaderValue,
    /// Access-Control-Allow-Headers, of preflights.
    pub headers: Option<HeaderValue>,
    /// Access-Control-Max-Age, of preflights.
    pub max_age: Option<HeaderValue>,
    /// Whether this holds whatever the origin says.
    pub origin_override: bool,
}

/// Which origins are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// All of them.
    All,
    /// Those that match one of these.
    Listed(Vec<OriginPattern>),
}

impl Origins {
    /// Whether the value of an Origin header is allowed. "null" (RFC 6454 section 7.3) only where all are.
    #[must_use]
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Self::All => true,
            Self::Listed(patterns) => patterns.iter().any(|pattern| pattern.matches(origin)),
        }
    }
}

/// An allowed origin: scheme, host and port, of which the host may begin with "*" and the port be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    /// In lower case; `None` is any.
    scheme: Option<String>,
    /// In lower case; what follows "*" if there is one.
    host: String,
    any_subdomain: bool,
    port: Port,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Port {
    /// The scheme's own, which an Origin does not name.
    Usual,
    Any,
    This(String),
}

impl OriginPattern {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (scheme, rest) = match text.split_once("://") {
            None => (None, text.as_str()),
            Some(("*", rest)) => (None, rest),
            Some((scheme, rest)) => (Some(scheme.to_owned()), rest),
        };
        let (host, port) = split_port(rest);
        let port = match port {
            None => Port::Usual,
            Some("*") => Port::Any,
            Some(port) => Port::This(port.parse::<u16>().ok().filter(|n| *n > 0)?.to_string()),
        };
        let (host, any_subdomain) = match host.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (host, false),
        };
        let legal = |text: &str, more: &[u8]| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
        };
        let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match in_brackets {
            Some(address) => !any_subdomain && address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => legal(host, b"-._"),
        };
        let scheme_legal = scheme.as_deref().is_none_or(|scheme| legal(scheme, b"+-."));
        (is_host && scheme_legal).then(|| Self { scheme, host: host.to_owned(), any_subdomain, port })
    }

    /// Whether an Origin is one of these. Letters match in either case, as hosts do.
    #[must_use]
    pub fn matches(&self, origin: &str) -> bool {
        let Some((scheme, rest)) = origin.split_once("://") else { return false };
        let (host, port) = split_port(rest);
        let port_matches = match &self.port {
            Port::Usual => port.is_none(),
            Port::Any => port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())),
            Port::This(wanted) => port == Some(wanted),
        };
        port_matches
            && self.scheme.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(scheme))
            && self.host_matches(host)
    }

    fn host_matches(&self, host: &str) -> bool {
        if !self.any_subdomain {
            return host.eq_ignore_ascii_case(&self.host);
        }
        let Some(at) = host.len().checked_sub(self.host.len()) else { return false };
        let (Some(sub), Some(domain)) = (host.get(..at), host.get(at..)) else { return false };
        let is_name = |sub: &str| sub.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        domain.eq_ignore_ascii_case(&self.host) && sub.len() > 1 && sub.ends_with('.') && is_name(sub)
    }
}

/// Host and port, which an address in brackets does not confuse.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

pub(super) fn check(wire: &v1::Cors, c: &mut Checker<'_>) -> Cors {
    let any = |names: &[String]| names.iter().any(|name| name == "*");
    if wire.allow_credentials {
        let lists = [
            ("allow_origins", &wire.allow_origins),
            ("allow_headers", &wire.allow_headers),
            ("expose_headers", &wire.expose_headers),
        ];
        for (field, _) in lists.into_iter().filter(|(_, names)| any(names)) {
            c.field(field)
                .violation("must not be \"*\" together with allow_credentials: browsers refuse that");
        }
        let all = wire.allow_methods.iter().any(|method| method == "*");
        c.field("allow_methods").ensure(!all, || "has no \"*\"; use ALL".into());
    }
    Cors {
        origins: check_origins(&wire.allow_origins, &mut c.field("allow_origins")),
        credentials: wire.allow_credentials,
        expose_headers: check_headers(&wire.expose_headers, &mut c.field("expose_headers")),
        methods: check_methods(&wire.allow_methods, &mut c.field("allow_methods")),
        headers: check_headers(&wire.allow_headers, &mut c.field("allow_headers")),
        max_age: wire.max_age.as_ref().and_then(|max_age| {
            let range = (Duration::ZERO, CORS_MAX_AGE_MAX);
            super::whole_seconds(Some(max_age), range, &mut c.field("max_age"))
        }),
        origin_override: wire.origin_override,
    }
}

fn check_origins(wire: &[String], c: &mut Checker<'_>) -> Origins {
    c.ensure(!wire.is_empty(), || "is required: \"*\", or the origins that are allowed".into());
    c.count_max(wire.len(), CORS_NAMES_MAX);
    if let [only] = wire
        && only == "*"
    {
        return Origins::All;
    }
    let mut patterns = Vec::with_capacity(wire.len());
    for (i, text) in wire.iter().enumerate() {
        let mut c = c.index(i);
        c.chars_max(text, CORS_ORIGIN_CHARS_MAX);
        match OriginPattern::parse(text) {
            _ if text == "*" => c.violation("must stand alone: \"*\" allows all origins"),
            None => c.violation(format!(
                "{text:?} is not an origin; write https://www.example.com, https://*.example.com or http://localhost:*"
            )),
            Some(pattern) => patterns.push(pattern),
        }
    }
    Origins::Listed(patterns)
}

fn check_methods(wire: &[String], c: &mut Checker<'_>) -> HeaderValue {
    c.ensure(!wire.is_empty(), || format!("is required: ALL, or some of {}", METHODS.join(" ")));
    if let [only] = wire
        && only == "ALL"
    {
        return joined(METHODS);
    }
    for (i, method) in wire.iter().enumerate() {
        let known = METHODS.contains(&method.as_str());
        c.index(i)
            .ensure(known, || format!("{method:?} is not one of {}, nor ALL by itself", METHODS.join(" ")));
        c.index(i).ensure(!wire[..i].contains(method), || format!("{method} is named twice"));
    }
    joined(wire)
}

/// A list of header names, or "*".
fn check_headers(wire: &[String], c: &mut Checker<'_>) -> Option<HeaderValue> {
    match wire {
        [] => None,
        [only] if only == "*" => Some(HeaderValue::from_static("*")),
        names => {
            let names = check_header_names(names, CORS_NAMES_MAX, |_| None, c);
            Some(joined(&names.iter().map(http::HeaderName::as_str).collect::<Vec<_>>()))
        }
    }
}

fn joined(names: &[impl AsRef<str>]) -> HeaderValue {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    // Names that have been checked are visible ASCII; of others a violation tells.
    HeaderValue::from_str(&names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_match_as_they_are_written() {
        let yes = [
            ("https://www.example.com", "https://www.example.com"),
            ("https://www.example.com", "HTTPS://WWW.Example.com"),
            ("https://*.example.com", "https://a.example.com"),
            ("https://*.example.com", "https://a.b-c.example.com"),
            ("*.example.com", "http://a.example.com"),
            ("*://example.com", "http://example.com"),
            ("example.com", "https://example.com"),
            ("http://localhost:*", "http://localhost:3000"),
            ("http://localhost:*", "http://localhost"),
            ("https://example.com:8443", "https://example.com:8443"),
            ("http://[::1]:*", "http://[::1]:80"),
            ("app-scheme://x", "app-scheme://x"),
        ];
        for (pattern, origin) in yes {
            let pattern = OriginPattern::parse(pattern).expect(pattern);
            assert!(pattern.matches(origin), "{pattern:?} {origin}");
        }
        let no = [
            ("https://www.example.com", "http://www.example.com"),
            ("https://www.example.com", "https://www.example.com:444"),
            ("https://www.example.com", "https://www.example.com.evil.test"),
            ("https://*.example.com", "https://example.com"),
            ("https://*.example.com", "https://.example.com"),
            ("https://*.example.com", "https://evilexample.com"),
            ("https://*.example.com", "https://a/b.example.com"),
            ("https://*.example.com", "https://evil.test:1.example.com"),
            ("https://*.example.com", "https://a@b.example.com"),
            ("http://localhost:*", "http://localhost:"),
            ("http://localhost:*", "http://localhost:a"),
            ("https://example.com", "null"),
            ("https://*.example.com", "https://\u{e9}.example.com"),
        ];
        for (pattern, origin) in no {
            let pattern = OriginPattern::parse(pattern).expect(pattern);
            assert!(!pattern.matches(origin), "{pattern:?} {origin}");
        }
        for bad in
            ["", "https://", "https://a b", "https://a/b", "*", "a.*.com", "http://a:0", "http://a:x", "*.*"]
        {
            assert_eq!(OriginPattern::parse(bad), None, "{bad}");
        }
        assert!(Origins::All.allow("null"));
    }
}
