//! Connections on which some requests are answered at once and others go through hyper: no viewer may be able to tell them apart.

use std::io::Write;

use headland_proto::v1;

use crate::support::{
    edge::{ALL_METHODS, Edge, HOST, Options, behavior, config, seconds},
    origin::{Origin, response},
    viewer::{Response, Viewer, get},
};

/// A request with this field is not answered at once.
const NOT_PLAIN: &str = "te: trailers";

/// Waits for an origin that takes its time to make large objects.
fn patient(origin: &Origin) -> v1::DistributionConfig {
    let mut config = config(origin.address);
    config.origins[0].response_timeout = seconds(30);
    config
}

/// An origin whose objects are as long as their path says, every byte its own.
fn sized() -> Origin {
    Origin::start(|request, stream| {
        let fresh = "cache-control: max-age=60\r\netag: \"a\"\r\nx-twice: 1\r\nx-twice: 2\r\ncache-status: shield; hit";
        let bytes = request.path()[1..].parse().unwrap_or(5);
        stream.write_all(response("200 OK", fresh, &text(bytes)).as_bytes()).is_ok()
    })
}

fn text(bytes: usize) -> String {
    let byte = |n: usize| b'a' + ((n * 7 + n / 251 + n / 65_537) % 26) as u8;
    String::from_utf8((0..bytes).map(byte).collect()).expect("text")
}

fn sorted(response: &Response) -> Vec<(String, String)> {
    let mut headers = response.headers.clone();
    headers.retain(|(name, _)| name != "x-headland-id");
    headers.sort();
    headers
}

fn quick_hits(edge: &Edge) -> u64 {
    edge.shared.metrics.quick_hits()
}

#[test]
fn a_hit_is_the_same_whichever_way_it_goes() {
    let origin = sized();
    let edge = Edge::start_with(
        patient(&origin),
        Options { memory_bytes: 256 << 20, object_bytes_max: 16 << 20, ..Options::default() },
    );
    let mut viewer = Viewer::connect(edge.address);
    for (done, bytes) in [0, 1, 8 << 10, (8 << 10) + 1, 100_000, 700_001, 1 << 20].into_iter().enumerate() {
        let path = format!("/{bytes}");
        assert_eq!(viewer.request("GET", &path, &[]).body.len(), bytes);
        let quick = viewer.request("GET", &path, &["accept: */*", "cookie: a=b"]);
        assert_eq!(quick_hits(&edge), done as u64 + 1, "{bytes}");
        let hypers = viewer.request("GET", &path, &[NOT_PLAIN]);
        assert_eq!(quick_hits(&edge), done as u64 + 1, "{bytes}");
        assert_eq!((quick.status, sorted(&quick)), (hypers.status, sorted(&hypers)));
        assert!(quick.body == text(bytes).as_bytes() && hypers.body == quick.body, "{bytes}");
        assert!(quick.header("x-headland-id").is_some_and(|id| hypers.header("x-headland-id") != Some(id)));
        assert_eq!(quick.header("x-cache"), Some("Hit from headland"));
    }
    assert_eq!(origin.requests(), 7);
}

#[test]
fn hits_misses_and_others_take_turns_on_one_connection() {
    let origin = sized();
    let mut config = config(origin.address);
    behavior(&mut config).allowed_methods = ALL_METHODS.map(String::from).to_vec();
    let edge = Edge::start(config);
    get(edge.address, "/10", &[]);
    let mut viewer = Viewer::connect(edge.address);
    for round in 1..=3 {
        assert_eq!(viewer.request("GET", "/10", &[]).text(), text(10));
        assert_eq!(viewer.request("GET", &format!("/{}", 100 + round), &[]).body.len(), 100 + round);
        assert_eq!(viewer.request("GET", "/10", &["if-none-match: \"a\""]).status, 304);
        assert_eq!(viewer.request("HEAD", "/10", &[]).header("content-length"), Some("10"));
        assert_eq!(viewer.request("GET", "/10", &["range: bytes=2-4"]).text(), &text(10)[2..5]);
        assert_eq!(viewer.request("GET", "/10", &[]).text(), text(10));
        assert_eq!(quick_hits(&edge), 2 * round as u64);
    }
    viewer.send("POST", "/20", &[], b"hello");
    assert_eq!(viewer.response(false).status, 200);
    // What had a body was read by hyper, which keeps the connection.
    assert_eq!(viewer.request("GET", "/10", &[]).text(), text(10));
    assert_eq!(viewer.request("GET", "/10", &["connection: close"]).text(), text(10));
    assert!(viewer.is_closed());
    assert_eq!(quick_hits(&edge), 6);
}

#[test]
fn requests_that_come_together_are_answered_in_turn() {
    let origin = sized();
    let edge = Edge::start(config(origin.address));
    get(edge.address, "/10", &[]);
    get(edge.address, "/100000", &[]);
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    let mut viewer = Viewer::connect(edge.address);
    let paths = ["/10", "/100000", "/11", "/10", "/12", "/13", "/100000", "/10"];
    viewer.raw(paths.map(request).concat().as_bytes());
    for path in paths {
        assert_eq!(viewer.response(false).text(), text(path[1..].parse().expect("number")), "{path}");
    }
    assert_eq!(viewer.request("GET", "/10", &[]).text(), text(10));
}

/// The same request, one that hyper answers, so often that it does not fit into one read.
#[test]
fn more_requests_than_one_read_has_are_all_answered() {
    let origin = sized();
    let edge = Edge::start(config(origin.address));
    get(edge.address, "/10", &[]);
    let request = format!("GET /10 HTTP/1.1\r\nhost: {HOST}\r\n{NOT_PLAIN}\r\n\r\n");
    let mut viewer = Viewer::connect(edge.address);
    viewer.raw(request.repeat(2000).as_bytes());
    for n in 0..2000 {
        assert_eq!(viewer.response(false).text(), text(10), "{n}");
    }
    assert_eq!(viewer.request("GET", "/10", &[]).text(), text(10));
}

