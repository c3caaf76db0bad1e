//! Requests and connections that are not as they should be.

use std::{io::Write, time::Duration};

use headland_edge_agent::viewer::connection::Patience;

use crate::support::{
    edge::{Edge, HOST, Options, behavior, config},
    origin::{Origin, response},
    viewer::{Viewer, get},
};

fn edge_and_origin() -> (Edge, Origin) {
    let origin = Origin::fixed("cache-control: max-age=60", "hello");
    (Edge::start(config(origin.address)), origin)
}

/// The status of the answer to these bytes; `None` if the edge just closes.
fn status_of(edge: &Edge, request: &str) -> Option<u16> {
    let mut viewer = Viewer::connect(edge.address);
    viewer.raw(request.as_bytes());
    viewer.try_response(false).map(|r| r.status)
}

#[test]
fn an_unknown_host_is_a_404_that_says_so() {
    let (edge, origin) = edge_and_origin();
    let mut viewer = Viewer::connect(edge.address);
    viewer.raw(b"GET / HTTP/1.1\r\nhost: <b>other.test\r\n\r\n");
    assert_eq!(viewer.response(false).status, 400);
    let mut viewer = Viewer::connect(edge.address);
    viewer.raw(b"GET / HTTP/1.1\r\nhost: other.test\r\n\r\n");
    let answer = viewer.response(false);
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("No distribution answers to this host name"));
    assert_eq!(origin.requests(), 0);
}

#[test]
fn what_is_too_large_is_refused() {
    let (edge, origin) = edge_and_origin();
    assert_eq!(get(edge.address, &format!("/{}", "a".repeat(8192)), &[]).status, 414);
    assert_eq!(get(edge.address, "/a", &[&format!("x-big: {}", "a".repeat(21_000))]).status, 431);
    assert_eq!(origin.requests(), 0);
    assert_eq!(
        get(edge.address, &format!("/{}", "a".repeat(8000)), &[&format!("x-big: {}", "a".repeat(10_000))])
            .status,
        200
    );
}

#[test]
fn what_is_malformed_is_refused() {
    let (edge, origin) = edge_and_origin();
    for request in [
        "GET /a HTTP/1.1\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET /a/../b HTTP/1.1\r\nhost: cdn.test\r\n\r\n",
        "GET /a%00 HTTP/1.1\r\nhost: cdn.test\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: cdn.test\r\nbad header\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: cdn.test\r\nx-control: a\0b\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: cdn.test\r\nx-control: a\rb\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: cdn.test\r\ncontent-length: x\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: cdn.test\r\ntransfer-encoding: gzip\r\n\r\n",
    ] {
        assert_eq!(status_of(&edge, request), Some(400), "{request:?}");
    }
    assert!(matches!(status_of(&edge, "nonsense\r\n\r\n"), Some(400) | None));
    assert_eq!(status_of(&edge, "TRACE /a HTTP/1.1\r\nhost: cdn.test\r\n\r\n"), Some(405));
    assert_eq!(origin.requests(), 0);
    assert_eq!(get(edge.address, "/a", &[]).status, 200, "the edge goes on");
}

#[test]
fn a_get_with_a_body_is_refused_as_cloudfront_does() {
    let origin = Origin::fixed("", "hello");
    let mut config = config(origin.address);
    behavior(&mut config).cache_policy = None;
    let edge = Edge::start(config);
    let request = format!("GET /a HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 4\r\n\r\ndata");
    assert_eq!(status_of(&edge, &request), Some(403));
    assert_eq!(origin.requests(), 0);
}

#[test]
fn a_disabled_distribution_answers_403() {
    let (edge, origin) = edge_and_origin();
    let mut disabled = config(origin.address);
    disabled.enabled = false;
    edge.update(disabled);
    assert_eq!(get(edge.address, "/a", &[]).status, 403);
}

