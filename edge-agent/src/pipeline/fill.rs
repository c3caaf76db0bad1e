//! Filling: a miss becomes an object, with one fetch however many ask, and every one of them reading along.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::{Asking, Errand, Worker, pass::Alone};
use crate::{
    cache::{
        coalescing::{
            Leader, Outcome, Role,
            body::{Demand, FillBody, Reader},
        },
        freshness::Timing,
        object::{Body, Head, Object},
        storability::{self, RequestFacts, ResponseFacts, Storable},
    },
    origin::{
        Fault,
        http::{self as origin_http, Outgoing, UnderWay},
        request::Purpose,
    },
    routing::compile::Behavior,
    viewer::{body::ViewerBody, error_page::Failure, response},
};

/// Bodies under way that are meant to be stored may hold this fraction of the cache's memory; beyond it they are not stored.
const UNDER_WAY_FRACTION: u64 = 4;
/// Objects larger than this are put together off the worker, which has other viewers to serve.
const GATHERED_ELSEWHERE_BYTES: u64 = 1 << 20;

/// How long to wait for those who have been told of a body and have not begun to read.
const ABOUT_TO_BEGIN: Duration = Duration::from_millis(1);

/// What the one who started a fill gets.
enum Begun {
    Shared { head: Arc<Head>, reader: Option<Reader> },
    Alone(Box<Alone>),
    Failed(Fault),
}

/// A fetch that fills the cache.
struct Filling {
    behavior: Arc<Behavior>,
    leader: Leader<Fault>,
    outgoing: Outgoing,
    /// The viewer's headers, for Vary.
    request: HeaderMap,
}

impl Worker {
    /// Joins the fill of a key, or starts it.
    pub(super) async fn fill(
        self: &Rc<Self>,
        errand: &Errand,
        key: &[u8],
        asking: Asking,
    ) -> Result<Response<ViewerBody>, Failure> {
        let leader = match self.fills.join(key) {
            Role::Waiter(fill) => {
                return match fill.outcome().await {
                    Outcome::Failed(fault) => Err(fault.into()),
                    Outcome::Shared { head, body }
                        if head.answers(asking.request.headers()) && head.is_fresh(self.clock.now()) =>
                    {
                        match body.reader() {
                            Some(reader) => Ok(self.growing(&head, Some(reader), true, asking)),
                            None => self.pass(errand, asking, None).await,
                        }
                    }
                    Outcome::Shared { .. } | Outcome::Alone => self.pass(errand, asking, None).await,
                };
            }
            Role::Leader(leader) => leader,
        };
        // Between the lookup and here another fill may have ended.
        let now = self.clock.now();
        if let Some(object) = self.fresh(key, &asking.request, now) {
            drop(leader);
            return Ok(self.hit(&object, &asking.request, now, asking.id));
        }
        let outgoing = self.outgoing(errand, Purpose::Fill, &asking.request, asking.address);
        let filling = Filling {
            behavior: Arc::clone(&errand.behavior),
            leader,
            outgoing,
            request: asking.request.headers().clone(),
        };
        let (begun, beginning) = oneshot::channel();
        // A task of its own: the fill goes on when this viewer leaves.
        tokio::task::spawn_local(Rc::clone(self).run_fill(filling, begun));
        match beginning.await {
            Ok(Begun::Shared { head, reader }) => Ok(self.growing(&head, reader, false, asking)),
            Ok(Begun::Alone(alone)) => {
                Ok(self.alone(errand, *alone, asking.request.method(), asking.id, asking.busy))
            }
            Ok(Begun::Failed(fault)) => Err(fault.into()),
            Err(_) => Err(Fault::Response("the fetch was given up".to_owned()).into()),
        }
    }

    /// An object under way for one viewer: whole or in part.
    fn growing(
        &self,
        head: &Head,
        reader: Option<Reader>,
        hit: bool,
        asking: Asking,
    ) -> Response<ViewerBody> {
        let mut headers = head.headers.clone();
        response::mark(&mut headers, hit, asking.id);
        let age = head.age_seconds(self.clock.now());
        if hit || age > 0 {
            headers.insert(header::AGE, HeaderValue::from(age));
        }
        let head_only = asking.request.method() == Method::HEAD;
        let part = head.content_length.and_then(|length| {
            response::select(head, asking.request.headers(), head_only, length, &mut headers)
        });
        let (status, skip, left) = match part {
            Some((status, start, end)) => (status, start, Some(end - start)),
            None => (head.status, 0, head.content_length),
        };
        let body = match reader {
            Some(reader) if !head_only && left != Some(0) => {
                ViewerBody::growing(reader, skip, left, asking.busy, self.metrics.clone())
            }
            _ => ViewerBody::empty(),
        };
        response::build(status, headers, body)
    }

