//! What is accepted, what is refused, and with which words.

use std::time::Duration;

use super::*;
use crate::{
    limits::CA_CERTIFICATES_MAX,
    model::{MethodSet, NameSelection, Scheme, Semantics},
};

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
        |w| behavior(w).viewer_protocol_policy = 4,
        &["default_cache_behavior.viewer_protocol_policy"],
    );
}

#[test]
fn options_are_cached_if_they_are_allowed_with_cloudfront_semantics() {
    let methods = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let field = "default_cache_behavior.cached_methods";
    let three = ["GET", "HEAD", "OPTIONS"];
    check_refused(|w| behavior(w).cached_methods = methods(&three), &[field]);
    check_refused(
        |w| {
            behavior(w).allowed_methods = methods(&three);
            behavior(w).cached_methods = methods(&three);
            policy(w).semantics = v1::cache_policy_config::Semantics::Rfc9111.into();
        },
        &[field],
    );
    check_refused(|w| behavior(w).cached_methods = methods(&["OPTIONS"]), &[field]);
    let mut wire = minimal();
    behavior(&mut wire).allowed_methods = methods(&three);
    let check = |wire: &_| DistributionConfig::check(wire, &Resources::default()).expect("config");
    assert!(!check(&wire).default_behavior.caches(&http::Method::OPTIONS));
    behavior(&mut wire).cached_methods = methods(&three);
    assert!(check(&wire).default_behavior.caches(&http::Method::OPTIONS));
}

fn custom(policy: v1::custom_origin::ProtocolPolicy) -> Option<v1::origin::Kind> {
    let domain_name = "o.example.com".into();
    let protocol_policy = policy.into();
    Some(v1::origin::Kind::Custom(v1::CustomOrigin { domain_name, protocol_policy, ..Default::default() }))
}

#[test]
fn tls_is_checked() {
    use v1::custom_origin::ProtocolPolicy::{HttpOnly, HttpsOnly, MatchViewer};
    let tls = v1::OriginTls {
        ca_certificates: "no PEM".into(),
        client_certificate: "../key".into(),
        server_name: "a b".into(),
        minimum_version: 9,
    };
    let fields = ["ca_certificates", "client_certificate", "server_name", "minimum_version"];
    let fields = fields.map(|field| format!("origins[0].tls.{field}"));
    let set = |w: &mut v1::DistributionConfig| {
        w.origins[0].kind = custom(MatchViewer);
        w.origins[0].tls = Some(tls.clone());
    };
    check_refused(set, &fields.each_ref().map(String::as_str));
    check_refused(
        |w| {
            w.origins[0].kind = custom(HttpsOnly);
            let key = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
            w.origins[0].tls = Some(v1::OriginTls { ca_certificates: key.into(), ..Default::default() });
        },
        &["origins[0].tls.ca_certificates", "origins[0].tls.ca_certificates"],
    );
    let many =
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".repeat(CA_CERTIFICATES_MAX + 1);
    check_refused(
        |w| {
            w.origins[0].kind = custom(HttpsOnly);
            w.origins[0].tls = Some(v1::OriginTls { ca_certificates: many.clone(), ..Default::default() });
        },
        &["origins[0].tls.ca_certificates"],
    );
    check_refused(
        |w| {
            w.origins[0].kind = custom(HttpOnly);
            w.origins[0].tls = Some(v1::OriginTls::default());
            w.origins[0].http2 = v1::origin::Http2::WhereOffered.into();
        },
        &["origins[0].tls", "origins[0].http2"],
    );
}

#[test]
fn grpc_takes_post_and_http2() {
    use v1::custom_origin::ProtocolPolicy::{HttpOnly, HttpsOnly, MatchViewer};
    let field = "default_cache_behavior.grpc";
    let all = || ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"].map(String::from).to_vec();
    check_refused(
        |w| {
            w.origins[0].kind = custom(HttpsOnly);
            behavior(w).grpc = true;
        },
        &[field],
    );
    for policy in [HttpOnly, MatchViewer] {
        check_refused(
            |w| {
                w.origins[0].kind = custom(policy);
                behavior(w).grpc = true;
                behavior(w).allowed_methods = all();
            },
            &[field],
        );
    }
    let mut wire = minimal();
    wire.origins[0].kind = custom(HttpOnly);
    wire.origins[0].http2 = v1::origin::Http2::Always.into();
    behavior(&mut wire).grpc = true;
    behavior(&mut wire).allowed_methods = all();
    DistributionConfig::check(&wire, &Resources::default()).expect("config");
}

#[test]
fn a_response_is_complete_no_sooner_than_it_may_be_silent() {
    let field = "origins[0].response_completion_timeout";
    check_refused(|w| w.origins[0].response_completion_timeout = seconds(29), &[field]);
    check_refused(|w| w.origins[0].response_completion_timeout = seconds(86_401), &[field]);
    let mut wire = minimal();
    wire.origins[0].response_completion_timeout = seconds(30);
    let config = DistributionConfig::check(&wire, &Resources::default()).expect("config");
    assert_eq!(config.origins[0].completion_timeout, Some(Duration::from_secs(30)));
}

#[test]
fn a_scheme_that_matches_the_viewers_has_a_port_for_each() {
    let mut wire = minimal();
    wire.origins[0].kind = Some(v1::origin::Kind::Custom(v1::CustomOrigin {
        domain_name: "o.example.com".into(),
        https_port: 8443,
        protocol_policy: v1::custom_origin::ProtocolPolicy::MatchViewer.into(),
        ..Default::default()
    }));
    let config = DistributionConfig::check(&wire, &Resources::default()).expect("config");
    let OriginKind::Custom(origin) = &config.origins[0].kind else { panic!("not custom") };
    for (scheme, authority) in [(Scheme::Http, "o.example.com"), (Scheme::Https, "o.example.com:8443")] {
        assert_eq!((origin.scheme_for(scheme), origin.authority_for(scheme).as_str()), (scheme, authority));
    }
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
    assert_eq!(origin.signing, Signing::Always);
}

#[test]
fn health_checks_are_checked() {
    let check = |path: &str, interval| Some(v1::HealthCheck { path: path.into(), interval });
    check_refused(
        |w| w.origins[0].health_check = check("healthz", seconds(0)),
        &["origins[0].health_check.interval", "origins[0].health_check.path"],
    );
    check_refused(|w| w.origins[0].health_check = check("/a b", None), &["origins[0].health_check.path"]);
    check_refused(|w| w.origins[0].health_check = check("/a#b", None), &["origins[0].health_check.path"]);
    let bucket = v1::S3Origin { bucket: "photos".into(), ..Default::default() };
    check_refused(
        |w| {
            w.origins[0].kind = Some(v1::origin::Kind::S3(bucket));
            w.origins[0].health_check = check("", None);
        },
        &["origins[0].health_check"],
    );
    let mut wire = minimal();
    wire.origins[0].origin_path = "/site".into();
    wire.origins[0].health_check = check("", None);
    let config = DistributionConfig::check(&wire, &Resources::default()).expect("config");
    let told = config.origins[0].health_check.as_ref().expect("a check");
    assert_eq!((told.path.as_str(), told.interval), ("/site/", Duration::from_secs(10)));
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
