//! Conditions and ranges of what the edge has compressed.

use std::time::Duration;

use super::{Compressed, FRESH, STRONG, accepting, compressed, compressing, page};
use crate::support::{
    edge::{Edge, Options, config},
    origin::{Origin, response},
    scenario::{Step, check, head, scenario},
    viewer::get,
};

#[test]
fn what_has_not_changed_stays_compressed() {
    let page = &page(3000);
    let still = |headers: &str| {
        accepting("gzip")
            .after(70)
            .origin_status("304 Not Modified", headers, "")
            .gives_compressed("gzip", page)
            .has_some("content-length")
            .x_cache("RefreshHit")
    };
    let hit = || accepting("gzip").gives_compressed("gzip", page).x_cache("Hit");
    let steps = || {
        [
            accepting("gzip").origin(STRONG, page).gives_compressed("gzip", page),
            // The origin is asked by the tag that it gave, and says what it says of its own bytes.
            still("cache-control: max-age=60\netag: \"e\"\ncontent-length: 3000\nrepr-digest: sha-256=:AA==:\nvary: x-a")
                .sent("if-none-match: \"e\"")
                .sent("accept-encoding: gzip")
                .has("etag: W/\"e\"")
                .has("vary: x-a, Accept-Encoding")
                .lacks("repr-digest"),
            hit().has("etag: W/\"e\"").lacks("repr-digest"),
            still("cache-control: max-age=60").sent("if-none-match: \"e\"").has("etag: W/\"e\""),
            hit(),
            still("cache-control: max-age=60\netag: W/\"e\"").sent("if-none-match: \"e\"").has("etag: W/\"e\""),
            hit(),
            // It is known by a weak tag only from now on.
            still("cache-control: max-age=60\netag: W/\"e\"").sent("if-none-match: W/\"e\""),
        ]
    };
    check([
        compressed("RFC 9111 section 4.3.4", steps()),
        scenario("with CloudFront semantics", steps()).cloudfront(0, 100, 1000).with(compressing),
        compressed(
            "a weak tag of the origin",
            [
                accepting("gzip").origin(&format!("{FRESH}\netag: W/\"e\""), page).has("etag: W/\"e\""),
                still("cache-control: max-age=60\netag: W/\"e\"").sent("if-none-match: W/\"e\""),
                hit().has("etag: W/\"e\""),
            ],
        ),
        compressed(
            "by the time of its last change",
            [
                accepting("gzip").origin(&format!("{FRESH}\nlast-modified: {{start-1000}}"), page),
                still("cache-control: max-age=60\nlast-modified: {start-1000}")
                    .sent("if-modified-since: {start-1000}"),
                hit(),
            ],
        ),
    ]);
}

#[test]
fn what_has_changed_is_compressed_anew() {
    let (page, other) = (&page(3000), &page(5000));
    check([compressed(
        "another version",
        [
            accepting("gzip").origin(STRONG, page).gives_compressed("gzip", page),
            accepting("gzip")
                .after(70)
                .origin(&STRONG.replace("\"e\"", "\"f\""), other)
                .gives_compressed("gzip", other)
                .has("etag: W/\"f\""),
            accepting("gzip").gives_compressed("gzip", other).x_cache("Hit"),
        ],
    )]);
}

#[test]
fn a_304_about_another_version_changes_nothing() {
    let page = &page(3000);
    check([compressed(
        "RFC 9111 section 4.3.4",
        [
            accepting("gzip").origin(STRONG, page),
            accepting("gzip")
                .after(70)
                .origin_status("304 Not Modified", "etag: \"f\"", "")
                .origin(STRONG, page)
                .gives_compressed("gzip", page),
        ],
    )]);
}

