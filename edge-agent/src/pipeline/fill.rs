//! Filling: one fetch from the request to the stored object, with everybody who wants it reading along.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::{Worker, part, pass::Alone};
use crate::{
    cache::{
        cache_control::RequestDirectives,
        coalescing::{
            Leader, Outcome,
            body::{Demand, FillBody, Reader},
        },
        freshness::{self, Timing},
        invalidation::Epoch,
        object::{Head, Object, Unpacked},
        part::Part,
        reuse::{self, Cause, Failing},
        storability::{self, Reason, RequestFacts, ResponseFacts, Storable},
    },
    origin::{
        Fault,
        breaker::{Breaker, Probe},
        http::{self as origin_http, Outgoing, UnderWay},
    },
    routing::compile::Behavior,
    viewer::response,
};

/// Bodies under way that are meant to be stored may hold this fraction of the cache's memory; beyond it they are not stored.
const UNDER_WAY_FRACTION: u64 = 4;
/// Objects larger than this are put together off the worker, which has other viewers to serve.
const GATHERED_ELSEWHERE_BYTES: u64 = 1 << 20;
/// How long to wait for those who have been told of a body and have not begun to read.
const ABOUT_TO_BEGIN: Duration = Duration::from_millis(1);
/// What asks the origin to validate.
const CONDITIONS: [HeaderName; 2] = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];

/// What the one who started a fill gets.
pub(super) enum Begun {
    /// An object under way; `stored` if it is going to be kept.
    Shared { head: Arc<Head>, reader: Reader, stored: bool },
    /// What was stored is still good.
    Revalidated { object: Arc<Object>, stored: bool },
    /// An error for which something stale may stand in.
    ServerError(Box<Alone>),
    /// A response for this viewer only, and why.
    Alone { alone: Box<Alone>, why: Reason },
    /// Nothing.
    Failed(Fault),
}

/// A fetch that fills the cache.
pub(super) struct Filling {
    pub(super) behavior: Arc<Behavior>,
    pub(super) key: Arc<[u8]>,
    /// Where parts of the object are kept, if only a part is asked for.
    pub(super) parts_key: Option<Arc<[u8]>>,
    pub(super) leader: Leader<Fault>,
    pub(super) outgoing: Outgoing,
    /// The viewer's headers, for Vary.
    pub(super) request: HeaderMap,
    /// What is stored for this request.
    pub(super) selected: Option<Arc<Object>>,
    /// What the origin is asked to validate.
    pub(super) candidates: Vec<Arc<Object>>,
    pub(super) began: Epoch,
    pub(super) breaker: Arc<Breaker>,
    pub(super) probe: Option<Probe>,
}

/// Tells the one who started a fill, if there is one and it is still there.
pub(super) struct Starter(Option<oneshot::Sender<Begun>>);

impl Starter {
    pub(super) fn tell(&mut self, begun: Begun) {
        if let Some(starter) = self.0.take() {
            // The viewer may have left; then nobody needs to know.
            let _ = starter.send(begun);
        }
    }
}

impl Worker {
    /// The fetch itself.
    pub(super) async fn run_fill(
        self: Rc<Self>,
        mut filling: Filling,
        starter: Option<oneshot::Sender<Begun>>,
    ) {
        let mut starter = Starter(starter);
        loop {
            let asked = self.clock.now();
            self.metrics.origin_fetches.add(1);
            let fetched = self.origins.fetch(&filling.behavior.origin, filling.outgoing.repeated()).await;
            let now = self.clock.now();
            // It is known now how the origin is, however long the body takes.
            drop(filling.probe.take());
            let (response, under_way) = match fetched {
                Ok(fetched) => fetched,
                Err(fault) => {
                    self.metrics.origin_errors.add(1);
                    filling.breaker.failed(&fault, asked, now);
                    self.hold(&filling, Failing::Unreachable, now);
                    filling.leader.decide(Outcome::Failed(fault.clone()));
                    starter.tell(Begun::Failed(fault));
                    return;
                }
            };
            filling.breaker.answered(now);
            let timing = Timing { request: asked, response: now };
            if response.status() == StatusCode::NOT_MODIFIED && !filling.candidates.is_empty() {
                if self.freshen(&filling, &response, timing, &mut starter) {
                    return;
                }
                // It is about something that is not stored: ask for the whole (RFC 9111 section 4.3.4).
                filling.candidates.clear();
                CONDITIONS.iter().for_each(|name| _ = filling.outgoing.headers.remove(name));
                continue;
            }
            return self.take(filling, response, under_way, timing, starter).await;
        }
    }

