//! Obtaining what the cache does not have, or no longer may use: with one fetch however many ask, and with what is stale if the
//! origin fails.

use std::{
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Method, Response, header};

use super::{
    Asking, Errand, Way, Worker,
    fill::{Begun, Filling, Told},
    lookup::{Found, Slot},
    ranged,
};
use crate::{
    cache::{
        coalescing::{Leader, Outcome, Role},
        object::Head,
        reuse::{self, Failing, Reuse},
        revalidation,
    },
    clock::Timestamp,
    origin::{
        Fault,
        breaker::{Breaker, Outlook, Probe},
        request::Purpose,
    },
    viewer::{
        body::ViewerBody,
        cache_status::{Detail, Handling},
        error_page::Failure,
    },
};

/// How often a request looks again when what it waited for turned out not to be for it, before it goes to the origin by itself.
const ROUNDS_MAX: usize = 3;
/// Why something storable is not kept, for debug headers: it is too large, or too much is under way.
const NO_ROOM: &str = "no-room";

/// What waiting for somebody else's fetch comes to.
enum Waited {
    Answer(Result<Response<ViewerBody>, Failure>),
    /// It was not for this viewer, who goes to the origin.
    InVain(Box<Asking>),
    /// It was for others, perhaps told apart by what this head says: look again, now that more is known.
    ForOthers(Box<Asking>, Option<Arc<Head>>),
}

/// The beginning of a fetch, which the viewer who asked for it does as long as it waits. What is left then, or when it leaves, is done by
/// a task of its own. Nearly always nothing is left, and there is no task.
struct Beginning<F: Future<Output = ()> + 'static> {
    fetch: Option<Pin<Box<F>>>,
    begun: Told,
}

impl<F: Future<Output = ()> + 'static> Future for Beginning<F> {
    /// `None` if it was given up.
    type Output = Option<Begun>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Out of here while it runs, so that one that panics is not run again.
        if let Some(mut fetch) = self.fetch.take()
            && fetch.as_mut().poll(cx).is_pending()
        {
            self.fetch = Some(fetch);
        }
        match self.begun.take() {
            None if self.fetch.is_some() => Poll::Pending,
            begun => Poll::Ready(begun),
        }
    }
}

impl<F: Future<Output = ()> + 'static> Drop for Beginning<F> {
    fn drop(&mut self) {
        if let Some(fetch) = self.fetch.take() {
            tokio::task::spawn_local(fetch);
        }
    }
}

impl Worker {
    /// Joins the fetch of an object, or starts it. `known` is what the cache had a moment ago.
    pub(super) async fn obtain(
        self: &Rc<Self>,
        errand: &Errand,
        slot: &Slot,
        mut asking: Box<Asking>,
        mut known: Option<Found>,
    ) -> Result<Response<ViewerBody>, Failure> {
        // A response on its way that turned out to be for others shows by what they are told apart.
        let mut seen: Option<Arc<Head>> = None;
        for _ in 0..ROUNDS_MAX {
            let now = self.clock.now();
            let headers = asking.request.headers();
            let found = known.take().unwrap_or_else(|| self.look(slot, headers, now));
            // Another fetch may have ended since.
            if found.usable().is_some() {
                return Ok(self.hit_for(errand, &found, &asking));
            }
            let breaker = self.breaker(errand);
            let probe = match breaker.outlook(now) {
                Outlook::Good => None,
                Outlook::Probe(probe) => Some(probe),
                Outlook::Bad => {
                    if let Some((object, permission)) = found.stand_in(Failing::Unreachable, now) {
                        return Ok(self.stale_unasked(errand, object, permission, &asking));
                    }
                    None
                }
            };
            let name = found.name_to_join(&slot.key, headers, seen.as_deref());
            if self.goes_alone(&name, slot, now) {
                let leader = self.fills.solo(&name);
                return self.lead(errand, slot, leader, found, (breaker, probe), asking).await;
            }
            let waiting = match self.fills.join(&name) {
                Role::Leader(leader) => {
                    // A fetch may have ended between the look and here.
                    let found = self.look(slot, headers, now);
                    if found.usable().is_some() {
                        drop(leader);
                        return Ok(self.hit_for(errand, &found, &asking));
                    }
                    // It may have shown by what responses are told apart, and somebody else may be fetching this one by that.
                    if !found.all().is_empty()
                        && found.name_to_join(&slot.key, headers, seen.as_deref()) != name
                    {
                        drop(leader);
                        known = Some(found);
                        continue;
                    }
                    return self.lead(errand, slot, leader, found, (breaker, probe), asking).await;
                }
                Role::Waiter(fill) => {
                    if let Some((object, permission)) = found.stand_in_after_failure(now) {
                        return Ok(self.stale_unasked(errand, object, permission, &asking));
                    }
                    Box::pin(self.wait(errand, &fill, &found)).await
                }
            };
            // Who probes has done so by waiting with the one who asked.
            drop(probe);
            match self.after_waiting(waiting, errand, slot, &found, asking) {
                Waited::Answer(answer) => return answer,
                Waited::InVain(back) => return Box::pin(self.by_oneself(errand, slot, back)).await,
                Waited::ForOthers(back, head) => {
                    asking = back;
                    seen = head;
                }
            }
        }
        Box::pin(self.by_oneself(errand, slot, asking)).await
    }

