//! Responses to requests with Authorization (RFC 9111 section 3.5).

use crate::support::scenario::{cached, check, fetch, scenario};

const CREDENTIALS: &str = "authorization: Basic eDp5";

#[test]
fn a_response_to_one_is_not_for_others() {
    check(
        ["max-age=60", "max-age=60, proxy-revalidate", "max-age=60, immutable", "private, max-age=60"].map(
            |directives| {
                let headers = format!("cache-control: {directives}");
                scenario(
                    format!("9111 3.5: {directives}"),
                    [
                        fetch(&headers, "mine").header(CREDENTIALS).sent(CREDENTIALS),
                        fetch(&headers, "mine again").header(CREDENTIALS),
                        fetch(&headers, "everybody's").unsent("authorization"),
                    ],
                )
            },
        ),
    );
    check([scenario(
        "9111 3.5: Expires and heuristics permit nothing",
        [
            fetch("expires: {now+60}\nlast-modified: {start-1000}", "mine").header(CREDENTIALS),
            fetch("expires: {now+60}\nlast-modified: {start-1000}", "everybody's"),
        ],
    )]);
}

#[test]
fn some_directives_permit_it() {
    check(["public, max-age=60", "s-maxage=60", "must-revalidate, max-age=60"].map(|directives| {
        let headers = format!("cache-control: {directives}");
        scenario(
            format!("9111 3.5: {directives}"),
            [
                fetch(&headers, "one").header(CREDENTIALS),
                cached("one").header(CREDENTIALS),
                cached("one").header("authorization: Basic b3RoZXI="),
                cached("one"),
            ],
        )
    }));
}

#[test]
fn what_was_stored_for_everybody_answers_those_with_credentials() {
    check([scenario(
        "9111 3.5: the rule is about the stored response's request",
        [fetch("cache-control: max-age=60", "one"), cached("one").header(CREDENTIALS)],
    )]);
}
