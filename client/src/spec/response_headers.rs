//! Response headers policies as people write them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::duration::SpecDuration;

/// What is removed from, and added to, every response. Where something is added, `origin_override` says whether it replaces what
/// the origin sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseHeadersPolicySpec {
    /// Unique among response headers policies.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// For people. At most 128 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Cross-origin requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<CorsSpec>,
    /// What browsers should insist on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_headers: Option<SecurityHeadersSpec>,
    /// At most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custom_headers: Vec<CustomResponseHeaderSpec>,
    /// Removed from what the origin sent. At most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_headers: Vec<String>,
    /// Server-Timing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_timing: Option<ServerTimingSpec>,
    /// For people and their programs. At most 50.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Cross-origin requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsSpec {
    /// `"*"`, or `https://www.example.com`, `https://*.example.com`, `http://localhost:*`.
    #[serde(default)]
    pub allow_origins: Vec<String>,
    /// Request headers that preflights are told of, or `"*"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<String>,
    /// Methods that preflights are told of, or ALL.
    #[serde(default)]
    pub allow_methods: Vec<String>,
    /// Whether cookies and the like may be sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_credentials: bool,
    /// Response headers that scripts may read, or `"*"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// How long browsers may keep the answer to a preflight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<SpecDuration>,
    /// Whether the edge answers preflights, and decides whatever the origin says.
    #[serde(default)]
    pub origin_override: bool,
}

/// What browsers should insist on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityHeadersSpec {
    /// X-XSS-Protection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xss_protection: Option<XssProtectionSpec>,
    /// X-Frame-Options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_options: Option<FrameOptionsSpec>,
    /// Referrer-Policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer_policy: Option<ReferrerPolicySpec>,
    /// Content-Security-Policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_security_policy: Option<ContentSecurityPolicySpec>,
    /// X-Content-Type-Options: nosniff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type_options: Option<OverrideSpec>,
    /// Strict-Transport-Security.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict_transport_security: Option<StrictTransportSecuritySpec>,
}

/// Whether a header replaces the origin's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideSpec {
    /// Whether it does.
    #[serde(default)]
    pub origin_override: bool,
}

/// X-XSS-Protection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XssProtectionSpec {
    /// Whether it replaces the origin's.
    #[serde(default)]
    pub origin_override: bool,
    /// 1, or 0.
    #[serde(default)]
    pub protection: bool,
    /// mode=block.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mode_block: bool,
    /// report=.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub report_uri: String,
}

/// X-Frame-Options.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameOptionsSpec {
    /// Whether it replaces the origin's.
    #[serde(default)]
    pub origin_override: bool,
    /// DENY or SAMEORIGIN.
    #[serde(default)]
    pub frame_option: String,
}

/// Referrer-Policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferrerPolicySpec {
    /// Whether it replaces the origin's.
    #[serde(default)]
    pub origin_override: bool,
    /// Such as strict-origin-when-cross-origin.
    #[serde(default)]
    pub referrer_policy: String,
}

/// Content-Security-Policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentSecurityPolicySpec {
    /// Whether it replaces the origin's.
    #[serde(default)]
    pub origin_override: bool,
    /// Its value.
    #[serde(default)]
    pub content_security_policy: String,
}

/// Strict-Transport-Security.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrictTransportSecuritySpec {
    /// Whether it replaces the origin's.
    #[serde(default)]
    pub origin_override: bool,
    /// How long browsers insist on HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<SpecDuration>,
    /// includeSubDomains.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_subdomains: bool,
    /// preload.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preload: bool,
}

/// A header that is added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomResponseHeaderSpec {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its value, which may be empty.
    #[serde(default)]
    pub value: String,
    /// Whether it replaces the origin's.
    #[serde(default)]
    pub origin_override: bool,
}

/// Server-Timing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTimingSpec {
    /// Percent of the responses that say it, to four decimals.
    #[serde(default)]
    pub sampling_rate: f64,
}
