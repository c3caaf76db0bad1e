//! Origins: where objects come from.

use std::{sync::Arc, time::Duration};

use http::{
    HeaderName, HeaderValue, Uri,
    uri::{Authority, PathAndQuery},
};

use super::{
    host_name::HostName,
    origin_tls::{self, OriginTls},
    violation::Checker,
};
use crate::{
    limits::{
        BUCKET_CHARS, CONNECTION_ATTEMPTS_MAX, CONNECTION_TIMEOUT, CUSTOM_HEADER_NAME_CHARS_MAX,
        CUSTOM_HEADER_VALUE_CHARS_MAX, CUSTOM_HEADERS_CHARS_MAX, CUSTOM_HEADERS_MAX, HEALTH_CHECK_INTERVAL,
        HEALTH_CHECK_PATH_CHARS_MAX, KEEPALIVE_TIMEOUT, LOCATION_CHARS_MAX, ORIGIN_ID_CHARS_MAX,
        ORIGIN_PATH_CHARS_MAX, RESPONSE_COMPLETION_TIMEOUT, RESPONSE_TIMEOUT,
    },
    v1,
};

/// A checked origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Unique within the distribution.
    pub id: String,
    /// Empty, or begins with "/" and does not end with one.
    pub path: String,
    /// Sent with every request, in place of a viewer's header of the same name.
    pub custom_headers: Vec<(HeaderName, HeaderValue)>,
    /// Tries to connect before giving up.
    pub connection_attempts: u32,
    /// Time for one such try.
    pub connection_timeout: Duration,
    /// Longest silence while waiting for the head or for more of the body.
    pub response_timeout: Duration,
    /// Longest time for a request and its complete response.
    pub completion_timeout: Option<Duration>,
    /// How long an idle connection is kept.
    pub keepalive_timeout: Duration,
    /// How HTTPS connections are made; unset: as they are made to any server.
    pub tls: Option<Arc<OriginTls>>,
    /// When HTTP/2 is used.
    pub http2: Http2,
    /// What kind of server it is.
    pub kind: OriginKind,
    /// What it is asked from time to time, to see how it is.
    pub health_check: Option<HealthCheck>,
    /// The location whose edges alone ask it, as long as one of them can be reached.
    pub shield: Option<String>,
}

/// What kind of server an origin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginKind {
    /// A bucket.
    S3(S3Origin),
    /// An HTTP server.
    Custom(CustomOrigin),
}

/// A question that an origin is asked from time to time, to see how it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HealthCheck {
    /// Path and query, the origin's own path included.
    pub path: PathAndQuery,
    /// From one question to the next, more or less.
    pub interval: Duration,
}

/// How a connection to an origin is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Cleartext.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// "http" or "https".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A bucket on Amazon S3 or any server that speaks its protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Origin {
    /// Name of the bucket.
    pub bucket: String,
    /// Used for signing.
    pub region: String,
    /// How the endpoint is reached.
    pub scheme: Scheme,
    /// Host and port of the endpoint, without the bucket.
    pub endpoint: Authority,
    /// Whether the bucket stands in the path and not in the host name.
    pub path_style: bool,
    /// Which requests are signed.
    pub signing: Signing,
    /// Profile of the edge's AWS files; unset: the default chain.
    pub credentials_profile: Option<String>,
}

/// Which requests to a bucket are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signing {
    /// None.
    Never,
    /// All but those that reach it with the viewer's Authorization.
    NoOverride,
    /// All.
    Always,
}

/// When an origin is asked in HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http2 {
    /// Never, but for gRPC.
    Off,
    /// Over TLS, if it offers it.
    WhereOffered,
    /// Always.
    Always,
}

/// An HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomOrigin {
    /// How connections are made; unset: as the viewer's is.
    pub scheme: Option<Scheme>,
    /// Name or address.
    pub host: HostName,
    /// Port for HTTP.
    pub http_port: u16,
    /// Port for HTTPS.
    pub https_port: u16,
}

impl CustomOrigin {
    /// How a connection is made for a viewer whose own is of this scheme.
    #[must_use]
    pub fn scheme_for(&self, viewer: Scheme) -> Scheme {
        self.scheme.unwrap_or(viewer)
    }

    /// Host and port as they stand in a Host header, for a viewer of this scheme: without the port if it is the scheme's own.
    #[must_use]
    pub fn authority_for(&self, viewer: Scheme) -> String {
        match (self.scheme_for(viewer), self.http_port, self.https_port) {
            (Scheme::Http, 80, _) | (Scheme::Https, _, 443) => self.host.to_string(),
            (Scheme::Http, port, _) | (Scheme::Https, _, port) => format!("{}:{port}", self.host),
        }
    }
}

