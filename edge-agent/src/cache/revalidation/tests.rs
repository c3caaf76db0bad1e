//! The tables of RFC 9111 section 4.3.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::cache::object::Unpacked;

const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const OLD_IN_1036: &str = "Sunday, 06-Nov-94 08:49:37 GMT";
const NEW: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

type Pairs<'a> = &'a [(&'static str, &'a str)];

fn headers(pairs: Pairs<'_>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, value.parse().expect("value"));
    }
    map
}

/// A response generated this many seconds after NEW.
fn stored(seconds: u64, pairs: Pairs<'_>) -> Head {
    let date = freshness::http_date(NEW).expect("date").after(Duration::from_secs(seconds));
    Unpacked { headers: headers(pairs), ..Unpacked::sample(date, Duration::from_secs(60)) }.pack()
}

#[test]
fn section_4_3_1_sending_a_validation_request() {
    let check = |stored_ones: &[Pairs<'_>], expected: Pairs<'_>| {
        let heads: Vec<_> = stored_ones.iter().map(|pairs| stored(0, pairs)).collect();
        let heads: Vec<_> = heads.iter().collect();
        assert_eq!(conditions(&heads), headers(expected), "{stored_ones:?}");
    };
    let (a, weak, dated) = (("etag", "\"a\""), ("etag", "W/\"a\""), ("last-modified", OLD));
    check(&[], &[]);
    check(&[&[]], &[]);
    // "MUST send the relevant entity tags".
    check(&[&[a]], &[("if-none-match", "\"a\"")]);
    check(&[&[weak]], &[("if-none-match", "W/\"a\"")]);
    check(&[&[a], &[weak], &[a], &[]], &[("if-none-match", "\"a\", W/\"a\"")]);
    // "SHOULD send the Last-Modified value [...] if [...] a single stored response is being validated", as it came.
    check(&[&[dated]], &[("if-modified-since", OLD)]);
    check(&[&[("last-modified", "yesterday")]], &[("if-modified-since", "yesterday")]);
    check(&[&[a, dated]], &[("if-none-match", "\"a\""), ("if-modified-since", OLD)]);
    check(&[&[dated], &[dated]], &[]);
    check(&[&[a, dated], &[dated]], &[("if-none-match", "\"a\"")]);
}

#[test]
fn tags_asked_about_are_bounded() {
    let many: Vec<_> = (0..40).map(|i| stored(0, &[("etag", &format!("\"{i}\""))])).collect();
    let conditions_of = |heads: &[Head]| conditions(&heads.iter().collect::<Vec<_>>());
    let list = conditions_of(&many)[header::IF_NONE_MATCH].to_str().expect("text").to_owned();
    assert_eq!(list.split(", ").count(), TAGS_MAX);
    assert!(list.starts_with("\"0\", \"1\""));
    let long = stored(0, &[("etag", &format!("\"{}\"", "x".repeat(TAGS_BYTES_MAX)))]);
    assert_eq!(conditions_of(std::slice::from_ref(&long)), HeaderMap::new());
    let short = stored(0, &[("etag", "\"a\"")]);
    assert_eq!(conditions_of(&[long, short])[header::IF_NONE_MATCH], "\"a\"");
}

#[test]
fn section_4_3_4_which_response_is_updated() {
    let check = |not_modified: Pairs<'_>, stored_ones: &[(u64, Pairs<'_>)], expected| {
        let heads: Vec<_> = stored_ones.iter().map(|(seconds, pairs)| stored(*seconds, pairs)).collect();
        let heads: Vec<_> = heads.iter().collect();
        assert_eq!(choose(&headers(not_modified), &heads), expected, "{not_modified:?} {stored_ones:?}");
    };
    let (a, b, weak) = (("etag", "\"a\""), ("etag", "\"b\""), ("etag", "W/\"a\""));
    let (dated, later) = (("last-modified", OLD), ("last-modified", NEW));
    let at = ("date", NEW);
    // A strong validator identifies the stored ones with the same; none of them: no update.
    check(&[a], &[(0, &[a]), (0, &[b])], Some(0));
    check(&[b], &[(0, &[a]), (0, &[b])], Some(1));
    check(&[a], &[(0, &[a]), (5, &[a])], Some(1));
    check(&[a], &[(0, &[b])], None);
    check(&[a], &[(0, &[weak])], None);
    check(&[a], &[(0, &[])], None);
    check(&[a, dated], &[(0, &[b, dated])], None);
    // A Last-Modified older than Date is a strong validator too (RFC 9110 section 8.8.2.2).
    check(&[a, dated, at], &[(0, &[dated])], Some(0));
    check(&[a, later, at], &[(0, &[later])], None);
    check(&[a, dated], &[(0, &[dated])], None);
    // Weak validators: the most recent of those that match.
    check(&[weak], &[(0, &[a]), (5, &[weak]), (3, &[a])], Some(1));
    check(&[weak], &[(0, &[a])], Some(0));
    check(&[weak], &[(0, &[b])], None);
    check(&[dated], &[(9, &[dated]), (5, &[dated]), (20, &[later])], Some(0));
    check(&[("last-modified", OLD_IN_1036)], &[(0, &[dated])], Some(0));
    check(&[dated], &[(0, &[later])], None);
    check(&[dated], &[(0, &[a, dated])], Some(0));
    // None at all: the only one there is.
    check(&[], &[(0, &[])], Some(0));
    check(&[], &[(0, &[a])], Some(0));
    check(&[("last-modified", "yesterday")], &[(0, &[a])], Some(0));
    check(&[], &[(0, &[]), (0, &[])], None);
    check(&[], &[], None);
}

