//! Cache policies as people write them.

use serde::{Deserialize, Serialize};

use super::duration::SpecDuration;

/// How long objects are kept and what tells one object from another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachePolicySpec {
    /// Whose rules decide. Default cloudfront.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semantics: Option<Semantics>,
    /// Kept at least this long. Default 0 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ttl: Option<SpecDuration>,
    /// Kept this long when the origin does not say. Default a day, with rfc9111 semantics min_ttl.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_ttl: Option<SpecDuration>,
    /// Kept at most this long. Default a year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ttl: Option<SpecDuration>,
    /// Request headers in the cache key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<HeaderSelection>,
    /// Cookies in the cache key. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookies: Option<NameSelection>,
    /// Query parameters in the cache key. Default none, with rfc9111 semantics all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_strings: Option<NameSelection>,
    /// Whether gzip tells objects apart, where viewers accept it, and may be compressed with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_encoding_gzip: bool,
    /// The same of brotli.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_encoding_brotli: bool,
    /// The same of zstd.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_encoding_zstd: bool,
}

/// Whose rules decide what may be stored and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Semantics {
    /// CloudFront's: a minimum TTL overrides the origin, a viewer's Cache-Control is ignored.
    Cloudfront,
    /// A shared cache as RFC 9111 describes it.
    Rfc9111,
}

/// Which request headers count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderSelection {
    /// At most 10, case-insensitive.
    #[serde(default)]
    pub names: Vec<String>,
}

/// Which cookies or query parameters count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameSelection {
    /// How the names are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<NameSelectionMode>,
    /// At most 10, case-sensitive. Only with whitelist and all-except.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// How the names of a selection are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameSelectionMode {
    /// None count.
    None,
    /// Only those named.
    Whitelist,
    /// All but those named.
    AllExcept,
    /// All count.
    All,
}
