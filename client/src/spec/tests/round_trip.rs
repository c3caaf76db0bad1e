//! Nothing is lost between file and wire, nor between what is printed and what is read.

use std::{
    collections::BTreeMap,
    num::{NonZeroU16, NonZeroU32},
    time::Duration,
};

use headland_proto::v1;
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
};

use crate::spec::*;

/// Any text, with what YAML gives a meaning of its own.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z*.]{0,12}",
        any::<String>(),
        proptest::sample::select(vec![
            "null", "~", "true", "007", "1e3", "- x", "a: b", "#c", "", " x ", "\"", "'", "a\nb\n"
        ])
        .prop_map(str::to_owned),
    ]
}

fn duration() -> impl Strategy<Value = Option<SpecDuration>> {
    let nanos = prop_oneof![Just(0u32), Just(500_000_000), 0..1_000_000_000u32];
    let duration = (0..=i64::MAX as u64, nanos).prop_map(|(s, n)| SpecDuration(Duration::new(s, n)));
    option::of(duration)
}

fn kind() -> impl Strategy<Value = Option<OriginKind>> {
    use proptest::sample::select;
    let signing = option::of(select(vec![Signing::Always, Signing::NoOverride, Signing::Never]));
    let s3 = (text(), text(), text(), any::<bool>(), signing, text()).prop_map(
        |(bucket, region, endpoint, path_style, signing, credentials_profile)| {
            OriginKind::S3(S3OriginSpec {
                bucket,
                region,
                endpoint,
                path_style,
                signing,
                credentials_profile,
            })
        },
    );
    let port = || any::<u16>().prop_map(NonZeroU16::new);
    let policy = option::of(select(vec![
        ProtocolPolicy::HttpOnly,
        ProtocolPolicy::HttpsOnly,
        ProtocolPolicy::MatchViewer,
    ]));
    let custom =
        (text(), port(), port(), policy).prop_map(|(domain_name, http_port, https_port, protocol_policy)| {
            OriginKind::Custom(CustomOriginSpec { domain_name, http_port, https_port, protocol_policy })
        });
    option::of(prop_oneof![s3, custom])
}

fn origin() -> impl Strategy<Value = OriginSpec> {
    let header = (text(), text()).prop_map(|(name, value)| CustomHeaderSpec { name, value });
    let attempts = any::<u32>().prop_map(NonZeroU32::new);
    let timeouts = (duration(), duration(), duration(), duration());
    let versions = option::of(proptest::sample::select(vec![TlsVersion::V1_2, TlsVersion::V1_3]));
    let tls = (text(), text(), text(), versions).prop_map(
        |(ca_certificates, client_certificate, server_name, minimum_version)| OriginTlsSpec {
            ca_certificates,
            client_certificate,
            server_name,
            minimum_version,
        },
    );
    let http2 = option::of(proptest::sample::select(vec![Http2::Off, Http2::WhereOffered, Http2::Always]));
    let shield = option::of(text().prop_map(|location| OriginShieldSpec { location }));
    let health_check =
        option::of((text(), duration()).prop_map(|(path, interval)| HealthCheckSpec { path, interval }));
    let how = (kind(), option::of(tls), http2, shield, health_check);
    (text(), text(), vec(header, 0..3), attempts, timeouts, how).prop_map(
        |(
            id,
            origin_path,
            custom_headers,
            connection_attempts,
            timeouts,
            (kind, tls, http2, origin_shield, health_check),
        )| OriginSpec {
            id,
            origin_path,
            custom_headers,
            connection_attempts,
            connection_timeout: timeouts.0,
            response_timeout: timeouts.1,
            response_completion_timeout: timeouts.3,
            keepalive_timeout: timeouts.2,
            health_check,
            origin_shield,
            tls,
            http2,
            kind,
        },
    )
}

fn names() -> impl Strategy<Value = Option<NameSelection>> {
    use NameSelectionMode::{All, AllExcept, None, Whitelist};
    let mode = option::of(proptest::sample::select(vec![None, Whitelist, AllExcept, All]));
    option::of((mode, vec(text(), 0..3)).prop_map(|(mode, names)| NameSelection { mode, names }))
}

fn tags() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..3)
}

fn policy() -> impl Strategy<Value = CachePolicySpec> {
    let semantics = option::of(proptest::sample::select(vec![Semantics::Cloudfront, Semantics::Rfc9111]));
    let headers = option::of(vec(text(), 0..3).prop_map(|names| HeaderSelection { names }));
    let ttl = (duration(), duration(), duration());
    (text(), text(), semantics, ttl, headers, (names(), names()), any::<[bool; 3]>(), tags()).prop_map(
        |(name, comment, semantics, ttl, headers, (cookies, query_strings), codings, tags)| CachePolicySpec {
            name,
            comment,
            semantics,
            min_ttl: ttl.0,
            default_ttl: ttl.1,
            max_ttl: ttl.2,
            headers,
            cookies,
            query_strings,
            accept_encoding_gzip: codings[0],
            accept_encoding_brotli: codings[1],
            accept_encoding_zstd: codings[2],
            tags,
        },
    )
}

