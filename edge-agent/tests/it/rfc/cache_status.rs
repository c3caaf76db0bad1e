//! What Cache-Status tells (RFC 9211).

use std::{
    io::Write,
    sync::{Mutex, mpsc},
    time::Duration,
};

use crate::support::{
    edge::{Edge, config, policy, seconds},
    origin::Origin,
    scenario::{ask, cached, check, fetch, get, head, not_modified, scenario},
    viewer::Viewer,
};

const STORED: &str = "cache-control: max-age=60\netag: \"e\"";

#[test]
fn misses() {
    check([
        scenario(
            "9211 2.2, 2.4: stored",
            [fetch(STORED, "one")
                .cache_status(&["fwd=uri-miss", "stored"])
                .cache_status_lacks(&["hit", "collapsed"])],
        ),
        scenario(
            "9211 2.2, 2.4: not stored",
            [fetch("cache-control: no-store", "one")
                .cache_status(&["fwd=uri-miss"])
                .cache_status_lacks(&["hit", "stored"])],
        ),
        scenario(
            "9211 2.2: another variant is there",
            [
                fetch("cache-control: max-age=60\nvary: x-a", "one")
                    .header("x-a: 1")
                    .cache_status(&["fwd=uri-miss"]),
                fetch("cache-control: max-age=60\nvary: x-a", "two")
                    .header("x-a: 2")
                    .cache_status(&["fwd=vary-miss", "stored"])
                    .cache_status_lacks(&["hit"]),
            ],
        ),
        scenario(
            "9211 2.2: HEAD",
            [head()
                .origin(STORED, "one")
                .gives(200, "")
                .cache_status(&["fwd=uri-miss"])
                .cache_status_lacks(&["hit"])],
        ),
    ]);
}

#[test]
fn hits() {
    let hit = |step: crate::support::scenario::Step| {
        step.cache_status(&["hit"]).cache_status_lacks(&["fwd", "fwd-status", "stored", "collapsed"])
    };
    check([
        scenario(
            "9211 2.1, 2.5: with what is left of the lifetime",
            [
                fetch(STORED, "one"),
                hit(cached("one")).after(20).ttl(40),
                hit(head()).gives(200, "").ttl(40),
                hit(get()).header("if-none-match: \"e\"").gives(304, "").ttl(40),
                hit(get()).header("range: bytes=0-1").gives(206, "on").ttl(40),
                hit(cached("one")).after(20).ttl(20),
            ],
        ),
        scenario(
            "9211 2.5: a negative ttl is staleness",
            [
                fetch("cache-control: max-age=60, stale-while-revalidate=60", "one"),
                cached("one").after(80).origin(STORED, "two").in_background().cache_status(&["hit"]).ttl(-20),
            ],
        ),
        scenario(
            "9211 2.5: as the viewer accepts it",
            [
                fetch("cache-control: max-age=60", "one"),
                hit(cached("one")).after(80).header("cache-control: max-stale").ttl(-20),
            ],
        ),
    ]);
}

#[test]
fn stale() {
    check([
        scenario(
            "9211 2.2, 2.3: validated",
            [
                fetch(STORED, "one"),
                not_modified("etag: \"e\"", "one")
                    .after(70)
                    .cache_status(&["fwd=stale", "fwd-status=304"])
                    .cache_status_lacks(&["hit"]),
            ],
        ),
        scenario(
            "9211 2.2: replaced",
            [
                fetch(STORED, "one"),
                fetch(STORED, "two")
                    .after(70)
                    .cache_status(&["fwd=stale", "stored"])
                    .cache_status_lacks(&["hit"]),
            ],
        ),
        scenario(
            "9211 2.3: served although the origin failed",
            [
                fetch("cache-control: max-age=60, stale-if-error=60", "one"),
                get()
                    .after(70)
                    .origin_status("503 Service Unavailable", "", "error")
                    .gives(200, "one")
                    .cache_status(&["fwd=stale", "fwd-status=503"]),
            ],
        ),
    ]);
}

