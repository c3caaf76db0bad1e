//! The head of a stored object: the text that goes out, and what the rules need to know, in little room.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};

use super::{allocation::allocated, text, usual::Usual};
use crate::{
    cache::{
        blocks::Blocks,
        fields::Fields,
        freshness::{Freshness, Source, Timing},
        invalidation::Epoch,
        reuse::Failing,
        terms::Terms,
        vary::Vary,
    },
    clock::Timestamp,
};

/// The head of a response, as it is sent with every hit: end-to-end headers only, plus what this edge adds to all of them. Without
/// Age, which differs from hit to hit. The head of an object may have the body in the same memory, or hold its pieces.
#[derive(Debug)]
pub struct Head {
    /// The text, and perhaps a body after it.
    bytes: Box<[u8]>,
    text_bytes: u32,
    status: StatusCode,
    source: Source,
    flags: u8,
    response: Timestamp,
    /// Milliseconds from the request to the response.
    delay: u32,
    usual: Usual,
    date: Timestamp,
    fresh_until: Timestamp,
    began: Epoch,
    seldom: Option<Box<Seldom>>,
}

/// What knows where a piece is, and counts those who read it, costs.
const PIECE_COUNTER_BYTES: u64 = 48;

/// What few objects have.
#[derive(Debug, Clone, Default)]
struct Seldom {
    vary: Option<Vary>,
    groups: Box<[Box<str>]>,
    blocks: Option<Blocks>,
    /// What is not [`Usual`], or held.
    terms: Option<Box<Terms>>,
    large: Box<[Bytes]>,
}

const VALIDATE_ALWAYS: u8 = 1;
const IMMUTABLE: u8 = 2;
const STALE_ON_REQUEST: u8 = 4;
const COMPRESSED: u8 = 8;
const TAG_WEAKENED: u8 = 16;

/// Whether this edge has compressed a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compressed {
    /// No: it is stored as the origin sent it, perhaps compressed.
    #[default]
    No,
    /// Yes; the entity tag is the origin's, if there is one.
    Yes,
    /// Yes, and the origin's strong entity tag was made weak.
    TagWeakened,
}

/// A head field by field, to make one or to change it.
#[derive(Debug, Clone)]
pub struct Unpacked {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// When it was asked for, or validated, and when the answer came.
    pub timing: Timing,
    /// When it was generated: Date, or when it was received.
    pub date: Timestamp,
    /// What may be done with it, and until when.
    pub terms: Terms,
    /// For which requests, besides having the same key.
    pub vary: Option<Vary>,
    /// The groups it belongs to (RFC 9875).
    pub groups: Box<[Box<str>]>,
    /// Which changes the origin may not have known of yet.
    pub began: Epoch,
    /// The blocks that hold its body; `None` if the object has it.
    pub blocks: Option<Blocks>,
    /// Whether this edge has compressed the body.
    pub compressed: Compressed,
}

impl Unpacked {
    /// The head. Nothing of it is lost.
    #[must_use]
    pub fn pack(self) -> Head {
        Head::of(text::write(self.status, &self.headers).into(), self)
    }
}

impl Head {
    /// The head with this text, which says the same as `unpacked`'s status and headers.
    pub(super) fn of(text: Box<[u8]>, unpacked: Unpacked) -> Self {
        let Unpacked { status, headers: _, timing, date, terms, vary, groups, began, blocks, compressed } =
            unpacked;
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let delay = timing.response.since(timing.request).as_millis();
        let usual = Usual::of(&terms, timing.response);
        let is_seldom = vary.is_some() || !groups.is_empty() || blocks.is_some() || usual.is_none();
        let seldom = is_seldom.then(|| {
            let terms = usual.is_none().then(|| Box::new(terms));
            Box::new(Seldom { vary, groups, blocks, terms, large: Box::default() })
        });
        Self {
            text_bytes: u32::try_from(text.len()).unwrap_or(u32::MAX),
            bytes: text,
            status,
            source: terms.freshness.source,
            flags: flag(terms.validate_always, VALIDATE_ALWAYS)
                | flag(terms.immutable, IMMUTABLE)
                | flag(terms.stale_on_request, STALE_ON_REQUEST)
                | flag(compressed != Compressed::No, COMPRESSED)
                | flag(compressed == Compressed::TagWeakened, TAG_WEAKENED),
            response: timing.response,
            delay: delay.try_into().unwrap_or(u32::MAX),
            usual: usual.unwrap_or_default(),
            date,
            fresh_until: terms.freshness.fresh_until,
            began,
            seldom,
        }
    }

