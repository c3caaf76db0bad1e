//! Origins, to and from the wire.

use std::num::{NonZeroU16, NonZeroU32};

use headland_proto::v1::{self, custom_origin, origin, origin_tls, s3_origin};

use super::{NotRepresentable, from_wire_duration, optional, to_wire_duration};
use crate::spec::{
    CustomHeaderSpec, CustomOriginSpec, HealthCheckSpec, Http2, OriginKind, OriginShieldSpec, OriginSpec,
    OriginTlsSpec, ProtocolPolicy, S3OriginSpec, Signing, TlsVersion,
};

impl From<&OriginSpec> for v1::Origin {
    fn from(spec: &OriginSpec) -> Self {
        Self {
            id: spec.id.clone(),
            origin_path: spec.origin_path.clone(),
            custom_headers: spec
                .custom_headers
                .iter()
                .map(|h| v1::CustomHeader { name: h.name.clone(), value: h.value.clone() })
                .collect(),
            connection_attempts: spec.connection_attempts.map_or(0, NonZeroU32::get),
            connection_timeout: to_wire_duration(spec.connection_timeout),
            response_timeout: to_wire_duration(spec.response_timeout),
            response_completion_timeout: to_wire_duration(spec.response_completion_timeout),
            keepalive_timeout: to_wire_duration(spec.keepalive_timeout),
            health_check: spec.health_check.as_ref().map(|check| v1::HealthCheck {
                path: check.path.clone(),
                interval: to_wire_duration(check.interval),
            }),
            origin_shield: spec
                .origin_shield
                .as_ref()
                .map(|shield| v1::OriginShield { location: shield.location.clone() }),
            tls: spec.tls.as_ref().map(Into::into),
            http2: match spec.http2 {
                None => origin::Http2::Unspecified,
                Some(Http2::Off) => origin::Http2::Off,
                Some(Http2::WhereOffered) => origin::Http2::WhereOffered,
                Some(Http2::Always) => origin::Http2::Always,
            }
            .into(),
            kind: spec.kind.as_ref().map(|kind| match kind {
                OriginKind::S3(s3) => v1::origin::Kind::S3(s3.into()),
                OriginKind::Custom(custom) => v1::origin::Kind::Custom(custom.into()),
            }),
        }
    }
}

impl TryFrom<&v1::Origin> for OriginSpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::Origin) -> Result<Self, NotRepresentable> {
        let kind = match &wire.kind {
            None => None,
            Some(v1::origin::Kind::S3(s3)) => optional("s3", Some(s3))?.map(OriginKind::S3),
            Some(v1::origin::Kind::Custom(custom)) => {
                optional("custom", Some(custom))?.map(OriginKind::Custom)
            }
        };
        let http2 = match origin::Http2::try_from(wire.http2) {
            Ok(origin::Http2::Unspecified) => None,
            Ok(origin::Http2::Off) => Some(Http2::Off),
            Ok(origin::Http2::WhereOffered) => Some(Http2::WhereOffered),
            Ok(origin::Http2::Always) => Some(Http2::Always),
            Err(_) => return Err(NotRepresentable::new("http2", wire.http2)),
        };
        Ok(Self {
            id: wire.id.clone(),
            origin_path: wire.origin_path.clone(),
            custom_headers: wire
                .custom_headers
                .iter()
                .map(|h| CustomHeaderSpec { name: h.name.clone(), value: h.value.clone() })
                .collect(),
            connection_attempts: NonZeroU32::new(wire.connection_attempts),
            connection_timeout: from_wire_duration("connection_timeout", wire.connection_timeout.as_ref())?,
            response_timeout: from_wire_duration("response_timeout", wire.response_timeout.as_ref())?,
            response_completion_timeout: from_wire_duration(
                "response_completion_timeout",
                wire.response_completion_timeout.as_ref(),
            )?,
            keepalive_timeout: from_wire_duration("keepalive_timeout", wire.keepalive_timeout.as_ref())?,
            health_check: optional("health_check", wire.health_check.as_ref())?,
            origin_shield: wire
                .origin_shield
                .as_ref()
                .map(|shield| OriginShieldSpec { location: shield.location.clone() }),
            tls: optional("tls", wire.tls.as_ref())?,
            http2,
            kind,
        })
    }
}

impl TryFrom<&v1::HealthCheck> for HealthCheckSpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::HealthCheck) -> Result<Self, NotRepresentable> {
        let interval = from_wire_duration("interval", wire.interval.as_ref())?;
        Ok(Self { path: wire.path.clone(), interval })
    }
}

