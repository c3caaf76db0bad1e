//! Policies, to and from the wire.

use headland_proto::v1::{self, cache_policy_config, name_selection, origin_header_selection};

use super::{NotRepresentable, document::document, from_wire_duration, optional, to_wire_duration};
use crate::spec::{
    CachePolicySpec, HeaderSelection, NameSelection, NameSelectionMode, OriginHeaderMode,
    OriginHeaderSelection, OriginRequestPolicySpec, ResponseHeadersPolicySpec, Semantics,
};

impl From<&CachePolicySpec> for v1::CachePolicyConfig {
    fn from(spec: &CachePolicySpec) -> Self {
        let semantics = match spec.semantics {
            None => cache_policy_config::Semantics::Unspecified,
            Some(Semantics::Cloudfront) => cache_policy_config::Semantics::Cloudfront,
            Some(Semantics::Rfc9111) => cache_policy_config::Semantics::Rfc9111,
        };
        Self {
            name: spec.name.clone(),
            comment: spec.comment.clone(),
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
            tags: spec.tags.clone(),
        }
    }
}

impl TryFrom<&v1::CachePolicyConfig> for CachePolicySpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::CachePolicyConfig) -> Result<Self, NotRepresentable> {
        let semantics = match cache_policy_config::Semantics::try_from(wire.semantics) {
            Ok(cache_policy_config::Semantics::Unspecified) => None,
            Ok(cache_policy_config::Semantics::Cloudfront) => Some(Semantics::Cloudfront),
            Ok(cache_policy_config::Semantics::Rfc9111) => Some(Semantics::Rfc9111),
            Err(_) => return Err(NotRepresentable::new("semantics", wire.semantics)),
        };
        Ok(Self {
            name: wire.name.clone(),
            comment: wire.comment.clone(),
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
            tags: wire.tags.clone(),
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

impl From<&OriginRequestPolicySpec> for v1::OriginRequestPolicyConfig {
    fn from(spec: &OriginRequestPolicySpec) -> Self {
        Self {
            name: spec.name.clone(),
            comment: spec.comment.clone(),
            headers: spec.headers.as_ref().map(Into::into),
            cookies: spec.cookies.as_ref().map(Into::into),
            query_strings: spec.query_strings.as_ref().map(Into::into),
            tags: spec.tags.clone(),
        }
    }
}

impl TryFrom<&v1::OriginRequestPolicyConfig> for OriginRequestPolicySpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::OriginRequestPolicyConfig) -> Result<Self, NotRepresentable> {
        Ok(Self {
            name: wire.name.clone(),
            comment: wire.comment.clone(),
            headers: optional("headers", wire.headers.as_ref())?,
            cookies: optional("cookies", wire.cookies.as_ref())?,
            query_strings: optional("query_strings", wire.query_strings.as_ref())?,
            tags: wire.tags.clone(),
        })
    }
}

impl From<&OriginHeaderSelection> for v1::OriginHeaderSelection {
    fn from(spec: &OriginHeaderSelection) -> Self {
        use origin_header_selection::Mode;
        let mode = match spec.mode {
            None => Mode::Unspecified,
            Some(OriginHeaderMode::None) => Mode::None,
            Some(OriginHeaderMode::Whitelist) => Mode::Whitelist,
            Some(OriginHeaderMode::AllViewer) => Mode::AllViewer,
            Some(OriginHeaderMode::AllViewerAndWhitelistCloudfront) => Mode::AllViewerAndWhitelistCloudfront,
            Some(OriginHeaderMode::AllExcept) => Mode::AllExcept,
        };
        Self { mode: mode.into(), names: spec.names.clone() }
    }
}

impl TryFrom<&v1::OriginHeaderSelection> for OriginHeaderSelection {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::OriginHeaderSelection) -> Result<Self, NotRepresentable> {
        use origin_header_selection::Mode;
        let mode = match Mode::try_from(wire.mode) {
            Ok(Mode::Unspecified) => None,
            Ok(Mode::None) => Some(OriginHeaderMode::None),
            Ok(Mode::Whitelist) => Some(OriginHeaderMode::Whitelist),
            Ok(Mode::AllViewer) => Some(OriginHeaderMode::AllViewer),
            Ok(Mode::AllViewerAndWhitelistCloudfront) => {
                Some(OriginHeaderMode::AllViewerAndWhitelistCloudfront)
            }
            Ok(Mode::AllExcept) => Some(OriginHeaderMode::AllExcept),
            Err(_) => return Err(NotRepresentable::new("mode", wire.mode)),
        };
        Ok(Self { mode, names: wire.names.clone() })
    }
}

document!(CachePolicy, CachePolicySpec, |wire| Some(wire.managed));
document!(OriginRequestPolicy, OriginRequestPolicySpec, |wire| Some(wire.managed));
document!(ResponseHeadersPolicy, ResponseHeadersPolicySpec, |wire| Some(wire.managed));
