//! Connections to origins: those of one worker that wait for their next request, and new ones.

mod multiplexed;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    pin::Pin,
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use futures::future::Either;
use headland_proto::model::{Http2, Origin};
use http::{Request, Response};
use hyper::{
    client::conn::http1::{self, SendRequest},
    rt::{Read, Write},
};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

use self::multiplexed::Multiplexed;
use super::{
    Fault,
    body::OutgoingBody,
    dial::{self, Dialled, dial},
    handover::HandedOver,
    http2,
    response::ResponseBody,
    tls::{Offer, OriginTlsConfigs},
    wire::{Exchanged, Wire, WireBody},
};
use crate::error_chain::ErrorChain;

/// Idle connections one worker keeps to one origin.
const IDLE_MAX: usize = 64;
/// Bytes of a response head, and the most that is read ahead of the viewer.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// How often the connections are looked through for those that have waited too long, while there are any.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// One worker's connections.
#[derive(Debug)]
pub(super) struct Connections {
    tls: Arc<OriginTlsConfigs>,
    /// By connection timeout, which they cannot be told with each connection.
    connectors: RefCell<HashMap<Duration, HttpConnector>>,
    /// By scheme and authority, and by how TLS is spoken; the one that was used last at the end.
    idle: RefCell<HashMap<Rc<str>, Vec<Idle>, foldhash::fast::RandomState>>,
    multiplexed: RefCell<HashMap<Rc<str>, Multiplexed, foldhash::fast::RandomState>>,
    sweeping: Cell<bool>,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A plain request.
    Plain,
    /// Any other.
    Any,
    /// One that is made in HTTP/2 or not at all.
    Http2,
    /// One that is made in HTTP/1.1, whatever the origin's settings say.
    Http1,
}

/// A connection that waits for its next request.
#[derive(Debug)]
struct Idle {
    line: Line,
    until: Instant,
}

/// A connection.
#[derive(Debug)]
struct Line {
    speaker: Speaker,
    /// When the origin has been silent for too long. It stays with the connection: to put a timer off costs less than to make one.
    silence: Pin<Box<Sleep>>,
}

/// Who speaks on a connection.
#[derive(Debug)]
enum Speaker {
    /// Nobody but who makes a request. So begins every connection in clear.
    Wire(Rc<Wire>),
    /// hyper, for good.
    Hyper(SendRequest<OutgoingBody>),
    /// hyper in HTTP/2, and others on the same connection.
    Stream(http2::Stream),
}

impl Speaker {
    fn is_wire(&self) -> bool {
        matches!(self, Self::Wire(_))
    }

    /// Whether there will be no more requests on it.
    fn is_closed(&self) -> bool {
        match self {
            // Nobody reads the rest of a response whose connection is given back.
            Self::Wire(wire) => Rc::strong_count(wire) > 1 || !wire.is_ready(),
            Self::Hyper(sender) => sender.is_closed(),
            // The connection is kept, and not the place on it.
            Self::Stream(_) => true,
        }
    }

    /// Whether the last response is done with.
    fn is_ready(&self) -> bool {
        match self {
            Self::Wire(_) | Self::Stream(_) => true,
            Self::Hyper(sender) => sender.is_ready(),
        }
    }
}

/// A connection in use. When it is dropped it is kept for the next request, unless it is at its end.
#[derive(Debug)]
pub(super) struct InUse {
    connections: Weak<Connections>,
    origin: Rc<str>,
    keep: Duration,
    /// Whether this is its first request.
    pub(super) is_new: bool,
    /// `None` only while it is dropped.
    line: Option<Line>,
}

/// Why a request was not answered.
pub(super) enum Unanswered {
    /// The origin, or the way to it, is to blame.
    Fault(Fault),
    /// A kept connection was at its end before any of the request had been sent. Here it is.
    Unsent(Box<Request<OutgoingBody>>),
}

impl Connections {
    pub(super) fn new(tls: Arc<OriginTlsConfigs>) -> Rc<Self> {
        Rc::new(Self {
            tls,
            connectors: RefCell::default(),
            idle: RefCell::default(),
            multiplexed: RefCell::default(),
            sweeping: Cell::default(),
        })
    }

