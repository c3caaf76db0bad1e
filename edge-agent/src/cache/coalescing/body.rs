//! A growing body: one writer, any number of readers, each at its own place, and a bound on what is held.
//!
//! A *retained* body keeps every byte, to be stored when it is complete; readers may begin at any time and the writer never
//! waits for them; once it is stored they read on from what is stored. A body that is too large for that becomes a *window*: bytes that every reader has had are dropped, nobody can
//! begin any more, and the writer waits for the slowest reader.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::cache::object::Object;

/// Bytes a window may hold before the writer waits.
const WINDOW_BYTES: u64 = 1 << 20;
/// The same once all bodies under way hold as much as they may.
const NARROW_BYTES: u64 = 64 << 10;
/// A reader that holds up others for this long without taking [`WINDOW_BYTES`] meanwhile is cut off.
const LAGGARD_PATIENCE: Duration = Duration::from_secs(10);

/// A growing body.
#[derive(Debug)]
pub struct FillBody {
    state: Mutex<State>,
    /// A reader has moved on or left.
    read: Notify,
    held: Arc<Held>,
}

/// What all bodies under way hold together.
#[derive(Debug)]
pub struct Held {
    pub(super) bytes: AtomicU64,
    /// Of these, what is just being copied to where it is stored.
    pub(super) gathering: AtomicU64,
    /// Beyond that, windows are narrow.
    bytes_max: u64,
}

impl Held {
    /// Nothing yet. Beyond so many bytes windows are narrow.
    #[must_use]
    pub fn up_to(bytes_max: u64) -> Self {
        Self { bytes: AtomicU64::new(0), gathering: AtomicU64::new(0), bytes_max }
    }

    /// A body of so many bytes is being copied to where it is stored, until this is dropped.
    #[must_use]
    pub fn gather(self: &Arc<Self>, bytes: u64) -> Gathering {
        self.gathering.fetch_add(bytes, Ordering::Relaxed);
        Gathering { held: Arc::clone(self), bytes }
    }

    fn window(&self) -> u64 {
        if self.bytes.load(Ordering::Relaxed) > self.bytes_max { NARROW_BYTES } else { WINDOW_BYTES }
    }
}

/// See [`Held::gather`].
#[derive(Debug)]
pub struct Gathering {
    held: Arc<Held>,
    bytes: u64,
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.held.gathering.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct State {
    chunks: VecDeque<Bytes>,
    /// Chunks, and bytes in them, before the first of `chunks`: dropped.
    dropped_chunks: u64,
    start: u64,
    /// Bytes received so far.
    end: u64,
    ending: Ending,
    retained: bool,
    /// The object with the whole body, once it is there; `chunks` are gone then.
    stored: Option<Arc<Object>>,
    readers: Vec<Option<ReaderState>>,
    /// Since when one reader has held up the others, and where it was then.
    held_up: Option<(Instant, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Open,
    Complete,
    Broken,
}

#[derive(Debug, Default)]
struct ReaderState {
    /// Chunks taken; a reader always takes a whole one.
    next_chunk: u64,
    /// Bytes taken.
    position: u64,
    waker: Option<Waker>,
    /// Held up others for too long.
    lost: bool,
}

/// Why a reader cannot have the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The origin broke off.
    #[error("read the rest of the body: the origin broke off")]
    Broken,
    /// This reader was too slow for the others.
    #[error("read the rest of the body: too slow for the other readers of the same fetch")]
    TooSlow,
}

/// What the writer learns when it adds bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Somebody reads it, or it will be stored.
    Wanted,
    /// Nobody reads it and it will not be stored: stop fetching.
    Unwanted,
}

impl FillBody {
    /// An empty body; `retained` if it is meant to be stored.
    #[must_use]
    pub fn new(retained: bool, held: Arc<Held>) -> Arc<Self> {
        let state = State {
            chunks: VecDeque::new(),
            dropped_chunks: 0,
            start: 0,
            end: 0,
            ending: Ending::Open,
            retained,
            stored: None,
            readers: Vec::new(),
            held_up: None,
        };
        Arc::new(Self { state: Mutex::new(state), read: Notify::new(), held })
    }

