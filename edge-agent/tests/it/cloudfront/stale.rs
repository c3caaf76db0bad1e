//! CloudFront serves an expired object when the origin fails.

use crate::support::scenario::{Scenario, cached, check, fetch, get, not_modified, scenario};

const STORED: &str = "cache-control: max-age=60\netag: \"e\"";

fn cloudfront(scenario: Scenario) -> Scenario {
    scenario.cloudfront(0, 100, 1000)
}

#[test]
fn an_error_of_the_origin_keeps_the_old_object_in_service() {
    check(
        ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"]
            .map(|status| {
                cloudfront(scenario(
                    format!("{status}: the origin is asked once per 10 seconds"),
                    [
                        fetch(STORED, "one"),
                        get().after(70).origin_status(status, "", "error").gives(200, "one"),
                        cached("one"),
                        cached("one").after(8),
                        get().after(4).origin_status(status, "", "error").gives(200, "one"),
                        cached("one").after(8),
                        not_modified("etag: \"e\"", "one").after(4).sent("if-none-match: \"e\""),
                        cached("one").after(50),
                    ],
                ))
            }),
    );
    check([cloudfront(scenario(
        "a connection that is closed without an answer",
        [
            fetch(STORED, "one"),
            get().after(70).origin_bytes("").or_cached().gives(200, "one"),
            cached("one").after(8),
            fetch(STORED, "two").after(4),
        ],
    ))]);
}

#[test]
fn an_error_of_the_viewer_is_passed_on() {
    check(["400 Bad Request", "403 Forbidden", "404 Not Found", "410 Gone"].map(|status| {
        let code = status[..3].parse().expect("a status code");
        cloudfront(scenario(
            status,
            [fetch(STORED, "one"), get().after(70).origin_status(status, "", "gone").gives(code, "gone")],
        ))
    }));
}

#[test]
fn an_origin_that_is_gone_is_not_missed() {
    let gone = |control: &str| {
        cloudfront(scenario(
            format!("{control:?}, and the origin is gone"),
            [
                fetch(&format!("{control}\netag: \"e\""), "one"),
                get().after(110).down().gives(200, "one"),
                get().down().gives(200, "one"),
            ],
        ))
    };
    check([
        gone("cache-control: max-age=60"),
        gone("x-nothing: 1"),
        gone("cache-control: max-age=60, stale-if-error=100"),
        gone("cache-control: s-maxage=60"),
        scenario(
            "no-store with a minimum TTL",
            [fetch("cache-control: no-store", "one"), get().after(60).down().gives(200, "one")],
        )
        .cloudfront(50, 100, 1000),
        cloudfront(scenario("nothing is stored", [get().down().status(500..=599).x_cache("Error")])),
    ]);
}

#[test]
fn stale_if_error_0_forbids_it() {
    check([
        cloudfront(scenario(
            "max-age",
            [
                fetch("cache-control: max-age=60, stale-if-error=0", "one"),
                get().after(70).down().status(500..=599),
            ],
        )),
        scenario(
            "no-store with a minimum TTL",
            [
                fetch("cache-control: no-store, stale-if-error=0", "one"),
                get().after(60).down().status(500..=599),
            ],
        )
        .cloudfront(50, 100, 1000),
    ]);
}

#[test]
fn what_the_origin_allows_is_honoured() {
    let while_revalidate = "cache-control: max-age=60, stale-while-revalidate=60";
    check([
        cloudfront(scenario(
            "stale-while-revalidate",
            [
                fetch(while_revalidate, "one"),
                cached("one").after(70).origin(while_revalidate, "two").in_background(),
                cached("two").until("two"),
            ],
        )),
        cloudfront(scenario(
            "stale-while-revalidate, after its time",
            [fetch(while_revalidate, "one"), fetch(while_revalidate, "two").after(130)],
        )),
        cloudfront(scenario(
            "stale-if-error",
            [
                fetch("cache-control: max-age=60, stale-if-error=60", "one"),
                get().after(70).origin_status("503 Service Unavailable", "", "error").gives(200, "one"),
            ],
        )),
    ]);
}