    /// A connection to this scheme and authority: one that was kept, or else a new one. Of those that were kept, hyper's if it is not for
    /// a plain request; but any is better than a new one.
    pub(super) async fn get(
        self: &Rc<Self>,
        server: &str,
        origin: &Origin,
        purpose: Use,
    ) -> Result<InUse, Fault> {
        let named;
        let name = match &origin.tls {
            None => server,
            // Others may trust other authorities, or show another certificate.
            Some(tls) => {
                named = format!("{server} {}", self.tls.name_of(tls));
                &named
            }
        };
        let offer = offer(server, origin, purpose);
        if offer != Offer::Http1 {
            // Boxed, because it is seldom: the future of every fetch is smaller for it.
            let multiplexed = Box::pin(self.get_multiplexed(name, server, origin, offer));
            if let Some(in_use) = multiplexed.await? {
                return Ok(in_use);
            }
        }
        let plain = purpose == Use::Plain;
        let kept = self.take_idle(name, plain).or_else(|| self.take_idle(name, !plain));
        let (name, line, is_new) = match kept {
            Some((name, line)) => (name, line, false),
            // Boxed for the same reason.
            None => {
                let dialled = Box::pin(self.dial(server, origin, Offer::Http1)).await?;
                (Rc::from(name), line_on(dialled, origin).await?, true)
            }
        };
        Ok(self.in_use(name, origin, line, is_new))
    }

    fn in_use(self: &Rc<Self>, name: Rc<str>, origin: &Origin, line: Line, is_new: bool) -> InUse {
        let connections = Rc::downgrade(self);
        InUse { connections, origin: name, keep: origin.keepalive_timeout, is_new, line: Some(line) }
    }

    async fn dial(&self, server: &str, origin: &Origin, offer: Offer) -> Result<Dialled, Fault> {
        let new = || dial::connector(origin.connection_timeout);
        let tcp = self.connectors.borrow_mut().entry(origin.connection_timeout).or_insert_with(new).clone();
        dial(tcp, &self.tls, server, origin, offer).await
    }

    fn take_idle(&self, server: &str, wire: bool) -> Option<(Rc<str>, Line)> {
        let mut all = self.idle.borrow_mut();
        let name = Rc::clone(all.get_key_value(server)?.0);
        let idle = all.get_mut(server)?;
        let now = Instant::now();
        for at in (0..idle.len()).rev() {
            let Idle { line: Line { speaker, .. }, until } = &idle[at];
            if speaker.is_wire() != wire {
                continue;
            }
            if speaker.is_closed() || *until <= now {
                idle.remove(at);
            } else if speaker.is_ready() {
                return Some((name, idle.remove(at).line));
            }
            // Any other is not quite done with its last response.
        }
        None
    }

    fn put_back(self: &Rc<Self>, origin: Rc<str>, line: Line, until: Instant) {
        let mut all = self.idle.borrow_mut();
        let idle = all.entry(origin).or_default();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { line, until });
        }
        self.see_to_sweeping();
    }

    fn see_to_sweeping(self: &Rc<Self>) {
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(sweep(Rc::downgrade(self)));
        }
    }
}

/// What a connection is offered to be.
fn offer(server: &str, origin: &Origin, purpose: Use) -> Offer {
    match (purpose, origin.http2) {
        (Use::Http1, _) => Offer::Http1,
        (Use::Http2, _) | (_, Http2::Always) => Offer::Http2,
        (_, Http2::WhereOffered) if server.starts_with("https:") => Offer::Either,
        _ => Offer::Http1,
    }
}

/// A new connection for one request at a time.
async fn line_on(dialled: Dialled, origin: &Origin) -> Result<Line, Fault> {
    let speaker = match dialled {
        Dialled::Clear(stream) => Speaker::Wire(Rc::new(Wire::new(stream))),
        Dialled::Tls(stream) => Speaker::Hyper(hyper_on(TokioIo::new(stream)).await?),
    };
    Ok(Line { speaker, silence: Box::pin(sleep(origin.response_timeout)) })
}

/// Lets hyper speak on a connection.
async fn hyper_on(
    io: impl Read + Write + Unpin + Send + 'static,
) -> Result<SendRequest<OutgoingBody>, Fault> {
    let begun = http1::Builder::new().max_buf_size(READ_BUFFER_BYTES).handshake(io).await;
    let (sender, connection) = begun.map_err(|error| Fault::Connect(ErrorChain(&error).to_string()))?;
    tokio::task::spawn_local(async move {
        // Whoever has a request under way learns of it from the response.
        if let Err(error) = connection.with_upgrades().await {
            tracing::trace!(%error, "a connection to an origin ended");
        }
    });
    Ok(sender)
}

/// Drops connections that have waited too long, until there are none.
async fn sweep(connections: Weak<Connections>) {
    loop {
        sleep(SWEEP_INTERVAL).await;
        let Some(connections) = connections.upgrade() else { return };
        let now = Instant::now();
        let mut all = connections.idle.borrow_mut();
        all.retain(|_, idle| {
            idle.retain(|idle| idle.until > now && !idle.line.speaker.is_closed());
            !idle.is_empty()
        });
        let mut multiplexed = connections.multiplexed.borrow_mut();
        multiplexed.retain(|_, server| server.is_of_use(now));
        if all.is_empty() && multiplexed.is_empty() {
            connections.sweeping.set(false);
            return;
        }
    }
}

