//! Responding from what is stored, or on its way to be.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use http::{HeaderMap, HeaderValue, Method, Response, header};
use http_body::Body as _;

use super::{
    Asking, Errand, Worker,
    debug::Debug,
    lookup::{self, Found},
};
use crate::{
    cache::{
        coalescing::body::Reader,
        object::{Head, Object},
        reuse::Permission,
    },
    clock::Timestamp,
    viewer::{
        body::{Piece, ViewerBody},
        cache_status::{Forward, Handling, ttl},
        connection::Busy,
        response::{self, Marks},
    },
};

impl Worker {
    /// Answers with what was found, which may be used.
    pub(super) fn hit(
        &self,
        found: &Found,
        headers: &HeaderMap,
        method: &Method,
        now: Timestamp,
        id: HeaderValue,
        debug: Option<&Debug>,
    ) -> Response<ViewerBody> {
        self.metrics.hits.add(1);
        let (Some((object, _)), Some(handling)) = (found.usable(), found.handling_of_hit(now)) else {
            unreachable!("only what may be used is a hit")
        };
        if let Some(debug) = debug {
            debug.note_head(&object.head);
        }
        let in_blocks = |_, _| unreachable!("blocks are put together by an errand");
        self.stored(object, handling, headers, method, now, id, in_blocks)
    }

    /// A stored object for one viewer; `in_blocks` makes the body of one that is kept in blocks.
    #[expect(clippy::too_many_arguments, reason = "what there is of a request at a hit, from two places")]
    fn stored(
        &self,
        object: &Arc<Object>,
        handling: Handling,
        headers: &HeaderMap,
        method: &Method,
        now: Timestamp,
        id: HeaderValue,
        in_blocks: impl FnOnce(VecDeque<Piece>, u64) -> ViewerBody,
    ) -> Response<ViewerBody> {
        let handling = Handling { ttl: Some(ttl(&object.head, now)), ..handling };
        let head_only = method == Method::HEAD;
        let marks = self.marks(handling, id);
        let response = response::from_object(object, headers, now, marks, head_only, in_blocks);
        // What is in memory counts as sent when it is handed over.
        if object.head.blocks().is_none() {
            self.metrics.viewer_bytes_sent.add(response.body().size_hint().lower());
        }
        response
    }

    /// The marks of a response, which is counted by them.
    pub(super) fn marks(&self, handling: Handling, request_id: HeaderValue) -> Marks<'_> {
        self.metrics.results[handling.result().index()].add(1);
        if handling.collapsed {
            self.metrics.collapsed.add(1);
        }
        Marks { handling, cache: &self.identity.pseudonym, request_id }
    }

    /// A stale object in place of what the origin did not give.
    pub(super) fn stale(
        self: &Rc<Self>,
        errand: &Errand,
        object: &Arc<Object>,
        permission: Permission,
        fwd_status: Option<http::StatusCode>,
        found: &Found,
        asking: &Asking,
    ) -> Response<ViewerBody> {
        let handling = Handling { fwd_status, ..found.handling_of_stand_in(permission) };
        self.stored_for(errand, object, handling, asking)
    }

    /// The same without having asked: the origin is known to be down.
    pub(super) fn stale_unasked(
        self: &Rc<Self>,
        errand: &Errand,
        object: &Arc<Object>,
        permission: Permission,
        asking: &Asking,
    ) -> Response<ViewerBody> {
        let handling = lookup::handling_unasked(object, permission, self.clock.now());
        self.stored_for(errand, object, handling, asking)
    }

    /// The same for one who has waited, or whose object is kept in blocks.
    pub(super) fn hit_for(
        self: &Rc<Self>,
        errand: &Errand,
        found: &Found,
        asking: &Asking,
    ) -> Response<ViewerBody> {
        let (Some((object, _)), Some(mut handling)) =
            (found.usable(), found.handling_of_hit(self.clock.now()))
        else {
            unreachable!("only what may be used is a hit")
        };
        match found.lacks_blocks(asking.request.method()) {
            true => handling = Handling::forwarded(Forward::Partial),
            false => self.metrics.hits.add(1),
        }
        self.stored_for(errand, object, handling, asking)
    }

    pub(super) fn stored_for(
        self: &Rc<Self>,
        errand: &Errand,
        object: &Arc<Object>,
        handling: Handling,
        asking: &Asking,
    ) -> Response<ViewerBody> {
        asking.note_not_used(&handling);
        asking.note_head(&object.head);
        let (headers, method) = (asking.request.headers(), asking.request.method());
        let (now, id) = (self.clock.now(), asking.id.clone());
        let in_blocks = |pieces, length| self.body_in_blocks(errand, object, asking, pieces, length);
        self.stored(object, handling, headers, method, now, id, in_blocks)
    }

    /// An object under way for one viewer: whole or in part.
    pub(super) fn growing(
        &self,
        head: &Head,
        reader: Reader,
        handling: Handling,
        asking: Asking,
    ) -> Response<ViewerBody> {
        let length = head.content_length();
        self.come(head, length, handling, asking, |busy, skip, left| {
            ViewerBody::growing(reader, skip, left, busy, self.metrics.clone())
        })
    }

    /// The same of one that has come whole and is stored.
    pub(super) fn whole(
        self: &Rc<Self>,
        object: &Arc<Object>,
        handling: Handling,
        asking: Asking,
    ) -> Response<ViewerBody> {
        let length = object.body_bytes();
        if asking.direct {
            return self.written(object, handling, asking);
        }
        self.come(&object.head, Some(length), handling, asking, |_, start, left| {
            let end = left.map_or(length, |left| start + left);
            self.metrics.viewer_bytes_sent.add(end - start);
            ViewerBody::stored(object, start, end)
        })
    }

    /// An object that has come or is coming, so many bytes if that is known; `body` makes the body that skips some and ends after
    /// others.
    fn come(
        &self,
        head: &Head,
        length: Option<u64>,
        handling: Handling,
        asking: Asking,
        body: impl FnOnce(Busy, u64, Option<u64>) -> ViewerBody,
    ) -> Response<ViewerBody> {
        let now = self.clock.now();
        asking.note_not_used(&handling);
        asking.note_head(head);
        let mut headers = head.to_headers();
        let age = head.age_seconds(now);
        if tells_age(&handling, age) {
            headers.insert(header::AGE, age.into());
        }
        let handling = Handling { ttl: Some(ttl(head, now)), ..handling };
        self.marks(handling, asking.id).put(&mut headers);
        let head_only = asking.request.method() == Method::HEAD;
        let part = response::select(head, asking.request.headers(), head_only, length, &mut headers);
        let (status, skip, left) = match part {
            Some((status, start, end)) => (status, start, Some(end - start)),
            None => (head.status(), 0, length),
        };
        let body = match head_only || left == Some(0) {
            true => ViewerBody::empty(),
            false => body(asking.busy, skip, left),
        };
        response::build(status, headers, body)
    }
}

/// Whether Age says something of what came for this viewer, or for another.
pub(super) fn tells_age(handling: &Handling, age: u64) -> bool {
    handling.collapsed || age > 0
}
