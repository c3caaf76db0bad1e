//! One viewer's connection: what protocol it speaks, and how long it may take over what.
//!
//! Time is kept in ticks of about a second that a watchdog per worker counts: a hit costs no timer and no look at the clock.

mod io;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use hyper::rt::Executor;
use tokio::{net::TcpStream, task::AbortHandle};

pub(crate) use self::io::ViewerIo;
use crate::pipeline::websocket::Tunnel;

/// Length of a tick.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// How long a connection may take over what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// From the last response to the next request.
    pub idle: Duration,
    /// Without taking a single byte of a response.
    pub write: Duration,
}

/// What the watchdog knows of a connection.
#[derive(Debug, Default)]
pub(crate) struct ConnectionState {
    tick: Rc<Cell<u32>>,
    /// When bytes last went either way.
    last_io: Cell<u32>,
    /// When the first byte came that has not been answered yet; zero if there is none.
    unanswered_since: Cell<u32>,
    /// When writing got stuck; zero if it is not.
    stuck_since: Cell<u32>,
    /// Requests that are not answered from memory: for each, when its body last handed over bytes that were not followed by a
    /// question for more; zero while it waits for the origin.
    busy: RefCell<Vec<Rc<Cell<u32>>>>,
    /// Whether this is HTTP/2, where bytes may come that ask for nothing.
    http2: Cell<bool>,
    draining: Rc<Cell<bool>>,
    waker: RefCell<Option<Waker>>,
    /// What it is a tunnel to as soon as it has been said so.
    tunnel: TunnelTo,
}

/// A tunnel that is about to begin.
#[derive(Default)]
struct TunnelTo(RefCell<Option<Tunnel>>);

impl fmt::Debug for TunnelTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TunnelTo").field(&self.0.borrow().is_some()).finish()
    }
}

/// Marks a connection as busy until it is dropped: it waits for us, not we for it.
#[derive(Debug)]
pub(crate) struct Busy {
    state: Rc<ConnectionState>,
    handed_over: Rc<Cell<u32>>,
}

impl Busy {
    pub(crate) fn new(state: &Rc<ConnectionState>) -> Self {
        let handed_over = Rc::new(Cell::new(0));
        state.busy.borrow_mut().push(Rc::clone(&handed_over));
        Self { state: Rc::clone(state), handed_over }
    }

    /// The connection.
    pub(crate) fn connection(&self) -> Rc<ConnectionState> {
        Rc::clone(&self.state)
    }

    /// The same for another body on the same connection.
    pub(crate) fn again(&self) -> Self {
        Self::new(&self.state)
    }

    /// The body handed over bytes: the next move is the viewer's.
    pub(crate) fn handed_over(&self) {
        self.handed_over.set(self.state.tick.get());
    }

    /// The body was asked for more: the next move is ours.
    pub(crate) fn asked(&self) {
        self.handed_over.set(0);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.state.busy.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.handed_over));
        // The wait is over: the viewer's own time begins now.
        self.state.last_io.set(self.state.tick.get());
        self.state.unanswered_since.set(0);
    }
}

/// A viewer must take what a body hands over within this many times its patience for a single write: hyper gathers some
/// hundred kilobytes before it asks for more, and an HTTP/2 stream may be held back while the connection goes on.
const HAND_OVER_FACTOR: u32 = 10;

impl ConnectionState {
    /// From now on this is an HTTP/2 connection.
    pub(crate) fn speaks_http2(&self) {
        self.http2.set(true);
    }

    /// When the response that is under way has been sent, this is a tunnel.
    pub(crate) fn tunnel_to(&self, tunnel: Tunnel) {
        self.tunnel.0.replace(Some(tunnel));
    }

    /// What it is a tunnel to from now on, if it is.
    pub(crate) fn take_tunnel(&self) -> Option<Tunnel> {
        self.tunnel.0.take()
    }

    /// Whether the connection has overstayed, at this tick.
    fn is_overdue(&self, tick: u32, patience: Patience) -> bool {
        let ticks = |d: Duration| u32::try_from(d.as_secs()).unwrap_or(u32::MAX).max(1);
        let over = |since: u32, allowed| tick.saturating_sub(since) > ticks(allowed);
        if self.stuck_since.get() != 0 {
            return over(self.stuck_since.get(), patience.write);
        }
        let busy = self.busy.borrow();
        if !busy.is_empty() {
            let held_back = |since: u32| since != 0 && over(since, patience.write * HAND_OVER_FACTOR);
            return busy.iter().any(|handed_over| held_back(handed_over.get()));
        }
        match self.unanswered_since.get() {
            0 => over(self.last_io.get(), patience.idle),
            since => over(since, patience.head),
        }
    }
}

/// The connections of one worker.
#[derive(Debug)]
pub(crate) struct Connections {
    open: RefCell<HashMap<u64, (Rc<ConnectionState>, AbortHandle)>>,
    next_id: Cell<u64>,
    tick: Rc<Cell<u32>>,
    draining: Rc<Cell<bool>>,
}

impl Default for Connections {
    fn default() -> Self {
        // Tick zero means "not at all" to a connection's state.
        Self {
            open: RefCell::default(),
            next_id: Cell::default(),
            tick: Rc::new(Cell::new(1)),
            draining: Rc::default(),
        }
    }
}

