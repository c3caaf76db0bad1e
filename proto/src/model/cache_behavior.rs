//! Cache behaviors: what happens to requests whose path matches.

use http::Method;

use super::{cache_policy, cache_policy::CachePolicy, violation::Checker};
use crate::v1;

/// A checked cache behavior, without the pattern that selects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheBehavior {
    /// Index of the target in the distribution's origins.
    pub origin_index: usize,
    /// Methods passed on; others are answered 403.
    pub allowed_methods: MethodSet,
    /// How responses are cached.
    pub cache_policy: CachePolicy,
    /// Whether the edge compresses what the origin sends as it is.
    pub compress: bool,
}

/// One of the three sets of methods a behavior can allow (CloudFront guide, "Allowed HTTP methods").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodSet {
    /// GET and HEAD.
    GetHead,
    /// GET, HEAD and OPTIONS.
    GetHeadOptions,
    /// GET, HEAD, OPTIONS, PUT, POST, PATCH and DELETE.
    All,
}

impl MethodSet {
    /// The methods of the set.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        const ALL: &[&str] = &["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"];
        match self {
            Self::GetHead => &ALL[..2],
            Self::GetHeadOptions => &ALL[..3],
            Self::All => ALL,
        }
    }

    /// Whether the method is in the set.
    #[must_use]
    pub fn contains(self, method: &Method) -> bool {
        self.names().contains(&method.as_str())
    }

    fn from_names(names: &[String]) -> Option<Self> {
        [Self::GetHead, Self::GetHeadOptions, Self::All].into_iter().find(|set| {
            let set = set.names();
            set.iter().all(|n| names.iter().any(|m| m == n))
                && names.iter().all(|m| set.contains(&m.as_str()))
        })
    }
}

/// Checks all but the path pattern. `origin_ids` are the ids of the distribution's origins, in order.
pub(super) fn check(
    wire: &v1::CacheBehavior,
    origin_ids: &[&str],
    c: &mut Checker<'_>,
) -> Option<CacheBehavior> {
    let origin_index = origin_ids.iter().position(|id| *id == wire.target_origin_id);
    let mut target = c.field("target_origin_id");
    match origin_index {
        _ if wire.target_origin_id.is_empty() => {
            target.violation("is required: the id of one of the origins")
        }
        None => target.violation(format!("{:?} is not the id of one of the origins", wire.target_origin_id)),
        Some(_) => {}
    }
    check_viewer_protocol(wire.viewer_protocol_policy, &mut c.field("viewer_protocol_policy"));
    let allowed_methods = if wire.allowed_methods.is_empty() {
        MethodSet::GetHead
    } else {
        MethodSet::from_names(&wire.allowed_methods).unwrap_or_else(|| {
            c.field("allowed_methods").violation(
                "must be one of: GET HEAD; GET HEAD OPTIONS; GET HEAD OPTIONS PUT POST PATCH DELETE (in capitals)",
            );
            MethodSet::GetHead
        })
    };
    if !wire.cached_methods.is_empty()
        && MethodSet::from_names(&wire.cached_methods) != Some(MethodSet::GetHead)
    {
        c.field("cached_methods")
            .violation("must be GET HEAD; caching of OPTIONS is not supported in this version");
    }
    let cache_policy = cache_policy::check(wire.cache_policy.as_ref(), &mut c.field("cache_policy"));
    Some(CacheBehavior {
        origin_index: origin_index?,
        allowed_methods,
        cache_policy,
        compress: wire.compress,
    })
}

fn check_viewer_protocol(wire: i32, c: &mut Checker<'_>) {
    use v1::cache_behavior::ViewerProtocolPolicy;
    match ViewerProtocolPolicy::try_from(wire) {
        Ok(ViewerProtocolPolicy::Unspecified | ViewerProtocolPolicy::AllowAll) => {}
        Ok(ViewerProtocolPolicy::HttpsOnly | ViewerProtocolPolicy::RedirectToHttps) => {
            c.violation("only ALLOW_ALL is supported in this version, where edges serve HTTP");
        }
        Err(_) => c.violation("is unknown; use ALLOW_ALL"),
    }
}
