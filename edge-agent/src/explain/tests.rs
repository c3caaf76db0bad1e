//! What is told of requests to an edge with a few distributions and objects.

use std::time::Duration;

use bytes::Bytes;
use headland_proto::{
    model::CachePolicy,
    v1::{freshness_sum::LifetimeSource, key_part::Kind},
};
use http::StatusCode;

use super::*;
use crate::{
    cache::{
        Limits,
        blocks::{self, Blocks},
        freshness::Timing,
        key,
        object::{Object, Unpacked},
        storability::{self, RequestFacts, ResponseFacts},
    },
    clock::Clock,
    origin::request::Identity,
    routing::Table,
    viewer::accept_encoding,
};

fn selecting<'r>(policy: &CachePolicy, headers: &'r HeaderMap) -> key::Selecting<'r> {
    let codings = accept_encoding::of_headers(policy.codings, http::Version::HTTP_11, headers);
    key::Selecting { method: &http::Method::GET, headers, codings }
}

const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

/// An edge with a clock held by hand that serves what `change` makes of one distribution.
struct Bench {
    explainer: EdgeExplainer,
    clock: Clock,
    _runtime: tokio::runtime::Runtime,
}

fn bench(change: impl FnOnce(&mut v1::DistributionConfig)) -> Bench {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let limits = Limits { memory_bytes: 8 << 20, object_bytes_max: 50 << 20, background_fill_percent: 50 };
    let identity = Identity { pseudonym: "headland-test".into() };
    let clock = Clock::manual(NOW);
    let shared = Shared::new(limits, None, 1, identity, clock.clone(), runtime.handle().clone());
    let origin = |id: &str| v1::Origin {
        id: id.into(),
        kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
            domain_name: "origin.test".into(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let behavior = |pattern: &str, target: &str| v1::CacheBehavior {
        path_pattern: pattern.into(),
        target_origin_id: target.into(),
        cache_policy: Some(v1::CachePolicyConfig::default()),
        ..Default::default()
    };
    let mut config = v1::DistributionConfig {
        caller_reference: "r".into(),
        enabled: true,
        aliases: vec!["cdn.test".into()],
        default_root_object: "index.html".into(),
        origins: vec![origin("a"), origin("b")],
        default_cache_behavior: Some(behavior("", "a")),
        cache_behaviors: vec![behavior("*.jpg", "a"), behavior("img/*", "b")],
        ..Default::default()
    };
    change(&mut config);
    let desired = v1::DesiredDistribution {
        id: "EABCDEFGHIJKLM".into(),
        domain_name: "dabc.cdn.localhost".into(),
        revision: 7,
        config: Some(config),
    };
    let distribution =
        Distribution::compile(&desired, &headland_proto::model::Resources::default()).expect("compiles");
    shared.routing.publish(Table::new([Arc::new(distribution)]));
    Bench { explainer: EdgeExplainer::new(&Arc::new(shared)), clock, _runtime: runtime }
}

fn rfc9111(config: &mut v1::DistributionConfig) {
    let policy = config.default_cache_behavior.get_or_insert_default().cache_policy.get_or_insert_default();
    policy.semantics = v1::cache_policy_config::Semantics::Rfc9111.into();
}

fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, value.parse().expect("value"));
    }
    map
}

