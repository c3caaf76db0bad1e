//! Looking: what the cache has for a request, and whether it may be used.

use std::{ops::Range, sync::Arc};

use headland_proto::model::{CachePolicy, Semantics};
use http::{HeaderMap, Method, header};

use super::consider::Grounds;
use crate::{
    cache::{
        Cache,
        blocks::{self, Blocks},
        cache_control::RequestDirectives,
        key::UriPart,
        object::{Head, Object},
        reuse::{self, Cause, Failing, Permission, Reuse},
        variants::Variants,
    },
    clock::Timestamp,
    viewer::{
        cache_status::{Detail, Forward, Handling, ttl},
        conditional,
        range::{self, Selection},
    },
};

/// Where in the cache the answer to a request has its place.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: Arc<[u8]>,
    pub(super) uri: UriPart,
    pub(super) directives: RequestDirectives,
}

/// What the cache has for a request.
#[derive(Debug, Default)]
pub(crate) struct Found {
    variants: Option<Variants>,
    /// The place in `variants` of the one that fits.
    selected: Option<(usize, Reuse)>,
    directives: RequestDirectives,
    /// Whether it is kept in blocks, and one is not there that a GET wants.
    lacking: bool,
}

/// Sets the names of requests with credentials apart. No part of a key has this tag.
const AUTHORIZED: u8 = b'z';

/// What of a viewer's Cache-Control counts: with CloudFront semantics nothing.
pub(super) fn directives(policy: &CachePolicy, headers: &HeaderMap) -> RequestDirectives {
    match policy.semantics {
        Semantics::CloudFront => RequestDirectives::default(),
        Semantics::Rfc9111 => RequestDirectives::of(headers),
    }
}

/// Looks a request up.
pub(super) fn look(
    grounds: Grounds<'_>,
    key: &[u8],
    uri: UriPart,
    directives: &RequestDirectives,
    headers: &HeaderMap,
) -> Found {
    let memory = &grounds.cache.memory;
    let stored = if grounds.counts_as_use { memory.get(key) } else { memory.peek(key) };
    stored.map_or_else(Found::default, |variants| judge(grounds, key, uri, directives, headers, variants))
}

/// What is to be thought of what was found.
pub(super) fn judge(
    grounds: Grounds<'_>,
    key: &[u8],
    uri: UriPart,
    directives: &RequestDirectives,
    headers: &HeaderMap,
    variants: Variants,
) -> Found {
    let Grounds { cache, now, .. } = grounds;
    let fitting = variants.as_slice().iter().position(|object| object.head.answers(headers));
    let selected = fitting.map(|index| {
        let head = &variants.as_slice()[index].head;
        let invalidated = cache.invalidations.covers(uri.uri(key), uri.scope(key), head);
        let reuse = match invalidated {
            true => Reuse::Validate(Cause::Invalidated),
            false => reuse::decide(head, directives, now),
        };
        (index, reuse)
    });
    let lacking = selected.is_some_and(|(index, _)| {
        let head = &variants.as_slice()[index].head;
        head.blocks().is_some_and(|blocks| lacks(cache, key, head, blocks, headers))
    });
    Found { variants: Some(variants), selected, directives: *directives, lacking }
}

/// Blocks that are looked at to tell whether all are there that a request wants; of very many, the first.
const LOOKED_AT_MAX: usize = 64;

fn lacks(cache: &Cache, key: &[u8], head: &Head, blocks: Blocks, headers: &HeaderMap) -> bool {
    if conditional::is_not_modified(headers, head, head.date()) {
        return false;
    }
    let wanted = wanted_of(head, blocks, headers);
    let of_range = |wanted: &Range<u64>| blocks::index_of(wanted.start)..=blocks::index_of(wanted.end - 1);
    let mut indexes = wanted.iter().flat_map(of_range).take(LOOKED_AT_MAX);
    indexes.any(|index| !cache.has_block(key, blocks, index))
}

/// The bytes that a GET wants of an object that is kept in blocks, none of these empty.
pub(super) fn wanted_of(head: &Head, blocks: Blocks, headers: &HeaderMap) -> Vec<Range<u64>> {
    let selection = match conditional::if_range_holds(headers, head, head.date()) {
        true => range::select(headers, blocks.length),
        false => Selection::Whole,
    };
    match selection {
        Selection::Whole => std::iter::once(0..blocks.length).collect(),
        Selection::Part(wanted) => std::iter::once(wanted).collect(),
        Selection::Parts(parts) => parts,
        Selection::Unsatisfiable => Vec::new(),
    }
}

/// How it is told of that what is stale is used because the origin is known to be down.
pub(crate) fn handling_unasked(object: &Object, permission: Permission, now: Timestamp) -> Handling {
    Handling { detail: Some(Detail::Stale(permission)), ..Handling::hit(ttl(&object.head, now)) }
}

impl Found {
    /// All that is stored under the key, the most recent first.
    pub(crate) fn all(&self) -> &[Arc<Object>] {
        self.variants.as_ref().map_or(&[], Variants::as_slice)
    }

