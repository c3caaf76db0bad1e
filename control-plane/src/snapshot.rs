//! The snapshot: the current desired state in memory, kept equal to the store, and what each edge is behind by.

use std::{sync::Arc, time::Duration};

use headland_proto::revision::Revision;
use parking_lot::RwLock;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

pub(crate) use self::{cursor::Cursor, parts::Parts, state::State};
use crate::{metrics::Metrics, store::bounded::BoundedStore};

mod cluster;
mod cursor;
mod follow;
mod parts;
mod state;

/// Requests to list anew that may wait at once; more are answered as if the listing had failed.
const REFRESH_QUEUE_MAX: usize = 1024;
/// Longest wait for a listing that was asked for.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(20);

/// Where the snapshot is; a new position means that edges must be told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Position {
    /// The revision of the last change; zero until the first listing is complete.
    pub(crate) revision: Revision,
    /// See [`State::epoch`].
    pub(crate) epoch: u64,
}

impl Position {
    /// Whether there is a state at all.
    #[must_use]
    pub(crate) fn is_complete(self) -> bool {
        self.revision > Revision::ZERO
    }
}

/// The desired state, shared by everyone who needs to know it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    state: RwLock<State>,
    position: watch::Sender<Position>,
    refresh: mpsc::Sender<oneshot::Sender<()>>,
}

impl Snapshot {
    /// An empty snapshot, and the future that keeps it equal to the store for as long as it is polled.
    pub(crate) fn follow(
        store: Arc<BoundedStore>,
        metrics: Arc<Metrics>,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (refresh, requests) = mpsc::channel(REFRESH_QUEUE_MAX);
        let snapshot =
            Arc::new(Self { state: RwLock::default(), position: watch::Sender::default(), refresh });
        let follower = follow::Follower::new(snapshot.clone(), store, metrics, requests);
        (snapshot, follower.run())
    }

    /// Looks at the state. Keep it short: changes wait.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read())
    }

    /// Wakes whenever edges must be told something. A burst of changes may wake once.
    #[must_use]
    pub(crate) fn watch(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// Waits until the first listing is complete.
    pub(crate) async fn complete(&self) {
        // The sender is part of self, so the channel cannot close.
        let _ = self.position.subscribe().wait_for(|p| p.is_complete()).await;
    }

    /// Lists the store anew, and returns whether the state is now at least as new as this call.
    pub(crate) async fn refresh(&self) -> bool {
        let (done, wait) = oneshot::channel();
        self.refresh.try_send(done).is_ok() && matches!(timeout(REFRESH_TIMEOUT, wait).await, Ok(Ok(())))
    }
}
