//! Debug headers and counters: how an answer came about.

use std::io::Write as _;

use headland_proto::v1;

use crate::support::{
    edge::{ALL_METHODS, Edge, HOST, behavior, config, policy},
    origin::{Origin, response},
    viewer::{Response, Viewer, get},
};

const DEBUG: &str = "headland-debug: 1";

/// An origin that says of each path what its name says.
fn origin() -> Origin {
    Origin::start(|request, stream| {
        let headers = match request.path() {
            "/private" => "cache-control: private",
            _ => "cache-control: max-age=60\netag: \"e\"\nage: 4",
        };
        let answer = match request.header("if-none-match") {
            Some(_) => "HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\ncache-control: max-age=60\r\n\r\n".into(),
            None => response("200 OK", headers, "hello"),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    })
}

fn debug(response: &Response) -> &str {
    response.header("headland-debug").unwrap_or_default()
}

#[track_caller]
fn has(response: &Response, parts: &[&str]) {
    let text = debug(response);
    for part in parts {
        assert!(text.contains(part), "{part} is not in {text:?}");
    }
}

#[test]
fn who_asks_where_it_is_allowed_is_told() {
    let origin = origin();
    let mut allowed = config(origin.address);
    allowed.debug_headers = true;
    behavior(&mut allowed).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    policy(&mut allowed).headers = Some(v1::HeaderSelection { names: vec!["authorization".into()] });
    let edge = Edge::start(allowed);
    let secret = "authorization: Basic c2VjcmV0";
    let common =
        ["distribution=EABCDEFGHIJKLM;revision=1", "behavior=default;origin=\"origin\";semantics=rfc9111"];

    let miss = get(edge.address, "/a", &[DEBUG]);
    has(&miss, &common);
    has(&miss, &["age=4;initial=4;resident=0", "lifetime=60;source=max-age;ttl=56", "not-used=uri-miss"]);
    assert!(!debug(&miss).contains("not-stored"), "{miss:?}");
    let key = "key=\"distribution EABCDEFGHIJKLM, path /a\"";
    assert!(miss.header("cache-status").is_some_and(|line| line.ends_with(key)), "{miss:?}");

    edge.clock.advance(std::time::Duration::from_secs(10));
    let hit = get(edge.address, "/a", &[DEBUG]);
    has(&hit, &common);
    has(&hit, &["date=@", "age=14;initial=4;resident=10", "ttl=46"]);
    assert_eq!(hit.header("cache-status"), Some(&*format!("headland-test; hit; ttl=46; {key}")));
    assert!(!debug(&hit).contains("not-used"), "{hit:?}");

    has(&get(edge.address, "/a", &[DEBUG, "cache-control: no-cache"]), &["not-used=request-no-cache"]);
    has(&get(edge.address, "/private", &[DEBUG]), &["not-used=uri-miss", "not-stored=private"]);
    has(&get(edge.address, "/private", &[DEBUG]), &["not-used=uri-miss", "not-stored=private"]);
    has(&Viewer::connect(edge.address).request("POST", "/a", &[DEBUG]), &["not-stored=method"]);
    has(&get(edge.address, "/b", &[DEBUG, "cdn-loop: headland-test"]), &common);

    let keyed = get(edge.address, "/b", &[DEBUG, secret]);
    let line = keyed.header("cache-status").unwrap_or_default();
    assert!(line.contains("header authorization: sha256:") && !line.contains("c2VjcmV0"), "{line}");
    assert!(origin.received().iter().all(|request| request.header("headland-debug").is_none()));
}

#[test]
fn nobody_else_is() {
    let origin = origin();
    let mut allowed = config(origin.address);
    let edge = Edge::start(allowed.clone());
    let is_told = |response: &Response| {
        let key = response.header("cache-status").is_some_and(|line| line.contains("key="));
        response.header("headland-debug").is_some() || key
    };
    for _ in 0..2 {
        assert!(!is_told(&get(edge.address, "/a", &[DEBUG])), "not allowed");
    }
    allowed.debug_headers = true;
    edge.update(allowed);
    assert!(!is_told(&get(edge.address, "/a", &[])), "not asked for");
    assert!(!is_told(&get(edge.address, "/a", &["headland-debug: 0"])), "not asked for");
    assert!(is_told(&get(edge.address, "/a", &[DEBUG])));
    let host = format!("GET /a HTTP/1.1\r\nhost: other.{HOST}\r\n{DEBUG}\r\n\r\n");
    let mut viewer = Viewer::connect(edge.address);
    viewer.raw(host.as_bytes());
    assert!(!is_told(&viewer.response(false)), "no distribution allows it");
}

#[test]
fn every_request_is_counted_once_by_what_became_of_it() {
    let origin = origin();
    let mut config = config(origin.address);
    behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    let edge = Edge::start(config.clone());
    let mut viewer = Viewer::connect(edge.address);
    let mut ask = |method: &str, path: &str, headers: &[&str]| drop(viewer.request(method, path, headers));
    ask("GET", "/a", &[]);
    ask("GET", "/a", &[]);
    ask("HEAD", "/a", &[]);
    ask("GET", "/a", &["cache-control: no-cache"]);
    ask("GET", "/private", &[]);
    ask("OPTIONS", "/a", &["max-forwards: 0"]);
    ask("GET", "/a", &["if-match: \"x\""]);
    ask("GET", "/a/../b", &[]);
    edge.clock.advance(std::time::Duration::from_secs(100));
    ask("GET", "/a", &["cache-control: max-stale"]);
    ask("POST", "/a", &[]);
    if let Some(v1::origin::Kind::Custom(custom)) = &mut config.origins[0].kind {
        custom.http_port = 1;
    }
    edge.update(config);
    ask("GET", "/down", &[]);
    let some = |figures: &mut dyn Iterator<Item = (&'static str, u64)>| -> Vec<(&'static str, u64)> {
        figures.filter(|(_, count)| *count > 0).collect()
    };
    let metrics = &edge.shared.metrics;
    let results = some(&mut metrics.results());
    assert_eq!(
        results,
        [
            ("hit", 2),
            ("revalidated", 1),
            ("refused", 1),
            ("error", 1),
            ("answered", 1),
            ("max-stale", 1),
            ("bypass", 1),
            ("method", 1),
            ("uri-miss", 2),
        ]
    );
    assert_eq!(results.iter().map(|(_, count)| count).sum::<u64>(), metrics.traffic().requests);
    assert_eq!(some(&mut metrics.not_stored()), [("private", 1)]);
    assert_eq!((metrics.collapsed(), metrics.invalidations()), (0, 1));
}