    /// The object that fits, and whether it may be used.
    pub(crate) fn selected(&self) -> Option<(&Arc<Object>, Reuse)> {
        let (index, reuse) = self.selected?;
        Some((self.variants.as_ref()?.as_slice().get(index)?, reuse))
    }

    /// The object that may answer now, and what allows it if it is stale.
    pub(crate) fn usable(&self) -> Option<(&Arc<Object>, Option<Permission>)> {
        match self.selected()? {
            (object, Reuse::Fresh) => Some((object, None)),
            (object, Reuse::Stale(permission)) => Some((object, Some(permission))),
            (_, Reuse::Validate(_)) => None,
        }
    }

    /// Whether the object is kept in blocks, and one is not there that the request wants.
    pub(crate) fn lacks_blocks(&self, method: &Method) -> bool {
        self.lacking && method == Method::GET
    }

    /// Whether the object that may answer is kept in blocks.
    pub(crate) fn is_in_blocks(&self) -> bool {
        self.usable().is_some_and(|(object, _)| object.head.blocks().is_some())
    }

    /// The object that may stand in for an origin that fails.
    pub(crate) fn stand_in(&self, failing: Failing, now: Timestamp) -> Option<(&Arc<Object>, Permission)> {
        let (object, Reuse::Validate(cause)) = self.selected()? else { return None };
        if self.lacking {
            // What lacks would have to come from the origin that fails.
            return None;
        }
        Some((object, reuse::on_failure(&object.head, &self.directives, cause, failing, now)?))
    }

    /// The object that may stand in, if the origin failed the last time it was asked about it: then one who asks again is enough.
    pub(super) fn stand_in_after_failure(&self, now: Timestamp) -> Option<(&Arc<Object>, Permission)> {
        let terms = self.selected()?.0.head.terms();
        (terms.hold_until != Timestamp::default()).then(|| self.stand_in(terms.held_for, now)).flatten()
    }

    /// What the origin can be asked to validate: the object that fits, or else all there are (RFC 9111 section 4.1).
    pub(crate) fn candidates(&self) -> Vec<Arc<Object>> {
        match (self.selected(), &self.variants) {
            (Some((object, _)), _) => vec![Arc::clone(object)],
            (None, Some(variants)) => variants.as_slice().to_vec(),
            (None, None) => Vec::new(),
        }
    }

    /// Why the request is forwarded (RFC 9211 section 2.2), and for what cause.
    pub(crate) fn forward(&self) -> (Forward, Option<Cause>) {
        match (self.selected(), &self.variants) {
            (Some((_, Reuse::Validate(cause))), _) if cause.is_the_requests() => {
                (Forward::Request, Some(cause))
            }
            (Some((_, Reuse::Validate(cause))), _) => (Forward::Stale, Some(cause)),
            (Some(_), _) => (Forward::Miss, None),
            (None, Some(_)) => (Forward::VaryMiss, None),
            (None, None) => (Forward::UriMiss, None),
        }
    }

    /// The same as Cache-Status has it.
    pub(crate) fn handling(&self) -> Handling {
        let (forward, cause) = self.forward();
        Handling { detail: cause.map(Detail::NotUsed), ..Handling::forwarded(forward) }
    }

    /// How a hit is told of in Cache-Status; `None` if nothing may be used.
    pub(crate) fn handling_of_hit(&self, now: Timestamp) -> Option<Handling> {
        let (object, permission) = self.usable()?;
        let detail = permission.map(Detail::Stale);
        Some(Handling { detail, ..Handling::hit(ttl(&object.head, now)) })
    }

    /// How it is told of that what is stale stands in for an origin that fails.
    pub(crate) fn handling_of_stand_in(&self, permission: Permission) -> Handling {
        Handling { detail: Some(Detail::Stale(permission)), ..self.handling() }
    }

    /// Under what name to wait for one another: the key, and what its variants are told apart by, as the newest of them shows or one
    /// that was `seen` on its way.
    pub(super) fn name_to_join(
        &self,
        key: &Arc<[u8]>,
        headers: &HeaderMap,
        seen: Option<&Head>,
    ) -> Arc<[u8]> {
        let newest = self.variants.as_ref().and_then(|variants| variants.as_slice().first());
        let varying = seen.or(newest.map(|object| &object.head)).and_then(Head::vary);
        let authorized = headers.contains_key(header::AUTHORIZATION);
        if varying.is_none() && !authorized {
            return Arc::clone(key);
        }
        let mut name = key.to_vec();
        if authorized {
            // What comes back to such a request is seldom for those who have none.
            name.push(AUTHORIZED);
        }
        for field in varying.into_iter().flat_map(|vary| vary.names()) {
            for value in headers.get_all(field) {
                name.extend_from_slice(field.as_str().as_bytes());
                name.push(b'=');
                name.extend_from_slice(value.as_bytes());
                // Neither names nor values can have it.
                name.push(b'\n');
            }
        }
        name.into()
    }
}
