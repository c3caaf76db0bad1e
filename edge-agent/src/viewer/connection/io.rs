//! A viewer's socket: bytes in and out of it, the times that the watchdog looks at, and bodies that the kernel takes from a file.

use std::{
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use tokio::{io::Interest, net::TcpStream};

use super::ConnectionState;
use crate::cache::object::Arena;

/// What is shorter is copied, even if it is in a file: that costs less than another call.
const FROM_FILE_BYTES_MIN: usize = 16 << 10;

/// A viewer's socket that notes when bytes go through.
pub(crate) struct ViewerIo {
    stream: TokioIo<TcpStream>,
    state: Rc<ConnectionState>,
    /// What lies there is sent without a copy.
    arena: Arena,
}

impl ViewerIo {
    pub(crate) fn new(stream: TcpStream, state: Rc<ConnectionState>, arena: Arena) -> Self {
        Self { stream: TokioIo::new(stream), state, arena }
    }

    /// Reads to the front of `bytes`; returns how many came, and none at the end. What plain hits are read with: the same as
    /// [`Read`], without what the C library adds to a call.
    pub(crate) fn poll_take(&mut self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        let stream = self.stream.inner();
        let came = loop {
            ready!(stream.poll_read_ready(cx))?;
            let room = bytes.len();
            let call = || rustix::net::recv(stream, &mut *bytes, RecvFlags::empty()).map(|(came, _)| came);
            if let Some(result) = once_ready(stream, Interest::READABLE, room, call) {
                break result?;
            }
        };
        self.note_read();
        Poll::Ready(Ok(came))
    }

    /// Sends these pieces as far as they are taken; returns how many bytes were.
    pub(crate) fn poll_give(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let in_file = pieces.iter().enumerate().find_map(|(at, piece)| {
            let is_long = piece.len() >= FROM_FILE_BYTES_MIN;
            let (file, offset) = is_long.then(|| self.arena.find(piece)).flatten()?;
            Some((at, file, offset))
        });
        let stream = self.stream.inner();
        let result = match in_file {
            None => {
                let call = || send(stream, pieces, SendFlags::NOSIGNAL);
                poll_write(stream, cx, bytes_of(pieces), call)
            }
            Some((at, file, offset)) => {
                let (before, bytes) = (&pieces[..at], pieces[at].len());
                let call = || send_with_file(stream, before, file, offset, bytes);
                poll_write(stream, cx, bytes_of(before) + bytes, call)
            }
        };
        self.note_write(result)
    }

    /// Sends what comes before, and then these bytes of a file, as far as they are taken; returns how many bytes were. None if
    /// the file is shorter. If its disk fails half-way, the viewer will seem to take no more, and be given up in the end.
    pub(crate) fn poll_give_file(
        &mut self,
        cx: &mut Context<'_>,
        before: &[u8],
        file: BorrowedFd<'_>,
        offset: u64,
        bytes: usize,
    ) -> Poll<io::Result<usize>> {
        let stream = self.stream.inner();
        let before = [IoSlice::new(before)];
        let before = if before[0].is_empty() { &[][..] } else { &before };
        let call = || send_with_file(stream, before, file, offset, bytes);
        let result = poll_write(stream, cx, bytes_of(before) + bytes, call);
        self.note_write(result)
    }

    fn note_read(&self) {
        let tick = self.state.tick.get();
        self.state.last_io.set(tick);
        if self.state.unanswered_since.get() == 0 && !self.state.http2.get() {
            self.state.unanswered_since.set(tick);
        }
    }

    fn note_write(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let (state, tick) = (&self.state, self.state.tick.get());
        if result.is_ready() {
            state.last_io.set(tick);
            state.stuck_since.set(0);
            state.unanswered_since.set(0);
        } else if state.stuck_since.get() == 0 {
            state.stuck_since.set(tick);
        }
        result
    }
}

fn bytes_of(pieces: &[IoSlice<'_>]) -> usize {
    pieces.iter().map(|piece| piece.len()).sum()
}

/// Copies these to the socket.
fn send(stream: &TcpStream, pieces: &[IoSlice<'_>], flags: SendFlags) -> rustix::io::Result<usize> {
    match pieces {
        [piece] => rustix::net::send(stream, piece, flags),
        _ => rustix::net::sendmsg(stream, pieces, &mut SendAncillaryBuffer::default(), flags),
    }
}

/// Copies what comes before to the socket, to go in one packet with what has the kernel take from the file.
fn send_with_file(
    stream: &TcpStream,
    before: &[IoSlice<'_>],
    file: BorrowedFd<'_>,
    mut offset: u64,
    bytes: usize,
) -> rustix::io::Result<usize> {
    let mut sent = 0;
    if !before.is_empty() {
        sent = send(stream, before, SendFlags::NOSIGNAL | SendFlags::MORE)?;
        if sent < bytes_of(before) {
            return Ok(sent);
        }
    }
    match rustix::fs::sendfile(stream, file, Some(&mut offset), bytes) {
        Ok(of_file) => Ok(sent + of_file),
        // It will come up again.
        Err(_) if sent > 0 => Ok(sent),
        Err(error) => Err(error),
    }
}

fn poll_write(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    bytes_max: usize,
    call: impl Fn() -> rustix::io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        if let Some(result) = once_ready(stream, Interest::WRITABLE, bytes_max, &call) {
            return Poll::Ready(result);
        }
    }
}

/// Does a call on a socket that is thought to be ready for it; `None` if it is not. A call that moves fewer bytes than it could is
/// taken for the last before it is no longer ready, as tokio takes it: so nothing is asked of the kernel in vain.
fn once_ready(
    stream: &TcpStream,
    interest: Interest,
    bytes_max: usize,
    call: impl FnOnce() -> rustix::io::Result<usize>,
) -> Option<io::Result<usize>> {
    let mut moved = None;
    let result = stream.try_io(interest, || {
        let bytes = call()?;
        moved = Some(bytes);
        if bytes > 0 && bytes < bytes_max { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match (moved, result) {
        (Some(bytes), _) => Some(Ok(bytes)),
        (None, Err(error))
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
        {
            None
        }
        (None, Err(error)) => Some(Err(error)),
        (None, Ok(())) => None,
    }
}

impl Read for ViewerIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if result.is_ready() {
            self.note_read();
        }
        result
    }
}

impl Write for ViewerIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_give(cx, &[IoSlice::new(buf)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_give(cx, bufs)
    }
}
