//! Objects in blocks: putting together what a viewer wants of one, from memory, from disk, and from the origin, block by block.

use std::{collections::VecDeque, future::poll_fn, ops::Range, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::{
    Asking, Errand, Found, Way, Worker,
    fill::{CONDITIONS, is_definite},
    freshen::Update,
    lookup, ranged,
};
use crate::{
    cache::{
        blocks::{self, Blocks},
        coalescing::body::{Demand, FillBody, ReadError, Reader},
        freshness::Timing,
        invalidation::Epoch,
        object::{Head, Object},
        revalidation,
        runs::{Conductor, Follower, Joined, Next},
        storability::RequestFacts,
    },
    origin::{
        Fault,
        breaker::Breaker,
        http::{self as origin_http, Outgoing, UnderWay},
        request::Purpose,
    },
    routing::compile::Behavior,
    viewer::body::{Piece, ViewerBody},
};

/// Pieces of a body that wait for a viewer.
const AHEAD: usize = 1;
/// How often somebody looks for a block that others fetch or drop meanwhile.
const ROUNDS_MAX: usize = 4;
/// How often a fetch that broke off is taken up again without having brought another block.
const RESUMES_MAX: u32 = 3;
/// How long before that, the first time; each time twice as long.
const RESUME_AFTER: Duration = Duration::from_millis(100);
/// What is sent of a stored block at once where memory is short.
const BIT_BYTES: usize = 64 << 10;
/// How long until it is looked again whether those who follow a run read what is there.
const ABOUT_TO_READ: Duration = Duration::from_millis(50);
/// Bytes that are passed over to get to those that are wanted, of an origin that sends more than it was asked for.
const SKIPPED_BYTES_MAX: u64 = 8 << 20;

/// What is needed to get any bytes of an object that is kept in blocks.
pub(super) struct InBlocks {
    pub(super) key: Arc<[u8]>,
    /// What is stored of the object as a whole.
    pub(super) object: Arc<Object>,
    pub(super) blocks: Blocks,
    pub(super) behavior: Arc<Behavior>,
    /// The viewer's headers, for Vary.
    pub(super) request: HeaderMap,
    /// The request to the origin, without conditions and Range.
    pub(super) outgoing: Outgoing,
    pub(super) breaker: Arc<Breaker>,
}

/// One block.
enum Block {
    Stored(Arc<Object>),
    Coming(Reader),
}

/// A response of the origin that some blocks arrive in.
pub(super) struct Arriving {
    pub(super) incoming: Incoming,
    /// Bytes before the first that is wanted.
    pub(super) skip: u64,
    /// Bytes after them, by what its head says.
    pub(super) left: u64,
    pub(super) _under_way: UnderWay,
}

/// Why the rest of an object does not come.
enum Stopped {
    /// It broke off, and may be taken up.
    For(Fault),
    /// The origin does not give it now.
    Refused,
    /// The origin has only the whole to give.
    OnlyWhole,
    /// The origin has another version of it now, or none.
    Changed,
}

impl InBlocks {
    fn head(&self) -> &Head {
        &self.object.head
    }
}

impl Worker {
    /// What is needed for an object that was found by this errand.
    fn in_blocks(&self, errand: &Errand, object: &Arc<Object>, asking: &Asking) -> Option<InBlocks> {
        let (Way::Cache(slot), Some(blocks)) = (&errand.way, object.head.blocks()) else { return None };
        Some(InBlocks {
            key: Arc::clone(&slot.key),
            object: Arc::clone(object),
            blocks,
            behavior: Arc::clone(&errand.behavior),
            request: asking.request.headers().clone(),
            outgoing: self.outgoing(errand, Purpose::Fill, &asking.request, asking.address),
            breaker: self.breaker(errand),
        })
    }

    /// Waits until the first bytes are there that are wanted of an object, if they have to be fetched.
    pub(super) async fn first_block(
        self: &Rc<Self>,
        errand: &Errand,
        found: &Found,
        asking: &Asking,
    ) -> Result<(), Fault> {
        let Some((object, _)) = found.usable() else { return Ok(()) };
        let Some(source) = self.in_blocks(errand, object, asking) else { return Ok(()) };
        let wanted = lookup::wanted_of(source.head(), source.blocks, asking.request.headers());
        let Some(first) = wanted.into_iter().next() else { return Ok(()) };
        let mut following = None;
        let index = blocks::index_of(first.start);
        let block = self.block(&Rc::new(source), index, first.end, &mut following).await;
        let come = match block {
            Ok(Block::Stored(_)) => true,
            Ok(Block::Coming(mut reader)) => {
                matches!(poll_fn(|cx| reader.poll_next(cx)).await, Some(Ok(_)))
            }
            Err(_) => false,
        };
        if !come {
            return Err(Fault::Response("a block of the object could not be had".to_owned()));
        }
        asking.following.set(following);
        Ok(())
    }

    /// A body of these pieces, which have `length` bytes together.
    pub(super) fn body_in_blocks(
        self: &Rc<Self>,
        errand: &Errand,
        object: &Arc<Object>,
        asking: &Asking,
        pieces: VecDeque<Piece>,
        length: u64,
    ) -> ViewerBody {
        let Some(source) = self.in_blocks(errand, object, asking) else { return ViewerBody::empty() };
        let (sender, receiver) = mpsc::channel(AHEAD);
        let (worker, following) = (Rc::clone(self), asking.following.take());
        tokio::task::spawn_local(async move {
            let source = Rc::new(source);
            let sent = tokio::select! {
                // The viewer has left.
                () = sender.closed() => return,
                sent = worker.send_pieces(&source, pieces, following, &sender) => sent,
            };
            if let Err(error) = sent {
                let _ = sender.send(Err(error)).await;
            }
        });
        ViewerBody::assembled(receiver, length, asking.busy.again(), self.metrics.clone())
    }

    async fn send_pieces(
        self: &Rc<Self>,
        source: &Rc<InBlocks>,
        pieces: VecDeque<Piece>,
        mut following: Option<Follower>,
        viewer: &mpsc::Sender<Result<Bytes, ReadError>>,
    ) -> Result<(), ReadError> {
        for piece in pieces {
            match piece {
                Piece::Text(text) => _ = viewer.send(Ok(text)).await,
                Piece::Of(mut wanted) => {
                    while !wanted.is_empty() {
                        let index = blocks::index_of(wanted.start);
                        let block = self.block(source, index, wanted.end, &mut following).await?;
                        let here = source.blocks.bytes(index);
                        let mut of_block = wanted.start - here.start..wanted.end.min(here.end) - here.start;
                        let sent = send_block(block, self.has_room(), &mut of_block, viewer).await;
                        wanted.start = here.start + of_block.start;
                        match sent {
                            // Others were quicker: the rest is for this viewer to fetch.
                            Err(ReadError::TooSlow) => following = None,
                            sent => sent?,
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Finds a block, or has it fetched with those after it that are wanted, up to the byte `end`.
    async fn block(
        self: &Rc<Self>,
        source: &Rc<InBlocks>,
        index: u64,
        end: u64,
        following: &mut Option<Follower>,
    ) -> Result<Block, ReadError> {
        for _ in 0..ROUNDS_MAX {
            if let Some(stored) = self.stored_block(source, index).await {
                return Ok(Block::Stored(stored));
            }
            let follower = match following.take() {
                Some(follower) => follower,
                None => {
                    let last = blocks::index_of(end.saturating_sub(1)) + 1;
                    match self.runs.join(source.blocks.id, index, last) {
                        Joined::Along(follower) => follower,
                        Joined::Begun(follower, conductor) => {
                            // Another run may have ended with it between the look and here.
                            if let Some(stored) = self.stored_block(source, index).await {
                                return Ok(Block::Stored(stored));
                            }
                            let (worker, source) = (Rc::clone(self), Rc::clone(source));
                            tokio::task::spawn_local(worker.run(source, conductor, None));
                            follower
                        }
                    }
                }
            };
            match following.insert(follower).next(index).await {
                Next::Body(reader) => return Ok(Block::Coming(reader)),
                Next::Failed => return Err(ReadError::Broken),
                Next::Passed => *following = None,
            }
        }
        Err(ReadError::Broken)
    }

    async fn stored_block(&self, source: &InBlocks, index: u64) -> Option<Arc<Object>> {
        self.cache.block(&source.key, source.blocks, index, self.clock.now()).await
    }

    /// Fetches the blocks of a run, as long as they are wanted. A fetch that breaks off is taken up where it was.
    pub(super) async fn run(
        self: Rc<Self>,
        source: Rc<InBlocks>,
        conductor: Conductor,
        mut arriving: Option<Arriving>,
    ) {
        let mut carried = Bytes::new();
        let first = conductor.left().start;
        let end = source.blocks.bytes(conductor.left().end - 1).end;
        let start = source.blocks.bytes(first).start;
        let mut failures = 0;
        while !conductor.left().is_empty() {
            let index = conductor.left().start;
            let bytes = source.blocks.bytes(index);
            let is_well_on = self.is_well_on(index - first, conductor.left().end - first);
            if !(conductor.is_wanted().await || is_well_on) {
                return;
            }
            self.cache.room_for_a_block().await;
            let body = FillBody::new(true, Arc::clone(&self.fills.held));
            conductor.begin(&body);
            let mut position = bytes.start;
            while position < bytes.end {
                let chunk = match std::mem::take(&mut carried) {
                    carried if !carried.is_empty() => Ok(carried),
                    _ => self.next_bytes(&source, &mut arriving, position..end).await,
                };
                match chunk {
                    Ok(mut chunk) => {
                        let room = usize::try_from(bytes.end - position).unwrap_or(usize::MAX);
                        carried = chunk.split_off(room.min(chunk.len()));
                        position += chunk.len() as u64;
                        // If too much is under way, this block is for those who wait for it, and not kept.
                        if !self.has_room() {
                            body.release();
                        }
                        if !is_taken(&conductor, &body, chunk).await {
                            return;
                        }
                    }
                    // Of what has never begun nothing is taken up: whoever asks for it again asks again.
                    Err(Stopped::For(fault))
                        if failures < RESUMES_MAX
                            && (position > start || failures > 0)
                            && !source.breaker.is_open(self.clock.now()) =>
                    {
                        tracing::debug!(%fault, origin = source.behavior.origin.id, "taking up a fetch that broke off");
                        (arriving, carried) = (None, Bytes::new());
                        tokio::time::sleep(RESUME_AFTER * (1 << failures)).await;
                        failures += 1;
                    }
                    Err(stopped) => {
                        self.stop(&source, &stopped);
                        return conductor.fail();
                    }
                }
            }
            failures = 0;
            self.keep_block(&source, index, &body);
            conductor.done();
        }
        // So that the connection can be used again: what follows is the end.
        if let Some(arriving) = &mut arriving {
            let _ = origin_http::next_chunk(&mut arriving.incoming, source.behavior.origin.response_timeout)
                .await;
        }
    }

    /// What it means for what is stored that no more comes.
    fn stop(&self, source: &InBlocks, stopped: &Stopped) {
        let (origin, now) = (&source.behavior.origin.id, self.clock.now());
        match stopped {
            Stopped::For(_) | Stopped::Refused => return,
            Stopped::Changed => tracing::debug!(origin, "an object has changed while it was fetched"),
            Stopped::OnlyWhole => {
                tracing::debug!(origin, "an origin takes no notice of Range");
                self.cache.oversized.remember(&source.key, now);
            }
        }
        self.cache.drop_object_in_blocks(&source.key, source.blocks, now);
    }

    /// Whether so much of a run is there that it is finished even if nobody wants it.
    fn is_well_on(&self, done: u64, all: u64) -> bool {
        done.saturating_mul(100) >= all.saturating_mul(self.cache.limits().background_fill_percent.into())
    }

    fn keep_block(&self, source: &InBlocks, index: u64, body: &FillBody) {
        let Some((chunks, bytes)) = body.complete() else { return };
        let now = self.clock.now();
        let head = blocks::head_of_block(source.head(), bytes, now);
        let block = Arc::new(Object::counted(head, &chunks, bytes, &self.cache.ledger));
        self.cache.insert_block(&source.key, source.blocks, index, &block, now);
        body.settle(block);
    }

    /// The next bytes of an object from the first of `wanted` on, of the response that is arriving or of another one.
    async fn next_bytes(
        &self,
        source: &InBlocks,
        arriving: &mut Option<Arriving>,
        wanted: Range<u64>,
    ) -> Result<Bytes, Stopped> {
        let current = match arriving {
            Some(current) => current,
            None => arriving.insert(self.ask_for(source, wanted).await?),
        };
        let patience = source.behavior.origin.response_timeout;
        loop {
            match origin_http::next_chunk(&mut current.incoming, patience).await {
                Ok(Some(mut chunk)) => {
                    let skipped = current.skip.min(chunk.len() as u64);
                    current.skip -= skipped;
                    let mut chunk = chunk.split_off(usize::try_from(skipped).unwrap_or(usize::MAX));
                    // What comes after what it says it has is nothing.
                    chunk.truncate(usize::try_from(current.left).unwrap_or(usize::MAX));
                    current.left -= chunk.len() as u64;
                    if !chunk.is_empty() {
                        return Ok(chunk);
                    }
                    if skipped == 0 {
                        return Err(ended_early());
                    }
                }
                Ok(None) => return Err(ended_early()),
                Err(fault) => {
                    self.metrics.origin_errors.add(1);
                    return Err(Stopped::For(fault));
                }
            }
        }
    }

    /// Asks the origin for bytes of the version that is stored.
    async fn ask_for(&self, source: &InBlocks, wanted: Range<u64>) -> Result<Arriving, Stopped> {
        let mut outgoing = source.outgoing.repeated();
        let validator = revalidation::strong_validator(source.head(), source.head().date());
        outgoing.headers.extend(validator.map(|validator: HeaderValue| (header::IF_RANGE, validator)));
        outgoing.headers.extend(ranged::exactly(&wanted).map(|range| (header::RANGE, range)));
        self.metrics.origin_fetches.add(1);
        let (asked, began) = (self.clock.now(), self.cache.invalidations.epoch());
        let fetched = self.origins.fetch(&source.behavior.origin, outgoing).await;
        let now = self.clock.now();
        let (response, under_way) = match fetched {
            Ok(fetched) => fetched,
            Err(fault) => {
                self.metrics.origin_errors.add(1);
                source.breaker.failed(&fault, asked, now);
                return Err(Stopped::For(fault));
            }
        };
        source.breaker.answered(now);
        let (status, headers) = (response.status(), response.headers());
        let held = match status {
            // It takes no notice of Range, or not this time: everything comes once more.
            StatusCode::OK => content_length(headers).map(|length| (0..length, length)),
            _ => ranged::held_by(status, headers),
        };
        match held {
            Some((bytes, length)) if source.blocks.are_of(source.head(), headers, length) => {
                let skip = wanted.start.checked_sub(bytes.start).filter(|_| wanted.start < bytes.end);
                let skip = skip.ok_or(Stopped::Refused)?;
                if skip > SKIPPED_BYTES_MAX {
                    return Err(Stopped::OnlyWhole);
                }
                self.renew(source, &response, Timing { request: asked, response: now }, began);
                let left = bytes.end - wanted.start;
                Ok(Arriving { incoming: response.into_body(), skip, left, _under_way: under_way })
            }
            _ if is_definite(status) || status == StatusCode::RANGE_NOT_SATISFIABLE => Err(Stopped::Changed),
            _ => Err(Stopped::Refused),
        }
    }

    /// The head of a part that came says anew what is true of the whole (RFC 9111 section 3.4).
    fn renew(&self, source: &InBlocks, response: &Response<Incoming>, timing: Timing, began: Epoch) {
        let Some(old) = self.cache.object_in_blocks(&source.key, source.blocks) else { return };
        let authorization = source.outgoing.headers.contains_key(header::AUTHORIZATION);
        let facts = RequestFacts { headers: &source.request, authorization };
        let (headers, version) = (response.headers(), response.version());
        let update = Update { old: &old, headers, version, timing, began };
        let renewed = self.freshened(&source.behavior.rules.cache_policy, &update, facts);
        if !renewed.is_the_requests {
            let stored = renewed.stored.map(|(object, _)| object);
            self.cache.replace(&source.key, &old, stored, timing.response);
        }
    }
}

/// Hands on a chunk. False if nobody reads it, nobody wants what comes after it, and it is not to be kept.
async fn is_taken(conductor: &Conductor, body: &FillBody, chunk: Bytes) -> bool {
    let mut demand = body.push(chunk).await;
    while demand == Demand::Unwanted && !conductor.is_wanted_beyond() {
        if !conductor.is_followed() {
            return false;
        }
        let _ = tokio::time::timeout(ABOUT_TO_READ, conductor.stirred()).await;
        demand = body.push(Bytes::new()).await;
    }
    true
}

/// Sends what is wanted of a block, and counts it off. Where there is no room to hold whole blocks for viewers, only a bit of a stored
/// one, which then has to be found again.
async fn send_block(
    block: Block,
    has_room: bool,
    wanted: &mut Range<u64>,
    viewer: &mpsc::Sender<Result<Bytes, ReadError>>,
) -> Result<(), ReadError> {
    match block {
        Block::Stored(object) => {
            while !wanted.is_empty() {
                let mut piece = object.body_from(wanted.start).ok_or(ReadError::Broken)?;
                piece.truncate(usize::try_from(wanted.end - wanted.start).unwrap_or(usize::MAX));
                if !has_room {
                    piece = Bytes::copy_from_slice(&piece[..piece.len().min(BIT_BYTES)]);
                    wanted.start += piece.len() as u64;
                    drop(object);
                    let _ = viewer.send(Ok(piece)).await;
                    return Ok(());
                }
                wanted.start += piece.len() as u64;
                if viewer.send(Ok(piece)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Block::Coming(mut reader) => {
            let mut position = 0;
            while position < wanted.end {
                let Some(piece) = poll_fn(|cx| reader.poll_next(cx)).await.transpose()? else {
                    return Err(ReadError::Broken);
                };
                let here = position..position + piece.len() as u64;
                position = here.end;
                let (start, end) = (here.start.max(wanted.start), here.end.min(wanted.end));
                if start < end {
                    let at = |position: u64| usize::try_from(position - here.start).unwrap_or(usize::MAX);
                    wanted.start = end;
                    if viewer.send(Ok(piece.slice(at(start)..at(end)))).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
    Ok(())
}

fn ended_early() -> Stopped {
    Stopped::For(Fault::Response("the body ended early".to_owned()))
}

/// The length that a message says its body has.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The same request without what a first request may have had.
pub(super) fn plain(outgoing: &Outgoing) -> Outgoing {
    let mut outgoing = outgoing.repeated();
    CONDITIONS.iter().chain([&header::RANGE]).for_each(|name| _ = outgoing.headers.remove(name));
    outgoing
}