#[test]
fn other_reasons_to_forward() {
    check([
        scenario(
            "9211 2.2: the request's directives",
            [
                fetch(STORED, "one"),
                fetch(STORED, "two").header("cache-control: no-cache").cache_status(&["fwd=request"]),
                fetch(STORED, "three")
                    .after(30)
                    .header("cache-control: max-age=10")
                    .cache_status(&["fwd=request"]),
            ],
        ),
        scenario(
            "9211 2.2: the method",
            [
                ask("POST")
                    .origin(STORED, "p")
                    .gives(200, "p")
                    .cache_status(&["fwd=method"])
                    .cache_status_lacks(&["stored", "hit"]),
                ask("OPTIONS").origin("", "o").gives(200, "o").cache_status(&["fwd=method"]),
                ask("M-SEARCH").origin("", "m").gives(200, "m").cache_status(&["fwd=method"]),
            ],
        ),
        scenario(
            "9211 2.2: configured not to handle it",
            [fetch(STORED, "one").cache_status(&["fwd=bypass"]).cache_status_lacks(&["stored", "hit"])],
        )
        .with(|config| {
            policy(config).default_ttl = seconds(0);
            policy(config).max_ttl = seconds(0);
        }),
    ]);
}

#[test]
fn it_comes_after_those_of_others() {
    check([scenario(
        "9211 2: each cache appends its own",
        [
            fetch(&format!("{STORED}\ncache-status: OriginCache; hit; ttl=1100"), "one")
                .cache_status(&["fwd=uri-miss"])
                .response("the origin's member is not first", first_is_the_origins),
            cached("one")
                .cache_status(&["hit"])
                .response("the origin's member is not first", first_is_the_origins),
        ],
    )]);
}

fn first_is_the_origins(response: &crate::support::viewer::Response) -> bool {
    response
        .header("cache-status")
        .is_some_and(|value| value.starts_with("OriginCache") && !value.contains(", OriginCache"))
}

#[test]
fn it_is_on_every_response() {
    check([
        scenario(
            "9211 2: an error page",
            [get().down().status(500..=599).cache_status_lacks(&["hit", "stored"])],
        ),
        scenario(
            "9211 2: only-if-cached",
            [get()
                .header("cache-control: only-if-cached")
                .status(504..=504)
                .cache_status_lacks(&["hit", "stored"])],
        ),
        scenario(
            "9211 2: an error of the origin",
            [get()
                .origin_status("500 Internal Server Error", "", "e")
                .gives(500, "e")
                .cache_status(&["fwd=uri-miss"])],
        ),
        scenario(
            "9211 2: CloudFront semantics",
            [
                fetch(STORED, "one").cache_status(&["fwd=uri-miss", "stored"]),
                cached("one").cache_status(&["hit"]),
            ],
        )
        .cloudfront(0, 100, 1000),
    ]);
}

#[test]
fn collapsed_requests_say_so() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let origin = Origin::start(move |_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 6\r\n\r\none";
        let first = stream.write_all(head.as_bytes()).is_ok();
        let _ = gate.lock().expect("lock").recv_timeout(Duration::from_secs(30));
        first && stream.write_all(b"two").is_ok()
    });
    let edge = Edge::start(config(origin.address));
    // Each has the head while the origin still holds back the end: the second joined the first.
    let statuses = [(); 2].map(|()| {
        let mut viewer = Viewer::connect(edge.address);
        viewer.send("GET", "/a", &[], b"");
        let (status, headers) = viewer.head().expect("a head");
        assert_eq!((status, viewer.bytes(3)), (200, b"one".to_vec()));
        let line = headers.into_iter().find(|(name, _)| name == "cache-status");
        (line.map(|(_, value)| value).unwrap_or_default(), viewer)
    });
    open.send(()).expect("the origin waits");
    let statuses = statuses.map(|(status, mut viewer)| {
        assert_eq!(viewer.bytes(3), b"two");
        status
    });
    assert_eq!(origin.requests(), 1);
    // RFC 9211 section 2.6.
    assert!(statuses[1].contains("collapsed"), "{statuses:?}");
    assert!(statuses.iter().all(|status| status.contains("fwd=uri-miss")), "{statuses:?}");
}
