//! Misses whose answers need no hyper, on either side: nobody may be able to tell them from others, and nothing that an origin says may
//! be taken for what it is not.

use std::{
    collections::HashSet,
    io::Write,
    net::TcpStream,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    edge::{ALL_METHODS, Edge, HOST, behavior, config, seconds},
    origin::{Origin, response},
    viewer::{Response, Viewer, get},
};

/// A request with this field is hyper's.
const NOT_PLAIN: &str = "te: trailers";
const FRESH: &str = "cache-control: max-age=60\r\n";
/// Long enough for what was sent before to be read by itself.
const PAUSE: Duration = Duration::from_millis(30);

/// The connections that an origin was asked by.
type Seen = Arc<Mutex<HashSet<std::net::SocketAddr>>>;

/// An origin that sends these pieces, one after another, and goes on.
fn in_pieces(pieces: &'static [&'static str]) -> (Origin, Seen) {
    let seen = Seen::default();
    let origin = Origin::start({
        let seen = Arc::clone(&seen);
        move |_, stream| {
            seen.lock().expect("lock").insert(stream.peer_addr().expect("peer"));
            for (at, piece) in pieces.iter().enumerate() {
                if at > 0 {
                    thread::sleep(PAUSE);
                }
                if stream.write_all(piece.as_bytes()).is_err() {
                    return false;
                }
            }
            true
        }
    });
    (origin, seen)
}

fn connections(seen: &Seen) -> usize {
    seen.lock().expect("lock").len()
}

fn told(response: &Response) -> Vec<(String, String)> {
    let mut headers = response.headers.clone();
    headers.retain(|(name, _)| name != "x-headland-id");
    headers.sort();
    headers
}

/// Two misses and a hit come to this status and text, by so many connections.
fn check(pieces: &'static [&'static str], status: u16, text: &str, by: usize) {
    let (origin, seen) = in_pieces(pieces);
    let edge = Edge::start(config(origin.address));
    let mut viewer = Viewer::connect(edge.address);
    for (path, field) in [("/a", "x: y"), ("/b", NOT_PLAIN), ("/a", "x: y")] {
        let answer = viewer.request("GET", path, &[field]);
        assert_eq!((answer.status, answer.text()), (status, text), "{path} {pieces:?}");
        assert!(answer.complete);
    }
    assert_eq!((origin.requests(), connections(&seen)), (2, by), "{pieces:?}");
}

#[test]
fn whatever_an_origin_may_say_is_understood() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\n";
    check(&["HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nbody"], 200, "body", 1);
    check(&["HTTP/1.1 200 OK\ncache-control: max-age=60\ncontent-length: 4\n\nbody"], 200, "body", 1);
    check(&["HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 0\r\n\r\n"], 200, "", 1);
    check(&[HEAD, "body"], 200, "body", 1);
    check(&[HEAD, "bo", "dy"], 200, "body", 1);
    check(
        &["HTTP/1.1 200 OK\r\ncache-con", "trol: max-age=60\r\ncontent-length: 4\r\n\r\nbody"],
        200,
        "body",
        1,
    );
    // In more pieces than are looked at anew.
    check(
        &[
            "HTTP/1.1",
            " 200",
            " OK\r\n",
            "cache-control: ",
            "max-age=60\r\ncontent-",
            "length: 4\r\n\r\n",
            "bo",
            "dy",
        ],
        200,
        "body",
        1,
    );
    check(
        &[
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        ],
        200,
        "body",
        1,
    );
    check(
        &[
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n",
            "4\r\nbody\r\n0\r\n\r\n",
        ],
        200,
        "body",
        1,
    );
    check(
        &[
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nconnection: Keep-Alive\r\ncontent-length: 4\r\n\r\nbody",
        ],
        200,
        "body",
        1,
    );
    check(
        &[
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody",
        ],
        200,
        "body",
        2,
    );
    check(&["HTTP/1.0 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nbody"], 200, "body", 2);
    // Said twice alike.
    check(
        &[
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nbody",
        ],
        200,
        "body",
        1,
    );
    // Interim responses.
    check(&["HTTP/1.1 100 Continue\r\n\r\n", HEAD, "body"], 200, "body", 1);
    check(
        &[
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nbody",
        ],
        200,
        "body",
        1,
    );
    // More than was announced is nobody's, and the connection is of no more use.
    check(
        &[
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nbodyHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
        ],
        200,
        "body",
        2,
    );
}

#[test]
fn what_no_origin_may_say_is_a_502() {
    for bad in [
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nbody!",
        "HTTP/1.1 200 OK\r\ncontent-length: +4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\ncontent-length: 4x\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\ncontent-length : 4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nx: a\r\n folded\r\ncontent-length: 4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 4\r\n\r\nbody",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\ncontent-length: 4\r\n\r\nbody",
        "HTTP/3.1 200 OK\r\ncontent-length: 4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n",
    ] {
        let origin = Origin::start(move |_, stream| {
            let _ = stream.write_all(bad.as_bytes());
            false
        });
        let edge = Edge::start(config(origin.address));
        let mut viewer = Viewer::connect(edge.address);
        for field in ["x: y", NOT_PLAIN] {
            assert_eq!(viewer.request("GET", "/a", &[field]).status, 502, "{bad:?}");
        }
        assert_eq!(edge.shared.cache.figures().objects, 0);
    }
}

