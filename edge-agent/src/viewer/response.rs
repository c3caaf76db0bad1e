//! Response heads: what is stored of an origin's, and what is added to it for one viewer.

use std::sync::Arc;

use bytes::BytesMut;
use headland_proto::model::{CachePolicy, NameSelection, Semantics};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::{
    body::ViewerBody,
    conditional,
    range::{self, Selection},
};
use crate::{
    cache::object::{Head, Object},
    clock::Timestamp,
    end_to_end,
};

/// Whether the cache had it, in CloudFront's manner.
pub const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// Id of the request, to quote when asking about it.
pub const X_HEADLAND_ID: HeaderName = HeaderName::from_static("x-headland-id");

const HIT: HeaderValue = HeaderValue::from_static("Hit from headland");
const MISS: HeaderValue = HeaderValue::from_static("Miss from headland");

/// A response of these parts.
pub(crate) fn build(status: StatusCode, headers: HeaderMap, body: ViewerBody) -> Response<ViewerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The headers of an origin's response as any viewer may have them.
#[must_use]
pub fn headers_from_origin(origin: &HeaderMap, policy: &CachePolicy, via: &str) -> HeaderMap {
    // Room for what is added here and for each viewer, so that a hit's copy need not grow.
    let mut headers = HeaderMap::with_capacity(origin.len() + 6);
    end_to_end::copy(origin, &mut headers);
    // Said twice alike, it was accepted; it is said once (RFC 9110 section 8.6).
    if let Some(length) = headers.remove(header::CONTENT_LENGTH) {
        headers.insert(header::CONTENT_LENGTH, length);
    }
    if policy.semantics == Semantics::CloudFront && policy.cookies == NameSelection::None {
        // A cookie that is not forwarded is not handed out either (CloudFront guide, "Cookies").
        headers.remove(header::SET_COOKIE);
    }
    end_to_end::append_to_list(origin.get_all(header::VIA), header::VIA, via, &mut headers);
    headers
}

