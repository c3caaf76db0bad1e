//! The gate: what hyper sees of a connection. It gets the heads it is given, and whatever belongs to them, and is known to be done
//! with them when it is.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    rt::{Read, ReadBufCursor, Write},
    service::Service,
};

use crate::viewer::connection::ViewerIo;

/// What a connection and its hyper share.
pub(crate) struct Gate {
    pub(crate) io: RefCell<ViewerIo>,
    /// Bytes that hyper has not taken yet.
    given: RefCell<BytesMut>,
    /// Whether there are bytes behind what was given, which are not hyper's yet. Until they are, nothing may be read past them.
    behind: Cell<bool>,
    /// Heads given that have not become requests.
    heads: Cell<usize>,
    /// Requests whose answers hyper has not had to the end.
    unanswered: Cell<usize>,
    /// Whether hyper holds bytes of answers back.
    unflushed: Cell<bool>,
    /// Whether hyper has read from the connection itself: then only it knows where the next request begins.
    hypers: Cell<bool>,
    ending: Cell<bool>,
}

impl Gate {
    pub(crate) fn new(io: ViewerIo) -> Rc<Self> {
        Rc::new(Self {
            io: RefCell::new(io),
            given: RefCell::default(),
            behind: Cell::default(),
            heads: Cell::default(),
            unanswered: Cell::default(),
            unflushed: Cell::default(),
            hypers: Cell::default(),
            ending: Cell::default(),
        })
    }

    /// Gives hyper the head of one request that has no body. `behind`: whether more bytes have come after it.
    pub(crate) fn give(&self, head: &[u8], behind: bool) {
        self.behind.set(behind);
        self.given.borrow_mut().extend_from_slice(head);
        self.heads.set(self.heads.get() + 1);
    }

    /// Gives hyper these bytes, and all that follow on this connection.
    pub(crate) fn give_over(&self, bytes: &[u8]) {
        self.behind.set(false);
        self.given.borrow_mut().extend_from_slice(bytes);
        self.hypers.set(true);
    }

    /// Whether hyper has answered what it was given, sent the answers, and knows nothing of what follows.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.unflushed.get() && self.awaits_nothing()
    }

    fn awaits_nothing(&self) -> bool {
        let has_more_to_do = self.hypers.get() || self.ending.get();
        !has_more_to_do
            && self.heads.get() == 0
            && self.unanswered.get() == 0
            && self.given.borrow().is_empty()
    }
}

/// The gate as hyper's transport.
pub(crate) struct HyperIo(pub(crate) Rc<Gate>);

impl Read for HyperIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let gate = &self.0;
        {
            let mut given = gate.given.borrow_mut();
            if !given.is_empty() {
                let now = given.len().min(buf.remaining());
                buf.put_slice(&given[..now]);
                given.advance(now);
                return Poll::Ready(Ok(()));
            }
        }
        if gate.behind.get() || gate.awaits_nothing() {
            // Whoever gives the next head polls hyper as well; and a head that was given has no body to wait for.
            return Poll::Pending;
        }
        let result = ready!(Pin::new(&mut *gate.io.borrow_mut()).poll_read(cx, buf));
        gate.hypers.set(true);
        Poll::Ready(result)
    }
}

impl Write for HyperIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.unflushed.set(true);
        Pin::new(&mut *self.0.io.borrow_mut()).poll_write(cx, buf)
    }

    /// hyper calls this when it has written all it has.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut *self.0.io.borrow_mut()).poll_flush(cx);
        if flushed.is_ready() {
            self.0.unflushed.set(false);
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.ending.set(true);
        Pin::new(&mut *self.0.io.borrow_mut()).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.io.borrow().is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.unflushed.set(true);
        Pin::new(&mut *self.0.io.borrow_mut()).poll_write_vectored(cx, bufs)
    }
}

/// A request that hyper has not had the answer of to the end.
struct Unanswered(Rc<Gate>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.unanswered.set(self.0.unanswered.get() - 1);
    }
}

/// A service whose answers are counted until hyper is done with them.
pub(crate) struct Counted<S> {
    pub(crate) service: S,
    pub(crate) gate: Rc<Gate>,
}

impl<S, B> Service<Request<Incoming>> for Counted<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Future: Unpin,
{
    type Response = Response<CountedBody<B>>;
    type Error = S::Error;
    type Future = CountedAnswer<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.gate.heads.set(self.gate.heads.get().saturating_sub(1));
        self.gate.unanswered.set(self.gate.unanswered.get() + 1);
        let unanswered = Some(Unanswered(Rc::clone(&self.gate)));
        CountedAnswer { answer: self.service.call(request), unanswered }
    }
}

/// An answer that is waited for.
pub(crate) struct CountedAnswer<F> {
    answer: F,
    unanswered: Option<Unanswered>,
}

impl<F, B, E> Future for CountedAnswer<F>
where
    F: Future<Output = Result<Response<B>, E>> + Unpin,
{
    type Output = Result<Response<CountedBody<B>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.answer).poll(cx))?;
        let unanswered = self.unanswered.take();
        Poll::Ready(Ok(response.map(|body| CountedBody { body, _unanswered: unanswered })))
    }
}

/// A body that hyper drops when it is done with it.
pub(crate) struct CountedBody<B> {
    body: B,
    _unanswered: Option<Unanswered>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
