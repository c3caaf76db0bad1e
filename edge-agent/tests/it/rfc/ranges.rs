//! Ranges of stored responses (RFC 9110 section 14).

use std::{
    io::Write,
    time::{Duration, Instant},
};

use crate::support::{
    edge::{Edge, config},
    origin::{Origin, response},
    scenario::{Scenario, Step, ask, cached, check, fetch, get, head, scenario},
    viewer::{Response, get as plain_get},
};

const STORED: &str =
    "cache-control: max-age=10000\netag: \"e\"\nlast-modified: {start-1000}\ncontent-type: text/plain";
const DIGITS: &str = "0123456789";

/// What a request with these headers gets of the stored digits.
fn cut(name: &str, request: &[&str], step: Step) -> Scenario {
    let step = request.iter().fold(step.after(5), |step: Step, line| step.header(line));
    scenario(format!("{name}: {request:?}"), [fetch(STORED, DIGITS), step])
}

fn part(range: &str, body: &str) -> Step {
    get()
        .gives(206, body)
        .has(&format!("content-range: bytes {range}/10"))
        .has(&format!("content-length: {}", body.len()))
}

fn whole() -> Step {
    get().gives(200, DIGITS).lacks("content-range")
}

#[test]
fn one_range() {
    check([
        cut("9110 14.1.2: first and last", &["range: bytes=0-3"], part("0-3", "0123")),
        cut("9110 14.1.2: one byte", &["range: bytes=9-9"], part("9-9", "9")),
        cut("9110 14.1.2: open", &["range: bytes=7-"], part("7-9", "789")),
        cut("9110 14.1.2: all", &["range: bytes=0-"], part("0-9", DIGITS)),
        cut("9110 14.1.2: suffix", &["range: bytes=-3"], part("7-9", "789")),
        cut("9110 14.1.2: a suffix longer than all", &["range: bytes=-100"], part("0-9", DIGITS)),
        cut("9110 14.1.2: a last beyond the end", &["range: bytes=5-100"], part("5-9", "56789")),
        cut("9110 14.1.2: a very large last", &["range: bytes=5-99999999999999999999"], part("5-9", "56789")),
        cut("9110 14.1: units have no case", &["range: BYTES=0-3"], part("0-3", "0123")),
    ]);
}

#[test]
fn a_part_has_the_fields_of_the_whole() {
    check([scenario(
        "9110 15.3.7: Date, Cache-Control, ETag, Expires, Content-Location, Vary",
        [
            fetch(
                "cache-control: max-age=100\netag: \"e\"\nexpires: {start+50}\ncontent-location: /b\nvary: x-a",
                DIGITS,
            ),
            part("0-3", "0123")
                .header("range: bytes=0-3")
                .after(20)
                .has("date: {start}")
                .has("cache-control: max-age=100")
                .has("etag: \"e\"")
                .has("expires: {start+50}")
                .has("content-location: /b")
                .has("vary: x-a")
                .age(20),
        ],
    )]);
}

#[test]
fn a_range_that_cannot_be_satisfied() {
    check(["bytes=10-", "bytes=20-30", "bytes=-0", "bytes=10-11,20-30"].map(|range| {
        cut(
            "9110 15.5.17",
            &[&format!("range: {range}")],
            get().status(416..=416).has("content-range: bytes */10"),
        )
    }));
}

#[test]
fn a_range_that_says_nothing_is_ignored() {
    check([
        cut("9110 14.2: an unknown unit", &["range: items=0-3"], whole()),
        cut("9110 14.2: an unknown unit", &["range: bytesx=0-3"], whole()),
    ]);
    // Invalid ones may be ignored or refused.
    check(["bytes=5-3", "bytes=abc", "bytes=", "bytes=-", "bytes 0-3", "bytes=0-3-5", "bytes=0x1-3"].map(
        |range| {
            let ignored_or_refused = |response: &Response| {
                (response.status == 200 && response.body == DIGITS.as_bytes())
                    || (400..500).contains(&response.status)
            };
            cut(
                "9110 14.2: invalid",
                &[&format!("range: {range}")],
                get().response("an invalid range was taken for something", ignored_or_refused),
            )
        },
    ));
}

/// The parts of a multipart/byteranges body: Content-Range and bytes.
fn parts(response: &Response) -> Option<Vec<(String, String)>> {
    let kind = response.header("content-type")?;
    let boundary = kind.strip_prefix("multipart/byteranges")?.split_once("boundary=")?.1.trim_matches('"');
    let text = format!("\r\n{}", String::from_utf8_lossy(&response.body));
    let (body, end) = text.rsplit_once(&format!("\r\n--{boundary}--"))?;
    if !end.trim().is_empty() {
        return None;
    }
    let part = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let field = |name: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name))?;
            Some(line[name.len()..].trim().to_owned())
        };
        (field("content-type:")? == "text/plain").then_some(())?;
        Some((field("content-range:")?, body.to_owned()))
    };
    body.split(&format!("\r\n--{boundary}")).skip(1).map(part).collect()
}

