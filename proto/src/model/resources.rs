//! What distributions refer to: policies, key groups and what those refer to, each checked by itself, found by its id.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    cache_policy::{self, CachePolicy},
    key_group::{self, KeyGroup},
    managed,
    origin_request_policy::{self, OriginRequestPolicy},
    public_key::{self, PublicKey},
    response_headers_policy::{self, ResponseHeadersPolicy},
    tags,
    violation::{Checker, Violations},
};
use crate::{
    id::ResourceId,
    limits::{COMMENT_CHARS_MAX, POLICY_NAME_CHARS_MAX, RESOURCE_BYTES_MAX},
    v1::{self, resource_config::Kind as Wire},
};

/// What sort of thing a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A cache policy.
    CachePolicy,
    /// An origin request policy.
    OriginRequestPolicy,
    /// A response headers policy.
    ResponseHeadersPolicy,
    /// A public key.
    PublicKey,
    /// A key group.
    KeyGroup,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::CachePolicy,
        Self::OriginRequestPolicy,
        Self::ResponseHeadersPolicy,
        Self::PublicKey,
        Self::KeyGroup,
    ];

    /// The plural, as it stands in store keys: stable.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::CachePolicy => "cache-policies",
            Self::OriginRequestPolicy => "origin-request-policies",
            Self::ResponseHeadersPolicy => "response-headers-policies",
            Self::PublicKey => "public-keys",
            Self::KeyGroup => "key-groups",
        }
    }

    /// What a wire config is about; `None` for what this program does not know.
    #[must_use]
    pub fn of(config: &v1::ResourceConfig) -> Option<Self> {
        Some(match config.kind.as_ref()? {
            Wire::CachePolicy(_) => Self::CachePolicy,
            Wire::OriginRequestPolicy(_) => Self::OriginRequestPolicy,
            Wire::ResponseHeadersPolicy(_) => Self::ResponseHeadersPolicy,
            Wire::PublicKey(_) => Self::PublicKey,
            Wire::KeyGroup(_) => Self::KeyGroup,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CachePolicy => "cache policy",
            Self::OriginRequestPolicy => "origin request policy",
            Self::ResponseHeadersPolicy => "response headers policy",
            Self::PublicKey => "public key",
            Self::KeyGroup => "key group",
        })
    }
}

/// The operator's name for a resource.
#[must_use]
pub fn name(config: &v1::ResourceConfig) -> &str {
    match &config.kind {
        Some(Wire::CachePolicy(policy)) => &policy.name,
        Some(Wire::OriginRequestPolicy(policy)) => &policy.name,
        Some(Wire::ResponseHeadersPolicy(policy)) => &policy.name,
        Some(Wire::PublicKey(key)) => &key.name,
        Some(Wire::KeyGroup(group)) => &group.name,
        None => "",
    }
}

/// The operator's tags of a resource; none if it is of a kind that this program does not know.
#[must_use]
pub fn tags(config: &v1::ResourceConfig) -> &BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    match &config.kind {
        Some(Wire::CachePolicy(policy)) => &policy.tags,
        Some(Wire::OriginRequestPolicy(policy)) => &policy.tags,
        Some(Wire::ResponseHeadersPolicy(policy)) => &policy.tags,
        Some(Wire::PublicKey(key)) => &key.tags,
        Some(Wire::KeyGroup(group)) => &group.tags,
        None => &NONE,
    }
}

/// One checked resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A cache policy.
    CachePolicy(Arc<CachePolicy>),
    /// An origin request policy.
    OriginRequestPolicy(Arc<OriginRequestPolicy>),
    /// A response headers policy.
    ResponseHeadersPolicy(Arc<ResponseHeadersPolicy>),
    /// A public key.
    PublicKey(Arc<PublicKey>),
    /// A key group.
    KeyGroup(Arc<KeyGroup>),
}

impl TryFrom<&v1::ResourceConfig> for Resource {
    type Error = Violations;

    /// Checks everything and reports everything that is wrong.
    fn try_from(wire: &v1::ResourceConfig) -> Result<Self, Violations> {
        let mut found = Violations::default();
        let mut c = Checker::new(&mut found);
        let bytes = prost::Message::encoded_len(wire);
        c.ensure(bytes <= RESOURCE_BYTES_MAX, || {
            format!("has {bytes} bytes; at most {RESOURCE_BYTES_MAX} are allowed")
        });
        let resource = match &wire.kind {
            Some(Wire::CachePolicy(policy)) => {
                check_texts(&policy.name, &policy.comment, &mut c);
                tags::check(&policy.tags, &mut c.field("tags"));
                Some(Self::CachePolicy(Arc::new(cache_policy::check(policy, &mut c))))
            }
            Some(Wire::OriginRequestPolicy(policy)) => {
                check_texts(&policy.name, &policy.comment, &mut c);
                tags::check(&policy.tags, &mut c.field("tags"));
                Some(Self::OriginRequestPolicy(Arc::new(origin_request_policy::check(policy, &mut c))))
            }
            Some(Wire::ResponseHeadersPolicy(policy)) => {
                check_texts(&policy.name, &policy.comment, &mut c);
                tags::check(&policy.tags, &mut c.field("tags"));
                Some(Self::ResponseHeadersPolicy(Arc::new(response_headers_policy::check(policy, &mut c))))
            }
            Some(Wire::PublicKey(key)) => {
                check_texts(&key.name, &key.comment, &mut c);
                tags::check(&key.tags, &mut c.field("tags"));
                public_key::check(key, &mut c).map(|key| Self::PublicKey(Arc::new(key)))
            }
            Some(Wire::KeyGroup(group)) => {
                check_texts(&group.name, &group.comment, &mut c);
                tags::check(&group.tags, &mut c.field("tags"));
                Some(Self::KeyGroup(Arc::new(key_group::check(group, &mut c))))
            }
            None => {
                c.violation("is of a kind that this version does not know");
                None
            }
        };
        let resource = found.into_result(resource)?;
        // Without a violation there is one; a missing one would be a bug above.
        resource.ok_or_else(|| {
            let mut found = Violations::default();
            found.add("", "could not be checked");
            found
        })
    }
}

