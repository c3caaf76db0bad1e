//! Response headers policies: what is removed from, and added to, every response to a viewer.

mod cors;
mod security;

use std::{sync::LazyLock, time::Duration};

use http::{HeaderName, HeaderValue};

pub use self::cors::{Cors, OriginPattern, Origins};
use super::{selection::check_header_names, violation::Checker};
use crate::{
    limits::{
        CUSTOM_HEADER_NAME_CHARS_MAX, CUSTOM_HEADER_VALUE_CHARS_MAX, CUSTOM_RESPONSE_HEADERS_MAX,
        REMOVED_HEADERS_MAX,
    },
    v1,
};

/// A checked response headers policy (CloudFront guide, "Add or remove HTTP headers in responses with a policy").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHeadersPolicy {
    /// What is removed of the origin's, before anything is added.
    pub removed: Vec<HeaderName>,
    /// What is added, security headers first.
    pub added: Vec<AddedHeader>,
    /// What is said of cross-origin requests.
    pub cors: Option<Cors>,
    /// How often Server-Timing is said.
    pub server_timing: Option<SamplingRate>,
}

/// A header that is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedHeader {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderValue,
    /// Whether it replaces what the origin sent; otherwise the origin's stays.
    pub origin_override: bool,
}

/// How many of a million responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamplingRate(pub u32);

/// The response headers of the CORS protocol, all of which cors sets.
pub static CORS_HEADERS: LazyLock<[HeaderName; 6]> = LazyLock::new(|| {
    use http::header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    };
    [
        ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_MAX_AGE,
    ]
});

/// Headers that delimit a message, or by which the edge tells what it did: a policy neither adds nor removes them (CloudFront guide,
/// "Headers that you can't remove", and this edge's own).
const NOT_TOUCHED: &[&str] = &[
    "age",
    "cache-status",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "warning",
    "x-cache",
    "x-forwarded-proto",
    "x-real-ip",
];
/// The same of all that begin so.
const PREFIXES_NOT_TOUCHED: &[&str] =
    &["headland-", "proxy-", "x-accel-", "x-amz-cf-", "x-amzn-", "x-edge-", "x-headland-"];

fn is_touched_by_none(name: &HeaderName) -> bool {
    NOT_TOUCHED.contains(&name.as_str())
        || PREFIXES_NOT_TOUCHED.iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// Checks all but name and comment.
pub(super) fn check(wire: &v1::ResponseHeadersPolicyConfig, c: &mut Checker<'_>) -> ResponseHeadersPolicy {
    let mut added = match &wire.security_headers {
        Some(security) => security::check(security, &mut c.field("security_headers")),
        None => Vec::new(),
    };
    added.extend(check_custom(&wire.custom_headers, &mut c.field("custom_headers")));
    let refused = |name: &HeaderName| {
        is_touched_by_none(name).then(|| format!("{name} cannot be removed by a policy; take it out"))
    };
    let policy = ResponseHeadersPolicy {
        removed: check_header_names(
            &wire.removed_headers,
            REMOVED_HEADERS_MAX,
            refused,
            &mut c.field("removed_headers"),
        ),
        added,
        cors: wire.cors.as_ref().map(|cors| cors::check(cors, &mut c.field("cors"))),
        server_timing: wire.server_timing.as_ref().and_then(|timing| {
            check_rate(timing.sampling_rate, &mut c.field("server_timing").field("sampling_rate"))
        }),
    };
    let ResponseHeadersPolicy { removed, added, cors, server_timing } = &policy;
    let does_nothing = removed.is_empty() && added.is_empty() && cors.is_none() && server_timing.is_none();
    let says_nothing = wire.removed_headers.is_empty()
        && wire.custom_headers.is_empty()
        && wire.cors.is_none()
        && wire.server_timing.is_none();
    c.ensure(!(does_nothing && says_nothing), || {
        "changes nothing; set cors, security_headers, custom_headers, removed_headers or server_timing".into()
    });
    policy
}

fn check_custom(wire: &[v1::CustomResponseHeader], c: &mut Checker<'_>) -> Vec<AddedHeader> {
    c.count_max(wire.len(), CUSTOM_RESPONSE_HEADERS_MAX);
    let mut headers: Vec<AddedHeader> = Vec::with_capacity(wire.len());
    for (i, header) in wire.iter().enumerate() {
        let mut c = c.index(i);
        let mut field = c.field("name");
        field.chars_max(&header.name, CUSTOM_HEADER_NAME_CHARS_MAX);
        let name = header.name.parse::<HeaderName>();
        match &name {
            Err(_) => field.violation(format!("{:?} is not a header name", header.name)),
            Ok(name) if is_touched_by_none(name) => {
                field.violation(format!("{name} is set by the edge and cannot be added; take it out"));
            }
            Ok(name) if name.as_str() == "set-cookie" => {
                field.violation("set-cookie would give all viewers one cookie; let the origin send it");
            }
            Ok(name) if security::NAMES.contains(&name.as_str()) => {
                field.violation(format!("{name} is a security header; set it in security_headers"));
            }
            Ok(name) if CORS_HEADERS.contains(name) => {
                field.violation(format!("{name} is a CORS header; set it in cors"));
            }
            Ok(name) if headers.iter().any(|h| h.name == *name) => {
                field.violation(format!("{name} is named twice"));
            }
            Ok(_) => {}
        }
        let value = check_value(&header.value, &mut c.field("value"));
        if let (Ok(name), Some(value)) = (name, value) {
            headers.push(AddedHeader { name, value, origin_override: header.origin_override });
        }
    }
    headers
}

/// The value of a header that is added.
fn check_value(text: &str, c: &mut Checker<'_>) -> Option<HeaderValue> {
    c.chars_max(text, CUSTOM_HEADER_VALUE_CHARS_MAX);
    let value = Some(text).filter(|text| text.is_ascii()).and_then(|text| HeaderValue::from_str(text).ok());
    c.ensure(value.is_some(), || {
        "contains characters that a header cannot carry; use visible ASCII and spaces".into()
    });
    value
}

fn check_rate(percent: f64, c: &mut Checker<'_>) -> Option<SamplingRate> {
    let millionths = percent * 10_000.0;
    let rate = millionths.round();
    if !(0.0..=1e6).contains(&rate) || (millionths - rate).abs() > 1e-6 {
        c.violation(format!("{percent} is not a percentage; use 0 to 100 with at most four decimals"));
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it has been checked: 0 to a million"
    )]
    Some(SamplingRate(rate as u32))
}

/// A duration as a header says it.
fn whole_seconds(
    wire: Option<&prost_types::Duration>,
    range: (Duration, Duration),
    c: &mut Checker<'_>,
) -> Option<HeaderValue> {
    let wire = wire?;
    c.ensure(wire.nanos == 0, || "must be whole seconds".into());
    let duration = c.duration(Some(wire), range, range.0);
    Some(HeaderValue::from(duration.as_secs()))
}

#[cfg(test)]
mod tests;
