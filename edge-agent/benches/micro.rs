//! What the steps of a hit take, one by one: routing, cache key, lookup, and the quick way as a whole; and packing the head of what is
//! stored. `cargo bench -p headland-edge-agent --bench micro`.

#![allow(missing_docs)]

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use divan::{Bencher, counter::ItemsCount};
use headland_edge_agent::{
    cache::{
        Cache, Limits,
        cache_control::RequestDirectives,
        reuse::{self, Reuse},
    },
    clock::{Clock, Timestamp},
    measuring::{self, QuickWorker},
    routing::{Distribution, Table},
};
use headland_proto::{model::NameSelection, v1};
use http::{HeaderMap, HeaderValue};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OBJECTS: [usize; 2] = [1_000, 100_000];
const DISTRIBUTIONS: [usize; 3] = [1, 1_000, 10_000];
const BEHAVIORS: [usize; 3] = [0, 10, 100];
/// Asked for in turn, far apart, so that not all is in the processor's cache.
const STRIDE: usize = 7919;

fn main() {
    // Long enough for stable medians, short enough to be run with the rest; a flag of the command line wins.
    divan::Divan::from_args().max_time(std::time::Duration::from_millis(500)).main();
}

fn path(n: usize) -> String {
    format!("/assets/images/{n:08}.html")
}

