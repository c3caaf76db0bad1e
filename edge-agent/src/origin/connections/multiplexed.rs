//! The HTTP/2 connections of one worker: a place on one that is there, or a new one, which a crowd waits for together.

use std::{rc::Rc, time::Duration};

use headland_proto::model::Origin;
use hyper_util::rt::TokioIo;
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{Instant, sleep, timeout},
};

use super::{
    super::{Fault, dial::Dialled, http2, tls::Offer},
    Connections, InUse, Line, Speaker, line_on,
};

/// How long it is remembered that an origin does not offer HTTP/2.
const OFFERS_NO_HTTP2: Duration = Duration::from_secs(60);

/// The HTTP/2 connections to one server.
#[derive(Debug, Default)]
pub(super) struct Multiplexed {
    connections: Vec<Rc<http2::Connection>>,
    /// Held by the one who makes a connection, for which the others wait.
    turn: Rc<AsyncMutex<()>>,
    /// It has offered none, and is not asked again until then.
    none_until: Option<Instant>,
}

impl Multiplexed {
    /// Drops what is over. Whether anything is left.
    pub(super) fn is_of_use(&mut self, now: Instant) -> bool {
        self.connections.retain(|connection| !connection.is_over(now));
        self.none_until = self.none_until.filter(|until| now < *until);
        let waited_for = Rc::strong_count(&self.turn) > 1;
        !self.connections.is_empty() || self.none_until.is_some() || waited_for
    }
}

impl Connections {
    /// A place on an HTTP/2 connection, which is made if there is none; by one at a time, so that a crowd has one. If the origin does not
    /// offer HTTP/2 and need not, the new connection itself, or `None` if that is known already.
    pub(super) async fn get_multiplexed(
        self: &Rc<Self>,
        name: &str,
        server: &str,
        origin: &Origin,
        offer: Offer,
    ) -> Result<Option<InUse>, Fault> {
        let turn = match self.stream(name, origin, offer) {
            Ok(known) => return Ok(known),
            Err(turn) => turn,
        };
        let Ok(_turn) = timeout(origin.connection_timeout, turn.lock()).await else {
            return Err(Fault::ConnectTimeout);
        };
        if let Ok(known) = self.stream(name, origin, offer) {
            return Ok(known);
        }
        let dialled = self.dial(server, origin, offer).await?;
        let is_tls = matches!(dialled, Dialled::Tls(_));
        if is_tls && !dialled.chose_http2() {
            if offer == Offer::Http2 {
                return Err(Fault::Tls("the origin does not offer HTTP/2".to_owned()));
            }
            let until = Instant::now() + OFFERS_NO_HTTP2;
            self.multiplexed.borrow_mut().entry(name.into()).or_default().none_until = Some(until);
            self.see_to_sweeping();
            let line = line_on(dialled, origin).await?;
            return Ok(Some(self.in_use(name.into(), origin, line, true)));
        }
        let keep = origin.keepalive_timeout;
        let connection = match dialled {
            Dialled::Clear(stream) => http2::Connection::begin(TokioIo::new(stream), keep).await?,
            Dialled::Tls(stream) => http2::Connection::begin(TokioIo::new(stream), keep).await?,
        };
        let stream = connection.stream(Instant::now()).ok_or_else(|| {
            Fault::Connect("the origin ended the connection as soon as it was made".to_owned())
        })?;
        self.multiplexed.borrow_mut().entry(name.into()).or_default().connections.push(connection);
        self.see_to_sweeping();
        Ok(Some(self.in_use(name.into(), origin, stream_line(stream, origin), true)))
    }

    /// A place on a connection that is there; or `None` if it is known that there will be none. Otherwise, whose turn it is to make one.
    fn stream(
        self: &Rc<Self>,
        name: &str,
        origin: &Origin,
        offer: Offer,
    ) -> Result<Option<InUse>, Rc<AsyncMutex<()>>> {
        let mut all = self.multiplexed.borrow_mut();
        if !all.contains_key(name) {
            all.insert(name.into(), Multiplexed::default());
        }
        let Some(multiplexed) = all.get_mut(name) else { return Ok(None) };
        let now = Instant::now();
        multiplexed.connections.retain(|connection| !connection.is_over(now));
        if let Some(stream) = multiplexed.connections.iter().find_map(|connection| connection.stream(now)) {
            let line = stream_line(stream, origin);
            drop(all);
            return Ok(Some(self.in_use(name.into(), origin, line, false)));
        }
        if offer == Offer::Either && multiplexed.none_until.is_some_and(|until| now < until) {
            return Ok(None);
        }
        Err(Rc::clone(&multiplexed.turn))
    }
}

fn stream_line(stream: http2::Stream, origin: &Origin) -> Line {
    Line { speaker: Speaker::Stream(stream), silence: Box::pin(sleep(origin.response_timeout)) }
}
