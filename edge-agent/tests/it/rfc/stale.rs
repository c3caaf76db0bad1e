//! Stale responses: when they may be served, and when never (RFC 9111 section 4.2.4, RFC 5861).

use crate::support::scenario::{Scenario, cached, check, fetch, get, not_modified, scenario};

/// An origin that is gone once the response with this Cache-Control is stale.
fn gone(directives: &str, is_served: bool) -> Scenario {
    let headers = format!("cache-control: {directives}");
    let last = get().after(120).down();
    let last = if is_served { last.gives(200, "one").age(120) } else { last.status(500..=599) };
    scenario(format!("9111 4.2.4: {directives}, no origin"), [fetch(&headers, "one"), last])
}

#[test]
fn a_stale_response_is_served_when_the_origin_is_gone() {
    check([
        gone("max-age=100", true),
        gone("max-age=100, public", true),
        gone("max-age=100, stale-if-error=60", true),
        // RFC 5861 section 4: beyond the window it is not used.
        gone("max-age=100, stale-if-error=10", false),
        gone("max-age=100, stale-if-error=0", false),
        gone("max-age=100, stale-while-revalidate=1", true),
        scenario(
            "9111 4.2.4: a connection that is closed without an answer",
            [
                fetch("cache-control: max-age=100", "one"),
                get().origin_bytes("").or_cached().after(120).gives(200, "one"),
            ],
        ),
        scenario(
            "9111 4.2.4: it is asked again when it is back",
            [
                fetch("cache-control: max-age=100\netag: \"e\"", "one"),
                get().after(120).down().gives(200, "one"),
                // Whatever keeps an edge from asking too often is over by then.
                fetch("cache-control: max-age=100\netag: \"f\"", "two").after(600),
                cached("two"),
            ],
        ),
        scenario("9111 4.2.4: nothing stored", [get().down().status(500..=599)]),
        scenario(
            "9111 4.2.4: for HEAD too",
            [
                fetch("cache-control: max-age=100", "one"),
                crate::support::scenario::head().after(120).down().gives(200, "").has("content-length: 3"),
            ],
        ),
    ]);
}

#[test]
fn some_directives_forbid_it() {
    check([
        gone("max-age=100, must-revalidate", false),
        gone("max-age=100, proxy-revalidate", false),
        gone("s-maxage=100", false),
        gone("max-age=1000, s-maxage=100", false),
        gone("max-age=100, no-cache", false),
        gone("no-cache", false),
        gone("max-age=100, Must-Revalidate", false),
        gone("max-age=100, must-revalidate, stale-if-error=1000", false),
        gone("max-age=100, must-revalidate, stale-while-revalidate=1000", false),
    ]);
}

#[test]
fn must_revalidate_does_not_forbid_what_is_fresh() {
    check(["max-age=100, must-revalidate", "max-age=100, proxy-revalidate", "s-maxage=100"].map(
        |directives| {
            scenario(
                format!("9111 5.2.2.2: {directives}"),
                [
                    fetch(&format!("cache-control: {directives}\netag: \"e\""), "one"),
                    cached("one").after(50).down(),
                    not_modified("etag: \"e\"", "one").after(70).sent("if-none-match: \"e\""),
                    cached("one").after(50),
                ],
            )
        },
    ));
}

const ERRORS: [(&str, u16); 4] = [
    ("500 Internal Server Error", 500),
    ("502 Bad Gateway", 502),
    ("503 Service Unavailable", 503),
    ("504 Gateway Timeout", 504),
];

#[test]
fn an_error_of_the_origin_is_passed_on() {
    check(ERRORS.map(|(status, code)| {
        scenario(
            format!("9111 4.3.3: {status}"),
            [
                fetch("cache-control: max-age=100\netag: \"e\"", "one"),
                get().origin_status(status, "", "error").after(120).gives(code, "error"),
                fetch("cache-control: max-age=100\netag: \"f\"", "two").after(600),
            ],
        )
    }));
}

