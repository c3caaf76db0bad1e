//! Objects in blocks: putting together what a viewer wants of one, from memory, from disk, and from the origin, block by block.

mod fetch;

use std::{collections::VecDeque, future::poll_fn, ops::Range, rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{Request, header};
use tokio::sync::mpsc;

pub(super) use self::fetch::Arriving;
use super::{Asking, Errand, Found, Way, Worker, fill::CONDITIONS, lookup};
use crate::{
    cache::{
        blocks::{self, Blocks},
        coalescing::body::{ReadError, Reader},
        object::{Head, Object},
        runs::{Follower, Joined, Next},
    },
    origin::{Fault, breaker::Breaker, http::Outgoing, request::Purpose},
    routing::compile::Behavior,
    viewer::body::{Piece, ViewerBody},
};

/// Pieces of a body that wait for a viewer.
const AHEAD: usize = 1;
/// How often somebody looks for a block that others fetch or drop meanwhile.
const ROUNDS_MAX: usize = 4;
/// What is sent of a stored block at once where memory is short.
const BIT_BYTES: usize = 64 << 10;

/// What is needed to get any bytes of an object that is kept in blocks.
pub(super) struct InBlocks {
    pub(super) key: Arc<[u8]>,
    /// What is stored of the object as a whole.
    pub(super) object: Arc<Object>,
    pub(super) blocks: Blocks,
    pub(super) behavior: Arc<Behavior>,
    /// The viewer's request, for Vary.
    pub(super) request: Rc<Request<()>>,
    /// The request to the origin, without conditions and Range.
    pub(super) outgoing: Outgoing,
    pub(super) breaker: Arc<Breaker>,
}

/// One block.
enum Block {
    Stored(Arc<Object>),
    Coming(Reader),
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
            request: Rc::clone(&asking.request),
            outgoing: self.outgoing(errand, Purpose::Fill, &asking.request, asking.viewer),
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

/// The same request without what a first request may have had.
pub(super) fn plain(outgoing: &Outgoing) -> Outgoing {
    let mut outgoing = outgoing.repeated();
    CONDITIONS.iter().chain([&header::RANGE]).for_each(|name| _ = outgoing.headers.remove(name));
    outgoing
}
