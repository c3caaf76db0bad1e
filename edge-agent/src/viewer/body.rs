//! Bodies on their way to a viewer: from memory, from a fill under way, or straight from the origin.

use std::{
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep},
};

use super::{connection::Busy, multipart::Multipart};
use crate::{
    cache::{
        coalescing::body::{ReadError, Reader},
        object::Object,
    },
    end_to_end,
    metrics::WorkerMetrics,
    origin::{
        http::UnderWay,
        response::{ResponseBody, ResponseError},
    },
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
    Written(Vec<u8>, Stored),
    Parts(Box<Parts>),
    Growing(Growing),
    Assembled(Assembled),
    Passing(Box<Passing>),
}

/// Part of a stored object.
#[derive(Debug)]
struct Stored {
    object: Arc<Object>,
    position: u64,
    end: u64,
}

/// Several parts of a stored object.
#[derive(Debug)]
struct Parts {
    multipart: Multipart,
    current: Stored,
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

/// What somebody else puts together, and how much of it is still to come.
#[derive(Debug)]
struct Assembled {
    pieces: mpsc::Receiver<Result<Bytes, ReadError>>,
    left: u64,
}

/// A piece of a body that is put together.
#[derive(Debug)]
pub enum Piece {
    /// As it is.
    Text(Bytes),
    /// These bytes of an object.
    Of(Range<u64>),
}

/// A response that is this viewer's alone.
#[derive(Debug)]
struct Passing {
    incoming: ResponseBody,
    silence_max: Duration,
    silence: Pin<Box<Sleep>>,
    silent: bool,
    /// Whether the viewer gets the trailers.
    trailers: bool,
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
    Origin(#[from] ResponseError),
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
        match object.body_from(start) {
            Some(piece) if piece.len() as u64 == end.saturating_sub(start) => Self::one(piece),
            _ => Source::Stored(Stored { object: Arc::clone(object), position: start, end }).into(),
        }
    }

    /// A stored object, with the head of the response as it is to be sent. For those who know to [take](Self::take_written) it.
    #[must_use]
    pub(crate) fn written(head: Vec<u8>, object: &Arc<Object>) -> Self {
        let end = object.body_bytes();
        Source::Written(head, Stored { object: Arc::clone(object), position: 0, end }).into()
    }

    /// The head that is written, and the object whose body follows.
    #[must_use]
    pub(crate) fn take_written(&mut self) -> Option<(Vec<u8>, Arc<Object>)> {
        match std::mem::replace(&mut self.source, Source::Empty) {
            Source::Written(head, stored) => Some((head, stored.object)),
            source => {
                self.source = source;
                None
            }
        }
    }

    /// The head that is written, to be changed.
    pub(crate) fn written_head(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.source {
            Source::Written(head, _) => Some(head),
            _ => None,
        }
    }

    /// Several parts of a stored object.
    #[must_use]
    pub(crate) fn parts(object: &Arc<Object>, multipart: Multipart) -> Self {
        let current = Stored { object: Arc::clone(object), position: 0, end: 0 };
        Source::Parts(Box::new(Parts { left: multipart.length, multipart, current })).into()
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

    /// What comes in pieces from somebody who puts it together, `left` bytes in all.
    #[must_use]
    pub(crate) fn assembled(
        pieces: mpsc::Receiver<Result<Bytes, ReadError>>,
        left: u64,
        busy: Busy,
        sent: Arc<WorkerMetrics>,
    ) -> Self {
        Self { source: Source::Assembled(Assembled { pieces, left }), sent: Some(sent), busy: Some(busy) }
    }

    /// A response passed on as it comes, as long as the origin is not silent for longer than `silence_max`.
    #[must_use]
    pub(crate) fn passing(
        incoming: ResponseBody,
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
            trailers: false,
            _under_way: under_way,
        };
        Self { source: Source::Passing(Box::new(passing)), sent: Some(sent), busy: Some(busy) }
    }

