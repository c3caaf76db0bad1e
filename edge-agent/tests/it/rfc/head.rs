//! HEAD (RFC 9110 section 9.3.2, RFC 9111 section 4.3.5).

use crate::support::scenario::{Scenario, Step, cached, check, fetch, get, head, scenario};

const STORED: &str = "cache-control: max-age=60\netag: \"e\"\ncontent-type: text/plain";

#[test]
fn head_is_answered_from_a_stored_get() {
    check([scenario(
        "9111 4: a stored GET answers it",
        [
            fetch(STORED, "12345"),
            head()
                .after(20)
                .gives(200, "")
                .has("content-length: 5")
                .has("content-type: text/plain")
                .has("etag: \"e\"")
                .age(20),
            cached("12345"),
        ],
    )]);
}

#[test]
fn head_that_must_go_to_the_origin_goes_as_head() {
    let fetched =
        || head().origin(STORED, "12345").gives(200, "").has("content-length: 5").asked_with("HEAD");
    check([
        scenario(
            "9110 9.3.2: nothing stored, and no GET is answered by it",
            [fetched(), get().origin(STORED, "12345").gives(200, "12345").asked_with("GET"), cached("12345")],
        ),
        scenario("9110 9.3.2: stale", [fetch(STORED, "12345"), fetched().after(70)]),
        scenario(
            "9110 9.3.2: without a length",
            [
                head()
                    .origin_bytes(
                        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n",
                    )
                    .gives(200, "")
                    .lacks("content-length"),
                fetch(STORED, "12345"),
            ],
        ),
        scenario(
            "9110 9.3.2: an error",
            [
                head().origin_status("404 Not Found", "", "gone").gives(404, "").asked_with("HEAD"),
                fetch(STORED, "1"),
            ],
        ),
    ]);
}

/// A stored response, a HEAD that asks the origin, and the GET after it.
fn after_head(name: &str, answer: &str, length: usize, last: Step) -> Scenario {
    let asks = |step: Step| step.header("cache-control: no-cache");
    scenario(
        format!("9111 4.3.5: {name}"),
        [
            fetch(STORED, "12345"),
            asks(head()).after(50).origin(answer, &"x".repeat(length)).gives(200, "").asked_with("HEAD"),
            last,
        ],
    )
}

#[test]
fn head_freshens_what_it_describes() {
    let same = "cache-control: max-age=1000\netag: \"e\"\nx-new: 1";
    check([
        after_head(
            "the same representation",
            same,
            5,
            cached("12345").after(500).has("x-new: 1").has("content-length: 5"),
        ),
        scenario(
            "9111 4.3.5: stale, and still the same",
            [
                fetch(STORED, "12345"),
                head().after(70).origin(same, "12345").gives(200, "").has("x-new: 1"),
                cached("12345").after(20).age(20).has("x-new: 1"),
            ],
        ),
        scenario(
            "9111 4.3.4: by 304",
            [
                fetch(STORED, "12345"),
                head()
                    .after(70)
                    .origin_status("304 Not Modified", same, "")
                    .gives(200, "")
                    .has("content-length: 5")
                    .has("x-new: 1")
                    .asked_with("HEAD")
                    .sent("if-none-match: \"e\""),
                cached("12345").after(20).has("x-new: 1"),
            ],
        ),
    ]);
}

#[test]
fn head_makes_stale_what_it_does_not_describe() {
    let again = || fetch(STORED, "other");
    check([
        after_head("another entity tag", "cache-control: max-age=60\netag: \"f\"", 5, again()),
        after_head("another length", "cache-control: max-age=60\netag: \"e\"", 6, again()),
    ]);
}
