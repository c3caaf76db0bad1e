//! Response headers policies.

use serde_json::Value;

use super::{
    fields::{Table, boolean, object, objects, put_boolean, put_seconds, put_text, texts},
    report::Place,
};
use crate::spec::{
    ContentSecurityPolicySpec, CorsSpec, CustomResponseHeaderSpec, FrameOptionsSpec, OverrideSpec,
    ReferrerPolicySpec, ResponseHeadersPolicySpec, SecurityHeadersSpec, ServerTimingSpec,
    StrictTransportSecuritySpec, XssProtectionSpec,
};

const POLICY: &Table<ResponseHeadersPolicySpec> = &[
    ("Name", |policy, value, place| put_text(&mut policy.name, value, place)),
    ("Comment", |policy, value, place| put_text(&mut policy.comment, value, place)),
    ("CorsConfig", |policy, value, place| {
        policy.cors = Some(made(CORS, value, place)).filter(|cors| *cors != CorsSpec::default());
    }),
    ("SecurityHeadersConfig", |policy, value, place| {
        let security = made(SECURITY, value, place);
        policy.security_headers =
            Some(security).filter(|security| *security != SecurityHeadersSpec::default());
    }),
    ("CustomHeadersConfig", |policy, value, place| policy.custom_headers = objects(CUSTOM, value, place)),
    ("RemoveHeadersConfig", |policy, value, place| {
        policy.removed_headers =
            objects(REMOVED, value, place).into_iter().map(|removed| removed.0).collect();
    }),
    ("ServerTimingHeadersConfig", server_timing),
];

/// A response headers policy.
pub(super) fn response_headers_policy(value: &Value, place: &mut Place<'_>) -> ResponseHeadersPolicySpec {
    made(POLICY, value, place)
}

fn made<T: Default>(table: &Table<T>, value: &Value, place: &mut Place<'_>) -> T {
    let mut target = T::default();
    object(table, &mut target, value, place);
    target
}

const CORS: &Table<CorsSpec> = &[
    ("AccessControlAllowOrigins", |cors, value, place| {
        cors.allow_origins = names_or("*", value, place);
    }),
    ("AccessControlAllowHeaders", |cors, value, place| {
        cors.allow_headers = names_or("*", value, place);
    }),
    ("AccessControlAllowMethods", |cors, value, place| {
        cors.allow_methods = names_or("ALL", value, place);
    }),
    ("AccessControlAllowCredentials", |cors, value, place| {
        put_boolean(&mut cors.allow_credentials, value, place);
    }),
    ("AccessControlExposeHeaders", |cors, value, place| {
        cors.expose_headers = names_or("*", value, place);
    }),
    ("AccessControlMaxAgeSec", |cors, value, place| put_seconds(&mut cors.max_age, value, place)),
    ("OriginOverride", |cors, value, place| put_boolean(&mut cors.origin_override, value, place)),
];

/// A list of names, or what stands for all there are, which then stands alone.
fn names_or(all: &str, value: &Value, place: &mut Place<'_>) -> Vec<String> {
    let mut names = texts(value, place);
    if names.iter().any(|name| name == all) {
        names = vec![all.to_owned()];
    }
    if !names.is_empty() {
        place.exact();
    }
    names
}

const SECURITY: &Table<SecurityHeadersSpec> = &[
    ("XSSProtection", |security, value, place| security.xss_protection = Some(made(XSS, value, place))),
    ("FrameOptions", |security, value, place| security.frame_options = Some(made(FRAME, value, place))),
    ("ReferrerPolicy", |security, value, place| {
        security.referrer_policy = Some(made(REFERRER, value, place));
    }),
    ("ContentSecurityPolicy", |security, value, place| {
        security.content_security_policy = Some(made(CONTENT_SECURITY, value, place));
    }),
    ("ContentTypeOptions", |security, value, place| {
        security.content_type_options = Some(made(CONTENT_TYPE, value, place));
    }),
    ("StrictTransportSecurity", |security, value, place| {
        security.strict_transport_security = Some(made(TRANSPORT, value, place));
    }),
];

const XSS: &Table<XssProtectionSpec> = &[
    ("Override", |header, value, place| put_boolean(&mut header.origin_override, value, place)),
    ("Protection", |header, value, place| put_boolean(&mut header.protection, value, place)),
    ("ModeBlock", |header, value, place| put_boolean(&mut header.mode_block, value, place)),
    ("ReportUri", |header, value, place| put_text(&mut header.report_uri, value, place)),
];

const FRAME: &Table<FrameOptionsSpec> = &[
    ("Override", |header, value, place| put_boolean(&mut header.origin_override, value, place)),
    ("FrameOption", |header, value, place| put_text(&mut header.frame_option, value, place)),
];

const REFERRER: &Table<ReferrerPolicySpec> = &[
    ("Override", |header, value, place| put_boolean(&mut header.origin_override, value, place)),
    ("ReferrerPolicy", |header, value, place| put_text(&mut header.referrer_policy, value, place)),
];

const CONTENT_SECURITY: &Table<ContentSecurityPolicySpec> = &[
    ("Override", |header, value, place| put_boolean(&mut header.origin_override, value, place)),
    ("ContentSecurityPolicy", |header, value, place| {
        put_text(&mut header.content_security_policy, value, place);
    }),
];

const CONTENT_TYPE: &Table<OverrideSpec> =
    &[("Override", |header, value, place| put_boolean(&mut header.origin_override, value, place))];

const TRANSPORT: &Table<StrictTransportSecuritySpec> = &[
    ("Override", |header, value, place| put_boolean(&mut header.origin_override, value, place)),
    ("AccessControlMaxAgeSec", |header, value, place| put_seconds(&mut header.max_age, value, place)),
    ("IncludeSubdomains", |header, value, place| put_boolean(&mut header.include_subdomains, value, place)),
    ("Preload", |header, value, place| put_boolean(&mut header.preload, value, place)),
];

const CUSTOM: &Table<CustomResponseHeaderSpec> = &[
    ("Header", |header, value, place| put_text(&mut header.name, value, place)),
    ("Value", |header, value, place| put_text(&mut header.value, value, place)),
    ("Override", |header, value, place| put_boolean(&mut header.origin_override, value, place)),
];

/// The name of a header that is removed.
#[derive(Debug, Default)]
struct Removed(String);

const REMOVED: &Table<Removed> =
    &[("Header", |removed, value, place| put_text(&mut removed.0, value, place))];

/// Server-Timing as CloudFront says it, which may be off.
#[derive(Debug, Default)]
struct Timing {
    is_on: bool,
    rate: Option<f64>,
}

const TIMING: &Table<Timing> = &[
    ("Enabled", |timing, value, place| timing.is_on = boolean(value, place).unwrap_or_default()),
    ("SamplingRate", |timing, value, place| {
        timing.rate = value.as_f64();
        if timing.rate.is_none() {
            place.problem("is not a number");
        }
    }),
];

fn server_timing(policy: &mut ResponseHeadersPolicySpec, value: &Value, place: &mut Place<'_>) {
    let timing = made(TIMING, value, place);
    if !timing.is_on {
        return;
    }
    match timing.rate {
        Some(sampling_rate) => {
            policy.server_timing = Some(ServerTimingSpec { sampling_rate });
            place.differs("the metrics are those that docs/response-headers.md names");
        }
        None => place.field("SamplingRate").problem("is missing"),
    }
}