/// What an ordinary origin sends.
fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("server", "nginx/1.26.2"),
        ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", "1024"),
        ("last-modified", "Mon, 01 Dec 2025 10:20:30 GMT"),
        ("etag", "\"5e1c-6123456789abc-0\""),
        ("cache-control", "public, max-age=86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

fn stored(objects: usize, now: Timestamp) -> (Cache, Vec<Arc<[u8]>>) {
    let (policy, headers, body) = (measuring::policy(), headers(), Bytes::from(vec![b'x'; 1024]));
    let cache = measuring::cache(1 << 30, 1 << 20);
    let keys: Vec<_> = (0..objects).map(|n| measuring::key(&policy, &path(n))).collect();
    for key in &keys {
        cache.insert(Arc::clone(key), measuring::object(&policy, &headers, &body, now), now);
    }
    (cache, keys)
}

/// A distribution of which the last behavior's pattern is what `/last/…` matches.
fn distribution(number: usize, behaviors: usize) -> v1::DesiredDistribution {
    let origin = v1::Origin {
        id: "o".into(),
        kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
            domain_name: "o.example.com".into(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let behavior = |path_pattern: String| v1::CacheBehavior {
        path_pattern,
        target_origin_id: "o".into(),
        cache_policy: Some(v1::CachePolicyConfig {
            semantics: v1::cache_policy_config::Semantics::Rfc9111.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let pattern = |at: usize| if at + 1 == behaviors { "last/*".into() } else { format!("part-{at}/*.jp?g") };
    v1::DesiredDistribution {
        id: format!("E{number:013}"),
        domain_name: format!("d{number}.cdn.localhost"),
        revision: 1,
        config: Some(v1::DistributionConfig {
            caller_reference: "r".into(),
            enabled: true,
            aliases: vec![format!("www.site-{number}.example.com"), format!("*.img-{number}.example.com")],
            origins: vec![origin],
            default_cache_behavior: Some(behavior(String::new())),
            cache_behaviors: (0..behaviors).map(|at| behavior(pattern(at))).collect(),
            ..Default::default()
        }),
    }
}

fn table(distributions: usize, behaviors: usize) -> Table {
    let compiled = (0..distributions).map(|number| {
        Arc::new(
            Distribution::compile(
                &distribution(number, behaviors),
                &headland_proto::model::Resources::default(),
            )
            .expect("it is as the control plane sends it"),
        )
    });
    Table::new(compiled)
}

#[divan::bench]
fn cache_key(bencher: Bencher<'_, '_>) {
    let (policy, headers, mut key) = (measuring::policy(), headers(), Vec::new());
    let write = measuring::key_writer(&policy);
    bencher.bench_local(move || {
        key.clear();
        write(
            &mut key,
            black_box("/assets/images/00001234.html"),
            black_box(Some("v=3&size=large")),
            &headers,
        );
        key.len()
    });
}

#[divan::bench]
fn cache_key_by_query_header_and_cookie(bencher: Bencher<'_, '_>) {
    let mut policy = measuring::policy();
    policy.query_strings = NameSelection::All;
    policy.cookies = NameSelection::All;
    policy.headers = vec![http::header::ACCEPT_LANGUAGE];
    let (mut headers, mut key) = (headers(), Vec::new());
    headers.insert("accept-language", HeaderValue::from_static("de-CH,de;q=0.9,en;q=0.8"));
    headers.insert("cookie", HeaderValue::from_static("theme=dark; session=0123456789abcdef; a=b"));
    let write = measuring::key_writer(&policy);
    bencher.bench_local(move || {
        key.clear();
        write(
            &mut key,
            black_box("/assets/images/00001234.html"),
            black_box(Some("v=3&size=large")),
            &headers,
        );
        key.len()
    });
}

/// Memory tier and the decision to reuse.
#[divan::bench(args = OBJECTS)]
fn lookup_hit(bencher: Bencher<'_, '_>, objects: usize) {
    let now = Clock::system().now();
    let ((cache, keys), mut at) = (stored(objects, now), 0);
    bencher.bench_local(move || {
        at = (at + STRIDE) % objects;
        let found = cache.memory.get(black_box(&keys[at])).expect("all are kept");
        let reuse = reuse::decide(&found.as_slice()[0].head, &RequestDirectives::default(), black_box(now));
        assert_eq!(reuse, Reuse::Fresh);
    });
}

#[divan::bench(args = OBJECTS)]
fn lookup_miss(bencher: Bencher<'_, '_>, objects: usize) {
    let (cache, _) = stored(objects, Clock::system().now());
    let (keys, mut at): (Vec<_>, _) =
        ((0..objects).map(|n| measuring::key(&measuring::policy(), &format!("/absent/{n}"))).collect(), 0);
    bencher.bench_local(move || {
        at = (at + STRIDE) % objects;
        assert!(cache.memory.get(black_box(&keys[at])).is_none());
    });
}

/// From the host to the behavior.
#[divan::bench(args = DISTRIBUTIONS)]
fn route_among_distributions(bencher: Bencher<'_, '_>, distributions: usize) {
    let (table, mut at) = (table(distributions, 3), 0);
    let hosts: Vec<_> = (0..distributions).map(|number| format!("www.site-{number}.example.com")).collect();
    bencher.bench_local(move || {
        at = (at + STRIDE) % distributions;
        let distribution = table.distribution(black_box(&hosts[at])).expect("it is there");
        let path = distribution.object_for(black_box("/assets/images/00001234.html"));
        Arc::as_ptr(distribution.behavior(path))
    });
}

/// A name below one that a distribution answers for.
#[divan::bench(args = DISTRIBUTIONS)]
fn route_by_wildcard(bencher: Bencher<'_, '_>, distributions: usize) {
    let (table, mut at) = (table(distributions, 3), 0);
    let hosts: Vec<_> = (0..distributions).map(|number| format!("a.b.img-{number}.example.com")).collect();
    bencher.bench_local(move || {
        at = (at + STRIDE) % distributions;
        let distribution = table.distribution(black_box(&hosts[at])).expect("it is there");
        Arc::as_ptr(distribution.behavior(black_box("/assets/images/00001234.html")))
    });
}

/// The last of so many patterns.
#[divan::bench(args = BEHAVIORS)]
fn route_among_behaviors(bencher: Bencher<'_, '_>, behaviors: usize) {
    let table = table(1, behaviors);
    bencher.bench_local(move || {
        let distribution = table.distribution(black_box("www.site-0.example.com")).expect("it is there");
        Arc::as_ptr(distribution.behavior(black_box("/last/00001234.html")))
    });
}

/// What is stored is made text.
#[divan::bench]
fn pack_head(bencher: Bencher<'_, '_>) {
    let now = Clock::system().now();
    let object = measuring::object(&measuring::policy(), &headers(), &Bytes::from_static(b"x"), now);
    bencher
        .with_inputs(|| object.head.unpack())
        .bench_local_values(headland_edge_agent::cache::object::Unpacked::pack);
}

/// A whole hit but for the sockets: reading the head, routing, key, lookup, and the head of the answer.
#[divan::bench(args = OBJECTS)]
fn quick_hit(bencher: Bencher<'_, '_>, objects: usize) {
    let (worker, requests) = quick_worker(objects);
    let (mut head, mut at) = (Vec::new(), 0);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(move || {
        at = (at + STRIDE) % objects;
        head.clear();
        worker.answer(black_box(requests[at].as_bytes()), &mut head).expect("a hit")
    });
}

fn quick_worker(objects: usize) -> (QuickWorker, Vec<String>) {
    let limits = Limits { memory_bytes: 1 << 30, object_bytes_max: 1 << 20, background_fill_percent: 50 };
    let worker = QuickWorker::new(limits, table(1_000, 3)).expect("a thread");
    let (mut headers, body) = (headers(), Bytes::from(vec![b'x'; 1024]));
    // Fresh by the machine's clock, whenever that is.
    headers.remove("date");
    let host = |n: usize| format!("www.site-{}.example.com", n % 1_000);
    let requests = (0..objects).map(|n| {
        assert!(worker.store(&host(n), &path(n), &headers, &body), "the host is known");
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0\r\n\
             Accept: text/html,*/*;q=0.8\r\nAccept-Language: en\r\nAccept-Encoding: gzip, br\r\n\r\n",
            path(n),
            host(n)
        )
    });
    let requests = requests.collect();
    (worker, requests)
}