impl Connections {
    pub(crate) fn open(&self) -> usize {
        self.open.borrow().len()
    }

    /// Runs a connection as a task of its own until it ends or overstays.
    pub(crate) fn spawn<F>(self: &Rc<Self>, serve: impl FnOnce(Rc<ConnectionState>) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let state = Rc::new(ConnectionState {
            tick: Rc::clone(&self.tick),
            last_io: Cell::new(self.tick.get()),
            draining: Rc::clone(&self.draining),
            ..ConnectionState::default()
        });
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        let departure = Departure { connections: Rc::clone(self), id };
        let serve = serve(Rc::clone(&state));
        let task = tokio::task::spawn_local(async move {
            let _departure = departure;
            serve.await;
        });
        self.open.borrow_mut().insert(id, (state, task.abort_handle()));
    }

    /// One tick of the watchdog: breaks off the connections that have overstayed.
    pub(crate) fn tick(&self, patience: Patience) {
        let tick = self.tick.get() + 1;
        self.tick.set(tick);
        for (state, task) in self.open.borrow().values() {
            if state.is_overdue(tick, patience) {
                task.abort();
            }
        }
    }

    /// Asks every connection to end after the response it is at.
    pub(crate) fn drain(&self) {
        self.draining.set(true);
        for (state, task) in self.open.borrow().values() {
            match state.waker.borrow_mut().take() {
                Some(waker) => waker.wake(),
                // Has not even said which protocol it speaks: there is nothing to finish.
                None => task.abort(),
            }
        }
    }

    /// Breaks off every connection.
    pub(crate) fn abort(&self) {
        self.open.borrow().values().for_each(|(_, task)| task.abort());
    }
}

/// Takes a connection off the list when its task ends, however it ends.
struct Departure {
    connections: Rc<Connections>,
    id: u64,
}

impl Drop for Departure {
    fn drop(&mut self) {
        let gone = self.connections.open.borrow_mut().remove(&self.id);
        // One that has not begun holds its connection.
        drop(gone.map(|(state, _)| state.take_tunnel()));
    }
}

/// What hyper's two kinds of connection have in common.
pub(crate) trait Drain: Future {
    /// Ends after the response under way.
    fn drain(self: Pin<&mut Self>);
}

/// A connection that ends gracefully when its worker drains.
pub(crate) struct Draining<C> {
    connection: Pin<Box<C>>,
    state: Rc<ConnectionState>,
    told: bool,
}

impl<C> Draining<C> {
    pub(crate) fn new(connection: C, state: Rc<ConnectionState>) -> Self {
        Self { connection: Box::pin(connection), state, told: false }
    }
}

impl<C: Drain> Future for Draining<C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let this = &mut *self;
        if this.state.draining.get() {
            if !std::mem::replace(&mut this.told, true) {
                this.connection.as_mut().drain();
            }
        } else {
            let mut waker = this.state.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
        }
        this.connection.as_mut().poll(cx)
    }
}

/// Runs a connection's further tasks (HTTP/2 streams) on the worker that accepted it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnThisWorker;

impl<F: Future + 'static> Executor<F> for OnThisWorker {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move { drop(future.await) });
    }
}

/// Whether a new connection begins with HTTP/2's preface (RFC 9113 section 3.4). Looks at the first bytes without taking them, so
/// that HTTP/1.1 need not be read through a buffer for ever after. `None` if the viewer has gone.
pub(crate) async fn speaks_http2(stream: &TcpStream) -> Option<bool> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0";
    /// The preface comes in one packet; a viewer that dribbles it is looked at again ever more seldom.
    const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
    let mut first = [0; PREFACE.len()];
    let mut pause = LOOK_AGAIN.0;
    loop {
        match stream.peek(&mut first).await {
            Ok(0) | Err(_) => return None,
            Ok(n) if !PREFACE.starts_with(&first[..n]) => return Some(false),
            Ok(n) if n == PREFACE.len() => return Some(true),
            Ok(_) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LOOK_AGAIN.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        write: Duration::from_secs(30),
    };

    fn check(
        last_io: u32,
        unanswered_since: u32,
        stuck_since: u32,
        busy: &[u32],
        overdue_after: Option<u32>,
    ) {
        let state = ConnectionState {
            last_io: Cell::new(last_io),
            unanswered_since: Cell::new(unanswered_since),
            stuck_since: Cell::new(stuck_since),
            busy: RefCell::new(busy.iter().map(|&since| Rc::new(Cell::new(since))).collect()),
            ..ConnectionState::default()
        };
        let first = (1..10_000).find(|&tick| state.is_overdue(tick, PATIENCE)).map(|tick| tick - 1);
        assert_eq!(first, overdue_after);
    }

    #[test]
    fn each_phase_has_its_own_patience() {
        check(100, 0, 0, &[], Some(160));
        check(100, 95, 0, &[], Some(105));
        check(100, 95, 0, &[0], None);
        check(100, 0, 90, &[], Some(120));
        check(100, 95, 90, &[0], Some(120));
        check(100, 0, 0, &[0, 95], Some(395));
    }
}
