//! What is forwarded and what is stored of the header (RFC 9110 section 7.6, RFC 9111 section 3.1).

use crate::support::scenario::{ask, cached, check, fetch, get, scenario};

const STORED: &str = "cache-control: max-age=1000";

#[test]
fn what_connection_names_goes_no_further() {
    let headers = format!("{STORED}\nconnection: x-hop, X-Also\nx-hop: 1\nx-also: 1\nx-end: 1");
    check([
        scenario(
            "9110 7.6.1: of a response",
            [
                fetch(&headers, "one").lacks("x-hop").lacks("x-also").has("x-end: 1"),
                cached("one").lacks("x-hop").lacks("x-also").has("x-end: 1"),
            ],
        ),
        scenario(
            "9110 7.6.1: of a request",
            [fetch(STORED, "one")
                .header("connection: x-hop")
                .header("connection: X-Also")
                .header("x-hop: 1")
                .header("x-also: 1")
                .header("x-end: 1")
                .unsent("x-hop")
                .unsent("x-also")
                .sent("x-end: 1")],
        ),
        scenario(
            "9110 7.6.1: of a request that passes by the cache",
            [ask("POST")
                .header("connection: x-hop")
                .header("x-hop: 1")
                .origin("", "")
                .status(200..=200)
                .unsent("x-hop")],
        ),
    ]);
}

#[test]
fn what_is_meant_for_the_next_hop_goes_no_further() {
    let name = |line: &str| line.split(':').next().map(str::to_owned).expect("a name");
    check(["keep-alive: timeout=5", "proxy-connection: keep-alive", "te: trailers", "upgrade: x"].map(
        |line| {
            let name = name(line);
            scenario(
                format!("9110 7.6.1: {line} of a response"),
                [fetch(&format!("{STORED}\n{line}"), "one").lacks(&name), cached("one").lacks(&name)],
            )
        },
    ));
    check(["proxy-authenticate: Basic", "proxy-authentication-info: x=1"].map(|line| {
        scenario(
            format!("9111 3.1: {line} is not stored"),
            [fetch(&format!("{STORED}\n{line}"), "one"), cached("one").lacks(&name(line))],
        )
    }));
    check(["keep-alive: timeout=5", "proxy-connection: keep-alive", "te: gzip"].map(|line| {
        scenario(
            format!("9110 7.6.1: {line} of a request"),
            [fetch(STORED, "one").header(line).unsent(&name(line))],
        )
    }));
}

#[test]
fn end_to_end_fields_come_back_as_they_were() {
    check(
        [
            "etag: \"e\"",
            "last-modified: {start-1000}",
            "expires: {start+1000}",
            "content-type: text/plain;charset=utf-8",
            "content-language: en",
            "content-encoding: br",
            "content-disposition: inline",
            "content-security-policy: default-src 'none'",
            "access-control-allow-origin: *",
            "link: </b>; rel=next",
            "www-authenticate: Basic realm=\"a\", Newer x=\"b\"",
            "other-cache-control: no-store",
            "x-unknown: a, \"b, c\"",
            "x-empty:",
        ]
        .map(|line| {
            scenario(
                format!("9111 3.1: {line}"),
                [
                    fetch(&format!("{STORED}\n{line}"), "one").has(line),
                    cached("one").after(5).has(line).has(STORED).has("content-length: 3"),
                ],
            )
        }),
    );
    check([scenario(
        "9110 5.3: lines of one name keep their order",
        [fetch(&format!("{STORED}\nx-a: 1\nx-a: 2\nx-a: 3"), "one"), cached("one").has("x-a: 1, 2, 3")],
    )]);
}

#[test]
fn via_names_every_hop() {
    check([
        scenario(
            "9110 7.6.3: ours, on the way there and back",
            [
                fetch(STORED, "one").sent("via: 1.1 headland-test").has("via: 1.1 headland-test"),
                cached("one").has("via: 1.1 headland-test"),
            ],
        ),
        scenario(
            "9110 7.6.3: after those before",
            [
                fetch(&format!("{STORED}\nvia: 1.0 up"), "one")
                    .header("via: 1.0 down")
                    .sent("via: 1.0 down, 1.1 headland-test")
                    .has("via: 1.0 up, 1.1 headland-test"),
                cached("one").has("via: 1.0 up, 1.1 headland-test"),
            ],
        ),
    ]);
}

#[test]
fn date_is_that_of_the_origin_or_of_receipt() {
    check([
        scenario(
            "9110 6.6.1: as it came",
            [fetch(STORED, "one").has("date: {start}"), cached("one").after(50).has("date: {start}")],
        ),
        scenario(
            "9110 6.6.1: added when missing, and kept",
            [
                fetch(&format!("{STORED}\nno-date"), "one").has("date: {start}"),
                cached("one").after(50).has("date: {start}").age(50),
            ],
        ),
        scenario(
            "9110 6.6.1: added when missing, not stored",
            [
                fetch("cache-control: no-store\nno-date", "one").has("date: {now}"),
                fetch("cache-control: no-store\nno-date", "one").after(50).has("date: {now}"),
            ],
        ),
        scenario(
            "9110 6.6.1: in the past, as it came",
            [
                fetch(&format!("{STORED}\ndate: {{start-100}}"), "one").has("date: {start-100}"),
                cached("one").has("date: {start-100}"),
            ],
        ),
    ]);
}

#[test]
fn a_date_in_an_error_page() {
    check([scenario(
        "9110 6.6.1: an origin server with a clock",
        [ask("GET").down().status(502..=504).has_some("date")],
    )]);
}

#[test]
fn trailers_do_not_become_headers() {
    let bytes = "HTTP/1.1 200 OK\r\ndate: {now}\r\ncache-control: max-age=1000\r\ntrailer: x-sum\r\n\
        transfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\nx-sum: 1\r\ncache-control: no-store\r\n\r\n";
    check([scenario(
        "9111 3.1, 9110 6.5.1: neither of the response nor of what is stored",
        [
            get().origin_bytes(bytes).gives(200, "one").lacks("x-sum").has(STORED),
            cached("one").lacks("x-sum").has(STORED),
        ],
    )]);
}

#[test]
fn what_has_no_content_has_no_length() {
    let answered = || get().gives(204, "").lacks("content-length").lacks("transfer-encoding");
    check([scenario(
        "9110 8.6: 204",
        [answered().origin_status("204 No Content", &format!("{STORED}\ncontent-length: 0"), ""), answered()],
    )]);
}
