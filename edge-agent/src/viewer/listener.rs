//! Listening: one worker per core, each with its own runtime, its own sockets and its own connections.
//!
//! The kernel spreads new connections over the workers (SO_REUSEPORT); a request is served on the core that accepted it.

use std::{
    cell::RefCell,
    io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use headland_proto::model::Scheme;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::rt::TokioTimer;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::TcpStream,
    runtime::{self, LocalOptions},
    sync::watch,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    connection::{self, ConnectionState, Connections, Drain, Draining, OnThisWorker, Patience, ViewerIo},
    http1::{Buffers, Http1},
    proxy_protocol,
    reception::Entrance,
    request::HEAD_BYTES_MAX,
    who::{Peer, Viewer},
};
use crate::{
    peers::FromPeer,
    pipeline::{Answer, Shared, Worker},
};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Requests one HTTP/2 connection may have under way.
const STREAMS_MAX: u32 = 128;
/// Pause after the process has run out of something (files, memory) that accepting needs, or of allowed connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What viewers' connections may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewerLimits {
    /// How long they may take over what.
    pub patience: Patience,
    /// Open at once, on each worker; more wait to be accepted.
    pub connections_max: usize,
    /// How long they have to finish when the agent stops.
    pub drain: Duration,
}

/// One socket per worker on the same address. Port 0 becomes one free port for all.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    let first = bind_one(address)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(bind_one(address)?);
    }
    Ok(sockets)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Who asks at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Viewers.
    Viewers,
    /// Other edges, to which this one is a shield.
    Edges,
}

