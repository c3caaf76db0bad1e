//! Distributions as a whole.

use serde_json::{Value, json};

use super::{
    Context, behavior,
    fields::{
        Table, boolean, object, objects, put_boolean, put_seconds, put_text, text, texts, unknown,
        unsupported,
    },
    origin,
    report::Place,
};
use crate::spec::{CustomErrorResponseSpec, DistributionSpec};

/// What is read of a distribution, with what its parts may know.
#[derive(Debug, Default)]
struct Draft {
    spec: DistributionSpec,
    context: Context,
    /// Something that keeps people out is not done here.
    is_unguarded: bool,
}

const DISTRIBUTION: &Table<Draft> = &[
    ("CallerReference", |draft, value, place| put_text(&mut draft.spec.caller_reference, value, place)),
    ("Comment", |draft, value, place| put_text(&mut draft.spec.comment, value, place)),
    ("Enabled", |draft, value, place| put_boolean(&mut draft.spec.enabled, value, place)),
    ("Aliases", |draft, value, place| {
        draft.spec.aliases = texts(value, place);
        if !draft.spec.aliases.is_empty() {
            place.exact();
        }
    }),
    ("DefaultRootObject", |draft, value, place| put_text(&mut draft.spec.default_root_object, value, place)),
    ("Origins", |draft, value, place| draft.spec.origins = origin::origins(value, &mut draft.context, place)),
    ("OriginGroups", |draft, value, place| draft.spec.origin_groups = origin::groups(value, place)),
    ("DefaultCacheBehavior", |draft, value, place| {
        let read = behavior::behavior(value, &mut draft.context, place);
        draft.is_unguarded |= read.is_unguarded;
        draft.spec.default_cache_behavior = Some(read.spec);
    }),
    ("CacheBehaviors", |draft, value, place| {
        let read = behavior::behaviors(value, &mut draft.context, place);
        draft.is_unguarded |= read.iter().any(|behavior| behavior.is_unguarded);
        draft.spec.cache_behaviors = read.into_iter().map(|behavior| behavior.spec).collect();
    }),
    ("CustomErrorResponses", |draft, value, place| {
        draft.spec.custom_error_responses = objects(ERROR_RESPONSE, value, place);
    }),
    ("Logging", |_, value, place| {
        let is_on = value.get("Enabled") != Some(&json!(false));
        if is_on {
            unsupported(value, &[], "edges write no access log", place);
        } else {
            unknown(value, &["Enabled", "IncludeCookies", "Bucket", "Prefix"], place);
        }
    }),
    ("PriceClass", |_, value, place| {
        let all = [json!("PriceClass_All"), json!("None")];
        unsupported(value, &all, "every edge serves it: the edges are your own", place);
    }),
    ("ViewerCertificate", viewer_certificate),
    ("Restrictions", |draft, value, place| object(RESTRICTIONS, draft, value, place)),
    ("WebACLId", |draft, value, place| {
        let note = "requests are not filtered, so the distribution is disabled until you enable it";
        draft.is_unguarded |= unsupported(value, &[], note, place);
    }),
    ("HttpVersion", |_, value, place| match text(value, place).map(str::to_ascii_lowercase).as_deref() {
        Some("http2") => place.exact(),
        Some("http1.1") => place.differs("edges answer HTTP/2, too, where viewers speak it"),
        Some(_) => place.differs("HTTP/1.1 and HTTP/2; no HTTP/3"),
        None => {}
    }),
    ("IsIPV6Enabled", |_, value, place| match boolean(value, place) {
        Some(true) => place.exact(),
        Some(false) => place.differs("edges answer at every address they listen on"),
        None => {}
    }),
    ("ContinuousDeploymentPolicyId", |_, value, place| {
        unsupported(value, &[], "all traffic is served by this config", place);
    }),
    ("Staging", |_, value, place| {
        unsupported(value, &[json!(false)], "it becomes a distribution like others", place);
    }),
    ("AnycastIpListId", |_, value, place| {
        unsupported(value, &[], "the addresses are those of your edges", place);
    }),
    ("ConnectionMode", |_, value, place| {
        unsupported(
            value,
            &[json!("direct")],
            "it becomes a distribution like others, without tenants",
            place,
        );
    }),
    ("TenantConfig", |_, value, place| {
        unsupported(value, &[], "parameters are not filled in", place);
    }),
    ("ViewerMtlsConfig", |draft, value, place| {
        let note = "viewers show no certificates, so the distribution is disabled until you enable it";
        draft.is_unguarded |= unsupported(value, &[], note, place);
    }),
    ("ConnectionFunctionAssociation", |_, value, place| {
        unsupported(value, &[], "functions are not run", place);
    }),
    ("CacheTagConfig", |_, value, place| {
        unsupported(value, &[], "objects cannot be invalidated by tags", place);
    }),
];

/// What stands beside CloudFront's own certificate, and means nothing with it.
const DEFAULT_CERTIFICATE: [&str; 4] =
    ["CloudFrontDefaultCertificate", "SSLSupportMethod", "MinimumProtocolVersion", "CertificateSource"];

/// Not there yet: edges serve cleartext HTTP.
fn viewer_certificate(_: &mut Draft, value: &Value, place: &mut Place<'_>) {
    let is_default = value.get("CloudFrontDefaultCertificate") == Some(&json!(true));
    if is_default {
        unknown(value, &DEFAULT_CERTIFICATE, place);
    } else {
        unsupported(
            value,
            &[],
            "not supported yet; edges serve HTTP, so certificates belong to what stands before them",
            place,
        );
    }
}

const RESTRICTIONS: &Table<Draft> = &[("GeoRestriction", geo_restriction)];

/// Not there yet.
fn geo_restriction(draft: &mut Draft, value: &Value, place: &mut Place<'_>) {
    match value.get("RestrictionType").and_then(Value::as_str) {
        Some("none") => unknown(value, &["RestrictionType", "Quantity", "Items"], place),
        Some("blacklist" | "whitelist") => {
            draft.is_unguarded = true;
            place.unsupported("not supported yet: all countries would be served, so the distribution is disabled until you enable it");
        }
        _ => place.field("RestrictionType").problem("is not none, whitelist or blacklist"),
    }
}

const ERROR_RESPONSE: &Table<CustomErrorResponseSpec> = &[
    ("ErrorCode", |response, value, place| {
        if let Some(code) = super::fields::number(value, place) {
            response.error_code = code;
            place.exact();
        }
    }),
    ("ResponsePagePath", |response, value, place| put_text(&mut response.response_page_path, value, place)),
    // A text in CloudFront's API: empty where there is no page.
    ("ResponseCode", |response, value, place| match text(value, place) {
        Some("") | None => {}
        Some(code) => match code.parse() {
            Ok(code) => {
                response.response_code = Some(code);
                place.exact();
            }
            Err(_) => place.problem(format!("{code:?} is not a status code")),
        },
    }),
    ("ErrorCachingMinTTL", |response, value, place| {
        put_seconds(&mut response.error_caching_min_ttl, value, place)
    }),
];

/// One distribution.
pub(super) fn distribution(value: &Value, context: &mut Context, place: &mut Place<'_>) -> DistributionSpec {
    let mut draft = Draft { context: std::mem::take(context), ..Draft::default() };
    object(DISTRIBUTION, &mut draft, value, place);
    *context = draft.context;
    if value.is_object() {
        for required in ["CallerReference", "Origins", "DefaultCacheBehavior"] {
            if value.get(required).is_none() {
                place.field(required).problem("is missing");
            }
        }
    }
    draft.spec.enabled &= !draft.is_unguarded;
    draft.spec
}