#[test]
fn an_origin_that_leads_back_here_is_a_loop() {
    let (edge, _) = edge_and_origin();
    edge.update(config(edge.address));
    // The inner request asks for the edge's own address, so it must be known by that name too.
    let mut looping = config(edge.address);
    looping.aliases.push("127.0.0.1".into());
    edge.update(looping);
    assert_eq!(get(edge.address, "/a", &[]).status, 508);
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let origin = Origin::fixed("", "hello");
    let patience = Patience {
        head: Duration::from_secs(1),
        idle: Duration::from_secs(60),
        write: Duration::from_secs(60),
    };
    let edge = Edge::start_with(config(origin.address), Options { patience, ..Options::default() });
    let mut slow = Viewer::connect(edge.address);
    slow.raw(b"GET /a HTTP/1.1\r\nhost: ");
    assert!(slow.is_closed());
}

#[test]
fn an_idle_connection_is_closed_and_one_that_waits_for_the_origin_is_not() {
    let origin = Origin::start(|request, stream| {
        if request.path() == "/slow" {
            std::thread::sleep(Duration::from_secs(5));
        }
        stream.write_all(response("200 OK", "", "hello").as_bytes()).is_ok()
    });
    let mut config = config(origin.address);
    config.origins[0].response_timeout = crate::support::edge::seconds(20);
    let patience = Patience {
        head: Duration::from_secs(1),
        idle: Duration::from_secs(1),
        write: Duration::from_secs(60),
    };
    let edge = Edge::start_with(config, Options { patience, ..Options::default() });
    let mut idle = Viewer::connect(edge.address);
    assert_eq!(idle.request("GET", "/quick", &[]).text(), "hello");
    assert_eq!(idle.request("GET", "/slow", &[]).text(), "hello");
    assert!(idle.is_closed());
}

#[test]
fn a_viewer_that_does_not_read_is_cut_off() {
    let origin = Origin::fixed("cache-control: max-age=60", &"x".repeat(7 << 20));
    let patience = Patience {
        head: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        write: Duration::from_secs(1),
    };
    let edge = Edge::start_with(config(origin.address), Options { patience, ..Options::default() });
    assert_eq!(get(edge.address, "/a", &[]).body.len(), 7 << 20);
    let mut lazy = Viewer::connect(edge.address);
    for _ in 0..4 {
        lazy.send("GET", "/a", &[], b"");
    }
    // Long enough for the edge to lose patience with a full socket.
    std::thread::sleep(Duration::from_secs(5));
    let mut bytes = 0;
    while bytes < 28 << 20 {
        match lazy.bytes(1 << 20).len() {
            0 => break,
            n => bytes += n,
        }
    }
    assert!(bytes < 28 << 20, "all of it arrived");
}

#[test]
fn requests_in_one_packet_are_answered_in_order() {
    let origin = Origin::start(|request, stream| {
        stream.write_all(response("200 OK", "cache-control: max-age=60", request.path()).as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    let mut viewer = Viewer::connect(edge.address);
    let requests: String =
        ["/a", "/b", "/a"].iter().map(|p| format!("GET {p} HTTP/1.1\r\nhost: {HOST}\r\n\r\n")).collect();
    viewer.raw(requests.as_bytes());
    for path in ["/a", "/b", "/a"] {
        assert_eq!(viewer.response(false).text(), path);
    }
}

#[test]
fn a_stopping_edge_finishes_what_it_is_at() {
    let origin = Origin::start(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 10\r\n\r\nfirst";
        let first = stream.write_all(head.as_bytes()).is_ok();
        std::thread::sleep(Duration::from_millis(500));
        first && stream.write_all(b"later").is_ok()
    });
    let mut edge = Edge::start(config(origin.address));
    let mut idle = Viewer::connect(edge.address);
    assert_eq!(idle.request("GET", "/warm", &[]).text(), "firstlater");
    let mut under_way = Viewer::connect(edge.address);
    under_way.send("GET", "/a", &[], b"");
    let (status, _) = under_way.head().expect("head");
    edge.stop();
    assert_eq!((status, under_way.bytes(10)), (200, b"firstlater".to_vec()));
    assert!(idle.is_closed());
}