#[test]
fn viewers_conditions_are_judged_by_the_weak_tag() {
    let page = &page(3000);
    let not_modified =
        |condition: &str| accepting("gzip").header(condition).status(304..=304).has("etag: W/\"e\"");
    check([compressed(
        "RFC 9110 section 13.1.2",
        [
            accepting("gzip").origin(STRONG, page).has("etag: W/\"e\""),
            not_modified("if-none-match: W/\"e\"").x_cache("Hit"),
            not_modified("if-none-match: \"e\""),
            not_modified("if-none-match: *"),
            accepting("gzip").header("if-none-match: \"f\"").gives_compressed("gzip", page),
        ],
    )]);
}

#[test]
fn a_head_tells_whether_it_has_changed() {
    let page = &page(3000);
    let same = || head().header("accept-encoding: gzip").header("cache-control: no-cache");
    let first = || accepting("gzip").origin(STRONG, page);
    check([
        compressed(
            "RFC 9111 section 4.3.5: the same",
            [
                first(),
                same()
                    .origin(&format!("{STRONG}\ncontent-length: 3000"), "")
                    .sent("accept-encoding: gzip")
                    .has("content-encoding: gzip"),
                accepting("gzip").gives_compressed("gzip", page).x_cache("Hit").has("etag: W/\"e\""),
            ],
        ),
        compressed(
            "RFC 9111 section 4.3.5: another",
            [
                first(),
                same().origin(&format!("{}\ncontent-length: 3000", STRONG.replace("\"e\"", "\"f\"")), ""),
                accepting("gzip").origin(STRONG, page).gives_compressed("gzip", page),
            ],
        ),
    ]);
}

#[test]
fn ranges_are_of_what_is_stored() {
    let page = &page(3000);
    let part = || {
        accepting("gzip")
            .header("range: bytes=0-9")
            .status(206..=206)
            .has("content-encoding: gzip")
            .has("content-length: 10")
            .response("it is not the beginning of what was compressed", |r| r.body.starts_with(b"\x1f\x8b"))
    };
    let whole = |step: Step| step.header("range: bytes=0-9").gives_compressed("gzip", page);
    check([compressed(
        "RFC 9110 sections 13.1.5 and 14.2",
        [
            accepting("gzip").origin(STRONG, page),
            part().x_cache("Hit"),
            whole(accepting("gzip").header("if-range: W/\"e\"")),
            whole(accepting("gzip").header("if-range: \"e\"")),
            accepting("gzip").header("range: bytes=100000-").status(416..=416),
        ],
    )]);
}

#[test]
fn what_is_compressed_outlives_a_restart_and_is_still_asked_about() {
    let page = page(3000);
    let body = page.clone();
    let origin = Origin::start(move |request, stream| {
        let answer = match request.header("if-none-match") {
            Some("\"e\"") => {
                "HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\ncache-control: max-age=60\r\n\r\n".into()
            }
            _ => response("200 OK", STRONG, &body),
        };
        std::io::Write::write_all(stream, answer.as_bytes()).is_ok()
    });
    let mut wanted = config(origin.address);
    compressing(&mut wanted);
    let dir = tempfile::tempdir().expect("directory");
    let start = || {
        let edge = Edge::start_with(
            wanted.clone(),
            Options { disk: Some(dir.path().to_owned()), ..Options::default() },
        );
        let disk = edge.shared.cache.disk.clone().expect("a disk tier");
        while disk.is_loading() {
            std::thread::yield_now();
        }
        edge
    };
    let ask = |edge: &Edge| get(edge.address, "/a", &["accept-encoding: br"]);
    let edge = start();
    assert!(super::is_compressed(&ask(&edge), "br", &page));
    drop(edge);
    let edge = start();
    let hit = ask(&edge);
    assert!(
        super::is_compressed(&hit, "br", &page) && hit.header("x-cache") == Some("Hit from headland"),
        "{hit:?}"
    );
    edge.clock.advance(Duration::from_secs(70));
    let renewed = ask(&edge);
    assert!(super::is_compressed(&renewed, "br", &page), "{renewed:?}");
    assert_eq!(renewed.header("x-cache"), Some("RefreshHit from headland"));
    assert_eq!(origin.requests(), 2);
}
