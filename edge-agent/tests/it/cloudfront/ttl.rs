//! How long CloudFront keeps objects: minimum, default and maximum TTL over what the origin says.

use crate::support::scenario::{Scenario, cached, check, fetch, get, not_modified, scenario};

const DEFAULT: i64 = 100;
const MAXIMUM: i64 = 1000;

/// With this minimum TTL, kept for that many seconds and no longer.
fn kept(minimum: i64, headers: &str, seconds: u64) -> Scenario {
    scenario(
        format!("minimum {minimum}: {headers:?} is kept for {seconds}"),
        [fetch(headers, "one"), cached("one").after(seconds - 2), fetch(headers, "two").after(4)],
    )
    .cloudfront(minimum, DEFAULT, MAXIMUM)
}

fn not_kept(headers: &str) -> Scenario {
    scenario(format!("minimum 0: {headers:?} is not kept"), [fetch(headers, "one"), fetch(headers, "two")])
        .cloudfront(0, DEFAULT, MAXIMUM)
}

#[test]
fn without_a_minimum() {
    check([
        kept(0, "cache-control: max-age=60", 60),
        kept(0, "cache-control: max-age=5000", 1000),
        kept(0, "cache-control: max-age=10, s-maxage=60", 60),
        kept(0, "cache-control: max-age=10, s-maxage=5000", 1000),
        kept(0, "expires: {now+60}", 60),
        kept(0, "expires: {now+5000}", 1000),
        kept(0, "cache-control: max-age=60\nexpires: {now+500}", 60),
        kept(0, "x-nothing: 1", 100),
        kept(0, "last-modified: {now-100000}", 100),
        kept(0, "cache-control: public", 100),
        kept(0, "pragma: no-cache", 100),
        not_kept("cache-control: no-store"),
        not_kept("cache-control: no-cache"),
        not_kept("cache-control: private"),
        not_kept("cache-control: private, max-age=60"),
        not_kept("cache-control: no-cache, max-age=60"),
        not_kept("cache-control: no-store, s-maxage=60"),
        not_kept("cache-control: max-age=0"),
        not_kept("expires: {now-60}"),
        not_kept("expires: 0"),
    ]);
}

#[test]
fn with_a_minimum() {
    check([
        kept(50, "cache-control: max-age=60", 60),
        kept(50, "cache-control: max-age=10", 50),
        kept(50, "cache-control: max-age=0", 50),
        kept(50, "cache-control: max-age=5000", 1000),
        kept(50, "cache-control: max-age=600, s-maxage=10", 50),
        kept(50, "cache-control: max-age=10, s-maxage=60", 60),
        kept(50, "expires: {now+60}", 60),
        kept(50, "expires: {now+10}", 50),
        kept(50, "expires: {now-10}", 50),
        kept(50, "expires: 0", 50),
        kept(50, "expires: {now+5000}", 1000),
        kept(50, "x-nothing: 1", 100),
        kept(50, "cache-control: no-store", 50),
        kept(50, "cache-control: no-cache", 50),
        kept(50, "cache-control: private", 50),
        kept(50, "cache-control: private, max-age=600", 50),
    ]);
}

#[test]
fn a_vary_star_is_fetched_each_time() {
    let headers = "cache-control: max-age=60\nvary: *\netag: \"e\"";
    check([scenario(
        "Vary: * with a minimum of 0",
        [
            fetch(headers, "one"),
            fetch(headers, "two").unsent("if-none-match"),
            fetch(headers, "three").unsent("if-none-match"),
        ],
    )
    .cloudfront(0, DEFAULT, MAXIMUM)]);
}

#[test]
fn an_expired_object_is_fetched_on_condition() {
    let stored = "cache-control: max-age=60\netag: \"e\"";
    check([
        scenario(
            "304 renews the TTL",
            [
                fetch(stored, "one").x_cache("Miss"),
                cached("one").after(50).x_cache("Hit").age(50),
                not_modified("etag: \"e\"", "one")
                    .after(20)
                    .sent("if-none-match: \"e\"")
                    .x_cache("RefreshHit"),
                cached("one").after(50).x_cache("Hit"),
                fetch(stored, "two").after(20).x_cache("Miss"),
                cached("two").x_cache("Hit"),
            ],
        )
        .cloudfront(0, DEFAULT, MAXIMUM),
        scenario(
            "304 by the time of the last change",
            [
                fetch("last-modified: {start-1000}", "one"),
                not_modified("last-modified: {start-1000}", "one")
                    .after(110)
                    .sent("if-modified-since: {start-1000}")
                    .x_cache("RefreshHit"),
                cached("one").after(90).x_cache("Hit"),
            ],
        )
        .cloudfront(0, DEFAULT, MAXIMUM),
        scenario(
            "304 with a minimum",
            [
                fetch("cache-control: no-cache\netag: \"e\"", "one"),
                not_modified("cache-control: no-cache\netag: \"e\"", "one").after(60).x_cache("RefreshHit"),
                cached("one").after(40).x_cache("Hit"),
            ],
        )
        .cloudfront(50, DEFAULT, MAXIMUM),
    ]);
}

#[test]
fn the_same_words_in_rfc9111() {
    let stored = "cache-control: max-age=60\netag: \"e\"";
    check([scenario(
        "X-Cache: Hit, Miss, RefreshHit, Error",
        [
            fetch(stored, "one").x_cache("Miss"),
            cached("one").x_cache("Hit"),
            not_modified("etag: \"e\"", "one").after(70).x_cache("RefreshHit"),
            get().path("/b").down().status(500..=599).x_cache("Error"),
        ],
    )]);
}
