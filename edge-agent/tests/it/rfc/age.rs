//! Age: how old a response is when it comes (RFC 9111 section 4.2.3), and what viewers are told (section 5.1).

use crate::support::scenario::{Scenario, cached, check, fetch, not_modified, scenario};

/// Of a lifetime of 60 seconds this many are left at receipt.
fn left(name: &str, headers: &str, seconds: u64) -> Scenario {
    let headers = format!("cache-control: max-age=60\n{headers}");
    scenario(
        format!("{name}: {headers:?} leaves {seconds}"),
        [fetch(&headers, "one"), cached("one").after(seconds - 2).age(58), fetch(&headers, "two").after(4)],
    )
}

fn stale(name: &str, headers: &str) -> Scenario {
    let headers = format!("cache-control: max-age=60\n{headers}");
    scenario(format!("{name}: {headers:?} is stale"), [fetch(&headers, "one"), fetch(&headers, "two")])
}

#[test]
fn age_of_the_origin_counts() {
    check([
        left("9111 4.2.3: none", "", 60),
        left("9111 4.2.3: Age", "age: 30", 30),
        left("9111 4.2.3: Age 0", "age: 0", 60),
        stale("9111 4.2: not fresh at its lifetime's end", "age: 60"),
        stale("9111 4.2.3: older than its lifetime", "age: 7200"),
        stale("9111 1.2.2: overflow", "age: 99999999999999999999999999"),
        stale("9111 1.2.2: overflow", "age: 4294967296"),
    ]);
}

#[test]
fn of_several_ages_the_first_counts_and_invalid_ones_do_not() {
    check([
        left("9111 5.1: the first member", "age: 30, 5", 30),
        left("9111 5.1: the first member", "age: 0, 7200", 60),
        left("9111 5.1: the first line", "age: 30\nage: 5", 30),
        left("9111 5.1: the first line", "age: 5\nage: 7200", 55),
        left("9111 5.1: negative", "age: -30", 60),
        left("9111 5.1: not an integer", "age: 30.5", 60),
        left("9111 5.1: not a number", "age: abc", 60),
        left("9111 5.1: a string", "age: \"30\"", 60),
        left("9111 5.1: invalid first member", "age: abc, 30", 60),
    ]);
}

#[test]
fn date_tells_an_age_too() {
    check([
        left("9111 4.2.3: apparent age", "date: {now-30}", 30),
        left("9111 4.2.3: the larger, Age", "date: {now-10}\nage: 40", 20),
        left("9111 4.2.3: the larger, Date", "date: {now-40}\nage: 10", 20),
        left("9111 4.2.3: not negative", "date: {now+1000}", 60),
        left("9111 4.2.3: no Date", "no-date\nage: 30", 30),
        left("9111 4.2.3: invalid Date", "date: yesterday", 60),
        stale("9111 4.2.3: apparent age", "date: {now-70}"),
    ]);
}

#[test]
fn the_time_an_answer_takes_is_age() {
    check([
        scenario(
            "9111 4.2.3: response_delay",
            [
                fetch("cache-control: max-age=60\ndate: {now+30}", "one").delay(30),
                cached("one").after(20).age(50),
                fetch("cache-control: max-age=60", "two").after(15),
            ],
        ),
        scenario(
            "9111 4.2.3: response_delay adds to Age",
            [
                fetch("cache-control: max-age=60\nage: 20\ndate: {now+30}", "one").delay(30),
                cached("one").after(5).age(55),
                fetch("cache-control: max-age=60", "two").after(10),
            ],
        ),
    ]);
}

#[test]
fn age_is_sent_on_reuse() {
    check([
        scenario(
            "9111 4: every stored response that is reused has an Age",
            [
                fetch("cache-control: max-age=60", "one"),
                cached("one").age(0),
                cached("one").after(20).age(20),
                cached("one").after(20).age(40),
            ],
        ),
        scenario(
            "9111 4: which replaces the one that is there",
            [fetch("cache-control: max-age=60\nage: 15", "one"), cached("one").after(20).age(35)],
        ),
        scenario(
            "9111 4.2.3: validation makes young",
            [
                fetch("cache-control: max-age=60\netag: \"e\"", "one"),
                not_modified("etag: \"e\"", "one").after(100),
                cached("one").after(20).age(20),
            ],
        ),
    ]);
}
