//! What benchmarks run (`edge-agent/benches`): the cache's own parts, put together as the pipeline does it.

use std::sync::Arc;

use bytes::Bytes;
use headland_proto::model::{CachePolicy, NameSelection, Semantics, TtlBounds};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::{
    cache::{
        Cache, Limits,
        freshness::Timing,
        invalidation::Epoch,
        key,
        object::Object,
        storability::{self, RequestFacts, ResponseFacts},
    },
    clock::Timestamp,
    pipeline::fill,
    viewer::{
        body::ViewerBody,
        cache_status::{Handling, ttl},
        response::{self, Marks},
    },
};

/// A cache with room for this much in memory, and no disk.
#[must_use]
pub fn cache(memory_bytes: u64, object_bytes_max: u64) -> Cache {
    Cache::new(Limits { memory_bytes, object_bytes_max, background_fill_percent: 50 }, None, Arc::default())
}

/// A policy that leaves it all to the origin.
#[must_use]
pub fn policy() -> CachePolicy {
    let ttl = TtlBounds {
        min: std::time::Duration::ZERO,
        default: std::time::Duration::ZERO,
        max: std::time::Duration::from_secs(31_536_000),
    };
    CachePolicy {
        semantics: Semantics::Rfc9111,
        ttl,
        headers: Vec::new(),
        cookies: NameSelection::None,
        query_strings: NameSelection::None,
    }
}

/// The key of a path.
#[must_use]
pub fn key(policy: &CachePolicy, path: &str) -> Arc<[u8]> {
    let distribution = "EABCDEFGHIJKLM".parse().unwrap_or_else(|_| unreachable!("it is an id"));
    let mut out = Vec::new();
    key::write(&mut out, &distribution, policy, path, None, "cdn.test", &HeaderMap::new());
    out.into()
}

/// What is stored of a 200 with these headers, which has to be storable.
#[must_use]
pub fn object(policy: &CachePolicy, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Arc<Object> {
    let timing = Timing { request: now, response: now };
    let request = HeaderMap::new();
    let facts = ResponseFacts { status: StatusCode::OK, headers, delimited: true, timing };
    let request = RequestFacts { headers: &request, authorization: false };
    let Ok(storable) = storability::decide(policy, request, facts) else {
        unreachable!("a benchmark stores what may be stored")
    };
    let headers = response::headers_from_origin(headers, policy, "1.1 headland-test", now);
    let head = fill::new_head(StatusCode::OK, headers, timing, storable, Epoch::default());
    Arc::new(Object::new(head.pack(), [body], body.len() as u64))
}

/// A hit on it.
#[must_use]
pub fn hit(object: &Arc<Object>, request: &HeaderMap, now: Timestamp) -> Response<ViewerBody> {
    let handling = Handling::hit(ttl(&object.head, now));
    let request_id = HeaderValue::from_static("01234567-89ab-cdef-0123-456789abcdef");
    let marks = Marks { handling, cache: "headland-test", request_id };
    response::from_object(object, request, now, marks, false, |_, _| ViewerBody::empty())
}
