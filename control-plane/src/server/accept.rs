//! Accepting connections, never more than a limit at once.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Pause after a failed accept: it fails when file descriptors run out, and then again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A peer that has said nothing for this long gives its place to others.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);

/// One accepted connection; others may come in its place when it is dropped.
#[derive(Debug)]
pub(super) struct Accepted {
    stream: TcpStream,
    /// Until the first byte: HTTP/2's own keep-alive begins only after that.
    silence: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

/// Accepts for ever. While `connections_max` are open, the others wait in the kernel's queue.
pub(super) fn accept(
    listener: TcpListener,
    connections_max: usize,
) -> impl Stream<Item = Result<Accepted, Infallible>> + Send {
    let places = Arc::new(Semaphore::new(connections_max));
    stream::unfold((listener, places), |(listener, places)| async {
        // The semaphore is never closed.
        let place = places.clone().acquire_owned().await.ok()?;
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        };
        // Messages are small and waited for. Failing here means that the peer has gone already.
        let _ = stream.set_nodelay(true);
        Some((
            Ok(Accepted { stream, silence: Some(Box::pin(sleep(FIRST_BYTE_TIMEOUT))), _place: place }),
            (listener, places),
        ))
    })
}

impl Connected for Accepted {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let this = &mut *self;
        if read.is_ready() {
            this.silence = None;
        } else if let Some(silence) = &mut this.silence {
            return silence.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
