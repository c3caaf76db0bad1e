//! The fleet: which edges are connected and what they last reported. Memory only, and safe to lose.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use headland_proto::v1;
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::questions::Desk;
pub(crate) use self::{
    edge::{Edge, Moment},
    greeting::Greeting,
    liveness::Liveness,
    questions::{Questions, Unanswered},
    status::Observed,
};

mod edge;
mod greeting;
mod liveness;
mod questions;
mod status;

/// Edges that may be connected at once.
pub(crate) const EDGES_MAX: usize = 10_000;
/// How long an edge is remembered after its stream ended.
const GONE_REMEMBERED: Duration = Duration::from_secs(3600);
/// Edges remembered after their streams ended; the longest gone are forgotten first.
const GONE_EDGES_MAX: usize = 1000;

/// All edges this control plane knows of.
#[derive(Debug)]
pub(crate) struct Fleet {
    report_interval: Duration,
    registry: Mutex<Registry>,
    /// The connected edges that others can ask.
    peers: watch::Sender<Arc<v1::Peers>>,
}

#[derive(Debug, Default)]
struct Registry {
    edges: BTreeMap<Uuid, Edge>,
    streams: HashMap<Uuid, Stream>,
    last_number: u64,
}

/// The newest stream of an edge.
#[derive(Debug)]
struct Stream {
    number: u64,
    superseded: CancellationToken,
    desk: Arc<Desk>,
}

/// More edges are connected than this control plane takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("take another edge: {EDGES_MAX} are connected")]
pub(crate) struct FleetFull;

impl Fleet {
    /// An empty fleet whose edges are to report at this interval.
    #[must_use]
    pub(crate) fn new(report_interval: Duration) -> Arc<Self> {
        Arc::new(Self { report_interval, registry: Mutex::default(), peers: watch::Sender::default() })
    }

    /// How often edges are to report.
    #[must_use]
    pub(crate) fn report_interval(&self) -> Duration {
        self.report_interval
    }

    /// Enters an edge that has just connected, and gives out the questions to put to it. An earlier stream of the same edge is
    /// superseded: the newest wins.
    ///
    /// # Errors
    /// When [`EDGES_MAX`] others are connected.
    pub(crate) fn connect(
        self: &Arc<Self>,
        greeting: Greeting,
        cluster_id: &Arc<str>,
        now: Moment,
    ) -> Result<(Connection, Questions), FleetFull> {
        let edge_id = greeting.edge_id;
        let mut registry = self.registry.lock();
        let known = registry.streams.contains_key(&edge_id);
        if !known && registry.streams.len() >= EDGES_MAX {
            return Err(FleetFull);
        }
        registry.last_number += 1;
        let number = registry.last_number;
        let superseded = CancellationToken::new();
        let (desk, questions) = Desk::new(edge_id);
        let stream = Stream { number, superseded: superseded.clone(), desk: Arc::clone(&desk) };
        if let Some(before) = registry.streams.insert(edge_id, stream) {
            before.superseded.cancel();
        }
        let is_peer = !greeting.peer_url.is_empty();
        let was_peer = registry.edges.get(&edge_id).is_some_and(Edge::is_peer);
        registry.edges.insert(edge_id, Edge::connected(greeting, cluster_id, now));
        if is_peer || was_peer {
            self.tell_peers(&registry);
        }
        registry.forget(now.monotonic);
        let cluster_id = cluster_id.clone();
        let connection = Connection { fleet: self.clone(), edge_id, number, cluster_id, superseded, desk };
        Ok((connection, questions))
    }

    /// The connected edges that others can ask, now and whenever that changes.
    #[must_use]
    pub(crate) fn peers(&self) -> watch::Receiver<Arc<v1::Peers>> {
        self.peers.subscribe()
    }

    /// In the order of the registry, so that the same edges make the same message.
    fn tell_peers(&self, registry: &Registry) {
        let peers = registry.edges.iter().filter(|(_, edge)| edge.is_peer()).map(|(id, edge)| v1::Peer {
            edge_id: id.to_string(),
            location: edge.greeting.location.clone(),
            url: edge.greeting.peer_url.clone(),
        });
        let peers = Arc::new(v1::Peers { peers: peers.collect() });
        self.peers.send_if_modified(|told| {
            let differs = *told != peers;
            *told = peers;
            differs
        });
    }

    /// The edges after `after` in order of id, at most `limit` of them, and whether there are more.
    #[must_use]
    pub(crate) fn list(
        &self,
        after: Option<Uuid>,
        limit: usize,
        now: Instant,
    ) -> (Vec<(Edge, Liveness)>, bool) {
        let mut registry = self.registry.lock();
        registry.forget(now);
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut rest = registry.edges.range((from, std::ops::Bound::Unbounded)).map(|(_, edge)| edge);
        let page = rest.by_ref().take(limit);
        let page = page.map(|edge| (edge.clone(), edge.liveness(self.report_interval, now))).collect();
        (page, rest.next().is_some())
    }

