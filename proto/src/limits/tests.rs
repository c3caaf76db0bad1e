//! Every limit on what operators write: what is at it is accepted, what is beyond it is refused with an error that names the field and
//! quotes the limit.

use std::time::Duration;

use super::*;
use crate::{
    model::{DistributionConfig, Resource, Resources, violation::Violations},
    v1::{self, resource_config::Kind},
};

/// One limit: its name in the table, the field that its error names, and something that is at it or beyond it.
struct Limit {
    name: &'static str,
    field: &'static str,
    /// The limit, as its error quotes it.
    quoted: String,
    /// What is said of something of this size.
    says: Box<dyn Fn(usize) -> Violations>,
    /// The largest size that is accepted.
    max: usize,
}

type Config = v1::DistributionConfig;

fn minimal() -> Config {
    let origin = v1::Origin {
        id: "o".into(),
        kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
            domain_name: "origin.example.com".into(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let behavior = v1::CacheBehavior { target_origin_id: "o".into(), ..Default::default() };
    Config {
        caller_reference: "r1".into(),
        enabled: true,
        origins: vec![origin],
        default_cache_behavior: Some(behavior),
        ..Default::default()
    }
}

fn none() -> Violations {
    Violations::default()
}

/// A limit on something of a distribution.
fn of_config(
    name: &'static str,
    field: &'static str,
    max: usize,
    change: impl Fn(&mut Config, usize) + 'static,
) -> Limit {
    let says = move |size| {
        let mut config = minimal();
        change(&mut config, size);
        DistributionConfig::check(&config, &Resources::default()).err().unwrap_or_else(none)
    };
    Limit { name, field, quoted: max.to_string(), says: Box::new(says), max }
}

/// A limit on something of a resource.
fn of_resource(
    name: &'static str,
    field: &'static str,
    max: usize,
    kind: impl Fn(usize) -> Kind + 'static,
) -> Limit {
    let says = move |size| {
        let config = v1::ResourceConfig { kind: Some(kind(size)) };
        Resource::try_from(&config).err().unwrap_or_else(none)
    };
    Limit { name, field, quoted: max.to_string(), says: Box::new(says), max }
}

/// A limit on a duration, in seconds.
fn of_seconds(
    name: &'static str,
    field: &'static str,
    max: Duration,
    change: impl Fn(&mut Config, Option<prost_types::Duration>) + 'static,
) -> Limit {
    let seconds = usize::try_from(max.as_secs()).expect("fits");
    let wire = |size| prost_types::Duration { seconds: i64::try_from(size).expect("fits"), nanos: 0 };
    of_config(name, field, seconds, move |config, size| change(config, Some(wire(size))))
}

fn text(size: usize) -> String {
    "a".repeat(size)
}

/// Something that is a certificate as far as PEM goes.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/// Has an HTTPS origin verified against these.
fn authorities(config: &mut Config, pem: &str) {
    if let Some(v1::origin::Kind::Custom(custom)) = &mut config.origins[0].kind {
        custom.protocol_policy = v1::custom_origin::ProtocolPolicy::HttpsOnly.into();
    }
    config.origins[0].tls = Some(v1::OriginTls { ca_certificates: pem.into(), ..Default::default() });
}

/// So many names, each of them another.
fn names(size: usize) -> Vec<String> {
    (0..size).map(|n| format!("n{n}")).collect()
}

/// A host name of so many characters, of the shortest labels.
fn host_name(size: usize) -> String {
    let name: String = "a.".repeat(size).chars().take(size).collect();
    match name.strip_suffix('.') {
        Some(rest) => format!("{rest}a"),
        None => name,
    }
}

fn behavior(config: &mut Config) -> &mut v1::CacheBehavior {
    config.default_cache_behavior.as_mut().expect("default behavior")
}

fn inline(config: &mut Config) -> &mut v1::CachePolicyConfig {
    behavior(config).cache_policy.get_or_insert_default()
}

fn custom_header(name: &str, value: String) -> v1::CustomHeader {
    v1::CustomHeader { name: name.into(), value }
}

fn bucket(config: &mut Config, bucket: String) {
    config.origins[0].kind =
        Some(v1::origin::Kind::S3(v1::S3Origin { bucket, region: "us-east-1".into(), ..Default::default() }));
}

fn whitelist(names: Vec<String>) -> Option<v1::NameSelection> {
    Some(v1::NameSelection { mode: v1::name_selection::Mode::Whitelist.into(), names })
}

fn group(id: String, members: usize) -> v1::OriginGroup {
    v1::OriginGroup { id, member_origin_ids: names(members), ..Default::default() }
}

/// Gives a config so many origins more.
fn more_origins(config: &mut Config, more: usize) {
    let like = config.origins[0].clone();
    config.origins.extend(names(more).into_iter().map(|id| v1::Origin { id, ..like.clone() }));
}

fn origin_request(policy: v1::OriginRequestPolicyConfig) -> Kind {
    Kind::OriginRequestPolicy(v1::OriginRequestPolicyConfig { name: "p".into(), ..policy })
}

fn response_headers(policy: v1::ResponseHeadersPolicyConfig) -> Kind {
    let custom_headers = vec![v1::CustomResponseHeader { name: "x-always".into(), ..Default::default() }];
    let mut policy = v1::ResponseHeadersPolicyConfig { name: "p".into(), ..policy };
    if policy.custom_headers.is_empty() {
        policy.custom_headers = custom_headers;
    }
    Kind::ResponseHeadersPolicy(policy)
}

fn cors(cors: v1::Cors) -> Kind {
    let usual =
        |given: Vec<String>, usual: &str| if given.is_empty() { vec![usual.to_owned()] } else { given };
    let cors = v1::Cors {
        allow_origins: usual(cors.allow_origins.clone(), "*"),
        allow_methods: usual(cors.allow_methods.clone(), "GET"),
        ..cors
    };
    response_headers(v1::ResponseHeadersPolicyConfig { cors: Some(cors), ..Default::default() })
}

#[rustfmt::skip]
fn limits() -> Vec<Limit> {
    vec![
        of_config("CALLER_REFERENCE_CHARS_MAX", "caller_reference", CALLER_REFERENCE_CHARS_MAX, |c, n| c.caller_reference = text(n)),
        of_config("COMMENT_CHARS_MAX", "comment", COMMENT_CHARS_MAX, |c, n| c.comment = text(n)),
        of_config("ALIASES_MAX", "aliases", ALIASES_MAX, |c, n| c.aliases = names(n)),
        of_config("HOST_NAME_CHARS_MAX", "aliases[0]", HOST_NAME_CHARS_MAX, |c, n| c.aliases = vec![host_name(n)]),
        of_config("HOST_LABEL_CHARS_MAX", "aliases[0]", HOST_LABEL_CHARS_MAX, |c, n| c.aliases = vec![format!("{}.test", text(n))]),
        of_config("DEFAULT_ROOT_OBJECT_CHARS_MAX", "default_root_object", DEFAULT_ROOT_OBJECT_CHARS_MAX, |c, n| c.default_root_object = text(n)),
        of_config("ERROR_PAGE_PATH_CHARS_MAX", "custom_error_responses[0].response_page_path", ERROR_PAGE_PATH_CHARS_MAX, |c, n| {
            let response_page_path = format!("/{}", text(n - 1));
            c.custom_error_responses = vec![v1::CustomErrorResponse { error_code: 404, response_page_path, ..Default::default() }];
        }),
        of_seconds("ERROR_CACHING_MIN_TTL", "custom_error_responses[0].error_caching_min_ttl", ERROR_CACHING_MIN_TTL.1, |c, error_caching_min_ttl| {
            c.custom_error_responses = vec![v1::CustomErrorResponse { error_code: 404, error_caching_min_ttl, ..Default::default() }];
        }),
        of_config("ORIGINS_MAX", "origins", ORIGINS_MAX, |c, n| more_origins(c, n - 1)),
        of_config("ORIGIN_GROUPS_MAX", "origin_groups", ORIGIN_GROUPS_MAX, |c, n| {
            more_origins(c, 2);
            c.origin_groups = (0..n).map(|n| group(format!("g{n}"), 2)).collect();
        }),
        of_config("ORIGIN_GROUP_MEMBERS", "origin_groups[0].member_origin_ids", ORIGIN_GROUP_MEMBERS.1, |c, n| {
            more_origins(c, n);
            c.origin_groups = vec![group("g".into(), n)];
        }),
        of_config("ORIGIN_ID_CHARS_MAX", "origins[0].id", ORIGIN_ID_CHARS_MAX, |c, n| {
            c.origins[0].id = text(n);
            behavior(c).target_origin_id = text(n);
        }),
        of_config("ORIGIN_PATH_CHARS_MAX", "origins[0].origin_path", ORIGIN_PATH_CHARS_MAX, |c, n| c.origins[0].origin_path = format!("/{}", text(n - 1))),
        of_config("CUSTOM_HEADERS_MAX", "origins[0].custom_headers", CUSTOM_HEADERS_MAX, |c, n| {
            c.origins[0].custom_headers = names(n).iter().map(|name| custom_header(name, text(1))).collect();
        }),
        of_config("CUSTOM_HEADER_NAME_CHARS_MAX", "origins[0].custom_headers[0].name", CUSTOM_HEADER_NAME_CHARS_MAX, |c, n| {
            c.origins[0].custom_headers = vec![custom_header(&text(n), text(1))];
        }),
        of_config("CUSTOM_HEADER_VALUE_CHARS_MAX", "origins[0].custom_headers[0].value", CUSTOM_HEADER_VALUE_CHARS_MAX, |c, n| {
            c.origins[0].custom_headers = vec![custom_header("x", text(n))];
        }),
        of_config("CUSTOM_HEADERS_CHARS_MAX", "origins[0].custom_headers", CUSTOM_HEADERS_CHARS_MAX, |c, n| {
            // Ten headers with names of two characters share what is left.
            let value = |i: usize| text((n - 20) / 10 + usize::from(i < (n - 20) % 10));
            c.origins[0].custom_headers = (0..10).map(|i| custom_header(&format!("x{i}"), value(i))).collect();
        }),
        of_config("CONNECTION_ATTEMPTS_MAX", "origins[0].connection_attempts", CONNECTION_ATTEMPTS_MAX as usize, |c, n| {
            c.origins[0].connection_attempts = u32::try_from(n).expect("fits");
        }),
        of_seconds("CONNECTION_TIMEOUT", "origins[0].connection_timeout", CONNECTION_TIMEOUT.1, |c, d| c.origins[0].connection_timeout = d),
        of_seconds("RESPONSE_TIMEOUT", "origins[0].response_timeout", RESPONSE_TIMEOUT.1, |c, d| c.origins[0].response_timeout = d),
        of_seconds("RESPONSE_COMPLETION_TIMEOUT", "origins[0].response_completion_timeout", RESPONSE_COMPLETION_TIMEOUT.1, |c, d| {
            c.origins[0].response_completion_timeout = d;
        }),
        of_config("HEALTH_CHECK_PATH_CHARS_MAX", "origins[0].health_check.path", HEALTH_CHECK_PATH_CHARS_MAX, |c, n| {
            c.origins[0].health_check = Some(v1::HealthCheck { path: format!("/{}", text(n - 1)), interval: None });
        }),
        of_seconds("HEALTH_CHECK_INTERVAL", "origins[0].health_check.interval", HEALTH_CHECK_INTERVAL.1, |c, interval| {
            c.origins[0].health_check = Some(v1::HealthCheck { path: String::new(), interval });
        }),
        of_seconds("KEEPALIVE_TIMEOUT", "origins[0].keepalive_timeout", KEEPALIVE_TIMEOUT.1, |c, d| c.origins[0].keepalive_timeout = d),
        of_config("BUCKET_CHARS", "origins[0].s3.bucket", BUCKET_CHARS.1, |c, n| bucket(c, text(n))),
        of_config("BEHAVIORS_MAX", "cache_behaviors", BEHAVIORS_MAX, |c, n| {
            let like = behavior(c).clone();
            c.cache_behaviors = names(n).into_iter().map(|path_pattern| v1::CacheBehavior { path_pattern, ..like.clone() }).collect();
        }),
        of_config("PATH_PATTERN_CHARS_MAX", "cache_behaviors[0].path_pattern", PATH_PATTERN_CHARS_MAX, |c, n| {
            c.cache_behaviors = vec![v1::CacheBehavior { path_pattern: text(n), ..behavior(c).clone() }];
        }),
        of_config("KEY_NAMES_MAX", "default_cache_behavior.cache_policy.cookies.names", KEY_NAMES_MAX, |c, n| inline(c).cookies = whitelist(names(n))),
        of_config("KEY_NAMES_CHARS_MAX", "default_cache_behavior.cache_policy", KEY_NAMES_CHARS_MAX, |c, n| inline(c).cookies = whitelist(vec![text(n)])),
        of_seconds("TTL_MAX", "default_cache_behavior.cache_policy.max_ttl", TTL_MAX, |c, d| inline(c).max_ttl = d),
        of_config("TRUSTED_KEY_GROUPS_MAX", "default_cache_behavior.trusted_key_group_ids", TRUSTED_KEY_GROUPS_MAX, |c, n| {
            behavior(c).trusted_key_group_ids = names(n);
        }),
        of_config("COUNTRIES_MAX", "geo_restriction.country_codes", COUNTRIES_MAX, |c, n| {
            let mode = v1::geo_restriction::Mode::Whitelist.into();
            c.geo_restriction = Some(v1::GeoRestriction { mode, country_codes: names(n) });
        }),
        of_config("TAGS_MAX", "tags", TAGS_MAX, |c, n| c.tags = names(n).into_iter().map(|name| (name, String::new())).collect()),
        of_config("TAG_KEY_CHARS_MAX", "tags", TAG_KEY_CHARS_MAX, |c, n| c.tags = [(text(n), String::new())].into()),
        of_config("TAG_VALUE_CHARS_MAX", "tags", TAG_VALUE_CHARS_MAX, |c, n| c.tags = [("k".to_owned(), text(n))].into()),
        of_config("CA_CERTIFICATES_MAX", "origins[0].tls.ca_certificates", CA_CERTIFICATES_MAX, |c, n| authorities(c, &CERTIFICATE.repeat(n))),
        of_config("CA_CERTIFICATES_BYTES_MAX", "origins[0].tls.ca_certificates", CA_CERTIFICATES_BYTES_MAX, |c, n| {
            authorities(c, &format!("{CERTIFICATE}{}", text(n - CERTIFICATE.len())));
        }),
        of_config("CLIENT_CERTIFICATE_CHARS_MAX", "origins[0].tls.client_certificate", CLIENT_CERTIFICATE_CHARS_MAX, |c, n| {
            c.origins[0].tls = Some(v1::OriginTls { client_certificate: text(n), ..Default::default() });
        }),
        of_resource("KEY_GROUP_KEYS", "public_key_ids", KEY_GROUP_KEYS.1, |n| {
            let public_key_ids = (0..n).map(|n| format!("00000000-0000-4000-8000-{n:012}")).collect();
            Kind::KeyGroup(v1::KeyGroupConfig { name: "g".into(), public_key_ids, ..Default::default() })
        }),
        of_resource("POLICY_NAME_CHARS_MAX", "name", POLICY_NAME_CHARS_MAX, |n| Kind::CachePolicy(v1::CachePolicyConfig { name: text(n), ..Default::default() })),
        of_resource("FORWARDED_NAMES_MAX", "cookies.names", FORWARDED_NAMES_MAX, |n| {
            origin_request(v1::OriginRequestPolicyConfig { cookies: whitelist(names(n)), ..Default::default() })
        }),
        of_resource("FORWARDED_NAMES_CHARS_MAX", "", FORWARDED_NAMES_CHARS_MAX, |n| {
            origin_request(v1::OriginRequestPolicyConfig { cookies: whitelist(vec![text(n)]), ..Default::default() })
        }),
        of_resource("CUSTOM_RESPONSE_HEADERS_MAX", "custom_headers", CUSTOM_RESPONSE_HEADERS_MAX, |n| {
            let header = |name| v1::CustomResponseHeader { name, ..Default::default() };
            response_headers(v1::ResponseHeadersPolicyConfig { custom_headers: names(n).into_iter().map(header).collect(), ..Default::default() })
        }),
        of_resource("REMOVED_HEADERS_MAX", "removed_headers", REMOVED_HEADERS_MAX, |n| {
            response_headers(v1::ResponseHeadersPolicyConfig { removed_headers: names(n), ..Default::default() })
        }),
        of_resource("CORS_NAMES_MAX", "cors.expose_headers", CORS_NAMES_MAX, |n| cors(v1::Cors { expose_headers: names(n), ..Default::default() })),
        of_resource("CORS_ORIGIN_CHARS_MAX", "cors.allow_origins[0]", CORS_ORIGIN_CHARS_MAX, |n| {
            cors(v1::Cors { allow_origins: vec![text(n)], ..Default::default() })
        }),
        of_resource("CORS_MAX_AGE_MAX", "cors.max_age", usize::try_from(CORS_MAX_AGE_MAX.as_secs()).expect("fits"), |n| {
            let max_age = Some(prost_types::Duration { seconds: i64::try_from(n).expect("fits"), nanos: 0 });
            cors(v1::Cors { max_age, ..Default::default() })
        }),
    ]
}

/// Limits that no single field has, and where they are tested.
const ELSEWHERE: &[(&str, &str)] = &[
    ("CONFIG_BYTES_MAX", "below: nothing else is as large"),
    ("RESOURCE_BYTES_MAX", "below: nothing else is as large"),
    ("GRPC_MESSAGE_BYTES_MAX", "client/tests/it/faults/large.rs"),
    ("SYNC_PART_BYTES_MAX", "control-plane/src/snapshot/parts.rs"),
    ("VIOLATIONS_MAX", "proto/src/model/violation.rs"),
    ("ERROR_CACHING_MIN_TTL_DEFAULT", "a default"),
    ("FILTER_TAGS_MAX", "proto/src/model/tags.rs: of a question, not of a config"),
    ("PUBLIC_KEY_PEM_CHARS_MAX", "proto/src/model/public_key.rs: nothing else is as long"),
    ("PAGE_SIZE_MAX", "control-plane/src/page.rs: more is cut"),
    ("PAGE_SIZE_DEFAULT", "a default"),
    ("LOCATION_CHARS_MAX", "edge-agent/src/config/tests.rs"),
    ("VIEWER_URL_CHARS_MAX", "edge-agent/src/config/tests.rs"),
    ("EXPLAIN_METHOD_CHARS_MAX", "proto/src/model/explain.rs"),
    ("EXPLAIN_HOST_BYTES_MAX", "proto/src/model/explain.rs"),
    ("EXPLAIN_URL_BYTES_MAX", "proto/src/model/explain.rs"),
    ("EXPLAIN_HEADERS_MAX", "proto/src/model/explain.rs"),
    ("EXPLAIN_HEADERS_BYTES_MAX", "proto/src/model/explain.rs"),
    ("EXPLANATION_TEXT_BYTES_MAX", "what an edge says of itself"),
    ("EXPLANATION_VARIANTS_MAX", "what an edge says of itself"),
    ("EXPLANATION_BYTES_MAX", "what an edge says of itself"),
    ("EXPLAIN_OUTSTANDING_MAX", "control-plane/src/fleet/questions.rs"),
    ("RESEND_MAX", "edge-agent/src/sync/report.rs"),
];

#[test]
fn every_limit_holds_where_it_is_and_says_so_one_step_beyond() {
    for Limit { name, field, quoted, says, max } in limits() {
        let found = says(max);
        let of_field = |found: &Violations| -> Vec<String> {
            found.list().iter().filter(|v| v.field == field).map(|v| v.description.clone()).collect()
        };
        assert_eq!(of_field(&found), Vec::<String>::new(), "{name} at {max}: {found}");
        let found = says(max + 1);
        let descriptions = of_field(&found);
        assert!(
            descriptions.iter().any(|description| description.contains(&quoted)),
            "{name} beyond {max}, in {field:?}: {found}"
        );
    }
}

#[test]
fn every_limit_in_the_table_is_tested() {
    let here: Vec<&str> = limits().iter().map(|limit| limit.name).collect();
    let source = include_str!("../limits.rs");
    let listed = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    let mut count = 0;
    for name in listed {
        let elsewhere = ELSEWHERE.iter().any(|(other, _)| *other == name);
        assert!(here.contains(&name) != elsewhere, "{name} has no test, or two");
        count += 1;
    }
    assert_eq!(count, here.len() + ELSEWHERE.len());
}

#[test]
fn what_is_too_large_as_a_whole_is_refused() {
    let mut config = minimal();
    config.caller_reference = text(CONFIG_BYTES_MAX);
    let found = DistributionConfig::check(&config, &Resources::default()).expect_err("violations");
    assert!(found.to_string().contains(&CONFIG_BYTES_MAX.to_string()), "{found}");
    let policy = v1::CachePolicyConfig { name: text(RESOURCE_BYTES_MAX), ..Default::default() };
    let found = Resource::try_from(&v1::ResourceConfig { kind: Some(Kind::CachePolicy(policy)) });
    let found = found.expect_err("violations");
    assert!(found.to_string().contains(&RESOURCE_BYTES_MAX.to_string()), "{found}");
}
