//! Response heads: what is stored of an origin's, and what is added to it for one viewer.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use headland_proto::model::{CachePolicy, Semantics};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::{
    body::{Piece, ViewerBody},
    cache_status::{self, Handling},
    conditional,
    multipart::Multipart,
    range::{self, Selection},
};
use crate::{
    cache::{
        freshness,
        object::{Head, Object},
    },
    clock::Timestamp,
    end_to_end,
};

/// Whether the cache had it, in CloudFront's manner.
pub const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// Id of the request, to quote when asking about it.
pub const X_HEADLAND_ID: HeaderName = HeaderName::from_static("x-headland-id");

/// The last second that an HTTP date can hold: 9999-12-31T23:59:59Z.
const HTTP_DATE_SECONDS_MAX: u64 = 253_402_300_799;

/// What an object says of itself that is not true of the answer that it has no such range.
const NOT_OF_A_416: [HeaderName; 7] = [
    header::AGE,
    header::CACHE_CONTROL,
    header::CONTENT_LOCATION,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    HeaderName::from_static("cdn-cache-control"),
];

/// What a response says about the way it came about.
#[derive(Debug, Clone)]
pub struct Marks<'a> {
    /// What the cache did.
    pub handling: Handling,
    /// The name of this cache.
    pub cache: &'a str,
    /// Id of the request.
    pub request_id: HeaderValue,
}

impl Marks<'_> {
    /// Marks a head.
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        headers.insert(X_CACHE, self.handling.x_cache());
        self.handling.append(self.cache, headers);
        headers.insert(X_HEADLAND_ID, self.request_id);
    }
}

/// A response of these parts.
pub(crate) fn build(status: StatusCode, headers: HeaderMap, body: ViewerBody) -> Response<ViewerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The headers of an origin's response, received at `received`, as any viewer may have them; or, of a response that is for one viewer
/// only, as that one may. `forwards_cookies`: whether its cookies told the response from others, or may have.
#[must_use]
pub fn headers_from_origin(
    mut headers: HeaderMap,
    policy: &CachePolicy,
    forwards_cookies: bool,
    via: &str,
    received: Timestamp,
) -> HeaderMap {
    let via = end_to_end::list_with(headers.get_all(header::VIA), via);
    end_to_end::strip(&mut headers);
    // Said twice alike, in lines or in a list, it was accepted; it is said once (RFC 9110 section 8.6).
    if let Some(length) = headers.remove(header::CONTENT_LENGTH) {
        let once = length.as_bytes().split(|&b| b == b',').next().map(<[u8]>::trim_ascii);
        let once = once.and_then(|digits| HeaderValue::from_bytes(digits).ok());
        headers.insert(header::CONTENT_LENGTH, once.unwrap_or(length));
    }
    if policy.semantics == Semantics::CloudFront && !forwards_cookies {
        // A cookie that is not forwarded is not handed out either (CloudFront guide, "Cookies").
        headers.remove(header::SET_COOKIE);
    }
    if freshness::date(&headers).is_none() {
        // What is passed on or stored without a Date gets the time it was received (RFC 9110 section 6.6.1).
        headers.insert(header::DATE, http_date(received));
    }
    if let Some(via) = via {
        headers.insert(header::VIA, via);
    }
    headers
}

fn http_date(moment: Timestamp) -> HeaderValue {
    let since_1970 = Duration::from_secs(moment.unix_seconds().min(HTTP_DATE_SECONDS_MAX));
    let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since_1970);
    HeaderValue::try_from(text).expect("a date is plain text")
}

