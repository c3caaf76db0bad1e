//! The file people write, and what the command prints: the same types, in YAML or JSON.
//!
//! Field names are those of the .proto files; choices are written in lower case (`allow-all`, `rfc9111`), durations as `60s`,
//! `1h30m` or plain seconds. What is left out takes the default named in `headland/v1/distribution.proto`.

mod behavior;
mod document;
mod duration;
mod explanation;
mod key;
mod locate;
mod names;
mod origin;
mod parse;
mod policy;
mod response_headers;
mod stream;
mod wire;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::{
    behavior::{CacheBehaviorSpec, CachePolicyChoice, ViewerProtocolPolicy},
    document::{
        CacheFigures, DistributionDocument, DistributionState, DistributionStatus, DocumentKind,
        EdgeDocument, Liveness, OriginProblem, Refusal, TrafficFigures,
    },
    duration::{InvalidDuration, SpecDuration},
    explanation::{
        ExplainedBehavior, ExplainedDistribution, ExplainedKey, ExplainedRequest, ExplainedVerdict,
        ExplainedViewer, ExplainingEdge, ExplanationDocument, FreshnessSum, KeyPart, Seconds, StaleWindows,
        StoredVariant, VaryField,
    },
    key::{KeyGroupSpec, PublicKeySpec},
    names::Names,
    origin::{
        CustomHeaderSpec, CustomOriginSpec, HealthCheckSpec, Http2, InvalidOriginUrl, OriginKind,
        OriginShieldSpec, OriginSpec, OriginTlsSpec, ProtocolPolicy, S3OriginSpec, Signing, TlsVersion,
    },
    parse::{Source, Spec, in_spec_words},
    policy::{
        CachePolicySpec, HeaderSelection, NameSelection, NameSelectionMode, OriginHeaderMode,
        OriginHeaderSelection, OriginRequestPolicySpec, PolicyDocument, Semantics,
    },
    response_headers::{
        ContentSecurityPolicySpec, CorsSpec, CustomResponseHeaderSpec, FrameOptionsSpec, OverrideSpec,
        ReferrerPolicySpec, ResponseHeadersPolicySpec, SecurityHeadersSpec, ServerTimingSpec,
        StrictTransportSecuritySpec, XssProtectionSpec,
    },
    stream::{documents, kind_of},
    wire::NotRepresentable,
};

/// What an operator asks for: one distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistributionSpec {
    /// Makes creation idempotent; chosen when left out. At most 128 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caller_reference: String,
    /// For people. At most 128 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether it serves. Default true: who writes a file wants it served.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Further host names, `*.example.com` included. At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The object served for "/", without a leading slash.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub default_root_object: String,
    /// Where objects come from, 1 to 100.
    #[serde(default)]
    pub origins: Vec<OriginSpec>,
    /// Used when no path pattern matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_cache_behavior: Option<CacheBehaviorSpec>,
    /// Tried in order, first match wins. At most 75.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cache_behaviors: Vec<CacheBehaviorSpec>,
    /// Viewers may ask for debug response headers with `Headland-Debug: 1`. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub debug_headers: bool,
    /// What viewers get in place of errors, and how long errors are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custom_error_responses: Vec<CustomErrorResponseSpec>,
    /// Origins that stand in for one another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origin_groups: Vec<OriginGroupSpec>,
    /// From which countries viewers may come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geo_restriction: Option<GeoRestrictionSpec>,
    /// For people and their programs. At most 50.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// From which countries viewers may come; others are answered 403.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeoRestrictionSpec {
    /// Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<GeoRestrictionMode>,
    /// ISO 3166-1 alpha-2: `DE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub country_codes: Vec<String>,
}

/// How the countries of a geographic restriction are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GeoRestrictionMode {
    /// Viewers may come from everywhere.
    None,
    /// Only from those listed.
    Whitelist,
    /// From all but those listed.
    Blacklist,
}

/// Origins that stand in for one another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginGroupSpec {
    /// Cache behaviors refer to it by this, as to an origin.
    pub id: String,
    /// Ids of origins, in the order in which they are tried; 2 to 10.
    #[serde(default)]
    pub member_origin_ids: Vec<String>,
    /// Answers for which the next one is asked: some of 400, 403, 404, 416, 429, 500, 502, 503, 504.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failover_status_codes: Vec<u32>,
}

/// What viewers get in place of one error status, and how long it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomErrorResponseSpec {
    /// One of 400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504.
    pub error_code: u32,
    /// `/errors/404.html`, served from this distribution. Left out: the error as it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub response_page_path: String,
    /// The status that the page is served with. Default error_code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_code: Option<u32>,
    /// How long such an error is kept at least, with cloudfront semantics. Default 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_caching_min_ttl: Option<SpecDuration>,
}

fn enabled() -> bool {
    true
}

impl Default for DistributionSpec {
    fn default() -> Self {
        Self {
            caller_reference: String::new(),
            comment: String::new(),
            enabled: enabled(),
            aliases: Vec::new(),
            default_root_object: String::new(),
            origins: Vec::new(),
            default_cache_behavior: None,
            cache_behaviors: Vec::new(),
            debug_headers: false,
            custom_error_responses: Vec::new(),
            origin_groups: Vec::new(),
            geo_restriction: None,
            tags: BTreeMap::new(),
        }
    }
}

impl DistributionSpec {
    /// The same distribution with one more origin. The first becomes the default behavior's target.
    #[must_use]
    pub fn with_origin(mut self, origin: OriginSpec) -> Self {
        let behavior = self.default_cache_behavior.get_or_insert_default();
        if behavior.target_origin_id.is_empty() {
            behavior.target_origin_id.clone_from(&origin.id);
        }
        self.origins.push(origin);
        self
    }
}

#[cfg(test)]
mod tests;
