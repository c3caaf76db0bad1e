//! Bodies on their way to a viewer: from memory, from a fill under way, or straight from the origin.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::connection::Busy;
use crate::{
    cache::{
        coalescing::body::{ReadError, Reader},
        object::Object,
    },
    metrics::WorkerMetrics,
    origin::http::UnderWay,
};

/// A response body. Bytes are handed over as they are held, never copied.
#[derive(Debug)]
pub struct ViewerBody {
    source: Source,
    /// Only for bodies that take their time; those from memory are counted when they are handed over.
    sent: Option<Arc<WorkerMetrics>>,
    /// Keeps the connection from being taken for idle.
    busy: Option<Busy>,
}

#[derive(Debug)]
enum Source {
    Empty,
    One(Bytes),
    Stored(Stored),
    Growing(Growing),
    Passing(Box<Passing>),
}

/// Part of a stored object.
#[derive(Debug)]
struct Stored {
    object: Arc<Object>,
    next_segment: usize,
    skip: u64,
    left: u64,
}

/// Part of an object under way.
#[derive(Debug)]
struct Growing {
    reader: Reader,
    skip: u64,
    /// `None` until the origin ends the body.
    left: Option<u64>,
}

/// A response that is this viewer's alone.
#[derive(Debug)]
struct Passing {
    incoming: Incoming,
    silence_max: Duration,
    silence: Pin<Box<Sleep>>,
    silent: bool,
    _under_way: UnderWay,
}

/// Why a body ends early. The connection is then broken off, so that the viewer does not take what it has for the whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The fill it came from ended early.
    #[error(transparent)]
    Fill(#[from] ReadError),
    /// The origin broke off.
    #[error("read the rest of the body from the origin")]
    Origin(#[from] hyper::Error),
    /// The origin fell silent.
    #[error("read the rest of the body from the origin: it fell silent")]
    Silence,
}

impl ViewerBody {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Source::Empty.into()
    }

    /// A body of one piece.
    #[must_use]
    pub fn one(bytes: Bytes) -> Self {
        Source::One(bytes).into()
    }

    /// Bytes `start` to `end` of a stored object.
    #[must_use]
    pub fn stored(object: &Arc<Object>, start: u64, end: u64) -> Self {
        let segments = object.body.segments();
        match segments {
            [only] if start == 0 && end == only.len() as u64 => Self::one(only.clone()),
            _ => Source::Stored(Stored {
                object: Arc::clone(object),
                next_segment: 0,
                skip: start,
                left: end - start,
            })
            .into(),
        }
    }

    /// An object under way: `left` bytes after the first `skip`, or all of it.
    #[must_use]
    pub(crate) fn growing(
        reader: Reader,
        skip: u64,
        left: Option<u64>,
        busy: Busy,
        sent: Arc<WorkerMetrics>,
    ) -> Self {
        Self { source: Source::Growing(Growing { reader, skip, left }), sent: Some(sent), busy: Some(busy) }
    }

    /// A response passed on as it comes, as long as the origin is not silent for longer than `silence_max`.
    #[must_use]
    pub(crate) fn passing(
        incoming: Incoming,
        silence_max: Duration,
        under_way: UnderWay,
        busy: Busy,
        sent: Arc<WorkerMetrics>,
    ) -> Self {
        let passing = Passing {
            incoming,
            silence_max,
            silence: Box::pin(tokio::time::sleep(silence_max)),
            silent: false,
            _under_way: under_way,
        };
        Self { source: Source::Passing(Box::new(passing)), sent: Some(sent), busy: Some(busy) }
    }
}

impl From<Source> for ViewerBody {
    fn from(source: Source) -> Self {
        Self { source, sent: None, busy: None }
    }
}

impl Stored {
    fn next(&mut self) -> Option<Bytes> {
        while self.left > 0 {
            let segment = self.object.body.segments().get(self.next_segment)?;
            self.next_segment += 1;
            if let Some(bytes) = cut(segment.clone(), &mut self.skip, Some(&mut self.left)) {
                return Some(bytes);
            }
        }
        None
    }
}

/// What is wanted of a piece, after `skip` bytes and no more than `left`; both are counted down.
fn cut(mut piece: Bytes, skip: &mut u64, left: Option<&mut u64>) -> Option<Bytes> {
    let skipped = (*skip).min(piece.len() as u64);
    *skip -= skipped;
    let mut piece = piece.split_off(usize::try_from(skipped).unwrap_or(usize::MAX));
    if let Some(left) = left {
        piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= piece.len() as u64;
    }
    (!piece.is_empty()).then_some(piece)
}

impl Growing {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        while self.left != Some(0) {
            match std::task::ready!(self.reader.poll_next(cx)) {
                None => break,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(piece)) => {
                    if let Some(bytes) = cut(piece, &mut self.skip, self.left.as_mut()) {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
            }
        }
        Poll::Ready(None)
    }
}

impl Passing {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(Some(Ok(frame))) => {
                    self.silent = false;
                    // Trailers are dropped: nothing said that the viewer wants them.
                    if let Ok(bytes) = frame.into_data() {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
                Poll::Pending => {
                    if !std::mem::replace(&mut self.silent, true) {
                        self.silence.as_mut().reset(Instant::now() + self.silence_max);
                    }
                    return self.silence.as_mut().poll(cx).map(|()| Some(Err(BodyError::Silence)));
                }
            }
        }
    }
}

impl Body for ViewerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(busy) = &this.busy {
            busy.asked();
        }
        let next = match &mut this.source {
            Source::Empty => None,
            Source::One(bytes) => {
                Some(Ok(std::mem::take(bytes))).filter(|b| b.as_ref().is_ok_and(|b| !b.is_empty()))
            }
            Source::Stored(stored) => stored.next().map(Ok),
            Source::Growing(growing) => std::task::ready!(growing.poll_next(cx)),
            Source::Passing(passing) => std::task::ready!(passing.poll_next(cx)),
        };
        if let (Some(metrics), Some(Ok(bytes))) = (&this.sent, &next) {
            metrics.viewer_bytes_sent.add(bytes.len() as u64);
        }
        if let (Some(busy), Some(Ok(_))) = (&this.busy, &next) {
            busy.handed_over();
        }
        Poll::Ready(next.map(|result| result.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::One(bytes) => bytes.is_empty(),
            Source::Stored(stored) => stored.left == 0,
            Source::Growing(growing) => growing.left == Some(0),
            Source::Passing(passing) => passing.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::One(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Stored(stored) => SizeHint::with_exact(stored.left),
            Source::Growing(growing) => growing.left.map_or_else(SizeHint::default, SizeHint::with_exact),
            Source::Passing(passing) => passing.incoming.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_cut_to_what_is_wanted() {
        let piece = || Bytes::from_static(b"0123456789");
        let (mut skip, mut left) = (12, 5);
        assert_eq!(cut(piece(), &mut skip, Some(&mut left)), None);
        assert_eq!(cut(piece(), &mut skip, Some(&mut left)).as_deref(), Some(&b"23456"[..]));
        assert_eq!((skip, left), (0, 0));
        assert_eq!(cut(piece(), &mut skip, None).as_deref(), Some(&b"0123456789"[..]));
    }
}
