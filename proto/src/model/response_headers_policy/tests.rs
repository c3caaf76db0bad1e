//! Response headers policies: what is accepted, and what is said of the rest.

use prost_types::Duration as WireDuration;

use super::*;
use crate::model::{Resource, violation::Violations};

fn checked(policy: v1::ResponseHeadersPolicyConfig) -> Result<ResponseHeadersPolicy, Violations> {
    let config = v1::ResourceConfig {
        kind: Some(v1::resource_config::Kind::ResponseHeadersPolicy(v1::ResponseHeadersPolicyConfig {
            name: "p".into(),
            ..policy
        })),
    };
    Resource::try_from(&config).map(|resource| match resource {
        Resource::ResponseHeadersPolicy(policy) => (*policy).clone(),
        other => panic!("{other:?}"),
    })
}

fn fields(policy: v1::ResponseHeadersPolicyConfig) -> Vec<String> {
    let violations = checked(policy).expect_err("violations");
    violations.list().iter().map(|v| format!("{}: {}", v.field, v.description)).collect()
}

fn seconds(seconds: i64) -> Option<WireDuration> {
    Some(WireDuration { seconds, nanos: 0 })
}

fn cors() -> v1::Cors {
    v1::Cors {
        allow_origins: vec!["https://*.example.com".into(), "http://localhost:*".into()],
        allow_headers: vec!["X-B".into(), "x-a".into()],
        allow_methods: vec!["ALL".into()],
        max_age: seconds(600),
        ..Default::default()
    }
}

fn custom(name: &str, value: &str) -> v1::CustomResponseHeader {
    v1::CustomResponseHeader { name: name.into(), value: value.into(), origin_override: false }
}

