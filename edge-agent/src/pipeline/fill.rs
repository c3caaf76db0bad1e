//! Filling: one fetch from the request to the stored object, with everybody who wants it reading along.

use std::{cell::Cell, ops::Range, pin::Pin, rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};

use super::{
    Worker,
    blocks::{Arriving, InBlocks, plain},
    compress::Coded,
    debug::Debug,
    pass::Alone,
    pump::Pump,
    ranged,
};
use crate::{
    cache::{
        blocks::{self, BLOCK_BYTES, Blocks},
        cache_control::RequestDirectives,
        coalescing::{
            Leader, Outcome,
            body::{FillBody, Reader},
        },
        freshness::{self, Timing},
        invalidation::Epoch,
        object::{Compressed, Head, Object, Unpacked},
        reuse::{self, Cause, Failing},
        storability::{self, Reason, RequestFacts, ResponseFacts, Storable},
    },
    origin::{
        Fault,
        breaker::{Breaker, Probe},
        http::{Outgoing, UnderWay},
        response::ResponseBody,
    },
    routing::compile::Behavior,
    viewer::response,
};

/// What asks the origin to validate.
pub(super) const CONDITIONS: [HeaderName; 2] = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];

/// What the one who started a fill gets.
pub(super) enum Begun {
    /// An object under way; `stored` if it is going to be kept.
    Shared { head: Arc<Head>, reader: Reader, stored: bool },
    /// An object that has come whole and is stored.
    Whole(Arc<Object>),
    /// What was stored is still good.
    Revalidated { object: Arc<Object>, stored: bool },
    /// An object that is kept in blocks, which are on their way, and the status it came with.
    InBlocks { object: Arc<Object>, status: StatusCode },
    /// Part of something that cannot be kept in blocks: whoever wants some of it has to ask for just that.
    OnlyWhole,
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
    /// Whether only some blocks are asked for.
    pub(super) ranged: bool,
    /// Whether the one who begins it wants its body.
    pub(super) is_read: bool,
    pub(super) leader: Leader<Fault>,
    pub(super) outgoing: Outgoing,
    /// The viewer's request, for Vary.
    pub(super) request: Rc<Request<()>>,
    /// What is stored for this request.
    pub(super) selected: Option<Arc<Object>>,
    /// What the origin is asked to validate.
    pub(super) candidates: Vec<Arc<Object>>,
    pub(super) began: Epoch,
    pub(super) breaker: Arc<Breaker>,
    pub(super) probe: Option<Probe>,
    /// What the one who begins it is to be told beside the answer.
    pub(super) debug: Option<Rc<Debug>>,
}

/// What of a fill is left to be done when its head has come; most often nothing. By itself, so that the future of a fetch, of which there
/// are many, need not have room for it.
type Rest = Option<Pin<Box<dyn Future<Output = ()>>>>;

/// Where the one who started a fill, on the same worker, finds what it gets.
pub(super) type Told = Rc<Cell<Option<Begun>>>;

/// Tells the one who started a fill, if there is one; it may have left.
pub(super) struct Starter(Option<Told>);

impl Starter {
    pub(super) fn tell(&mut self, begun: Begun) {
        if let Some(starter) = self.0.take() {
            starter.set(Some(begun));
        }
    }
}