#[test]
fn several_ranges_are_a_multipart() {
    let table: [(&str, &[(&str, &str)]); 4] = [
        ("bytes=0-1,5-6", &[("bytes 0-1/10", "01"), ("bytes 5-6/10", "56")]),
        ("bytes=0-1, -2", &[("bytes 0-1/10", "01"), ("bytes 8-9/10", "89")]),
        ("bytes=0-0,4-4,8-", &[("bytes 0-0/10", "0"), ("bytes 4-4/10", "4"), ("bytes 8-9/10", "89")]),
        ("bytes=0-1 , ,5-6", &[("bytes 0-1/10", "01"), ("bytes 5-6/10", "56")]),
    ];
    check(table.map(|(range, expected)| {
        cut(
            "9110 14.6, 15.3.7.2",
            &[&format!("range: {range}")],
            get()
                .status(206..=206)
                .lacks("content-range")
                .has("etag: \"e\"")
                .response("not the parts asked for", move |response| {
                    let expected: Vec<_> =
                        expected.iter().map(|(r, b)| ((*r).to_owned(), (*b).to_owned())).collect();
                    parts(response) == Some(expected)
                })
                .response("the length is not that of the body", |response| {
                    response.complete
                        && response
                            .header("content-length")
                            .is_none_or(|l| l == response.body.len().to_string())
                }),
        )
    }));
}

#[test]
fn of_several_ranges_only_those_that_can_be_satisfied() {
    check([cut(
        "9110 14.2: at least one is satisfiable",
        &["range: bytes=2-3,100-200"],
        get().status(206..=206).response("not the one part", |response| {
            response.body == b"23" || parts(response) == Some(vec![("bytes 2-3/10".into(), "23".into())])
        }),
    )]);
}

#[test]
fn very_many_ranges_do_no_harm() {
    let many: Vec<String> = (0..1000).map(|_| "0-".to_owned()).collect();
    check([cut(
        "9110 17.15: overlapping ranges",
        &[&format!("range: bytes={}", many.join(","))],
        get().response("more bytes than the whole is worth", |response| {
            response.body.len() < 200 && [200, 206, 400, 416, 431].contains(&response.status)
        }),
    )]);
}

#[test]
fn if_range() {
    let range = "range: bytes=0-3";
    check([
        cut("9110 13.1.5: the tag", &[range, "if-range: \"e\""], part("0-3", "0123")),
        cut("9110 13.1.5: another", &[range, "if-range: \"x\""], whole()),
        cut("9110 13.1.5: a weak one never", &[range, "if-range: W/\"e\""], whole()),
        cut("9110 13.1.5: the date", &[range, "if-range: {start-1000}"], part("0-3", "0123")),
        cut("9110 13.1.5: exactly", &[range, "if-range: {start-900}"], whole()),
        cut("9110 13.1.5: exactly", &[range, "if-range: {start-1100}"], whole()),
        cut("9110 13.1.5: invalid", &[range, "if-range: e"], whole()),
        cut("9110 13.1.5: unsatisfiable, but another", &["range: bytes=20-", "if-range: \"x\""], whole()),
        cut("9110 13.1.5: without a range", &["if-range: \"e\""], whole()),
    ]);
    let stored = |validator: &str, request: &str| {
        scenario(
            format!("9110 13.1.5, 8.8.2.2: {validator} is no strong validator"),
            [
                fetch(&format!("cache-control: max-age=60\n{validator}"), DIGITS),
                whole().header(range).header(request),
            ],
        )
    };
    check([
        stored("etag: W/\"e\"", "if-range: W/\"e\""),
        stored("etag: W/\"e\"", "if-range: \"e\""),
        stored("last-modified: {start}\ndate: {start}", "if-range: {start}"),
        stored("x-nothing: 1", "if-range: \"e\""),
    ]);
}

#[test]
fn conditions_come_before_ranges() {
    let range = "range: bytes=0-3";
    check([
        cut("9110 13.2.2", &[range, "if-none-match: \"e\""], get().gives(304, "")),
        cut("9110 13.2.2", &[range, "if-none-match: \"x\""], part("0-3", "0123")),
        cut("9110 13.2.2", &[range, "if-modified-since: {start}"], get().gives(304, "")),
        cut("9110 13.2.2", &["range: bytes=20-", "if-none-match: \"e\""], get().gives(304, "")),
    ]);
}

#[test]
fn only_get_has_ranges_and_only_200() {
    check([
        cut(
            "9110 14.2: HEAD",
            &["range: bytes=0-3"],
            head().gives(200, "").has("content-length: 10").lacks("content-range"),
        ),
        scenario(
            "9110 14.2: not of a 404",
            [
                get().origin_status("404 Not Found", STORED, DIGITS).gives(404, DIGITS),
                get().header("range: bytes=0-3").gives(404, DIGITS).lacks("content-range"),
                get().header("range: bytes=20-").gives(404, DIGITS),
            ],
        ),
        scenario(
            "9110 14.2: not of an empty 200 beyond what is there",
            [
                fetch(STORED, ""),
                get().header("range: bytes=0-3").response("a part of nothing", |response| {
                    response.body.is_empty() && response.status == 200 || response.status == 416
                }),
            ],
        ),
        scenario(
            "9110 14.2: other methods pass it on",
            [ask("POST").header("range: bytes=0-3").origin("", DIGITS).gives(200, DIGITS)],
        ),
    ]);
}

