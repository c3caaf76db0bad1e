//! Handing a connection over to hyper: with a request that has been sent and what has come of the response.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::{Buf as _, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection that hyper takes for one on which nothing has been said: it writes the request, which goes nowhere because it has
/// been sent, and then reads the response from its first byte on.
pub(super) struct HandedOver {
    io: TokioIo<TcpStream>,
    /// What has come of the response.
    come: Bytes,
    request: Sent,
}

/// How far hyper is with the request that has been sent.
enum Sent {
    /// It has written nothing yet, and must not see a response to what it does not know of. Here is who wants to read.
    Unwritten(Option<Waker>),
    /// It has written some of it.
    Written(Option<Waker>),
    /// It has written all of it: what it writes from now on is for the origin.
    Over,
}

impl HandedOver {
    /// With a request that has been sent, of whose response this much has come.
    pub(super) fn answered(stream: TcpStream, come: Bytes) -> Self {
        Self { io: TokioIo::new(stream), come, request: Sent::Unwritten(None) }
    }

    /// On which nothing is under way.
    pub(super) fn idle(stream: TcpStream) -> Self {
        Self { io: TokioIo::new(stream), come: Bytes::new(), request: Sent::Over }
    }

    /// Whether what is written goes nowhere.
    fn swallows(&mut self) -> bool {
        if let Sent::Unwritten(reader) = &mut self.request {
            self.request = Sent::Written(reader.take());
        }
        matches!(self.request, Sent::Written(_))
    }
}

impl Read for HandedOver {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if let Sent::Unwritten(reader) | Sent::Written(reader) = &mut self.request {
            *reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if !self.come.is_empty() {
            let now = self.come.len().min(buf.remaining());
            buf.put_slice(&self.come[..now]);
            self.come.advance(now);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for HandedOver {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.swallows() {
            true => Poll::Ready(Ok(buf.len())),
            false => Pin::new(&mut self.io).poll_write(cx, buf),
        }
    }

    /// hyper calls this when it has written all it has.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Sent::Written(reader) = &mut self.request {
            if let Some(reader) = reader.take() {
                reader.wake();
            }
            self.request = Sent::Over;
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.swallows() {
            true => Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum())),
            false => Pin::new(&mut self.io).poll_write_vectored(cx, bufs),
        }
    }
}
