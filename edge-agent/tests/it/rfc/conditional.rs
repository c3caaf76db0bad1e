//! Conditional requests answered from the cache (RFC 9110 section 13, RFC 9111 section 4.3.2).

use crate::support::{
    edge::{Edge, config},
    origin::Origin,
    scenario::{Scenario, Step, ask, cached, check, fetch, get, scenario},
    viewer::Viewer,
};

const STORED: &str = "cache-control: max-age=10000\netag: \"e\"\nlast-modified: {start-1000}";

/// What requests with these headers get of a stored response with those.
fn answered(name: &str, stored: &str, request: &[&str], is_not_modified: bool) -> Scenario {
    let step = request.iter().fold(get().after(5), |step: Step, line| step.header(line));
    let step = if is_not_modified { step.gives(304, "") } else { step.gives(200, "one") };
    scenario(format!("{name}: {request:?} of {stored:?}"), [fetch(stored, "one"), step])
}

#[test]
fn if_none_match() {
    let tagged = |tag: &str| format!("cache-control: max-age=10000\netag: {tag}");
    let (strong, weak) = (tagged("\"e\""), tagged("W/\"e\""));
    check([
        answered("9110 13.1.2: the tag", &strong, &["if-none-match: \"e\""], true),
        answered("9110 13.1.2: weak comparison", &strong, &["if-none-match: W/\"e\""], true),
        answered("9110 13.1.2: weak comparison", &weak, &["if-none-match: \"e\""], true),
        answered("9110 13.1.2: weak comparison", &weak, &["if-none-match: W/\"e\""], true),
        answered("9110 13.1.2: in a list", &strong, &["if-none-match: \"x\", \"e\""], true),
        answered("9110 13.1.2: in a list", &strong, &["if-none-match: \"x\",W/\"e\" , \"y\""], true),
        answered(
            "9110 5.3: in a second line",
            &strong,
            &["if-none-match: \"x\"", "if-none-match: \"e\""],
            true,
        ),
        answered("9110 13.1.2: any", &strong, &["if-none-match: *"], true),
        answered(
            "9110 13.1.2: any, without a tag",
            "cache-control: max-age=10000",
            &["if-none-match: *"],
            true,
        ),
        answered("9110 13.1.2: another", &strong, &["if-none-match: \"x\""], false),
        answered("9110 8.8.3: case counts", &strong, &["if-none-match: \"E\""], false),
        answered("9110 13.1.2: a list without it", &strong, &["if-none-match: \"x\", W/\"y\""], false),
        answered(
            "9110 13.1.2: no tag stored",
            "cache-control: max-age=10000",
            &["if-none-match: \"e\""],
            false,
        ),
        answered(
            "9110 8.8.3: a comma in a tag",
            &tagged("\"a,b\""),
            &["if-none-match: \"x\", \"a,b\""],
            true,
        ),
        answered("9110 8.8.3: a comma in a tag", &tagged("\"b\""), &["if-none-match: \"a,\"b\"c\""], false),
        answered("9110 8.8.3: part of a tag", &strong, &["if-none-match: \"ee\", \"\""], false),
        answered("9110 8.8.3: an empty tag", &tagged("\"\""), &["if-none-match: \"\""], true),
        answered(
            "9110 8.8.3: a backslash is a character",
            &tagged("\"a\\\""),
            &["if-none-match: \"a\\\""],
            true,
        ),
    ]);
}

#[test]
fn if_modified_since() {
    let changed = "cache-control: max-age=10000\nlast-modified: {start-1000}";
    let undated = "cache-control: max-age=10000";
    check([
        answered("9110 13.1.3: the same", changed, &["if-modified-since: {start-1000}"], true),
        answered("9110 13.1.3: later", changed, &["if-modified-since: {start-900}"], true),
        answered("9110 13.1.3: earlier", changed, &["if-modified-since: {start-1001}"], false),
        answered("9110 5.6.7: rfc850-date", changed, &["if-modified-since: {rfc850-900}"], true),
        answered("9110 5.6.7: asctime-date", changed, &["if-modified-since: {asctime-900}"], true),
        answered("9110 5.6.7: asctime-date", changed, &["if-modified-since: {asctime-2000}"], false),
        answered("9110 13.1.3: invalid", changed, &["if-modified-since: yesterday"], false),
        answered("9110 13.1.3: invalid", changed, &["if-modified-since: 0"], false),
        answered(
            "9110 13.1.3: more than one member",
            changed,
            &["if-modified-since: {start-900}", "if-modified-since: {start-900}"],
            false,
        ),
        answered("9111 4.3.2: no Last-Modified, hence Date", undated, &["if-modified-since: {start}"], true),
        answered(
            "9111 4.3.2: no Last-Modified, hence Date",
            undated,
            &["if-modified-since: {start+1}"],
            true,
        ),
        answered(
            "9111 4.3.2: no Last-Modified, hence Date",
            undated,
            &["if-modified-since: {start-10}"],
            false,
        ),
    ]);
}

