//! OPTIONS from the cache: kept apart from what a GET brings, and from one another by what the policy says (CloudFront guide, "Cached
//! HTTP methods").

use headland_proto::v1;

use crate::support::{
    edge::{Edge, behavior, config, policy},
    origin::{Origin, response},
    viewer::Viewer,
};

const METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// An origin that says by which method it was asked, and an edge that caches OPTIONS if that is wished.
fn edge(caches_options: bool, keyed: &[&str]) -> (Edge, Origin) {
    let origin = Origin::start(|request, stream| {
        let method = request.line.split(' ').next().unwrap_or_default();
        let headers = "cache-control: max-age=60\netag: \"e\"\naccess-control-allow-origin: *";
        std::io::Write::write_all(stream, response("200 OK", headers, method).as_bytes()).is_ok()
    });
    let mut config = config(origin.address);
    policy(&mut config).semantics = v1::cache_policy_config::Semantics::Cloudfront.into();
    policy(&mut config).headers =
        Some(v1::HeaderSelection { names: keyed.iter().map(|name| (*name).to_owned()).collect() });
    behavior(&mut config).allowed_methods = METHODS.map(str::to_owned).to_vec();
    if caches_options {
        behavior(&mut config).cached_methods = METHODS.map(str::to_owned).to_vec();
    }
    (Edge::start(config), origin)
}

#[test]
fn options_are_answered_from_the_cache_where_that_is_wished() {
    for (wished, requests) in [(false, 4), (true, 2)] {
        let (edge, origin) = edge(wished, &[]);
        let mut viewer = Viewer::connect(edge.address);
        for (method, hit) in
            [("OPTIONS", false), ("GET", false), ("OPTIONS", true), ("GET", true), ("OPTIONS", true)]
        {
            let answer = viewer.request(method, "/a", &[]);
            assert_eq!((answer.status, answer.text()), (200, method), "{wished}");
            let x_cache = answer.header("x-cache").unwrap_or_default();
            let hit = hit && (wished || method == "GET");
            assert_eq!(x_cache.starts_with("Hit"), hit, "{method} {wished}: {x_cache}");
        }
        assert_eq!(origin.requests(), requests);
    }
}

#[test]
fn only_what_the_policy_names_tells_preflights_apart_and_reaches_the_origin() {
    let from = |origin: &'static str| [origin, "access-control-request-method: PUT", "x-other: 1"];
    for (keyed, requests) in [(&[][..], 1), (&["Origin", "Access-Control-Request-Method"], 2)] {
        let (edge, origin) = edge(true, keyed);
        let mut viewer = Viewer::connect(edge.address);
        for headers in
            [from("origin: http://a.test"), from("origin: http://b.test"), from("origin: http://a.test")]
        {
            assert_eq!(viewer.request("OPTIONS", "/a", &headers).text(), "OPTIONS");
        }
        assert_eq!(origin.requests(), requests, "{keyed:?}");
        let received = &origin.received()[0];
        assert_eq!(received.header("origin").is_some(), !keyed.is_empty());
        assert_eq!(received.header("x-other"), None);
    }
}

#[test]
fn preconditions_and_ranges_mean_nothing_to_options() {
    let (edge, origin) = edge(true, &[]);
    let mut viewer = Viewer::connect(edge.address);
    for headers in [&["if-none-match: \"e\""], &["range: bytes=0-1"], &["if-none-match: *"]] {
        let answer = viewer.request("OPTIONS", "/a", headers);
        assert_eq!((answer.status, answer.text()), (200, "OPTIONS"), "{headers:?}");
    }
    // Once more when it has to be validated: an OPTIONS cannot be.
    edge.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(viewer.request("OPTIONS", "/a", &[]).text(), "OPTIONS");
    assert_eq!(origin.requests(), 2);
    assert!(origin.received().iter().all(|received| received.header("if-none-match").is_none()));
    assert!(origin.received().iter().all(|received| received.line.starts_with("OPTIONS ")));
}

#[test]
fn options_with_a_body_goes_past_the_cache() {
    let (edge, origin) = edge(true, &[]);
    let mut viewer = Viewer::connect(edge.address);
    for _ in 0..2 {
        viewer.send("OPTIONS", "/a", &[], b"body");
        assert_eq!(viewer.response(false).text(), "OPTIONS");
    }
    assert_eq!(origin.requests(), 2);
    assert_eq!(origin.received()[1].body, b"body");
}
