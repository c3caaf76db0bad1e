//! What is accepted, what is refused, and with which words.

use std::time::Duration;

use super::*;
use crate::model::{MethodSet, NameSelection, Semantics};

/// The smallest config there is.
fn minimal() -> v1::DistributionConfig {
    v1::DistributionConfig {
        caller_reference: "r1".into(),
        enabled: true,
        origins: vec![v1::Origin {
            id: "o".into(),
            kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
                domain_name: "origin.example.com".into(),
                ..Default::default()
            })),
            ..Default::default()
        }],
        default_cache_behavior: Some(v1::CacheBehavior {
            target_origin_id: "o".into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// The fields that are named when `change` is made to the smallest config.
fn check_refused(change: impl FnOnce(&mut v1::DistributionConfig), fields: &[&str]) {
    let mut wire = minimal();
    change(&mut wire);
    let violations = DistributionConfig::check(&wire, &Resources::default()).expect_err("violations");
    let named: Vec<&str> = violations.list().iter().map(|v| v.field.as_str()).collect();
    assert_eq!(named, fields, "{violations}");
}

fn behavior(wire: &mut v1::DistributionConfig) -> &mut v1::CacheBehavior {
    wire.default_cache_behavior.as_mut().expect("default behavior")
}

fn policy(wire: &mut v1::DistributionConfig) -> &mut v1::CachePolicyConfig {
    behavior(wire).cache_policy.get_or_insert_default()
}

#[test]
fn defaults_are_cloudfronts() {
    let config = DistributionConfig::check(&minimal(), &Resources::default()).expect("config");
    assert!(!config.debug_headers, "strangers are told nothing unless the operator says so");
    let origin = &config.origins[0];
    assert_eq!(origin.connection_attempts, 3);
    assert_eq!(origin.connection_timeout, Duration::from_secs(10));
    assert_eq!(origin.response_timeout, Duration::from_secs(30));
    assert_eq!(origin.keepalive_timeout, Duration::from_secs(5));
    assert_eq!(config.default_behavior.allowed_methods, MethodSet::GetHead);
    let policy = &config.default_behavior.cache_policy;
    assert_eq!(policy.semantics, Semantics::CloudFront);
    assert_eq!(policy.ttl.min, Duration::ZERO);
    assert_eq!(policy.ttl.default, Duration::from_secs(86_400));
    assert_eq!(policy.ttl.max, Duration::from_secs(31_536_000));
    assert_eq!(policy.query_strings, NameSelection::None);
}

#[test]
fn rfc9111_keys_on_the_whole_uri_and_stores_nothing_without_being_told() {
    let mut wire = minimal();
    policy(&mut wire).semantics = v1::cache_policy_config::Semantics::Rfc9111.into();
    let config = DistributionConfig::check(&wire, &Resources::default()).expect("config");
    assert_eq!(config.default_behavior.cache_policy.query_strings, NameSelection::All);
    assert_eq!(config.default_behavior.cache_policy.ttl.default, Duration::ZERO);
}

#[test]
fn a_max_ttl_below_the_usual_default_lowers_the_default() {
    let mut wire = minimal();
    policy(&mut wire).max_ttl = seconds(60);
    let config = DistributionConfig::check(&wire, &Resources::default()).expect("config");
    assert_eq!(config.default_behavior.cache_policy.ttl.default, Duration::from_secs(60));
}

#[test]
fn everything_wrong_is_reported_at_once() {
    check_refused(
        |wire| {
            wire.caller_reference.clear();
            wire.aliases = vec!["ok.example.com".into(), "http://x".into(), "OK.example.com".into()];
            wire.default_root_object = "/index.html".into();
            wire.origins[0].origin_path = "site/".into();
            wire.origins[0].connection_attempts = 4;
            wire.origins[0].connection_timeout = seconds(11);
            behavior(wire).target_origin_id = "nowhere".into();
            behavior(wire).allowed_methods = vec!["POST".into()];
            wire.cache_behaviors =
                vec![v1::CacheBehavior { path_pattern: "a b".into(), ..Default::default() }];
        },
        &[
            "caller_reference",
            "aliases[1]",
            "aliases[2]",
            "default_root_object",
            "origins[0].origin_path",
            "origins[0].origin_path",
            "origins[0].origin_path",
            "origins[0].connection_attempts",
            "origins[0].connection_timeout",
            "default_cache_behavior.target_origin_id",
            "default_cache_behavior.allowed_methods",
            "cache_behaviors[0].path_pattern",
            "cache_behaviors[0].target_origin_id",
        ],
    );
}

#[test]
fn what_this_version_cannot_do_is_refused() {
    check_refused(
        |w| behavior(w).cached_methods = vec!["GET".into(), "HEAD".into(), "OPTIONS".into()],
        &["default_cache_behavior.cached_methods"],
    );
    check_refused(
        |w| behavior(w).viewer_protocol_policy = 4,
        &["default_cache_behavior.viewer_protocol_policy"],
    );
    check_refused(
        |w| {
            w.origins[0].kind = Some(v1::origin::Kind::Custom(v1::CustomOrigin {
                domain_name: "o.example.com".into(),
                protocol_policy: v1::custom_origin::ProtocolPolicy::MatchViewer.into(),
                ..Default::default()
            }));
        },
        &["origins[0].custom.protocol_policy"],
    );
}

#[test]
fn ttls_are_in_order_and_in_range() {
    check_refused(
        |w| {
            policy(w).min_ttl = seconds(60);
            policy(w).default_ttl = seconds(30);
            policy(w).max_ttl = seconds(10);
        },
        &["default_cache_behavior.cache_policy.default_ttl", "default_cache_behavior.cache_policy.max_ttl"],
    );
    check_refused(|w| policy(w).min_ttl = seconds(-1), &["default_cache_behavior.cache_policy.min_ttl"]);
    check_refused(
        |w| policy(w).max_ttl = seconds(i64::MAX),
        &["default_cache_behavior.cache_policy.max_ttl"],
    );
}

#[test]
fn key_names_are_checked() {
    check_refused(
        |w| {
            policy(w).headers = Some(v1::HeaderSelection {
                names: vec!["X-A".into(), "x-a".into(), "a b".into(), "range".into()],
            });
            policy(w).cookies = Some(v1::NameSelection { mode: 2, names: vec![] });
            policy(w).query_strings = Some(v1::NameSelection { mode: 4, names: vec!["a".into()] });
        },
        &[
            "default_cache_behavior.cache_policy.headers.names[1]",
            "default_cache_behavior.cache_policy.headers.names[2]",
            "default_cache_behavior.cache_policy.headers.names[3]",
            "default_cache_behavior.cache_policy.cookies.names",
            "default_cache_behavior.cache_policy.query_strings.names",
        ],
    );
}

#[test]
fn codings_are_those_that_are_enabled() {
    let check = |[gzip, brotli, zstd]: [bool; 3], expected: &str| {
        let mut wire = minimal();
        behavior(&mut wire).compress = true;
        policy(&mut wire).accept_encoding_gzip = gzip;
        policy(&mut wire).accept_encoding_brotli = brotli;
        policy(&mut wire).accept_encoding_zstd = zstd;
        let rules = DistributionConfig::check(&wire, &Resources::default()).expect("config").default_behavior;
        assert_eq!((rules.cache_policy.codings.list(), rules.compress), (expected, true));
    };
    check([false, false, false], "");
    check([true, true, false], "br,gzip");
    check([true, true, true], "br,zstd,gzip");
    check([false, false, true], "zstd");
}

#[test]
fn s3_origins_are_checked() {
    let s3 = |bucket: &str, endpoint: &str| v1::S3Origin {
        bucket: bucket.into(),
        endpoint: endpoint.into(),
        ..Default::default()
    };
    check_refused(
        |w| w.origins[0].kind = Some(v1::origin::Kind::S3(s3("Bad_Bucket", "localhost:9000"))),
        &["origins[0].s3.bucket", "origins[0].s3.endpoint"],
    );
    check_refused(
        |w| {
            w.origins[0].kind = Some(v1::origin::Kind::S3(s3("photos", "")));
            policy(w).headers = Some(v1::HeaderSelection { names: vec!["Host".into()] });
        },
        &["default_cache_behavior.cache_policy.headers.names"],
    );
    let mut wire = minimal();
    wire.origins[0].kind = Some(v1::origin::Kind::S3(s3("photos", "")));
    let config = DistributionConfig::check(&wire, &Resources::default()).expect("config");
    let OriginKind::S3(origin) = &config.origins[0].kind else { panic!("not S3") };
    assert_eq!(origin.endpoint.as_str(), "s3.us-east-1.amazonaws.com");
    assert!(origin.signed);
}

#[test]
fn custom_headers_cannot_replace_what_the_edge_sets() {
    let header = |name: &str, value: &str| v1::CustomHeader { name: name.into(), value: value.into() };
    check_refused(
        |w| {
            w.origins[0].custom_headers = vec![
                header("Host", "x"),
                header("X-Amz-Date", "x"),
                header("X-Ok", "a\nb"),
                header("x-ok", "y"),
                header("é", "y"),
                // RFC 8586 section 3.
                header("CDN-Loop", "x"),
            ];
        },
        &[
            "origins[0].custom_headers[0].name",
            "origins[0].custom_headers[1].name",
            "origins[0].custom_headers[2].value",
            "origins[0].custom_headers[4].name",
            "origins[0].custom_headers[5].name",
        ],
    );
}