impl Origin {
    /// Whether connections are made with TLS, for any viewer or for some.
    #[must_use]
    pub fn uses_tls(&self) -> bool {
        match &self.kind {
            OriginKind::S3(s3) => s3.scheme == Scheme::Https,
            OriginKind::Custom(custom) => custom.scheme != Some(Scheme::Http),
        }
    }

    /// Whether connections are made with TLS for all viewers.
    #[must_use]
    pub fn always_uses_tls(&self) -> bool {
        match &self.kind {
            OriginKind::S3(s3) => s3.scheme == Scheme::Https,
            OriginKind::Custom(custom) => custom.scheme == Some(Scheme::Https),
        }
    }

    /// Whether it can be asked in HTTP/2 for all viewers.
    #[must_use]
    pub fn can_speak_http2(&self) -> bool {
        let custom = matches!(self.kind, OriginKind::Custom(_));
        custom && (self.always_uses_tls() || self.http2 == Http2::Always)
    }
}

pub(super) fn check(wire: &v1::Origin, c: &mut Checker<'_>) -> Option<Origin> {
    let mut id = c.field("id");
    id.ensure(!wire.id.is_empty(), || "is required; cache behaviors refer to the origin by it".into());
    id.chars_max(&wire.id, ORIGIN_ID_CHARS_MAX);
    id.printable(&wire.id);
    check_path(&wire.origin_path, &mut c.field("origin_path"));
    let attempts = match wire.connection_attempts {
        0 => CONNECTION_ATTEMPTS_MAX,
        n => n,
    };
    c.field("connection_attempts").ensure(attempts <= CONNECTION_ATTEMPTS_MAX, || {
        format!("must be between 1 and {CONNECTION_ATTEMPTS_MAX}")
    });
    let custom_headers = check_custom_headers(&wire.custom_headers, &mut c.field("custom_headers"));
    let seconds = Duration::from_secs;
    let connection_timeout = c.field("connection_timeout").duration(
        wire.connection_timeout.as_ref(),
        CONNECTION_TIMEOUT,
        seconds(10),
    );
    let response_timeout =
        c.field("response_timeout").duration(wire.response_timeout.as_ref(), RESPONSE_TIMEOUT, seconds(30));
    let keepalive_timeout =
        c.field("keepalive_timeout").duration(wire.keepalive_timeout.as_ref(), KEEPALIVE_TIMEOUT, seconds(5));
    let shield = wire.origin_shield.as_ref().map(|shield| {
        let (mut c, location) = (c.field("origin_shield"), &shield.location);
        let mut c = c.field("location");
        c.ensure(!location.is_empty(), || {
            "is required: the location of the edges that ask the origin".into()
        });
        c.chars_max(location, LOCATION_CHARS_MAX);
        c.printable(location);
        location.clone()
    });
    let health_check = wire
        .health_check
        .as_ref()
        .and_then(|check| check_health(check, &wire.origin_path, &mut c.field("health_check")));
    c.field("health_check")
        .ensure(wire.health_check.is_none() || !matches!(wire.kind, Some(v1::origin::Kind::S3(_))), || {
            "is for custom origins: a bucket is checked when it arrives".into()
        });
    let completion_timeout =
        check_completion(wire, response_timeout, &mut c.field("response_completion_timeout"));
    let tls = wire.tls.as_ref().map(|tls| Arc::new(origin_tls::check(tls, &mut c.field("tls"))));
    let http2 = match v1::origin::Http2::try_from(wire.http2) {
        Ok(v1::origin::Http2::Unspecified | v1::origin::Http2::Off) => Http2::Off,
        Ok(v1::origin::Http2::WhereOffered) => Http2::WhereOffered,
        Ok(v1::origin::Http2::Always) => Http2::Always,
        Err(_) => {
            c.field("http2").violation("is unknown; use OFF, WHERE_OFFERED or ALWAYS");
            Http2::Off
        }
    };
    let kind = match &wire.kind {
        Some(v1::origin::Kind::S3(s3)) => check_s3(s3, &mut c.field("s3")).map(OriginKind::S3),
        Some(v1::origin::Kind::Custom(custom)) => {
            check_custom(custom, &mut c.field("custom")).map(OriginKind::Custom)
        }
        None => {
            c.field("kind").violation("is missing: set s3 or custom");
            None
        }
    };
    let origin = Origin {
        id: wire.id.clone(),
        path: wire.origin_path.clone(),
        custom_headers,
        connection_attempts: attempts,
        connection_timeout,
        response_timeout,
        completion_timeout,
        keepalive_timeout,
        tls,
        http2,
        kind: kind?,
        health_check,
        shield,
    };
    c.field("tls").ensure(origin.tls.is_none() || origin.uses_tls(), || {
        "has no meaning for an origin that is reached over HTTP; remove it, or use HTTPS".into()
    });
    c.field("http2")
        .ensure(origin.http2 == Http2::Off || matches!(origin.kind, OriginKind::Custom(_)), || {
            "must be OFF for a bucket, whose protocol is HTTP/1.1".into()
        });
    c.field("http2").ensure(origin.http2 != Http2::WhereOffered || origin.uses_tls(), || {
        "can only be offered over HTTPS; use HTTPS, or ALWAYS".into()
    });
    Some(origin)
}