/// An origin that answers a request for `/held` when it is told to.
fn holding() -> (Origin, std::sync::mpsc::Sender<()>) {
    let (release, held) = std::sync::mpsc::channel();
    let held = std::sync::Mutex::new(held);
    let origin = Origin::start(move |request, stream| {
        if request.path() == "/held" {
            held.lock().expect("lock").recv().expect("told");
        }
        let body = format!("{} of {} bytes", request.line, request.body.len());
        stream.write_all(response("200 OK", "cache-control: max-age=60", &body).as_bytes()).is_ok()
    });
    (origin, release)
}

/// What comes behind a request that is under way is read by whoever reads its beginning.
#[test]
fn a_request_that_is_cut_behind_one_under_way_is_put_together() {
    for (first, second, expected) in [
        ("GET /b HT", "TP/1.1\r\nhost: cdn.test\r\n\r\n", "GET /b HTTP/1.1 of 0 bytes"),
        (
            "POST /p HTTP/1.1\r\nhost: cdn.test\r\ncontent-length: 41\r\n\r\n",
            "GET /admin HTTP/1.1\r\nhost: cdn.test\r\n\r\n\r\n",
            "POST /p HTTP/1.1 of 41 bytes",
        ),
    ] {
        let (origin, release) = holding();
        let mut config = patient(&origin);
        behavior(&mut config).allowed_methods = ALL_METHODS.map(String::from).to_vec();
        let edge = Edge::start(config);
        let mut viewer = Viewer::connect(edge.address);
        viewer.raw(format!("GET /held HTTP/1.1\r\nhost: {HOST}\r\n\r\n{first}").as_bytes());
        while origin.requests() == 0 {
            std::thread::yield_now();
        }
        viewer.raw(second.as_bytes());
        // Another request on the same workers shows that they have seen what came.
        for _ in 0..4 {
            get(edge.address, "/other", &[]);
        }
        release.send(()).expect("waiting");
        assert_eq!(viewer.response(false).text(), "GET /held HTTP/1.1 of 0 bytes");
        assert_eq!(viewer.response(false).text(), expected);
        let asked: Vec<_> = origin.received().iter().map(|r| r.path().to_owned()).collect();
        assert!(!asked.contains(&"/admin".to_owned()), "{asked:?}");
    }
}

#[test]
fn a_viewer_who_has_said_all_gets_all_answers() {
    let origin = sized();
    let edge = Edge::start(config(origin.address));
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    let mut viewer = Viewer::connect(edge.address);
    viewer.raw(["/10", "/11"].map(request).concat().as_bytes());
    viewer.end();
    assert_eq!(viewer.response(false).text(), text(10));
}

/// Fields for one viewer are taken out of what is stored, but not those that a message cannot do without.
#[test]
fn a_validated_object_keeps_its_length_whatever_the_origin_names() {
    let origin = Origin::start(|request, stream| {
        let answer = match request.header("if-none-match") {
            None => response(
                "200 OK",
                "cache-control: max-age=1, no-cache=\"content-length, date\"\r\netag: \"a\"",
                "hello",
            ),
            Some(_) => "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\
                        cache-control: max-age=60, no-cache=\"content-length, date\"\r\n\r\n"
                .to_owned(),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    get(edge.address, "/a", &[]);
    edge.clock.advance(std::time::Duration::from_secs(2));
    get(edge.address, "/a", &[]);
    assert_eq!(origin.requests(), 2);
    let mut viewer = Viewer::connect(edge.address);
    for _ in 0..2 {
        let hit = viewer.request("GET", "/a", &[]);
        assert_eq!((hit.text(), hit.header("content-length")), ("hello", Some("5")));
        assert!(hit.header("date").is_some());
    }
    assert_eq!(quick_hits(&edge), 2);
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let origin = sized();
    let edge = Edge::start(config(origin.address));
    get(edge.address, "/10", &[]);
    let mut viewer = Viewer::connect(edge.address);
    for _ in 0..2 {
        for byte in format!("GET /10 HTTP/1.1\r\nhost: {HOST}\r\n\r\n").bytes() {
            viewer.raw(&[byte]);
        }
        assert_eq!(viewer.response(false).text(), text(10));
    }
    assert_eq!(quick_hits(&edge), 2);
    for byte in format!("GET /10 HTTP/1.1\r\nhost: {HOST}\r\nx: {}", "y".repeat(30_000)).bytes() {
        if !viewer.try_raw(&[byte]) {
            break;
        }
    }
    assert_eq!(viewer.try_response(false).map_or(431, |response| response.status), 431);
}

#[test]
fn a_viewer_who_takes_a_hit_slowly_gets_all_of_it() {
    let origin = sized();
    let edge = Edge::start_with(
        patient(&origin),
        Options { memory_bytes: 256 << 20, object_bytes_max: 32 << 20, ..Options::default() },
    );
    let path = format!("/{}", 20 << 20);
    let expected = get(edge.address, &path, &[]).body;
    let mut viewer = Viewer::connect(edge.address);
    viewer.send("GET", &path, &[], b"");
    let (status, _) = viewer.head().expect("a head");
    assert_eq!(status, 200);
    // While this one reads nothing, others on the same workers are served.
    for _ in 0..20 {
        assert_eq!(get(edge.address, "/10", &[]).text(), text(10));
    }
    assert!(viewer.bytes(20 << 20) == expected);
    assert_eq!(viewer.request("GET", "/10", &[]).text(), text(10));
}
