//! Parts: a viewer who wants some bytes of an object that is not stored gets just those from the origin, and they are kept beside
//! those that were asked for before.

use std::{ops::Range, rc::Rc, sync::Arc};

use headland_proto::model::Semantics;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::{
    Asking, Errand, Worker,
    consider::Grounds,
    lookup::{self, Found, Slot},
};
use crate::{
    cache::{
        cache_control::RequestDirectives,
        coalescing::{Outcome, Role},
        key::UriPart,
        object::{Head, Object, Unpacked},
        part::{self, Part},
        revalidation,
    },
    viewer::{
        body::ViewerBody,
        cache_status::{Forward, Handling, ttl},
        error_page::Failure,
        range::{self, ContentRange, Selection},
        response,
    },
};

/// Added to a key, it is the place of the object's parts. No other part of a key has this tag.
const PARTS: u8 = b'r';
/// A length that no object has, to see what a Range asks for without knowing.
const UNKNOWN_LENGTH: u64 = u64::MAX - 1;
/// How often a request for a part looks again before it goes to the origin by itself.
const ROUNDS_MAX: usize = 3;

/// Fields that make a Range more than a wish for some bytes.
const CONDITIONS: [http::HeaderName; 3] =
    [header::IF_RANGE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];

/// Whether a request is for one part of an object, and for less than the whole. With CloudFront semantics the whole is fetched.
pub(super) fn is_wanted(semantics: Semantics, method: &Method, headers: &HeaderMap) -> bool {
    headers.contains_key(header::RANGE)
        && semantics == Semantics::Rfc9111
        && method == Method::GET
        && !CONDITIONS.iter().any(|name| headers.contains_key(name))
        && matches!(range::select(headers, UNKNOWN_LENGTH), Selection::Part(part) if part != (0..UNKNOWN_LENGTH))
}

/// What is stored for a request for a part.
pub(crate) enum Held {
    /// The whole object, which may only need to be validated.
    Whole,
    /// The bytes that are wanted.
    Bytes(Arc<Object>, Range<u64>),
    /// Other bytes, or nothing.
    Other(Found),
}

impl Held {
    /// What the cache has of the part itself, as Cache-Status tells of it.
    pub(crate) fn lacking(parts: &Found) -> Found {
        if parts.selected().is_some() { Found::partial() } else { Found::default() }
    }
}

/// Looks up what there is for a request for a part; `parts_key` is from [`key_of_parts`].
pub(crate) fn look(
    grounds: Grounds<'_>,
    key: &[u8],
    parts_key: &[u8],
    uri: UriPart,
    directives: &RequestDirectives,
    headers: &HeaderMap,
) -> Held {
    if lookup::look(grounds, key, uri, directives, headers).selected().is_some() {
        return Held::Whole;
    }
    let parts = lookup::look(grounds, parts_key, uri, directives, headers);
    let usable = parts
        .usable()
        .filter(|(_, permission)| permission.is_none())
        .and_then(|(object, _)| wanted_of(&object.head, headers).map(|wanted| (Arc::clone(object), wanted)));
    usable.map_or(Held::Other(parts), |(object, wanted)| Held::Bytes(object, wanted))
}

/// Where parts of an object are kept.
pub(crate) fn key_of_parts(key: &[u8]) -> Arc<[u8]> {
    [key, &[PARTS]].concat().into()
}

/// Which part of an object a response holds, if that is what it says and it fits with its length.
pub(super) fn held_by(status: StatusCode, headers: &HeaderMap) -> Option<Part> {
    let range = ContentRange::of(headers).filter(|_| status == StatusCode::PARTIAL_CONTENT)?;
    let bytes = range.bytes.end - range.bytes.start;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let part = Part { bytes: range.bytes, length: range.length? };
    announced.is_none_or(|announced| announced == bytes).then_some(part)
}