    /// A response with a body of its own.
    async fn take(
        &self,
        filling: Filling,
        response: Response<Incoming>,
        under_way: UnderWay,
        timing: Timing,
        mut starter: Starter,
    ) {
        let now = timing.response;
        let may_stand_in = |object: &Arc<Object>| {
            let asked = RequestDirectives::of(&filling.request);
            reuse::on_failure(&object.head, &asked, Cause::Expired, Failing::Error, now).is_some()
        };
        if is_server_error(response.status()) && filling.selected.as_ref().is_some_and(may_stand_in) {
            self.hold(&filling, Failing::Error, now);
            filling.leader.decide(Outcome::ServerError);
            starter.tell(Begun::ServerError(Box::new(Alone { response, under_way })));
            return;
        }
        let policy = &filling.behavior.rules.cache_policy;
        let authorization = filling.outgoing.headers.contains_key(header::AUTHORIZATION);
        let facts = RequestFacts { headers: &filling.request, authorization };
        let part =
            filling.parts_key.as_ref().and_then(|_| part::held_by(response.status(), response.headers()));
        // A part is stored on the same terms as the whole (RFC 9111 section 3.3).
        let status = if part.is_some() { StatusCode::OK } else { response.status() };
        let response_facts = ResponseFacts { status, ..ResponseFacts::of(&response, timing) };
        match storability::decide(policy, facts, response_facts) {
            Err(reason) => self.leave_alone(&filling, reason, Alone { response, under_way }, &mut starter),
            Ok(storable) => self.share(filling, response, under_way, (timing, part), storable, starter).await,
        }
    }

    /// A response that is not to be stored.
    fn leave_alone(&self, filling: &Filling, reason: Reason, alone: Alone, starter: &mut Starter) {
        let now = self.clock.now();
        self.metrics.not_stored[reason.index()].add(1);
        if reason.is_lasting() {
            self.cache.uncacheable.remember(filling.leader.key(), now);
        }
        let status = alone.response.status();
        if is_server_error(status) {
            self.hold(filling, Failing::Error, now);
        } else if is_definite(status) && !reason.is_the_requests() {
            match &filling.selected {
                Some(superseded) => self.cache.replace(&filling.key, superseded, None, now),
                None => self.cache.drop_unread(&filling.key),
            }
        }
        filling.leader.decide(Outcome::Alone);
        starter.tell(Begun::Alone { alone: Box::new(alone), why: reason });
    }

    /// A response that is stored, and that all who wait get as it comes.
    async fn share(
        &self,
        filling: Filling,
        response: Response<Incoming>,
        under_way: UnderWay,
        (timing, part): (Timing, Option<Part>),
        storable: Storable,
        mut starter: Starter,
    ) {
        let (parts, incoming) = response.into_parts();
        let policy = &filling.behavior.rules.cache_policy;
        let mut headers =
            response::headers_from_origin(&parts.headers, policy, &self.via(parts.version), timing.response);
        let shareable = storable.is_shareable(timing.response);
        let all = storable.take_out(&mut headers);
        let is_part = part.is_some();
        let head = new_head(parts.status, headers, timing, storable, filling.began);
        let head = Unpacked { part, ..head };
        // The one who caused the fetch gets what the origin meant for nobody else.
        let own_head = all.map(|headers| Arc::new(Unpacked { headers, ..head.clone() }.pack()));
        let head = Arc::new(head.pack());
        let own_head = own_head.unwrap_or_else(|| Arc::clone(&head));
        let length = head.content_length();
        if !is_part && length.is_some_and(|length| length > self.cache.limits().object_bytes_max) {
            self.cache.oversized.remember(&filling.key, timing.response);
        }
        if shareable {
            self.cache.uncacheable.forget(filling.leader.key());
        } else {
            self.cache.uncacheable.remember(filling.leader.key(), timing.response);
        }
        let stored = self.has_room_for(length);
        let body = FillBody::new(stored, Arc::clone(&self.fills.held_bytes));
        if let Some(reader) = body.reader() {
            starter.tell(Begun::Shared { head: own_head, reader, stored });
        }
        filling.leader.decide(match shareable {
            true => Outcome::Shared { head: Arc::clone(&head), body: Arc::clone(&body) },
            false => Outcome::Alone,
        });
        self.pump(Pump { filling, head, body, incoming, _under_way: under_way }).await;
    }

