//! Origins, to and from the wire.

use std::num::{NonZeroU16, NonZeroU32};

use headland_proto::v1::{self, custom_origin, s3_origin};

use super::{NotRepresentable, from_wire_duration, optional, to_wire_duration};
use crate::spec::{
    CustomHeaderSpec, CustomOriginSpec, OriginKind, OriginShieldSpec, OriginSpec, ProtocolPolicy,
    S3OriginSpec, Signing,
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
            keepalive_timeout: to_wire_duration(spec.keepalive_timeout),
            origin_shield: spec
                .origin_shield
                .as_ref()
                .map(|shield| v1::OriginShield { location: shield.location.clone() }),
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
            keepalive_timeout: from_wire_duration("keepalive_timeout", wire.keepalive_timeout.as_ref())?,
            origin_shield: wire
                .origin_shield
                .as_ref()
                .map(|shield| OriginShieldSpec { location: shield.location.clone() }),
            kind,
        })
    }
}

impl From<&S3OriginSpec> for v1::S3Origin {
    fn from(spec: &S3OriginSpec) -> Self {
        let signing = match spec.signing {
            None => s3_origin::Signing::Unspecified,
            Some(Signing::Always) => s3_origin::Signing::Always,
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
