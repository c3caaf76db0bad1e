//! The life of a request: named stages in order, one function each. `routing`, `cache` and `origin` meet here and nowhere else.
//!
//! ```text
//! serve ─► consider: admit ─ host ─ behavior ─ method ─ key ─ lookup ──hit──► respond
//!             │ refused                                  │ miss               │ not cacheable
//!             ▼                                          ▼                    ▼
//!          error page                     fill: one fetch, many waiters      pass: this viewer alone
//! ```
//!
//! A hit runs through `consider` without waiting for anything and without a task of its own.

mod fill;
mod pass;
mod request_id;

use std::{
    cell::RefCell,
    convert::Infallible,
    fmt,
    future::Future,
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use headland_proto::model::{NameSelection, Semantics};
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;

use crate::{
    cache::{Cache, Limits, cache_control::Directives, coalescing::Fills, key, object::Object},
    clock::{Clock, Timestamp},
    metrics::{Metrics, WorkerMetrics},
    origin::{
        Fault,
        credentials::CredentialsStore,
        http::{self as origin_http, Origins, Outgoing},
        request::{self as origin_request, Identity, Purpose},
    },
    routing::{Distribution, Routing, Table, compile::Behavior},
    viewer::{
        body::ViewerBody,
        connection::{Busy, ConnectionState},
        error_page::Failure,
        request::{self, Refusal},
        response,
    },
};
use request_id::RequestIds;

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// The time.
    pub clock: Clock,
    /// The table in force.
    pub routing: Arc<Routing>,
    /// Stored objects.
    pub cache: Arc<Cache>,
    /// Objects on their way.
    pub fills: Arc<Fills<Fault>>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Credentials for origins.
    pub credentials: CredentialsStore,
    /// TLS toward origins.
    pub tls: Arc<rustls::ClientConfig>,
    /// Who this edge is, to origins.
    pub identity: Identity,
    /// Where work goes that must not hold up viewers.
    pub background: Handle,
}

impl Shared {
    /// Nothing cached, nothing routed yet.
    #[must_use]
    pub fn new(limits: Limits, workers: usize, identity: Identity, clock: Clock, background: Handle) -> Self {
        let metrics = Metrics::new(workers);
        Self {
            clock,
            routing: Arc::default(),
            cache: Arc::new(Cache::new(limits, metrics.shared())),
            fills: Arc::default(),
            metrics: Arc::new(metrics),
            credentials: CredentialsStore::new(background.clone()),
            tls: origin_http::tls_config(),
            identity,
            background,
        }
    }
}

/// One worker: everything a request needs, on the thread that accepted it.
pub struct Worker {
    clock: Clock,
    routing: Arc<Routing>,
    cache: Arc<Cache>,
    fills: Arc<Fills<Fault>>,
    metrics: Arc<WorkerMetrics>,
    origins: Origins,
    identity: Identity,
    background: Handle,
    ids: RequestIds,
    key: RefCell<Vec<u8>>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

/// What is to be done with a request that is neither refused nor answered from the cache.
struct Errand {
    distribution: Arc<Distribution>,
    behavior: Arc<Behavior>,
    path: String,
    query: Option<String>,
    /// The canonical host, when the policy forwards it.
    host: Option<String>,
    way: Way,
}

enum Way {
    /// Through the cache, under this key.
    Cache(Vec<u8>),
    /// Past it.
    Pass,
}

/// What `consider` comes to.
enum Verdict {
    Hit(Arc<Object>),
    Fetch(Box<Errand>),
}

/// A viewer with a request to be answered.
struct Asking {
    request: Request<Incoming>,
    address: IpAddr,
    id: HeaderValue,
    busy: Busy,
}

impl Worker {
    /// The worker with this index.
    #[must_use]
    pub fn new(index: usize, shared: &Shared) -> Self {
        Self {
            clock: shared.clock.clone(),
            routing: Arc::clone(&shared.routing),
            cache: Arc::clone(&shared.cache),
            fills: Arc::clone(&shared.fills),
            metrics: shared.metrics.worker(index),
            origins: Origins::new(Arc::clone(&shared.tls), shared.credentials.clone()),
            identity: shared.identity.clone(),
            background: shared.background.clone(),
            ids: RequestIds::new(),
            key: RefCell::default(),
        }
    }

