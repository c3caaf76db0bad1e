//! Asking the origin whether a stored response still holds (RFC 9111 section 4.3).

use crate::support::scenario::{cached, check, fetch, get, not_modified, scenario};

const CONTROL: &str = "cache-control: max-age=60";

#[test]
fn what_is_sent() {
    let fields = ["if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range"];
    let stored = |validators: &str| format!("{CONTROL}\n{validators}");
    check([
        scenario(
            "9111 4.3.1: the entity tag",
            [
                fetch(&stored("etag: \"e\""), "one"),
                not_modified("etag: \"e\"", "one")
                    .after(70)
                    .sent("if-none-match: \"e\"")
                    .unsent("if-modified-since"),
            ],
        ),
        scenario(
            "9111 4.3.1: a weak one as well",
            [
                fetch(&stored("etag: W/\"e\""), "one"),
                not_modified("etag: W/\"e\"", "one").after(70).sent("if-none-match: W/\"e\""),
            ],
        ),
        scenario(
            "9111 4.3.1: the time of the last change",
            [
                fetch(&stored("last-modified: {start-1000}"), "one"),
                not_modified("last-modified: {start-1000}", "one")
                    .after(70)
                    .sent("if-modified-since: {start-1000}")
                    .unsent("if-none-match"),
            ],
        ),
        scenario(
            "9111 4.3.1: both",
            [
                fetch(&stored("etag: \"e\"\nlast-modified: {start-1000}"), "one"),
                not_modified("etag: \"e\"", "one")
                    .after(70)
                    .sent("if-none-match: \"e\"")
                    .sent("if-modified-since: {start-1000}"),
            ],
        ),
        scenario(
            "9111 4.3.1: nothing to ask with",
            [
                fetch(CONTROL, "one"),
                fields.into_iter().fold(fetch(CONTROL, "two").after(70), |s, f| s.unsent(f)),
            ],
        ),
    ]);
}

#[test]
fn what_must_be_validated_each_time_is() {
    check(
        [
            "no-cache",
            "max-age=0",
            "no-cache, max-age=60",
            "s-maxage=0, max-age=60",
            "max-age=0, must-revalidate",
        ]
        .map(|directives| {
            let headers = format!("cache-control: {directives}\netag: \"e\"");
            scenario(
                format!("9111 4.3.1: {directives}"),
                [
                    fetch(&headers, "one"),
                    not_modified(&headers, "one").sent("if-none-match: \"e\""),
                    not_modified(&headers, "one").sent("if-none-match: \"e\""),
                ],
            )
        }),
    );
}

#[test]
fn a_304_makes_fresh_again() {
    let stored = "cache-control: max-age=60\netag: \"e\"";
    check([
        scenario(
            "9111 4.3.4: for as long as before",
            [
                fetch(stored, "one"),
                not_modified("etag: \"e\"", "one").after(70),
                cached("one").after(50),
                not_modified("etag: \"e\"", "one").after(20),
            ],
        ),
        scenario(
            "9111 4.3.4: for as long as it says",
            [
                fetch(stored, "one"),
                not_modified("cache-control: max-age=1000\netag: \"e\"", "one").after(70),
                cached("one").after(900).has("cache-control: max-age=1000"),
            ],
        ),
        scenario(
            "9111 4.3.4: Expires",
            [
                fetch("expires: {now+60}\netag: \"e\"", "one"),
                not_modified("expires: {now+100}\netag: \"e\"", "one").after(70),
                cached("one").after(90),
                not_modified("expires: {now+100}\netag: \"e\"", "one").after(20),
            ],
        ),
        scenario(
            "9111 4.3.4: by the time of the last change",
            [
                fetch("cache-control: max-age=60\nlast-modified: {start-1000}", "one"),
                not_modified("last-modified: {start-1000}", "one").after(70),
                cached("one").after(50),
            ],
        ),
        scenario(
            "9111 4.3.4: weak validators",
            [
                fetch("cache-control: max-age=60\netag: W/\"e\"", "one"),
                not_modified("etag: W/\"e\"", "one").after(70),
                cached("one").after(50),
            ],
        ),
    ]);
}

#[test]
fn a_304_updates_header_fields() {
    let stored = "cache-control: max-age=60\netag: \"e\"\nx-old: 1\nx-changed: 1\nx-list: 1\nx-list: 2\ncontent-type: text/plain";
    let update = "etag: \"e\"\nx-changed: 2\nx-new: 3\nx-list: 4\nx-list: 5\ncontent-type: text/html\nlast-modified: {start-1000}";
    let updated = |step: crate::support::scenario::Step| {
        step.has("x-old: 1")
            .has("x-changed: 2")
            .has("x-new: 3")
            .has("x-list: 4, 5")
            .has("content-type: text/html")
            .has("last-modified: {start-1000}")
            .has("cache-control: max-age=60")
            .has("content-length: 3")
    };
    check([scenario(
        "9111 3.2: each field replaces those of its name",
        [
            fetch(stored, "one"),
            updated(not_modified(update, "one").after(70)).has("date: {now}"),
            updated(cached("one")).has("date: {now}"),
        ],
    )]);
}