fn check_health(wire: &v1::HealthCheck, origin_path: &str, c: &mut Checker<'_>) -> Option<HealthCheck> {
    let interval =
        c.field("interval").duration(wire.interval.as_ref(), HEALTH_CHECK_INTERVAL, Duration::from_secs(10));
    let path = if wire.path.is_empty() { "/" } else { &wire.path };
    let mut c = c.field("path");
    c.chars_max(path, HEALTH_CHECK_PATH_CHARS_MAX);
    let parsed = PathAndQuery::try_from(format!("{origin_path}{path}")).ok();
    c.ensure(path.starts_with('/') && parsed.is_some() && !path.contains('#'), || {
        format!("{path:?} is not a path; write /healthz")
    });
    Some(HealthCheck { path: parsed?, interval })
}

fn check_completion(wire: &v1::Origin, response_timeout: Duration, c: &mut Checker<'_>) -> Option<Duration> {
    let timeout = wire.response_completion_timeout.as_ref()?;
    let timeout = c.duration(Some(timeout), RESPONSE_COMPLETION_TIMEOUT, RESPONSE_COMPLETION_TIMEOUT.1);
    c.ensure(timeout >= response_timeout, || {
        format!("must be at least the response timeout, {} s", response_timeout.as_secs())
    });
    Some(timeout)
}

fn check_path(path: &str, c: &mut Checker<'_>) {
    if path.is_empty() {
        return;
    }
    c.chars_max(path, ORIGIN_PATH_CHARS_MAX);
    c.ensure(path.starts_with('/'), || "must begin with \"/\"".into());
    c.ensure(!path.ends_with('/'), || "must not end with \"/\"; requests bring their own".into());
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\\"<>^`{|}".contains(&b));
    c.ensure(plain && path.parse::<Uri>().is_ok(), || {
        "must be a plain URL path; encode other characters as %XX".into()
    });
}

fn check_custom_headers(wire: &[v1::CustomHeader], c: &mut Checker<'_>) -> Vec<(HeaderName, HeaderValue)> {
    c.count_max(wire.len(), CUSTOM_HEADERS_MAX);
    let chars: usize = wire.iter().map(|h| h.name.len() + h.value.len()).sum();
    c.ensure(chars <= CUSTOM_HEADERS_CHARS_MAX, || {
        format!("have {chars} characters together; at most {CUSTOM_HEADERS_CHARS_MAX} are allowed")
    });
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (i, header) in wire.iter().enumerate() {
        let mut c = c.index(i);
        c.field("name").chars_max(&header.name, CUSTOM_HEADER_NAME_CHARS_MAX);
        c.field("value").chars_max(&header.value, CUSTOM_HEADER_VALUE_CHARS_MAX);
        let name = header.name.parse::<HeaderName>();
        let value = HeaderValue::from_str(&header.value);
        match &name {
            Err(_) => c.field("name").violation(format!("{:?} is not a header name", header.name)),
            Ok(name) if header_is_reserved(name) => {
                c.field("name")
                    .violation(format!("{name} is set by the edge itself and cannot be a custom header"));
            }
            Ok(name) if headers.iter().any(|(n, _)| n == name) => {
                c.field("name").violation(format!("{name} is set twice"));
            }
            Ok(_) => {}
        }
        if value.is_err() {
            c.field("value")
                .violation("contains characters that a header cannot carry; use visible ASCII and spaces");
        }
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.push((name, value));
        }
    }
    headers
}

/// CloudFront guide, "Custom headers that CloudFront can't add to origin requests".
fn header_is_reserved(name: &HeaderName) -> bool {
    const RESERVED: &[&str] = &[
        "cache-control",
        "cdn-loop",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "max-forwards",
        "pragma",
        "range",
        "request-range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-real-ip",
    ];
    let name = name.as_str();
    RESERVED.contains(&name) || ["proxy-", "x-amz-", "x-edge-"].iter().any(|prefix| name.starts_with(prefix))
}

