//! Which responses may be stored (RFC 9111 section 3).

use crate::support::scenario::{Scenario, ask, cached, check, fetch, get, scenario};

/// A response with these headers answers the next request.
fn stored(name: &str, headers: &str) -> Scenario {
    scenario(name, [fetch(headers, "one"), cached("one")])
}

/// A response with these headers does not.
fn not_stored(name: &str, headers: &str) -> Scenario {
    scenario(name, [fetch(headers, "one"), fetch(headers, "two")])
}

#[test]
fn what_forbids_storing() {
    check([
        not_stored("9111 5.2.2.5: no-store", "cache-control: no-store"),
        not_stored("9111 5.2.2.5: no-store beside a lifetime", "cache-control: max-age=60, no-store"),
        not_stored("9111 5.2: directives are case-insensitive", "cache-control: max-age=60, No-STORE"),
        not_stored("9110 5.3: lines are one list", "cache-control: max-age=60\ncache-control: no-store"),
        not_stored("9111 5.2.2.7: private", "cache-control: max-age=60, private"),
        not_stored("9111 5.2.2.7: private beside s-maxage", "cache-control: s-maxage=60, private"),
        not_stored("9111 5.2.2.7: private with Expires", "cache-control: private\nexpires: {now+60}"),
        not_stored("9111 3: nothing that says for how long", "x-nothing: 1"),
        not_stored(
            "9111 5.2.2.4: no-cache is never reused without asking",
            "cache-control: no-cache, max-age=60",
        ),
    ]);
}

#[test]
fn what_does_not_forbid_storing() {
    check([
        stored("9111 5.2.2.1: max-age", "cache-control: max-age=60"),
        stored("9111 5.2.2.10: s-maxage", "cache-control: s-maxage=60"),
        stored("9111 5.3: Expires", "expires: {now+60}"),
        stored("9111 5.2.2.9: public", "cache-control: public, max-age=60"),
        stored("9111 7.3: Set-Cookie", "cache-control: max-age=60\nset-cookie: a=1"),
        stored("9111 5.4: Pragma means nothing in a response", "cache-control: max-age=60\npragma: no-cache"),
        stored("9111 5.4: Pragma does not end a heuristic", "last-modified: {now-10000}\npragma: no-cache"),
        stored(
            "9111 5.2.3: an unknown directive",
            "cache-control: community=\"UCI\", x-no-store, max-age=60",
        ),
        stored(
            "9111 5.2.3: a directive's name in a quoted string",
            "cache-control: x=\"a, no-store\", max-age=60",
        ),
        stored("9111 5.2.2.6: no-transform", "cache-control: no-transform, max-age=60"),
        stored("8246 2: immutable", "cache-control: max-age=60, immutable"),
    ]);
}

#[test]
fn immutable_without_a_lifetime_is_no_lifetime() {
    check([
        not_stored("8246 2: immutable alone", "cache-control: immutable"),
        scenario(
            "8246 2: immutable ends with freshness",
            [
                fetch("cache-control: max-age=60, immutable", "one"),
                fetch("cache-control: max-age=60, immutable", "two").after(70),
            ],
        ),
    ]);
}

#[test]
fn set_cookie_is_stored_with_the_rest() {
    check([scenario(
        "9111 7.3: Set-Cookie is reused unless the response says otherwise",
        [
            fetch("cache-control: max-age=60\nset-cookie: a=1\nset-cookie: b=2", "one")
                .has("set-cookie: a=1, b=2"),
            cached("one").has("set-cookie: a=1, b=2"),
        ],
    )]);
}

/// Every kind of final status, with content where it may have any.
const STATUSES: [&str; 24] = [
    "200 OK",
    "203 Non-Authoritative Information",
    "204 No Content",
    "299 Whatever",
    "300 Multiple Choices",
    "301 Moved Permanently",
    "302 Found",
    "303 See Other",
    "307 Temporary Redirect",
    "308 Permanent Redirect",
    "400 Bad Request",
    "403 Forbidden",
    "404 Not Found",
    "405 Method Not Allowed",
    "410 Gone",
    "414 URI Too Long",
    "451 Unavailable For Legal Reasons",
    "499 Whatever",
    "500 Internal Server Error",
    "501 Not Implemented",
    "502 Bad Gateway",
    "503 Service Unavailable",
    "504 Gateway Timeout",
    "599 Whatever",
];

fn code(status: &str) -> u16 {
    status[..3].parse().expect("a status code")
}

fn body(status: &str) -> &'static str {
    if status.starts_with("204") { "" } else { "one" }
}

