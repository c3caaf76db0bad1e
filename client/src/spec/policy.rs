//! Policies as people write them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{document::DocumentKind, duration::SpecDuration};

/// How long objects are kept and what tells one object from another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachePolicySpec {
    /// Unique among cache policies; none inline, in a cache behavior.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// For people. At most 128 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
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
    /// For people and their programs. At most 50; none inline, in a cache behavior.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
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

/// What reaches the origin beside what is in the cache key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginRequestPolicySpec {
    /// Unique among origin request policies.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// For people. At most 128 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Which of the viewer's headers. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<OriginHeaderSelection>,
    /// Which cookies. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookies: Option<NameSelection>,
    /// Which query parameters. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_strings: Option<NameSelection>,
    /// For people and their programs. At most 50.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Which of a viewer's headers reach the origin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginHeaderSelection {
    /// How the names are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<OriginHeaderMode>,
    /// At most 10, case-insensitive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// How the names of a selection of headers are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginHeaderMode {
    /// None.
    None,
    /// Only those named.
    Whitelist,
    /// All of the viewer's, Host included.
    AllViewer,
    /// All of the viewer's, and the named ones of those that the edge adds.
    AllViewerAndWhitelistCloudfront,
    /// All of the viewer's but those named.
    AllExcept,
}

/// A policy, a public key or a key group. Its `config` is what a spec file holds; the whole document is accepted as a spec file, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDocument<S> {
    /// What it is; may be left out where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DocumentKind>,
    /// Assigned at creation.
    #[serde(default)]
    pub id: String,
    /// Changes with every mutation. In a file given to `update` it says which state the change was made against.
    #[serde(default)]
    pub etag: String,
    /// The store revision of the last mutation; 0 for a managed one.
    #[serde(default)]
    pub revision: u64,
    /// RFC 3339.
    #[serde(default)]
    pub create_time: String,
    /// RFC 3339.
    #[serde(default)]
    pub update_time: String,
    /// Comes with the program and cannot be changed. Nothing is said where there is nothing that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<bool>,
    /// What the operator asked for.
    pub config: S,
}
