//! Requests that change something make what is stored invalid (RFC 9111 section 4.4).

use headland_proto::v1;

use crate::support::{
    edge::policy,
    scenario::{Scenario, ask, cached, check, fetch, get, head, scenario},
};

const STORED: &str = "cache-control: max-age=1000";

/// What a request with this method and a response with this status do to what is stored for its URI.
fn target(method: &str, status: &str, is_invalidated: bool) -> Scenario {
    let code = status[..3].parse().expect("a status code");
    let body = if code == 204 { "" } else { "done" };
    let next = if is_invalidated { fetch(STORED, "two") } else { cached("one") };
    scenario(
        format!("9111 4.4: {method} with {status}"),
        [
            fetch(STORED, "one"),
            ask(method).origin_status(status, "", body).gives(code, body).asked_with(method),
            next,
        ],
    )
}

#[test]
fn an_unsafe_method_that_succeeds_invalidates_its_target() {
    check(["PUT", "POST", "DELETE", "PATCH", "M-SEARCH"].into_iter().flat_map(|method| {
        [
            "200 OK",
            "201 Created",
            "202 Accepted",
            "204 No Content",
            "299 Whatever",
            "302 Found",
            "303 See Other",
        ]
        .map(move |status| target(method, status, true))
    }));
}

#[test]
fn one_that_fails_does_not() {
    check(["PUT", "POST", "DELETE", "PATCH", "M-SEARCH"].into_iter().flat_map(|method| {
        [
            "400 Bad Request",
            "404 Not Found",
            "409 Conflict",
            "412 Precondition Failed",
            "500 Internal Server Error",
            "503 Service Unavailable",
        ]
        .map(move |status| target(method, status, false))
    }));
    check([scenario(
        "9111 4.4: no response at all is no success",
        [fetch(STORED, "one"), ask("POST").down().status(500..=599), cached("one")],
    )]);
}

#[test]
fn a_safe_method_does_not() {
    check([
        target("OPTIONS", "200 OK", false),
        scenario("9110 9.2.1: HEAD is safe", [fetch(STORED, "one"), head().gives(200, ""), cached("one")]),
        scenario(
            "9111 4.4: nor does what a GET points to",
            [
                fetch(STORED, "one"),
                get()
                    .path("/b")
                    .origin_status("302 Found", "location: /a\ncontent-location: /a", "b")
                    .gives(302, "b"),
                cached("one"),
            ],
        ),
    ]);
}

#[test]
fn every_variant_goes() {
    let headers = "cache-control: max-age=1000\nvary: x-a";
    check([
        scenario(
            "9111 4.4: all stored responses with that target URI",
            [
                fetch(headers, "one").header("x-a: 1"),
                fetch(headers, "two").header("x-a: 2"),
                ask("POST").origin("", "done").header("x-a: 3").gives(200, "done"),
                fetch(headers, "new one").header("x-a: 1"),
                fetch(headers, "new two").header("x-a: 2"),
            ],
        ),
        scenario(
            "9111 4.4: also those that the policy's key tells apart",
            [
                fetch(STORED, "one").header("x-key: 1"),
                fetch(STORED, "two").header("x-key: 2"),
                ask("POST").origin("", "done").header("x-key: 3").gives(200, "done"),
                fetch(STORED, "new one").header("x-key: 1"),
                fetch(STORED, "new two").header("x-key: 2"),
            ],
        )
        .with(|config| policy(config).headers = Some(v1::HeaderSelection { names: vec!["x-key".into()] })),
    ]);
}

#[test]
fn other_targets_stay() {
    check([scenario(
        "9111 4.4: another path",
        [
            fetch(STORED, "one"),
            fetch(STORED, "query").path("/a?q"),
            ask("DELETE").path("/b").origin("", "done").gives(200, "done"),
            cached("one"),
            cached("query").path("/a?q"),
        ],
    )]);
}

/// What a POST to `/dir/x` whose response has this header does to what is stored for `/a`.
fn pointed_to(header: &str, is_invalidated: bool) -> Scenario {
    let next = if is_invalidated { fetch(STORED, "two") } else { cached("one") };
    scenario(
        format!("9111 4.4: a response to POST /dir/x with {header:?}"),
        [
            fetch(STORED, "one"),
            ask("POST").path("/dir/x").origin_status("201 Created", header, "done").gives(201, "done"),
            next,
        ],
    )
}

#[test]
fn what_the_response_points_to_goes_too() {
    check(["location", "content-location"].into_iter().flat_map(|name| {
        [
            "/a",
            "../a",
            "//cdn.test/a",
            "http://cdn.test/a",
            "http://CDN.test/a",
            "http://cdn.test:80/a",
            "HTTP://cdn.test/a",
            "/dir/../a",
            "/a#fragment",
        ]
        .map(move |uri| pointed_to(&format!("{name}: {uri}"), true))
    }));
}

#[test]
fn but_not_of_other_origins() {
    check(["location", "content-location"].into_iter().flat_map(|name| {
        [
            "http://other.test/a",
            "//other.test/a",
            "https://cdn.test/a",
            "http://cdn.test:8080/a",
            "http://cdn.test.other/a",
            "http://cdn.test@other.test/a",
            "ftp://cdn.test/a",
            "urn:a",
            "/b",
            "a",
        ]
        .map(move |uri| pointed_to(&format!("{name}: {uri}"), false))
    }));
}

#[test]
fn nor_when_the_request_failed() {
    check(["location", "content-location"].map(|name| {
        scenario(
            format!("9111 4.4: {name} of an error"),
            [
                fetch(STORED, "one"),
                ask("POST")
                    .path("/b")
                    .origin_status("500 Internal Server Error", &format!("{name}: /a"), "failed")
                    .gives(500, "failed"),
                cached("one"),
            ],
        )
    }));
}

#[test]
fn unsafe_requests_always_reach_the_origin() {
    check(["PUT", "POST", "DELETE", "PATCH"].map(|method| {
        let asked = |answer: &str| {
            ask(method).content("data").origin(STORED, answer).gives(200, answer).asked_with(method)
        };
        scenario(
            format!("9111 4: {method} is written through"),
            [fetch(STORED, "stored"), asked("1"), asked("2"), fetch(STORED, "new"), asked("3")],
        )
    }));
}

#[test]
fn cloudfront_invalidates_nothing() {
    check([scenario(
        "CloudFront: POST leaves what is stored",
        [fetch(STORED, "one"), ask("POST").origin("", "done").gives(200, "done"), cached("one")],
    )
    .cloudfront(0, 100, 10_000)]);
}
