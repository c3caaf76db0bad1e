//! Incomplete responses (RFC 9111 section 3.3): never used as if they were whole.

use crate::support::scenario::{Step, cached, check, fetch, get, scenario};

/// A response that breaks off, and the viewer can tell, or gets what is stored.
fn broken(bytes: &str) -> Step {
    get().origin_bytes(bytes).response("a broken response looks complete", |response| {
        !response.complete || response.status >= 500 || response.body == b"stored"
    })
}

#[test]
fn a_body_cut_short_is_never_served_as_whole() {
    check(
        [
            ("9112 8: cut Content-Length", "content-length: 10\r\n\r\nhalf"),
            ("9112 8: cut chunk", "transfer-encoding: chunked\r\n\r\nff\r\nhalf"),
            ("9112 8: no last chunk", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
            ("9112 8: no end after the last chunk", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n"),
        ]
        .map(|(name, rest)| {
            let head = "HTTP/1.1 200 OK\r\ndate: {now}\r\ncache-control: max-age=60\r\netag: \"e\"\r\n";
            scenario(
                name,
                [
                    broken(&format!("{head}{rest}")),
                    fetch("cache-control: max-age=60\netag: \"e\"", "the whole"),
                    cached("the whole"),
                ],
            )
        }),
    );
}

#[test]
fn a_body_cut_short_does_not_replace_what_is_stored() {
    let cut = "HTTP/1.1 200 OK\r\ndate: {now}\r\ncache-control: max-age=60\r\netag: \"f\"\r\ncontent-length: 10\r\n\r\nhalf";
    check([scenario(
        "9111 3.3: a validation that ends in half a response",
        [
            fetch("cache-control: max-age=60\netag: \"e\"", "stored"),
            broken(cut).after(70),
            fetch("cache-control: max-age=60\netag: \"f\"", "two"),
            cached("two"),
        ],
    )]);
}

#[test]
fn a_head_cut_short_is_no_response() {
    check(
        ["HTTP/1.1 200 OK\r\ncache-control: max-a", "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n", ""]
            .map(|bytes| {
                scenario(
                    format!("9112 8: {bytes:?}"),
                    [
                        get().origin_bytes(bytes).or_cached().status(500..=599),
                        fetch("cache-control: max-age=60", "one"),
                        cached("one"),
                    ],
                )
            }),
    );
}