fn check_texts(name: &str, comment: &str, c: &mut Checker<'_>) {
    let mut field = c.field("name");
    field.ensure(!name.is_empty(), || "is required: a name that no other of its kind has".into());
    field.chars_max(name, POLICY_NAME_CHARS_MAX);
    field.printable(name);
    let trimmed = name.trim() == name;
    field.ensure(trimmed, || "must not begin or end with white space".into());
    c.field("comment").chars_max(comment, COMMENT_CHARS_MAX);
    c.field("comment").printable(comment);
}

/// Everything that distributions may refer to: what was created, and what is managed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resources {
    created: BTreeMap<ResourceId, Resource>,
}

impl Resources {
    /// Puts one in, in place of what was there under its id.
    pub fn insert(&mut self, id: ResourceId, resource: Resource) {
        self.created.insert(id, resource);
    }

    /// Takes one out.
    pub fn remove(&mut self, id: &str) {
        self.created.remove(id);
    }

    /// What was created under this id.
    #[must_use]
    pub fn created(&self, id: &str) -> Option<&Resource> {
        self.created.get(id)
    }

    fn get(&self, id: &str) -> Option<&Resource> {
        managed::resource(id).or_else(|| self.created.get(id))
    }

    /// The cache policy with this id.
    #[must_use]
    pub fn cache_policy(&self, id: &str) -> Option<&Arc<CachePolicy>> {
        match self.get(id)? {
            Resource::CachePolicy(policy) => Some(policy),
            _ => None,
        }
    }

    /// The origin request policy with this id.
    #[must_use]
    pub fn origin_request_policy(&self, id: &str) -> Option<&Arc<OriginRequestPolicy>> {
        match self.get(id)? {
            Resource::OriginRequestPolicy(policy) => Some(policy),
            _ => None,
        }
    }

    /// The response headers policy with this id.
    #[must_use]
    pub fn response_headers_policy(&self, id: &str) -> Option<&Arc<ResponseHeadersPolicy>> {
        match self.get(id)? {
            Resource::ResponseHeadersPolicy(policy) => Some(policy),
            _ => None,
        }
    }

    /// The public key with this id.
    #[must_use]
    pub fn public_key(&self, id: &str) -> Option<&Arc<PublicKey>> {
        match self.get(id)? {
            Resource::PublicKey(key) => Some(key),
            _ => None,
        }
    }

    /// The key group with this id.
    #[must_use]
    pub fn key_group(&self, id: &str) -> Option<&Arc<KeyGroup>> {
        match self.get(id)? {
            Resource::KeyGroup(group) => Some(group),
            _ => None,
        }
    }
}

/// The ids of all that a distribution refers to, managed ones included, each once.
#[must_use]
pub fn used_by(config: &v1::DistributionConfig) -> Vec<(Kind, &str)> {
    let mut used = Vec::new();
    for behavior in config.default_cache_behavior.iter().chain(&config.cache_behaviors) {
        let policies = [
            (Kind::CachePolicy, behavior.cache_policy_id.as_str()),
            (Kind::OriginRequestPolicy, behavior.origin_request_policy_id.as_str()),
            (Kind::ResponseHeadersPolicy, behavior.response_headers_policy_id.as_str()),
        ];
        let groups = behavior.trusted_key_group_ids.iter().map(|id| (Kind::KeyGroup, id.as_str()));
        for one in policies.into_iter().chain(groups) {
            if !one.1.is_empty() && !used.contains(&one) {
                used.push(one);
            }
        }
    }
    used
}

/// The ids of all that a resource itself refers to, each once. What it refers to refers to nothing.
#[must_use]
pub fn used_by_resource(config: &v1::ResourceConfig) -> Vec<(Kind, &str)> {
    let mut used = Vec::new();
    if let Some(Wire::KeyGroup(group)) = &config.kind {
        for id in &group.public_key_ids {
            if !used.contains(&(Kind::PublicKey, id.as_str())) {
                used.push((Kind::PublicKey, id.as_str()));
            }
        }
    }
    used
}
