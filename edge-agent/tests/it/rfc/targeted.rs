//! Cache-Control for us alone (RFC 9213): CDN-Cache-Control, and above it Headland-Cache-Control.

use crate::support::scenario::{Scenario, cached, check, fetch, get, scenario};

fn fresh_for(name: &str, headers: &str, seconds: u64) -> Scenario {
    scenario(
        format!("9213 {name}: {headers:?} is fresh for {seconds}"),
        [fetch(headers, "one"), cached("one").after(seconds - 2), fetch(headers, "two").after(4)],
    )
}

fn not_reused(name: &str, headers: &str) -> Scenario {
    scenario(
        format!("9213 {name}: {headers:?} is not reused"),
        [fetch(headers, "one"), fetch(headers, "two")],
    )
}

#[test]
fn it_replaces_cache_control_and_expires() {
    let cdn = "cdn-cache-control: max-age=60";
    check([
        fresh_for("2.2", cdn, 60),
        fresh_for("2.2", &format!("{cdn}\ncache-control: no-store"), 60),
        fresh_for("2.2", &format!("{cdn}\ncache-control: private"), 60),
        fresh_for("2.2", &format!("{cdn}\ncache-control: no-cache"), 60),
        fresh_for("2.2", &format!("{cdn}\ncache-control: max-age=10"), 60),
        fresh_for("2.2", &format!("cache-control: max-age=1000\n{cdn}"), 60),
        fresh_for("2.2", &format!("{cdn}\ncache-control: s-maxage=1000"), 60),
        fresh_for("2.2", &format!("{cdn}\nexpires: 0"), 60),
        fresh_for("2.2", &format!("{cdn}\nexpires: {{now+1000}}"), 60),
        fresh_for("2.2", &format!("{cdn}\npragma: no-cache"), 60),
        fresh_for("2.2: s-maxage before max-age", "cdn-cache-control: max-age=10, s-maxage=60", 60),
    ]);
    let control = "cache-control: max-age=1000\nexpires: {now+1000}";
    check(
        [
            "no-store",
            "no-cache",
            "private",
            "max-age=0",
            "none",
            "max-age=60, no-store",
            "max-age=60, private",
            "public",
        ]
        .map(|directives| not_reused("2.2", &format!("{control}\ncdn-cache-control: {directives}"))),
    );
}

#[test]
fn it_is_a_structured_field() {
    check([
        fresh_for("2.1: parameters are ignored", "cdn-cache-control: max-age=60;x=1;y, z;a", 60),
        fresh_for("2.1: of duplicate keys the last", "cdn-cache-control: max-age=10, max-age=60", 60),
        fresh_for("2.1: several lines", "cdn-cache-control: public\ncdn-cache-control: max-age=60", 60),
        fresh_for(
            "2.1: unknown directives",
            "cdn-cache-control: x=?0, y=:aGk=:, z=(a b), max-age=60, w=1.5",
            60,
        ),
        fresh_for("2.1: whitespace", "cdn-cache-control:  \tmax-age=60 \t ,\tpublic", 60),
        not_reused("2.1: strings are read as such", "cdn-cache-control: x=\"max-age=60\""),
        fresh_for(
            "2.1: strings are read as such",
            "cdn-cache-control: x=\"no-store, max-age=1\", max-age=60",
            60,
        ),
    ]);
}

#[test]
fn what_cannot_be_parsed_or_is_empty_is_not_there() {
    let fields = [
        "",
        "max-age=60, &&&",
        "max-age=60,",
        "max-age=60 public",
        "MAX-AGE=60",
        "max-age=60, Public",
        "max-age = 60",
        "max-age=",
        "max-age=60, x=\"open",
        "max-age=1234567890123456",
        "max-age=1.2345",
        "max-age=60,, public",
        "=60",
        "max-age=60; ",
        "max-age='60'",
    ];
    check(fields.into_iter().flat_map(|field| {
        [
            not_reused("2.1: ignored", &format!("cdn-cache-control: {field}\ncache-control: no-store")),
            fresh_for(
                "2.1: ignored",
                &format!("cdn-cache-control: {field}\ncache-control: max-age=1000"),
                1000,
            ),
        ]
    }));
}

