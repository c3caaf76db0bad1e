//! HTTP/2 connections to origins, each of which carries many requests at once (RFC 9113).

use std::{cell::Cell, pin::Pin, rc::Rc, time::Duration};

use http::{Request, Response, Uri, Version, header};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http2::{Builder, SendRequest},
    },
    rt::{Executor, Read, Write},
};
use hyper_util::rt::TokioTimer;
use tokio::time::Instant;

use super::{Fault, body::OutgoingBody};
use crate::error_chain::ErrorChain;

/// Requests that one connection carries at once, if the origin does not allow fewer. More have another connection.
const STREAMS_MAX: usize = 64;
/// Bytes of one response that may wait for its viewer.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// Bytes of all responses on one connection that may wait: as many as fit into the windows of all, so that viewers who take nothing
/// never stop the others.
const CONNECTION_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES * STREAMS_MAX as u32;
/// Bytes of a response head.
const HEAD_BYTES_MAX: u32 = 64 << 10;
/// Bytes of one request's body that may wait for the origin.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// How long a connection takes on new requests: an origin's addresses and this edge's certificate change.
const AGE_MAX: Duration = Duration::from_secs(600);
/// How long a connection with requests under way may be silent before the origin is asked whether it is there.
const PING_AFTER: Duration = Duration::from_secs(10);
/// How long it may take to say so.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<OutgoingBody>,
    streams: Cell<usize>,
    /// How many the origin allows.
    allowed: Rc<Cell<usize>>,
    since: Instant,
    /// When the last request ended.
    idle_since: Cell<Instant>,
    keep: Duration,
}

/// A place for one request on a connection.
#[derive(Debug)]
pub(super) struct Stream {
    connection: Rc<Connection>,
    sender: SendRequest<OutgoingBody>,
}

/// Runs a connection on the worker that made it.
#[derive(Debug, Clone, Copy)]
struct OnThisWorker;

impl<F: Future + 'static> Executor<F> for OnThisWorker {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move { drop(future.await) });
    }
}

impl Connection {
    /// Begins to speak HTTP/2; afterwards it is kept for this long while there is nothing to do.
    pub(super) async fn begin(
        io: impl Read + Write + Unpin + 'static,
        keep: Duration,
    ) -> Result<Rc<Self>, Fault> {
        let begun = Builder::new(OnThisWorker)
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEAD_BYTES_MAX)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PONG_WITHIN)
            .handshake(io)
            .await;
        let (sender, mut connection) =
            begun.map_err(|error| Fault::Connect(ErrorChain(&error).to_string()))?;
        let allowed = Rc::new(Cell::new(STREAMS_MAX));
        let told = Rc::clone(&allowed);
        tokio::task::spawn_local(async move {
            let run = std::future::poll_fn(|cx| {
                let polled = Pin::new(&mut connection).poll(cx);
                told.set(connection.current_max_send_streams());
                polled
            });
            // Whoever has a request under way learns of it from the response.
            if let Err(error) = run.await {
                tracing::trace!(%error, "an HTTP/2 connection to an origin ended");
            }
        });
        let now = Instant::now();
        let (streams, idle_since) = (Cell::new(0), Cell::new(now));
        Ok(Rc::new(Self { sender, streams, allowed, since: now, idle_since, keep }))
    }

    /// A place for one request more, if there is one.
    pub(super) fn stream(self: &Rc<Self>, now: Instant) -> Option<Stream> {
        let streams = self.streams.get();
        let allowed = STREAMS_MAX.min(self.allowed.get().max(1));
        if self.is_over(now) || streams >= allowed {
            return None;
        }
        self.streams.set(streams + 1);
        Some(Stream { connection: Rc::clone(self), sender: self.sender.clone() })
    }

    /// Whether it takes on no more requests. Those under way are none of its keeper's business.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let idle = self.streams.get() == 0 && now.duration_since(self.idle_since.get()) >= self.keep;
        idle || self.sender.is_closed() || now.duration_since(self.since) >= AGE_MAX
    }
}

impl Stream {
    /// Sends a request as HTTP/2 has it and waits for the head of the response. A future that is dropped ends the stream, and not the
    /// connection.
    pub(super) fn send(
        &mut self,
        request: Request<OutgoingBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<OutgoingBody>>>> + use<> {
        self.sender.try_send_request(request)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.streams.set(self.connection.streams.get() - 1);
        self.connection.idle_since.set(Instant::now());
    }
}

/// A request in the form of HTTP/2: scheme and authority are in its target, and it says nothing about the connection (RFC 9113
/// sections 8.2.2 and 8.3.1).
///
/// # Errors
/// When its host can be no authority.
pub(super) fn in_its_form(request: &mut Request<OutgoingBody>, server: &str) -> Result<(), Fault> {
    let scheme = server.split_once("://").map_or("http", |(scheme, _)| scheme);
    let host = request.headers_mut().remove(header::HOST);
    let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
    let target = [scheme, "://", host, request.uri().path_and_query().map_or("/", |target| target.as_str())];
    *request.uri_mut() = target.concat().parse::<Uri>().map_err(|error| Fault::Request(error.to_string()))?;
    *request.version_mut() = Version::HTTP_2;
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::EXPECT] {
        request.headers_mut().remove(name);
    }
    // Flow control holds a body back that is not wanted.
    request.body_mut().wait_no_longer();
    Ok(())
}
