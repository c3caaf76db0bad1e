//! Origins as people write them.

use std::num::{NonZeroU16, NonZeroU32};

use serde::{Deserialize, Serialize};
use tonic::transport::Uri;

use super::duration::SpecDuration;
use crate::error::{Error, ErrorKind};

/// Where objects come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "OriginFields", into = "OriginFields")]
pub struct OriginSpec {
    /// Referred to by cache behaviors.
    pub id: String,
    /// Prepended to the path of every request: `/site`.
    pub origin_path: String,
    /// Sent with every request. At most 30.
    pub custom_headers: Vec<CustomHeaderSpec>,
    /// Tries to connect, 1 to 3. Default 3.
    pub connection_attempts: Option<NonZeroU32>,
    /// Time for one such try, 1 s to 10 s. Default 10 s.
    pub connection_timeout: Option<SpecDuration>,
    /// Longest silence, 1 s to 120 s. Default 30 s.
    pub response_timeout: Option<SpecDuration>,
    /// Time for a request and its complete response, at least response_timeout. Default none.
    pub response_completion_timeout: Option<SpecDuration>,
    /// How long an idle connection is kept, 1 s to 120 s. Default 5 s.
    pub keepalive_timeout: Option<SpecDuration>,
    /// How each edge asks from time to time how it is. Default: what viewers ask for tells.
    pub health_check: Option<HealthCheckSpec>,
    /// Whose edges alone ask it. Default: every edge does.
    pub origin_shield: Option<OriginShieldSpec>,
    /// How HTTPS connections are made. Default: what the edge's machine trusts, TLS 1.2 or 1.3, no client certificate.
    pub tls: Option<OriginTlsSpec>,
    /// When it is asked in HTTP/2. Default off.
    pub http2: Option<Http2>,
    /// What kind of server it is. The control plane requires one.
    pub kind: Option<OriginKind>,
}

/// A question that each edge asks an origin from time to time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheckSpec {
    /// Asked for below the origin's path. Default `/`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// From one question to the next, 1 s to 300 s. Default 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<SpecDuration>,
}

/// An upper tier of caches for one origin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginShieldSpec {
    /// Where its edges are.
    #[serde(default)]
    pub location: String,
}

/// What kind of server an origin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginKind {
    /// A bucket.
    S3(S3OriginSpec),
    /// An HTTP server.
    Custom(CustomOriginSpec),
}

/// An origin as it stands in the file, where the kind is one of two fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginFields {
    #[serde(default)]
    id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    origin_path: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    custom_headers: Vec<CustomHeaderSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connection_attempts: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connection_timeout: Option<SpecDuration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_timeout: Option<SpecDuration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_completion_timeout: Option<SpecDuration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keepalive_timeout: Option<SpecDuration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    health_check: Option<HealthCheckSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin_shield: Option<OriginShieldSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tls: Option<OriginTlsSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http2: Option<Http2>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s3: Option<S3OriginSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    custom: Option<CustomOriginSpec>,
}

impl TryFrom<OriginFields> for OriginSpec {
    type Error = &'static str;

    fn try_from(fields: OriginFields) -> Result<Self, Self::Error> {
        let kind = match (fields.s3, fields.custom) {
            (Some(_), Some(_)) => return Err("an origin has either s3 or custom, not both"),
            (Some(s3), None) => Some(OriginKind::S3(s3)),
            (None, Some(custom)) => Some(OriginKind::Custom(custom)),
            (None, None) => None,
        };
        Ok(Self {
            id: fields.id,
            origin_path: fields.origin_path,
            custom_headers: fields.custom_headers,
            connection_attempts: fields.connection_attempts,
            connection_timeout: fields.connection_timeout,
            response_timeout: fields.response_timeout,
            response_completion_timeout: fields.response_completion_timeout,
            keepalive_timeout: fields.keepalive_timeout,
            health_check: fields.health_check,
            origin_shield: fields.origin_shield,
            tls: fields.tls,
            http2: fields.http2,
            kind,
        })
    }
}

impl From<OriginSpec> for OriginFields {
    fn from(spec: OriginSpec) -> Self {
        let (s3, custom) = match spec.kind {
            Some(OriginKind::S3(s3)) => (Some(s3), None),
            Some(OriginKind::Custom(custom)) => (None, Some(custom)),
            None => (None, None),
        };
        Self {
            id: spec.id,
            origin_path: spec.origin_path,
            custom_headers: spec.custom_headers,
            connection_attempts: spec.connection_attempts,
            connection_timeout: spec.connection_timeout,
            response_timeout: spec.response_timeout,
            response_completion_timeout: spec.response_completion_timeout,
            keepalive_timeout: spec.keepalive_timeout,
            health_check: spec.health_check,
            origin_shield: spec.origin_shield,
            tls: spec.tls,
            http2: spec.http2,
            s3,
            custom,
        }
    }
}

/// A header sent with every request to an origin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomHeaderSpec {
    /// At most 256 characters.
    pub name: String,
    /// At most 1,783 characters.
    #[serde(default)]
    pub value: String,
}

/// A bucket on Amazon S3 or any server that speaks its protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3OriginSpec {
    /// Name of the bucket.
    #[serde(default)]
    pub bucket: String,
    /// Default us-east-1.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// `http://host[:port]` or `https://host[:port]`; none for Amazon S3.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// Put the bucket in the path and not in the host name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub path_style: bool,
    /// Whether requests are signed. Default always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,
    /// Profile of the edges' AWS files; none for the default chain.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub credentials_profile: String,
}