fn check_s3(wire: &v1::S3Origin, c: &mut Checker<'_>) -> Option<S3Origin> {
    let mut bucket = c.field("bucket");
    let (min, max) = BUCKET_CHARS;
    let legal =
        wire.bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
    let edges_legal = wire.bucket.starts_with(|ch: char| ch.is_ascii_alphanumeric())
        && wire.bucket.ends_with(|ch: char| ch.is_ascii_alphanumeric());
    bucket.ensure(
        (min..=max).contains(&wire.bucket.len()) && legal && edges_legal && !wire.bucket.contains(".."),
        || {
            format!(
                "{:?} is not a bucket name: {min} to {max} characters of a-z, 0-9, \"-\" and \".\"",
                wire.bucket
            )
        },
    );
    let region = if wire.region.is_empty() { "us-east-1" } else { &wire.region };
    let region_legal =
        region.len() <= 64 && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    c.field("region")
        .ensure(region_legal, || format!("{region:?} is not a region, such as \"eu-central-1\""));
    let signing = match v1::s3_origin::Signing::try_from(wire.signing) {
        Ok(v1::s3_origin::Signing::Unspecified | v1::s3_origin::Signing::Always) => Signing::Always,
        Ok(v1::s3_origin::Signing::Never) => Signing::Never,
        Ok(v1::s3_origin::Signing::NoOverride) => Signing::NoOverride,
        Err(_) => {
            c.field("signing").violation("is unknown; use ALWAYS, NO_OVERRIDE or NEVER");
            Signing::Always
        }
    };
    let mut profile = c.field("credentials_profile");
    profile.chars_max(&wire.credentials_profile, 128);
    profile.printable(&wire.credentials_profile);
    profile.ensure(signing != Signing::Never || wire.credentials_profile.is_empty(), || {
        "must be empty when signing is NEVER".into()
    });
    let endpoint = if wire.endpoint.is_empty() {
        format!("https://s3.{region}.amazonaws.com")
    } else {
        wire.endpoint.clone()
    };
    let (scheme, endpoint) = check_endpoint(&endpoint, &mut c.field("endpoint"))?;
    Some(S3Origin {
        bucket: wire.bucket.clone(),
        region: region.to_owned(),
        scheme,
        endpoint,
        path_style: wire.path_style,
        signing,
        credentials_profile: Some(wire.credentials_profile.clone()).filter(|p| !p.is_empty()),
    })
}

fn check_endpoint(endpoint: &str, c: &mut Checker<'_>) -> Option<(Scheme, Authority)> {
    let parsed = endpoint.parse::<Uri>().ok().and_then(|uri| {
        let scheme = match uri.scheme_str()? {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let authority = uri.authority()?.clone();
        let plain =
            matches!(uri.path(), "" | "/") && uri.query().is_none() && !authority.as_str().contains('@');
        authority.host().parse::<HostName>().ok().filter(|_| plain).map(|_| (scheme, authority))
    });
    if parsed.is_none() {
        c.violation(format!(
            "{endpoint:?} is not an endpoint: write http://host[:port] or https://host[:port]"
        ));
    }
    parsed
}

fn check_custom(wire: &v1::CustomOrigin, c: &mut Checker<'_>) -> Option<CustomOrigin> {
    use v1::custom_origin::ProtocolPolicy;
    let host = wire.domain_name.parse::<HostName>();
    if let Err(error) = &host {
        c.field("domain_name").violation(error.to_string());
    }
    let http_port = check_port(wire.http_port, 80, &mut c.field("http_port"));
    let https_port = check_port(wire.https_port, 443, &mut c.field("https_port"));
    let scheme = match ProtocolPolicy::try_from(wire.protocol_policy) {
        Ok(ProtocolPolicy::Unspecified | ProtocolPolicy::HttpOnly) => Some(Scheme::Http),
        Ok(ProtocolPolicy::HttpsOnly) => Some(Scheme::Https),
        Ok(ProtocolPolicy::MatchViewer) => None,
        Err(_) => {
            c.field("protocol_policy").violation("is unknown; use HTTP_ONLY, HTTPS_ONLY or MATCH_VIEWER");
            None
        }
    };
    Some(CustomOrigin { scheme, host: host.ok()?, http_port, https_port })
}

fn check_port(port: u32, default: u16, c: &mut Checker<'_>) -> u16 {
    match u16::try_from(port) {
        Ok(0) => default,
        Ok(port) => port,
        Err(_) => {
            c.violation(format!("{port} is not a port; use 1 to 65535"));
            default
        }
    }
}