impl Worker {
    /// Gets a part from what is stored, from somebody else's fetch of the same part, or from the origin.
    pub(super) async fn obtain_part(
        self: &Rc<Self>,
        errand: &Errand,
        slot: &Slot,
        asking: Asking,
    ) -> Result<Response<ViewerBody>, Failure> {
        let parts_key = key_of_parts(&slot.key);
        for _ in 0..ROUNDS_MAX {
            let headers = asking.request.headers();
            let grounds = self.grounds(self.clock.now());
            let parts = match look(grounds, &slot.key, &parts_key, slot.uri, &slot.directives, headers) {
                Held::Whole => return self.obtain(errand, slot, asking).await,
                Held::Bytes(object, wanted) => return Ok(self.part_of(&object, &wanted, asking)),
                Held::Other(parts) => parts,
            };
            let mut name = parts.name_to_join(&parts_key, headers, None);
            name.extend(headers.get(header::RANGE).into_iter().flat_map(HeaderValue::as_bytes));
            match self.fills.join(&name) {
                Role::Leader(leader) => {
                    let found = Held::lacking(&parts);
                    return self.lead(errand, slot, leader, found, None, Some(parts_key), asking).await;
                }
                Role::Waiter(fill) => match self.wait(errand, &fill, &parts).await {
                    Outcome::Shared { head, body } if self.may_use(slot, &head, &asking) => {
                        let Some(reader) = body.reader() else { break };
                        let fwd_status = Some(head.status());
                        let handling =
                            Handling { collapsed: true, fwd_status, ..Handling::forwarded(Forward::UriMiss) };
                        return Ok(self.growing(&head, reader, handling, asking));
                    }
                    Outcome::Shared { .. } | Outcome::Revalidated(_) => {}
                    Outcome::Failed(fault) => return Err(fault.into()),
                    Outcome::ServerError | Outcome::Alone => break,
                },
            }
        }
        self.pass(errand, asking, Forward::Miss, None).await
    }

    /// Bytes of a stored part.
    fn part_of(&self, object: &Arc<Object>, wanted: &Range<u64>, asking: Asking) -> Response<ViewerBody> {
        let (head, now) = (&object.head, self.clock.now());
        let Some(part) = head.part() else { unreachable!("only parts are stored under such a key") };
        self.metrics.hits.add(1);
        asking.note_head(head);
        let mut headers = head.to_headers();
        headers.insert(header::AGE, head.age_seconds(now).into());
        headers.insert(header::CONTENT_LENGTH, (wanted.end - wanted.start).into());
        let content_range = range::content_range(wanted.start, wanted.end, part.length);
        headers.extend(content_range.map(|value| (header::CONTENT_RANGE, value)));
        self.marks(Handling::hit(ttl(head, now)), asking.id).put(&mut headers);
        let offset = part.bytes.start;
        let body = ViewerBody::stored(object, wanted.start - offset, wanted.end - offset);
        response::build(StatusCode::PARTIAL_CONTENT, headers, body)
    }

    /// Stores a part, together with what is stored of the same bytes already; all of them together are the object.
    pub(super) async fn store_part(
        &self,
        parts_key: &Arc<[u8]>,
        key: &Arc<[u8]>,
        request: &HeaderMap,
        new: &Arc<Object>,
    ) {
        let now = self.clock.now();
        let old = self.cache.memory.peek(parts_key).and_then(|stored| stored.select(request).cloned());
        let union = old.as_ref().and_then(|old| part::union(&old.head, &new.head));
        let limit = self.cache.limits().object_bytes_max;
        let union = union.filter(|union| union.bytes.end - union.bytes.start <= limit);
        let mut head = new.head.unpack();
        let mut chunks = None;
        if let (Some(old), Some(union)) = (old, union) {
            // Fields that only one of them has are kept (RFC 9111 section 3.4).
            head.headers = revalidation::freshened(&old.head.to_headers(), &head.headers);
            head.part = Some(union);
            chunks = Some(part::combine(&old, new));
        }
        let Some(part) = head.part.take() else { return };
        let bytes = part.bytes.end - part.bytes.start;
        let (key, status) = match part.is_whole() {
            true => (key, StatusCode::OK),
            false => (parts_key, StatusCode::PARTIAL_CONTENT),
        };
        head.headers.insert(header::CONTENT_LENGTH, bytes.into());
        head.headers.remove(header::CONTENT_RANGE);
        let head = Unpacked {
            headers: response::headers_to_store(head.headers, status),
            status,
            part: Some(part).filter(|_| status != StatusCode::OK),
            ..head
        };
        let object = match chunks {
            None => new.with_head(head.pack()),
            // Copying takes a while, and the worker has other viewers to serve.
            Some(chunks) => {
                let copy = move || Object::new(head.pack(), &chunks, bytes);
                let Ok(combined) = self.background.spawn_blocking(copy).await else { return };
                combined
            }
        };
        self.cache.insert(Arc::clone(key), Arc::new(object), now);
    }
}

/// The bytes that a request wants, if a stored part has them.
fn wanted_of(head: &Head, request: &HeaderMap) -> Option<Range<u64>> {
    let part = head.part()?;
    match range::select(request, part.length) {
        Selection::Part(wanted) => part.covers(&wanted).then_some(wanted),
        _ => None,
    }
}
