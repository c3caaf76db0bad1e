//! The direct way: a plain GET for what the cache does not have. What comes whole is answered with the head that is stored, as a hit is,
//! and hyper does not hear of the request.

use std::{rc::Rc, sync::Arc};

use http::{Request, Response};
use memchr::{memchr, memmem};

use super::{Answer, Asking, Worker, errand::Sent, quick::end_head, respond::tells_age};
use crate::{
    cache::object::Object,
    viewer::{
        body::ViewerBody,
        cache_status::{Handling, ttl},
        connection::ConnectionState,
        http1::COPIED_BYTES_MAX,
        who::Peer,
    },
};

/// What is added to a stored head, but for names of unusual length.
const ADDED_BYTES: usize = 256;
/// Where a stored head says what it is when it is a hit.
const X_CACHE: &[u8] = b"\r\nx-cache: ";

impl Worker {
    /// Answers a plain request that has no quick answer. The response may be written already ([`ViewerBody::written`]).
    pub(crate) fn serve_directly(
        self: &Rc<Self>,
        mut request: Request<()>,
        peer: &Peer,
        connection: &Rc<ConnectionState>,
    ) -> Answer {
        self.metrics.requests.add(1);
        let viewer = peer.viewer(&self.reception.proxies, request.headers_mut());
        self.answer(request.map(|()| Sent::Directly), viewer, connection)
    }

    /// Whether the last plain request that had no quick answer had none because nothing is stored for it. Says so once.
    pub(crate) fn found_nothing(&self) -> bool {
        self.found_nothing.take()
    }

    /// An object that has come whole, for a viewer who asked directly.
    pub(super) fn written(
        &self,
        object: &Arc<Object>,
        handling: Handling,
        asking: Asking,
    ) -> Response<ViewerBody> {
        let now = self.clock.now();
        let handling = Handling { ttl: Some(ttl(&object.head, now)), ..handling };
        let marks = self.marks(handling, asking.id);
        self.metrics.viewer_bytes_sent.add(object.body_bytes());
        let stored = object.head.text();
        // A small body will be put behind it.
        let body = usize::try_from(object.body_bytes().min(COPIED_BYTES_MAX)).unwrap_or(0);
        let mut text = Vec::with_capacity(stored.len() + ADDED_BYTES + body);
        let (before, after) = around_x_cache(stored);
        for part in [before, marks.handling.x_cache().as_bytes(), after] {
            text.extend_from_slice(part);
        }
        let age = Some(object.head.age_seconds(now)).filter(|age| tells_age(&marks.handling, *age));
        end_head(&mut text, age, &marks.handling, marks.cache, marks.request_id.as_bytes());
        let mut response = Response::new(ViewerBody::written(text, object));
        *response.status_mut() = object.head.status();
        response
    }
}

/// A stored head without the value of X-Cache, which all have.
fn around_x_cache(head: &[u8]) -> (&[u8], &[u8]) {
    let begins = memmem::find(head, X_CACHE).map_or(head.len(), |at| at + X_CACHE.len());
    let (before, rest) = head.split_at(begins);
    (before, &rest[memchr(b'\r', rest).unwrap_or(rest.len())..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_x_cache_is_found() {
        let head = b"HTTP/1.1 200 OK\r\nx: x-cache: a\r\nx-cache: Hit\r\netag: b\r\n";
        let (before, after) = around_x_cache(head);
        assert_eq!(before, b"HTTP/1.1 200 OK\r\nx: x-cache: a\r\nx-cache: ");
        assert_eq!(after, b"\r\netag: b\r\n");
    }
}