fn behavior() -> impl Strategy<Value = CacheBehaviorSpec> {
    let viewer = option::of(proptest::sample::select(vec![
        ViewerProtocolPolicy::AllowAll,
        ViewerProtocolPolicy::HttpsOnly,
        ViewerProtocolPolicy::RedirectToHttps,
    ]));
    let methods = || vec("[A-Z]{3,7}", 0..3);
    let policies = (option::of(policy()), text(), text(), text(), vec(text(), 0..3));
    (text(), text(), viewer, methods(), methods(), policies, any::<[bool; 2]>()).prop_map(
        |(path_pattern, target, viewer, allowed_methods, cached_methods, policies, [compress, grpc])| {
            let (cache_policy, cache_policy_id, origin_request_policy_id, response_headers_policy_id, groups) =
                policies;
            let trusted_key_group_ids = groups;
            CacheBehaviorSpec {
                path_pattern,
                target_origin_id: target,
                viewer_protocol_policy: viewer,
                allowed_methods,
                cached_methods,
                cache_policy_id,
                cache_policy: cache_policy.map(Into::into),
                origin_request_policy_id,
                response_headers_policy_id,
                origin_request_policy: String::new(),
                response_headers_policy: String::new(),
                compress,
                trusted_key_group_ids,
                grpc,
            }
        },
    )
}

fn spec() -> impl Strategy<Value = DistributionSpec> {
    let error = (any::<u32>(), text(), option::of(1u32..600), duration()).prop_map(
        |(error_code, response_page_path, response_code, error_caching_min_ttl)| CustomErrorResponseSpec {
            error_code,
            response_page_path,
            response_code,
            error_caching_min_ttl,
        },
    );
    let behaviors = (option::of(behavior()), vec(behavior(), 0..3));
    let group = (text(), vec(text(), 0..3), vec(any::<u32>(), 0..3)).prop_map(
        |(id, member_origin_ids, failover_status_codes)| OriginGroupSpec {
            id,
            member_origin_ids,
            failover_status_codes,
        },
    );
    let mode = option::of(proptest::sample::select(vec![
        GeoRestrictionMode::None,
        GeoRestrictionMode::Whitelist,
        GeoRestrictionMode::Blacklist,
    ]));
    let geo = option::of(
        (mode, vec(text(), 0..3))
            .prop_map(|(mode, country_codes)| GeoRestrictionSpec { mode, country_codes }),
    );
    let lists = (vec(error, 0..3), vec(group, 0..3), geo, tags());
    let parts = (vec(origin(), 0..3), behaviors, any::<bool>(), lists).prop_map(
        |(origins, (default, others), debug, (errors, groups, geo, tags))| {
            (origins, default, others, debug, errors, groups, (geo, tags))
        },
    );
    (text(), text(), any::<bool>(), vec(text(), 0..3), text(), parts).prop_map(
        |(caller_reference, comment, enabled, aliases, default_root_object, parts)| DistributionSpec {
            caller_reference,
            comment,
            enabled,
            aliases,
            default_root_object,
            origins: parts.0,
            default_cache_behavior: parts.1,
            cache_behaviors: parts.2,
            debug_headers: parts.3,
            custom_error_responses: parts.4,
            origin_groups: parts.5,
            geo_restriction: parts.6.0,
            tags: parts.6.1,
        },
    )
}

fn document(config: DistributionSpec) -> DistributionDocument {
    DistributionDocument {
        kind: Some(DocumentKind::Distribution),
        id: "EABCDEFGHIJKLM".into(),
        domain_name: "d111.cdn.localhost".into(),
        etag: "12".into(),
        revision: 12,
        create_time: "2026-01-01T00:00:00Z".into(),
        update_time: "2026-01-01T00:00:01Z".into(),
        status: DistributionStatus::default(),
        config,
    }
}

proptest! {
    #[test]
    fn spec_to_wire_to_spec_is_identity(spec in spec()) {
        let wire = v1::DistributionConfig::from(&spec);
        prop_assert_eq!(DistributionSpec::try_from(&wire), Ok(spec));
    }

    #[test]
    fn what_is_printed_as_yaml_is_read_back(spec in spec()) {
        let document = document(spec);
        let whole = serde_saphyr::to_string(&document).expect("YAML");
        let source = <Source>::parse("x", &whole);
        prop_assert_eq!(source.as_ref().map(Source::spec).ok(), Some(&document.config), "{:?}\n{}", source, whole);
        prop_assert_eq!(source.as_ref().ok().and_then(Source::etag), Some("12"));
        let bare = serde_saphyr::to_string(&document.config).expect("YAML");
        let source = <Source>::parse("x", &bare);
        prop_assert_eq!(source.as_ref().map(Source::spec).ok(), Some(&document.config), "{:?}\n{}", source, bare);
    }

    #[test]
    fn what_is_printed_as_json_is_read_back(spec in spec()) {
        let document = document(spec);
        let text = serde_json::to_string_pretty(&document).expect("JSON");
        let source = <Source>::parse("x", &text);
        prop_assert_eq!(source.as_ref().map(Source::spec).ok(), Some(&document.config), "{:?}\n{}", source, text);
    }

    #[test]
    fn no_text_ends_the_process(text in any::<String>()) {
        drop(<Source>::parse("x", &text));
        documents(&text).iter().for_each(|document| drop(kind_of("x", document)));
    }

    #[test]
    fn no_wire_value_ends_the_process(mode in any::<i32>(), seconds in any::<i64>(), nanos in any::<i32>(), port in any::<u32>()) {
        let mut wire = v1::DistributionConfig::from(&DistributionSpec::default());
        wire.origins.push(v1::Origin {
            connection_timeout: Some(prost_types::Duration { seconds, nanos }),
            kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin { http_port: port, protocol_policy: mode, ..Default::default() })),
            ..Default::default()
        });
        drop(DistributionSpec::try_from(&wire));
    }
}
