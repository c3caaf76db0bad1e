//! Passing: a request and its response that are this viewer's alone.

use std::{rc::Rc, sync::Arc};

use http::{Method, Response, StatusCode, header};

use super::{Asking, Errand, Worker, fill::is_server_error, freshen::Update, lookup::Slot};
use crate::{
    cache::{
        freshness::Timing,
        object::Head,
        reuse::Failing,
        revalidation::{self, ByHead},
        storability::{self, RequestFacts, ResponseFacts},
    },
    end_to_end,
    origin::{
        breaker::Outlook,
        http::{Outgoing, UnderWay},
        request::{self as origin_request, Purpose},
        response::ResponseBody,
    },
    viewer::{
        body::ViewerBody,
        cache_status::{Forward, Handling},
        conditional,
        error_page::Failure,
        response,
    },
};

impl Worker {
    /// Asks the origin for this viewer only. `watched` is the key under which the response was not storable last time: should it
    /// be now, the next request may fill again.
    pub(super) async fn pass(
        self: &Rc<Self>,
        errand: &Errand,
        mut asking: Box<Asking>,
        forward: Forward,
        watched: Option<&[u8]>,
    ) -> Result<Response<ViewerBody>, Failure> {
        let mut outgoing = self.outgoing(errand, Purpose::Pass, &asking.request, asking.viewer);
        outgoing.body = asking.body.take();
        outgoing.expects_continue = outgoing.body.is_some()
            && origin_request::expects_continue(asking.request.version(), asking.request.headers());
        let asked = self.clock.now();
        let alone = self.ask(errand, outgoing).await?;
        if alone.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Box::pin(self.switch(errand, alone, asking.id, asking.busy)).await;
        }
        let head = &alone.response;
        if let Some(key) = watched
            && asking.request.method() != Method::HEAD
        {
            let facts = ResponseFacts::of(head, Timing { request: asked, response: self.clock.now() });
            let headers = asking.request.headers();
            let authorization = headers.contains_key(header::AUTHORIZATION);
            let request = RequestFacts { headers, authorization, errors: &errand.behavior.errors };
            match storability::decide(&errand.behavior.rules.cache_policy, request, facts) {
                Ok(_) => self.cache.uncacheable.forget(key),
                Err(reason) => {
                    self.metrics.not_stored[reason.index()].add(1);
                    asking.note_not_stored(reason.as_str());
                    if reason.is_lasting() {
                        self.cache.uncacheable.remember(key, asked);
                    }
                }
            }
        }
        self.invalidate_by(errand, &asking.request, head.status(), head.headers()).await;
        Ok(self.alone(errand, alone, Handling::forwarded(forward), *asking))
    }

    /// Asks the origin, and notes whether it answered.
    async fn ask(&self, errand: &Errand, mut outgoing: Outgoing) -> Result<Alone, Failure> {
        self.metrics.origin_fetches.add(1);
        let breaker = self.breaker(errand);
        let (has_body, asked) = (outgoing.body.is_some(), self.clock.now());
        match self.fetch_from(&errand.behavior, &mut outgoing).await {
            Ok((response, under_way)) => {
                breaker.answered(self.clock.now());
                Ok(Alone { response, under_way })
            }
            Err(fault) => {
                self.metrics.origin_errors.add(1);
                // A body that stops coming is the viewer's doing, not the origin's.
                if !has_body {
                    breaker.failed(&fault, asked, self.clock.now());
                }
                Err(fault.into())
            }
        }
    }

    /// A HEAD that the cache cannot answer: it goes to the origin as it is, and what comes back says whether a stored response to a
    /// GET is still good (RFC 9111 section 4.3.5).
    pub(super) async fn head(
        self: &Rc<Self>,
        errand: &Errand,
        slot: &Slot,
        asking: Box<Asking>,
    ) -> Result<Response<ViewerBody>, Failure> {
        let now = self.clock.now();
        let found = self.look(slot, asking.request.headers(), now);
        let outlook = self.breaker(errand).outlook(now);
        if let Outlook::Bad = outlook
            && let Some((object, permission)) = found.stand_in(Failing::Unreachable, now)
        {
            return Ok(self.stale_unasked(errand, object, permission, &asking));
        }
        let began = self.cache.invalidations.epoch();
        let old = found.selected().map(|(object, _)| Arc::clone(object));
        // The viewer's own conditions are for this edge to judge if it has something to judge by.
        let purpose = if old.is_some() { Purpose::Fill } else { Purpose::Pass };
        let mut outgoing = self.outgoing(errand, purpose, &asking.request, asking.viewer);
        outgoing.method = Method::HEAD;
        let asked_about: Vec<&Head> = old.iter().map(|object| &object.head).collect();
        outgoing.headers.extend(revalidation::conditions(&asked_about));
        let alone = match self.ask(errand, outgoing).await {
            Err(Failure::Origin(fault)) => return self.failed(errand, fault, &found, &asking),
            other => other?,
        };
        let timing = Timing { request: now, response: self.clock.now() };
        let (forward, _) = found.forward();
        let handling = found.handling();
        let status = alone.response.status();
        let failing =
            is_server_error(status).then(|| found.stand_in(Failing::Error, self.clock.now())).flatten();
        if let Some((object, permission)) = failing {
            return Ok(self.stale(errand, object, permission, Some(status), &found, &asking));
        }
        let Some(old) = old else { return Ok(self.alone(errand, alone, handling, *asking)) };
        let (headers, version) = (alone.response.headers(), alone.response.version());
        let update = Update { old: &old, headers, version, timing, began };
        let not_modified = status == StatusCode::NOT_MODIFIED;
        let still_good = match not_modified {
            true => revalidation::choose(headers, &[&old.head]).is_some(),
            false => match revalidation::by_head(&old.head, status, headers) {
                ByHead::Freshen => true,
                ByHead::Invalidate => false,
                ByHead::Nothing => return Ok(self.alone(errand, alone, handling, *asking)),
            },
        };
        if !still_good {
            self.cache.replace(&slot.key, &old, None, timing.response);
            return match not_modified {
                // About something that is not stored: no answer to this viewer.
                true => self.pass(errand, asking, forward, None).await,
                false => Ok(self.alone(errand, alone, handling, *asking)),
            };
        }
        let headers = asking.request.headers();
        let facts = RequestFacts {
            headers,
            authorization: headers.contains_key(header::AUTHORIZATION),
            errors: &errand.behavior.errors,
        };
        let freshened = self.freshened(&errand.behavior.rules.cache_policy, &update, facts);
        let stored = freshened.stored.map(|(object, _)| object);
        let handling = Handling { fwd_status: Some(status), stored: stored.is_some(), ..handling };
        if !freshened.is_the_requests {
            self.cache.replace(&slot.key, &old, stored, timing.response);
        }
        Ok(self.stored_for(errand, &freshened.own, handling, &asking))
    }

    /// A response that goes to one viewer as it comes.
    pub(super) fn alone(
        &self,
        errand: &Errand,
        alone: Alone,
        handling: Handling,
        asking: Asking,
    ) -> Response<ViewerBody> {
        asking.note_not_used(&handling);
        let (mut parts, incoming) = alone.response.into_parts();
        let rules = &errand.behavior.rules;
        let via = self.via(parts.version);
        let mut headers = response::headers_from_origin(
            parts.headers.clone(),
            &rules.cache_policy,
            rules.forwards_cookies(),
            &via,
            self.clock.now(),
        );
        let handling = Handling { fwd_status: Some(parts.status), ..handling };
        self.marks(handling, asking.id).put(&mut headers);
        if parts.status == StatusCode::NO_CONTENT {
            headers.remove(header::CONTENT_LENGTH);
        }
        let request = asking.request.headers();
        let asked_as_it_is = matches!(*asking.request.method(), Method::GET | Method::HEAD);
        if parts.status == StatusCode::OK
            && asked_as_it_is
            && conditional::is_not_modified(request, &headers, self.clock.now())
        {
            // The origin was not asked under the viewer's condition, or did not look at it.
            parts.status = StatusCode::NOT_MODIFIED;
            conditional::strip(&mut headers);
        }
        let no_body = asking.request.method() == Method::HEAD
            || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || http_body::Body::is_end_stream(&incoming);
        let body = if no_body {
            ViewerBody::empty()
        } else {
            let silence_max = errand.behavior.origin.response_timeout;
            let metrics = Arc::clone(&self.metrics);
            let body = ViewerBody::passing(incoming, silence_max, alone.under_way, asking.busy, metrics);
            if end_to_end::takes_trailers(asking.request.version(), asking.request.headers()) {
                end_to_end::announce_trailers(&parts.headers, &mut headers);
                body.with_trailers()
            } else {
                body
            }
        };
        response::build(parts.status, headers, body)
    }
}

/// A response that is one viewer's alone.
pub(super) struct Alone {
    pub(super) response: Response<ResponseBody>,
    pub(super) under_way: UnderWay,
}