    /// Answers a request: at once from the cache, or after a while from the origin. Never fails: a failure is an error page.
    pub(crate) fn serve(
        self: &Rc<Self>,
        request: Request<Incoming>,
        address: IpAddr,
        connection: &Rc<ConnectionState>,
    ) -> Answer {
        self.metrics.requests.add(1);
        let now = self.clock.now();
        let id = self.ids.next();
        let head_only = request.method() == Method::HEAD;
        // One table from start to end.
        let verdict = self.consider(&self.routing.current(), &request, now);
        match verdict {
            Ok(Verdict::Hit(object)) => Answer::now(self.hit(&object, &request, now, id)),
            Ok(Verdict::Fetch(errand)) => {
                let worker = Rc::clone(self);
                let asking = Asking { request, address, id, busy: Busy::new(connection) };
                Answer::later(async move { worker.fetch(*errand, asking).await })
            }
            Err(refusal) => Answer::now(Failure::from(refusal).page(&id, head_only)),
        }
    }

    /// Every stage that needs no waiting.
    fn consider(
        &self,
        table: &Table,
        request: &Request<Incoming>,
        now: Timestamp,
    ) -> Result<Verdict, Refusal> {
        let target = request::admit(request)?;
        let distribution = table.distribution(&target.host).ok_or(Refusal::UnknownHost)?;
        if !distribution.enabled {
            return Err(Refusal::Disabled);
        }
        // Before the behavior is chosen: the key of an object must not be one thing to one behavior and another to the next.
        let path = match &distribution.default_root_object {
            Some(root) if target.path == "/" => root,
            _ => target.path,
        };
        let behavior = distribution.behavior(path);
        if !behavior.rules.allowed_methods.contains(request.method()) {
            return Err(Refusal::MethodNotAllowed);
        }
        if self.identity.is_in(request.headers()) {
            return Err(Refusal::Loop);
        }
        let policy = &behavior.rules.cache_policy;
        let query = key::select_query(target.query, &policy.query_strings);
        let errand = |way| {
            Ok(Verdict::Fetch(Box::new(Errand {
                distribution: Arc::clone(distribution),
                behavior: Arc::clone(behavior),
                path: path.to_owned(),
                query: query.as_deref().map(str::to_owned),
                host: policy.headers.contains(&http::header::HOST).then(|| target.host.clone().into_owned()),
                way,
            })))
        };
        if !goes_through_cache(request, behavior)? {
            return errand(Way::Pass);
        }
        let mut key = self.key.borrow_mut();
        key.clear();
        key::write(
            &mut key,
            &distribution.id,
            policy,
            path,
            query.as_deref(),
            &target.host,
            request.headers(),
        );
        match self.fresh(&key, request, now) {
            Some(object) => Ok(Verdict::Hit(object)),
            None => errand(Way::Cache(key.clone())),
        }
    }

    /// The stored object that may answer a request now.
    fn fresh<B>(&self, key: &[u8], request: &Request<B>, now: Timestamp) -> Option<Arc<Object>> {
        self.cache
            .memory
            .get(key)
            .filter(|object| object.head.is_fresh(now) && object.head.answers(request.headers()))
    }

    fn hit<B>(
        &self,
        object: &Arc<Object>,
        request: &Request<B>,
        now: Timestamp,
        id: HeaderValue,
    ) -> Response<ViewerBody> {
        self.metrics.hits.add(1);
        let head_only = request.method() == Method::HEAD;
        let response = response::from_object(object, request.headers(), now, id, head_only);
        self.metrics.viewer_bytes_sent.add(response.body().size_hint().lower());
        response
    }

