//! Cache behaviors: what happens to requests whose path matches.

use std::sync::Arc;

use http::Method;

use super::{
    NameSelection, OriginRequestPolicy, Resources, ResponseHeadersPolicy, Semantics, TrustedKeys,
    cache_policy, cache_policy::CachePolicy, key_group, violation::Checker,
};
use crate::v1;

/// A checked cache behavior, without the pattern that selects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheBehavior {
    /// Where objects come from.
    pub target: Target,
    /// By which scheme viewers may come.
    pub viewer_protocol: ViewerProtocol,
    /// Methods passed on; others are answered 403.
    pub allowed_methods: MethodSet,
    /// Whether OPTIONS is answered from the cache, beside GET and HEAD.
    pub caches_options: bool,
    /// How responses are cached.
    pub cache_policy: Arc<CachePolicy>,
    /// What reaches the origin beside what is in the cache key.
    pub origin_request_policy: Option<Arc<OriginRequestPolicy>>,
    /// What is changed in every response to a viewer.
    pub response_headers_policy: Option<Arc<ResponseHeadersPolicy>>,
    /// Whether the edge compresses what the origin sends as it is.
    pub compress: bool,
    /// What requests must be signed with; `None`: they need not be.
    pub trusted_keys: Option<TrustedKeys>,
    /// Whether gRPC calls are passed on as such.
    pub grpc: bool,
}

/// By which scheme viewers may come (CloudFront guide, "Viewer protocol policy").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewerProtocol {
    /// Any.
    AllowAll,
    /// Https; others are answered 403.
    HttpsOnly,
    /// Https; others are sent to the same URL with it.
    RedirectToHttps,
}

/// Where objects come from: indices in the distribution's own lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One of its origins.
    Origin(usize),
    /// One of its origin groups.
    Group(usize),
}

impl CacheBehavior {
    /// Whether responses to this method are answered from the cache.
    #[must_use]
    pub fn caches(&self, method: &Method) -> bool {
        matches!(*method, Method::GET | Method::HEAD) || (self.caches_options && method == Method::OPTIONS)
    }

