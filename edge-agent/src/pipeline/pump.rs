//! Pumping: a body that comes in pieces, on its way to all who read it, and into the cache when it is complete.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::{Worker, compress::Compression, fill::Filling};
use crate::{
    cache::{
        coalescing::{
            Leader,
            body::{Demand, FillBody},
        },
        object::{Head, Object},
    },
    origin::{
        Fault,
        http::{self as origin_http, UnderWay},
        response::ResponseBody,
    },
};

/// Objects larger than this are put together off the worker, which has other viewers to serve.
const GATHERED_ELSEWHERE_BYTES: u64 = 1 << 20;
/// How long to wait for those who have been told of a body and have not begun to read.
const ABOUT_TO_BEGIN: Duration = Duration::from_millis(1);

impl Worker {
    /// Moves the body from the origin to the readers, and into the cache when it is complete.
    pub(super) async fn pump(&self, mut pump: Pump) {
        let Pump { filling, head, body, incoming, compression, .. } = &mut pump;
        loop {
            match origin_http::next_chunk(incoming, filling.behavior.origin.response_timeout).await {
                Ok(Some(chunk)) => {
                    let goes_on = match compression {
                        Some(compression) => self.hand_on_compressed(filling, body, compression, chunk).await,
                        None => self.hand_on(filling, body, chunk).await,
                    };
                    if !goes_on {
                        return;
                    }
                }
                Ok(None) => break,
                Err(fault) => {
                    self.metrics.origin_errors.add(1);
                    tracing::debug!(%fault, origin = filling.behavior.origin.id, "nothing stored of a body that broke off");
                    // Readers are to send on what came before they hear of it: with an error, nothing more is sent.
                    tokio::task::yield_now().await;
                    return;
                }
            }
        }
        if let Some(compression) = compression {
            let last = compression.finish().await;
            let Some(last) = given(last, filling) else { return };
            if !self.hand_on(filling, body, last).await {
                return;
            }
        }
        if head.content_length().is_some_and(|length| length != body.len()) {
            tracing::debug!(
                origin = filling.behavior.origin.id,
                "nothing stored of a body that is not as long as it says"
            );
            return;
        }
        // Readers need not wait for the storing.
        let Some((chunks, bytes)) = body.complete() else {
            return;
        };
        let head = stored_head(head, bytes);
        let gathering = self.fills.held.gather(bytes);
        let gathered = if bytes > GATHERED_ELSEWHERE_BYTES {
            let arena = self.cache.arena.clone();
            let gather = move || Object::counted_in(&arena, head, &chunks, bytes);
            self.background.spawn_blocking(gather).await.ok()
        } else {
            Some(Object::counted_in(&self.cache.arena, head, &chunks, bytes))
        };
        if let Some(object) = gathered.map(Arc::new) {
            self.cache.insert(Arc::clone(&filling.key), Arc::clone(&object), self.clock.now());
            body.settle(object);
        }
        drop(gathering);
        // Only now may the next fill of this key begin, and it will find the object.
    }

    /// Hands on what has come, and says whether to go on.
    async fn hand_on(&self, filling: &Filling, body: &FillBody, chunk: Bytes) -> bool {
        if !self.has_room_for(Some(body.len() + chunk.len() as u64)) {
            body.release();
        }
        is_wanted(&filling.leader, body, chunk).await
    }

    /// The same of what comes of it when it is compressed, which may be nothing yet.
    async fn hand_on_compressed(
        &self,
        filling: &Filling,
        body: &FillBody,
        compression: &mut Compression,
        mut chunk: Bytes,
    ) -> bool {
        while !chunk.is_empty() {
            let Some(compressed) = given(compression.take(&mut chunk).await, filling) else { return false };
            if !self.hand_on(filling, body, compressed).await {
                return false;
            }
        }
        true
    }
}

/// What an encoder gave. One that fails is like an origin that breaks off.
fn given(compressed: io::Result<Bytes>, filling: &Filling) -> Option<Bytes> {
    compressed
        .inspect_err(|error| {
            let origin = &filling.behavior.origin.id;
            tracing::warn!(%error, origin, "nothing stored of a body that could not be compressed");
        })
        .ok()
}

/// A body on its way, and all that goes with it.
pub(super) struct Pump {
    pub(super) filling: Box<Filling>,
    pub(super) head: Arc<Head>,
    pub(super) body: Arc<FillBody>,
    pub(super) incoming: ResponseBody,
    /// Of a body that is compressed on its way.
    pub(super) compression: Option<Box<Compression>>,
    pub(super) _under_way: UnderWay,
}

impl Drop for Pump {
    /// However it ends: nobody is left waiting for more. Says nothing of a body that is complete.
    fn drop(&mut self) {
        self.body.break_off();
    }
}

/// Hands on a chunk, and says whether to go on. A body that will not be stored and that nobody reads is not worth fetching, unless
/// somebody is only just about to begin.
async fn is_wanted(leader: &Leader<Fault>, body: &FillBody, chunk: Bytes) -> bool {
    let mut demand = body.push(chunk).await;
    while demand == Demand::Unwanted && leader.has_waiters() {
        tokio::time::sleep(ABOUT_TO_BEGIN).await;
        demand = body.push(Bytes::new()).await;
    }
    demand == Demand::Wanted
}

/// The head of the finished object: its length is known now.
fn stored_head(head: &Head, bytes: u64) -> Head {
    if head.status() == StatusCode::NO_CONTENT || head.content_length() == Some(bytes) {
        return head.clone();
    }
    let mut head = head.unpack();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    head.pack()
}
