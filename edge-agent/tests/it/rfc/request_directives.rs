//! What a viewer asks of the cache (RFC 9111 section 5.2.1).

use crate::support::scenario::{Scenario, Step, cached, check, fetch, get, not_modified, scenario};

const STORED: &str = "cache-control: max-age=100\netag: \"e\"";

/// A stored response, 50 seconds old and fresh for 50 more, and a request with this Cache-Control.
fn half_way(directives: &str, step: Step) -> Scenario {
    let request = format!("cache-control: {directives}");
    scenario(
        format!("9111 5.2.1: {directives} at age 50 of 100"),
        [fetch(STORED, "one"), step.after(50).header(&request)],
    )
}

/// A stored response, stale for 20 seconds, and a request with this Cache-Control.
fn stale(directives: &str, stored: &str, step: Step) -> Scenario {
    let request = format!("cache-control: {directives}");
    scenario(
        format!("9111 5.2.1: {directives}, {stored:?} is stale for 20"),
        [fetch(stored, "one"), step.after(120).header(&request)],
    )
}

#[test]
fn max_age_and_min_fresh() {
    let asked = || get().origin(STORED, "two").gives(200, "two");
    check([
        half_way("max-age=10", asked()),
        half_way("max-age=0", asked()),
        half_way("MAX-AGE=10", asked()),
        half_way("max-age=\"10\"", asked()),
        half_way("max-age=80", cached("one")),
        half_way("min-fresh=60", asked()),
        half_way("min-fresh=40", cached("one")),
        half_way("max-age=80, min-fresh=60", asked()),
        half_way("max-age=80, min-fresh=40", cached("one")),
    ]);
}

#[test]
fn max_stale() {
    let asked = || fetch(STORED, "two");
    let plain = "cache-control: max-age=100";
    check([
        stale("max-stale", plain, cached("one").age(120)),
        stale("max-stale=60", plain, cached("one").age(120)),
        stale("max-stale=10", plain, asked()),
        stale("max-stale=0", plain, asked()),
        stale("max-age=1000", plain, asked()),
        stale("max-stale, no-cache", plain, asked()),
        stale("max-stale, max-age=50", plain, asked()),
        stale("max-stale", "cache-control: max-age=100, must-revalidate", asked()),
        stale("max-stale", "cache-control: max-age=100, proxy-revalidate", asked()),
        stale("max-stale", "cache-control: s-maxage=100", asked()),
        stale("max-stale=60", "cache-control: s-maxage=100, max-age=200", asked()),
        stale("max-stale", "cache-control: max-age=100, no-cache", asked()),
    ]);
}

#[test]
fn no_cache_asks_the_origin() {
    check([
        half_way("no-cache", not_modified(STORED, "one").sent("if-none-match: \"e\"")),
        half_way("No-Cache", not_modified(STORED, "one").sent("if-none-match: \"e\"")),
        half_way("no-cache, max-age=1000", fetch(STORED, "two")),
        half_way("max-age=1000, no-cache", fetch(STORED, "two")),
        scenario(
            "9111 5.2.1.4: what comes of it is there for others",
            [fetch(STORED, "one"), fetch(STORED, "two").header("cache-control: no-cache"), cached("two")],
        ),
    ]);
}

#[test]
fn no_store_stores_nothing() {
    check([
        scenario(
            "9111 5.2.1.5: nothing of the response is stored",
            [fetch(STORED, "one").header("cache-control: no-store"), fetch(STORED, "two"), cached("two")],
        ),
        scenario(
            "9111 5.2.1.5: nor does it replace what is stored",
            [
                fetch(STORED, "one"),
                get()
                    .origin(STORED, "two")
                    .or_cached()
                    .header("cache-control: no-store, no-cache")
                    .status(200..=200),
                // Whatever was stored before may remain or go; the response to no-store is not it.
                get()
                    .origin(STORED, "three")
                    .or_cached()
                    .response("a response to no-store was stored", |response| response.body != b"two"),
            ],
        ),
    ]);
}