    /// Moves the body from the origin to the readers, and into the cache when it is complete.
    async fn pump(&self, mut pump: Pump) {
        let Pump { filling, head, body, incoming, .. } = &mut pump;
        loop {
            match origin_http::next_chunk(incoming, filling.behavior.origin.response_timeout).await {
                Ok(Some(chunk)) => {
                    if !self.has_room_for(Some(body.len() + chunk.len() as u64)) {
                        body.release();
                    }
                    if !is_wanted(&filling.leader, body, chunk).await {
                        return;
                    }
                }
                Ok(None) => break,
                Err(fault) => {
                    self.metrics.origin_errors.add(1);
                    tracing::debug!(%fault, origin = filling.behavior.origin.id, "nothing stored of a body that broke off");
                    return;
                }
            }
        }
        // Readers need not wait for the storing.
        let expected = head.part().map(|part| part.bytes.end - part.bytes.start);
        let Some((chunks, bytes)) = body.complete() else {
            return;
        };
        if expected.is_some_and(|expected| expected != bytes) {
            tracing::debug!(
                origin = filling.behavior.origin.id,
                "nothing stored of a part that is not as long as it says"
            );
            return;
        }
        let head = stored_head(head, bytes);
        let is_part = head.part().is_some();
        let gathered = if bytes > GATHERED_ELSEWHERE_BYTES {
            self.background.spawn_blocking(move || Object::new(head, &chunks, bytes)).await.ok()
        } else {
            Some(Object::new(head, &chunks, bytes))
        };
        if let Some(object) = gathered.map(Arc::new) {
            match &filling.parts_key {
                Some(parts_key) if is_part => {
                    self.store_part(parts_key, &filling.key, &filling.request, &object).await;
                }
                _ => {
                    let key = Arc::clone(&filling.key);
                    self.cache.insert(key, Arc::clone(&object), self.clock.now());
                }
            }
            body.settle(object);
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
    filling: Filling,
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

/// Errors for which something stale may stand in (RFC 5861 section 4).
pub(super) fn is_server_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// Answers that tell what the object is now, or that it is no more: what is stored is not it any longer.
fn is_definite(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection() || matches!(status.as_u16(), 404 | 410)
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

/// The head of a response that is stored.
pub(crate) fn new_head(
    status: StatusCode,
    mut headers: HeaderMap,
    timing: Timing,
    storable: Storable,
    began: Epoch,
) -> Unpacked {
    if status == StatusCode::NO_CONTENT {
        headers.remove(header::CONTENT_LENGTH);
    }
    let date = freshness::date(&headers).unwrap_or(timing.response);
    Unpacked {
        status,
        headers: response::headers_to_store(headers, status),
        timing,
        date,
        terms: storable.terms,
        vary: storable.vary,
        groups: storable.groups,
        began,
        part: None,
    }
}

/// The head of the finished object: its length is known now.
fn stored_head(head: &Head, bytes: u64) -> Head {
    if head.status() == StatusCode::NO_CONTENT || head.content_length() == Some(bytes) {
        return head.clone();
    }
    let mut head = head.unpack();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    head.pack()
}
