//! How long a response is fresh (RFC 9111 section 4.2).

use crate::support::scenario::{Scenario, cached, check, fetch, scenario};

/// Fresh for that many seconds, give or take one, and no longer.
fn fresh_for(name: &str, headers: &str, seconds: u64) -> Scenario {
    scenario(
        format!("{name}: {headers:?} is fresh for {seconds}"),
        [fetch(headers, "one"), cached("one").after(seconds - 2), fetch(headers, "two").after(4)],
    )
}

/// Stale from the start.
fn stale(name: &str, headers: &str) -> Scenario {
    scenario(format!("{name}: {headers:?} is stale"), [fetch(headers, "one"), fetch(headers, "two")])
}

/// Fresh for at least that long.
fn fresh_long(name: &str, headers: &str, seconds: u64) -> Scenario {
    scenario(
        format!("{name}: {headers:?} is fresh for long"),
        [fetch(headers, "one"), cached("one").after(seconds)],
    )
}

#[test]
fn the_most_specific_lifetime_counts() {
    check([
        fresh_for("9111 4.2.1", "cache-control: max-age=60", 60),
        fresh_for("9111 4.2.1", "cache-control: s-maxage=60", 60),
        fresh_for("9111 4.2.1", "expires: {now+60}", 60),
        fresh_for("9111 5.2.2.10", "cache-control: max-age=10, s-maxage=60", 60),
        fresh_for("9111 5.2.2.10", "cache-control: s-maxage=60, max-age=1000", 60),
        fresh_for("9111 5.2.2.10", "cache-control: s-maxage=60\nexpires: {now+1000}", 60),
        fresh_for("9111 5.3", "cache-control: max-age=60\nexpires: {now+1000}", 60),
        fresh_for("9111 5.3", "cache-control: max-age=60\nexpires: {now-1000}", 60),
        fresh_for("9111 5.3", "cache-control: max-age=60\nexpires: 0", 60),
        fresh_for("9111 4.2.2", "cache-control: max-age=60\nlast-modified: {now-100000}", 60),
        stale("9111 5.2.2.10", "cache-control: s-maxage=0, max-age=60"),
        stale("9111 5.3", "cache-control: max-age=0\nexpires: {now+1000}"),
        stale("9111 5.2.2.10", "cache-control: s-maxage=0\nexpires: {now+1000}"),
    ]);
}

#[test]
fn directives_are_read_as_the_grammar_says() {
    check([
        fresh_for("9111 5.2: case", "cache-control: MAX-AGE=60", 60),
        fresh_for("9111 5.2: case", "Cache-Control: Max-Age=60, S-MaxAge=30", 30),
        fresh_for("9111 5.2: a quoted argument", "cache-control: max-age=\"60\"", 60),
        fresh_for("9111 5.2: a quoted argument", "cache-control: s-maxage=\"60\", max-age=10", 60),
        fresh_for("9111 1.2.2: leading zeros", "cache-control: max-age=0060", 60),
        fresh_for("9110 5.6.1: empty members", "cache-control: , ,max-age=60,,", 60),
        fresh_for("9110 5.6.3: whitespace", "cache-control: \t public\t ,   max-age=60  ", 60),
        fresh_for("9110 5.3: several lines", "cache-control: public\ncache-control: max-age=60", 60),
        fresh_for("9111 5.2.3: a comma in a string", "cache-control: x=\"a, max-age=1\", max-age=60", 60),
        fresh_for("9110 5.6.4: an escaped quote", "cache-control: x=\"a\\\", max-age=1, \", max-age=60", 60),
        fresh_for("9111 5.2.3: an unknown directive", "cache-control: x-max-age=1, max-age=60, y", 60),
        stale("9111 5.2.3: a name that ends alike", "cache-control: x-max-age=1000"),
        stale("9111 5.2.3: within a string", "cache-control: x=\"max-age=1000\""),
        stale("9111 5.2.3: within a string", "cache-control: x=\" , max-age=1000, \""),
    ]);
}