#[test]
fn any_final_status_with_an_explicit_lifetime_is_stored() {
    check(STATUSES.into_iter().flat_map(|status| {
        let headers = "cache-control: max-age=60";
        let fetched = || get().origin_status(status, headers, body(status)).gives(code(status), body(status));
        [
            scenario(
                format!("9111 3: {status} with max-age is reused"),
                [fetched(), get().gives(code(status), body(status))],
            ),
            scenario(
                format!("9111 4.2: {status} is not reused once stale"),
                [fetched(), fetched().after(70)],
            ),
        ]
    }));
}

#[test]
fn any_status_that_may_not_be_stored_is_not() {
    check(STATUSES.into_iter().map(|status| {
        let fetched = || {
            get()
                .origin_status(status, "cache-control: no-store, max-age=60", body(status))
                .gives(code(status), body(status))
        };
        scenario(format!("9111 5.2.2.5: {status} with no-store"), [fetched(), fetched()])
    }));
}

#[test]
fn a_heuristic_is_a_tenth_of_the_time_since_the_last_change() {
    // RFC 9110 section 15.1.
    let heuristically_cacheable =
        ["200", "203", "204", "300", "301", "308", "404", "405", "410", "414", "501"];
    check(heuristically_cacheable.map(|status| {
        let fetched = || {
            get()
                .origin_status(&format!("{status} Whatever"), "last-modified: {start-1000}", body(status))
                .gives(code(status), body(status))
        };
        let from_cache = || get().gives(code(status), body(status));
        scenario(
            format!("9111 4.2.2: {status} with Last-Modified 1000 seconds ago is fresh for 100"),
            [fetched(), from_cache().after(95), fetched().after(10)],
        )
    }));
}

#[test]
fn no_heuristic_where_there_may_be_none() {
    let other = ["201", "302", "303", "307", "400", "403", "500", "502", "503", "504", "599"];
    check(other.map(|status| {
        let fetched = || {
            get()
                .origin_status(&format!("{status} Whatever"), "last-modified: {start-1000}", "one")
                .gives(code(status), "one")
        };
        scenario(format!("9111 4.2.2: {status} is not heuristically cacheable"), [fetched(), fetched()])
    }));
    check([
        not_stored(
            "9111 4.2.2: explicit max-age ends it",
            "cache-control: max-age=0\nlast-modified: {start-1000}",
        ),
        not_stored("9111 4.2.2: explicit Expires ends it", "expires: {now-1}\nlast-modified: {start-1000}"),
        not_stored("9111 5.3: invalid Expires ends it", "expires: 0\nlast-modified: {start-1000}"),
        not_stored("9111 4.2.2: a change in the future tells nothing", "last-modified: {now+1000}"),
        not_stored("9111 4.2.2: not with no-store", "cache-control: no-store\nlast-modified: {start-1000}"),
        not_stored("9111 4.2.2: not with private", "cache-control: private\nlast-modified: {start-1000}"),
    ]);
}

#[test]
fn must_understand_sets_no_store_aside_for_known_statuses_only() {
    let unknown = |name: &str, directives: &str| {
        let fetched = || {
            get()
                .origin_status("299 Whatever", &format!("cache-control: {directives}"), "one")
                .gives(299, "one")
        };
        scenario(name, [fetched(), fetched()])
    };
    check([
        stored("9111 5.2.2.3: with no-store, known", "cache-control: must-understand, no-store, max-age=60"),
        stored("9111 5.2.2.3: order is nothing", "cache-control: max-age=60, no-store, must-understand"),
        stored("9111 5.2.2.3: alone, known", "cache-control: must-understand, max-age=60"),
        not_stored(
            "9111 5.2.2.3: private remains",
            "cache-control: must-understand, no-store, private, max-age=60",
        ),
        unknown("9111 3: alone, unknown", "must-understand, max-age=60"),
        unknown("9111 5.2.2.3: with no-store, unknown", "must-understand, no-store, max-age=60"),
    ]);
}

#[test]
fn responses_to_other_methods_do_not_answer_a_get() {
    check(["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "M-SEARCH"].map(|method| {
        scenario(
            format!("9111 3: a response to {method}"),
            [
                ask(method).origin("cache-control: max-age=60", "other").gives(200, "other"),
                fetch("cache-control: max-age=60", "one"),
                ask(method).origin("cache-control: max-age=60", "again").gives(200, "again"),
            ],
        )
    }));
}

#[test]
fn the_target_uri_is_the_key() {
    check([scenario(
        "9111 4: the presented target URI and that of the stored response match",
        [
            fetch("cache-control: max-age=60", "one").path("/a"),
            fetch("cache-control: max-age=60", "two").path("/a?q=1"),
            fetch("cache-control: max-age=60", "three").path("/A"),
            cached("one").path("/a"),
            cached("two").path("/a?q=1"),
            cached("three").path("/A"),
        ],
    )]);
}
