//! Cache behaviors.

use headland_proto::model::Kind;
use serde_json::{Value, json};

use super::{
    Context,
    fields::{Table, items, object, put_boolean, put_text, text, texts, texts_beside, unsupported},
    legacy::{self, Forwarded},
    report::Place,
};
use crate::spec::{CacheBehaviorSpec, CachePolicyChoice, ViewerProtocolPolicy};

/// What is read of a behavior before policies are chosen.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) spec: CacheBehaviorSpec,
    cache_policy_id: Option<String>,
    origin_request_policy_id: Option<String>,
    pub(super) legacy: Option<Forwarded>,
    /// Something that keeps people out is not done here.
    pub(super) is_unguarded: bool,
}

const NOBODY_CHECKS: &str =
    "not supported yet: nobody would check who asks, so the distribution is disabled until you enable it";

const BEHAVIOR: &Table<Draft> = &[
    ("PathPattern", |draft, value, place| put_text(&mut draft.spec.path_pattern, value, place)),
    ("TargetOriginId", |draft, value, place| put_text(&mut draft.spec.target_origin_id, value, place)),
    ("ViewerProtocolPolicy", viewer_protocol_policy),
    ("AllowedMethods", |draft, value, place| {
        draft.spec.allowed_methods = texts_beside(&["CachedMethods"], value, place);
        if let Some(cached) = value.get("CachedMethods") {
            cached_methods(cached, &mut place.field("CachedMethods"));
        }
        place.exact();
    }),
    ("Compress", |draft, value, place| put_boolean(&mut draft.spec.compress, value, place)),
    ("CachePolicyId", |draft, value, place| draft.cache_policy_id = text(value, place).map(str::to_owned)),
    ("OriginRequestPolicyId", |draft, value, place| {
        draft.origin_request_policy_id = text(value, place).map(str::to_owned);
    }),
    ("ResponseHeadersPolicyId", response_headers_policy),
    ("TrustedKeyGroups", trusted_key_groups),
    ("TrustedSigners", |draft, value, place| {
        draft.is_unguarded |= unsupported(value, &[], NOBODY_CHECKS, place);
    }),
    ("FunctionAssociations", |_, value, place| {
        unsupported(value, &[], "functions are not run", place);
    }),
    ("LambdaFunctionAssociations", |_, value, place| {
        unsupported(value, &[], "functions are not run", place);
    }),
    ("SmoothStreaming", |_, value, place| {
        unsupported(value, &[json!(false)], "files are served as they are", place);
    }),
    ("FieldLevelEncryptionId", |_, value, place| {
        unsupported(value, &[], "fields reach the origin as viewers send them", place);
    }),
    ("RealtimeLogConfigArn", |_, value, place| {
        unsupported(value, &[], "nothing is logged in real time", place);
    }),
    ("GrpcConfig", |_, value, place| {
        unsupported(value, &[], "gRPC is not passed on", place);
    }),
    ("ForwardedValues", |draft, value, place| legacy::forwarded_values(forwarded(draft), value, place)),
    ("MinTTL", |draft, value, place| legacy::ttl(&mut forwarded(draft).min_ttl, value, place)),
    ("DefaultTTL", |draft, value, place| legacy::ttl(&mut forwarded(draft).default_ttl, value, place)),
    ("MaxTTL", |draft, value, place| legacy::ttl(&mut forwarded(draft).max_ttl, value, place)),
];

fn forwarded(draft: &mut Draft) -> &mut Forwarded {
    draft.legacy.get_or_insert_default()
}

/// Not there yet: edges serve cleartext HTTP.
fn viewer_protocol_policy(draft: &mut Draft, value: &Value, place: &mut Place<'_>) {
    match text(value, place) {
        Some("allow-all") => {
            draft.spec.viewer_protocol_policy = Some(ViewerProtocolPolicy::AllowAll);
            place.exact();
        }
        Some("redirect-to-https" | "https-only") => {
            place.unsupported("not supported yet; edges serve HTTP, and viewers are answered by it");
        }
        Some(other) => place.problem(format!("{other:?} is not allow-all, redirect-to-https or https-only")),
        None => {}
    }
}

/// Not there yet.
fn response_headers_policy(_: &mut Draft, value: &Value, place: &mut Place<'_>) {
    unsupported(value, &[], "not supported yet; responses keep the origin's headers", place);
}

/// Not there yet.
fn trusted_key_groups(draft: &mut Draft, value: &Value, place: &mut Place<'_>) {
    draft.is_unguarded |= unsupported(value, &[], NOBODY_CHECKS, place);
}

fn cached_methods(value: &Value, place: &mut Place<'_>) {
    if texts(value, place).iter().any(|method| method == "OPTIONS") {
        place.unsupported("OPTIONS is asked of the origin every time");
    }
}

/// Policies of Amazon's that are not offered here, and what comes next to each.
const MANAGED_ELSEWHERE: [(Kind, &str, &str, &str); 2] = [
    (
        Kind::CachePolicy,
        "2e54312d-136d-493c-8eb9-b001f22f67d2",
        "Managed-CachingDisabled",
        "Managed-Amplify is not offered; nothing is kept",
    ),
    (
        Kind::OriginRequestPolicy,
        "33f36d7e-f396-46d9-90e0-52428a34d9dc",
        "Managed-AllViewer",
        "the headers that CloudFront adds are missing; the viewer's are all forwarded",
    ),
];

/// The name of the policy that CloudFront refers to by an id.
fn policy(kind: Kind, id: &str, context: &Context, place: &mut Place<'_>) -> Option<String> {
    if let Some((.., name, note)) = MANAGED_ELSEWHERE.iter().find(|(k, known, ..)| *k == kind && *known == id)
    {
        place.unsupported(note);
        return Some((*name).to_owned());
    }
    let name = context.names.name(kind, id);
    match name {
        Some(_) => place.exact(),
        None => {
            let get = kind.to_string().replace(' ', "-");
            place.problem(format!(
                "{id:?} is no managed {kind}, and not in any of the files; add what aws cloudfront get-{get} --id {id} prints, with \
                 --policies"
            ));
        }
    }
    name.map(str::to_owned)
}

/// One behavior.
pub(super) fn behavior(value: &Value, context: &mut Context, place: &mut Place<'_>) -> Draft {
    let mut draft = Draft::default();
    object(BEHAVIOR, &mut draft, value, place);
    if let Some(id) = draft.cache_policy_id.take().filter(|id| !id.is_empty()) {
        let name = policy(Kind::CachePolicy, &id, context, &mut place.field("CachePolicyId"));
        draft.spec.cache_policy = name.map(CachePolicyChoice::Named);
    } else if let Some(legacy) = draft.legacy.take() {
        legacy::finish(legacy, &mut draft.spec, context, place);
    } else if value.is_object() {
        place.problem("has neither CachePolicyId nor ForwardedValues");
    }
    if let Some(id) = draft.origin_request_policy_id.take().filter(|id| !id.is_empty()) {
        let name = policy(Kind::OriginRequestPolicy, &id, context, &mut place.field("OriginRequestPolicyId"));
        draft.spec.origin_request_policy = name.unwrap_or_default();
    }
    draft
}

/// All behaviors with path patterns.
pub(super) fn behaviors(value: &Value, context: &mut Context, place: &mut Place<'_>) -> Vec<Draft> {
    let mut behaviors = Vec::new();
    for (i, item) in items(value, place).iter().enumerate() {
        behaviors.push(behavior(item, context, &mut place.below(&format!(".Items[{i}]"))));
    }
    behaviors
}
