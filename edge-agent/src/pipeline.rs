//! The life of a request: named stages in order, one function each. `routing`, `cache` and `origin` meet here and nowhere else.
//!
//! ```text
//! serve ─► decide:  admit ─ host ─ country ─ behavior ─ method ─ signature ─ scheme ─ key ─ look ──hit, or stale by leave──► respond
//!             ▲ │                                                                 │ on disk only: load, and once more
//!             └─│─────────────────────────────────────────────────────────────────┘
//!             │ refused                                                         │ miss, stale      │ not for the cache
//!             ▼                                                                 ▼                  ▼
//!          error page     obtain: one fetch or validation, many waiters  pass: this viewer alone, and its effects
//! ```
//!
//! A hit runs through `consider::decide` without waiting for anything and without a task of its own.

mod answer;
mod blocks;
pub mod compress;
pub(crate) mod consider;
mod custom_error;
mod debug;
mod direct;
pub(crate) mod edge_headers;
mod effects;
mod errand;
mod failover;
pub(crate) mod fill;
mod finish;
mod freshen;
pub(crate) mod lookup;
mod obtain;
mod outgoing;
mod pass;
mod patience;
mod pump;
mod quick;
mod ranged;
mod request_id;
mod respond;
mod shield;
pub(crate) mod websocket;

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    sync::Arc,
};

use headland_proto::model::MethodSet;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use tokio::runtime::Handle;

pub(crate) use self::{answer::Answer, quick::Quick};
use self::{
    compress::Compressors,
    consider::{Act, Asker, Decision, Grounds, Road},
    debug::{Course, Debug},
    errand::{Asking, Errand, Sent, Way},
    finish::Finish,
    lookup::{Found, Slot},
    request_id::RequestIds,
    shield::HEADLAND_REFUSED,
    websocket::Tunnels,
};
use crate::{
    cache::{Cache, Limits, coalescing::Fills, object::Arena, runs::Runs, tiers::DiskTier},
    clock::{Clock, Timestamp},
    geo::Locations,
    metrics::{Metrics, WorkerMetrics},
    origin::{
        Fault,
        breaker::{Breaker, Breakers},
        credentials::CredentialsStore,
        http::{self as origin_http, Origins},
        request::Identity,
        tls::OriginTlsConfigs,
    },
    peers::{FromPeer, Peers},
    routing::{Routing, compile::Behavior},
    signing::Verified,
    viewer::{
        body::ViewerBody,
        cache_status::{CacheResult, Forward, Handling},
        connection::{Busy, ConnectionState},
        error_page::Failure,
        max_forwards,
        reception::Reception,
        redirect,
        response::Marks,
        who::{Peer, Viewer},
    },
};

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
    /// Blocks on their way.
    pub runs: Arc<Runs>,
    /// Which origins are down.
    pub breakers: Arc<Breakers>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Credentials for origins.
    pub credentials: CredentialsStore,
    /// TLS toward origins.
    pub tls: Arc<OriginTlsConfigs>,
    /// Who this edge is, to origins.
    pub identity: Identity,
    /// The other edges.
    pub peers: Arc<Peers>,
    /// Signatures that have been verified.
    pub(crate) verified: Verified,
    /// Who compresses bodies.
    compressors: Compressors,
    /// Where work goes that must not hold up viewers.
    pub background: Handle,
    /// Who is believed to ask for others.
    pub reception: Arc<Reception>,
    /// Where viewers are.
    pub locations: Arc<Locations>,
}

impl Shared {
    /// The same, believing whom this says.
    #[must_use]
    pub fn receiving(self, reception: Reception) -> Self {
        Self { reception: Arc::new(reception), ..self }
    }

    /// The same, knowing so of where viewers are.
    #[must_use]
    pub fn locating(self, locations: Locations) -> Self {
        Self { locations: Arc::new(locations), ..self }
    }

    /// Nothing in memory, nothing routed yet.
    #[must_use]
    pub fn new(
        limits: Limits,
        disk: Option<DiskTier>,
        workers: usize,
        identity: Identity,
        clock: Clock,
        background: Handle,
    ) -> Self {
        let metrics = Metrics::new(workers);
        Self {
            clock,
            routing: Arc::default(),
            cache: Cache::new(limits, disk, metrics.shared()).shared(),
            fills: Arc::new(Fills::new(limits.under_way_bytes_max())),
            runs: Arc::default(),
            breakers: Arc::default(),
            metrics: Arc::new(metrics),
            credentials: CredentialsStore::new(background.clone()),
            tls: Arc::new(OriginTlsConfigs::new(None)),
            identity,
            peers: Arc::default(),
            verified: Verified::default(),
            compressors: Compressors::new(workers, background.clone()),
            background,
            reception: Arc::default(),
            locations: Arc::default(),
        }
    }
}