#[test]
fn only_if_cached_never_asks() {
    let only = "cache-control: only-if-cached";
    check([
        scenario("9111 5.2.1.7: nothing stored", [get().header(only).status(504..=504)]),
        scenario("9111 5.2.1.7: fresh", [fetch(STORED, "one"), cached("one").header(only)]),
        scenario(
            "9111 5.2.1.7: stale",
            [fetch(STORED, "one"), get().after(120).header(only).status(504..=504)],
        ),
        scenario(
            "9111 5.2.1.7: stale, and the viewer accepts that",
            [
                fetch("cache-control: max-age=100", "one"),
                cached("one").after(120).header("cache-control: only-if-cached, max-stale=60"),
            ],
        ),
        scenario(
            "9111 5.2.1.7: other constraints count",
            [
                fetch(STORED, "one"),
                get().after(50).header("cache-control: only-if-cached, max-age=10").status(504..=504),
            ],
        ),
        scenario(
            "9111 5.2.1.7: needs validation",
            [fetch("cache-control: no-cache, max-age=100", "one"), get().header(only).status(504..=504)],
        ),
        scenario(
            "9111 5.2.1.7: another variant",
            [
                fetch("cache-control: max-age=60\nvary: x-a", "one").header("x-a: 1"),
                get().header("x-a: 2").header(only).status(504..=504),
                cached("one").header("x-a: 1").header(only),
            ],
        ),
        scenario(
            "9111 5.2.1.7: a HEAD too",
            [crate::support::scenario::head().header(only).status(504..=504)],
        ),
    ]);
}

#[test]
fn pragma_counts_only_where_there_is_no_cache_control() {
    check([
        scenario(
            "7234 5.4: no-cache",
            [fetch(STORED, "one"), fetch(STORED, "two").header("pragma: no-cache")],
        ),
        scenario(
            "7234 5.4: Cache-Control is there",
            [
                fetch(STORED, "one"),
                cached("one").header("pragma: no-cache").header("cache-control: max-age=1000"),
            ],
        ),
        scenario(
            "7234 5.4: other directives",
            [fetch(STORED, "one"), cached("one").header("pragma: x-other")],
        ),
    ]);
}

#[test]
fn cloudfront_does_not_listen_to_viewers() {
    check(
        [
            "cache-control: no-cache",
            "cache-control: max-age=0",
            "cache-control: min-fresh=1000",
            "cache-control: no-store",
            "cache-control: only-if-cached",
            "pragma: no-cache",
        ]
        .map(|header| {
            scenario(
                format!("CloudFront: a viewer's {header:?} is ignored"),
                [
                    fetch("cache-control: max-age=60", "one").header(header),
                    cached("one").header(header),
                    fetch("cache-control: max-age=60", "two").after(70).header(header),
                ],
            )
            .cloudfront(0, 100, 1000)
        }),
    );
}

#[test]
fn directives_are_passed_on() {
    check([scenario(
        "9111 5.2: a cache must pass cache directives through",
        [fetch(STORED, "one").header("cache-control: max-age=0, x-y=1").sent_with("cache-control: x-y=1")],
    )]);
}

#[test]
fn what_is_immutable_is_not_asked_about_while_it_is_fresh() {
    let immutable = "cache-control: max-age=100, immutable";
    check([
        scenario(
            "8246 2.1: max-age=0 is how viewers reload",
            [
                fetch(immutable, "one"),
                cached("one").after(50).header("cache-control: max-age=0"),
                fetch(immutable, "two").after(60).header("cache-control: max-age=0"),
            ],
        ),
        scenario(
            "8246 2.1: no-cache is a signal",
            [fetch(immutable, "one"), fetch(immutable, "two").header("cache-control: no-cache")],
        ),
        scenario(
            "8246 2: in a request it has no effect",
            [fetch(STORED, "one"), fetch(STORED, "two").header("cache-control: max-age=0, immutable")],
        ),
    ]);
}