#[test]
fn section_3_2_updating_stored_header_fields() {
    let check = |stored_pairs: Pairs<'_>, newer: Pairs<'_>, expected: Pairs<'_>| {
        let updated = freshened(&headers(stored_pairs), &headers(newer));
        assert_eq!(updated, headers(expected), "{stored_pairs:?} {newer:?}");
    };
    // Every field is added, and replaces all that was there of it.
    check(
        &[("a", "1"), ("a", "2"), ("b", "1")],
        &[("a", "3"), ("c", "4"), ("c", "5")],
        &[("a", "3"), ("b", "1"), ("c", "4"), ("c", "5")],
    );
    check(&[("content-type", "a/b")], &[("content-type", "c/d")], &[("content-type", "c/d")]);
    check(&[("etag", "\"a\"")], &[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")]);
    // But for those that tell about the message.
    let body = [("content-length", "5"), ("content-encoding", "br")];
    check(
        &body,
        &[
            ("content-length", "0"),
            ("content-encoding", "gzip"),
            ("content-range", "bytes 0-1/2"),
            ("transfer-encoding", "chunked"),
            ("age", "5"),
        ],
        &body,
    );
    // Section 3.1: what is for the next hop, and what may not be kept.
    check(
        &[],
        &[
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("proxy-authenticate", "x"),
            ("keep-alive", "1"),
            ("x", "1"),
        ],
        &[("x", "1")],
    );
    // What the edge has added stays.
    let added = [("x-cache", "Hit from headland"), ("accept-ranges", "bytes")];
    check(&added, &[("x-cache", "Hit from elsewhere")], &added);
}

#[test]
fn section_4_3_5_freshening_with_head() {
    let check = |stored_pairs: Pairs<'_>, status: StatusCode, response: Pairs<'_>, expected| {
        let head = stored(0, &[stored_pairs, &[("content-length", "5")][..]].concat());
        assert_eq!(by_head(&head, status, &headers(response)), expected, "{stored_pairs:?} {response:?}");
    };
    let (a, b, weak) = (("etag", "\"a\""), ("etag", "\"b\""), ("etag", "W/\"a\""));
    let (dated, later) = (("last-modified", OLD), ("last-modified", NEW));
    let ok = StatusCode::OK;
    check(&[a, dated], ok, &[a, dated, ("content-length", "5")], ByHead::Freshen);
    check(&[a, dated], ok, &[a], ByHead::Freshen);
    check(&[a], ok, &[], ByHead::Freshen);
    check(&[a], ok, &[b], ByHead::Invalidate);
    check(&[a], ok, &[weak], ByHead::Invalidate);
    check(&[], ok, &[a], ByHead::Invalidate);
    check(&[a, dated], ok, &[a, later], ByHead::Invalidate);
    check(&[a], ok, &[a, ("content-length", "6")], ByHead::Invalidate);
    check(&[a], ok, &[a, ("content-length", "five")], ByHead::Invalidate);
    // Only a 200 says anything.
    check(&[a], StatusCode::NOT_FOUND, &[b], ByHead::Nothing);
    check(&[a], StatusCode::NOT_MODIFIED, &[a], ByHead::Nothing);
    let missing = Unpacked { status: StatusCode::NOT_FOUND, ..stored(0, &[]).unpack() }.pack();
    assert_eq!(by_head(&missing, ok, &HeaderMap::new()), ByHead::Invalidate);
}

proptest! {
    #[test]
    fn updating_twice_is_updating_once(
        old in prop::collection::vec(("[a-d]", "[a-z]{0,3}"), 0..6),
        new in prop::collection::vec(("[a-d]|content-length|connection", "[a-d]{0,3}"), 0..6),
    ) {
        let map = |pairs: &[(String, String)]| {
            let mut map = HeaderMap::new();
            for (name, value) in pairs {
                map.append(name.parse::<HeaderName>().expect("name"), value.parse().expect("value"));
            }
            map
        };
        let (old, new) = (map(&old), map(&new));
        let once = freshened(&old, &new);
        prop_assert_eq!(&freshened(&once, &new), &once);
        prop_assert!(old.keys().all(|name| once.contains_key(name)));
    }
}
