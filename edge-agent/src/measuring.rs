//! What benchmarks run (`edge-agent/benches`): the cache's own parts, put together as the pipeline does it.

use std::{io, sync::Arc};

use bytes::Bytes;
use headland_proto::model::{CachePolicy, Codings, NameSelection, Scheme, Semantics, TtlBounds};
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
    clock::{Clock, Timestamp},
    origin::request::Identity,
    pipeline::{Shared, Worker, fill},
    routing::Table,
    viewer::{
        body::ViewerBody,
        cache_status::{Handling, ttl},
        http1::{self, Received},
        response::{self, Marks},
        who::{Peer, Viewer},
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
        codings: Codings::default(),
    }
}

/// The key of a path.
#[must_use]
pub fn key(policy: &CachePolicy, path: &str) -> Arc<[u8]> {
    let mut out = Vec::new();
    key_writer(policy)(&mut out, path, None, &HeaderMap::new());
    out.into()
}

/// Writes the key of a path, a query and headers, as it is done for every request.
pub fn key_writer(policy: &CachePolicy) -> impl Fn(&mut Vec<u8>, &str, Option<&str>, &HeaderMap) {
    let distribution = "EABCDEFGHIJKLM".parse().unwrap_or_else(|_| unreachable!("it is an id"));
    move |out, path, query, headers| {
        let query = key::select_query(query, &policy.query_strings);
        let request = key::Selecting { method: &http::Method::GET, headers, codings: Codings::default() };
        key::write(out, &distribution, policy, path, query.as_deref(), "cdn.test", request);
    }
}

/// What is stored of a 200 with these headers, which has to be storable.
#[must_use]
pub fn object(policy: &CachePolicy, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Arc<Object> {
    let timing = Timing { request: now, response: now };
    let request = HeaderMap::new();
    let facts = ResponseFacts { status: StatusCode::OK, headers, delimited: true, timing };
    let request = RequestFacts { headers: &request, authorization: false, errors: &Default::default() };
    let Ok(storable) = storability::decide(policy, request, facts) else {
        unreachable!("a benchmark stores what may be stored")
    };
    let headers = response::headers_from_origin(
        headers.clone(),
        policy,
        policy.keys_cookies(),
        "1.1 headland-test",
        now,
    );
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

/// A worker that answers plain requests from its cache, and knows no other way.
#[derive(Debug)]
pub struct QuickWorker {
    worker: Worker,
    shared: Shared,
    _background: tokio::runtime::Runtime,
}

impl QuickWorker {
    /// With this table in force, and nothing stored.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn new(limits: Limits, table: Table) -> io::Result<Self> {
        let background = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
        let identity = Identity { pseudonym: "headland-test".into() };
        let handle = background.handle().clone();
        let shared = Shared::new(limits, None, 1, identity, Clock::system(), handle);
        shared.routing.publish(table);
        Ok(Self { worker: Worker::new(0, &shared), shared, _background: background })
    }

    /// Stores a 200 with these headers under the key of a host and a path. Whether that host is known.
    #[must_use]
    pub fn store(&self, host: &str, path: &str, headers: &HeaderMap, body: &Bytes) -> bool {
        let table = self.shared.routing.current();
        let Some(distribution) = table.distribution(host) else { return false };
        let policy = &distribution.behavior(path).rules.cache_policy;
        let (now, mut key) = (self.shared.clock.now(), Vec::new());
        let request = key::Selecting {
            method: &http::Method::GET,
            headers: &HeaderMap::new(),
            codings: Codings::default(),
        };
        key::write(&mut key, &distribution.id, policy, path, None, host, request);
        self.shared.cache.insert(key.into(), object(policy, headers, body, now), now);
        true
    }

    /// Answers the head of a request, if it is one that is answered at once: writes the answer's head, and returns its body.
    pub fn answer(&self, request: &[u8], head: &mut Vec<u8>) -> Option<Arc<Object>> {
        let Received::Plain(plain, _) = http1::read(request) else { return None };
        let viewer = Viewer::new(([127, 0, 0, 1], 0).into(), Scheme::Http);
        let peer = Peer::new(viewer, self.worker.reception());
        self.worker.quick(&plain, &peer, head).map(|answer| answer.object)
    }
}