#[test]
fn invalid_lifetimes_are_stale() {
    check(
        [
            "max-age=-60",
            "max-age=60.5",
            "max-age=1e3",
            "max-age=0x3c",
            "max-age=+60",
            "max-age=abc",
            "max-age=60s",
            "max-age='60'",
            "max-age=\"-60\"",
            "max-age=\"\"",
            "max-age=",
            "max-age",
            "s-maxage=-60",
            "s-maxage=abc",
            "s-maxage=60.5",
        ]
        .map(|directive| {
            stale("9111 4.2.1: invalid freshness information", &format!("cache-control: {directive}"))
        }),
    );
}

#[test]
fn of_duplicates_the_first_counts_or_none() {
    let at_most = |headers: &str| {
        scenario(
            format!("9111 4.2.1: the first or stale: {headers:?}"),
            [fetch(headers, "one"), fetch(headers, "two").after(70)],
        )
    };
    check([
        at_most("cache-control: max-age=60, max-age=1000"),
        at_most("cache-control: max-age=60\ncache-control: max-age=1000"),
        at_most("cache-control: s-maxage=60, s-maxage=1000"),
        at_most("cache-control: max-age=60, max-age=\"1000\""),
        at_most("expires: {now+60}\nexpires: {now+1000}"),
        stale("9111 4.2.1: the first or stale", "cache-control: max-age=0, max-age=1000"),
        stale("9111 4.2.1: the first or stale", "cache-control: s-maxage=0, s-maxage=1000, max-age=1000"),
        stale("9111 4.2.1: the first or stale", "expires: {now-10}\nexpires: {now+1000}"),
    ]);
}

#[test]
fn too_large_is_as_large_as_can_be() {
    check(
        [
            "max-age=2147483647",
            "max-age=2147483648",
            "max-age=4294967296",
            "max-age=4294967297",
            "max-age=99999999999",
            "max-age=18446744073709551616",
            "max-age=99999999999999999999999999999999999999999",
            "s-maxage=99999999999999999999999999999999999999999",
        ]
        .map(|directive| {
            fresh_long("9111 1.2.2: overflow", &format!("cache-control: {directive}"), 1_000_000)
        }),
    );
}

#[test]
fn expires_is_counted_from_date() {
    check([
        fresh_for("9111 4.2.1: Expires minus Date", "date: {now-30}\nexpires: {now+30}", 30),
        fresh_for("9111 4.2.1: a clock ahead", "date: {now+1000}\nexpires: {now+1060}", 60),
        stale("9111 4.2.1: a clock behind", "date: {now-100}\nexpires: {now-40}"),
        fresh_for("9111 5.3: no Date, from receipt", "no-date\nexpires: {now+60}", 60),
        stale("9111 5.3: in the past", "expires: {now-10}"),
        stale("9111 5.3: equal to Date", "expires: {now}"),
        stale("9111 5.3: equal to Date, both in the future", "date: {now+1000}\nexpires: {now+1000}"),
        fresh_long("9111 5.3: the far future", "expires: Fri, 31 Dec 9999 23:59:59 GMT", 1_000_000),
    ]);
}

#[test]
fn expires_has_three_formats() {
    check([
        fresh_for("9110 5.6.7: IMF-fixdate", "expires: {now+60}", 60),
        fresh_for("9110 5.6.7: rfc850-date", "expires: {rfc850+60}", 60),
        fresh_for("9110 5.6.7: asctime-date", "expires: {asctime+60}", 60),
        fresh_long("9111 4.2: case does not matter", "expires: thu, 18 aug 2050 02:01:18 gmt", 1000),
        fresh_long("9111 4.2: case does not matter", "expires: THU, 18 AUG 2050 02:01:18 GMT", 1000),
    ]);
}

#[test]
fn invalid_expires_is_the_past() {
    check(
        [
            "0",
            "-1",
            "never",
            "",
            "2524608000",
            "Thu, 18 Aug 2050 02:01:18 AEST",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 2050 02:01:18 EST",
            "Thu, 18 Aug 2050 02:01:18 +0000",
            "Thu, 18 Aug 2050 02:01:18",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Thu, 18 Aug 2050 02:61:18 GMT",
            "Thu, 18 Aug 2050 25:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu,  18  Aug  2050  02:01:18  GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 31 Foo 2050 02:01:18 GMT",
            "2050-08-18T02:01:18Z",
        ]
        .map(|date| stale("9111 5.3, 9110 5.6.7", &format!("expires: {date}"))),
    );
}
