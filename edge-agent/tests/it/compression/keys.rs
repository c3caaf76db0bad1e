//! What a viewer accepts, in the key and to the origin.

use super::{Compressed, FRESH, accepting, compressed, compressing, enabling, page};
use crate::support::{
    edge::{Edge, HOST, behavior, config, policy},
    origin::Origin,
    scenario::{check, get, head, scenario},
    viewer::{Viewer, get as fetch},
};

#[test]
fn a_hit_after_a_miss_is_what_was_compressed() {
    let page = &page(3000);
    let steps = || {
        [
            accepting("gzip, deflate, br")
                .origin(FRESH, page)
                .sent("accept-encoding: br,gzip")
                .gives_compressed("br", page)
                .x_cache("Miss"),
            accepting("br;q=0.5,gzip").gives_compressed("br", page).x_cache("Hit").has_some("content-length"),
            accepting("gzip")
                .origin(FRESH, page)
                .sent("accept-encoding: gzip")
                .gives_compressed("gzip", page)
                .x_cache("Miss"),
            accepting("zstd, br, gzip")
                .origin(FRESH, page)
                .sent("accept-encoding: br,zstd,gzip")
                .gives_compressed("br", page),
            accepting("zstd").origin(FRESH, page).gives_compressed("zstd", page),
            accepting("gzip").gives_compressed("gzip", page).x_cache("Hit"),
            accepting("zstd").gives_compressed("zstd", page).x_cache("Hit"),
        ]
    };
    check([
        compressed("RFC 9111 semantics", steps()),
        scenario("CloudFront semantics", steps()).cloudfront(0, 100, 1000).with(compressing),
    ]);
}

#[test]
fn who_accepts_nothing_gets_what_the_origin_sent() {
    let page = &page(3000);
    check([compressed(
        "identity and compressed do not mix",
        [
            get()
                .origin(FRESH, page)
                .sent("accept-encoding: identity")
                .gives(200, page)
                .lacks("content-encoding")
                .has("vary: Accept-Encoding"),
            accepting("br").origin(FRESH, page).gives_compressed("br", page),
            get().gives(200, page).lacks("content-encoding").x_cache("Hit"),
            accepting("identity, br;q=0").gives(200, page).x_cache("Hit"),
            accepting("deflate").gives(200, page).x_cache("Hit"),
            accepting("br").gives_compressed("br", page).x_cache("Hit"),
        ],
    )]);
}

#[test]
fn codings_count_without_compression_and_compression_does_nothing_without_codings() {
    let page = &page(3000);
    check([
        scenario(
            "codings alone",
            [
                accepting("br")
                    .origin(FRESH, page)
                    .sent("accept-encoding: br")
                    .gives(200, page)
                    .lacks("vary"),
                get().origin(FRESH, page).sent("accept-encoding: identity").gives(200, page),
                accepting("br, deflate").gives(200, page).x_cache("Hit"),
            ],
        )
        .with(enabling),
        scenario(
            "compression alone",
            [
                accepting("br, deflate")
                    .origin(FRESH, page)
                    .sent("accept-encoding: br, deflate")
                    .gives(200, page)
                    .lacks("content-encoding"),
                get().gives(200, page).x_cache("Hit"),
            ],
        )
        .with(|config| behavior(config).compress = true),
        scenario(
            "with CloudFront semantics, without codings",
            [accepting("br").origin(FRESH, page).unsent("accept-encoding").gives(200, page)],
        )
        .cloudfront(0, 100, 1000)
        .with(|config| behavior(config).compress = true),
    ]);
}

#[test]
fn what_varies_by_coding_alone_is_one_object_for_each_set_of_codings() {
    let (page, varying) = (&page(3000), format!("{FRESH}\nvary: Accept-Encoding"));
    check([compressed(
        "Vary: Accept-Encoding is answered by the key",
        [
            accepting("gzip, br").origin(&varying, page).gives_compressed("br", page),
            accepting("br, gzip").gives_compressed("br", page).x_cache("Hit"),
            accepting("br, gzip, compress")
                .gives_compressed("br", page)
                .has("vary: Accept-Encoding")
                .x_cache("Hit"),
        ],
    )]);
}