    /// The fetch itself, from the request to the stored object.
    async fn run_fill(self: Rc<Self>, filling: Filling, begun: oneshot::Sender<Begun>) {
        let Filling { behavior, leader, outgoing, request } = filling;
        let authorization = outgoing.headers.contains_key(header::AUTHORIZATION);
        let asked = self.clock.now();
        self.metrics.origin_fetches.add(1);
        let (response, under_way) = match self.origins.fetch(&behavior.origin, outgoing).await {
            Ok(fetched) => fetched,
            Err(fault) => {
                self.metrics.origin_errors.add(1);
                leader.decide(Outcome::Failed(fault.clone()));
                // The viewer may have left; then nobody needs to know.
                let _ = begun.send(Begun::Failed(fault));
                return;
            }
        };
        let timing = Timing { request: asked, response: self.clock.now() };
        let facts = ResponseFacts::of(&response, timing);
        let policy = &behavior.rules.cache_policy;
        match storability::decide(policy, RequestFacts { headers: &request, authorization }, facts) {
            Err(reason) => {
                tracing::trace!(?reason, "not storable");
                if reason.is_lasting() {
                    self.cache.uncacheable.remember(leader.key(), timing.response);
                }
                leader.decide(Outcome::Alone);
                let _ = begun.send(Begun::Alone(Box::new(Alone { response, under_way })));
            }
            Ok(storable) => {
                let (parts, incoming) = response.into_parts();
                let headers = response::headers_from_origin(&parts.headers, policy, &self.via(parts.version));
                let head = Arc::new(new_head(parts.status, headers, timing, storable));
                if head.content_length.is_some_and(|length| length > self.cache.limits().object_bytes_max) {
                    self.cache.oversized.remember(leader.key(), timing.response);
                }
                let body =
                    FillBody::new(self.has_room_for(head.content_length), Arc::clone(&self.fills.held_bytes));
                let reader = body.reader();
                leader.decide(Outcome::Shared { head: Arc::clone(&head), body: Arc::clone(&body) });
                let _ = begun.send(Begun::Shared { head: Arc::clone(&head), reader });
                self.pump(Pump { behavior, leader, head, body, incoming, _under_way: under_way }).await;
            }
        }
    }

    /// Moves the body from the origin to the readers, and into the cache when it is complete.
    async fn pump(&self, mut pump: Pump) {
        let Pump { behavior, leader, head, body, incoming, .. } = &mut pump;
        loop {
            match origin_http::next_chunk(incoming, behavior.origin.response_timeout).await {
                Ok(Some(chunk)) => {
                    if !self.has_room_for(Some(body.len() + chunk.len() as u64)) {
                        body.release();
                    }
                    if !is_wanted(leader, body, chunk).await {
                        return;
                    }
                }
                Ok(None) => break,
                Err(fault) => {
                    self.metrics.origin_errors.add(1);
                    tracing::debug!(%fault, origin = behavior.origin.id, "nothing stored of a body that broke off");
                    return;
                }
            }
        }
        // Readers need not wait for the storing.
        let Some((chunks, bytes)) = body.complete() else {
            return;
        };
        let gathered = if bytes > GATHERED_ELSEWHERE_BYTES {
            self.background.spawn_blocking(move || Body::from_chunks(&chunks, bytes)).await.ok()
        } else {
            Some(Body::from_chunks(&chunks, bytes))
        };
        if let Some(gathered) = gathered {
            body.settle(gathered.clone());
            let object = Arc::new(Object { head: stored_head(head, bytes), body: gathered });
            self.cache.memory.insert(Arc::clone(leader.key()), object);
        }
        // Only now may the next fill of this key begin, and it will find the object.
    }

    /// Whether a body that is this long so far, or will be, may be kept to be stored.
    fn has_room_for(&self, bytes: Option<u64>) -> bool {
        let limits = self.cache.limits();
        bytes.unwrap_or(0) <= limits.object_bytes_max
            && self.fills.held_bytes() <= limits.memory_bytes / UNDER_WAY_FRACTION
    }
}

struct Pump {
    behavior: Arc<Behavior>,
    leader: Leader<Fault>,
    head: Arc<Head>,
    body: Arc<FillBody>,
    incoming: Incoming,
    _under_way: UnderWay,
}

impl Drop for Pump {
    /// However it ends: nobody is left waiting for more. Says nothing of a body that is complete.
    fn drop(&mut self) {
        self.body.break_off();
    }
}

/// Hands on a chunk, and says whether to go on. A body that will not be stored and that nobody reads is not worth fetching, unless
/// somebody is only just about to begin.
async fn is_wanted(leader: &Leader<Fault>, body: &FillBody, chunk: Bytes) -> bool {
    let mut demand = body.push(chunk).await;
    while demand == Demand::Unwanted && leader.has_waiters() {
        tokio::time::sleep(ABOUT_TO_BEGIN).await;
        demand = body.push(Bytes::new()).await;
    }
    demand == Demand::Wanted
}

fn new_head(status: StatusCode, mut headers: HeaderMap, timing: Timing, storable: Storable) -> Head {
    if status == StatusCode::NO_CONTENT {
        headers.remove(header::CONTENT_LENGTH);
    }
    let content_length =
        headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    Head {
        status,
        headers: response::headers_to_store(headers, status),
        content_length,
        received: timing.response,
        initial_age: storable.freshness.initial_age,
        fresh_until: timing.response.after(storable.freshness.lifetime),
        vary: storable.vary,
    }
}

/// The head of the finished object: its length is known now.
fn stored_head(head: &Head, bytes: u64) -> Head {
    let mut headers = head.headers.clone();
    if head.status != StatusCode::NO_CONTENT {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    Head {
        status: head.status,
        headers,
        content_length: Some(bytes),
        received: head.received,
        initial_age: head.initial_age,
        fresh_until: head.fresh_until,
        vary: head.vary.clone(),
    }
}