impl Bench {
    fn ask(&self, line: &str, headers: &[(&'static str, &str)]) -> v1::Explanation {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let field =
            |(name, value): &(&str, &str)| v1::HeaderField { name: (*name).into(), value: (*value).into() };
        self.explainer.explain(&v1::ExplainRequest {
            method: method.into(),
            host: "CDN.test:8080".into(),
            path: path.into(),
            query: query.map(Into::into),
            headers: headers.iter().map(field).collect(),
            ..Default::default()
        })
    }

    /// Stores what an origin would have answered to a request just now.
    fn store(&self, request: &[(&'static str, &str)], status: u16, response: &[(&'static str, &str)]) {
        self.store_in_blocks(request, status, response, None);
    }

    fn store_in_blocks(
        &self,
        request: &[(&'static str, &str)],
        status: u16,
        response: &[(&'static str, &str)],
        blocks: Option<Blocks>,
    ) {
        let table = self.explainer.shared.routing.current();
        let distribution = table.distribution("cdn.test").expect("distribution");
        let policy = &distribution.behavior("/a").rules.cache_policy;
        let (request, headers) = (map(request), map(response));
        let mut key = Vec::new();
        key::write(&mut key, &distribution.id, policy, "/a", None, "cdn.test", selecting(policy, &request));
        let now = self.clock.now();
        let status = StatusCode::from_u16(status).expect("status");
        let timing = Timing { request: now, response: now };
        let facts = ResponseFacts { status, headers: &headers, delimited: true, timing };
        let storable = storability::decide(
            policy,
            RequestFacts { headers: &request, authorization: false, errors: &Default::default() },
            facts,
        )
        .expect("storable");
        let key: Arc<[u8]> = key.into();
        let head = Unpacked {
            status,
            headers,
            timing,
            terms: storable.terms,
            vary: storable.vary,
            groups: storable.groups,
            began: self.explainer.shared.cache.invalidations.epoch(),
            blocks,
            ..Unpacked::sample(now, Duration::ZERO)
        };
        let (body, bytes) = if blocks.is_some() { (&b""[..], 0) } else { (&b"abc"[..], 3) };
        let object = Object::new(head.pack(), &[Bytes::from_static(body)], bytes);
        let cache = &self.explainer.shared.cache;
        if let Some(blocks) = blocks {
            // The second of them is there, and no other.
            let block = Object::new(blocks::head_of_block(&object.head, 0, now), &[], 0);
            cache.insert_block(&key, blocks, 1, &Arc::new(block), now);
        }
        cache.insert(key, Arc::new(object), now);
    }
}

#[track_caller]
fn check(told: &v1::Explanation, verdict: Verdict, reason: &str) {
    assert_eq!((told.verdict(), told.reason.as_str()), (verdict, reason), "{told:#?}");
    assert!(!told.detail.is_empty(), "{told:#?}");
    let documented = include_str!("../../../docs/errors.md");
    assert!(documented.contains(&format!("`{reason}`")), "docs/errors.md does not name {reason}");
}

#[test]
fn every_refusal_says_why_and_how_far_it_came() {
    let edge = bench(|_| {});
    let told = edge.ask("TRACE /a", &[]);
    check(&told, Verdict::Refused, "method-not-served");
    assert_eq!((told.status, told.distribution.is_none()), (405, true));
    check(&edge.ask("GET /a/../b", &[]), Verdict::Refused, "bad-path");
    check(&edge.ask(&format!("GET /{}", "a".repeat(9000)), &[]), Verdict::Refused, "url-too-long");
    let told = edge.ask("PUT /a.jpg", &[]);
    check(&told, Verdict::Refused, "method-not-allowed");
    assert_eq!((told.status, told.behavior.map(|b| b.path_pattern)), (403, Some("*.jpg".into())));
    check(&edge.ask("GET /a", &[("cdn-loop", "headland-test")]), Verdict::Refused, "loop");
    check(&edge.ask("GET /a", &[("content-length", "5")]), Verdict::Refused, "unexpected-body");

    let request =
        |host: &str| v1::ExplainRequest { host: host.into(), path: "/a".into(), ..Default::default() };
    let told = edge.explainer.explain(&request("other.test"));
    check(&told, Verdict::Refused, "unknown-host");
    assert_eq!((told.status, told.request.map(|r| r.host)), (404, Some("other.test".into())));
    check(&edge.explainer.explain(&request("a b")), Verdict::Refused, "bad-host");
    check(&edge.explainer.explain(&request("")), Verdict::Unspecified, "question-not-understood");

    let told = bench(|config| config.enabled = false).ask("GET /a", &[]);
    check(&told, Verdict::Refused, "distribution-disabled");
    assert!(told.distribution.is_some_and(|d| !d.enabled && d.revision == 7));
}

#[test]
fn who_asks_counts() {
    use v1::{GeoRestriction, cache_behavior::ViewerProtocolPolicy as Policy, geo_restriction::Mode};
    let by = |policy: Policy| {
        bench(move |config| {
            config.default_cache_behavior.get_or_insert_default().viewer_protocol_policy = policy.into();
            config.geo_restriction =
                Some(GeoRestriction { mode: Mode::Whitelist.into(), country_codes: vec!["DE".into()] });
        })
    };
    let told = by(Policy::HttpsOnly).ask("GET /a", &[]);
    check(&told, Verdict::Refused, "https-only");
    assert_eq!(told.status, 403);
    let edge = by(Policy::RedirectToHttps);
    for (method, status) in [("GET", 301), ("HEAD", 301)] {
        let told = edge.ask(&format!("{method} /a"), &[]);
        check(&told, Verdict::Answered, "redirect-to-https");
        assert_eq!(told.status, status);
    }
    let told = edge.explainer.explain(&v1::ExplainRequest {
        host: "cdn.test".into(),
        path: "/a".into(),
        viewer_address: "192.0.2.1:4711".into(),
        https: true,
        ..Default::default()
    });
    check(&told, Verdict::Miss, "uri-miss");
    let viewer = told.viewer.expect("a viewer");
    assert_eq!((viewer.address.as_str(), viewer.scheme.as_str()), ("192.0.2.1:4711", "https"));
    assert_eq!(viewer.country, "", "without a database it is in none, and served");
}

#[test]
fn what_the_edge_says_of_a_viewer_is_in_the_key() {
    let edge = bench(|config| {
        let policy =
            config.default_cache_behavior.get_or_insert_default().cache_policy.get_or_insert_default();
        policy.headers = Some(v1::HeaderSelection { names: vec!["CloudFront-Is-Mobile-Viewer".into()] });
    });
    let sent = [("user-agent", "x Mobile"), ("cloudfront-is-mobile-viewer", "forged")];
    let parts = edge.ask("GET /a", &sent).key.expect("a key").parts;
    let named: Vec<_> = parts.iter().filter(|part| part.kind() == Kind::Header).collect();
    assert_eq!(
        (named.len(), named[0].name.as_str(), named[0].value.as_str()),
        (1, "cloudfront-is-mobile-viewer", "true")
    );
}

#[test]
fn what_passes_the_cache_by_has_no_key() {
    let edge = bench(|config| {
        rfc9111(config);
        let behavior = config.default_cache_behavior.get_or_insert_default();
        behavior.allowed_methods =
            ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"].map(Into::into).to_vec();
    });
    for (line, headers, reason) in [
        ("POST /a", &[][..], "method"),
        ("GET /a", &[("transfer-encoding", "chunked")], "request-body"),
        ("GET /a", &[("if-match", "\"v1\"")], "precondition"),
        ("PURGE /a", &[], "method"),
    ] {
        let told = edge.ask(line, headers);
        check(&told, Verdict::Bypass, reason);
        assert!(told.key.is_none() && told.behavior.is_some_and(|b| b.semantics == "rfc9111"));
    }
    assert_eq!(edge.ask("POST /a", &[]).cache_status, "headland-test; fwd=method");
    let told = edge.ask("GET /a", &[("cache-control", "no-store")]);
    check(&told, Verdict::Bypass, "request-no-store");
    assert_eq!((told.key.is_some(), told.cache_status.as_str()), (true, "headland-test; fwd=request"));
    let told = edge.ask("OPTIONS /a", &[("max-forwards", "0")]);
    check(&told, Verdict::Answered, "max-forwards");
    assert_eq!((told.status, told.cache_status.as_str()), (204, ""));
    check(&edge.ask("OPTIONS /a", &[("max-forwards", "1")]), Verdict::Bypass, "method");
    let edge = bench(|config| {
        let policy =
            config.default_cache_behavior.get_or_insert_default().cache_policy.get_or_insert_default();
        policy.default_ttl = Some(prost_types::Duration::default());
        policy.max_ttl = Some(prost_types::Duration::default());
    });
    check(&edge.ask("GET /a", &[]), Verdict::Bypass, "max-ttl-zero");
}

#[test]
fn a_miss_says_what_was_looked_for() {
    let edge = bench(|_| {});
    let told = edge.ask("GET /img/x.png?v=1", &[]);
    check(&told, Verdict::Miss, "uri-miss");
    assert_eq!(told.cache_status, "headland-test; fwd=uri-miss");
    let request = told.request.expect("request");
    // CloudFront semantics leave the query out unless the policy selects it.
    assert_eq!((request.host.as_str(), request.forwarded_query), ("cdn.test", None));
    assert_eq!(request.query.as_deref(), Some("v=1"));
    let behavior = told.behavior.expect("behavior");
    assert_eq!((behavior.index, behavior.target_origin_id.as_str()), (Some(1), "b"));
    let key = told.key.expect("key");
    let kinds: Vec<_> = key.parts.iter().map(|part| part.kind()).collect();
    assert_eq!(kinds, [Kind::Distribution, Kind::Path]);
    let told = edge.ask("GET /", &[]);
    assert_eq!(told.request.expect("request").path, "/index.html");
    assert!(told.behavior.is_some_and(|b| b.index.is_none() && b.path_pattern.is_empty()));

    edge.explainer.shared.cache.uncacheable.remember(&key_of(&edge), NOW);
    check(&edge.ask("GET /a", &[]), Verdict::Miss, "uncacheable");
    edge.explainer.shared.cache.uncacheable.forget(&key_of(&edge));
    edge.explainer.shared.cache.oversized.remember(&key_of(&edge), NOW);
    check(&edge.ask("GET /a", &[]), Verdict::Miss, "uri-miss");
    check(&edge.ask("GET /a", &[("range", "bytes=0-")]), Verdict::Miss, "oversized");
}

fn key_of(edge: &Bench) -> Vec<u8> {
    let table = edge.explainer.shared.routing.current();
    let distribution = table.distribution("cdn.test").expect("distribution");
    let policy = &distribution.behavior("/a").rules.cache_policy;
    let mut key = Vec::new();
    key::write(
        &mut key,
        &distribution.id,
        policy,
        "/a",
        None,
        "cdn.test",
        selecting(policy, &HeaderMap::new()),
    );
    key
}

fn seconds(duration: Option<prost_types::Duration>) -> Option<i64> {
    duration.map(|d| d.seconds)
}

#[test]
fn a_hit_adds_its_age_up() {
    let edge = bench(rfc9111);
    let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000 - 4));
    edge.store(
        &[],
        200,
        &[("cache-control", "max-age=60, must-revalidate"), ("etag", "\"v1\""), ("date", &date)],
    );
    edge.clock.advance(Duration::from_secs(10));
    let told = edge.ask("GET /a", &[]);
    check(&told, Verdict::Hit, "fresh");
    assert_eq!((told.status, told.variants.len()), (200, 1));
    let variant = &told.variants[0];
    assert!(variant.selected && variant.must_revalidate && !variant.no_cache);
    assert_eq!((variant.etag.as_str(), variant.body_bytes), ("\"v1\"", 3));
    let sum = variant.freshness.expect("sum");
    assert_eq!(seconds(sum.apparent_age), Some(4));
    assert_eq!(seconds(sum.corrected_initial_age), Some(4));
    assert_eq!(seconds(sum.resident_time), Some(10));
    assert_eq!(seconds(sum.current_age), Some(14));
    assert_eq!(seconds(sum.lifetime), Some(60));
    assert_eq!(seconds(sum.left), Some(46));
    assert_eq!(sum.lifetime_source(), LifetimeSource::MaxAge);
    assert!(sum.initial_age_counts && told.detail.contains("46 s"), "{told:?}");
    assert_eq!((told.cache_status.as_str(), variant.reuse.as_str()), ("headland-test; hit; ttl=46", "fresh"));
    assert_eq!(variant.kept_until.map(|at| at.seconds), Some(1_700_000_056 + 56));

    edge.clock.advance(Duration::from_secs(50));
    let told = edge.ask("GET /a", &[]);
    check(&told, Verdict::Revalidate, "expired");
    assert_eq!(told.cache_status, "headland-test; fwd=stale; detail=expired");
    assert_eq!(seconds(told.variants[0].freshness.expect("sum").left), Some(-4));
}

#[test]
fn a_lifetime_says_which_rule_made_it() {
    let check = |min: i64, status, response: &[(&'static str, &str)], source, lifetime| {
        let edge = bench(|config| {
            let behavior = config.default_cache_behavior.get_or_insert_default();
            let policy = behavior.cache_policy.get_or_insert_default();
            policy.min_ttl = Some(prost_types::Duration { seconds: min, nanos: 0 });
            policy.default_ttl = Some(prost_types::Duration { seconds: 500, nanos: 0 });
            policy.max_ttl = Some(prost_types::Duration { seconds: 1000, nanos: 0 });
        });
        edge.store(&[], status, response);
        let told = edge.ask("GET /a", &[]);
        let sum = told.variants[0].freshness.expect("sum");
        assert_eq!((sum.lifetime_source(), seconds(sum.lifetime)), (source, Some(lifetime)), "{response:?}");
    };
    check(0, 200, &[], LifetimeSource::DefaultTtl, 500);
    check(0, 200, &[("cache-control", "max-age=50")], LifetimeSource::MaxAge, 50);
    check(0, 200, &[("cache-control", "max-age=50, s-maxage=60")], LifetimeSource::SMaxage, 60);
    check(100, 200, &[("cache-control", "max-age=50")], LifetimeSource::MinTtl, 100);
    check(0, 200, &[("cache-control", "max-age=5000")], LifetimeSource::MaxTtl, 1000);
    check(100, 200, &[("cache-control", "no-store")], LifetimeSource::MinTtl, 100);
    check(0, 404, &[], LifetimeSource::ErrorTtl, 10);
    check(0, 404, &[("cache-control", "max-age=60")], LifetimeSource::MaxAge, 60);
    let expires = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_070));
    check(0, 200, &[("expires", &expires)], LifetimeSource::Expires, 70);
}

#[test]
fn the_part_that_differs_is_named_and_credentials_are_not_shown() {
    let edge = bench(rfc9111);
    let response = [("cache-control", "max-age=60"), ("vary", "accept-language, cookie")];
    edge.store(&[("accept-language", "de"), ("cookie", "session=secret")], 200, &response);
    let told = edge.ask("GET /a", &[("accept-language", "fr"), ("cookie", "session=secret")]);
    check(&told, Verdict::Miss, "vary-miss");
    assert!(told.detail.ends_with("accept-language"), "{told:?}");
    let variant = &told.variants[0];
    assert!(!variant.selected);
    assert_eq!(variant.vary[0].stored_values, ["de"]);
    assert_eq!(variant.vary[0].request_values, ["fr"]);
    assert_eq!((variant.vary[0].matches, variant.vary[1].matches), (false, true));
    let told = edge.ask("GET /a", &[("accept-language", "de")]);
    check(&told, Verdict::Miss, "vary-miss");
    assert!(!format!("{told:?}").contains("secret"), "{told:?}");
}

#[test]
fn texts_are_cut() {
    let edge = bench(|_| {});
    let told = edge.ask(&format!("GET /{}", "a".repeat(8000)), &[]);
    assert_eq!(told.request.expect("request").path.len(), 1024);
    assert_eq!(stored::text(&[0xff; 2000]).len(), 1023);
}

#[test]
fn of_several_variants_the_nearest_is_told_first() {
    let edge = bench(rfc9111);
    let response = [("cache-control", "max-age=60"), ("vary", "x-a, x-b")];
    edge.store(&[("x-a", "1"), ("x-b", "1")], 200, &response);
    edge.store(&[("x-a", "2"), ("x-b", "2")], 200, &response);
    edge.store(&[("x-a", "3"), ("x-b", "3")], 200, &response);
    let told = edge.ask("GET /a", &[("x-a", "2"), ("x-b", "4")]);
    check(&told, Verdict::Miss, "vary-miss");
    assert!(told.detail.ends_with("x-b"), "{told:?}");
    let differing: Vec<usize> = told.variants.iter().map(|v| stored::differing(v).count()).collect();
    assert_eq!((differing, told.cache_status.as_str()), (vec![1, 2, 2], "headland-test; fwd=vary-miss"));
    let told = edge.ask("GET /a", &[("x-a", "1"), ("x-b", "1")]);
    check(&told, Verdict::Hit, "fresh");
    assert_eq!(told.variants.iter().map(|v| v.selected).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn what_is_stale_says_what_allows_it() {
    let edge = bench(rfc9111);
    let response =
        [("cache-control", "max-age=60, stale-while-revalidate=20, stale-if-error=300"), ("etag", "\"v1\"")];
    edge.store(&[], 200, &response);
    edge.clock.advance(Duration::from_secs(70));
    let told = edge.ask("GET /a", &[]);
    check(&told, Verdict::Stale, "stale-while-revalidate");
    assert_eq!(told.cache_status, "headland-test; hit; ttl=-10; detail=stale-while-revalidate");
    let windows = told.variants[0].stale.unwrap_or_default();
    assert_eq!(seconds(windows.while_revalidate_left), Some(10));
    assert_eq!(seconds(windows.if_error_left), Some(290));
    assert!(windows.on_request && windows.hold_left.is_none());
    edge.clock.advance(Duration::from_secs(20));
    check(&edge.ask("GET /a", &[("cache-control", "max-stale")]), Verdict::Stale, "max-stale");
    check(&edge.ask("GET /a", &[]), Verdict::Revalidate, "expired");

    let fault = crate::origin::Fault::ResponseTimeout;
    let table = edge.explainer.shared.routing.current();
    let origin = &table.distribution("cdn.test").expect("distribution").behavior("/a").origin;
    let breaker = edge.explainer.shared.breakers.of(&crate::origin::http::name_of(origin));
    breaker.failed(&fault, edge.clock.now(), edge.clock.now());
    let told = edge.ask("GET /a", &[]);
    check(&told, Verdict::Stale, "unreachable");
    assert!(told.origin_down && told.status == 200, "{told:?}");
    assert_eq!(told.cache_status, "headland-test; hit; ttl=-30; detail=unreachable");
    check(&edge.ask("GET /b", &[]), Verdict::Miss, "uri-miss");
    edge.clock.advance(Duration::from_secs(5));
    let told = edge.ask("GET /a", &[]);
    check(&told, Verdict::Revalidate, "expired");
    assert!(!told.origin_down, "somebody may find out");
    edge.explainer.explain(&v1::ExplainRequest::default());
    assert!(matches!(breaker.outlook(edge.clock.now()), crate::origin::breaker::Outlook::Probe(_)));
}

#[test]
fn what_the_request_asks_for_counts() {
    let edge = bench(rfc9111);
    edge.store(&[], 200, &[("cache-control", "max-age=60"), ("etag", "\"v1\"")]);
    edge.clock.advance(Duration::from_secs(10));
    for (directive, reason) in [
        ("no-cache", "request-no-cache"),
        ("max-age=5", "request-max-age"),
        ("min-fresh=55", "request-min-fresh"),
    ] {
        let told = edge.ask("GET /a", &[("cache-control", directive)]);
        check(&told, Verdict::Revalidate, reason);
        assert_eq!(told.cache_status, format!("headland-test; fwd=request; detail={reason}"));
        let both = format!("{directive}, only-if-cached");
        let told = edge.ask("GET /a", &[("cache-control", &both)]);
        check(&told, Verdict::Refused, "only-if-cached");
        assert_eq!((told.status, told.variants.len()), (504, 1));
        assert!(told.cache_status.ends_with("detail=only-if-cached"), "{told:?}");
    }
    check(&edge.ask("GET /a", &[("cache-control", "only-if-cached")]), Verdict::Hit, "fresh");
    check(&edge.ask("HEAD /a", &[]), Verdict::Hit, "fresh");
    let told = edge.ask("HEAD /a", &[("cache-control", "no-cache")]);
    check(&told, Verdict::Revalidate, "request-no-cache");
    assert!(told.detail.ends_with("HEAD"), "{told:?}");
}

#[test]
fn what_has_to_be_validated_says_why() {
    let edge = bench(rfc9111);
    edge.store(&[], 200, &[("cache-control", "max-age=60, no-cache"), ("etag", "\"v1\"")]);
    let told = edge.ask("GET /a", &[]);
    check(&told, Verdict::Revalidate, "no-cache");
    assert!(told.variants[0].no_cache && told.variants[0].reuse == "no-cache");

    let edge = bench(rfc9111);
    edge.store(&[], 200, &[("cache-control", "max-age=60"), ("cache-groups", "\"g\"")]);
    let key = key_of(&edge);
    drop(edge.explainer.shared.cache.invalidations.invalidate_uri(&key));
    // It has no validator.
    let told = edge.ask("GET /a", &[]);
    check(&told, Verdict::Miss, "invalidated");
    assert_eq!(told.variants[0].stale, Some(v1::StaleWindows::default()));
}

#[test]
fn blocks_are_told_of() {
    let edge = bench(rfc9111);
    let blocks = Blocks::new(3 << 20);
    let response = [("cache-control", "max-age=60"), ("etag", "\"v1\""), ("content-length", "3145728")];
    let ask = |range| edge.ask("GET /a", &[("range", range)]);
    check(&ask("bytes=0-1"), Verdict::Miss, "uri-miss");
    edge.store_in_blocks(&[], 200, &response, Some(blocks));
    let told = ask("bytes=1048576-2097151");
    check(&told, Verdict::Hit, "fresh");
    assert_eq!((told.variants[0].blocks, told.variants[0].body_bytes), (3, 3 << 20));
    assert_eq!(told.cache_status, "headland-test; hit; ttl=60");
    for range in [
        "bytes=1048575-1048576",
        "bytes=2097151-2097152",
        "bytes=-1",
        "bytes=1048576-1048577,0-0",
        "bytes=0-",
    ] {
        let told = ask(range);
        check(&told, Verdict::Miss, "partial");
        assert_eq!((told.variants.len(), told.cache_status.as_str()), (1, "headland-test; fwd=partial"));
    }
    check(&edge.ask("GET /a", &[]), Verdict::Miss, "partial");
    check(&edge.ask("HEAD /a", &[]), Verdict::Hit, "fresh");
    check(&edge.ask("GET /a", &[("if-none-match", "\"v1\"")]), Verdict::Hit, "fresh");
}

#[test]
fn every_word_is_documented() {
    use crate::cache::{reuse::Cause, storability::Reason};
    let documented = include_str!("../../../docs/errors.md");
    let words = Permission::ALL.map(Permission::as_str).into_iter().chain(Cause::ALL.map(Cause::as_str));
    assert!(documented.contains("`country`"), "it takes a database to be refused so");
    for word in words.chain(Reason::ALL.map(Reason::as_str)) {
        assert!(documented.contains(&format!("`{word}`")), "docs/errors.md does not name {word}");
    }
}
