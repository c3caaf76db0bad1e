//! Distributions as a whole.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Context, behavior,
    edge_headers::PLACES,
    fields::{
        Table, boolean, object, objects, put_boolean, put_seconds, put_text, text, texts, texts_beside,
        unknown, unsupported,
    },
    origin,
    report::Place,
};
use crate::spec::{CustomErrorResponseSpec, DistributionSpec, GeoRestrictionMode, GeoRestrictionSpec};

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

fn viewer_certificate(_: &mut Draft, value: &Value, place: &mut Place<'_>) {
    let is_default = value.get("CloudFrontDefaultCertificate") == Some(&json!(true));
    if is_default {
        unknown(value, &DEFAULT_CERTIFICATE, place);
    } else {
        unsupported(value, &[], "edges serve HTTP, so certificates belong to what stands before them", place);
    }
}

const RESTRICTIONS: &Table<Draft> = &[("GeoRestriction", geo_restriction)];

fn geo_restriction(draft: &mut Draft, value: &Value, place: &mut Place<'_>) {
    let mode = match value.get("RestrictionType").and_then(Value::as_str) {
        Some("none") => return unknown(value, &["RestrictionType", "Quantity", "Items"], place),
        Some("whitelist") => GeoRestrictionMode::Whitelist,
        Some("blacklist") => GeoRestrictionMode::Blacklist,
        _ => return place.field("RestrictionType").problem("is not none, whitelist or blacklist"),
    };
    let country_codes = texts_beside(&["RestrictionType"], value, place);
    draft.spec.geo_restriction = Some(GeoRestrictionSpec { mode: Some(mode), country_codes });
    place.differs(format!("{PLACES}; an edge without one restricts nobody"));
}

/// One tag.
#[derive(Debug, Default)]
struct Tag {
    key: String,
    value: String,
}

const TAG: &Table<Tag> = &[
    ("Key", |tag, value, place| tag.key = text(value, place).unwrap_or_default().to_owned()),
    ("Value", |tag, value, place| tag.value = text(value, place).unwrap_or_default().to_owned()),
];

/// The tags of a distribution: a list without Quantity. Amazon's own are left out.
pub(super) fn tags(value: &Value, place: &mut Place<'_>) -> BTreeMap<String, String> {
    unknown(value, &["Items"], place);
    let mut tags = BTreeMap::new();
    let items = match value.get("Items") {
        Some(Value::Array(items)) => items.as_slice(),
        None | Some(Value::Null) => &[],
        Some(_) => {
            place.field("Items").problem("is not a list of tags");
            &[]
        }
    };
    for (i, item) in items.iter().enumerate() {
        let (mut place, mut tag) = (place.below(&format!(".Items[{i}]")), Tag::default());
        object(TAG, &mut tag, item, &mut place);
        if tag.key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            place.unsupported("it is Amazon's own, and left out");
            continue;
        }
        place.exact();
        tags.insert(tag.key, tag.value);
    }
    tags
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