    /// The same field by field, to change it.
    #[must_use]
    pub fn unpack(&self) -> Unpacked {
        Unpacked {
            status: self.status,
            headers: self.to_headers(),
            timing: self.timing(),
            date: self.date,
            terms: self.terms(),
            vary: self.vary().cloned(),
            groups: self.groups().into(),
            began: self.began,
            blocks: self.blocks(),
            compressed: self.compressed(),
        }
    }

    /// What HTTP/1.1 sends: the status line and the headers, each line with its end, without the empty line after them.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.bytes[..self.text_bytes as usize]
    }

    /// The headers as a table, with room for those that are added for each viewer.
    #[must_use]
    pub fn to_headers(&self) -> HeaderMap {
        text::headers(self.text())
    }

    /// All values of a header, in order.
    pub fn all<'h>(&'h self, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
        text::all(self.text(), name)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Length of the body, when it is known: the origin announced it, or it is stored.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        // What a 204 says of a length is of no body (RFC 9110 section 8.6).
        let field = self.first(&header::CONTENT_LENGTH).filter(|_| self.status != StatusCode::NO_CONTENT);
        std::str::from_utf8(field?).ok()?.parse().ok()
    }

    /// When it was asked for, or validated, and when the answer came.
    #[must_use]
    pub fn timing(&self) -> Timing {
        let delay = Duration::from_millis(self.delay.into());
        Timing { request: self.response.before(delay), response: self.response }
    }

    /// When it was generated: Date, or when it was received.
    #[must_use]
    pub fn date(&self) -> Timestamp {
        self.date
    }

    /// What may be done with it, and until when.
    #[must_use]
    pub fn terms(&self) -> Terms {
        if let Some(terms) = self.unusual() {
            return *terms;
        }
        let has = |flag: u8| self.flags & flag != 0;
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let usual = &self.usual;
        Terms {
            freshness: Freshness {
                lifetime: seconds(usual.lifetime),
                source: self.source,
                initial_age: seconds(usual.initial_age),
                fresh_until: self.fresh_until,
            },
            validate_always: has(VALIDATE_ALWAYS),
            immutable: has(IMMUTABLE),
            stale_on_request: has(STALE_ON_REQUEST),
            while_revalidate_until: self.after(usual.while_revalidate),
            if_error_until: self.after(usual.if_error),
            if_unreachable_until: self.after(usual.if_unreachable),
            hold_until: Timestamp::default(),
            held_for: Failing::Error,
            kept_until: self.after(usual.kept),
        }
    }

    fn unusual(&self) -> Option<&Terms> {
        self.seldom.as_ref()?.terms.as_deref()
    }

    fn after(&self, seconds: u32) -> Timestamp {
        match seconds {
            0 => Timestamp::default(),
            seconds => self.response.after(Duration::from_secs(seconds.into())),
        }
    }

    /// Until when it is fresh.
    #[must_use]
    pub fn fresh_until(&self) -> Timestamp {
        self.fresh_until
    }

    /// Until when it is worth keeping.
    #[must_use]
    pub fn kept_until(&self) -> Timestamp {
        self.unusual().map_or_else(|| self.after(self.usual.kept), |terms| terms.kept_until)
    }

    /// For which requests, besides having the same key.
    #[must_use]
    pub fn vary(&self) -> Option<&Vary> {
        self.seldom.as_ref()?.vary.as_ref()
    }

    /// The groups it belongs to (RFC 9875).
    #[must_use]
    pub fn groups(&self) -> &[Box<str>] {
        self.seldom.as_ref().map_or(&[], |seldom| &seldom.groups)
    }

    /// Which changes the origin may not have known of yet.
    #[must_use]
    pub fn began(&self) -> Epoch {
        self.began
    }

    /// The blocks that hold its body; `None` if the object has it.
    #[must_use]
    pub fn blocks(&self) -> Option<Blocks> {
        self.seldom.as_ref()?.blocks
    }

    /// Whether this edge has compressed the body.
    #[must_use]
    pub fn compressed(&self) -> Compressed {
        match (self.flags & COMPRESSED != 0, self.flags & TAG_WEAKENED != 0) {
            (false, _) => Compressed::No,
            (true, false) => Compressed::Yes,
            (true, true) => Compressed::TagWeakened,
        }
    }

    /// The entity tag by which the origin knows it.
    #[must_use]
    pub fn origin_tag(&self) -> Option<&[u8]> {
        let tag = self.first(&header::ETAG)?;
        match self.compressed() {
            Compressed::TagWeakened => Some(tag.strip_prefix(b"W/").unwrap_or(tag)),
            Compressed::No | Compressed::Yes => Some(tag),
        }
    }

    /// Whether it is fresh (RFC 9111 section 4.2).
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.fresh_until
    }

    /// Whether it was chosen by headers that this request has too (RFC 9111 section 4.1).
    #[must_use]
    pub fn answers(&self, request: &HeaderMap) -> bool {
        self.vary().is_none_or(|vary| vary.matches(request))
    }

    /// Age (RFC 9111 section 4.2.3, current_age).
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Duration {
        let usual = || Duration::from_secs(self.usual.initial_age.into());
        self.unusual().map_or_else(usual, |terms| terms.freshness.initial_age) + now.since(self.response)
    }

    /// Age in whole seconds, as Age has it.
    #[must_use]
    pub fn age_seconds(&self, now: Timestamp) -> u64 {
        self.age(now).as_secs()
    }

    /// The same head, with a body in the same memory.
    pub(super) fn followed_by(mut self, body: &[u8]) -> Self {
        if !body.is_empty() {
            self.bytes = [self.text(), body].concat().into();
        }
        self
    }

    /// The body that is in the same memory.
    pub(super) fn after_text(&self) -> &[u8] {
        &self.bytes[self.text_bytes as usize..]
    }

    /// The same head, with the pieces of a large body.
    pub(super) fn with_large(mut self, pieces: Box<[Bytes]>) -> Self {
        self.seldom.get_or_insert_default().large = pieces;
        self
    }

    /// The pieces of a large body.
    pub(super) fn large(&self) -> &[Bytes] {
        self.seldom.as_ref().map_or(&[], |seldom| &seldom.large)
    }

    /// What it costs to keep, bodies included, but not what lies in the object itself.
    pub(super) fn weight(&self) -> u64 {
        let groups = |groups: &[Box<str>]| {
            allocated(size_of_val(groups)) + groups.iter().map(|group| allocated(group.len())).sum::<u64>()
        };
        let seldom = self.seldom.as_ref().map_or(0, |seldom| {
            let vary = seldom.vary.as_ref().map_or(0, |vary| vary.pieces().map(allocated).sum::<u64>());
            let terms = seldom.terms.as_ref().map_or(0, |terms| allocated(size_of_val(&**terms)));
            let pieces = seldom.large.iter().map(|piece| allocated(piece.len()) + PIECE_COUNTER_BYTES);
            let large = allocated(size_of_val(&*seldom.large)) + pieces.sum::<u64>();
            allocated(size_of::<Seldom>()) + vary + groups(&seldom.groups) + terms + large
        });
        allocated(self.bytes.len()) + seldom
    }
}