/// The running workers. They go on until [`Workers::stop`].
#[derive(Debug)]
pub struct Workers {
    threads: Vec<thread::JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Workers {
    /// Starts a worker for every set of sockets: `sockets[address][worker]`; `peers[worker]` are where other edges ask.
    ///
    /// # Errors
    /// When a thread or a runtime cannot be made.
    pub fn start(
        sockets: Vec<Vec<TcpListener>>,
        peers: Vec<TcpListener>,
        shared: &Arc<Shared>,
        limits: ViewerLimits,
    ) -> io::Result<Self> {
        let workers = sockets.iter().map(Vec::len).max().unwrap_or(0);
        let mut by_worker: Vec<Vec<(TcpListener, Side)>> = (0..workers).map(|_| Vec::new()).collect();
        let of_viewers = sockets.into_iter().map(|sockets| (sockets, Side::Viewers));
        for (of_one_address, side) in of_viewers.chain([(peers, Side::Edges)]) {
            for (socket, mine) in of_one_address.into_iter().zip(&mut by_worker) {
                mine.push((socket, side));
            }
        }
        let (stop, stopped) = watch::channel(false);
        let mut threads = Vec::with_capacity(workers);
        for (index, sockets) in by_worker.into_iter().enumerate() {
            let (shared, stopped) = (Arc::clone(shared), stopped.clone());
            let (made, making) = mpsc::channel();
            let thread = thread::Builder::new().name(format!("viewer-{index}")).spawn(move || {
                // A local runtime cannot change threads, so it is made on its own.
                let runtime =
                    runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
                let (runtime, result) = match runtime {
                    Ok(runtime) => (Some(runtime), Ok(())),
                    Err(error) => (None, Err(error)),
                };
                let _ = made.send(result);
                if let Some(runtime) = runtime {
                    let worker = Rc::new(Worker::new(index, &shared));
                    runtime.block_on(run(worker, sockets, limits, stopped));
                }
            })?;
            threads.push(thread);
            making.recv().map_err(io::Error::other)??;
        }
        Ok(Self { threads, stop })
    }

    /// Stops accepting, lets connections finish for as long as their limits allow, and waits for the threads.
    pub fn stop(self) {
        self.stop.send_replace(true);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
    }
}

async fn run(
    worker: Rc<Worker>,
    sockets: Vec<(TcpListener, Side)>,
    limits: ViewerLimits,
    mut stopped: watch::Receiver<bool>,
) {
    let connections = Rc::new(Connections::default());
    let protocols = Rc::new(Protocols::new(limits.patience.head));
    let mut accepting = Vec::new();
    for (socket, side) in sockets {
        match tokio::net::TcpListener::from_std(socket) {
            Ok(listener) => accepting.push(tokio::task::spawn_local(accept(
                (listener, side),
                Rc::clone(&worker),
                Rc::clone(&connections),
                Rc::clone(&protocols),
                limits,
            ))),
            Err(error) => tracing::error!(%error, "failed to listen"),
        }
    }
    let watchdog = tokio::task::spawn_local({
        let connections = Rc::clone(&connections);
        async move {
            let mut ticks = interval(connection::TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                connections.tick(limits.patience);
            }
        }
    });
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopped.wait_for(|&stop| stop).await;
    accepting.iter().for_each(tokio::task::JoinHandle::abort);
    connections.drain();
    let all_gone = async {
        while connections.open() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(limits.drain, all_gone).await.is_err() {
        tracing::warn!(
            connections = connections.open(),
            "breaking off connections that did not finish in time"
        );
        connections.abort();
    }
    watchdog.abort();
}

async fn accept(
    (listener, side): (tokio::net::TcpListener, Side),
    worker: Rc<Worker>,
    connections: Rc<Connections>,
    protocols: Rc<Protocols>,
    limits: ViewerLimits,
) {
    let entrance =
        listener.local_addr().map_or_else(|_| Entrance::default(), |at| worker.reception().entrance(at));
    loop {
        if connections.open() >= limits.connections_max {
            sleep(ACCEPT_PAUSE).await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, address)) => {
                let (worker, protocols) = (Rc::clone(&worker), Rc::clone(&protocols));
                connections.spawn(|state| async move {
                    protocols.serve(stream, address, entrance, side, worker, state).await
                });
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Bytes of bodies that hyper gathers for a viewer who does not take them, on each connection or stream: by default it would be
/// 400 KiB, which many viewers who stop reading make a lot. More than the head of a request.
const GATHERED_BYTES_MAX: usize = 128 << 10;

/// How the protocols are spoken.
struct Protocols {
    http1: http1::Builder,
    buffers: Rc<Buffers>,
    http2: http2::Builder<OnThisWorker>,
    /// For a PROXY protocol header to come.
    proxy_header_timeout: Duration,
}

impl Protocols {
    fn new(proxy_header_timeout: Duration) -> Self {
        let mut http1 = http1::Builder::new();
        http1.max_header_size(HEAD_BYTES_MAX).max_buf_size(GATHERED_BYTES_MAX);
        let mut http2 = http2::Builder::new(OnThisWorker);
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_send_buf_size(GATHERED_BYTES_MAX)
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
        Self { http1, buffers: Rc::default(), http2, proxy_header_timeout }
    }

    async fn serve(
        &self,
        mut stream: TcpStream,
        address: SocketAddr,
        entrance: Entrance,
        side: Side,
        worker: Rc<Worker>,
        state: Rc<ConnectionState>,
    ) {
        // Small responses must not wait for the acknowledgement of earlier ones.
        let _ = stream.set_nodelay(true);
        let Some(peer) = self.peer(&mut stream, address, entrance, &worker).await else {
            tracing::debug!(%address, "refused a connection without a PROXY protocol header from a trusted proxy");
            worker.count_unproxied();
            return;
        };
        let Some(http2) = connection::speaks_http2(&stream).await else {
            return;
        };
        let io = ViewerIo::new(stream, Rc::clone(&state), worker.arena().clone());
        let buffers = Rc::clone(&self.buffers);
        let answered = Rc::default();
        let requests = Requests { worker, peer, side, state: Rc::clone(&state), buffers, answered };
        // A connection ends in an error whenever a viewer leaves or sends garbage. That is the viewer's affair.
        let ended = if http2 {
            state.speaks_http2();
            Draining::new(self.http2.serve_connection(io, requests), state).await.map_err(io::Error::other)
        } else {
            Draining::new(Http1::new(io, requests, self.http1.clone()), state).await
        };
        if let Err(error) = ended {
            tracing::trace!(%error, %address, "connection ended early");
        }
    }

    /// Who opened a connection: the other end of it, or whoever a trusted proxy says. `None` if it says nothing where it has to.
    async fn peer(
        &self,
        stream: &mut TcpStream,
        address: SocketAddr,
        entrance: Entrance,
        worker: &Worker,
    ) -> Option<Peer> {
        let reception = worker.reception();
        let mut header = proxy_protocol::Header::default();
        if entrance.proxy_protocol {
            if !reception.proxies.contain(address.ip()) {
                return None;
            }
            header = timeout(self.proxy_header_timeout, proxy_protocol::read(stream)).await.ok()?.ok()?;
        }
        let scheme = match header.tls.unwrap_or(entrance.behind_tls) {
            true => Scheme::Https,
            false => Scheme::Http,
        };
        Some(Peer::new(Viewer::new(header.source.unwrap_or(address), scheme), reception))
    }
}

/// The requests of one connection.
#[derive(Clone)]
pub(crate) struct Requests {
    pub(crate) worker: Rc<Worker>,
    pub(crate) peer: Peer,
    pub(crate) side: Side,
    pub(crate) state: Rc<ConnectionState>,
    pub(crate) buffers: Rc<Buffers>,
    /// The answer to the next request that hyper has, if that was answered before hyper had it.
    pub(crate) answered: Rc<RefCell<Option<Answer>>>,
}

impl Service<http::Request<Incoming>> for Requests {
    type Response = http::Response<super::body::ViewerBody>;
    type Error = std::convert::Infallible;
    type Future = Answer;

    fn call(&self, mut request: http::Request<Incoming>) -> Answer {
        if let Some(answer) = self.answered.take() {
            return answer;
        }
        if self.side == Side::Edges {
            let peer = self.peer.edge(request.headers_mut());
            request.extensions_mut().insert(FromPeer);
            return self.worker.serve(request, &peer, &self.state);
        }
        self.worker.serve(request, &self.peer, &self.state)
    }
}

impl Drain for http2::Connection<ViewerIo, Requests, OnThisWorker> {
    fn drain(self: std::pin::Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
