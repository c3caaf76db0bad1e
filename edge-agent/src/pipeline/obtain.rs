//! Obtaining what the cache does not have, or no longer may use: with one fetch however many ask, and with what is stale if the
//! origin fails.

use std::{rc::Rc, sync::Arc, time::Duration};

use headland_proto::model::Origin;
use http::{Method, Response, header};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    Asking, Errand, Way, Worker,
    fill::{Begun, Filling},
    lookup::{self, Found, Slot},
};
use crate::{
    cache::{
        coalescing::{Fill, Leader, Outcome, Role, body::Reader},
        object::{Head, Object},
        reuse::{self, Failing, Permission, Reuse},
        revalidation,
    },
    clock::Timestamp,
    origin::{
        Fault,
        breaker::{Outlook, Probe},
        request::Purpose,
    },
    viewer::{
        body::ViewerBody,
        cache_status::{Detail, Handling, ttl},
        error_page::Failure,
        response,
    },
};

/// How often a request looks again when what it waited for turned out not to be for it, before it goes to the origin by itself.
const ROUNDS_MAX: usize = 3;
/// How long a viewer for whom there is something stale waits for an origin, at most: it is there to be used.
const PATIENCE_WITH_STALE: Duration = Duration::from_secs(2);

/// How often somebody who waits looks whether the origin is known to be down by now.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What waiting for somebody else's fetch comes to.
enum Waited {
    Answer(Result<Response<ViewerBody>, Failure>),
    /// It was not for this viewer, who goes to the origin.
    InVain(Box<Asking>),
    /// It was for others, perhaps told apart by what this head says: look again, now that more is known.
    ForOthers(Box<Asking>, Option<Arc<Head>>),
}
/// Why something storable is not kept, for debug headers: it is too large, or too much is under way.
const NO_ROOM: &str = "no-room";

impl Worker {
    /// Joins the fetch of an object, or starts it.
    pub(super) async fn obtain(
        self: &Rc<Self>,
        errand: &Errand,
        slot: &Slot,
        mut asking: Asking,
    ) -> Result<Response<ViewerBody>, Failure> {
        // A response on its way that turned out to be for others shows by what they are told apart.
        let mut seen: Option<Arc<Head>> = None;
        for _ in 0..ROUNDS_MAX {
            let now = self.clock.now();
            let headers = asking.request.headers();
            let found = self.look(slot, headers, now);
            // Another fetch may have ended since.
            if found.usable().is_some() {
                return Ok(self.hit_for(&found, asking));
            }
            let probe = match self.breaker(errand).outlook(now) {
                Outlook::Good => None,
                Outlook::Probe(probe) => Some(probe),
                Outlook::Bad => {
                    if let Some((object, permission)) = found.stand_in(Failing::Unreachable, now) {
                        return Ok(self.stale_unasked(object, permission, &asking));
                    }
                    None
                }
            };
            let name = found.name_to_join(&slot.key, headers, seen.as_deref());
            if self.goes_alone(&name, slot, now) {
                let leader = self.fills.solo(&name);
                return self.lead(errand, slot, leader, found, probe, None, asking).await;
            }
            let waiting = match self.fills.join(&name) {
                Role::Leader(leader) => {
                    // A fetch may have ended between the look and here.
                    let found = self.look(slot, headers, now);
                    if found.usable().is_some() {
                        drop(leader);
                        return Ok(self.hit_for(&found, asking));
                    }
                    return self.lead(errand, slot, leader, found, probe, None, asking).await;
                }
                Role::Waiter(fill) => {
                    if let Some((object, permission)) = found.stand_in_after_failure(now) {
                        return Ok(self.stale_unasked(object, permission, &asking));
                    }
                    self.wait(errand, &fill, &found).await
                }
            };
            // Who probes has done so by waiting with the one who asked.
            drop(probe);
            match self.after_waiting(waiting, slot, &found, asking) {
                Waited::Answer(answer) => return answer,
                Waited::InVain(back) => return self.by_oneself(errand, slot, *back).await,
                Waited::ForOthers(back, head) => {
                    asking = *back;
                    seen = head;
                }
            }
        }
        self.by_oneself(errand, slot, asking).await
    }

