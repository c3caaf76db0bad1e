//! Freshening: what a response that says "not modified", or no response at all, does to what is stored.

use std::{sync::Arc, time::Duration};

use headland_proto::model::{CachePolicy, Semantics};
use http::{HeaderMap, HeaderValue, Response, header};

use super::{
    Worker, compress,
    fill::{Begun, Filling, Starter, new_head},
};
use crate::{
    cache::{
        coalescing::Outcome,
        fields::Fields,
        freshness::Timing,
        invalidation::Epoch,
        object::{Compressed, Head, Object, Unpacked},
        reuse::Failing,
        revalidation,
        storability::{self, RequestFacts, ResponseFacts},
    },
    clock::Timestamp,
    origin::response::ResponseBody,
    viewer::response,
};

/// After an error, what is stale stands in for this long before the origin is asked about the same object again. With CloudFront
/// semantics it is the error caching minimum TTL.
const HOLD: Duration = Duration::from_secs(1);

/// A stored object with a head brought up to date.
pub(super) struct Freshened {
    /// For the one whose request brought it about, who gets what the origin meant for nobody else as well.
    pub(super) own: Arc<Object>,
    /// For the cache, if it may still be stored, and whether it may be handed to those who wait.
    pub(super) stored: Option<(Arc<Object>, bool)>,
    /// It may not be stored for a reason that lies in this request alone: what is stored stays as it is.
    pub(super) is_the_requests: bool,
}

/// A response that says how a stored head is to be updated.
pub(super) struct Update<'a> {
    pub(super) old: &'a Arc<Object>,
    pub(super) headers: &'a HeaderMap,
    pub(super) version: http::Version,
    pub(super) timing: Timing,
    pub(super) began: Epoch,
}

impl Worker {
    /// Takes a 304 for what it is about (RFC 9111 section 4.3.4). False if that is nothing which is stored.
    pub(super) fn freshen(
        &self,
        filling: &Filling,
        response: &Response<ResponseBody>,
        timing: Timing,
        starter: &mut Starter,
    ) -> bool {
        let heads: Vec<&Head> = filling.candidates.iter().map(|object| &object.head).collect();
        let Some(old) =
            revalidation::choose(response.headers(), &heads).and_then(|i| filling.candidates.get(i))
        else {
            return false;
        };
        let authorization = filling.outgoing.headers.contains_key(header::AUTHORIZATION);
        let facts = RequestFacts {
            headers: filling.request.headers(),
            authorization,
            errors: &filling.behavior.errors,
        };
        let (headers, version) = (response.headers(), response.version());
        let update = Update { old, headers, version, timing, began: filling.began };
        let same_variant = filling.selected.as_ref().is_some_and(|selected| Arc::ptr_eq(selected, old));
        let freshened = self.freshened(&filling.behavior.rules.cache_policy, &update, facts);
        let is_stored = freshened.stored.is_some();
        match freshened.stored {
            Some((object, shareable)) => {
                if same_variant {
                    let (key, new) = (&filling.key, Some(Arc::clone(&object)));
                    self.cache.replace(key, old, new, timing.response);
                } else {
                    self.cache.insert(Arc::clone(&filling.key), Arc::clone(&object), timing.response);
                }
                if shareable {
                    self.cache.uncacheable.forget(filling.leader.key());
                    filling.leader.decide(Outcome::Stored(object));
                } else {
                    self.cache.uncacheable.remember(filling.leader.key(), timing.response);
                    filling.leader.decide(Outcome::Alone);
                }
            }
            None => {
                if !freshened.is_the_requests {
                    self.cache.replace(&filling.key, old, None, timing.response);
                }
                filling.leader.decide(Outcome::Alone);
            }
        }
        starter.tell(Begun::Revalidated { object: freshened.own, stored: is_stored });
        true
    }

    /// What a stored object becomes by a response that updates its head.
    pub(super) fn freshened(
        &self,
        policy: &CachePolicy,
        update: &Update<'_>,
        request: RequestFacts<'_>,
    ) -> Freshened {
        let Update { old, timing, began, .. } = *update;
        let status = old.head.status();
        let via = self.via(update.version);
        let new = response::headers_from_origin(
            update.headers.clone(),
            policy,
            policy.keys_cookies(),
            &via,
            timing.response,
        );
        let mut headers = revalidation::freshened(&old.head.to_headers(), &new);
        // Not to be kept, but it counts (RFC 9111 section 4.2.3).
        headers.extend(new.get(header::AGE).map(|age| (header::AGE, age.clone())));
        if old.head.blocks().is_some()
            && headers.first(&header::ETAG).is_some_and(|tag| tag.starts_with(b"W/"))
        {
            // The blocks are of those very bytes, which a weak tag does not name.
            headers.remove(header::ETAG);
            headers.extend(
                old.head
                    .first(&header::ETAG)
                    .and_then(|tag| Some((header::ETAG, HeaderValue::from_bytes(tag).ok()?))),
            );
        }
        // What the origin says of its bytes is not true of those that are stored.
        let compressed = match old.head.compressed() {
            Compressed::No => Compressed::No,
            before => {
                let says_tag = new.contains_key(header::ETAG);
                let now = compress::keep(&mut headers);
                if says_tag { now } else { before }
            }
        };
        let facts = ResponseFacts { status, headers: &headers, delimited: true, timing };
        let decided = storability::decide(policy, request, facts);
        let object = |head: Unpacked| Arc::new(old.with_head(head.pack()));
        match decided {
            Ok(storable) => {
                let shareable = storable.is_shareable(timing.response);
                let all = storable.take_out(&mut headers);
                // The body stays where it is.
                let blocks = old.head.blocks();
                let head =
                    Unpacked { blocks, compressed, ..new_head(status, headers, timing, storable, began) };
                let own = all.map(|headers| {
                    let headers = response::headers_to_store(headers, status);
                    object(Unpacked { headers, ..head.clone() })
                });
                let stored = object(head);
                let own = own.unwrap_or_else(|| Arc::clone(&stored));
                Freshened { own, stored: Some((stored, shareable)), is_the_requests: false }
            }
            Err(reason) => {
                self.metrics.not_stored[reason.index()].add(1);
                let headers = response::headers_to_store(headers, status);
                let own = object(Unpacked { headers, timing, compressed, ..old.head.unpack() });
                Freshened { own, stored: None, is_the_requests: reason.is_the_requests() }
            }
        }
    }

    /// The origin failed, as `status` tells: for a while there is no use in asking about this object again.
    pub(super) fn hold(&self, filling: &Filling, failing: Failing, status: http::StatusCode, now: Timestamp) {
        let Some(old) = &filling.selected else { return };
        let hold = match filling.behavior.rules.cache_policy.semantics {
            Semantics::CloudFront => filling.behavior.errors.caching_min_ttl(status),
            Semantics::Rfc9111 => HOLD,
        };
        let mut head = old.head.unpack();
        head.terms.hold_until = now.after(hold);
        head.terms.held_for = failing;
        let held = Arc::new(old.with_head(head.pack()));
        self.cache.hold(&filling.key, old, held);
    }
}