#[test]
fn heads_may_be_large_but_not_without_end() {
    let check = |fields: String, status: u16| {
        let head = format!("HTTP/1.1 200 OK\r\n{FRESH}content-length: 4\r\n{fields}\r\nbody");
        let origin = Origin::start(move |_, stream| stream.write_all(head.as_bytes()).is_ok());
        let edge = Edge::start(config(origin.address));
        let answer = get(edge.address, "/a", &[]);
        assert_eq!((answer.status, answer.body == b"body"), (status, status == 200));
    };
    check(format!("x: {}\r\n", "y".repeat(3 << 10)), 200);
    check(format!("x: {}\r\n", "y".repeat(5 << 10)), 200);
    check(format!("x: {}\r\n", "y".repeat(30 << 10)), 200);
    check(format!("x: {}\r\n", "y".repeat(100 << 10)), 502);
    check("x: y\r\n".repeat(90), 200);
    check("x: y\r\n".repeat(110), 502);
}

#[test]
fn what_comes_on_an_idle_connection_is_nobodys() {
    let origin = Origin::start(|request, stream| {
        let good = response("200 OK", FRESH, request.path());
        let _ = stream.write_all(good.as_bytes());
        thread::sleep(PAUSE);
        stream.write_all(response("200 OK", FRESH, "forged").as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    let mut viewer = Viewer::connect(edge.address);
    for path in ["/a", "/b", "/c"] {
        assert_eq!(viewer.request("GET", path, &[]).text(), path);
        thread::sleep(PAUSE * 3);
    }
    assert_eq!(origin.requests(), 3);
}

#[test]
fn a_miss_is_the_same_whichever_way_it_goes() {
    let fields = "cache-control: max-age=60\r\netag: \"e\"\r\nx-twice: 1\r\nx-twice: 2\r\ncache-status: shield; hit\r\n\
                  x-cache: Hit from shield\r\nage: 7\r\ndate: Tue, 01 Jan 2030 00:00:00 GMT";
    let origin = Origin::fixed(fields, "body");
    let edge = Edge::start(config(origin.address));
    let mut viewer = Viewer::connect(edge.address);
    let direct = viewer.request("GET", "/a", &["accept: */*"]);
    let hypers = viewer.request("GET", "/b", &["accept: */*", NOT_PLAIN]);
    assert_eq!((direct.status, told(&direct)), (hypers.status, told(&hypers)));
    assert_eq!((direct.text(), hypers.text()), ("body", "body"));
    assert_eq!(direct.header("x-cache"), Some("Miss from headland"));
    assert!(direct.header("x-headland-id").is_some_and(|id| hypers.header("x-headland-id") != Some(id)));
    let requests: Vec<_> = origin.received().into_iter().map(|request| request.headers).collect();
    assert_eq!(requests[0], requests[1]);
    let traffic = edge.shared.metrics.traffic();
    assert_eq!((traffic.requests, traffic.hits, traffic.misses), (2, 0, 2));
    assert_eq!(traffic.viewer_bytes_sent, 8);
}

#[test]
fn misses_and_others_may_be_sent_without_waiting() {
    let origin = Origin::start(|request, stream| {
        thread::sleep(Duration::from_millis(5));
        let chunked =
            format!("HTTP/1.1 200 OK\r\n{FRESH}transfer-encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n");
        let answer = match request.path() {
            path if path.starts_with("/chunked") => chunked,
            path if path.starts_with("/large") => response("200 OK", FRESH, &"l".repeat(100_000)),
            path if path.starts_with("/gone") => response("410 Gone", "", path),
            path => response("200 OK", FRESH, path),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let mut config = config(origin.address);
    behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    let edge = Edge::start(config);
    let mut viewer = Viewer::connect(edge.address);
    let plain = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    let hypers = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n{NOT_PLAIN}\r\n\r\n");
    for round in 0..3 {
        let paths: Vec<String> = ["/a", "/b", "/chunked", "/c", "/large", "/gone", "/d", "/a", "/e"]
            .iter()
            .map(|path| format!("{path}{round}"))
            .collect();
        let mut requests: String = paths
            .iter()
            .enumerate()
            .map(|(at, path)| if at % 4 == 3 { hypers(path) } else { plain(path) })
            .collect();
        requests += &format!("POST /post HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 1\r\n\r\nx");
        // Once at once, and once so that the last comes in two parts while the others are waited for.
        let (first, last) = requests.split_at(requests.len() - 20 * round);
        viewer.raw(first.as_bytes());
        thread::sleep(Duration::from_millis(10));
        viewer.raw(last.as_bytes());
        for path in &paths {
            let answer = viewer.response(false);
            let expected = match path {
                path if path.starts_with("/chunked") => "c".to_owned(),
                path if path.starts_with("/large") => "l".repeat(100_000),
                path => path.clone(),
            };
            assert!(answer.complete && answer.text() == expected, "{path}");
        }
        assert_eq!(viewer.response(false).text(), "/post");
        // What has a body is hyper's, and so is all that follows.
        viewer = Viewer::connect(edge.address);
    }
}

#[test]
fn a_fetch_goes_on_when_the_viewer_leaves() {
    let origin = Origin::start(|request, stream| {
        thread::sleep(Duration::from_millis(200));
        stream.write_all(response("200 OK", FRESH, request.path()).as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    for (stored, (path, field)) in (0..).zip([("/a", "x: y"), ("/b", NOT_PLAIN)]) {
        let (asked, mut viewer) = (origin.requests(), Viewer::connect(edge.address));
        viewer.send("GET", path, &[field], b"");
        while origin.requests() == asked {
            thread::sleep(Duration::from_millis(1));
        }
        drop(viewer);
        let began = Instant::now();
        while edge.shared.cache.figures().objects <= stored {
            assert!(began.elapsed() < Duration::from_secs(5), "the fetch was given up");
            thread::sleep(Duration::from_millis(5));
        }
        let answer = get(edge.address, path, &[]);
        assert_eq!((answer.text(), answer.header("x-cache")), (path, Some("Hit from headland")));
        if path == "/a" {
            assert_eq!(origin.requests(), 1);
        }
    }
    assert_eq!(origin.requests(), 2);
}

#[test]
fn who_waits_for_a_miss_gets_the_same_whichever_way_it_waits() {
    let origin = Origin::start(|request, stream| {
        thread::sleep(Duration::from_millis(200));
        stream.write_all(response("200 OK", FRESH, request.path()).as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    let mut viewers: Vec<Viewer> = (0..8).map(|_| Viewer::connect(edge.address)).collect();
    for (at, viewer) in viewers.iter_mut().enumerate() {
        viewer.send("GET", "/a", &[if at % 2 == 0 { "x: y" } else { NOT_PLAIN }], b"");
    }
    let answers: Vec<Response> = viewers.iter_mut().map(|viewer| viewer.response(false)).collect();
    assert!(answers.iter().all(|answer| answer.text() == "/a"));
    let (missed, waited): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.header("x-cache") == Some("Miss from headland"));
    assert_eq!((missed.len(), origin.requests()), (1, 1));
    assert!(waited.iter().all(|answer| told(answer) == told(waited[0])));
    let status = waited[0].header("cache-status").expect("cache-status");
    assert!(status.contains("fwd-status=200") && status.contains("collapsed"), "{status}");
}

#[test]
fn an_error_ends_neither_the_connection_nor_the_direct_way() {
    let down = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address");
    let mut config = config(down);
    config.origins[0].connection_timeout = seconds(1);
    let edge = Edge::start(config);
    let mut viewer = Viewer::connect(edge.address);
    for path in ["/a", "/b"] {
        let answer = viewer.request("GET", path, &[]);
        assert_eq!((answer.status, answer.header("x-cache")), (502, Some("Error from headland")));
    }
}

#[test]
fn custom_fields_and_other_hosts_reach_the_origin() {
    let origin = Origin::fixed("cache-control: max-age=60", "body");
    let mut config = config(origin.address);
    config.origins[0].origin_path = "/base".into();
    config.origins[0].custom_headers =
        vec![headland_proto::v1::CustomHeader { name: "X-Shield".into(), value: "edge".into() }];
    let edge = Edge::start(config);
    let answer = get(edge.address, "/a%20b?c=d", &["x-shield: viewer", "accept: text/plain"]);
    assert_eq!(answer.text(), "body");
    let received = &origin.received()[0];
    assert_eq!(received.line, "GET /base/a%20b?c=d HTTP/1.1");
    let shields = received.headers.iter().filter(|(name, _)| name == "x-shield").collect::<Vec<_>>();
    assert_eq!(shields, [&("x-shield".to_owned(), "edge".to_owned())]);
    assert_eq!(received.header("host"), Some(origin.address.to_string().as_str()));
    assert_eq!(received.header("accept"), Some("text/plain"));
    assert_eq!(received.headers.iter().filter(|(name, _)| name == "host").count(), 1);
}

#[test]
fn a_body_that_comes_slowly_is_handed_on_as_it_comes() {
    let origin = Origin::start(|_, stream: &mut TcpStream| {
        let head = format!("HTTP/1.1 200 OK\r\n{FRESH}content-length: 8\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(b"half");
        thread::sleep(Duration::from_millis(300));
        stream.write_all(b"half").is_ok()
    });
    let edge = Edge::start(config(origin.address));
    let mut viewer = Viewer::connect(edge.address);
    viewer.send("GET", "/a", &[], b"");
    let began = Instant::now();
    assert_eq!(viewer.head().expect("head").0, 200);
    assert_eq!(viewer.bytes(4), b"half");
    assert!(began.elapsed() < Duration::from_millis(250), "it was kept until the rest came");
    assert_eq!(viewer.bytes(4), b"half");
    assert_eq!(get(edge.address, "/a", &[]).text(), "halfhalf");
    assert_eq!(origin.requests(), 1);
}