#[test]
fn everything_that_can_be_said_is_made_into_headers() {
    let policy = checked(v1::ResponseHeadersPolicyConfig {
        cors: Some(cors()),
        security_headers: Some(v1::SecurityHeaders {
            xss_protection: Some(v1::XssProtection {
                protection: true,
                mode_block: true,
                ..Default::default()
            }),
            frame_options: Some(v1::FrameOptions { frame_option: "DENY".into(), origin_override: true }),
            referrer_policy: Some(v1::ReferrerPolicy {
                referrer_policy: "same-origin".into(),
                ..Default::default()
            }),
            content_security_policy: Some(v1::ContentSecurityPolicy {
                content_security_policy: "default-src 'self'".into(),
                ..Default::default()
            }),
            content_type_options: Some(v1::ContentTypeOptions::default()),
            strict_transport_security: Some(v1::StrictTransportSecurity {
                max_age: seconds(63_072_000),
                include_subdomains: true,
                preload: true,
                ..Default::default()
            }),
        }),
        custom_headers: vec![custom("X-One", "1"), custom("x-empty", "")],
        removed_headers: vec!["Server".into(), "x-powered-by".into()],
        server_timing: Some(v1::ServerTiming { sampling_rate: 12.3456 }),
        ..Default::default()
    })
    .expect("is fine");
    let text: Vec<String> = policy
        .added
        .iter()
        .map(|h| format!("{}: {} {}", h.name, h.value.to_str().expect("text"), h.origin_override))
        .collect();
    assert_eq!(
        text,
        [
            "strict-transport-security: max-age=63072000; includeSubDomains; preload false",
            "content-security-policy: default-src 'self' false",
            "x-content-type-options: nosniff false",
            "x-frame-options: DENY true",
            "referrer-policy: same-origin false",
            "x-xss-protection: 1; mode=block false",
            "x-one: 1 false",
            "x-empty:  false",
        ]
    );
    assert_eq!(policy.removed, ["server", "x-powered-by"]);
    assert_eq!(policy.server_timing, Some(SamplingRate(123_456)));
    let cors = policy.cors.expect("cors");
    assert_eq!(cors.methods, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    assert_eq!(cors.headers.expect("headers"), "x-a, x-b");
    assert_eq!(cors.max_age.expect("max age"), "600");
}

#[test]
fn what_is_wrong_is_said_all_at_once() {
    let found = fields(v1::ResponseHeadersPolicyConfig {
        cors: Some(v1::Cors {
            allow_origins: vec!["*".into()],
            allow_methods: vec!["get".into(), "PUT".into(), "PUT".into()],
            expose_headers: vec!["*".into()],
            allow_credentials: true,
            max_age: Some(WireDuration { seconds: 86_401, nanos: 5 }),
            ..Default::default()
        }),
        security_headers: Some(v1::SecurityHeaders {
            frame_options: Some(v1::FrameOptions { frame_option: "deny".into(), ..Default::default() }),
            referrer_policy: Some(v1::ReferrerPolicy::default()),
            strict_transport_security: Some(v1::StrictTransportSecurity::default()),
            xss_protection: Some(v1::XssProtection { mode_block: true, ..Default::default() }),
            content_security_policy: Some(v1::ContentSecurityPolicy::default()),
            ..Default::default()
        }),
        custom_headers: [
            "content-length",
            "X-Frame-Options",
            "access-control-max-age",
            "set-cookie",
            "a b",
            "x-edge-location",
        ]
        .map(|name| custom(name, "v"))
        .into_iter()
        .chain([custom("x-v", "a\nb")])
        .collect(),
        removed_headers: vec!["via".into(), "x-a".into(), "X-A".into()],
        server_timing: Some(v1::ServerTiming { sampling_rate: 100.1 }),
        ..Default::default()
    });
    let expected = [
        "security_headers.strict_transport_security.max_age",
        "security_headers.content_security_policy.content_security_policy",
        "security_headers.frame_options.frame_option",
        "security_headers.referrer_policy.referrer_policy",
        "security_headers.xss_protection.mode_block",
        "custom_headers[0].name",
        "custom_headers[1].name",
        "custom_headers[2].name",
        "custom_headers[3].name",
        "custom_headers[4].name",
        "custom_headers[5].name",
        "custom_headers[6].value",
        "removed_headers[0]",
        "removed_headers[2]",
        "cors.allow_origins",
        "cors.expose_headers",
        "cors.allow_methods[0]",
        "cors.allow_methods[2]",
        "cors.max_age",
        "cors.max_age",
        "server_timing.sampling_rate",
    ];
    let names: Vec<&str> = found.iter().map(|v| v.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(names, expected, "{found:#?}");
}

#[test]
fn every_limit_is_named_in_its_error() {
    let many = |n: usize| (0..n).map(|i| format!("x-{i}")).collect::<Vec<_>>();
    let long = "a".repeat(CUSTOM_HEADER_VALUE_CHARS_MAX + 1);
    let found = fields(v1::ResponseHeadersPolicyConfig {
        cors: Some(v1::Cors {
            allow_origins: many(101),
            allow_headers: many(101),
            expose_headers: many(101),
            ..cors()
        }),
        custom_headers: many(CUSTOM_RESPONSE_HEADERS_MAX)
            .iter()
            .map(|name| custom(name, "v"))
            .chain([custom(&"n".repeat(CUSTOM_HEADER_NAME_CHARS_MAX + 1), &long)])
            .collect(),
        removed_headers: many(REMOVED_HEADERS_MAX + 1),
        ..Default::default()
    });
    for (field, limit) in [
        ("custom_headers:", "10"),
        ("custom_headers[10].name:", "256"),
        ("custom_headers[10].value:", "1783"),
        ("removed_headers:", "10"),
        ("cors.allow_origins:", "100"),
        ("cors.allow_headers:", "100"),
        ("cors.expose_headers:", "100"),
    ] {
        let named = found.iter().any(|v| v.starts_with(field) && v.replace(',', "").contains(limit));
        assert!(named, "{field} {limit} {found:#?}");
    }
    assert!(fields(v1::ResponseHeadersPolicyConfig::default())[0].contains("changes nothing"));
}
