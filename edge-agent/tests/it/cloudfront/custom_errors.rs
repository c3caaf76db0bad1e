//! Custom error responses: what stands in for an error, and how long errors are kept.

use std::{io::Write, time::Duration};

use headland_proto::v1;

use crate::support::{
    edge::{Edge, config, policy, seconds},
    origin::{Origin, response},
    viewer::{Viewer, get},
};

fn custom(error: u32, page: &str, status: u32, min_ttl: i64) -> v1::CustomErrorResponse {
    v1::CustomErrorResponse {
        error_code: error,
        response_page_path: page.into(),
        response_code: status,
        error_caching_min_ttl: seconds(min_ttl),
    }
}

/// An origin that has `/errors/…` and `/a`, and answers everything else with what its path says: `/502/x`.
fn origin() -> Origin {
    Origin::start(|request, stream| {
        let path = request.path().split('?').next().unwrap_or_default();
        let code = path.split('/').nth(1).filter(|code| code.len() == 3 && code.parse::<u16>().is_ok());
        let answer = match (path, code) {
            ("/errors/missing.html", _) => response("404 Not Found", "", "no page"),
            (path, _) if path.starts_with("/errors/") || path == "/a" => {
                response("200 OK", "cache-control: max-age=600\netag: \"p\"\ncontent-type: text/html", path)
            }
            (_, Some(code)) => response(&format!("{code} Whatever"), "", "the origin's own"),
            _ => response("404 Not Found", "", "the origin's own"),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    })
}

fn edge(origin: &Origin, errors: Vec<v1::CustomErrorResponse>) -> Edge {
    let mut config = config(origin.address);
    policy(&mut config).semantics = v1::cache_policy_config::Semantics::Cloudfront.into();
    config.custom_error_responses = errors;
    Edge::start(config)
}

#[test]
fn a_page_stands_in_for_an_error_with_the_status_that_is_wished() {
    let origin = origin();
    let edge = edge(
        &origin,
        vec![custom(404, "/errors/404.html", 0, 10), custom(403, "/a", 200, 10), custom(500, "", 0, 10)],
    );
    // The first is a miss, the second finds the error stored, and the page.
    for _ in 0..3 {
        let missing = get(edge.address, "/nowhere", &[]);
        assert_eq!((missing.status, missing.text()), (404, "/errors/404.html"));
        assert_eq!(missing.header("x-cache"), Some("Error from headland"));
        let spa = get(edge.address, "/403/deep", &["range: bytes=0-3", "if-none-match: \"p\""]);
        assert_eq!((spa.status, spa.text()), (200, "/a"));
    }
    let plain = get(edge.address, "/500/x", &[]);
    assert_eq!((plain.status, plain.text()), (500, "the origin's own"), "it has no page");
    let asked: Vec<String> = origin.received().iter().map(|r| r.path().to_owned()).collect();
    for (path, times) in [("/errors/404.html", 1), ("/a", 1), ("/nowhere", 1)] {
        assert_eq!(asked.iter().filter(|p| *p == path).count(), times, "{path} in {asked:?}");
    }
    assert_eq!(get(edge.address, "/a", &[]).header("x-cache"), Some("Hit from headland"));
}

#[test]
fn the_head_alone_is_changed_for_a_head() {
    let origin = origin();
    let edge = edge(&origin, vec![custom(404, "/errors/404.html", 404, 10)]);
    let mut viewer = Viewer::connect(edge.address);
    let head = viewer.request("HEAD", "/nowhere", &[]);
    assert_eq!((head.status, head.header("content-length")), (404, Some("16")));
    assert_eq!(head.text(), "");
    assert_eq!(viewer.request("GET", "/nowhere", &[]).text(), "/errors/404.html", "the connection goes on");
}

#[test]
fn a_page_that_cannot_be_had_shows_why() {
    let origin = origin();
    let edge =
        edge(&origin, vec![custom(404, "/errors/missing.html", 200, 10), custom(503, "/502/page", 0, 10)]);
    let missing = get(edge.address, "/nowhere", &[]);
    assert_eq!((missing.status, missing.text()), (404, "no page"), "and it ends there");
    assert_eq!(get(edge.address, "/503/x", &[]).status, 502);
}

#[test]
fn what_the_edge_itself_refuses_or_fails_with_has_pages_too() {
    let origin = origin();
    let pages = vec![custom(403, "/errors/403.html", 0, 10), custom(502, "/errors/502.html", 200, 10)];
    let edge = edge(&origin, pages.clone());
    let mut viewer = Viewer::connect(edge.address);
    let refused = viewer.request("POST", "/a", &["content-length: 0"]);
    assert_eq!((refused.status, refused.text()), (403, "/errors/403.html"));
    // The page is stored; then the origin is gone.
    get(edge.address, "/errors/502.html", &[]);
    let mut config = config("127.0.0.1:1".parse().expect("an address"));
    policy(&mut config).semantics = v1::cache_policy_config::Semantics::Cloudfront.into();
    config.custom_error_responses = pages;
    edge.update(config.clone());
    let down = get(edge.address, "/b", &[]);
    assert_eq!((down.status, down.text()), (200, "/errors/502.html"));
    config.enabled = false;
    edge.update(config);
    let disabled = get(edge.address, "/a", &[]);
    assert_eq!(disabled.status, 403);
    assert!(disabled.text().contains("403 Forbidden"), "a disabled distribution serves nothing");
}

#[test]
fn an_error_is_kept_as_long_as_the_distribution_says() {
    for (min_ttl, still, over) in [(0, 0, 1), (3, 2, 4), (60, 59, 61)] {
        let origin = origin();
        let edge = edge(&origin, vec![custom(404, "", 0, min_ttl)]);
        get(edge.address, "/nowhere", &[]);
        edge.clock.advance(Duration::from_secs(still));
        get(edge.address, "/nowhere", &[]);
        assert_eq!(origin.requests(), if min_ttl == 0 { 2 } else { 1 }, "{min_ttl} s");
        edge.clock.advance(Duration::from_secs(over - still));
        get(edge.address, "/nowhere", &[]);
        assert_eq!(origin.requests(), if min_ttl == 0 { 3 } else { 2 }, "{min_ttl} s");
    }
}