impl Clone for Head {
    /// Without the body.
    fn clone(&self) -> Self {
        let seldom =
            self.seldom.as_ref().map(|seldom| Seldom { large: Box::default(), ..(**seldom).clone() });
        Self { bytes: self.text().into(), seldom: seldom.map(Box::new), ..*self }
    }
}

impl Fields for Head {
    fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        self.all(name).next()
    }
}

#[cfg(test)]
impl Unpacked {
    /// A 200 without headers, received at this moment, fresh for so long, and not kept for longer.
    pub(crate) fn sample(received: Timestamp, fresh_for: Duration) -> Self {
        let freshness = Freshness {
            lifetime: fresh_for,
            source: Source::MaxAge,
            initial_age: Duration::ZERO,
            fresh_until: received.after(fresh_for),
        };
        let terms = Terms {
            freshness,
            validate_always: false,
            immutable: false,
            stale_on_request: false,
            while_revalidate_until: Timestamp::default(),
            if_error_until: Timestamp::default(),
            if_unreachable_until: Timestamp::default(),
            hold_until: Timestamp::default(),
            held_for: Failing::Error,
            kept_until: freshness.fresh_until,
        };
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            timing: Timing { request: received, response: received },
            date: received,
            terms,
            vary: None,
            groups: Box::default(),
            began: Epoch::default(),
            blocks: None,
            compressed: Compressed::No,
        }
    }
}

#[cfg(test)]
impl Head {
    /// The same packed.
    pub(crate) fn sample(received: Timestamp, fresh_for: Duration) -> Self {
        Unpacked::sample(received, fresh_for).pack()
    }
}
