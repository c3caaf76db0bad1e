//! Cache behaviors and policies, to and from the wire.

use headland_proto::v1::{self, cache_behavior, cache_policy, name_selection};

use super::{NotRepresentable, from_wire_duration, optional, to_wire_duration};
use crate::spec::{
    CacheBehaviorSpec, CachePolicySpec, HeaderSelection, NameSelection, NameSelectionMode, Semantics,
    ViewerProtocolPolicy,
};

impl From<&CacheBehaviorSpec> for v1::CacheBehavior {
    fn from(spec: &CacheBehaviorSpec) -> Self {
        use cache_behavior::ViewerProtocolPolicy as Wire;
        let viewer_protocol_policy = match spec.viewer_protocol_policy {
            None => Wire::Unspecified,
            Some(ViewerProtocolPolicy::AllowAll) => Wire::AllowAll,
            Some(ViewerProtocolPolicy::HttpsOnly) => Wire::HttpsOnly,
            Some(ViewerProtocolPolicy::RedirectToHttps) => Wire::RedirectToHttps,
        };
        Self {
            path_pattern: spec.path_pattern.clone(),
            target_origin_id: spec.target_origin_id.clone(),
            viewer_protocol_policy: viewer_protocol_policy.into(),
            allowed_methods: spec.allowed_methods.clone(),
            cached_methods: spec.cached_methods.clone(),
            cache_policy: spec.cache_policy.as_ref().map(Into::into),
            compress: spec.compress,
        }
    }
}

impl TryFrom<&v1::CacheBehavior> for CacheBehaviorSpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::CacheBehavior) -> Result<Self, NotRepresentable> {
        use cache_behavior::ViewerProtocolPolicy as Wire;
        let viewer_protocol_policy = match Wire::try_from(wire.viewer_protocol_policy) {
            Ok(Wire::Unspecified) => None,
            Ok(Wire::AllowAll) => Some(ViewerProtocolPolicy::AllowAll),
            Ok(Wire::HttpsOnly) => Some(ViewerProtocolPolicy::HttpsOnly),
            Ok(Wire::RedirectToHttps) => Some(ViewerProtocolPolicy::RedirectToHttps),
            Err(_) => {
                return Err(NotRepresentable::new("viewer_protocol_policy", wire.viewer_protocol_policy));
            }
        };
        Ok(Self {
            path_pattern: wire.path_pattern.clone(),
            target_origin_id: wire.target_origin_id.clone(),
            viewer_protocol_policy,
            allowed_methods: wire.allowed_methods.clone(),
            cached_methods: wire.cached_methods.clone(),
            cache_policy: optional("cache_policy", wire.cache_policy.as_ref())?,
            compress: wire.compress,
        })
    }
}

impl From<&CachePolicySpec> for v1::CachePolicy {
    fn from(spec: &CachePolicySpec) -> Self {
        let semantics = match spec.semantics {
            None => cache_policy::Semantics::Unspecified,
            Some(Semantics::Cloudfront) => cache_policy::Semantics::Cloudfront,
            Some(Semantics::Rfc9111) => cache_policy::Semantics::Rfc9111,
        };
        Self {
            semantics: semantics.into(),
            min_ttl: to_wire_duration(spec.min_ttl),
            default_ttl: to_wire_duration(spec.default_ttl),
            max_ttl: to_wire_duration(spec.max_ttl),
            headers: spec.headers.as_ref().map(|h| v1::HeaderSelection { names: h.names.clone() }),
            cookies: spec.cookies.as_ref().map(Into::into),
            query_strings: spec.query_strings.as_ref().map(Into::into),
            accept_encoding_gzip: spec.accept_encoding_gzip,
            accept_encoding_brotli: spec.accept_encoding_brotli,
            accept_encoding_zstd: spec.accept_encoding_zstd,
        }
    }
}

impl TryFrom<&v1::CachePolicy> for CachePolicySpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::CachePolicy) -> Result<Self, NotRepresentable> {
        let semantics = match cache_policy::Semantics::try_from(wire.semantics) {
            Ok(cache_policy::Semantics::Unspecified) => None,
            Ok(cache_policy::Semantics::Cloudfront) => Some(Semantics::Cloudfront),
            Ok(cache_policy::Semantics::Rfc9111) => Some(Semantics::Rfc9111),
            Err(_) => return Err(NotRepresentable::new("semantics", wire.semantics)),
        };
        Ok(Self {
            semantics,
            min_ttl: from_wire_duration("min_ttl", wire.min_ttl.as_ref())?,
            default_ttl: from_wire_duration("default_ttl", wire.default_ttl.as_ref())?,
            max_ttl: from_wire_duration("max_ttl", wire.max_ttl.as_ref())?,
            headers: wire.headers.as_ref().map(|h| HeaderSelection { names: h.names.clone() }),
            cookies: optional("cookies", wire.cookies.as_ref())?,
            query_strings: optional("query_strings", wire.query_strings.as_ref())?,
            accept_encoding_gzip: wire.accept_encoding_gzip,
            accept_encoding_brotli: wire.accept_encoding_brotli,
            accept_encoding_zstd: wire.accept_encoding_zstd,
        })
    }
}

impl From<&NameSelection> for v1::NameSelection {
    fn from(spec: &NameSelection) -> Self {
        use name_selection::Mode;
        let mode = match spec.mode {
            None => Mode::Unspecified,
            Some(NameSelectionMode::None) => Mode::None,
            Some(NameSelectionMode::Whitelist) => Mode::Whitelist,
            Some(NameSelectionMode::AllExcept) => Mode::AllExcept,
            Some(NameSelectionMode::All) => Mode::All,
        };
        Self { mode: mode.into(), names: spec.names.clone() }
    }
}

impl TryFrom<&v1::NameSelection> for NameSelection {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::NameSelection) -> Result<Self, NotRepresentable> {
        use name_selection::Mode;
        let mode = match Mode::try_from(wire.mode) {
            Ok(Mode::Unspecified) => None,
            Ok(Mode::None) => Some(NameSelectionMode::None),
            Ok(Mode::Whitelist) => Some(NameSelectionMode::Whitelist),
            Ok(Mode::AllExcept) => Some(NameSelectionMode::AllExcept),
            Ok(Mode::All) => Some(NameSelectionMode::All),
            Err(_) => return Err(NotRepresentable::new("mode", wire.mode)),
        };
        Ok(Self { mode, names: wire.names.clone() })
    }
}