    /// One edge.
    #[must_use]
    pub(crate) fn get(&self, id: Uuid, now: Instant) -> Option<(Edge, Liveness)> {
        let mut registry = self.registry.lock();
        registry.forget(now);
        let edge = registry.edges.get(&id)?;
        Some((edge.clone(), edge.liveness(self.report_interval, now)))
    }

    /// Asks an edge what it would do with a request: the one with this id, otherwise the first that is live and serves.
    ///
    /// # Errors
    /// When there is no such edge, it is not connected here, or it does not answer in time.
    pub(crate) async fn ask(
        &self,
        edge_id: Option<Uuid>,
        request: v1::ExplainRequest,
    ) -> Result<(Greeting, v1::Explanation), Unanswered> {
        let (greeting, desk) = self.find(edge_id, Instant::now())?;
        let explanation = desk.ask(request).await?;
        Ok((greeting, explanation))
    }

    fn find(&self, edge_id: Option<Uuid>, now: Instant) -> Result<(Greeting, Arc<Desk>), Unanswered> {
        let registry = self.registry.lock();
        let desk = |id: &Uuid| registry.streams.get(id).map(|stream| Arc::clone(&stream.desk));
        if let Some(id) = edge_id {
            let edge = registry.edges.get(&id).ok_or(Unanswered::Unknown(id))?;
            return Ok((edge.greeting.clone(), desk(&id).ok_or(Unanswered::Gone(id))?));
        }
        let lives = |edge: &Edge| edge.serving && edge.liveness(self.report_interval, now) == Liveness::Live;
        let mut living = registry.edges.iter().filter(|(_, edge)| lives(edge));
        living.find_map(|(id, edge)| Some((edge.greeting.clone(), desk(id)?))).ok_or(Unanswered::NobodyLive)
    }

    /// What the live edges have applied and refused.
    #[must_use]
    pub(crate) fn observe(&self, now: Instant) -> Observed {
        Observed::new(self.registry.lock().edges.values(), self.report_interval, now)
    }

    /// How many edges are live, late and gone.
    #[must_use]
    pub(crate) fn count(&self, now: Instant) -> [(Liveness, usize); 3] {
        let mut counts = [(Liveness::Live, 0), (Liveness::Late, 0), (Liveness::Gone, 0)];
        let mut registry = self.registry.lock();
        registry.forget(now);
        for edge in registry.edges.values() {
            let liveness = edge.liveness(self.report_interval, now);
            counts.iter_mut().filter(|(l, _)| *l == liveness).for_each(|(_, n)| *n += 1);
        }
        counts
    }
}

impl Registry {
    /// Drops edges that have been gone for too long, and the longest gone of too many.
    fn forget(&mut self, now: Instant) {
        self.edges.retain(|_, edge| {
            edge.disconnected_at.is_none_or(|at| now.saturating_duration_since(at) <= GONE_REMEMBERED)
        });
        let gone = self.edges.iter().filter_map(|(id, edge)| edge.disconnected_at.map(|at| (at, *id)));
        let mut gone: Vec<(Instant, Uuid)> = gone.collect();
        let surplus = gone.len().saturating_sub(GONE_EDGES_MAX);
        gone.sort_unstable();
        for (_, id) in gone.into_iter().take(surplus) {
            self.edges.remove(&id);
        }
    }
}

/// One stream of one edge; the edge is gone when this is dropped, unless a newer stream has taken over.
#[derive(Debug)]
pub(crate) struct Connection {
    fleet: Arc<Fleet>,
    edge_id: Uuid,
    number: u64,
    cluster_id: Arc<str>,
    superseded: CancellationToken,
    desk: Arc<Desk>,
}

impl Connection {
    /// Takes in the answer to a question.
    pub(crate) fn answer(&self, explained: v1::Explained) {
        self.desk.answer(explained);
    }

    /// Takes in a report.
    pub(crate) fn report(&self, report: v1::Report, now: Moment) {
        let mut registry = self.fleet.registry.lock();
        if registry.is_newest(self)
            && let Some(edge) = registry.edges.get_mut(&self.edge_id)
        {
            let was_peer = edge.is_peer();
            edge.report(report, &self.cluster_id, now);
            if was_peer != edge.is_peer() {
                self.fleet.tell_peers(&registry);
            }
        }
    }

    /// Waits until a newer stream of the same edge has taken over.
    pub(crate) async fn superseded(&self) {
        self.superseded.cancelled().await;
    }
}

impl Registry {
    fn is_newest(&self, connection: &Connection) -> bool {
        self.streams.get(&connection.edge_id).is_some_and(|s| s.number == connection.number)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.desk.close();
        let mut registry = self.fleet.registry.lock();
        if registry.is_newest(self) {
            registry.streams.remove(&self.edge_id);
            if let Some(edge) = registry.edges.get_mut(&self.edge_id) {
                let was_peer = edge.is_peer();
                edge.disconnected_at = Some(Instant::now());
                if was_peer {
                    self.fleet.tell_peers(&registry);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