impl Worker {
    /// The fetch itself.
    pub(super) async fn run_fill(self: Rc<Self>, mut filling: Box<Filling>, starter: Option<Told>) {
        let mut starter = Starter(starter);
        loop {
            let asked = self.clock.now();
            self.metrics.origin_fetches.add(1);
            let fetched = self.fetch_from(&filling.behavior, &mut filling.outgoing).await;
            let now = self.clock.now();
            // It is known now how the origin is, however long the body takes.
            drop(filling.probe.take());
            let (response, under_way) = match fetched {
                Ok(fetched) => fetched,
                Err(fault) => {
                    self.metrics.origin_errors.add(1);
                    filling.breaker.failed(&fault, asked, now);
                    self.hold(&filling, Failing::Unreachable, StatusCode::GATEWAY_TIMEOUT, now);
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
            if let Some(rest) = self.take(filling, response, under_way, timing, starter) {
                rest.await;
            }
            return;
        }
    }

    /// A response with a body of its own.
    fn take(
        self: &Rc<Self>,
        filling: Box<Filling>,
        response: Response<ResponseBody>,
        under_way: UnderWay,
        timing: Timing,
        mut starter: Starter,
    ) -> Rest {
        let now = timing.response;
        let may_stand_in = |object: &Arc<Object>| {
            let asked = RequestDirectives::of(filling.request.headers());
            reuse::on_failure(&object.head, &asked, Cause::Expired, Failing::Error, now).is_some()
        };
        if is_server_error(response.status()) && filling.selected.as_ref().is_some_and(may_stand_in) {
            self.hold(&filling, Failing::Error, response.status(), now);
            filling.leader.decide(Outcome::ServerError);
            starter.tell(Begun::ServerError(Box::new(Alone { response, under_way })));
            return None;
        }
        let policy = &filling.behavior.rules.cache_policy;
        let authorization = filling.outgoing.headers.contains_key(header::AUTHORIZATION);
        let facts = RequestFacts {
            headers: filling.request.headers(),
            authorization,
            errors: &filling.behavior.errors,
        };
        let is_part = filling.ranged && response.status() == StatusCode::PARTIAL_CONTENT;
        let held = match is_part {
            true => ranged::held_by(response.status(), response.headers()),
            false => ranged::content_length(response.headers()).map(|length| (0..length, length)),
        };
        // A part is stored on the same terms as the whole (RFC 9111 section 3.3).
        let status = if is_part { StatusCode::OK } else { response.status() };
        let response_facts = ResponseFacts { status, ..ResponseFacts::of(&response, timing) };
        match storability::decide(policy, facts, response_facts) {
            Err(reason) if !is_part => {
                self.leave_alone(&filling, reason, Alone { response, under_way }, &mut starter);
                None
            }
            Ok(storable) if !is_part || held.is_some() => {
                self.share(filling, response, under_way, Came { timing, held, is_part }, storable, starter)
            }
            _ => self.only_whole(&filling, &mut starter),
        }
    }

    /// Part of something that cannot be kept.
    fn only_whole(&self, filling: &Filling, starter: &mut Starter) -> Rest {
        let now = self.clock.now();
        self.cache.oversized.remember(&filling.key, now);
        if let Some(superseded) = &filling.selected {
            self.cache.replace(&filling.key, superseded, None, now);
        }
        filling.leader.decide(Outcome::Alone);
        starter.tell(Begun::OnlyWhole);
        None
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
            self.hold(filling, Failing::Error, status, now);
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
    fn share(
        self: &Rc<Self>,
        filling: Box<Filling>,
        response: Response<ResponseBody>,
        under_way: UnderWay,
        came: Came,
        storable: Storable,
        mut starter: Starter,
    ) -> Rest {
        let (parts, incoming) = response.into_parts();
        let Came { timing, held, is_part } = came;
        let policy = &filling.behavior.rules.cache_policy;
        let mut headers = response::headers_from_origin(
            parts.headers,
            policy,
            policy.keys_cookies(),
            &self.via(parts.version),
            timing.response,
        );
        if let Some((_, length)) = held.as_ref().filter(|_| is_part) {
            headers.remove(header::CONTENT_RANGE);
            headers.insert(header::CONTENT_LENGTH, (*length).into());
        }
        let status = if is_part { StatusCode::OK } else { parts.status };
        let shareable = storable.is_shareable(timing.response);
        let at_once = incoming.whole().filter(|_| shareable && storable.fields_not_kept.is_empty());
        let is_ranged = is_part || filling.ranged;
        let (compressed, coded) = self.coded(&filling, status, &mut headers, is_ranged, shareable, at_once);
        // The one who caused the fetch gets what the origin meant for nobody else.
        let all = storable.take_out(&mut headers);
        let head = Unpacked { compressed, ..new_head(status, headers, timing, storable, filling.began) };
        // Whoever was asked for a part and sends the whole cannot be asked for parts.
        let sent_whole = self.cache.oversized.contains(&filling.key, timing.response);
        let takes_ranges = is_part || !(filling.ranged || sent_whole);
        if let Some((bytes, length)) = held.clone().filter(|_| shareable && takes_ranges)
            && compressed == Compressed::No
            && length <= self.cache.limits().in_blocks_bytes_max()
            && blocks::can_hold(&head, length)
            && filling.outgoing.method == Method::GET
        {
            let arriving = Arriving { incoming, skip: 0, left: 0, came: 0, _under_way: under_way };
            let came = (parts.status, bytes, length);
            return self.share_in_blocks(filling, head, all, came, arriving, starter);
        }
        if is_part && held.is_none_or(|(bytes, length)| bytes != (0..length)) {
            return self.only_whole(&filling, &mut starter);
        }
        let own_head = all.map(|headers| Unpacked { headers, ..head.clone() }.pack());
        let head = head.pack();
        let length = head.content_length();
        if length.is_some_and(|length| length > self.cache.limits().piece_bytes_max()) {
            self.cache.oversized.remember(&filling.key, timing.response);
        }
        if shareable {
            self.cache.uncacheable.forget(filling.leader.key());
        } else {
            self.cache.uncacheable.remember(filling.leader.key(), timing.response);
        }
        let compression = match coded {
            Coded::No => None,
            Coded::Whole(body) => {
                self.share_whole(&filling, head, &body, &mut starter);
                return None;
            }
            Coded::Coming(compression) => Some(compression),
        };
        let stored = self.has_room_for(length);
        if let Some(whole) = incoming.whole().filter(|whole| length == Some(whole.len() as u64))
            && (shareable && stored && own_head.is_none() && compression.is_none())
        {
            self.share_whole(&filling, head, whole, &mut starter);
            return None;
        }
        let head = Arc::new(head);
        let own_head = own_head.map_or_else(|| Arc::clone(&head), Arc::new);
        let body = FillBody::new(stored, Arc::clone(&self.fills.held));
        if let Some(reader) = body.reader() {
            starter.tell(Begun::Shared { head: own_head, reader, stored });
        }
        filling.leader.decide(match shareable {
            true => Outcome::Shared { head: Arc::clone(&head), body: Arc::clone(&body) },
            false => Outcome::Alone,
        });
        let (worker, pump) =
            (Rc::clone(self), Pump { filling, head, body, incoming, compression, _under_way: under_way });
        Some(Box::pin(async move { worker.pump(pump).await }))
    }

    /// A response that has come whole: it is stored, and all who wait get what is stored.
    fn share_whole(&self, filling: &Filling, head: Head, body: &Bytes, starter: &mut Starter) {
        let object = Arc::new(Object::counted_in(&self.cache.arena, head, [body], body.len() as u64));
        self.cache.insert(Arc::clone(&filling.key), Arc::clone(&object), self.clock.now());
        filling.leader.decide(Outcome::Whole(Arc::clone(&object)));
        starter.tell(Begun::Whole(object));
    }

    /// A response that is stored in blocks: all who wait get its head, and each gets the blocks that it wants.
    fn share_in_blocks(
        self: &Rc<Self>,
        filling: Box<Filling>,
        head: Unpacked,
        all: Option<HeaderMap>,
        (status, bytes, length): (StatusCode, Range<u64>, u64),
        arriving: Arriving,
        mut starter: Starter,
    ) -> Rest {
        let known = filling.candidates.iter().filter_map(|old| Some((old, old.head.blocks()?)));
        let known = known.into_iter().find(|(old, blocks)| blocks.are_of(&old.head, &head.headers, length));
        let blocks = known.map_or_else(|| Blocks::new(length), |(_, blocks)| blocks);
        let head = Unpacked { blocks: Some(blocks), ..head };
        let whole = |head: Unpacked| Arc::new(Object::new(head.pack(), &[], 0));
        let own = all.map(|headers| whole(Unpacked { headers, ..head.clone() }));
        let object = whole(head);
        let own = own.unwrap_or_else(|| Arc::clone(&object));
        let first = bytes.start.div_ceil(BLOCK_BYTES);
        let end = if bytes.end == length { blocks.count() } else { bytes.end / BLOCK_BYTES };
        // Before anybody hears of it, so that nobody begins another.
        let wanted = first < end && (filling.is_read || filling.leader.has_waiters());
        let conductor = wanted.then(|| self.runs.begin(blocks.id, first..end));
        self.cache.insert(Arc::clone(&filling.key), Arc::clone(&object), self.clock.now());
        self.cache.uncacheable.forget(filling.leader.key());
        filling.leader.decide(Outcome::Stored(Arc::clone(&object)));
        starter.tell(Begun::InBlocks { object: own, status });
        let Filling { key, behavior, request, outgoing, breaker, leader, .. } = *filling;
        // The next fill of this key will find the object.
        drop(leader);
        let source = InBlocks { key, object, blocks, behavior, request, outgoing: plain(&outgoing), breaker };
        let conductor = conductor?;
        let (skip, left) = (first * BLOCK_BYTES - bytes.start, bytes.end - first * BLOCK_BYTES);
        let (worker, arriving) = (Rc::clone(self), Arriving { skip, left, ..arriving });
        Some(Box::pin(async move { worker.run(Rc::new(source), conductor, Some(arriving)).await }))
    }

    /// Whether a body that is this long so far, or will be, may be kept to be stored.
    pub(super) fn has_room_for(&self, bytes: Option<u64>) -> bool {
        bytes.unwrap_or(0) <= self.cache.limits().piece_bytes_max() && self.has_room()
    }

    /// Whether what is under way, and what viewers hold beside the cache, leaves room for more.
    pub(super) fn has_room(&self) -> bool {
        // The copy that is being made of a body to store it is not to count beside the body itself: others would be given up for it.
        let pinned = self.cache.pinned_bytes().saturating_sub(self.fills.gathering_bytes());
        self.fills.held_bytes() + pinned <= self.cache.limits().under_way_bytes_max()
    }
}

/// How a response came.
struct Came {
    timing: Timing,
    /// Which bytes it has of an object of which length, if that is known.
    held: Option<(Range<u64>, u64)>,
    /// Whether some bytes were asked for, and that is what came.
    is_part: bool,
}

/// Errors for which something stale may stand in (RFC 5861 section 4).
pub(super) fn is_server_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// Answers that tell what the object is now, or that it is no more: what is stored is not it any longer.
pub(super) fn is_definite(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection() || matches!(status.as_u16(), 404 | 410)
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
        blocks: None,
        compressed: Compressed::No,
    }
}
