//! The fetch of a run: one request after another until the blocks that are wanted are there, each for all who wait for it.

use std::{ops::Range, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::InBlocks;
use crate::{
    cache::{
        blocks,
        coalescing::body::{Demand, FillBody},
        freshness::Timing,
        invalidation::Epoch,
        object::Object,
        revalidation,
        runs::Conductor,
        storability::RequestFacts,
    },
    origin::{
        Fault,
        http::{self as origin_http, UnderWay},
        response::ResponseBody,
    },
    pipeline::{Worker, fill::is_definite, freshen::Update, lookup, ranged},
};

/// How often a fetch that broke off is taken up again without having brought another block.
const RESUMES_MAX: u32 = 3;
/// How long before that, the first time; each time twice as long.
const RESUME_AFTER: Duration = Duration::from_millis(100);
/// How long until it is looked again whether those who follow a run read what is there.
const ABOUT_TO_READ: Duration = Duration::from_millis(50);
/// Bytes that an answer must bring if it is to count as more than a failure.
const GIVEN_BYTES_MIN: u64 = 16 << 10;
/// Bytes that are passed over to get to those that are wanted, of an origin that sends more than it was asked for.
const SKIPPED_BYTES_MAX: u64 = 8 << 20;

/// A response of the origin that some blocks arrive in.
pub(in crate::pipeline) struct Arriving {
    pub(in crate::pipeline) incoming: ResponseBody,
    /// Bytes before the first that is wanted.
    pub(in crate::pipeline) skip: u64,
    /// Bytes after them, by what its head says.
    pub(in crate::pipeline) left: u64,
    /// Bytes of those that have come.
    pub(in crate::pipeline) came: u64,
    pub(in crate::pipeline) _under_way: UnderWay,
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

impl Worker {
    /// Fetches the blocks of a run, as long as they are wanted. A fetch that breaks off is taken up where it was.
    pub(in crate::pipeline) async fn run(
        self: Rc<Self>,
        source: Rc<InBlocks>,
        conductor: Conductor,
        mut arriving: Option<Arriving>,
    ) {
        let mut carried = Bytes::new();
        let first = conductor.left().start;
        let end = source.blocks.bytes(conductor.left().end - 1).end;
        let start = source.blocks.bytes(first).start;
        // Of one who wants nothing stored nothing is (RFC 9111 section 5.2.1.5), but what is there already.
        let is_kept =
            !lookup::directives(&source.behavior.rules.cache_policy, source.request.headers()).no_store;
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
                        if !(is_kept && self.has_room()) {
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
        let block = Arc::new(Object::kept_in(&self.cache.arena, head, &chunks, bytes));
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
        let patience = source.behavior.origin.response_timeout;
        // Some give less at once than they are asked for. Whoever has given all that it said, and enough to get on, is asked for more.
        if let Some(mut given) = arriving.take_if(|given| given.left == 0 && given.came >= GIVEN_BYTES_MIN) {
            // So that the connection can be used again: what follows is the end.
            let _ = origin_http::next_chunk(&mut given.incoming, patience).await;
        }
        let current = match arriving {
            Some(current) => current,
            None => arriving.insert(self.ask_for(source, wanted).await?),
        };
        loop {
            match origin_http::next_chunk(&mut current.incoming, patience).await {
                Ok(Some(mut chunk)) => {
                    let skipped = current.skip.min(chunk.len() as u64);
                    current.skip -= skipped;
                    let mut chunk = chunk.split_off(usize::try_from(skipped).unwrap_or(usize::MAX));
                    // What comes after what it says it has is nothing.
                    chunk.truncate(usize::try_from(current.left).unwrap_or(usize::MAX));
                    current.left -= chunk.len() as u64;
                    current.came += chunk.len() as u64;
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
        let fetched = self.fetch_from(&source.behavior, &mut outgoing).await;
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
            StatusCode::OK => ranged::content_length(headers).map(|length| (0..length, length)),
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
                Ok(Arriving { incoming: response.into_body(), skip, left, came: 0, _under_way: under_way })
            }
            _ if is_definite(status) || status == StatusCode::RANGE_NOT_SATISFIABLE => Err(Stopped::Changed),
            _ => Err(Stopped::Refused),
        }
    }

    /// The head of a part that came says anew what is true of the whole (RFC 9111 section 3.4).
    fn renew(&self, source: &InBlocks, response: &Response<ResponseBody>, timing: Timing, began: Epoch) {
        let Some(old) = self.cache.object_in_blocks(&source.key, source.blocks) else { return };
        let authorization = source.outgoing.headers.contains_key(header::AUTHORIZATION);
        let facts = RequestFacts {
            headers: source.request.headers(),
            authorization,
            errors: &source.behavior.errors,
        };
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

fn ended_early() -> Stopped {
    Stopped::For(Fault::Response("the body ended early".to_owned()))
}