    /// Every stage that waits for an origin.
    async fn fetch(self: Rc<Self>, errand: Errand, asking: Asking) -> Response<ViewerBody> {
        self.metrics.misses.add(1);
        let id = asking.id.clone();
        let head_only = asking.request.method() == Method::HEAD;
        let names = (Arc::clone(&errand.distribution), Arc::clone(&errand.behavior));
        let answer = match errand.way {
            Way::Pass => self.pass(&errand, asking, None).await,
            Way::Cache(ref key) if self.cache.uncacheable.contains(key, self.clock.now()) => {
                self.pass(&errand, asking, Some(key)).await
            }
            // Part of an object that is too large to keep is fetched as that part.
            Way::Cache(ref key)
                if asking.request.headers().contains_key(http::header::RANGE)
                    && self.cache.oversized.contains(key, self.clock.now()) =>
            {
                self.pass(&errand, asking, None).await
            }
            Way::Cache(ref key) => self.fill(&errand, key, asking).await,
        };
        answer.unwrap_or_else(|failure| {
            if let Failure::Origin(fault) = &failure {
                let (distribution, behavior) = names;
                tracing::debug!(%fault, distribution = %distribution.id, origin = behavior.origin.id, request = ?id, "answering with an error page");
            }
            failure.page(&id, head_only)
        })
    }

    /// The request to the origin.
    fn outgoing<B>(
        &self,
        errand: &Errand,
        purpose: Purpose,
        request: &Request<B>,
        address: IpAddr,
    ) -> Outgoing {
        let policy = &errand.behavior.rules.cache_policy;
        let cookies = match policy.cookies {
            NameSelection::None => None,
            ref selection => key::select_cookies(request.headers(), selection),
        };
        let viewer = origin_request::Viewer {
            method: request.method(),
            version: request.version(),
            address,
            headers: request.headers(),
        };
        Outgoing {
            method: if purpose == Purpose::Fill { Method::GET } else { request.method().clone() },
            path: errand.path.clone(),
            query: errand.query.clone(),
            headers: origin_request::headers(purpose, policy, viewer, cookies.as_deref(), &self.identity),
            host: errand.host.as_deref().and_then(|host| HeaderValue::from_str(host).ok()),
            body: None,
        }
    }

    /// How this edge names itself in Via.
    fn via(&self, version: http::Version) -> String {
        format!("{} {}", origin_request::version_text(version), self.identity.pseudonym)
    }
}

/// Whether a request may be answered from the cache and fill it.
fn goes_through_cache(request: &Request<Incoming>, behavior: &Behavior) -> Result<bool, Refusal> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(false);
    }
    let policy = &behavior.rules.cache_policy;
    if !request.body().is_end_stream() {
        return match policy.semantics {
            Semantics::CloudFront => Err(Refusal::UnexpectedBody),
            // A body has no meaning in a GET (RFC 9110 section 9.3.1), but to this origin it may have one.
            Semantics::Rfc9111 => Ok(false),
        };
    }
    let asks_for_no_store =
        || policy.semantics == Semantics::Rfc9111 && Directives::of(request.headers()).no_store;
    Ok(!policy.ttl.max.is_zero() && !asks_for_no_store())
}

/// The answer to a request, as hyper takes it. From the cache it is there already.
pub(crate) struct Answer(AnswerState);

enum AnswerState {
    Now(Option<Response<ViewerBody>>),
    Later(Pin<Box<dyn Future<Output = Response<ViewerBody>>>>),
}

impl Answer {
    fn now(response: Response<ViewerBody>) -> Self {
        Self(AnswerState::Now(Some(response)))
    }

    fn later(response: impl Future<Output = Response<ViewerBody>> + 'static) -> Self {
        Self(AnswerState::Later(Box::pin(response)))
    }
}

impl Future for Answer {
    type Output = Result<Response<ViewerBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            AnswerState::Now(response) => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
            }
            AnswerState::Later(response) => response.as_mut().poll(cx).map(Ok),
        }
    }
}