#[test]
fn a_value_of_the_wrong_type_is_no_lifetime() {
    check(
        [
            "max-age=\"60\"",
            "max-age=60.5",
            "max-age",
            "max-age=?1",
            "max-age=abc",
            "max-age=(60)",
            "max-age=:NjA=:",
            "max-age=-60",
        ]
        .map(|directive| {
            not_reused("2.1: wrong type", &format!("cdn-cache-control: {directive}\nx-nothing: 1"))
        }),
    );
}

#[test]
fn our_own_field_comes_first() {
    check([
        fresh_for(
            "2.2",
            "headland-cache-control: max-age=60\ncdn-cache-control: no-store\ncache-control: no-store",
            60,
        ),
        fresh_for("2.2", "cdn-cache-control: max-age=1000\nheadland-cache-control: max-age=60", 60),
        fresh_for("2.2", "headland-cache-control: max-age=60\ncache-control: max-age=1000", 60),
        not_reused(
            "2.2",
            "headland-cache-control: no-store\ncdn-cache-control: max-age=60\ncache-control: max-age=60",
        ),
        fresh_for(
            "2.2: not valid",
            "headland-cache-control: &&&\ncdn-cache-control: max-age=60\ncache-control: no-store",
            60,
        ),
        fresh_for(
            "2.2: empty",
            "headland-cache-control:\ncdn-cache-control: max-age=60\ncache-control: no-store",
            60,
        ),
        fresh_for(
            "2.2: neither valid",
            "headland-cache-control: &&&\ncdn-cache-control: &&&\ncache-control: max-age=60",
            60,
        ),
        fresh_for("2.2: not on our list", "cache-control: max-age=60\nother-cdn-cache-control: no-store", 60),
    ]);
}

#[test]
fn all_directives_count_as_in_cache_control() {
    check([
        scenario(
            "9213 2.2: must-revalidate",
            [
                fetch("cdn-cache-control: max-age=60, must-revalidate", "one"),
                get().after(70).down().status(500..=599),
            ],
        ),
        scenario(
            "9213 2.2: a must-revalidate for others",
            [
                fetch("cdn-cache-control: max-age=60\ncache-control: must-revalidate", "one"),
                get().after(70).down().gives(200, "one"),
            ],
        ),
        scenario(
            "9213 2.2: stale-if-error",
            [
                fetch("cdn-cache-control: max-age=60, stale-if-error=60", "one"),
                get().after(70).origin_status("503 Service Unavailable", "", "error").gives(200, "one"),
            ],
        ),
        scenario(
            "9213 2.2: stale-while-revalidate",
            [
                fetch("cdn-cache-control: max-age=60, stale-while-revalidate=60", "one"),
                cached("one").after(70).origin("cdn-cache-control: max-age=60", "two").in_background(),
                cached("two").until("two"),
            ],
        ),
        scenario(
            "9213 2.2, 9111 3.5: public",
            [
                fetch("cdn-cache-control: max-age=60, public", "one").header("authorization: Basic eDp5"),
                cached("one"),
            ],
        ),
        scenario(
            "9213 2.2, 9111 3.5: a public for others",
            [
                fetch("cdn-cache-control: max-age=60\ncache-control: public", "one")
                    .header("authorization: Basic eDp5"),
                fetch("cdn-cache-control: max-age=60", "two"),
            ],
        ),
        scenario(
            "9213 2.3: Cache-Control reaches viewers as it was",
            [
                fetch("cdn-cache-control: max-age=60\ncache-control: max-age=10", "one")
                    .has("cache-control: max-age=10"),
                cached("one").has("cache-control: max-age=10"),
            ],
        ),
    ]);
}