#[test]
fn a_304_does_not_update_what_describes_the_stored_bytes() {
    let update =
        "etag: \"e\"\ncontent-length: 10\ncontent-encoding: gzip\ncontent-range: bytes 0-1/10\nx-new: 1";
    let untouched = |step: crate::support::scenario::Step| {
        step.has("content-length: 3").has("content-encoding: br").lacks("content-range").has("x-new: 1")
    };
    check([
        scenario(
            "9111 3.2: Content-Length, Content-Encoding, Content-Range",
            [
                fetch("cache-control: max-age=60\netag: \"e\"\ncontent-encoding: br", "one"),
                untouched(not_modified(update, "one").after(70)),
                untouched(cached("one")),
            ],
        ),
        scenario(
            "9111 3.1: what is meant for the next hop",
            [
                fetch("cache-control: max-age=60\netag: \"e\"", "one"),
                not_modified("etag: \"e\"\nconnection: x-hop\nx-hop: 1", "one").after(70).lacks("x-hop"),
                cached("one").lacks("x-hop"),
            ],
        ),
    ]);
}

#[test]
fn a_304_for_something_else_updates_nothing() {
    check([scenario(
        "9111 4.3.4: no stored response has that strong validator",
        [
            fetch("cache-control: max-age=60\netag: \"e\"", "one"),
            get()
                .after(70)
                .origin_status("304 Not Modified", "etag: \"f\"\ncache-control: max-age=1000", "")
                .origin("cache-control: max-age=60\netag: \"g\"", "two")
                .gives(200, "two")
                .unsent("if-none-match")
                .has("etag: \"g\""),
            cached("two").has("cache-control: max-age=60"),
        ],
    )]);
}

#[test]
fn a_304_updates_the_right_variant() {
    let variant = |n: u8| format!("cache-control: max-age=60\nvary: x-a\netag: \"{n}\"");
    check([scenario(
        "9111 4.3.4: the one with the same validator",
        [
            fetch(&variant(1), "one").header("x-a: 1"),
            fetch(&variant(2), "two").header("x-a: 2"),
            not_modified("vary: x-a\netag: \"1\"\nx-new: 1", "one")
                .after(70)
                .header("x-a: 1")
                .has("x-new: 1"),
            cached("one").header("x-a: 1").has("x-new: 1"),
            not_modified("vary: x-a\netag: \"2\"", "two").header("x-a: 2").lacks("x-new"),
        ],
    )]);
}

#[test]
fn a_whole_response_replaces_the_stored_one() {
    check([
        scenario(
            "9111 4.3.3: 200",
            [
                fetch("cache-control: max-age=60\netag: \"e\"\nx-old: 1", "one"),
                fetch("cache-control: max-age=60\netag: \"f\"", "two")
                    .after(70)
                    .sent("if-none-match: \"e\"")
                    .lacks("x-old"),
                cached("two").lacks("x-old").has("etag: \"f\""),
                fetch("cache-control: max-age=60", "three").after(70).sent("if-none-match: \"f\""),
            ],
        ),
        scenario(
            "9111 4.3.3: 404 answers this request",
            [
                fetch("cache-control: max-age=60\netag: \"e\"", "one"),
                get()
                    .origin_status("404 Not Found", "cache-control: no-store", "gone")
                    .after(70)
                    .gives(404, "gone"),
                get().origin_status("404 Not Found", "cache-control: no-store", "gone").gives(404, "gone"),
            ],
        ),
    ]);
}

#[test]
fn a_viewers_own_condition_is_answered_after_validation() {
    let stored = "cache-control: max-age=60\netag: \"e\"";
    check([
        scenario(
            "9111 4.3.3: the viewer has it too",
            [
                fetch(stored, "one"),
                get()
                    .header("if-none-match: \"e\"")
                    .origin_status("304 Not Modified", "etag: \"e\"", "")
                    .after(70)
                    .gives(304, "")
                    .has("etag: \"e\""),
                cached("one").after(50),
            ],
        ),
        scenario(
            "9111 4.3.3: the viewer has something else",
            [
                fetch(stored, "one"),
                not_modified("etag: \"e\"", "one")
                    .header("if-none-match: \"other\"")
                    .after(70)
                    .sent_with("if-none-match: \"e\""),
            ],
        ),
        scenario(
            "9111 4.3.3: it has changed",
            [
                fetch(stored, "one"),
                fetch("cache-control: max-age=60\netag: \"f\"", "two")
                    .header("if-none-match: \"e\"")
                    .after(70),
                cached("two"),
            ],
        ),
        scenario(
            "9110 14.2: a part of it",
            [
                fetch(stored, "0123456789"),
                get()
                    .header("range: bytes=3-5")
                    .origin_status("304 Not Modified", "etag: \"e\"", "")
                    .after(70)
                    .gives(206, "345")
                    .has("content-range: bytes 3-5/10"),
            ],
        ),
    ]);
}
