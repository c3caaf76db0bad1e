//! Heads for one viewer, row by row.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;

use super::*;
use crate::cache::object::Unpacked;

fn object() -> Arc<Object> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("etag", "\"e\""),
        ("content-length", "10"),
        ("content-type", "text/plain"),
        ("cache-control", "max-age=60"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let received = Timestamp::from_unix_seconds(1000);
    let mut head = Unpacked {
        headers: headers_to_store(headers, StatusCode::OK),
        ..Unpacked::sample(received, Duration::from_secs(60))
    };
    head.terms.freshness.initial_age = Duration::from_secs(2);
    Arc::new(Object::new(head.pack(), &[Bytes::from_static(b"0123456789")], 10))
}

fn policy() -> CachePolicy {
    let ttl = headland_proto::model::TtlBounds {
        min: Duration::ZERO,
        default: Duration::ZERO,
        max: Duration::ZERO,
    };
    CachePolicy {
        semantics: Semantics::CloudFront,
        ttl,
        headers: vec![],
        cookies: headland_proto::model::NameSelection::None,
        query_strings: headland_proto::model::NameSelection::None,
        codings: headland_proto::model::Codings::default(),
    }
}

async fn check(
    request: &[(&'static str, &'static str)],
    head_only: bool,
    status: u16,
    body: &str,
    expected: &[(&str, Option<&str>)],
) {
    let mut headers = HeaderMap::new();
    for (name, value) in request {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    let now = Timestamp::from_unix_seconds(1030);
    let marks =
        Marks { handling: Handling::hit(30), cache: "me", request_id: HeaderValue::from_static("id1") };
    let response = from_object(&object(), &headers, now, marks, head_only, |_, _| ViewerBody::empty());
    assert_eq!(response.status(), status, "{request:?}");
    for (name, value) in expected {
        let actual = response.headers().get(*name).map(|v| v.to_str().expect("text"));
        assert_eq!(actual, *value, "{name} for {request:?}");
    }
    let actual = response.into_body().collect().await.expect("body").to_bytes();
    assert_eq!(actual, body.as_bytes(), "{request:?}");
}

#[tokio::test]
async fn a_hit_is_the_object_or_what_was_asked_of_it() {
    let common = [
        ("age", Some("32")),
        ("x-cache", Some("Hit from headland")),
        ("cache-status", Some("me; hit; ttl=30")),
        ("x-headland-id", Some("id1")),
    ];
    check(&[], false, 200, "0123456789", &common).await;
    check(&[], false, 200, "0123456789", &[("content-length", Some("10")), ("accept-ranges", Some("bytes"))])
        .await;
    check(&[], true, 200, "", &[("content-length", Some("10"))]).await;
    check(
        &[("if-none-match", "\"e\"")],
        false,
        304,
        "",
        // RFC 9110 section 15.4.5: what a cache updates, and nothing about the body.
        &[
            ("etag", Some("\"e\"")),
            ("cache-control", Some("max-age=60")),
            ("age", Some("32")),
            ("cache-status", Some("me; hit; ttl=30")),
            ("content-length", None),
            ("content-type", None),
        ],
    )
    .await;
    check(
        &[("range", "bytes=2-4")],
        false,
        206,
        "234",
        &[("content-range", Some("bytes 2-4/10")), ("content-length", Some("3"))],
    )
    .await;
    check(
        &[("range", "bytes=20-")],
        false,
        416,
        "",
        &[
            ("content-range", Some("bytes */10")),
            ("content-length", Some("0")),
            ("cache-control", None),
            ("etag", None),
            ("content-type", None),
        ],
    )
    .await;
    check(
        &[("range", "bytes=2-4"), ("if-range", "\"x\"")],
        false,
        200,
        "0123456789",
        &[("content-range", None)],
    )
    .await;
    check(&[("range", "bytes=2-4"), ("if-none-match", "\"e\"")], false, 304, "", &[("content-range", None)])
        .await;
}

#[test]
fn what_is_no_2xx_has_no_preconditions_and_what_is_no_200_has_no_ranges() {
    let mut request = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static("*"))]);
    let check = |status: StatusCode, request: &HeaderMap, expected: StatusCode| {
        let head = Unpacked { status, ..Unpacked::sample(Timestamp::default(), Duration::ZERO) }.pack();
        assert_eq!(extent(&head, request, false, 10, &mut HeaderMap::new()).0, expected, "{request:?}");
    };
    // RFC 9110 section 13.2.1.
    check(StatusCode::NO_CONTENT, &request, StatusCode::NOT_MODIFIED);
    check(StatusCode::NOT_FOUND, &request, StatusCode::NOT_FOUND);
    check(StatusCode::MOVED_PERMANENTLY, &request, StatusCode::MOVED_PERMANENTLY);
    // Section 14.2.
    request.clear();
    request.insert(header::RANGE, HeaderValue::from_static("bytes=0-1"));
    check(StatusCode::OK, &request, StatusCode::PARTIAL_CONTENT);
    check(StatusCode::NOT_FOUND, &request, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn several_ranges_are_parts_of_one_body() {
    let mut request = HeaderMap::new();
    request.insert(header::RANGE, HeaderValue::from_static("bytes=7-8,0-1"));
    let marks =
        Marks { handling: Handling::hit(30), cache: "me", request_id: HeaderValue::from_static("id1") };
    let response =
        from_object(&object(), &request, Timestamp::from_unix_seconds(1030), marks, false, |_, _| {
            ViewerBody::empty()
        });
    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
    let headers = response.headers().clone();
    let content_type = headers["content-type"].to_str().expect("text").to_owned();
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").expect("multipart");
    // RFC 9110 section 15.3.7.2: not in the head of the whole.
    assert!(!headers.contains_key("content-range"));
    let part = |range: &str, bytes: &str| {
        format!(
            "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {range}/10\r\n\r\n{bytes}\r\n"
        )
    };
    let expected = format!("{}{}--{boundary}--\r\n", part("7-8", "78"), part("0-1", "01"));
    assert_eq!(response.body().size_hint().exact(), Some(expected.len() as u64));
    assert_eq!(headers["content-length"], expected.len().to_string().as_str());
    assert_eq!(response.into_body().collect().await.expect("body").to_bytes(), expected);
}

#[test]
fn a_response_without_a_date_gets_the_time_it_was_received() {
    let check = |date: Option<&'static str>, expected: &str| {
        let mut origin = HeaderMap::new();
        origin.extend(date.map(|date| (header::DATE, HeaderValue::from_static(date))));
        let received = Timestamp::from_unix_seconds(784_111_777);
        let headers = headers_from_origin(origin.clone(), &policy(), false, "1.1 me", received);
        assert_eq!(headers[header::DATE], expected, "{date:?}");
        assert_eq!(headers.get_all(header::DATE).iter().count(), 1);
    };
    // RFC 9110 section 6.6.1.
    check(None, "Sun, 06 Nov 1994 08:49:37 GMT");
    check(Some("yesterday"), "Sun, 06 Nov 1994 08:49:37 GMT");
    check(Some("Sat, 05 Nov 1994 08:49:37 GMT"), "Sat, 05 Nov 1994 08:49:37 GMT");
    assert_eq!(http_date(Timestamp::NEVER), "Fri, 31 Dec 9999 23:59:59 GMT");
}

#[test]
fn cookies_are_handed_out_only_where_they_are_forwarded() {
    let mut policy = policy();
    let mut origin = HeaderMap::new();
    for (name, value) in
        [("set-cookie", "a=1"), ("connection", "x-hop"), ("x-hop", "1"), ("via", "1.0 before")]
    {
        origin.insert(name, HeaderValue::from_static(value));
    }
    let headers =
        headers_from_origin(origin.clone(), &policy, policy.keys_cookies(), "1.1 me", Timestamp::default());
    assert_eq!(headers["via"], "1.0 before, 1.1 me");
    assert_eq!(headers.keys().len(), 2, "Date and Via: {headers:?}");
    policy.cookies = headland_proto::model::NameSelection::All;
    assert!(
        headers_from_origin(origin.clone(), &policy, policy.keys_cookies(), "1.1 me", Timestamp::default())
            .contains_key("set-cookie")
    );
}