/// By whom and for what a request is considered.
#[derive(Debug, Clone, Copy)]
struct Occasion {
    /// See [`Asker`].
    viewer: Viewer,
    /// See [`Asker`].
    for_page: bool,
    /// Whether what is on disk alone may still be brought to memory.
    may_load: bool,
}

/// One worker: everything a request needs, on the thread that accepted it.
pub struct Worker {
    clock: Clock,
    routing: Arc<Routing>,
    cache: Arc<Cache>,
    fills: Arc<Fills<Fault>>,
    runs: Arc<Runs>,
    breakers: Arc<Breakers>,
    metrics: Arc<WorkerMetrics>,
    origins: Origins,
    identity: Identity,
    peers: Arc<Peers>,
    verified: Verified,
    compressors: Compressors,
    background: Handle,
    reception: Arc<Reception>,
    locations: Arc<Locations>,
    ids: RequestIds,
    tunnels: Tunnels,
    key: RefCell<Vec<u8>>,
    /// See [`Worker::found_nothing`].
    found_nothing: Cell<bool>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
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
            runs: Arc::clone(&shared.runs),
            breakers: Arc::clone(&shared.breakers),
            metrics: shared.metrics.worker(index),
            origins: Origins::new(Arc::clone(&shared.tls), shared.credentials.clone()),
            identity: shared.identity.clone(),
            peers: Arc::clone(&shared.peers),
            verified: shared.verified.clone(),
            compressors: shared.compressors.clone(),
            background: shared.background.clone(),
            reception: Arc::clone(&shared.reception),
            locations: Arc::clone(&shared.locations),
            ids: RequestIds::new(),
            tunnels: Tunnels::default(),
            key: RefCell::default(),
            found_nothing: Cell::default(),
        }
    }

    /// Who is believed to ask for others.
    pub(crate) fn reception(&self) -> &Reception {
        &self.reception
    }

    /// Counts a connection that was refused because it did not say for whom it is.
    pub(crate) fn count_unproxied(&self) {
        self.metrics.unproxied.add(1);
    }

    /// Where large bodies are, which viewers can be sent without a copy.
    pub(crate) fn arena(&self) -> &Arena {
        &self.cache.arena
    }

    /// Answers a request: at once from the cache, or after a while from the origin. Never fails: a failure is an error page.
    pub(crate) fn serve(
        self: &Rc<Self>,
        mut request: Request<Incoming>,
        peer: &Peer,
        connection: &Rc<ConnectionState>,
    ) -> Answer {
        self.metrics.requests.add(1);
        consider::receive(&mut request);
        let viewer = peer.viewer(&self.reception.proxies, request.headers_mut());
        self.answer(request.map(Sent::Body), viewer, connection)
    }

    /// The same; in place of an error, the page that the distribution has for it, and with the headers that it wishes.
    fn answer(
        self: &Rc<Self>,
        mut request: Request<Sent>,
        viewer: Viewer,
        connection: &Rc<ConnectionState>,
    ) -> Answer {
        let occasion = Occasion { viewer, for_page: false, may_load: true };
        if request.extensions().get::<FromPeer>().is_some() {
            // What viewers get of it is the other edge's affair, and so is who may ask.
            return self.answer_as_it_is(request, Occasion { for_page: true, ..occasion }, connection);
        }
        let (rescue, finish) = (self.rescue(&request, viewer, connection), self.finish(&request));
        if finish.as_ref().is_some_and(Finish::is_timed) && matches!(request.body(), Sent::Directly) {
            *request.body_mut() = Sent::Nothing;
        }
        let answer = self.answer_as_it_is(request, occasion, connection);
        let answer = match rescue {
            None => answer,
            Some(rescue) => Answer::later(rescue.over(answer)),
        };
        let Some(finish) = finish else { return answer };
        let worker = Rc::clone(self);
        answer.then(move |response| worker.finished(&finish, response))
    }

    /// The answer itself, once more if something has been loaded from disk meanwhile.
    fn answer_as_it_is(
        self: &Rc<Self>,
        mut request: Request<Sent>,
        occasion: Occasion,
        connection: &Rc<ConnectionState>,
    ) -> Answer {
        let Occasion { viewer, for_page, may_load } = occasion;
        let now = self.clock.now();
        let id = self.ids.next();
        // One table from start to end.
        let table = self.routing.current();
        edge_headers::put(&mut request, &table, viewer, &self.locations);
        let mut key = self.key.borrow_mut();
        key.clear();
        let mut course = Course::default();
        let has_body = request.body().has_body();
        let grounds = Grounds { may_load, ..self.grounds(now) };
        let asker = Asker { viewer, locations: &self.locations, for_page };
        let decided = consider::decide(grounds, asker, &table, &request, has_body, &mut key, &mut course);
        let debug = course.debug(request.headers(), &key);
        let response = match decided {
            Ok(Decision::AboutTheServer) => self.options(MethodSet::All, id),
            Ok(Decision::For(_, Act::Options(allowed))) => self.options(allowed, id),
            Ok(Decision::For(place, Act::Redirect)) => {
                self.metrics.results[CacheResult::Answered.index()].add(1);
                redirect::to_https(&place.host, &request, id)
            }
            Ok(Decision::For(place, Act::Hit(looked))) => match looked.found.is_in_blocks() {
                false => {
                    let (headers, method) = (request.headers(), request.method());
                    self.hit(&looked.found, headers, method, now, id, debug.as_deref())
                }
                true => {
                    let (slot, found) = looked.split(&key);
                    let errand = place.errand(Way::Cache(slot));
                    let (behavior, busy) = (&errand.behavior, Busy::new(connection));
                    let asking = Asking::new(request, behavior, viewer, id, busy, debug.clone());
                    if found.lacks_blocks(asking.request.method()) {
                        let worker = Rc::clone(self);
                        return Answer::later(async move { worker.complete(errand, found, asking).await });
                    }
                    self.hit_for(&errand, &found, &asking)
                }
            },
            Ok(Decision::For(place, Act::HitAndRevalidate(looked))) => {
                let (slot, found) = looked.split(&key);
                let errand = place.errand(Way::Cache(slot));
                let (behavior, busy) = (&errand.behavior, Busy::new(connection));
                let asking = Asking::new(request, behavior, viewer, id, busy, debug.clone());
                let response = self.hit_for(&errand, &found, &asking);
                self.revalidate_in_background(&errand, &found, &asking);
                response
            }
            Ok(Decision::For(place, Act::Load)) => {
                drop(place);
                let (worker, key) = (Rc::clone(self), key.clone());
                let (connection, busy) = (Rc::clone(connection), Busy::new(connection));
                return Answer::later(async move {
                    worker.cache.load(&key, now).await;
                    drop(busy);
                    let again = Occasion { may_load: false, ..occasion };
                    let Ok(response) = worker.answer_as_it_is(request, again, &connection).await;
                    response
                });
            }
            Ok(Decision::For(place, Act::Past(past))) => {
                let errand = place.errand(Way::Past(past));
                let asking = Asking::new(request, &errand.behavior, viewer, id, Busy::new(connection), debug);
                return self.begin(errand, asking, Found::default());
            }
            Ok(Decision::For(place, Act::Fetch(looked))) => {
                let (slot, found) = looked.split(&key);
                let errand = place.errand(Way::Cache(slot));
                let asking = Asking::new(request, &errand.behavior, viewer, id, Busy::new(connection), debug);
                return self.begin(errand, asking, found);
            }
            Err(refusal) => {
                let head_only = request.method() == Method::HEAD;
                let mut page = self.page(&refusal.into(), Forward::Bypass, id, head_only);
                if request.extensions().get::<FromPeer>().is_some() {
                    page.headers_mut().insert(HEADLAND_REFUSED, HeaderValue::from_static(refusal.as_str()));
                }
                page
            }
        };
        Answer::now(told(response, debug.as_deref(), now))
    }

    fn begin(self: &Rc<Self>, errand: Errand, asking: Box<Asking>, found: Found) -> Answer {
        Answer::later(Rc::clone(self).fetch(errand, asking, found))
    }

    /// What is considered here, now.
    fn grounds(&self, now: Timestamp) -> Grounds<'_> {
        Grounds {
            cache: &self.cache,
            identity: &self.identity,
            verified: &self.verified,
            now,
            counts_as_use: true,
            may_load: false,
        }
    }

    /// Looks a request up.
    fn look(&self, slot: &Slot, headers: &HeaderMap, now: Timestamp) -> Found {
        lookup::look(self.grounds(now), &slot.key, slot.uri, &slot.directives, headers)
    }

    fn options(&self, allowed: MethodSet, id: HeaderValue) -> Response<ViewerBody> {
        self.metrics.results[CacheResult::Answered.index()].add(1);
        max_forwards::answer(allowed, id)
    }

    /// An error page, which is counted.
    fn page(
        &self,
        failure: &Failure,
        forward: Forward,
        request_id: HeaderValue,
        head_only: bool,
    ) -> Response<ViewerBody> {
        let result = match failure {
            Failure::Refused(_) => CacheResult::Refused,
            Failure::Origin(_) => CacheResult::Error,
        };
        self.metrics.results[result.index()].add(1);
        let handling = Handling::forwarded(forward);
        failure.page(Marks { handling, cache: &self.identity.pseudonym, request_id }, head_only)
    }

    /// The breaker of an errand's origin; of a group, of all its origins together.
    fn breaker(&self, errand: &Errand) -> Arc<Breaker> {
        self.breakers.of(&name_to_ask(&errand.behavior))
    }

    /// Every stage that waits for an origin. What the cache has was `found` a moment ago.
    async fn fetch(
        self: Rc<Self>,
        errand: Errand,
        asking: Box<Asking>,
        found: Found,
    ) -> Response<ViewerBody> {
        self.metrics.misses.add(1);
        let id = asking.id.clone();
        let head_only = asking.request.method() == Method::HEAD;
        let now = self.clock.now();
        let debug = asking.debug.clone();
        let semantics = errand.behavior.rules.cache_policy.semantics;
        let (method, headers) = (asking.request.method(), asking.request.headers());
        let (forward, answer) = match &errand.way {
            Way::Past(past) => {
                if let Some(debug) = &debug {
                    debug.note_not_used(past.as_str());
                    debug.note_not_stored(past.as_str());
                }
                // Boxed, as are other ways that are not the usual one: what is large is moved about for nothing.
                (past.forward(), Box::pin(self.pass(&errand, asking, past.forward(), None)).await)
            }
            Way::Cache(slot) => {
                let road = consider::road(&self.cache, semantics, &slot.key, method, headers, now);
                let answer = match road {
                    Road::Head => Box::pin(self.head(&errand, slot, asking)).await,
                    Road::Uncacheable => {
                        Box::pin(self.pass(&errand, asking, Forward::UriMiss, Some(&slot.key))).await
                    }
                    Road::Oversized => {
                        asking.note_not_stored(road.as_str());
                        Box::pin(self.pass(&errand, asking, Forward::UriMiss, None)).await
                    }
                    Road::Together => self.obtain(&errand, slot, asking, Some(found)).await,
                };
                (Forward::Miss, answer)
            }
        };
        let response = answer.unwrap_or_else(|failure| {
            if let Failure::Origin(fault) = &failure {
                tracing::debug!(%fault, distribution = %errand.distribution.id, origin = errand.behavior.origin.id, request = ?id, "answering with an error page");
            }
            self.page(&failure, forward, id, head_only)
        });
        told(response, debug.as_deref(), self.clock.now())
    }

    /// Answers with what is kept in blocks, some of which are not there. Nothing is said before the first of them comes.
    async fn complete(
        self: Rc<Self>,
        errand: Errand,
        found: Found,
        asking: Box<Asking>,
    ) -> Response<ViewerBody> {
        self.metrics.misses.add(1);
        let (id, debug) = (asking.id.clone(), asking.debug.clone());
        let answer = match self.first_block(&errand, &found, &asking).await {
            Ok(()) => Ok(self.hit_for(&errand, &found, &asking)),
            Err(fault) => match &errand.way {
                // It turned out to be of a version that is no more.
                Way::Cache(slot) if !self.is_there(slot, &asking) => {
                    self.obtain(&errand, slot, asking, None).await
                }
                _ => Err(fault.into()),
            },
        };
        let response = answer.unwrap_or_else(|failure| self.page(&failure, Forward::Partial, id, false));
        told(response, debug.as_deref(), self.clock.now())
    }

    fn is_there(&self, slot: &Slot, asking: &Asking) -> bool {
        self.look(slot, asking.request.headers(), self.clock.now()).selected().is_some()
    }
}

/// What is asked for a behavior: its origin, or its origin group as a whole.
pub(crate) fn name_to_ask(behavior: &Behavior) -> Cow<'_, str> {
    match &behavior.group {
        None => Cow::Owned(origin_http::name_of(&behavior.origin)),
        Some(group) => Cow::Borrowed(&group.name),
    }
}

/// A response that tells how it came about, if that is wished.
fn told(mut response: Response<ViewerBody>, debug: Option<&Debug>, now: Timestamp) -> Response<ViewerBody> {
    if let Some(debug) = debug {
        debug.put(response.headers_mut(), now);
    }
    response
}
