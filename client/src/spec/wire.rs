//! Between the file people write and the wire. To the wire always works; what comes back may be of a newer version.

mod behavior;
mod document;
mod explanation;
mod key;
mod origin;
mod policy;
mod response_headers;

use std::convert::Infallible;

use headland_proto::v1;

use super::{
    CustomErrorResponseSpec, DistributionSpec, GeoRestrictionMode, GeoRestrictionSpec, OriginGroupSpec,
    SpecDuration,
};
use crate::error::{Error, ErrorKind};

/// A value on the wire that this version has no word for. Leaving it out would change the distribution when it is written
/// back, so it is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "show {field}: the control plane uses the value {value}, which this version of headland does not know"
)]
pub struct NotRepresentable {
    field: String,
    value: String,
}

impl NotRepresentable {
    fn new(field: &str, value: impl ToString) -> Self {
        Self { field: field.to_owned(), value: value.to_string() }
    }

    /// The same, seen from one field further up.
    fn below(mut self, parent: &str) -> Self {
        self.field = format!("{parent}.{}", self.field);
        self
    }
}

impl From<Infallible> for NotRepresentable {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<NotRepresentable> for Error {
    fn from(error: NotRepresentable) -> Self {
        Self::new(ErrorKind::Unsupported, error.to_string())
            .with_hint("use a version of headland that is as new as the control plane: headland version")
    }
}

impl From<&DistributionSpec> for v1::DistributionConfig {
    fn from(spec: &DistributionSpec) -> Self {
        Self {
            caller_reference: spec.caller_reference.clone(),
            comment: spec.comment.clone(),
            enabled: spec.enabled,
            aliases: spec.aliases.clone(),
            default_root_object: spec.default_root_object.clone(),
            origins: spec.origins.iter().map(Into::into).collect(),
            default_cache_behavior: spec.default_cache_behavior.as_ref().map(Into::into),
            cache_behaviors: spec.cache_behaviors.iter().map(Into::into).collect(),
            debug_headers: spec.debug_headers,
            custom_error_responses: spec.custom_error_responses.iter().map(Into::into).collect(),
            origin_groups: spec.origin_groups.iter().map(Into::into).collect(),
            geo_restriction: spec.geo_restriction.as_ref().map(Into::into),
            tags: spec.tags.clone(),
        }
    }
}

impl TryFrom<&v1::DistributionConfig> for DistributionSpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::DistributionConfig) -> Result<Self, NotRepresentable> {
        Ok(Self {
            caller_reference: wire.caller_reference.clone(),
            comment: wire.comment.clone(),
            enabled: wire.enabled,
            aliases: wire.aliases.clone(),
            default_root_object: wire.default_root_object.clone(),
            origins: list("origins", &wire.origins)?,
            default_cache_behavior: optional("default_cache_behavior", wire.default_cache_behavior.as_ref())?,
            cache_behaviors: list("cache_behaviors", &wire.cache_behaviors)?,
            debug_headers: wire.debug_headers,
            custom_error_responses: list("custom_error_responses", &wire.custom_error_responses)?,
            origin_groups: wire.origin_groups.iter().map(Into::into).collect(),
            geo_restriction: optional("geo_restriction", wire.geo_restriction.as_ref())?,
            tags: wire.tags.clone(),
        })
    }
}

impl From<&GeoRestrictionSpec> for v1::GeoRestriction {
    fn from(spec: &GeoRestrictionSpec) -> Self {
        use v1::geo_restriction::Mode;
        let mode = match spec.mode {
            None => Mode::Unspecified,
            Some(GeoRestrictionMode::None) => Mode::None,
            Some(GeoRestrictionMode::Whitelist) => Mode::Whitelist,
            Some(GeoRestrictionMode::Blacklist) => Mode::Blacklist,
        };
        Self { mode: mode.into(), country_codes: spec.country_codes.clone() }
    }
}

impl TryFrom<&v1::GeoRestriction> for GeoRestrictionSpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::GeoRestriction) -> Result<Self, NotRepresentable> {
        use v1::geo_restriction::Mode;
        let mode = match Mode::try_from(wire.mode) {
            Ok(Mode::Unspecified) => None,
            Ok(Mode::None) => Some(GeoRestrictionMode::None),
            Ok(Mode::Whitelist) => Some(GeoRestrictionMode::Whitelist),
            Ok(Mode::Blacklist) => Some(GeoRestrictionMode::Blacklist),
            Err(_) => return Err(NotRepresentable::new("mode", wire.mode)),
        };
        Ok(Self { mode, country_codes: wire.country_codes.clone() })
    }
}

impl From<&OriginGroupSpec> for v1::OriginGroup {
    fn from(spec: &OriginGroupSpec) -> Self {
        Self {
            id: spec.id.clone(),
            member_origin_ids: spec.member_origin_ids.clone(),
            failover_status_codes: spec.failover_status_codes.clone(),
        }
    }
}

impl From<&v1::OriginGroup> for OriginGroupSpec {
    fn from(wire: &v1::OriginGroup) -> Self {
        Self {
            id: wire.id.clone(),
            member_origin_ids: wire.member_origin_ids.clone(),
            failover_status_codes: wire.failover_status_codes.clone(),
        }
    }
}

impl From<&CustomErrorResponseSpec> for v1::CustomErrorResponse {
    fn from(spec: &CustomErrorResponseSpec) -> Self {
        Self {
            error_code: spec.error_code,
            response_page_path: spec.response_page_path.clone(),
            response_code: spec.response_code.unwrap_or(0),
            error_caching_min_ttl: to_wire_duration(spec.error_caching_min_ttl),
        }
    }
}

impl TryFrom<&v1::CustomErrorResponse> for CustomErrorResponseSpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::CustomErrorResponse) -> Result<Self, NotRepresentable> {
        Ok(Self {
            error_code: wire.error_code,
            response_page_path: wire.response_page_path.clone(),
            response_code: Some(wire.response_code).filter(|code| *code != 0),
            error_caching_min_ttl: from_wire_duration(
                "error_caching_min_ttl",
                wire.error_caching_min_ttl.as_ref(),
            )?,
        })
    }
}

fn list<'w, W, S>(field: &str, wire: &'w [W]) -> Result<Vec<S>, NotRepresentable>
where
    S: TryFrom<&'w W, Error = NotRepresentable>,
{
    wire.iter()
        .enumerate()
        .map(|(i, w)| S::try_from(w).map_err(|e| e.below(&format!("{field}[{i}]"))))
        .collect()
}

fn optional<'w, W, S>(field: &str, wire: Option<&'w W>) -> Result<Option<S>, NotRepresentable>
where
    S: TryFrom<&'w W>,
    NotRepresentable: From<S::Error>,
{
    wire.map(S::try_from).transpose().map_err(|e| NotRepresentable::from(e).below(field))
}

fn to_wire_duration(duration: Option<SpecDuration>) -> Option<prost_types::Duration> {
    // Cannot fail: a SpecDuration's seconds fit the wire's. Were one made by hand that does not, the control plane
    // refuses the longest duration there is and says why.
    duration.map(|d| {
        prost_types::Duration::try_from(d.0).unwrap_or(prost_types::Duration { seconds: i64::MAX, nanos: 0 })
    })
}

fn from_wire_duration(
    field: &str,
    wire: Option<&prost_types::Duration>,
) -> Result<Option<SpecDuration>, NotRepresentable> {
    wire.map(|w| {
        std::time::Duration::try_from(*w)
            .map(SpecDuration)
            .map_err(|_| NotRepresentable::new(field, format!("{} s", w.seconds)))
    })
    .transpose()
}