    /// Passes trailers on as well, if it is a response that is passed on: the viewer takes them.
    #[must_use]
    pub(crate) fn with_trailers(mut self) -> Self {
        if let Source::Passing(passing) = &mut self.source {
            passing.trailers = true;
        }
        self
    }
}

impl From<Source> for ViewerBody {
    fn from(source: Source) -> Self {
        Self { source, sent: None, busy: None }
    }
}

impl Stored {
    fn next(&mut self) -> Option<Bytes> {
        if self.position >= self.end {
            return None;
        }
        let mut piece = self.object.body_from(self.position)?;
        piece.truncate(usize::try_from(self.end - self.position).unwrap_or(usize::MAX));
        self.position += piece.len() as u64;
        Some(piece)
    }
}

impl Parts {
    fn next(&mut self) -> Option<Bytes> {
        let piece = self.current.next().or_else(|| match self.multipart.parts.pop_front() {
            Some((head, range)) => {
                (self.current.position, self.current.end) = (range.start, range.end);
                Some(head)
            }
            None => Some(std::mem::take(&mut self.multipart.closing)).filter(|closing| !closing.is_empty()),
        })?;
        self.left = self.left.saturating_sub(piece.len() as u64);
        Some(piece)
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
            match ready!(self.reader.poll_next(cx)) {
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

impl Assembled {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let next = ready!(self.pieces.poll_recv(cx)).unwrap_or(Err(ReadError::Broken));
        if let Ok(bytes) = &next {
            self.left = self.left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(Some(next.map_err(BodyError::from)))
    }
}

impl Passing {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(Some(Ok(frame))) => {
                    self.silent = false;
                    match frame.into_data() {
                        Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                        Err(frame) => {
                            let trailers = frame.into_trailers().unwrap_or_default();
                            if self.trailers && !trailers.is_empty() {
                                let trailers = end_to_end::trailers(&trailers);
                                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                            }
                        }
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
        let data = |bytes: Option<Bytes>| bytes.map(|bytes| Ok(Frame::data(bytes)));
        let next = match &mut this.source {
            Source::Empty => None,
            Source::One(bytes) => data(Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())),
            Source::Stored(stored) | Source::Written(_, stored) => data(stored.next()),
            Source::Parts(parts) => data(parts.next()),
            Source::Growing(growing) => ready!(growing.poll_next(cx)).map(|next| next.map(Frame::data)),
            Source::Assembled(assembled) => ready!(assembled.poll_next(cx)).map(|next| next.map(Frame::data)),
            Source::Passing(passing) => ready!(passing.poll_next(cx)),
        };
        if let (Some(metrics), Some(Ok(frame))) = (&this.sent, &next) {
            metrics.viewer_bytes_sent.add(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        if let (Some(busy), Some(Ok(_))) = (&this.busy, &next) {
            busy.handed_over();
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::One(bytes) => bytes.is_empty(),
            Source::Stored(stored) | Source::Written(_, stored) => stored.position >= stored.end,
            Source::Parts(parts) => parts.left == 0,
            Source::Growing(growing) => growing.left == Some(0),
            Source::Assembled(assembled) => assembled.left == 0,
            Source::Passing(passing) => passing.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::One(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Stored(stored) | Source::Written(_, stored) => {
                SizeHint::with_exact(stored.end.saturating_sub(stored.position))
            }
            Source::Parts(parts) => SizeHint::with_exact(parts.left),
            Source::Growing(growing) => growing.left.map_or_else(SizeHint::default, SizeHint::with_exact),
            Source::Assembled(assembled) => SizeHint::with_exact(assembled.left),
            Source::Passing(passing) => passing.incoming.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::{cache::object::Head, clock::Timestamp};

    #[test]
    fn pieces_are_cut_to_what_is_wanted() {
        let piece = || Bytes::from_static(b"0123456789");
        let (mut skip, mut left) = (12, 5);
        assert_eq!(cut(piece(), &mut skip, Some(&mut left)), None);
        assert_eq!(cut(piece(), &mut skip, Some(&mut left)).as_deref(), Some(&b"23456"[..]));
        assert_eq!((skip, left), (0, 0));
        assert_eq!(cut(piece(), &mut skip, None).as_deref(), Some(&b"0123456789"[..]));
    }

    #[tokio::test]
    async fn parts_of_a_large_object_are_handed_over_as_they_are_held() {
        let chunks: Vec<Bytes> = (0..9u8).map(|i| Bytes::from(vec![i; 1 << 20])).collect();
        let head = Head::sample(Timestamp::default(), Duration::ZERO);
        let object = Arc::new(Object::new(head, &chunks, 9 << 20));
        let whole: Vec<u8> = chunks.iter().flatten().copied().collect();
        // Across a border of segments, and up to the end.
        let ranges = [(4 << 20) - 3..(4 << 20) + 3, 0..1, (9 << 20) - 2..9 << 20];
        let multipart = Multipart::new(&ranges, 9 << 20, None);
        let around = (multipart.parts.clone(), multipart.closing.clone());
        let mut expected = Vec::new();
        for (head, range) in &around.0 {
            expected.extend_from_slice(head);
            expected.extend_from_slice(
                &whole[usize::try_from(range.start).expect("small")..][..(range.end - range.start) as usize],
            );
        }
        expected.extend_from_slice(&around.1);
        let mut body = ViewerBody::parts(&object, multipart);
        let mut sent = Vec::new();
        while let Some(frame) = body.frame().await {
            assert!(!body.is_end_stream() || body.size_hint().exact() == Some(0));
            let piece = frame.expect("frame").into_data().expect("data");
            let is_copy = !object.body().any(|s| s.as_ptr_range().contains(&piece.as_ptr()));
            assert!(!is_copy || piece.starts_with(b"--") || piece.starts_with(b"\r\n--"));
            sent.extend_from_slice(&piece);
            assert_eq!(body.size_hint().exact(), Some((expected.len() - sent.len()) as u64));
        }
        assert!(sent == expected && body.is_end_stream());
        let one = ViewerBody::stored(&object, (4 << 20) - 3, (8 << 20) + 3);
        assert_eq!(one.size_hint().exact(), Some((4 << 20) + 6));
        assert!(one.collect().await.expect("body").to_bytes() == whole[(4 << 20) - 3..(8 << 20) + 3]);
    }
}
