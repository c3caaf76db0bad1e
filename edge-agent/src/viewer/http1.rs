//! An HTTP/1.1 connection. A plain GET for what is fresh in the cache is answered here, with a head that was made when the object was
//! stored; so is one for what is not there at all, if it comes in one piece. Every other request is hyper's, and the connection comes
//! back when hyper has answered it.
//!
//! ```text
//! read ─► plain?  ─yes─► fresh in the cache? ─yes─────────────────────► send ─┐
//!   ▲        no │           no │       └─ nothing there ─► wait ─ whole ─►┘   │
//!   │           └───► hyper ◄──┴─────────────── else ───────┘                 │
//!   │                   │ answered, all sent                                  │
//!   └───────────────────┴─────────────────────────────────────────────────────┘
//! ```
//!
//! What cannot be delimited by its head alone (a body, another protocol, garbage) is given to hyper with all that follows.

mod gate;
mod plain;
mod sending;
mod tunnel;

use std::{
    cell::RefCell,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;

use self::{
    gate::{Counted, Gate, HyperIo},
    sending::Sending,
};
pub(crate) use self::{
    plain::{Plain, Received, read},
    sending::COPIED_BYTES_MAX,
};
use super::{
    connection::{Drain, ViewerIo},
    listener::{Requests, Side},
    request::HEAD_BYTES_MAX,
};
use crate::pipeline::{Answer, Quick, websocket::Tunnel};

/// hyper, as far as it is needed.
type Hyper = http1::Connection<HyperIo, Counted<Requests>>;

/// Bytes read of a connection at once: most requests, and a few of those that are sent without waiting for answers.
const READ_BYTES: usize = 16 << 10;

/// Memory that the connections of one worker use by turns.
pub(crate) struct Buffers {
    /// What is read to, for as long as nothing else is read.
    read: RefCell<Box<[u8]>>,
    /// What a head is written to.
    head: RefCell<Vec<u8>>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { read: RefCell::new(vec![0; READ_BYTES].into()), head: RefCell::default() }
    }
}

impl Buffers {
    fn put_back(&self, mut head: Vec<u8>) {
        if head.capacity() > self.head.borrow().capacity() {
            head.clear();
            self.head.replace(head);
        }
    }
}

/// A connection.
pub(crate) struct Http1 {
    gate: Rc<Gate>,
    requests: Requests,
    builder: http1::Builder,
    /// Bytes that have come and belong to no request yet.
    received: Vec<u8>,
    /// Only connections that need it have one.
    hyper: Option<Pin<Box<Hyper>>>,
    stage: Stage,
    draining: bool,
}

enum Stage {
    Reading,
    Sending(Sending),
    /// For the answer to a request that has this head.
    Waiting(Answer, Bytes),
    Hyper,
    /// Bytes of another protocol, until it ends.
    Tunnel(Pin<Box<dyn Future<Output = io::Result<()>>>>),
}

impl Http1 {
    /// A connection whose requests that are not answered here go to `requests`, by way of what `builder` makes.
    pub(crate) fn new(io: ViewerIo, requests: Requests, builder: http1::Builder) -> Self {
        Self {
            gate: Gate::new(io),
            requests,
            builder,
            received: Vec::new(),
            hyper: None,
            stage: Stage::Reading,
            draining: false,
        }
    }