    /// Goes to the origin without waiting for anybody or letting anybody wait: to have validated what is stored, or for this viewer
    /// alone.
    async fn by_oneself(
        self: &Rc<Self>,
        errand: &Errand,
        slot: &Slot,
        asking: Asking,
    ) -> Result<Response<ViewerBody>, Failure> {
        let now = self.clock.now();
        let found = self.look(slot, asking.request.headers(), now);
        if found.usable().is_some() {
            return Ok(self.hit_for(&found, asking));
        }
        if found.selected().is_none() {
            return self.pass(errand, asking, found.forward().0, None).await;
        }
        let leader = self.fills.solo(&slot.key);
        self.lead(errand, slot, leader, found, None, None, asking).await
    }

    /// What somebody else's fetch came to means this for a viewer who waited for it.
    fn after_waiting(&self, outcome: Outcome<Fault>, slot: &Slot, found: &Found, asking: Asking) -> Waited {
        let collapsed = Handling { collapsed: true, ..found.handling() };
        match outcome {
            Outcome::Shared { head, body } if self.may_use(slot, &head, &asking) => match body.reader() {
                Some(reader) => {
                    let handling = Handling { fwd_status: Some(head.status), detail: None, ..collapsed };
                    Waited::Answer(Ok(self.growing(&head, reader, handling, asking)))
                }
                None => Waited::InVain(Box::new(asking)),
            },
            Outcome::Revalidated(object) if self.may_use(slot, &object.head, &asking) => {
                Waited::Answer(Ok(self.stored_for(&object, collapsed, &asking)))
            }
            Outcome::Shared { head, .. } if !head.answers(asking.request.headers()) => {
                Waited::ForOthers(Box::new(asking), Some(head))
            }
            Outcome::Revalidated(object) if !object.head.answers(asking.request.headers()) => {
                Waited::ForOthers(Box::new(asking), None)
            }
            // What came is not fresh enough for this request.
            Outcome::Shared { .. } | Outcome::Revalidated(_) => Waited::InVain(Box::new(asking)),
            Outcome::ServerError => match found.stand_in(Failing::Error, self.clock.now()) {
                Some((object, permission)) => {
                    Waited::Answer(Ok(self.stale(object, permission, None, found, &asking)))
                }
                None => Waited::InVain(Box::new(asking)),
            },
            Outcome::Failed(fault) => Waited::Answer(self.failed(fault, found, &asking)),
            Outcome::Alone => Waited::InVain(Box::new(asking)),
        }
    }

    /// Whether a request for this key had better not wait for others, nor they for it: what it asks for is not to be had from what
    /// they get, or what came last could not be shared.
    fn goes_alone(&self, name: &[u8], slot: &Slot, now: Timestamp) -> bool {
        slot.directives.no_cache
            || slot.directives.max_age == Some(0)
            || self.cache.uncacheable.contains(name, now)
    }

    /// Whether what somebody else fetched may answer this request too.
    pub(super) fn may_use(&self, slot: &Slot, head: &Head, asking: &Asking) -> bool {
        let (key, uri) = (&slot.key, slot.uri);
        head.answers(asking.request.headers())
            && !self.cache.invalidations.covers(uri.uri(key), uri.scope(key), head)
            && reuse::decide(head, &slot.directives, self.clock.now()) == Reuse::Fresh
    }

    /// Waits for somebody else's fetch: for as long as one's own might take, or for as long as is worth it if there is something
    /// stale to be had instead.
    pub(super) async fn wait(
        &self,
        errand: &Errand,
        fill: &Arc<Fill<Fault>>,
        found: &Found,
    ) -> Outcome<Fault> {
        let outcome = self.unless_down(errand, found, fill.outcome()).await;
        outcome.unwrap_or(Outcome::Failed(Fault::ResponseTimeout))
    }

    /// Waits, and gives up when it takes too long, or when it becomes known that the origin is down and something stale may stand in.
    async fn unless_down<T>(
        &self,
        errand: &Errand,
        found: &Found,
        waiting: impl Future<Output = T>,
    ) -> Option<T> {
        let patience = self.patience(errand, found);
        let until = Instant::now() + patience.unwrap_or_else(|| time_for_fetch(&errand.behavior.origin));
        let mut waiting = std::pin::pin!(waiting);
        loop {
            let next_look = until.min(Instant::now() + LOOK_AGAIN);
            if let Ok(outcome) = timeout_at(next_look, &mut waiting).await {
                return Some(outcome);
            }
            let now = self.clock.now();
            if next_look == until {
                if patience.is_some() {
                    self.breaker(errand).suspected(now);
                }
                return None;
            }
            if self.breaker(errand).is_open(now) && found.stand_in(Failing::Unreachable, now).is_some() {
                return None;
            }
        }
    }

