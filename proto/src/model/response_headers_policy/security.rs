//! The security headers that a response headers policy has fields for.

use std::time::Duration;

use http::{HeaderName, HeaderValue, header};

use super::{AddedHeader, check_value, whole_seconds};
use crate::{limits::TTL_MAX, model::violation::Checker, v1};

/// Their names.
pub(super) const NAMES: &[&str] = &[
    "content-security-policy",
    "referrer-policy",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
    "x-xss-protection",
];

/// The values of Referrer-Policy (W3C Referrer Policy).
const REFERRER_POLICIES: &[&str] = &[
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
];
const FRAME_OPTIONS: &[&str] = &["DENY", "SAMEORIGIN"];

pub(super) fn check(wire: &v1::SecurityHeaders, c: &mut Checker<'_>) -> Vec<AddedHeader> {
    let mut headers = Vec::new();
    let mut add = |name: HeaderName, value: Option<HeaderValue>, origin_override: bool| {
        headers.extend(value.map(|value| AddedHeader { name, value, origin_override }));
    };
    if let Some(wire) = &wire.strict_transport_security {
        let value = transport_security(wire, &mut c.field("strict_transport_security"));
        add(header::STRICT_TRANSPORT_SECURITY, value, wire.origin_override);
    }
    if let Some(wire) = &wire.content_security_policy {
        let mut c = c.field("content_security_policy");
        let mut c = c.field("content_security_policy");
        let text = &wire.content_security_policy;
        c.ensure(!text.trim().is_empty(), || "is required: the policy as it stands in the header".into());
        add(header::CONTENT_SECURITY_POLICY, check_value(text, &mut c), wire.origin_override);
    }
    if let Some(wire) = &wire.content_type_options {
        let value = HeaderValue::from_static("nosniff");
        add(header::X_CONTENT_TYPE_OPTIONS, Some(value), wire.origin_override);
    }
    if let Some(wire) = &wire.frame_options {
        let mut c = c.field("frame_options");
        let value = one_of(FRAME_OPTIONS, &wire.frame_option, &mut c.field("frame_option"));
        add(header::X_FRAME_OPTIONS, value, wire.origin_override);
    }
    if let Some(wire) = &wire.referrer_policy {
        let mut c = c.field("referrer_policy");
        let value = one_of(REFERRER_POLICIES, &wire.referrer_policy, &mut c.field("referrer_policy"));
        add(header::REFERRER_POLICY, value, wire.origin_override);
    }
    if let Some(wire) = &wire.xss_protection {
        let value = xss_protection(wire, &mut c.field("xss_protection"));
        add(header::X_XSS_PROTECTION, value, wire.origin_override);
    }
    c.ensure(*wire != v1::SecurityHeaders::default(), || "has none; set one, or take it out".into());
    headers
}

fn one_of(known: &[&'static str], text: &str, c: &mut Checker<'_>) -> Option<HeaderValue> {
    let found = known.iter().find(|known| **known == text);
    c.ensure(found.is_some(), || format!("{text:?} is not one of {}", known.join(", ")));
    found.map(|text| HeaderValue::from_static(text))
}

fn transport_security(wire: &v1::StrictTransportSecurity, c: &mut Checker<'_>) -> Option<HeaderValue> {
    let mut field = c.field("max_age");
    field.ensure(wire.max_age.is_some(), || "is required: how long browsers insist on HTTPS".into());
    let seconds = whole_seconds(wire.max_age.as_ref(), (Duration::ZERO, TTL_MAX), &mut field)?;
    let mut text = format!("max-age={}", seconds.to_str().ok()?);
    for (is_set, directive) in [(wire.include_subdomains, "; includeSubDomains"), (wire.preload, "; preload")]
    {
        text.push_str(if is_set { directive } else { "" });
    }
    HeaderValue::from_str(&text).ok()
}

fn xss_protection(wire: &v1::XssProtection, c: &mut Checker<'_>) -> Option<HeaderValue> {
    let reports = !wire.report_uri.is_empty();
    c.field("mode_block").ensure(wire.protection || !wire.mode_block, || "needs protection".into());
    let mut field = c.field("report_uri");
    field.ensure(wire.protection || !reports, || "needs protection".into());
    field.ensure(!(wire.mode_block && reports), || "must be empty with mode_block".into());
    let text = match (wire.protection, wire.mode_block, reports) {
        (false, ..) => "0".to_owned(),
        (true, true, _) => "1; mode=block".to_owned(),
        (true, false, true) => format!("1; report={}", wire.report_uri),
        (true, false, false) => "1".to_owned(),
    };
    check_value(&text, &mut field)
}