#[test]
fn a_part_is_never_taken_for_the_whole() {
    let origin = Origin::start(|request, stream| {
        let answer = match request.header("range") {
            Some("bytes=0-3") => {
                let headers = "cache-control: max-age=60\netag: \"e\"\ncontent-range: bytes 0-3/10";
                response("206 Partial Content", headers, "0123")
            }
            _ => response("200 OK", "cache-control: max-age=60\netag: \"e\"", DIGITS),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    let first = plain_get(edge.address, "/a", &["range: bytes=0-3"]);
    assert_eq!((first.status, first.text()), (206, "0123"));
    let whole = plain_get(edge.address, "/a", &[]);
    assert_eq!((whole.status, whole.text()), (200, DIGITS));
    let other = plain_get(edge.address, "/a", &["range: bytes=4-6"]);
    assert_eq!((other.status, other.text()), (206, "456"));
}

#[test]
fn a_range_of_what_is_not_stored() {
    check([scenario(
        "9110 14.2: the part or the whole, and nothing else",
        [get().header("range: bytes=3-5").origin(STORED, DIGITS).response(
            "neither the part nor the whole",
            |response| {
                (response.status == 206
                    && response.body == b"345"
                    && response.header("content-range") == Some("bytes 3-5/10"))
                    || (response.status == 200 && response.body == DIGITS.as_bytes())
            },
        )],
    )]);
}

/// Large enough to be kept in two blocks.
const LARGE: u64 = (1 << 20) + 10;

#[test]
fn parts_are_kept_and_put_together() {
    let origin = Origin::start(|request, stream| {
        let stored = "cache-control: max-age=60\netag: \"e\"";
        let part = |from: u64, to: u64, more: &str| {
            let fields = format!("{stored}\n{more}content-range: bytes {from}-{to}/{LARGE}");
            response("206 Partial Content", &fields, &digits(from..to + 1))
        };
        let answer = match request.header("range") {
            Some("bytes=0-1048575") => part(0, 1_048_575, "x-first: 1\nx-both: 1\n"),
            Some("bytes=1048576-1048585") => part(1_048_576, LARGE - 1, "x-both: 2\n"),
            _ => response("200 OK", stored, &digits(0..LARGE)),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    // What has arrived is stored a moment later.
    let from_cache = |headers: &[&str]| {
        let began = Instant::now();
        loop {
            let answer = plain_get(edge.address, "/a", headers);
            let is_hit = answer.header("cache-status").is_some_and(|status| status.contains("; hit"));
            if is_hit || began.elapsed() > Duration::from_secs(10) {
                assert!(is_hit, "{headers:?} never came from the cache");
                return answer;
            }
        }
    };
    assert_eq!(plain_get(edge.address, "/a", &["range: bytes=0-5"]).text(), "012345");
    // RFC 9111 section 3.3: wholly within what is there, and marked as what it is.
    let within = from_cache(&["range: bytes=2-3"]);
    assert_eq!((within.status, within.text()), (206, "23"));
    assert_eq!(within.header("content-range"), Some("bytes 2-3/1048586"));
    assert!(within.header("age").is_some());
    // Not wholly: the origin is asked for the rest. RFC 9110 section 15.3.7.3: together they are the whole.
    let across = plain_get(edge.address, "/a", &["range: bytes=1048574-1048577"]);
    assert_eq!((across.status, across.text()), (206, "4567"));
    assert!(across.header("cache-status").is_some_and(|status| status.contains("fwd=partial")));
    let whole = from_cache(&[]);
    assert_eq!((whole.status, whole.header("content-length")), (200, Some("1048586")));
    assert!(whole.text() == digits(0..LARGE));
    assert_eq!(whole.header("content-range"), None);
    // RFC 9111 section 3.4: what only one part said is kept, and what the newer one said counts.
    assert_eq!((whole.header("x-first"), whole.header("x-both")), (Some("1"), Some("2")));
    assert!(origin.received().iter().all(|request| request.header("range").is_some()));
    assert_eq!(origin.requests(), 2);
}

/// These of digits that begin anew after every ten.
fn digits(range: std::ops::Range<u64>) -> String {
    range.map(|position| char::from(DIGITS.as_bytes()[(position % 10) as usize])).collect()
}

#[test]
fn a_part_that_nobody_asked_for_is_not_stored() {
    check([scenario(
        "9111 3.3: 206 without Range",
        [
            get()
                .origin_status(
                    "206 Partial Content",
                    "cache-control: max-age=60\ncontent-range: bytes 0-3/10",
                    "0123",
                )
                .response("a part looks like the whole", |response| response.status != 200),
            fetch("cache-control: max-age=60", DIGITS),
            cached(DIGITS),
        ],
    )]);
}