    /// How long to wait for the origin when something stale may stand in for its answer; `None` if nothing may.
    fn patience(&self, errand: &Errand, found: &Found) -> Option<Duration> {
        found.stand_in(Failing::Error, self.clock.now())?;
        Some(PATIENCE_WITH_STALE.min(errand.behavior.origin.response_timeout / 2))
    }

    /// Fetches, or has it validated, for oneself and all who wait. `parts_key`: where to keep what comes if only a part is asked for.
    #[expect(clippy::too_many_arguments, reason = "one departure, from two places")]
    pub(super) async fn lead(
        self: &Rc<Self>,
        errand: &Errand,
        slot: &Slot,
        leader: Leader<Fault>,
        found: Found,
        probe: Option<Probe>,
        parts_key: Option<Arc<[u8]>>,
        asking: Asking,
    ) -> Result<Response<ViewerBody>, Failure> {
        let (begun, beginning) = oneshot::channel();
        let mut filling = self.filling(errand, slot, leader, &found, probe, &asking);
        if parts_key.is_some() {
            let range = asking.request.headers().get(header::RANGE);
            filling.outgoing.headers.extend(range.map(|range| (header::RANGE, range.clone())));
            filling.parts_key = parts_key;
        }
        // A task of its own: the fetch goes on when this viewer leaves.
        tokio::task::spawn_local(Rc::clone(self).run_fill(filling, Some(begun)));
        let begun = match found.selected() {
            // Nothing to be had instead.
            None => beginning.await,
            // If it takes too long, the fetch goes on without this viewer.
            Some(_) => match self.unless_down(errand, &found, beginning).await {
                Some(begun) => begun,
                None => Ok(Begun::Failed(Fault::ResponseTimeout)),
            },
        };
        let now = self.clock.now();
        let handling = found.handling();
        asking.note_not_used(&handling);
        match begun {
            Ok(Begun::Shared { head, reader, stored }) => {
                if !stored {
                    asking.note_not_stored(NO_ROOM);
                }
                let handling = Handling { fwd_status: Some(head.status), stored, ..handling };
                Ok(self.growing(&head, reader, handling, asking))
            }
            Ok(Begun::Revalidated { object, stored }) => {
                let fwd_status = Some(http::StatusCode::NOT_MODIFIED);
                let handling = Handling { fwd_status, stored, ..handling };
                Ok(self.stored_for(&object, handling, &asking))
            }
            Ok(Begun::ServerError(alone)) => match found.stand_in(Failing::Error, now) {
                Some((object, permission)) => {
                    let status = alone.response.status();
                    Ok(self.stale(object, permission, Some(status), &found, &asking))
                }
                None => Ok(self.alone(errand, *alone, handling, asking)),
            },
            Ok(Begun::Alone { alone, why }) => {
                asking.note_not_stored(why.as_str());
                let handling = Handling { detail: Some(Detail::NotStored(why)), ..handling };
                Ok(self.alone(errand, *alone, handling, asking))
            }
            Ok(Begun::Failed(fault)) => self.failed(fault, &found, &asking),
            Err(_) => Err(Fault::Response("the fetch was given up".to_owned()).into()),
        }
    }

    fn filling(
        &self,
        errand: &Errand,
        slot: &Slot,
        leader: Leader<Fault>,
        found: &Found,
        probe: Option<Probe>,
        asking: &Asking,
    ) -> Filling {
        let mut outgoing = self.outgoing(errand, Purpose::Fill, &asking.request, asking.address);
        let candidates = found.candidates();
        let heads: Vec<&Head> = candidates.iter().map(|object| &object.head).collect();
        let conditions = revalidation::conditions(&heads);
        let candidates = if conditions.is_empty() { Vec::new() } else { candidates };
        outgoing.headers.extend(conditions);
        Filling {
            behavior: Arc::clone(&errand.behavior),
            key: Arc::clone(&slot.key),
            parts_key: None,
            leader,
            outgoing,
            request: asking.request.headers().clone(),
            selected: found.selected().map(|(object, _)| Arc::clone(object)),
            candidates,
            began: self.cache.invalidations.epoch(),
            breaker: self.breaker(errand),
            probe,
        }
    }

