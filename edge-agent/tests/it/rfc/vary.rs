//! Several variants of one resource (RFC 9111 section 4.1).

use crate::support::scenario::{Scenario, cached, check, fetch, get, not_modified, scenario};

/// What Vary selected by one header is there for a request with another, or not.
fn same(name: &str, vary: &str, first: &[&str], second: &[&str], is_same: bool) -> Scenario {
    let headers = format!("cache-control: max-age=60\n{vary}");
    let with = |step, lines: &[&str]| {
        lines.iter().fold(step, |step: crate::support::scenario::Step, line| step.header(line))
    };
    let next = if is_same { cached("one") } else { fetch(&headers, "two") };
    scenario(
        format!("9111 4.1: {name}: {vary:?}, {first:?} and {second:?}"),
        [with(fetch(&headers, "one"), first), with(next, second)],
    )
}

#[test]
fn selecting_fields_must_match() {
    check([
        same("equal", "vary: x-a", &["x-a: 1"], &["x-a: 1"], true),
        same("not equal", "vary: x-a", &["x-a: 1"], &["x-a: 2"], false),
        same("others do not count", "vary: x-a", &["x-a: 1", "x-b: 1"], &["x-a: 1", "x-b: 2"], true),
        same("all must match", "vary: x-a, x-b", &["x-a: 1", "x-b: 1"], &["x-a: 1", "x-b: 2"], false),
        same("all match", "vary: x-a, x-b", &["x-a: 1", "x-b: 1"], &["x-b: 1", "x-a: 1"], true),
        same("two lines", "vary: x-a\nvary: x-b", &["x-a: 1", "x-b: 1"], &["x-a: 1", "x-b: 2"], false),
        same("names have no case", "vary: X-A", &["x-a: 1"], &["X-a: 1"], true),
        same("names have no case", "vary: X-A", &["x-a: 1"], &["X-a: 2"], false),
        same("values have", "vary: x-a", &["x-a: a"], &["x-a: A"], false),
        same("empty members", "vary: , x-a,,", &["x-a: 1"], &["x-a: 2"], false),
        same("empty", "vary:", &["x-a: 1"], &["x-a: 2"], true),
        same("a prefix", "vary: x-a", &["x-a: 1"], &["x-a: 11"], false),
        same("parts moved", "vary: x-a, x-b", &["x-a: 1", "x-b: 2"], &["x-a: 12", "x-b: "], false),
    ]);
}

#[test]
fn absent_matches_absent_only() {
    check([
        same("absent", "vary: x-a", &[], &[], true),
        same("then present", "vary: x-a", &[], &["x-a: 1"], false),
        same("then absent", "vary: x-a", &["x-a: 1"], &[], false),
        same("then empty", "vary: x-a", &[], &["x-a:"], false),
        same("empty, then absent", "vary: x-a", &["x-a:"], &[], false),
        same("empty", "vary: x-a", &["x-a:"], &["x-a:"], true),
    ]);
}

#[test]
fn a_star_never_matches() {
    check([
        same("alone", "vary: *", &["x-a: 1"], &["x-a: 1"], false),
        same("in a list", "vary: x-a, *", &["x-a: 1"], &["x-a: 1"], false),
        same("first in a list", "vary: *, x-a", &["x-a: 1"], &["x-a: 1"], false),
        same("in a second line", "vary: x-a\nvary: *", &["x-a: 1"], &["x-a: 1"], false),
    ]);
}