    /// Reads until something can be done with it. `false` if the viewer has gone.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let buffers = Rc::clone(&self.requests.buffers);
        let mut bytes = buffers.read.borrow_mut();
        loop {
            let came = ready!(self.gate.io.borrow_mut().poll_take(cx, &mut bytes))?;
            if came == 0 {
                return Poll::Ready(Ok(false));
            }
            let came = &bytes[..came];
            // Nearly always the request is all there is, and is not worth keeping.
            if self.received.is_empty() {
                let used = self.take(came);
                self.received.extend_from_slice(&came[used..]);
            } else {
                self.received.extend_from_slice(came);
                // Without the end of a line there is no end of a head: who sends byte by byte is not read anew with each.
                if came.contains(&b'\n') || self.received.len() >= HEAD_BYTES_MAX {
                    self.take_received();
                }
            }
            if !matches!(self.stage, Stage::Reading) {
                return Poll::Ready(Ok(true));
            }
        }
    }

    /// Does what can be done with what was received before.
    fn take_received(&mut self) {
        let received = std::mem::take(&mut self.received);
        let used = self.take(&received);
        self.received = received;
        self.received.drain(..used);
    }

    /// Begins to answer the first request in these bytes. Returns how many of them it takes up.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let length = match plain::read(bytes) {
            Received::Part if bytes.len() < HEAD_BYTES_MAX => return 0,
            Received::Plain(_, length) if self.requests.side == Side::Edges => length,
            Received::Plain(plain, length) => {
                let mut head = self.requests.buffers.head.take();
                match self.requests.worker.quick(&plain, &self.requests.peer, &mut head) {
                    Some(answer) => {
                        self.stage = Stage::Sending(Sending::new(head, answer));
                        return length;
                    }
                    None => self.requests.buffers.put_back(head),
                }
                if self.requests.worker.found_nothing() {
                    let head = Bytes::copy_from_slice(&bytes[..length]);
                    if let Some(request) = plain::request(&head) {
                        let Requests { worker, peer, state, .. } = &self.requests;
                        self.stage = Stage::Waiting(worker.serve_directly(request, peer, state), head);
                        return length;
                    }
                }
                length
            }
            Received::Other(length) => length,
            Received::Part | Received::Unclear => {
                self.gate.give_over(bytes);
                self.stage = Stage::Hyper;
                return bytes.len();
            }
        };
        self.gate.give(&bytes[..length], bytes.len() > length);
        self.stage = Stage::Hyper;
        length
    }

    /// Waits for an answer, and goes on with it.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Stage::Waiting(answer, head) = &mut self.stage else { return Poll::Ready(Ok(())) };
        let Poll::Ready(Ok(mut response)) = Pin::new(answer).poll(cx) else {
            return self.poll_meanwhile(cx);
        };
        self.stage = match response.body_mut().take_written() {
            Some((head, object)) => Stage::Sending(Sending::new(head, Quick { object, on_disk: None })),
            None => {
                // hyper gets request and answer together.
                self.requests.answered.replace(Some(Answer::now(response)));
                self.gate.give(head, !self.received.is_empty());
                Stage::Hyper
            }
        };
        Poll::Ready(Ok(()))
    }

    /// Reads what comes while an answer is waited for, which is nearly always nothing. A viewer who has said all waits as well.
    fn poll_meanwhile(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = self.requests.buffers.read.borrow_mut();
        while self.received.len() < HEAD_BYTES_MAX {
            match ready!(self.gate.io.borrow_mut().poll_take(cx, &mut bytes))? {
                0 => break,
                came => self.received.extend_from_slice(&bytes[..came]),
            }
        }
        Poll::Pending
    }

    /// Lets hyper answer. `false` if the connection is at its end.
    fn poll_hyper(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let connection = self.hyper.get_or_insert_with(|| {
            let counted = Counted { service: self.requests.clone(), gate: Rc::clone(&self.gate) };
            Box::pin(self.builder.serve_connection(HyperIo(Rc::clone(&self.gate)), counted))
        });
        if self.draining {
            connection.as_mut().graceful_shutdown();
        }
        match connection.as_mut().poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(self.begin_tunnel())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(io::Error::other(error))),
            Poll::Pending if self.gate.is_quiet() => Poll::Ready(Ok(true)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Begins to be a tunnel, if hyper has ended because of that.
    fn begin_tunnel(&mut self) -> bool {
        let (Some(tunnel), Some(hyper)) = (self.requests.state.take_tunnel(), self.hyper.take()) else {
            return false;
        };
        let parts = Pin::into_inner(hyper).into_parts();
        self.stage = Stage::Tunnel(Box::pin(async move {
            let Tunnel { origin, open: _open, busy: _busy } = tunnel;
            tunnel::carry(TokioIo::new(parts.io), origin, &parts.read_buf, tunnel::SILENCE_MAX).await
        }));
        true
    }

    /// Goes on to the next request.
    fn next(&mut self) {
        self.stage = Stage::Reading;
        if !self.received.is_empty() && !self.draining {
            self.take_received();
        }
    }
}

impl Future for Http1 {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.stage {
                Stage::Reading if this.draining && this.received.is_empty() => return Poll::Ready(Ok(())),
                Stage::Reading if this.draining => {
                    // hyper knows when a request that has begun is to be waited for.
                    this.gate.give_over(&std::mem::take(&mut this.received));
                    this.stage = Stage::Hyper;
                }
                Stage::Reading => {
                    if !ready!(this.poll_read(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Stage::Sending(sending) => {
                    ready!(sending.poll(&mut this.gate.io.borrow_mut(), cx))?;
                    this.requests.buffers.put_back(sending.take_buffer());
                    this.next();
                }
                Stage::Waiting(..) => ready!(this.poll_waiting(cx))?,
                Stage::Hyper => {
                    if !ready!(this.poll_hyper(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                    if !matches!(this.stage, Stage::Tunnel(_)) {
                        this.next();
                    }
                }
                // There is no end that both sides would know of.
                Stage::Tunnel(_) if this.draining => return Poll::Ready(Ok(())),
                Stage::Tunnel(tunnel) => return tunnel.as_mut().poll(cx),
            }
        }
    }
}

impl Drain for Http1 {
    fn drain(mut self: Pin<&mut Self>) {
        self.draining = true;
    }
}