impl Line {
    /// Gives a wire to hyper.
    async fn for_hyper(self, give: impl FnOnce(TcpStream) -> HandedOver) -> Result<Self, Fault> {
        let speaker = match self.speaker {
            Speaker::Wire(wire) => {
                let gone = || Fault::Response("the connection is gone".to_owned());
                let wire = Rc::into_inner(wire).ok_or_else(gone)?;
                Speaker::Hyper(hyper_on(give(wire.into_stream())).await?)
            }
            hyper @ (Speaker::Hyper(_) | Speaker::Stream(_)) => hyper,
        };
        Ok(Self { speaker, ..self })
    }
}

impl InUse {
    /// Whether it is a place on an HTTP/2 connection.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.line, Some(Line { speaker: Speaker::Stream(_), .. }))
    }

    /// Makes a plain request, whose head this is, and waits for the head of the response. `None` if the connection is hyper's, or is now
    /// because the response is for it to read: then the same request is to be made by [`InUse::send`].
    pub(super) async fn exchange(
        &mut self,
        request: &[u8],
        silence_max: Duration,
    ) -> Result<Option<Response<ResponseBody>>, Fault> {
        // Out of the hands of who would keep it if this were given up half-way.
        let Some(mut line) = self.line.take_if(|line| line.speaker.is_wire()) else { return Ok(None) };
        let Speaker::Wire(wire) = &mut line.speaker else { return Ok(None) };
        let exchanged = match Rc::get_mut(wire) {
            Some(wire) => {
                line.silence.as_mut().reset(Instant::now() + silence_max);
                tokio::select! {
                    biased;
                    exchanged = wire.exchange(request) => exchanged,
                    () = line.silence.as_mut() => return Err(Fault::ResponseTimeout),
                }
            }
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        match exchanged.map_err(|error| Fault::Response(error.to_string()))? {
            Exchanged::Plain(response) => {
                let response = response.map(|come| ResponseBody::Wire(WireBody::new(wire, come)));
                self.line = Some(line);
                Ok(Some(response))
            }
            Exchanged::Other(come) => {
                self.line =
                    Some(Box::pin(line.for_hyper(|stream| HandedOver::answered(stream, come))).await?);
                Ok(None)
            }
        }
    }

    /// Sends a request and waits for the head of the response. `progress` tells whether the request is still being sent, during which
    /// the origin may be silent for longer than `silence_max`.
    pub(super) async fn send(
        &mut self,
        request: Request<OutgoingBody>,
        silence_max: Duration,
        progress: impl Fn() -> u64,
    ) -> Result<Response<ResponseBody>, Unanswered> {
        let broken = || Unanswered::Fault(Fault::Response("the connection is gone".to_owned()));
        if let Some(line) = self.line.take_if(|line| line.speaker.is_wire()) {
            let line = Box::pin(line.for_hyper(HandedOver::idle)).await;
            self.line = Some(line.map_err(Unanswered::Fault)?);
        }
        let Some(Line { speaker, silence }) = &mut self.line else { return Err(broken()) };
        let answer = match speaker {
            Speaker::Wire(_) => return Err(broken()),
            Speaker::Hyper(sender) => Either::Left(sender.try_send_request(request)),
            Speaker::Stream(stream) => Either::Right(stream.send(request)),
        };
        tokio::pin!(answer);
        let mut seen = progress();
        silence.as_mut().reset(Instant::now() + silence_max);
        loop {
            tokio::select! {
                biased;
                answered = &mut answer => return answered.map(|response| response.map(ResponseBody::Hyper)).map_err(|mut error| match error.take_message() {
                    Some(unsent) => Unanswered::Unsent(Box::new(unsent)),
                    // An origin may refuse this edge's certificate after the connection is made.
                    None => Unanswered::Fault(dial::tls_fault(error.error()).unwrap_or_else(|| {
                        Fault::Response(ErrorChain(error.error()).to_string())
                    })),
                }),
                () = silence.as_mut() => {
                    let now = progress();
                    if std::mem::replace(&mut seen, now) == now {
                        return Err(Unanswered::Fault(Fault::ResponseTimeout));
                    }
                    silence.as_mut().reset(Instant::now() + silence_max);
                }
            }
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let (Some(line), Some(connections)) = (self.line.take(), self.connections.upgrade())
            && !line.speaker.is_closed()
        {
            connections.put_back(Rc::clone(&self.origin), line, Instant::now() + self.keep);
        }
    }
}
