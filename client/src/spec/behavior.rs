//! Cache behaviors as people write them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

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
    /// The same, written here, or by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_policy: Option<CachePolicyChoice>,
    /// The id of an origin request policy: what reaches the origin beside what is in the cache key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub origin_request_policy_id: String,
    /// The same by its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub origin_request_policy: String,
    /// The id of a response headers policy: what is removed from, and added to, every response.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub response_headers_policy_id: String,
    /// The same by its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub response_headers_policy: String,
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

impl CacheBehaviorSpec {
    /// The cache policy that is written here, an empty one if there was none.
    pub fn inline_cache_policy(&mut self) -> &mut CachePolicySpec {
        let choice = self.cache_policy.get_or_insert_with(|| CachePolicySpec::default().into());
        loop {
            match choice {
                CachePolicyChoice::Inline(policy) => return policy,
                CachePolicyChoice::Named(_) => *choice = CachePolicySpec::default().into(),
            }
        }
    }
}

/// A cache policy in its place: written there, or the name of one that was created or is managed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CachePolicyChoice {
    /// Written there.
    Inline(Box<CachePolicySpec>),
    /// By its name.
    Named(String),
}

impl From<CachePolicySpec> for CachePolicyChoice {
    fn from(policy: CachePolicySpec) -> Self {
        Self::Inline(Box::new(policy))
    }
}

impl<'de> Deserialize<'de> for CachePolicyChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// By hand: of the choices that serde makes by trial, an error would not say where it is.
        struct Choice;

        impl<'de> de::Visitor<'de> for Choice {
            type Value = CachePolicyChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a cache policy, or its fields with their values")
            }

            fn visit_str<E>(self, name: &str) -> Result<CachePolicyChoice, E> {
                Ok(CachePolicyChoice::Named(name.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<CachePolicyChoice, A::Error> {
                CachePolicySpec::deserialize(de::value::MapAccessDeserializer::new(map)).map(Into::into)
            }
        }

        deserializer.deserialize_any(Choice)
    }
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