impl From<&OriginTlsSpec> for v1::OriginTls {
    fn from(spec: &OriginTlsSpec) -> Self {
        let minimum_version = match spec.minimum_version {
            None => origin_tls::Version::Unspecified,
            Some(TlsVersion::V1_2) => origin_tls::Version::Version12,
            Some(TlsVersion::V1_3) => origin_tls::Version::Version13,
        };
        Self {
            ca_certificates: spec.ca_certificates.clone(),
            client_certificate: spec.client_certificate.clone(),
            server_name: spec.server_name.clone(),
            minimum_version: minimum_version.into(),
        }
    }
}

impl TryFrom<&v1::OriginTls> for OriginTlsSpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::OriginTls) -> Result<Self, NotRepresentable> {
        let minimum_version = match origin_tls::Version::try_from(wire.minimum_version) {
            Ok(origin_tls::Version::Unspecified) => None,
            Ok(origin_tls::Version::Version12) => Some(TlsVersion::V1_2),
            Ok(origin_tls::Version::Version13) => Some(TlsVersion::V1_3),
            Err(_) => return Err(NotRepresentable::new("minimum_version", wire.minimum_version)),
        };
        Ok(Self {
            ca_certificates: wire.ca_certificates.clone(),
            client_certificate: wire.client_certificate.clone(),
            server_name: wire.server_name.clone(),
            minimum_version,
        })
    }
}

impl From<&S3OriginSpec> for v1::S3Origin {
    fn from(spec: &S3OriginSpec) -> Self {
        let signing = match spec.signing {
            None => s3_origin::Signing::Unspecified,
            Some(Signing::Always) => s3_origin::Signing::Always,
            Some(Signing::NoOverride) => s3_origin::Signing::NoOverride,
            Some(Signing::Never) => s3_origin::Signing::Never,
        };
        Self {
            bucket: spec.bucket.clone(),
            region: spec.region.clone(),
            endpoint: spec.endpoint.clone(),
            path_style: spec.path_style,
            signing: signing.into(),
            credentials_profile: spec.credentials_profile.clone(),
        }
    }
}

impl TryFrom<&v1::S3Origin> for S3OriginSpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::S3Origin) -> Result<Self, NotRepresentable> {
        let signing = match s3_origin::Signing::try_from(wire.signing) {
            Ok(s3_origin::Signing::Unspecified) => None,
            Ok(s3_origin::Signing::Always) => Some(Signing::Always),
            Ok(s3_origin::Signing::NoOverride) => Some(Signing::NoOverride),
            Ok(s3_origin::Signing::Never) => Some(Signing::Never),
            Err(_) => return Err(NotRepresentable::new("signing", wire.signing)),
        };
        Ok(Self {
            bucket: wire.bucket.clone(),
            region: wire.region.clone(),
            endpoint: wire.endpoint.clone(),
            path_style: wire.path_style,
            signing,
            credentials_profile: wire.credentials_profile.clone(),
        })
    }
}

impl From<&CustomOriginSpec> for v1::CustomOrigin {
    fn from(spec: &CustomOriginSpec) -> Self {
        use custom_origin::ProtocolPolicy as Wire;
        let policy = match spec.protocol_policy {
            None => Wire::Unspecified,
            Some(ProtocolPolicy::HttpOnly) => Wire::HttpOnly,
            Some(ProtocolPolicy::HttpsOnly) => Wire::HttpsOnly,
            Some(ProtocolPolicy::MatchViewer) => Wire::MatchViewer,
        };
        Self {
            domain_name: spec.domain_name.clone(),
            http_port: spec.http_port.map_or(0, |p| p.get().into()),
            https_port: spec.https_port.map_or(0, |p| p.get().into()),
            protocol_policy: policy.into(),
        }
    }
}

impl TryFrom<&v1::CustomOrigin> for CustomOriginSpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::CustomOrigin) -> Result<Self, NotRepresentable> {
        use custom_origin::ProtocolPolicy as Wire;
        let protocol_policy = match Wire::try_from(wire.protocol_policy) {
            Ok(Wire::Unspecified) => None,
            Ok(Wire::HttpOnly) => Some(ProtocolPolicy::HttpOnly),
            Ok(Wire::HttpsOnly) => Some(ProtocolPolicy::HttpsOnly),
            Ok(Wire::MatchViewer) => Some(ProtocolPolicy::MatchViewer),
            Err(_) => return Err(NotRepresentable::new("protocol_policy", wire.protocol_policy)),
        };
        Ok(Self {
            domain_name: wire.domain_name.clone(),
            http_port: port("http_port", wire.http_port)?,
            https_port: port("https_port", wire.https_port)?,
            protocol_policy,
        })
    }
}

fn port(field: &str, wire: u32) -> Result<Option<NonZeroU16>, NotRepresentable> {
    u16::try_from(wire).map(NonZeroU16::new).map_err(|_| NotRepresentable::new(field, wire))
}