    /// Asks the origin, while viewers get what is stale, unless somebody is asking already or the origin is known to be down.
    pub(super) fn revalidate_in_background(self: &Rc<Self>, errand: &Errand, found: &Found, asking: &Asking) {
        let Way::Cache(slot) = &errand.way else { return };
        let now = self.clock.now();
        let probe = match self.breaker(errand).outlook(now) {
            Outlook::Good => None,
            Outlook::Probe(probe) => Some(probe),
            Outlook::Bad => return,
        };
        let name = found.name_to_join(&slot.key, asking.request.headers(), None);
        if let Role::Leader(leader) = self.fills.join(&name) {
            let filling = self.filling(errand, slot, leader, found, probe, asking);
            tokio::task::spawn_local(Rc::clone(self).run_fill(filling, None));
        }
    }

    /// The origin gave nothing: what is stale may stand in.
    pub(super) fn failed(
        &self,
        fault: Fault,
        found: &Found,
        asking: &Asking,
    ) -> Result<Response<ViewerBody>, Failure> {
        let now = self.clock.now();
        match found.stand_in(Failing::Unreachable, now) {
            Some((object, permission)) if fault.is_the_origins() => {
                Ok(self.stale(object, permission, None, found, asking))
            }
            _ => Err(fault.into()),
        }
    }

    /// A stale object in place of what the origin did not give.
    pub(super) fn stale(
        &self,
        object: &Arc<Object>,
        permission: Permission,
        fwd_status: Option<http::StatusCode>,
        found: &Found,
        asking: &Asking,
    ) -> Response<ViewerBody> {
        let handling = Handling { fwd_status, ..found.handling_of_stand_in(permission) };
        self.stored_for(object, handling, asking)
    }

    /// The same without having asked: the origin is known to be down.
    pub(super) fn stale_unasked(
        &self,
        object: &Arc<Object>,
        permission: Permission,
        asking: &Asking,
    ) -> Response<ViewerBody> {
        let handling = lookup::handling_unasked(object, permission, self.clock.now());
        self.stored_for(object, handling, asking)
    }

    fn hit_for(&self, found: &Found, asking: Asking) -> Response<ViewerBody> {
        let (headers, method, debug) = (asking.request.headers(), asking.request.method(), &asking.debug);
        self.hit(found, headers, method, self.clock.now(), asking.id.clone(), debug.as_deref())
    }

    pub(super) fn stored_for(
        &self,
        object: &Arc<Object>,
        handling: Handling,
        asking: &Asking,
    ) -> Response<ViewerBody> {
        asking.note_not_used(&handling);
        asking.note_head(&object.head);
        let (headers, method) = (asking.request.headers(), asking.request.method());
        self.stored(object, handling, headers, method, self.clock.now(), asking.id.clone())
    }

    /// An object under way for one viewer: whole or in part.
    pub(super) fn growing(
        &self,
        head: &Head,
        reader: Reader,
        handling: Handling,
        asking: Asking,
    ) -> Response<ViewerBody> {
        let now = self.clock.now();
        asking.note_not_used(&handling);
        asking.note_head(head);
        let mut headers = head.headers.clone();
        let age = head.age_seconds(now);
        if handling.collapsed || age > 0 {
            headers.insert(header::AGE, age.into());
        }
        let handling = Handling { ttl: Some(ttl(head, now)), ..handling };
        self.marks(handling, asking.id).put(&mut headers);
        let head_only = asking.request.method() == Method::HEAD;
        let part =
            response::select(head, asking.request.headers(), head_only, head.content_length, &mut headers);
        let (status, skip, left) = match part {
            Some((status, start, end)) => (status, start, Some(end - start)),
            None => (head.status, 0, head.content_length),
        };
        let body = if head_only || left == Some(0) {
            ViewerBody::empty()
        } else {
            ViewerBody::growing(reader, skip, left, asking.busy, self.metrics.clone())
        };
        response::build(status, headers, body)
    }
}

/// How long a fetch from an origin may take until its head is there, and a little more.
fn time_for_fetch(origin: &Origin) -> Duration {
    origin.connection_timeout.saturating_mul(origin.connection_attempts)
        + origin.response_timeout
        + Duration::from_secs(1)
}