    /// Whether any of the viewer's cookies reach the origin.
    #[must_use]
    pub fn forwards_cookies(&self) -> bool {
        let also = |policy: &Arc<OriginRequestPolicy>| policy.cookies != NameSelection::None;
        self.cache_policy.keys_cookies() || self.origin_request_policy.as_ref().is_some_and(also)
    }
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

/// Checks all but the path pattern. `ids` are those of the distribution's origins and of its origin groups, in order.
pub(super) fn check(
    wire: &v1::CacheBehavior,
    (origin_ids, group_ids): (&[&str], &[&str]),
    resources: &Resources,
    c: &mut Checker<'_>,
) -> Option<CacheBehavior> {
    let place = |ids: &[&str]| ids.iter().position(|id| *id == wire.target_origin_id);
    let target = place(origin_ids).map(Target::Origin).or_else(|| place(group_ids).map(Target::Group));
    let mut field = c.field("target_origin_id");
    match target {
        _ if wire.target_origin_id.is_empty() => {
            field.violation("is required: the id of one of the origins, or of an origin group");
        }
        None => field.violation(format!("{:?} is not the id of one of the origins", wire.target_origin_id)),
        Some(_) => {}
    }
    let viewer_protocol =
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
    let cache_policy = check_cache_policy(wire, resources, c);
    let trusted = &wire.trusted_key_group_ids;
    let trusted_keys = key_group::check_trusted(trusted, resources, &mut c.field("trusted_key_group_ids"));
    let mut refer = |field, kind, id: &str, is_there: bool| {
        c.field(field).ensure(id.is_empty() || is_there, || unknown(kind, id));
    };
    let id = &wire.origin_request_policy_id;
    let origin_request_policy = resources.origin_request_policy(id).cloned();
    refer("origin_request_policy_id", "origin request policy", id, origin_request_policy.is_some());
    let id = &wire.response_headers_policy_id;
    let response_headers_policy = resources.response_headers_policy(id).cloned();
    refer("response_headers_policy_id", "response headers policy", id, response_headers_policy.is_some());
    let cache_policy = cache_policy?;
    let caches_options =
        check_cached_methods(wire, allowed_methods, &cache_policy, &mut c.field("cached_methods"));
    c.field("grpc").ensure(!wire.grpc || allowed_methods == MethodSet::All, || {
        "needs POST: set allowed_methods to GET HEAD OPTIONS PUT POST PATCH DELETE".into()
    });
    Some(CacheBehavior {
        target: target?,
        viewer_protocol,
        allowed_methods,
        caches_options,
        cache_policy,
        origin_request_policy,
        response_headers_policy,
        compress: wire.compress,
        trusted_keys,
        grpc: wire.grpc,
    })
}

/// Whether OPTIONS is answered from the cache.
fn check_cached_methods(
    wire: &v1::CacheBehavior,
    allowed: MethodSet,
    policy: &CachePolicy,
    c: &mut Checker<'_>,
) -> bool {
    if wire.cached_methods.is_empty() {
        return false;
    }
    match MethodSet::from_names(&wire.cached_methods) {
        Some(MethodSet::GetHead) => return false,
        Some(MethodSet::GetHeadOptions) => {}
        Some(MethodSet::All) | None => {
            c.violation("must be one of: GET HEAD; GET HEAD OPTIONS (in capitals)");
            return false;
        }
    }
    c.ensure(allowed != MethodSet::GetHead, || "have OPTIONS, which allowed_methods must have too".into());
    c.ensure(policy.semantics == Semantics::CloudFront, || {
        "must be GET HEAD with RFC 9111 semantics, by which responses to OPTIONS are not stored (RFC 9110 section 9.3.7)"
            .into()
    });
    true
}

/// The policy that is written here, or that is referred to.
fn check_cache_policy(
    wire: &v1::CacheBehavior,
    resources: &Resources,
    c: &mut Checker<'_>,
) -> Option<Arc<CachePolicy>> {
    let unset = v1::CachePolicyConfig::default();
    let id = wire.cache_policy_id.as_str();
    if id.is_empty() {
        let inline = wire.cache_policy.as_ref().unwrap_or(&unset);
        let mut c = c.field("cache_policy");
        for (field, text) in [("name", &inline.name), ("comment", &inline.comment)] {
            c.field(field).ensure(text.is_empty(), || {
                "must be empty inline; create a cache policy to give it a name".into()
            });
        }
        c.field("tags").ensure(inline.tags.is_empty(), || {
            "must be empty inline; tag the distribution, or create a cache policy".into()
        });
        return Some(Arc::new(cache_policy::check(inline, &mut c)));
    }
    c.field("cache_policy").ensure(wire.cache_policy.is_none(), || {
        "must be unset when cache_policy_id is set; remove one of them".into()
    });
    let policy = resources.cache_policy(id).cloned();
    c.field("cache_policy_id").ensure(policy.is_some(), || unknown("cache policy", id));
    policy
}

fn unknown(kind: &str, id: &str) -> String {
    format!("{id:?} is not the id of a {kind}; create it first, or use one that is listed")
}

fn check_viewer_protocol(wire: i32, c: &mut Checker<'_>) -> ViewerProtocol {
    use v1::cache_behavior::ViewerProtocolPolicy as Policy;
    match Policy::try_from(wire) {
        Ok(Policy::Unspecified | Policy::AllowAll) => ViewerProtocol::AllowAll,
        Ok(Policy::HttpsOnly) => ViewerProtocol::HttpsOnly,
        Ok(Policy::RedirectToHttps) => ViewerProtocol::RedirectToHttps,
        Err(_) => {
            c.violation("is unknown; use ALLOW_ALL, HTTPS_ONLY or REDIRECT_TO_HTTPS");
            ViewerProtocol::AllowAll
        }
    }
}