/// The headers of a stored object: those for any viewer, but for Age, and marked as a hit.
#[must_use]
pub fn headers_to_store(mut headers: HeaderMap, status: StatusCode) -> HeaderMap {
    headers.remove(header::AGE);
    // Every viewer gets one of this edge.
    headers.remove(X_HEADLAND_ID);
    headers.insert(X_CACHE, cache_status::HIT);
    if status == StatusCode::OK && !headers.contains_key(header::ACCEPT_RANGES) {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    headers
}

/// A stored object for one viewer: whole, in part, or just the word that it has not changed. `in_blocks` makes the body of one that is
/// kept in blocks, of these pieces and so many bytes.
#[must_use]
pub fn from_object(
    object: &Arc<Object>,
    request: &HeaderMap,
    now: Timestamp,
    marks: Marks<'_>,
    head_only: bool,
    in_blocks: impl FnOnce(VecDeque<Piece>, u64) -> ViewerBody,
) -> Response<ViewerBody> {
    let head = &object.head;
    let mut headers = head.to_headers();
    headers.insert(header::AGE, HeaderValue::from(head.age_seconds(now)));
    marks.put(&mut headers);
    let (blocks, length) = (head.blocks(), object.length());
    let (status, extent) = extent(head, request, head_only, length, &mut headers);
    let body = match extent {
        _ if head_only => ViewerBody::empty(),
        Extent::Whole if blocks.is_some() => in_blocks([Piece::Of(0..length)].into(), length),
        Extent::Whole => ViewerBody::stored(object, 0, length),
        Extent::Part(part) if blocks.is_some() => {
            let bytes = part.end - part.start;
            in_blocks([Piece::Of(part)].into(), bytes)
        }
        Extent::Part(part) => ViewerBody::stored(object, part.start, part.end),
        Extent::Parts(parts) => {
            let multipart = Multipart::new(&parts, length, headers.get(header::CONTENT_TYPE));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(multipart.length));
            headers.insert(header::CONTENT_TYPE, multipart.content_type.clone());
            match blocks {
                Some(_) => {
                    let length = multipart.length;
                    in_blocks(multipart.into_pieces(), length)
                }
                None => ViewerBody::parts(object, multipart),
            }
        }
        Extent::Nothing => ViewerBody::empty(),
    };
    build(status, headers, body)
}

/// How much of an object is sent.
enum Extent {
    Whole,
    Part(Range<u64>),
    Parts(Vec<Range<u64>>),
    Nothing,
}

/// For an object under way, perhaps of unknown length: the status and the bytes that a conditional or range request gets, with the headers made
/// to fit; `None` for the whole. Several parts of what is still coming are the whole, which RFC 9110 section 14.2 allows.
pub(crate) fn select(
    head: &Head,
    request: &HeaderMap,
    head_only: bool,
    length: Option<u64>,
    headers: &mut HeaderMap,
) -> Option<(StatusCode, u64, u64)> {
    let Some(length) = length else {
        let not_modified =
            head.status().is_success() && conditional::is_not_modified(request, head, head.date());
        return not_modified.then(|| {
            conditional::strip(headers);
            (StatusCode::NOT_MODIFIED, 0, 0)
        });
    };
    match extent(head, request, head_only, length, headers) {
        (_, Extent::Whole | Extent::Parts(_)) => None,
        (status, Extent::Part(part)) => Some((status, part.start, part.end)),
        (status, Extent::Nothing) => Some((status, 0, 0)),
    }
}

/// What a conditional or range request gets of a stored response, and the headers made to fit, but for those of several parts. By far
/// the usual case is the whole.
fn extent(
    head: &Head,
    request: &HeaderMap,
    head_only: bool,
    length: u64,
    headers: &mut HeaderMap,
) -> (StatusCode, Extent) {
    // Only what would be answered with a 2xx has preconditions (RFC 9110 section 13.2.1).
    if head.status().is_success() && conditional::is_not_modified(request, head, head.date()) {
        conditional::strip(headers);
        return (StatusCode::NOT_MODIFIED, Extent::Nothing);
    }
    // A Range means something in a GET only (RFC 9110 section 14.2).
    let ranged = head.status() == StatusCode::OK && !head_only && request.contains_key(header::RANGE);
    if !ranged || !conditional::if_range_holds(request, head, head.date()) {
        return (head.status(), Extent::Whole);
    }
    match range::select(request, length) {
        Selection::Whole => (head.status(), Extent::Whole),
        Selection::Part(part) => {
            headers.extend(
                range::content_range(part.start, part.end, length).map(|v| (header::CONTENT_RANGE, v)),
            );
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
            (StatusCode::PARTIAL_CONTENT, Extent::Part(part))
        }
        Selection::Parts(parts) => (StatusCode::PARTIAL_CONTENT, Extent::Parts(parts)),
        Selection::Unsatisfiable => {
            // Nothing of what the head says of the object is true of this: least of all how long it may be kept.
            conditional::strip(headers);
            NOT_OF_A_416.iter().for_each(|name| _ = headers.remove(name));
            headers.extend(range::unsatisfied_range(length).map(|value| (header::CONTENT_RANGE, value)));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
            (StatusCode::RANGE_NOT_SATISFIABLE, Extent::Nothing)
        }
    }
}

#[cfg(test)]
mod tests;
