//! Methods other than GET and HEAD (RFC 9110 section 9), and Max-Forwards (section 7.6.2).

use crate::support::{
    edge::behavior,
    scenario::{ask, cached, check, fetch, scenario},
};

const STORED: &str = "cache-control: max-age=60";

#[test]
fn options_with_max_forwards() {
    let forwarded = |before: &str, after: &str| {
        scenario(
            format!("9110 7.6.2: OPTIONS with Max-Forwards {before}"),
            [ask("OPTIONS")
                .header(&format!("max-forwards: {before}"))
                .origin("allow: GET", "")
                .status(200..=200)
                .has("allow: GET")
                .asked_with("OPTIONS")
                .sent(&format!("max-forwards: {after}"))],
        )
    };
    check([
        scenario(
            "9110 7.6.2: 0 is answered here",
            [ask("OPTIONS").header("max-forwards: 0").status(200..=299)],
        ),
        forwarded("1", "0"),
        forwarded("10", "9"),
        scenario(
            "9110 7.6.2: none is none",
            [ask("OPTIONS").origin("allow: GET", "").status(200..=200).unsent("max-forwards")],
        ),
    ]);
}

#[test]
fn options_is_not_cached() {
    let asked = || ask("OPTIONS").origin(STORED, "o").gives(200, "o");
    check([scenario(
        "9110 9.3.7: not cacheable",
        [asked(), asked(), fetch(STORED, "one"), asked(), cached("one")],
    )]);
}

#[test]
fn trace_is_refused() {
    check([
        scenario("9110 9.3.8", [ask("TRACE").status(405..=405).has_some("allow")]),
        scenario("9110 9.3.8", [ask("TRACE").header("max-forwards: 5").status(405..=405)]),
        scenario("9110 9.3.8", [ask("TRACE").header("max-forwards: 0").status(405..=405)]),
        scenario(
            "9110 9.3.8: and nothing of the request comes back",
            [ask("TRACE").header("x-secret: s3cr3t").response("TRACE tells a secret", |response| {
                !String::from_utf8_lossy(&response.body).contains("s3cr3t")
            })],
        ),
    ]);
}

#[test]
fn unknown_methods_pass_where_all_are_allowed() {
    check(["M-SEARCH", "REPORT", "PROPFIND", "QUERYX"].map(|method| {
        let asked =
            |body: &str| ask(method).content("data").origin(STORED, body).gives(200, body).asked_with(method);
        scenario(
            format!("9110 9.1: {method} is passed on and never answered from the cache"),
            [fetch(STORED, "stored"), asked("1"), asked("2")],
        )
    }));
}

#[test]
fn methods_that_are_not_allowed_do_not_pass() {
    check(["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "M-SEARCH", "get"].map(|method| {
        scenario(format!("9110 9.1: {method}"), [ask(method).status(400..=501)])
            .with(|config| behavior(config).allowed_methods = vec!["GET".into(), "HEAD".into()])
    }));
}

#[test]
fn post_is_not_answered_from_the_cache() {
    let asked = |body: &str| ask("POST").content("data").origin(STORED, body).gives(200, body);
    check([scenario("9110 9.3.3: POST", [asked("1"), asked("2"), fetch(STORED, "one"), asked("3")])]);
}

#[test]
fn what_is_not_idempotent_is_sent_once() {
    check(["POST", "PATCH"].map(|method| {
        scenario(
            format!("9110 9.2.2: {method}, and the connection is closed without an answer"),
            [ask(method).content("data").origin_bytes("").status(502..=502).asked_with(method)],
        )
    }));
}

#[test]
fn a_repetition_is_not_repeated() {
    let closed = || ask("GET").origin_bytes("").origin_bytes("");
    check([scenario(
        "9110 9.2.2: GET, and the connection is closed without an answer, twice",
        [closed().status(502..=502)],
    )]);
}
