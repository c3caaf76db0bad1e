//! Requests and responses that would spoil the cache for others, and must not.

use crate::support::scenario::{ask, cached, check, fetch, get, head, not_modified, scenario};

#[test]
fn one_viewers_request_costs_the_others_nothing() {
    let fresh = "cache-control: max-age=100\netag: \"e\"";
    check([
        scenario(
            "9110 7.6.1: what Connection names is not part of the request, for Vary either",
            [
                get()
                    .header("connection: origin")
                    .header("origin: http://app.test")
                    .origin("cache-control: max-age=100\nvary: origin", "for nobody")
                    .unsent("origin"),
                get()
                    .header("origin: http://app.test")
                    .origin("cache-control: max-age=100\nvary: origin", "for the app")
                    .gives(200, "for the app"),
            ],
        ),
        scenario(
            "9111 3.5: a validation with credentials leaves what is stored as it is",
            [
                fetch(fresh, "one"),
                not_modified(fresh, "one").header("cache-control: no-cache").header("authorization: Basic x"),
                cached("one"),
            ],
        ),
        scenario(
            "9111 3.5: so does a refusal to one who showed wrong credentials",
            [
                fetch(fresh, "one"),
                get()
                    .header("cache-control: no-cache")
                    .header("authorization: Basic x")
                    .origin_status("401 Unauthorized", "www-authenticate: Basic", "no")
                    .gives(401, "no"),
                cached("one"),
            ],
        ),
        scenario(
            "9111 4.3.5: nor does a HEAD with credentials end what others may have",
            [
                fetch(fresh, "one"),
                head()
                    .header("cache-control: no-cache")
                    .header("authorization: Basic x")
                    .origin_status("304 Not Modified", fresh, "")
                    .gives(200, ""),
                cached("one"),
            ],
        ),
        scenario(
            "9111 4.3.3: a response for one viewer alone is not the end of what others may have",
            [
                fetch(fresh, "one"),
                get()
                    .header("cache-control: no-cache")
                    .origin_status("429 Too Many Requests", "retry-after: 1", "slow down")
                    .gives(429, "slow down"),
                cached("one"),
            ],
        ),
        scenario(
            "9111 4.4: the same change twice says nothing of other objects",
            [
                fetch("cache-control: max-age=100", "one"),
                ask("POST").path("/login").origin("", "in"),
                ask("POST").path("/login").origin("", "in"),
                cached("one"),
            ],
        ),
        scenario(
            "9111 7.3: a cookie that nobody said may be shared is not",
            [
                fetch("last-modified: {now-100000}\nset-cookie: session=1", "one"),
                fetch("last-modified: {now-100000}", "two"),
            ],
        ),
    ]);
}

#[test]
fn a_reload_gets_what_there_is_when_the_origin_is_gone() {
    let fetched = || fetch("cache-control: max-age=100", "one");
    check(["max-age=0", "no-cache", "min-fresh=1000"].map(|wish| {
        let wished = format!("cache-control: {wish}");
        scenario(
            format!("9111 5.2.1: {wish} is a wish"),
            [fetched(), get().header(&wished).after(10).down().gives(200, "one").age(10)],
        )
    }));
    check([scenario(
        "9111 5.2.2.2: must-revalidate is none",
        [
            fetch("cache-control: max-age=100, must-revalidate", "one"),
            get().header("cache-control: no-cache").after(120).down().status(500..=599),
        ],
    )]);
}

#[test]
fn the_age_of_a_validation_counts() {
    check([scenario(
        "9111 4.2.3: a 304 from a cache is as old as it says",
        [
            fetch("cache-control: max-age=600\netag: \"e\"", "one"),
            not_modified("cache-control: max-age=600\netag: \"e\"\nage: 500", "one").after(700),
            cached("one").after(50).age(550),
            not_modified("cache-control: max-age=600\netag: \"e\"", "one").after(60),
        ],
    )]);
}

#[test]
fn a_part_that_is_not_as_long_as_it_says_is_not_kept() {
    let chunked = "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=100\r\netag: \"e\"\r\n\
                   content-range: bytes 0-9/20\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n0\r\n\r\n";
    check([scenario(
        "9110 14.4: Content-Range and content disagree",
        [
            // Not as part of something to be kept, so once more for this viewer alone.
            get().header("range: bytes=0-9").origin_bytes(chunked).origin_bytes(chunked).gives(206, "01234"),
            get().header("range: bytes=0-9").origin_bytes(chunked).gives(206, "01234"),
        ],
    )]);
}

#[test]
fn while_an_origin_fails_it_is_not_asked_at_every_hit() {
    check([scenario(
        "5861 3: an error while revalidating is a reason to wait a moment",
        [
            fetch("cache-control: max-age=100, stale-while-revalidate=600", "one"),
            get()
                .after(120)
                .origin_status("503 Service Unavailable", "", "down")
                .in_background()
                .gives(200, "one"),
            cached("one"),
            cached("one"),
        ],
    )]);
}

#[test]
fn one_broken_path_makes_nothing_else_stale() {
    let broken = || {
        get()
            .path("/broken")
            .header("cache-control: no-cache")
            .origin_bytes("")
            .origin_bytes("")
            .status(502..=502)
    };
    check([scenario(
        "9111 4.2.4: who answers is not disconnected",
        [
            fetch("cache-control: max-age=10\netag: \"e\"", "one"),
            broken().after(20),
            broken(),
            broken(),
            broken(),
            not_modified("cache-control: max-age=10\netag: \"e\"", "one"),
        ],
    )]);
}