/// Whether requests to a bucket are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signing {
    /// With AWS Signature Version 4.
    Always,
    /// Unless the viewer's Authorization reaches the bucket.
    NoOverride,
    /// For public buckets.
    Never,
}

/// An HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomOriginSpec {
    /// Host name or IP address, without a port.
    #[serde(default)]
    pub domain_name: String,
    /// Default 80.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_port: Option<NonZeroU16>,
    /// Default 443.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_port: Option<NonZeroU16>,
    /// Default http-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_policy: Option<ProtocolPolicy>,
}

/// How connections to an HTTP server are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProtocolPolicy {
    /// Cleartext.
    HttpOnly,
    /// TLS.
    HttpsOnly,
    /// The scheme the viewer used.
    MatchViewer,
}

/// How HTTPS connections to an origin are made. Its certificate is always verified.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginTlsSpec {
    /// Certificates of authorities in PEM, in place of those that the edge's machine trusts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ca_certificates: String,
    /// The name of a certificate on the edges, which they show: `<name>.crt` and `<name>.key` there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client_certificate: String,
    /// The name that the origin's certificate must have. Default: the origin's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server_name: String,
    /// Default tls-1.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_version: Option<TlsVersion>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "tls-1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "tls-1.3")]
    V1_3,
}

/// When an origin is asked in HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Http2 {
    /// Never, but for gRPC.
    Off,
    /// Over HTTPS, where it is offered.
    WhereOffered,
    /// Always.
    Always,
}

/// Not a URL that names an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{url:?} is not an origin: {why}; write http://host[:port][/path], https://host[:port][/path] or s3://bucket[/path]"
)]
pub struct InvalidOriginUrl {
    url: String,
    why: &'static str,
}

impl From<InvalidOriginUrl> for Error {
    fn from(error: InvalidOriginUrl) -> Self {
        Self::new(ErrorKind::Usage, format!("understand the origin: {error}"))
    }
}

impl OriginSpec {
    /// An origin from `http://host[:port][/path]`, `https://host[:port][/path]` or `s3://bucket[/path]`. Its id is the host
    /// name or the bucket.
    ///
    /// # Errors
    /// When the URL is of none of these forms.
    pub fn from_url(url: &str) -> Result<Self, InvalidOriginUrl> {
        let wrong = |why| InvalidOriginUrl { url: url.to_owned(), why };
        let uri: Uri = url.parse().map_err(|_| wrong("it is not a URL"))?;
        let authority = uri.authority().ok_or_else(|| wrong("the host is missing"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it holds credentials"));
        }
        if uri.query().is_some() || url.contains('#') {
            return Err(wrong("it has a query or fragment"));
        }
        let host = authority.host().to_owned();
        let port = match authority.port_u16().map(NonZeroU16::new) {
            Some(None) => return Err(wrong("0 is not a port")),
            Some(port) => port,
            None if authority.as_str().len() > host.len() => {
                return Err(wrong("the port is not a number up to 65535"));
            }
            None => None,
        };
        let kind = match uri.scheme_str() {
            Some("http") => OriginKind::Custom(CustomOriginSpec {
                domain_name: host.clone(),
                http_port: port,
                https_port: None,
                protocol_policy: Some(ProtocolPolicy::HttpOnly),
            }),
            Some("https") => OriginKind::Custom(CustomOriginSpec {
                domain_name: host.clone(),
                http_port: None,
                https_port: port,
                protocol_policy: Some(ProtocolPolicy::HttpsOnly),
            }),
            Some("s3") if port.is_some() => return Err(wrong("a bucket has no port")),
            Some("s3") => OriginKind::S3(S3OriginSpec { bucket: host.clone(), ..Default::default() }),
            _ => return Err(wrong("the scheme is unknown")),
        };
        Ok(Self {
            id: host,
            origin_path: uri.path().trim_end_matches('/').to_owned(),
            kind: Some(kind),
            ..Default::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_servers_and_buckets() {
        let origin = OriginSpec::from_url("https://example.com:8443/site/").expect("origin");
        assert_eq!((origin.id.as_str(), origin.origin_path.as_str()), ("example.com", "/site"));
        let Some(OriginKind::Custom(custom)) = &origin.kind else { panic!("{origin:?}") };
        assert_eq!(custom.https_port.map(NonZeroU16::get), Some(8443));
        assert_eq!(custom.protocol_policy, Some(ProtocolPolicy::HttpsOnly));

        let origin = OriginSpec::from_url("http://[::1]:8000").expect("origin");
        let Some(OriginKind::Custom(custom)) = &origin.kind else { panic!("{origin:?}") };
        assert_eq!(custom.http_port.map(NonZeroU16::get), Some(8000));
        assert!(origin.origin_path.is_empty());

        let origin = OriginSpec::from_url("s3://photos/2026").expect("origin");
        assert_eq!((origin.id.as_str(), origin.origin_path.as_str()), ("photos", "/2026"));
    }

    #[test]
    fn what_names_no_origin_is_refused() {
        for url in [
            "",
            "example.com",
            "/path",
            "ftp://example.com",
            "http://user:pw@example.com",
            "http://example.com/?q",
            "http://example.com/#f",
            "http://example.com:0",
            "http://example.com:99999",
            "s3://bucket:80",
            "http://",
        ] {
            assert!(OriginSpec::from_url(url).is_err(), "{url}");
        }
    }
}
