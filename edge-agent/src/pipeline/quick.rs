//! The quick way: a plain GET whose answer is fresh in the cache. The same rules as `consider` has them, for the one case that is by
//! far the most frequent, without a request or a response being made of it.

use std::sync::Arc;

use headland_proto::model::{CachePolicy, NameSelection, Scheme, Semantics, ViewerProtocol};
use http::{HeaderMap, Method, header};

use super::{Worker, consider::goes_past_cache, finish, lookup};
use crate::{
    cache::{
        cache_control::RequestDirectives, disk::FileBody, key, object::Object, tiers::OnDisk,
        variants::Variants,
    },
    viewer::{
        accept_encoding,
        cache_status::{Handling, integer, ttl},
        http1::Plain,
        response_headers::{self, Occasion},
        who::Peer,
    },
};

/// The body of an answer, of which there is none if it is neither here nor there.
pub(crate) struct Quick {
    /// The object, and its body if it is in memory.
    pub(crate) object: Arc<Object>,
    /// A body that is on disk.
    pub(crate) on_disk: Option<FileBody>,
}

impl Worker {
    /// Writes the head of the answer to `head`, down to the empty line, and returns the body that follows. `None`, and nothing written
    /// or counted, if the request is not answered so simply.
    pub(crate) fn quick(&self, plain: &Plain<'_>, peer: &Peer, head: &mut Vec<u8>) -> Option<Quick> {
        let table = self.routing.current();
        let target = &plain.target;
        let distribution = table.distribution(&target.host).filter(|distribution| distribution.enabled)?;
        if distribution.geo_restriction.restricts() {
            return None;
        }
        let path = distribution.object_for(target.path);
        let behavior = distribution.behavior(path);
        // Signatures are looked at where there is a whole request.
        if behavior.signing.is_some() || !finish::is_written_at_once(behavior) {
            return None;
        }
        let (policy, nothing) = (&behavior.rules.cache_policy, HeaderMap::new());
        let through_cache = matches!(goes_past_cache(&Method::GET, &nothing, false, behavior), Ok(None));
        if !through_cache || !is_indifferent(policy, plain) {
            return None;
        }
        // Who is sent to https, or away, is not worth a way of its own.
        if behavior.rules.viewer_protocol != ViewerProtocol::AllowAll
            && peer.scheme(plain.forwarded_proto) == Scheme::Http
        {
            return None;
        }
        let query = key::select_query(target.query, &policy.query_strings);
        let mut key = self.key.borrow_mut();
        key.clear();
        let uri = key::write_uri(&mut key, &distribution.id, policy, path, query.as_deref(), &target.host);
        let accepted = accept_encoding::of_lines(policy.codings, plain.accept_encoding.into_iter());
        key::write_codings(&mut key, accepted);
        let now = self.clock.now();
        let nothing_asked = RequestDirectives::default();
        let grounds = self.grounds(now);
        let mut found = lookup::look(grounds, &key, uri, &nothing_asked, &nothing);
        let mut on_disk: Option<OnDisk> = None;
        self.found_nothing.set(found.all().is_empty());
        if found.all().is_empty() {
            let stored = on_disk.insert(self.cache.on_disk(&key, now)?);
            let variants = Variants::One(Arc::clone(&stored.object));
            found = lookup::judge(grounds, &key, uri, &nothing_asked, &nothing, variants);
        }
        let (object, None) = found.usable()? else { return None };
        if object.head.blocks().is_some() {
            return None;
        }
        if distribution.errors.page(object.head.status()).is_some() {
            return None;
        }
        // Which of several it is depends on more than the target.
        if found.all().iter().any(|stored| stored.head.vary().is_some()) {
            return None;
        }
        if on_disk.as_ref().is_some_and(|stored| !self.cache.answers_from_disk(stored)) {
            return None;
        }
        let on_disk = on_disk.and_then(|stored| stored.body);
        let in_file = on_disk.as_ref().map_or(0, |body| body.length as u64);
        self.metrics.requests.add(1);
        self.metrics.hits.add(1);
        self.metrics.quick_hits.add(1);
        let handling = Handling::hit(ttl(&object.head, now));
        self.metrics.results[handling.result().index()].add(1);
        self.metrics.viewer_bytes_sent.add(object.body_bytes() + in_file);

        match &behavior.rules.response_headers_policy {
            None => head.extend_from_slice(object.head.text()),
            Some(policy) => {
                let occasion = Occasion { origin: plain.origin, is_preflight: false };
                response_headers::write(policy, occasion, object.head.text(), head);
            }
        }
        let age = object.head.age_seconds(now);
        end_head(head, Some(age), &handling, &self.identity.pseudonym, &self.ids.next_text());
        let object = self.cache.asked_again(&key, object);
        Some(Quick { object, on_disk })
    }
}

/// Writes what is said to each viewer anew behind a stored head, and the empty line.
pub(super) fn end_head(head: &mut Vec<u8>, age: Option<u64>, handling: &Handling, cache: &str, id: &[u8]) {
    let put = &mut |bytes: &[u8]| head.extend_from_slice(bytes);
    if let Some(age) = age {
        put(b"age: ");
        integer(i64::try_from(age).unwrap_or(i64::MAX), put);
        put(b"\r\n");
    }
    put(b"cache-status: ");
    handling.write(cache, put);
    put(b"\r\nx-headland-id: ");
    put(id);
    put(b"\r\n\r\n");
}

/// Whether a policy sees nothing in a request but its target and the codings that it accepts.
fn is_indifferent(policy: &CachePolicy, plain: &Plain<'_>) -> bool {
    let by_host_at_most = policy.headers.iter().all(|name| *name == header::HOST);
    let obeys = plain.has_directives && policy.semantics == Semantics::Rfc9111;
    let keys_cookies = plain.has_cookies && policy.cookies != NameSelection::None;
    by_host_at_most && !obeys && !keys_cookies
}
