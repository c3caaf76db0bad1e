//! Cache behaviors, to and from the wire.

use headland_proto::{
    model::Kind,
    v1::{self, cache_behavior},
};

use super::{NotRepresentable, optional};
use crate::spec::{CacheBehaviorSpec, CachePolicyChoice, CachePolicySpec, ViewerProtocolPolicy};

impl From<&CacheBehaviorSpec> for v1::CacheBehavior {
    fn from(spec: &CacheBehaviorSpec) -> Self {
        use cache_behavior::ViewerProtocolPolicy as Wire;
        let viewer_protocol_policy = match spec.viewer_protocol_policy {
            None => Wire::Unspecified,
            Some(ViewerProtocolPolicy::AllowAll) => Wire::AllowAll,
            Some(ViewerProtocolPolicy::HttpsOnly) => Wire::HttpsOnly,
            Some(ViewerProtocolPolicy::RedirectToHttps) => Wire::RedirectToHttps,
        };
        Self {
            path_pattern: spec.path_pattern.clone(),
            target_origin_id: spec.target_origin_id.clone(),
            viewer_protocol_policy: viewer_protocol_policy.into(),
            allowed_methods: spec.allowed_methods.clone(),
            cached_methods: spec.cached_methods.clone(),
            cache_policy: match &spec.cache_policy {
                Some(CachePolicyChoice::Inline(policy)) => Some(policy.as_ref().into()),
                Some(CachePolicyChoice::Named(_)) | None => None,
            },
            compress: spec.compress,
            cache_policy_id: id_or_name(spec, Kind::CachePolicy),
            origin_request_policy_id: id_or_name(spec, Kind::OriginRequestPolicy),
            response_headers_policy_id: id_or_name(spec, Kind::ResponseHeadersPolicy),
            trusted_key_group_ids: spec.trusted_key_group_ids.clone(),
            grpc: spec.grpc,
        }
    }
}

impl TryFrom<&v1::CacheBehavior> for CacheBehaviorSpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::CacheBehavior) -> Result<Self, NotRepresentable> {
        use cache_behavior::ViewerProtocolPolicy as Wire;
        let viewer_protocol_policy = match Wire::try_from(wire.viewer_protocol_policy) {
            Ok(Wire::Unspecified) => None,
            Ok(Wire::AllowAll) => Some(ViewerProtocolPolicy::AllowAll),
            Ok(Wire::HttpsOnly) => Some(ViewerProtocolPolicy::HttpsOnly),
            Ok(Wire::RedirectToHttps) => Some(ViewerProtocolPolicy::RedirectToHttps),
            Err(_) => {
                return Err(NotRepresentable::new("viewer_protocol_policy", wire.viewer_protocol_policy));
            }
        };
        Ok(Self {
            path_pattern: wire.path_pattern.clone(),
            target_origin_id: wire.target_origin_id.clone(),
            viewer_protocol_policy,
            allowed_methods: wire.allowed_methods.clone(),
            cached_methods: wire.cached_methods.clone(),
            cache_policy: optional::<_, CachePolicySpec>("cache_policy", wire.cache_policy.as_ref())?
                .map(Into::into),
            compress: wire.compress,
            cache_policy_id: wire.cache_policy_id.clone(),
            origin_request_policy_id: wire.origin_request_policy_id.clone(),
            origin_request_policy: String::new(),
            response_headers_policy_id: wire.response_headers_policy_id.clone(),
            response_headers_policy: String::new(),
            trusted_key_group_ids: wire.trusted_key_group_ids.clone(),
            grpc: wire.grpc,
        })
    }
}

/// What a behavior refers to. A name that nobody resolved is sent as it is: the control plane then says that there is no such id.
fn id_or_name(spec: &CacheBehaviorSpec, kind: Kind) -> String {
    let (id, name) = spec.reference(kind);
    if id.is_empty() { name.to_owned() } else { id.to_owned() }
}