#[test]
fn values_are_compared_by_what_they_mean() {
    let language = "vary: accept-language";
    check([
        same("lines are one list", "vary: x-a", &["x-a: 1", "x-a: 2"], &["x-a: 1, 2"], true),
        same("order of lines counts", "vary: x-a", &["x-a: 1", "x-a: 2"], &["x-a: 2", "x-a: 1"], false),
        same("whitespace around", "vary: x-a", &["x-a: 1"], &["x-a: \t1  "], true),
        same(
            "whitespace in a list",
            language,
            &["accept-language: en, de"],
            &["accept-language: en,de"],
            true,
        ),
        same(
            "whitespace in a list",
            language,
            &["accept-language: en, de"],
            &["accept-language: en  ,\tde"],
            true,
        ),
        same(
            "lines of a list",
            language,
            &["accept-language: en, de"],
            &["accept-language: en", "accept-language: de"],
            true,
        ),
        same(
            "whitespace around a weight",
            language,
            &["accept-language: en;q=0.5, de"],
            &["accept-language: en ; q=0.5,de"],
            true,
        ),
        same(
            "weights say the order",
            language,
            &["accept-language: en;q=0.5, de"],
            &["accept-language: de, en;q=0.5"],
            true,
        ),
        same(
            "weights say the order",
            language,
            &["accept-language: da, en-gb;q=0.8, en;q=0.7"],
            &["accept-language: en;q=0.7, en-gb;q=0.8, da"],
            true,
        ),
        same(
            "other weights",
            language,
            &["accept-language: en;q=0.5, de;q=0.8"],
            &["accept-language: en;q=0.8, de;q=0.5"],
            false,
        ),
        same("other members", language, &["accept-language: en, de"], &["accept-language: en, fr"], false),
        same(
            "whitespace",
            "vary: accept-encoding",
            &["accept-encoding: gzip,br"],
            &["accept-encoding: gzip, br"],
            true,
        ),
    ]);
}

#[test]
fn several_variants_are_kept() {
    let headers = "cache-control: max-age=60\nvary: x-a";
    check([
        scenario(
            "9111 4.1: each answers its own requests",
            [
                fetch(headers, "one").header("x-a: 1"),
                fetch(headers, "two").header("x-a: 2"),
                fetch(headers, "none"),
                cached("one").header("x-a: 1"),
                cached("two").header("x-a: 2"),
                cached("none"),
                fetch(headers, "three").header("x-a: 3"),
                cached("one").header("x-a: 1"),
            ],
        ),
        scenario(
            "9111 4.1: one that has changed leaves the others",
            [
                fetch(headers, "one").header("x-a: 1"),
                fetch(headers, "two").after(50).header("x-a: 2"),
                fetch(headers, "new").after(20).header("x-a: 1"),
                cached("two").header("x-a: 2"),
                cached("new").header("x-a: 1"),
            ],
        ),
    ]);
}

#[test]
fn of_several_that_match_the_newest_counts() {
    check([
        scenario(
            "9111 4.1: as told by Date",
            [
                fetch("cache-control: max-age=1000\nvary: x-a", "old").header("x-a: 1"),
                fetch("cache-control: max-age=1000", "new").after(10).header("x-a: 2"),
                get()
                    .origin("cache-control: max-age=1000", "new")
                    .or_cached()
                    .after(10)
                    .header("x-a: 1")
                    .gives(200, "new"),
            ],
        ),
        scenario(
            "9111 4.1: other selecting fields than before",
            [
                fetch("cache-control: max-age=1000\nvary: x-a", "one").header("x-a: 1").header("x-b: 1"),
                fetch("cache-control: max-age=1000\nvary: x-b", "two")
                    .header("x-a: 2")
                    .header("x-b: 1")
                    .after(10),
                fetch("cache-control: max-age=1000\nvary: x-b", "three")
                    .header("x-a: 2")
                    .header("x-b: 2")
                    .after(10),
                cached("two").header("x-a: 3").header("x-b: 1"),
                cached("three").header("x-a: 3").header("x-b: 2"),
            ],
        ),
    ]);
}

#[test]
fn a_request_that_no_variant_matches_asks_with_all_their_tags() {
    let variant = |tag: &str| format!("cache-control: max-age=600\nvary: x-a\netag: \"{tag}\"");
    let stored = || {
        [
            fetch(&variant("one"), "body one").header("x-a: 1"),
            fetch(&variant("two"), "body two").header("x-a: 2"),
        ]
    };
    check([
        scenario(
            "9111 4.3.1: and a 304 says which one it is",
            stored().into_iter().chain([
                not_modified(&variant("two"), "body two")
                    .header("x-a: 3")
                    .sent_with("if-none-match: \"one\"")
                    .sent_with("if-none-match: \"two\"")
                    .has("etag: \"two\""),
                cached("body one").header("x-a: 1"),
                cached("body two").header("x-a: 2"),
            ]),
        ),
        scenario(
            "9111 4.3.3: or it is none of them",
            stored().into_iter().chain([
                fetch(&variant("three"), "body three").header("x-a: 3"),
                cached("body three").header("x-a: 3"),
                cached("body one").header("x-a: 1"),
            ]),
        ),
    ]);
}