#[test]
fn if_none_match_comes_first() {
    check([
        answered("9110 13.2.2", STORED, &["if-none-match: \"x\"", "if-modified-since: {start}"], false),
        answered("9110 13.2.2", STORED, &["if-none-match: \"e\"", "if-modified-since: {start-5000}"], true),
        answered("9110 13.2.2", STORED, &["if-modified-since: {start}", "if-none-match: \"x\""], false),
        answered("9110 13.2.2", STORED, &["if-modified-since: {start}"], true),
    ]);
}

#[test]
fn a_304_has_what_it_must_and_no_more() {
    let stored = "cache-control: max-age=10000\netag: \"e\"\nlast-modified: {start-1000}\nexpires: {start+500}\nvary: x-a\ncontent-location: /b\ncontent-type: text/plain\ncontent-language: en\ncontent-encoding: br";
    check(["if-none-match: \"e\"", "if-modified-since: {start-1000}"].map(|condition| {
        scenario(
            format!("9110 15.4.5: {condition}"),
            [
                fetch(stored, "one"),
                get()
                    .after(20)
                    .header(condition)
                    .gives(304, "")
                    .has("cache-control: max-age=10000")
                    .has("content-location: /b")
                    .has("date: {start}")
                    .has("etag: \"e\"")
                    .has("expires: {start+500}")
                    .has("vary: x-a")
                    .age(20)
                    .lacks("content-type")
                    .lacks("content-language")
                    .lacks("content-encoding")
                    .lacks("content-range")
                    .lacks("transfer-encoding"),
            ],
        )
    }));
}

#[test]
fn a_304_ends_with_its_head() {
    let origin = Origin::fixed("cache-control: max-age=60\netag: \"e\"", "hello");
    let edge = Edge::start(config(origin.address));
    let mut viewer = Viewer::connect(edge.address);
    for _ in 0..2 {
        assert_eq!(viewer.request("GET", "/a", &[]).text(), "hello");
        assert_eq!(viewer.request("GET", "/a", &["if-none-match: \"e\""]).status, 304);
    }
}

#[test]
fn head_is_conditional_too() {
    check([
        scenario(
            "9110 13.1.2: HEAD, the tag",
            [fetch(STORED, "one"), ask("HEAD").header("if-none-match: \"e\"").gives(304, "")],
        ),
        scenario(
            "9110 13.1.2: HEAD, another",
            [
                fetch(STORED, "one"),
                ask("HEAD").header("if-none-match: \"x\"").gives(200, "").has("content-length: 3"),
            ],
        ),
        scenario(
            "9110 13.1.3: HEAD, not changed",
            [fetch(STORED, "one"), ask("HEAD").header("if-modified-since: {start}").gives(304, "")],
        ),
    ]);
}

#[test]
fn conditions_count_for_200_only() {
    check(["404 Not Found", "301 Moved Permanently", "410 Gone"].map(|status| {
        let code = status[..3].parse().expect("a status code");
        let from_cache = |condition: &str| get().header(condition).gives(code, "other");
        scenario(
            format!("9110 13.2.1: {status}"),
            [
                get().origin_status(status, STORED, "other").gives(code, "other"),
                from_cache("if-none-match: \"e\""),
                from_cache("if-none-match: *"),
                from_cache("if-modified-since: {start}"),
            ],
        )
    }));
}

#[test]
fn what_only_an_origin_may_judge_goes_there() {
    check(["if-match: \"x\"", "if-match: *", "if-unmodified-since: {start-5000}"].map(|condition| {
        scenario(
            format!("9111 4.3.2: {condition}"),
            [
                fetch(STORED, "one"),
                get()
                    .header(condition)
                    .origin_status("412 Precondition Failed", "", "no")
                    .gives(412, "no")
                    .sent(condition),
                cached("one"),
            ],
        )
    }));
}

#[test]
fn conditions_of_other_methods_go_to_the_origin() {
    check(
        [
            ("PUT", "if-none-match: *"),
            ("PUT", "if-match: \"e\""),
            ("POST", "if-none-match: \"e\""),
            ("DELETE", "if-unmodified-since: {start}"),
        ]
        .map(|(method, condition)| {
            scenario(
                format!("9110 13.1: {method} with {condition}"),
                [
                    fetch(STORED, "one"),
                    ask(method)
                        .header(condition)
                        .origin_status("412 Precondition Failed", "", "no")
                        .gives(412, "no")
                        .sent(condition),
                ],
            )
        }),
    );
}

#[test]
fn a_condition_is_judged_by_what_is_not_stored_too() {
    check(["no-store", "private", "max-age=60"].map(|directive| {
        let head = format!("cache-control: {directive}\netag: \"e\"");
        scenario(
            format!("9110 13.1.2: with nothing stored, {directive}"),
            [
                get().path("/x").header("if-none-match: \"e\"").origin(&head, "one").status(304..=304),
                get().path("/y").header("if-none-match: \"f\"").origin(&head, "one").gives(200, "one"),
            ],
        )
    }));
}
