//! Cache behaviors.

use headland_proto::model::Kind;
use serde_json::{Value, json};

use super::{
    Context,
    edge_headers::{HTTPS, PLACES},
    fields::{Table, boolean, items, object, put_boolean, put_text, text, texts, texts_beside, unsupported},
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
    response_headers_policy_id: Option<String>,
    /// CloudFront's ids of key groups.
    key_group_ids: Vec<String>,
    pub(super) legacy: Option<Forwarded>,
    /// Something that keeps people out is not done here.
    pub(super) is_unguarded: bool,
}

const NOBODY_CHECKS: &str = "accounts do not sign, key groups do: nobody would check who asks, so the distribution is disabled until you enable it";

const BEHAVIOR: &Table<Draft> = &[
    ("PathPattern", |draft, value, place| put_text(&mut draft.spec.path_pattern, value, place)),
    ("TargetOriginId", |draft, value, place| put_text(&mut draft.spec.target_origin_id, value, place)),
    ("ViewerProtocolPolicy", viewer_protocol_policy),
    ("AllowedMethods", |draft, value, place| {
        draft.spec.allowed_methods = texts_beside(&["CachedMethods"], value, place);
        if let Some(cached) = value.get("CachedMethods") {
            draft.spec.cached_methods = cached_methods(cached, &mut place.field("CachedMethods"));
        }
        place.exact();
    }),
    ("Compress", |draft, value, place| put_boolean(&mut draft.spec.compress, value, place)),
    ("CachePolicyId", |draft, value, place| draft.cache_policy_id = text(value, place).map(str::to_owned)),
    ("OriginRequestPolicyId", |draft, value, place| {
        draft.origin_request_policy_id = text(value, place).map(str::to_owned);
    }),
    ("ResponseHeadersPolicyId", |draft, value, place| {
        draft.response_headers_policy_id = text(value, place).map(str::to_owned);
    }),
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
    ("GrpcConfig", |draft, value, place| object(GRPC, &mut draft.spec, value, place)),
    ("ForwardedValues", |draft, value, place| legacy::forwarded_values(forwarded(draft), value, place)),
    ("MinTTL", |draft, value, place| legacy::ttl(&mut forwarded(draft).min_ttl, value, place)),
    ("DefaultTTL", |draft, value, place| legacy::ttl(&mut forwarded(draft).default_ttl, value, place)),
    ("MaxTTL", |draft, value, place| legacy::ttl(&mut forwarded(draft).max_ttl, value, place)),
];

fn forwarded(draft: &mut Draft) -> &mut Forwarded {
    draft.legacy.get_or_insert_default()
}

const GRPC: &Table<CacheBehaviorSpec> = &[("Enabled", |behavior, value, place| {
    if boolean(value, place) == Some(true) {
        behavior.grpc = true;
        place.exact();
    }
})];

fn viewer_protocol_policy(draft: &mut Draft, value: &Value, place: &mut Place<'_>) {
    let policy = match text(value, place) {
        Some("allow-all") => ViewerProtocolPolicy::AllowAll,
        Some("https-only") => ViewerProtocolPolicy::HttpsOnly,
        Some("redirect-to-https") => ViewerProtocolPolicy::RedirectToHttps,
        Some(other) => {
            return place.problem(format!("{other:?} is not allow-all, redirect-to-https or https-only"));
        }
        None => return,
    };
    draft.spec.viewer_protocol_policy = Some(policy);
    match policy {
        ViewerProtocolPolicy::AllowAll => place.exact(),
        ViewerProtocolPolicy::HttpsOnly | ViewerProtocolPolicy::RedirectToHttps => place.differs(HTTPS),
    }
}

fn trusted_key_groups(draft: &mut Draft, value: &Value, place: &mut Place<'_>) {
    draft.key_group_ids = texts_beside(&["Enabled"], value, place);
    let enabled = value.get("Enabled").filter(|enabled| !enabled.is_null());
    let is_on = enabled.and_then(|enabled| boolean(enabled, &mut place.field("Enabled")));
    if is_on == Some(true) && draft.key_group_ids.is_empty() {
        place.problem("is on and names no key group");
    }
}

/// OPTIONS beside what is kept anyway, or nothing.
fn cached_methods(value: &Value, place: &mut Place<'_>) -> Vec<String> {
    let methods = texts(value, place);
    if !methods.iter().any(|method| method == "OPTIONS") {
        return Vec::new();
    }
    place.exact();
    methods
}

/// Managed policies in which edges' words differ from CloudFront's, and in what way.
const NEARLY: [(&str, &str); 2] = [
    ("2e54312d-136d-493c-8eb9-b001f22f67d2", PLACES),
    (
        "33f36d7e-f396-46d9-90e0-52428a34d9dc",
        "without CloudFront-Viewer-TLS and the fingerprints of it: edges end no TLS; where viewers are is read from a database of \
         addresses that each edge is given (docs/viewers.md)",
    ),
];

/// The name of the policy that CloudFront refers to by an id.
fn policy(kind: Kind, id: &str, context: &Context, place: &mut Place<'_>) -> Option<String> {
    let name = context.names.name(kind, id);
    match name {
        Some(_) => match NEARLY.iter().find(|(known, _)| *known == id) {
            Some((_, note)) => place.differs(note),
            None => place.exact(),
        },
        None => {
            let get = kind.to_string().replace(' ', "-");
            place.problem(format!(
                "{id:?} is no managed {kind} that is known here, and not in any of the files; add what aws cloudfront get-{get} --id {id} \
                 prints, with --policies"
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
    if let Some(id) = draft.response_headers_policy_id.take().filter(|id| !id.is_empty()) {
        let mut place = place.field("ResponseHeadersPolicyId");
        let name = policy(Kind::ResponseHeadersPolicy, &id, context, &mut place);
        draft.spec.response_headers_policy = name.unwrap_or_default();
    }
    key_groups(&mut draft, context, &mut place.field("TrustedKeyGroups"));
    draft
}

/// Trusts the key groups that are in the files. Where one is not, nothing is served until the operator says so.
fn key_groups(draft: &mut Draft, context: &Context, place: &mut Place<'_>) {
    for id in std::mem::take(&mut draft.key_group_ids) {
        match context.names.name(Kind::KeyGroup, &id) {
            Some(name) => {
                draft.spec.trusted_key_group_ids.push(name.to_owned());
                place.exact();
            }
            None => {
                draft.is_unguarded = true;
                place.unsupported(format!(
                    "{id} is in none of the files with a public key: nobody would check what is signed for it, so the distribution is \
                     disabled until you enable it; add what aws cloudfront get-key-group --id {id} and get-public-key print"
                ));
            }
        }
    }
}

/// All behaviors with path patterns.
pub(super) fn behaviors(value: &Value, context: &mut Context, place: &mut Place<'_>) -> Vec<Draft> {
    let mut behaviors = Vec::new();
    for (i, item) in items(value, place).iter().enumerate() {
        behaviors.push(behavior(item, context, &mut place.below(&format!(".Items[{i}]"))));
    }
    behaviors
}
