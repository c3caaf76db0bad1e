//! What an origin request policy adds to what reaches the origin, and that it tells no two objects apart.

use headland_proto::v1;

use crate::support::{
    edge::{Edge, HOST, behavior, config},
    origin::{Origin, Received},
    viewer::get,
};

const ALL_VIEWER: &str = "216adef6-5c7f-47e4-b989-5492eafa07d3";
const ALL_VIEWER_EXCEPT_HOST: &str = "b689b0a8-53d0-40ab-baf2-68738e2966ac";
const USER_AGENT_REFERER: &str = "acba4595-bd28-49b8-b9fe-13317c0390fa";
const CACHING_OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
const CACHING_DISABLED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";

const VIEWER: [&str; 4] = ["user-agent: curl", "referer: http://r.test/", "cookie: id=7", "x-other: o"];

/// An edge whose only behavior has these policies, and its origin, which gives everybody a cookie.
fn edge(cache_policy: &str, origin_request_policy: &str) -> (Edge, Origin) {
    let origin = Origin::fixed("cache-control: max-age=60\nset-cookie: session=secret", "hello");
    let mut config = config(origin.address);
    let behavior: &mut v1::CacheBehavior = behavior(&mut config);
    behavior.cache_policy = None;
    behavior.cache_policy_id = cache_policy.into();
    behavior.origin_request_policy_id = origin_request_policy.into();
    (Edge::start(config), origin)
}

/// What of the viewer's reached the origin: target, Host if it is the viewer's, and each of its headers.
fn arrived(received: &Received) -> Vec<String> {
    let mut arrived = vec![received.path().to_owned()];
    if received.header("host") == Some(HOST) {
        arrived.push("host".to_owned());
    }
    for (name, value) in VIEWER.iter().filter_map(|field| field.split_once(": ")) {
        if received.header(name) == Some(value) {
            arrived.push(name.to_owned());
        }
    }
    arrived
}

#[test]
fn a_policy_adds_to_what_reaches_the_origin() {
    for (policy, expected) in [
        ("", &["/a"][..]),
        (USER_AGENT_REFERER, &["/a", "user-agent", "referer"]),
        (ALL_VIEWER, &["/a?x=1", "host", "user-agent", "referer", "cookie", "x-other"]),
        (ALL_VIEWER_EXCEPT_HOST, &["/a?x=1", "user-agent", "referer", "cookie", "x-other"]),
    ] {
        for cache_policy in [CACHING_OPTIMIZED, CACHING_DISABLED] {
            let (edge, origin) = edge(cache_policy, policy);
            assert_eq!(get(edge.address, "/a?x=1", &VIEWER).status, 200);
            assert_eq!(arrived(&origin.received()[0]), expected, "{policy} with {cache_policy}");
        }
    }
}

#[test]
fn what_a_policy_adds_tells_no_two_objects_apart() {
    let (edge, origin) = edge(CACHING_OPTIMIZED, ALL_VIEWER);
    get(edge.address, "/a?x=1", &VIEWER);
    let hit = get(edge.address, "/a?x=2", &["cookie: id=8"]);
    assert_eq!(hit.header("x-cache"), Some("Hit from headland"));
    assert_eq!(origin.requests(), 1);
}

#[test]
fn a_cookie_for_one_viewer_is_not_stored_for_all() {
    let (cached, _origin) = edge(CACHING_OPTIMIZED, ALL_VIEWER);
    get(cached.address, "/a", &VIEWER);
    assert_eq!(get(cached.address, "/a", &[]).header("set-cookie"), None);
    let (passed, _origin) = edge(CACHING_DISABLED, ALL_VIEWER);
    let own = get(passed.address, "/a", &VIEWER);
    assert_eq!(own.header("set-cookie"), Some("session=secret"), "it is this viewer's alone");
}