#[test]
fn stale_if_error() {
    let stored = "cache-control: max-age=100, stale-if-error=60\netag: \"e\"";
    check(ERRORS.map(|(status, code)| {
        scenario(
            format!("5861 4: {status}"),
            [
                fetch(stored, "one"),
                get().origin_status(status, "", "error").after(120).gives(200, "one").age(120),
                get().origin_status(status, "", "error").after(600).gives(code, "error"),
            ],
        )
    }));
    check([
        scenario("5861 4: no error", [fetch(stored, "one"), fetch(stored, "two").after(120), cached("two")]),
        scenario(
            "5861 4: 404 is not an error in this sense",
            [
                fetch(stored, "one"),
                get().origin_status("404 Not Found", "", "gone").after(120).gives(404, "gone"),
            ],
        ),
        scenario(
            "9111 5.2.2.2: must-revalidate is stronger",
            [
                fetch("cache-control: max-age=100, stale-if-error=60, must-revalidate", "one"),
                get().origin_status("503 Service Unavailable", "", "error").after(120).gives(503, "error"),
            ],
        ),
    ]);
}

const REVALIDATED: &str = "cache-control: max-age=100, stale-while-revalidate=60\netag: \"e\"";

#[test]
fn stale_while_revalidate_serves_at_once() {
    check([
        scenario(
            "5861 3: and the next one is new",
            [
                fetch(REVALIDATED, "one"),
                cached("one").after(120).origin(REVALIDATED, "two").in_background().age(120),
                cached("two").until("two"),
            ],
        ),
        scenario(
            "5861 3: with validation",
            [
                fetch(REVALIDATED, "one"),
                cached("one")
                    .after(120)
                    .origin_status("304 Not Modified", &format!("{REVALIDATED}\nx-new: 1"), "")
                    .in_background()
                    .sent("if-none-match: \"e\""),
            ],
        ),
        scenario(
            "5861 3: not after its time",
            [fetch(REVALIDATED, "one"), fetch(REVALIDATED, "two").after(170), cached("two")],
        ),
        scenario(
            "5861 3: not before the response is stale",
            [fetch(REVALIDATED, "one"), cached("one").after(90)],
        ),
        scenario(
            "9111 5.2.2.2: must-revalidate is stronger",
            [
                fetch("cache-control: max-age=100, stale-while-revalidate=60, must-revalidate", "one"),
                fetch("cache-control: max-age=100", "two").after(120),
            ],
        ),
        scenario(
            "9111 5.2.1.4: a viewer that asks for no-cache waits",
            [
                fetch(REVALIDATED, "one"),
                fetch(REVALIDATED, "two").after(120).header("cache-control: no-cache"),
            ],
        ),
    ]);
}

#[test]
fn a_revalidation_in_the_background_that_fails_harms_nobody() {
    check([scenario(
        "5861 3: the origin is gone",
        [
            fetch(REVALIDATED, "one"),
            get().after(120).down().gives(200, "one"),
            get().down().gives(200, "one"),
        ],
    )]);
}

#[test]
fn an_argument_that_is_no_number_permits_nothing() {
    check(["stale-while-revalidate", "stale-while-revalidate=x", "stale-while-revalidate=-60"].map(
        |directive| {
            scenario(
                format!("5861 3: {directive}"),
                [
                    fetch(&format!("cache-control: max-age=100, {directive}"), "one"),
                    fetch("cache-control: max-age=100", "two").after(120),
                ],
            )
        },
    ));
    check(["stale-if-error", "stale-if-error=x", "stale-if-error=-60"].map(|directive| {
        scenario(
            format!("5861 4: {directive}"),
            [
                fetch(&format!("cache-control: max-age=100, {directive}"), "one"),
                get().origin_status("503 Service Unavailable", "", "error").after(120).gives(503, "error"),
            ],
        )
    }));
}