    /// Goes to the origin without waiting for anybody or letting anybody wait: to have validated what is stored, or for this viewer
    /// alone.
    async fn by_oneself(
        self: &Rc<Self>,
        errand: &Errand,
        slot: &Slot,
        asking: Box<Asking>,
    ) -> Result<Response<ViewerBody>, Failure> {
        let now = self.clock.now();
        let found = self.look(slot, asking.request.headers(), now);
        if found.usable().is_some() {
            return Ok(self.hit_for(errand, &found, &asking));
        }
        if found.selected().is_none() {
            return self.pass(errand, asking, found.forward().0, None).await;
        }
        let leader = self.fills.solo(&slot.key);
        self.lead(errand, slot, leader, found, (self.breaker(errand), None), asking).await
    }

    /// What somebody else's fetch came to means this for a viewer who waited for it.
    fn after_waiting(
        self: &Rc<Self>,
        outcome: Outcome<Fault>,
        errand: &Errand,
        slot: &Slot,
        found: &Found,
        asking: Box<Asking>,
    ) -> Waited {
        let collapsed = Handling { collapsed: true, ..found.handling() };
        match outcome {
            Outcome::Shared { head, body } if self.may_use(slot, &head, &asking) => match body.reader() {
                Some(reader) => {
                    let handling = Handling { fwd_status: Some(head.status()), detail: None, ..collapsed };
                    Waited::Answer(Ok(self.growing(&head, reader, handling, *asking)))
                }
                None => Waited::InVain(asking),
            },
            Outcome::Whole(object) if self.may_use(slot, &object.head, &asking) => {
                let fwd_status = Some(object.head.status());
                let handling = Handling { fwd_status, detail: None, ..collapsed };
                Waited::Answer(Ok(self.whole(&object, handling, *asking)))
            }
            Outcome::Stored(object) if self.may_use(slot, &object.head, &asking) => {
                Waited::Answer(Ok(self.stored_for(errand, &object, collapsed, &asking)))
            }
            Outcome::Shared { head, .. } if !head.answers(asking.request.headers()) => {
                Waited::ForOthers(asking, Some(head))
            }
            Outcome::Whole(object) | Outcome::Stored(object)
                if !object.head.answers(asking.request.headers()) =>
            {
                Waited::ForOthers(asking, None)
            }
            // What came is not fresh enough for this request.
            Outcome::Shared { .. } | Outcome::Whole(_) | Outcome::Stored(_) => Waited::InVain(asking),
            Outcome::ServerError => match found.stand_in(Failing::Error, self.clock.now()) {
                Some((object, permission)) => {
                    Waited::Answer(Ok(self.stale(errand, object, permission, None, found, &asking)))
                }
                None => Waited::InVain(asking),
            },
            Outcome::Failed(fault) => Waited::Answer(self.failed(errand, fault, found, &asking)),
            Outcome::Alone => Waited::InVain(asking),
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

    /// Fetches, or has it validated, for oneself and all who wait.
    async fn lead(
        self: &Rc<Self>,
        errand: &Errand,
        slot: &Slot,
        leader: Leader<Fault>,
        found: Found,
        state: (Arc<Breaker>, Option<Probe>),
        asking: Box<Asking>,
    ) -> Result<Response<ViewerBody>, Failure> {
        let begun = Told::default();
        let mut filling = self.filling(errand, slot, leader, &found, state, &asking);
        filling.is_read = asking.request.method() == Method::GET;
        // What is stored in one piece is small enough to be fetched in one.
        let in_one_piece = found.selected().is_some_and(|(object, _)| object.head.blocks().is_none());
        if let Some(range) = ranged::to_ask(&asking.request).filter(|_| !in_one_piece) {
            filling.outgoing.headers.insert(header::RANGE, range);
            filling.ranged = true;
        }
        let fetch = Box::pin(Rc::clone(self).run_fill(filling, Some(Rc::clone(&begun))));
        let beginning = Beginning { fetch: Some(fetch), begun };
        let begun = match found.selected() {
            // Nothing to be had instead.
            None => beginning.await,
            // If it takes too long, the fetch goes on without this viewer.
            Some(_) => match Box::pin(self.unless_down(errand, &found, beginning)).await {
                Some(begun) => begun,
                None => Some(Begun::Failed(Fault::ResponseTimeout)),
            },
        };
        let now = self.clock.now();
        let handling = found.handling();
        asking.note_not_used(&handling);
        match begun {
            Some(Begun::Shared { head, reader, stored }) => {
                if !stored {
                    asking.note_not_stored(NO_ROOM);
                }
                let handling = Handling { fwd_status: Some(head.status()), stored, ..handling };
                Ok(self.growing(&head, reader, handling, *asking))
            }
            Some(Begun::Whole(object)) => {
                let handling = Handling { fwd_status: Some(object.head.status()), stored: true, ..handling };
                Ok(self.whole(&object, handling, *asking))
            }
            Some(Begun::Revalidated { object, stored }) => {
                let fwd_status = Some(http::StatusCode::NOT_MODIFIED);
                let handling = Handling { fwd_status, stored, ..handling };
                Ok(self.stored_for(errand, &object, handling, &asking))
            }
            Some(Begun::InBlocks { object, status }) => {
                let handling = Handling { fwd_status: Some(status), stored: true, ..handling };
                Ok(self.stored_for(errand, &object, handling, &asking))
            }
            Some(Begun::OnlyWhole) => Box::pin(self.pass(errand, asking, found.forward().0, None)).await,
            Some(Begun::ServerError(alone)) => match found.stand_in(Failing::Error, now) {
                Some((object, permission)) => {
                    let status = alone.response.status();
                    Ok(self.stale(errand, object, permission, Some(status), &found, &asking))
                }
                None => Ok(self.alone(errand, *alone, handling, *asking)),
            },
            Some(Begun::Alone { alone, why }) => {
                asking.note_not_stored(why.as_str());
                let handling = Handling { detail: Some(Detail::NotStored(why)), ..handling };
                Ok(self.alone(errand, *alone, handling, *asking))
            }
            Some(Begun::Failed(fault)) => self.failed(errand, fault, &found, &asking),
            None => Err(Fault::Response("the fetch was given up".to_owned()).into()),
        }
    }

    fn filling(
        &self,
        errand: &Errand,
        slot: &Slot,
        leader: Leader<Fault>,
        found: &Found,
        (breaker, probe): (Arc<Breaker>, Option<Probe>),
        asking: &Asking,
    ) -> Box<Filling> {
        let mut outgoing = self.outgoing(errand, Purpose::Fill, &asking.request, asking.viewer);
        let candidates = found.candidates();
        let heads: Vec<&Head> = candidates.iter().map(|object| &object.head).collect();
        let conditions = match outgoing.method == Method::OPTIONS {
            // Whom it is put to ignores them (RFC 9110 section 13.2.1).
            true => HeaderMap::new(),
            false => revalidation::conditions(&heads),
        };
        let candidates = if conditions.is_empty() { Vec::new() } else { candidates };
        outgoing.headers.extend(conditions);
        Box::new(Filling {
            behavior: Arc::clone(&errand.behavior),
            key: Arc::clone(&slot.key),
            ranged: false,
            is_read: false,
            leader,
            outgoing,
            request: Rc::clone(&asking.request),
            selected: found.selected().map(|(object, _)| Arc::clone(object)),
            candidates,
            began: self.cache.invalidations.epoch(),
            breaker,
            probe,
            debug: asking.debug.clone(),
        })
    }

    /// Asks the origin, while viewers get what is stale, unless somebody is asking already or the origin is known to be down.
    pub(super) fn revalidate_in_background(self: &Rc<Self>, errand: &Errand, found: &Found, asking: &Asking) {
        let Way::Cache(slot) = &errand.way else { return };
        let (breaker, now) = (self.breaker(errand), self.clock.now());
        let probe = match breaker.outlook(now) {
            Outlook::Good => None,
            Outlook::Probe(probe) => Some(probe),
            Outlook::Bad => return,
        };
        let name = found.name_to_join(&slot.key, asking.request.headers(), None);
        if let Role::Leader(leader) = self.fills.join(&name) {
            let filling = self.filling(errand, slot, leader, found, (breaker, probe), asking);
            tokio::task::spawn_local(Rc::clone(self).run_fill(filling, None));
        }
    }

    /// The origin gave nothing: what is stale may stand in.
    pub(super) fn failed(
        self: &Rc<Self>,
        errand: &Errand,
        fault: Fault,
        found: &Found,
        asking: &Asking,
    ) -> Result<Response<ViewerBody>, Failure> {
        let now = self.clock.now();
        match found.stand_in(Failing::Unreachable, now) {
            Some((object, permission)) if fault.is_the_origins() => {
                Ok(self.stale(errand, object, permission, None, found, asking))
            }
            _ => Err(fault.into()),
        }
    }
}