/// The headers of a stored object: those for any viewer, but for Age, and marked as a hit.
#[must_use]
pub fn headers_to_store(headers: HeaderMap, status: StatusCode) -> HeaderMap {
    let mut headers = compact(headers);
    headers.remove(header::AGE);
    headers.insert(X_CACHE, HIT);
    if status == StatusCode::OK && !headers.contains_key(header::ACCEPT_RANGES) {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    headers
}

/// The same headers in memory of their own. As they came, each value keeps the whole read buffer of the origin's connection alive.
fn compact(mut headers: HeaderMap) -> HeaderMap {
    let mut text = BytesMut::with_capacity(headers.values().map(HeaderValue::len).sum());
    headers.values().for_each(|value| text.extend_from_slice(value.as_bytes()));
    let mut text = text.freeze();
    for value in headers.values_mut() {
        if let Ok(copy) = HeaderValue::from_maybe_shared(text.split_to(value.len())) {
            *value = copy;
        }
    }
    headers
}

/// A stored object for one viewer: whole, in part, or just the word that it has not changed.
#[must_use]
pub fn from_object(
    object: &Arc<Object>,
    request: &HeaderMap,
    now: Timestamp,
    request_id: HeaderValue,
    head_only: bool,
) -> Response<ViewerBody> {
    let head = &object.head;
    let mut headers = head.headers.clone();
    headers.insert(header::AGE, HeaderValue::from(head.age_seconds(now)));
    headers.insert(X_HEADLAND_ID, request_id);
    let length = object.body.len();
    let Some((status, start, end)) = select(head, request, head_only, length, &mut headers) else {
        return build(
            head.status,
            headers,
            if head_only { ViewerBody::empty() } else { ViewerBody::stored(object, 0, length) },
        );
    };
    let body =
        if head_only || start == end { ViewerBody::empty() } else { ViewerBody::stored(object, start, end) };
    build(status, headers, body)
}

/// For a 200 of known length: the status and the bytes that a conditional or range request gets, with the headers made to fit;
/// `None` for the whole, which is by far the usual case.
pub(crate) fn select(
    head: &Head,
    request: &HeaderMap,
    head_only: bool,
    length: u64,
    headers: &mut HeaderMap,
) -> Option<(StatusCode, u64, u64)> {
    if head.status != StatusCode::OK {
        return None;
    }
    if conditional::is_not_modified(request, headers) {
        headers.remove(header::CONTENT_LENGTH);
        return Some((StatusCode::NOT_MODIFIED, 0, 0));
    }
    // A Range means something in a GET only (RFC 9110 section 14.2).
    if head_only || !request.contains_key(header::RANGE) || !conditional::if_range_holds(request, headers) {
        return None;
    }
    let (status, content_range, start, end) = match range::select(request, length) {
        Selection::Whole => return None,
        Selection::Part { start, end } => {
            (StatusCode::PARTIAL_CONTENT, range::content_range(start, end, length), start, end)
        }
        Selection::Unsatisfiable => {
            (StatusCode::RANGE_NOT_SATISFIABLE, range::unsatisfied_range(length), 0, 0)
        }
    };
    headers.extend(content_range.map(|value| (header::CONTENT_RANGE, value)));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    Some((status, start, end))
}

/// Marks a head as a miss, or as a hit for one who waited for another's miss (as CloudFront logs it).
pub(crate) fn mark(headers: &mut HeaderMap, hit: bool, request_id: HeaderValue) {
    headers.insert(X_CACHE, if hit { HIT } else { MISS });
    headers.insert(X_HEADLAND_ID, request_id);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http_body_util::BodyExt;

    use super::*;
    use crate::cache::object::Body;

    fn object() -> Arc<Object> {
        let mut headers = HeaderMap::new();
        for (name, value) in [("etag", "\"e\""), ("content-length", "10"), ("content-type", "text/plain")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let received = Timestamp::from_unix_seconds(1000);
        Arc::new(Object {
            head: Head {
                status: StatusCode::OK,
                headers: headers_to_store(headers, StatusCode::OK),
                content_length: Some(10),
                received,
                initial_age: Duration::from_secs(2),
                fresh_until: received.after(Duration::from_secs(60)),
                vary: None,
            },
            body: Body::from_chunks(&[Bytes::from_static(b"0123456789")], 10),
        })
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
        let response = from_object(&object(), &headers, now, HeaderValue::from_static("id1"), head_only);
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
        let common =
            [("age", Some("32")), ("x-cache", Some("Hit from headland")), ("x-headland-id", Some("id1"))];
        check(&[], false, 200, "0123456789", &common).await;
        check(
            &[],
            false,
            200,
            "0123456789",
            &[("content-length", Some("10")), ("accept-ranges", Some("bytes"))],
        )
        .await;
        check(&[], true, 200, "", &[("content-length", Some("10"))]).await;
        check(
            &[("if-none-match", "\"e\"")],
            false,
            304,
            "",
            &[("etag", Some("\"e\"")), ("content-length", None)],
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
            &[("content-range", Some("bytes */10")), ("content-length", Some("0"))],
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
        check(
            &[("range", "bytes=2-4"), ("if-none-match", "\"e\"")],
            false,
            304,
            "",
            &[("content-range", None)],
        )
        .await;
    }

    #[test]
    fn cookies_are_handed_out_only_where_they_are_forwarded() {
        let mut policy = CachePolicy {
            semantics: Semantics::CloudFront,
            ttl: headland_proto::model::TtlBounds {
                min: Duration::ZERO,
                default: Duration::ZERO,
                max: Duration::ZERO,
            },
            headers: vec![],
            cookies: NameSelection::None,
            query_strings: NameSelection::None,
        };
        let mut origin = HeaderMap::new();
        for (name, value) in
            [("set-cookie", "a=1"), ("connection", "x-hop"), ("x-hop", "1"), ("via", "1.0 before")]
        {
            origin.insert(name, HeaderValue::from_static(value));
        }
        let headers = headers_from_origin(&origin, &policy, "1.1 me");
        assert_eq!(headers["via"], "1.0 before, 1.1 me");
        assert_eq!(headers.len(), 1);
        policy.cookies = NameSelection::All;
        assert!(headers_from_origin(&origin, &policy, "1.1 me").contains_key("set-cookie"));
    }
}
