//! The viewer protocol policy, at an edge behind something that ends TLS and says so.

use headland_proto::v1::cache_behavior::ViewerProtocolPolicy as Policy;

use crate::support::{
    edge::{ALL_METHODS, Edge, Options, behavior, config, trusting},
    origin::Origin,
    viewer::{Viewer, get},
};

const BY_HTTPS: &str = "x-forwarded-proto: https";

/// An edge whose only behavior has this policy.
fn edge(policy: Policy, trusted: &[&str]) -> (Edge, Origin) {
    let origin = Origin::fixed("cache-control: max-age=60", "hello");
    let mut config = config(origin.address);
    behavior(&mut config).viewer_protocol_policy = policy.into();
    behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    let options = Options { reception: trusting(trusted), ..Options::default() };
    (Edge::start_with(config, options), origin)
}

#[test]
fn http_is_sent_to_https() {
    let (edge, origin) = edge(Policy::RedirectToHttps, &["127.0.0.0/8"]);
    for by_http in [&[][..], &["x-forwarded-proto: http"], &["x-forwarded-proto: https, http"]] {
        let sent = get(edge.address, "/a?b=c&d", by_http);
        assert_eq!((sent.status, sent.header("location")), (301, Some("https://cdn.test/a?b=c&d")));
        assert_eq!(sent.header("x-cache"), Some("Redirect from headland"));
        assert_eq!(sent.header("cache-status"), None, "it has not met the cache");
    }
    let mut viewer = Viewer::connect(edge.address);
    for (method, status) in [("HEAD", 301), ("POST", 307), ("DELETE", 307), ("OPTIONS", 307)] {
        assert_eq!(viewer.request(method, "/a", &[]).status, status, "{method}");
    }
    assert_eq!(origin.requests(), 0);
}

#[test]
fn https_is_served_and_hits_stay_quick() {
    for policy in [Policy::RedirectToHttps, Policy::HttpsOnly] {
        let (edge, origin) = edge(policy, &["127.0.0.0/8"]);
        let mut viewer = Viewer::connect(edge.address);
        for expected in ["Miss from headland", "Hit from headland", "Hit from headland"] {
            let answer = viewer.request("GET", "/a", &[BY_HTTPS]);
            assert_eq!((answer.status, answer.header("x-cache")), (200, Some(expected)));
        }
        assert_eq!(edge.shared.metrics.quick_hits(), 2);
        assert_ne!(viewer.request("GET", "/a", &[]).status, 200, "what is stored is not for all");
        assert_eq!(origin.requests(), 1);
    }
}

#[test]
fn http_is_refused_where_only_https_is_served() {
    let (edge, origin) = edge(Policy::HttpsOnly, &["127.0.0.0/8"]);
    let refused = get(edge.address, "/a", &[]);
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("https only"), "{}", refused.text());
    assert_eq!(get(edge.address, "/a", &[BY_HTTPS]).status, 200);
    assert_eq!(origin.requests(), 1);
}

#[test]
fn http_1_0_is_refused_what_it_could_not_repeat() {
    let (edge, _origin) = edge(Policy::RedirectToHttps, &[]);
    for (method, status) in [("GET", 301), ("POST", 403)] {
        let mut viewer = Viewer::connect(edge.address);
        viewer.raw(format!("{method} /a HTTP/1.0\r\nhost: cdn.test\r\ncontent-length: 0\r\n\r\n").as_bytes());
        assert_eq!(viewer.response(false).status, status, "{method}");
    }
}

#[test]
fn a_stranger_cannot_say_that_it_came_by_https() {
    let (edge, origin) = edge(Policy::RedirectToHttps, &["10.0.0.0/8"]);
    let mut viewer = Viewer::connect(edge.address);
    for _ in 0..2 {
        assert_eq!(viewer.request("GET", "/a", &[BY_HTTPS]).status, 301);
        assert_eq!(viewer.request("GET", "/a", &[BY_HTTPS, "cookie: not=plain", "te: trailers"]).status, 301);
    }
    assert_eq!(origin.requests(), 0);
}

#[test]
fn the_page_for_an_error_is_shown_to_those_who_may_not_ask_for_it() {
    let (edge, origin) = edge(Policy::HttpsOnly, &[]);
    let mut config = config(origin.address);
    behavior(&mut config).viewer_protocol_policy = Policy::HttpsOnly.into();
    config.custom_error_responses = vec![headland_proto::v1::CustomErrorResponse {
        error_code: 403,
        response_page_path: "/errors/403.html".into(),
        ..Default::default()
    }];
    edge.update(config);
    let page = get(edge.address, "/a", &[]);
    assert_eq!((page.status, page.text()), (403, "hello"));
    assert_eq!(origin.received()[0].path(), "/errors/403.html");
}
