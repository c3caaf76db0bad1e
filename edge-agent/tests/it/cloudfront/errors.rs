//! CloudFront keeps some errors for a while, whether asked to or not.

use crate::support::scenario::{Scenario, Step, check, get, scenario};

fn answer(status: u16, headers: &str, body: &str) -> Step {
    get().origin_status(&format!("{status} Whatever"), headers, body).gives(status, body)
}

fn kept(status: u16, headers: &str, seconds: u64) -> Scenario {
    scenario(
        format!("{status} with {headers:?} is kept for {seconds}"),
        [
            answer(status, headers, "one"),
            get().after(seconds - 2).gives(status, "one"),
            answer(status, headers, "two").after(4),
        ],
    )
    .cloudfront(0, 100, 1000)
}

fn not_kept(status: u16, headers: &str) -> Scenario {
    scenario(
        format!("{status} with {headers:?} is not kept"),
        [answer(status, headers, "one"), answer(status, headers, "two")],
    )
    .cloudfront(0, 100, 1000)
}

#[test]
fn some_are_always_kept() {
    check([404, 414, 500, 501, 502, 503, 504].into_iter().flat_map(|status| {
        [
            kept(status, "", 10),
            kept(status, "cache-control: max-age=60", 60),
            kept(status, "cache-control: s-maxage=60, max-age=20", 60),
            kept(status, "expires: {now+60}", 60),
            kept(status, "cache-control: max-age=3", 10),
            kept(status, "cache-control: max-age=5000", 1000),
        ]
    }));
}

#[test]
fn some_are_kept_when_the_origin_says_so() {
    check([400, 403, 405, 412, 415].into_iter().flat_map(|status| {
        [
            not_kept(status, ""),
            kept(status, "cache-control: max-age=60", 60),
            kept(status, "cache-control: s-maxage=60", 60),
        ]
    }));
}

#[test]
fn one_is_never_kept() {
    check([not_kept(416, ""), not_kept(416, "cache-control: max-age=60")]);
}

#[test]
fn what_comes_after_an_error_is_kept_as_ever() {
    check([scenario(
        "an error gives way",
        [
            answer(503, "", "error"),
            get().gives(503, "error"),
            get().after(12).origin("", "one").gives(200, "one"),
            get().after(50).gives(200, "one"),
        ],
    )
    .cloudfront(0, 100, 1000)]);
}