#[test]
fn a_head_is_answered_from_what_is_compressed() {
    let page = &page(3000);
    let head = || head().header("accept-encoding: gzip").status(200..=200);
    check([scenario(
        "CloudFront fetches the whole",
        [
            head().origin(FRESH, page).asked_with("GET").has("content-encoding: gzip"),
            head().has("content-encoding: gzip").has_some("content-length").x_cache("Hit"),
            accepting("gzip").gives_compressed("gzip", page).x_cache("Hit"),
        ],
    )
    .cloudfront(0, 100, 1000)
    .with(compressing)]);
}

/// CloudFront guide, "Serve compressed files": a request by HTTP/1.0.
#[test]
fn a_viewer_who_speaks_http_1_0_gets_nothing_compressed() {
    let page = page(3000);
    let origin = Origin::fixed(FRESH, &page);
    let mut wanted = config(origin.address);
    compressing(&mut wanted);
    let edge = Edge::start(wanted);
    fetch(edge.address, "/a", &["accept-encoding: gzip"]);
    for _ in 0..2 {
        let mut viewer = Viewer::connect(edge.address);
        viewer.raw(format!("GET /a HTTP/1.0\r\nhost: {HOST}\r\naccept-encoding: gzip\r\n\r\n").as_bytes());
        let response = viewer.response(false);
        assert_eq!((response.text(), response.header("content-encoding")), (page.as_str(), None));
    }
    assert_eq!(origin.requests(), 2);
}

#[test]
fn hits_are_answered_at_once() {
    let page = page(3000);
    let origin = Origin::fixed(FRESH, &page);
    let mut wanted = config(origin.address);
    compressing(&mut wanted);
    let edge = Edge::start(wanted);
    let mut viewer = Viewer::connect(edge.address);
    for (hits, accept) in ["gzip, deflate, br, zstd", "br, zstd, gzip"].into_iter().enumerate() {
        let line = format!("accept-encoding: {accept}");
        let response = viewer.request("GET", "/a", &[&line]);
        assert!(super::is_compressed(&response, "br", &page), "{response:?}");
        assert_eq!(edge.shared.metrics.quick_hits(), hits as u64);
    }
    viewer.request("GET", "/a", &["accept-encoding: br", "accept-encoding: gzip"]);
    assert_eq!(
        viewer.request("GET", "/a", &["accept-encoding: gzip, br"]).header("x-cache"),
        Some("Hit from headland")
    );
    assert_eq!(edge.shared.metrics.quick_hits(), 2);
    assert_eq!(origin.requests(), 2);
}

#[test]
fn who_asks_is_told_of_the_key_and_why_not() {
    let origin = Origin::start(|request, stream| {
        let body = if request.path() == "/short" { "short".to_owned() } else { page(3000) };
        let answer = crate::support::origin::response("200 OK", FRESH, &body);
        std::io::Write::write_all(stream, answer.as_bytes()).is_ok()
    });
    let mut wanted = config(origin.address);
    compressing(&mut wanted);
    wanted.debug_headers = true;
    policy(&mut wanted).accept_encoding_zstd = false;
    let edge = Edge::start(wanted);
    let ask = |path: &str, accept: &str| {
        let response =
            fetch(edge.address, path, &["headland-debug: 1", &format!("accept-encoding: {accept}")]);
        let of = |name| response.header(name).unwrap_or_default().to_owned();
        (of("headland-debug"), of("cache-status"))
    };
    for _ in 0..2 {
        let (debug, status) = ask("/a", "zstd, gzip, br");
        assert!(debug.contains(", compressed=br"), "{debug}");
        assert!(status.contains("path /a, header accept-encoding: br,gzip\""), "{status}");
    }
    assert!(ask("/short", "gzip").0.contains("not-compressed=too-small"));
    assert!(ask("/a", "zstd").0.contains("not-compressed=not-accepted"));
    let counted: Vec<_> = edge.shared.metrics.not_compressed().filter(|(_, n)| *n > 0).collect();
    assert_eq!(counted, [("too-small", 1), ("not-accepted", 1)]);
    assert_eq!(edge.shared.metrics.compressed().next(), Some(("br", 1)));
}