    /// A reader from the first byte on; `None` if the first bytes are gone, or the last will never come.
    #[must_use]
    pub fn reader(self: &Arc<Self>) -> Option<Reader> {
        let mut state = self.state.lock();
        let begins = state.start == 0 || state.stored.is_some();
        if !begins || state.ending == Ending::Broken {
            return None;
        }
        let free = state.readers.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            state.readers.push(None);
            state.readers.len() - 1
        });
        state.readers[slot] = Some(ReaderState::default());
        drop(state);
        Some(Reader { body: Arc::clone(self), slot })
    }

    /// Whether a reader can still begin at the first byte.
    #[must_use]
    pub fn can_begin(&self) -> bool {
        let state = self.state.lock();
        state.start == 0 || state.stored.is_some()
    }

    /// Whether somebody reads it whom its writer may have to wait for.
    #[must_use]
    pub fn may_be_held_up(&self) -> bool {
        let state = self.state.lock();
        !state.retained && state.ending == Ending::Open && state.readers.iter().flatten().any(|r| !r.lost)
    }

    /// Bytes received so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.state.lock().end
    }

    /// Whether nothing was received yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives up storing it: from now on it is a window. What it holds counts until its readers have had it.
    pub fn release(&self) {
        self.state.lock().retained = false;
    }

    /// Adds bytes; returns when there is room for more. Without bytes it only asks whether they would be wanted.
    pub async fn push(&self, chunk: Bytes) -> Demand {
        if !chunk.is_empty() {
            let mut state = self.state.lock();
            let bytes = chunk.len() as u64;
            state.end += bytes;
            self.held.bytes.fetch_add(bytes, Ordering::Relaxed);
            state.chunks.push_back(chunk);
            state.wake_readers();
        }
        self.make_room().await
    }

    async fn make_room(&self) -> Demand {
        loop {
            let read = self.read.notified();
            // Out of the match, so that the lock is not held while waiting.
            let window = self.held.window();
            let (room, dropped) = self.state.lock().room(window);
            self.held.bytes.fetch_sub(dropped, Ordering::Relaxed);
            match room {
                Room::Unwanted => return Demand::Unwanted,
                Room::Enough => return Demand::Wanted,
                Room::WaitForTheOnlyReader => read.await,
                Room::WaitForTheSlowest => {
                    let since = self.state.lock().held_up_since(Instant::now(), window);
                    if timeout_at(since + LAGGARD_PATIENCE, read).await.is_err() {
                        self.state.lock().lose_the_slowest(window);
                    }
                }
            }
        }
    }

    /// The body is complete: its chunks, if it was retained.
    #[must_use]
    pub fn complete(&self) -> Option<(Vec<Bytes>, u64)> {
        let mut state = self.state.lock();
        state.ending = Ending::Complete;
        state.wake_readers();
        state.retained.then(|| (state.chunks.iter().cloned().collect(), state.end))
    }

    /// The body is stored: readers go on from there, and the chunks make room.
    pub fn settle(&self, stored: Arc<Object>) {
        let mut state = self.state.lock();
        state.stored = Some(stored);
        state.chunks.clear();
        self.held.bytes.fetch_sub(state.end - state.start, Ordering::Relaxed);
        state.start = state.end;
    }

    /// The origin broke off: readers get an error after what there is.
    pub fn break_off(&self) {
        let mut state = self.state.lock();
        if state.ending == Ending::Open {
            state.ending = Ending::Broken;
            state.wake_readers();
        }
    }
}

impl Drop for FillBody {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        self.held.bytes.fetch_sub(state.end - state.start, Ordering::Relaxed);
    }
}

enum Room {
    Enough,
    Unwanted,
    WaitForTheOnlyReader,
    WaitForTheSlowest,
}

