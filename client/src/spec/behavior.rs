//! Cache behaviors as people write them.

use serde::{Deserialize, Serialize};

use super::policy::CachePolicySpec;

/// What happens to requests whose path matches.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheBehaviorSpec {
    /// `images/*.jpg`; none in the default behavior.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path_pattern: String,
    /// The id of one of the origins, or of an origin group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target_origin_id: String,
    /// Default allow-all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewer_protocol_policy: Option<ViewerProtocolPolicy>,
    /// One of three sets: GET HEAD (the default); GET HEAD OPTIONS; GET HEAD OPTIONS PUT POST PATCH DELETE.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_methods: Vec<String>,
    /// GET HEAD, the default; or GET HEAD OPTIONS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cached_methods: Vec<String>,
    /// The id of a cache policy: how long objects are kept and what tells them apart.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cache_policy_id: String,
    /// The same, written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_policy: Option<CachePolicySpec>,
    /// The id of an origin request policy: what reaches the origin beside what is in the cache key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub origin_request_policy_id: String,
    /// The id of a response headers policy: what is removed from, and added to, every response.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub response_headers_policy_id: String,
    /// Compression by the edge, in the codings that the cache policy enables.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compress: bool,
    /// Ids of key groups, at most 4: only requests signed with a key of one of them are served. `trusted_key_groups` is understood, too.
    #[serde(default, alias = "trusted_key_groups", skip_serializing_if = "Vec::is_empty")]
    pub trusted_key_group_ids: Vec<String>,
    /// gRPC calls are passed on over HTTP/2. Takes all seven methods.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grpc: bool,
}

/// Which schemes a viewer may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViewerProtocolPolicy {
    /// HTTP and HTTPS.
    AllowAll,
    /// HTTP is answered 403.
    HttpsOnly,
    /// HTTP is redirected.
    RedirectToHttps,
}
