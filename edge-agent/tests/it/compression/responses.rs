//! Which responses are compressed, and what their heads say then.

use super::{Compressed, FRESH, STRONG, accepting, compressed, page};
use crate::support::scenario::{Scenario, check};

/// Served as the origin sent it, and stored under the key of those who accept the same.
fn as_it_is(name: &str, status: &str, headers: &str, body: &str) -> Scenario {
    let code = status[..3].parse().expect("a status");
    let step = || accepting("gzip").gives(code, body);
    compressed(name, [step().origin_status(status, headers, body), step().x_cache("Hit")])
}

#[test]
fn what_is_not_compressed_is_served_as_it_is() {
    let page = &page(3000);
    let with = |line: &str| format!("{FRESH}\n{line}");
    check([
        as_it_is("too small", "200 OK", FRESH, &page[..999]),
        as_it_is("a picture", "200 OK", "cache-control: max-age=60\ncontent-type: image/png", page),
        as_it_is("no type", "200 OK", "cache-control: max-age=60", page),
        as_it_is("no-transform (RFC 9110 section 7.7)", "200 OK", &with("cache-control: no-transform"), page),
        as_it_is("encoded by the origin", "200 OK", &with("content-encoding: gzip"), page),
        as_it_is("another status", "410 Gone", FRESH, page),
    ]);
    let transfer =
        format!("HTTP/1.1 200 OK\r\n{}\r\ntransfer-encoding: chunked\r\n\r\n", FRESH.replace('\n', "\r\n"));
    check([
        compressed(
            "without a length",
            [accepting("gzip")
                .origin_bytes(&format!("{transfer}{:x}\r\n{page}\r\n0\r\n\r\n", page.len()))
                .gives(200, page)
                .lacks("content-encoding")],
        ),
        compressed(
            "what the origin encoded is what the viewer gets",
            [
                accepting("gzip, br")
                    .origin(&with("content-encoding: br\netag: \"br\""), page)
                    .has("content-encoding: br")
                    .has("etag: \"br\""),
                accepting("br, gzip").gives(200, page).has("content-encoding: br").x_cache("Hit"),
            ],
        ),
        compressed(
            "what is not fresh for any time",
            [accepting("gzip")
                .origin("cache-control: max-age=0\ncontent-type: text/html\netag: \"e\"", page)
                .gives(200, page)
                .has("etag: \"e\"")],
        ),
        compressed(
            "what is not stored",
            [accepting("gzip")
                .origin("cache-control: no-store\ncontent-type: text/html", page)
                .gives(200, page)],
        ),
    ]);
}

#[test]
fn errors_of_the_usual_kind_are_compressed() {
    let page = page(3000);
    let steps = |status: &str| {
        let (code, page) = (status[..3].parse::<u16>().expect("a status"), page.clone());
        let step = move || {
            let page = page.clone();
            accepting("gzip")
                .status(code..=code)
                .response("it is not compressed", move |r| super::is_compressed(r, "gzip", &page))
        };
        [step().origin_status(status, FRESH, &super::page(3000)), step().x_cache("Hit")]
    };
    check([compressed("404", steps("404 Not Found")), compressed("403", steps("403 Forbidden"))]);
}

#[test]
fn what_was_said_of_other_bytes_is_not_said() {
    let page = &page(3000);
    let about = format!(
        "{STRONG}\naccept-ranges: none\ncontent-md5: AA==\ndigest: sha-256=AA==\ncontent-digest: sha-256=:AA==:\n\
         repr-digest: sha-256=:AA==:\nvary: Origin\nx-other: 1"
    );
    let step = || {
        let names = ["content-md5", "digest", "content-digest", "repr-digest"];
        let step = accepting("gzip").gives_compressed("gzip", page);
        names
            .into_iter()
            .fold(step, |step, name| step.lacks(name))
            .has("etag: W/\"e\"")
            .has("accept-ranges: bytes")
            .has("vary: Origin, Accept-Encoding")
            .has("x-other: 1")
    };
    check([
        compressed("on its way and stored", [step().origin(&about, page), step().x_cache("Hit")]),
        compressed(
            "an entity tag that is none is taken out",
            [accepting("gzip").origin(&format!("{FRESH}\netag: e"), page).lacks("etag")],
        ),
    ]);
}

#[test]
fn fields_for_one_viewer_are_kept_from_others() {
    let page = &page(3000);
    let headers =
        "cache-control: max-age=60, private=\"x-own\"\ncontent-type: text/html\netag: \"e\"\nx-own: 1";
    let step = || accepting("br").gives_compressed("br", page).has("etag: W/\"e\"");
    check([compressed(
        "RFC 9111 section 5.2.2.7",
        [step().origin(headers, page).has("x-own: 1"), step().x_cache("Hit").lacks("x-own")],
    )]);
}