impl State {
    fn wake_readers(&mut self) {
        for reader in self.readers.iter_mut().flatten() {
            if let Some(waker) = reader.waker.take() {
                waker.wake();
            }
        }
    }

    /// Whether there is room for more, and how many bytes were dropped to make it.
    fn room(&mut self, window: u64) -> (Room, u64) {
        if self.retained {
            return (Room::Enough, 0);
        }
        let reading = || self.readers.iter().flatten().filter(|r| !r.lost);
        let Some(slowest) = reading().map(|r| r.position).min() else { return (Room::Unwanted, 0) };
        let readers = reading().count();
        let start = self.start;
        // The first bytes stay for a while, for those who are only just learning that there is something to read.
        while let Some(first) = self.chunks.front()
            && self.start + first.len() as u64 <= slowest
            && self.end - self.start > window
        {
            self.start += first.len() as u64;
            self.dropped_chunks += 1;
            self.chunks.pop_front();
        }
        let room = match self.end - slowest {
            held if held < window => Room::Enough,
            _ if readers == 1 => Room::WaitForTheOnlyReader,
            _ => Room::WaitForTheSlowest,
        };
        (room, self.start - start)
    }

    /// Since when the others have been waiting for a reader that does not get on: it may be another one each time it is asked.
    fn held_up_since(&mut self, now: Instant, window: u64) -> Instant {
        let slowest =
            self.readers.iter().flatten().filter(|r| !r.lost).map(|r| r.position).min().unwrap_or(self.end);
        match self.held_up {
            Some((since, was)) if slowest < was + window => since,
            _ => {
                self.held_up = Some((now, slowest));
                now
            }
        }
    }

    fn lose_the_slowest(&mut self, window: u64) {
        self.held_up = None;
        let fastest = self.readers.iter().flatten().map(|r| r.position).max();
        for reader in self.readers.iter_mut().flatten() {
            // If all stand still, none of them holds up another.
            if Some(reader.position) != fastest && self.end - reader.position >= window {
                reader.lost = true;
                if let Some(waker) = reader.waker.take() {
                    waker.wake();
                }
            }
        }
    }

    /// The next bytes of a reader: a chunk, or the rest of a piece of what is stored.
    fn next(&self, reader: &ReaderState) -> Option<Bytes> {
        match &self.stored {
            Some(stored) => stored.body_from(reader.position),
            // Chunks are dropped only when every reader has had them.
            None => {
                let index = usize::try_from(reader.next_chunk - self.dropped_chunks).unwrap_or(usize::MAX);
                self.chunks.get(index).cloned()
            }
        }
    }
}

/// One reader of a growing body.
#[derive(Debug)]
pub struct Reader {
    body: Arc<FillBody>,
    slot: usize,
}

impl Reader {
    /// The next bytes, `None` after the last.
    ///
    /// # Errors
    /// When the rest will never come.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ReadError>>> {
        let mut state = self.body.state.lock();
        let next = match &state.readers[self.slot] {
            Some(reader) if reader.lost => return Poll::Ready(Some(Err(ReadError::TooSlow))),
            Some(reader) => state.next(reader),
            None => return Poll::Ready(None),
        };
        if let Some(bytes) = next {
            if let Some(reader) = &mut state.readers[self.slot] {
                reader.next_chunk += 1;
                reader.position += bytes.len() as u64;
            }
            let window = !state.retained;
            drop(state);
            if window {
                self.body.read.notify_waiters();
            }
            return Poll::Ready(Some(Ok(bytes)));
        }
        match state.ending {
            Ending::Complete => Poll::Ready(None),
            Ending::Broken => Poll::Ready(Some(Err(ReadError::Broken))),
            Ending::Open => {
                if let Some(reader) = &mut state.readers[self.slot] {
                    reader.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.body.state.lock().readers[self.slot] = None;
        self.body.read.notify_waiters();
    }
}
