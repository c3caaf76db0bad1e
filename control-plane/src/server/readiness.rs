//! Whether this control plane can do its work: asked of the store at a steady pace, told to health checks.

use std::{sync::Arc, time::Duration};

use headland_proto::v1::{
    distribution_service_server::DistributionServiceServer, edge_service_server::EdgeServiceServer,
    sync_service_server::SyncServiceServer,
};
use tokio::{
    task::AbortHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    api::{distributions::DistributionApi, edges::EdgeApi, sync::SyncApi},
    snapshot::Snapshot,
    store::{Store, bounded::BoundedStore, keys::Key},
};

/// How often the store is asked.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// How long an answer of the store counts.
const ANSWER_COUNTS: Duration = Duration::from_secs(10);

/// What health checks look at.
#[derive(Debug, Clone)]
pub(super) struct Readiness {
    store: Arc<BoundedStore>,
    snapshot: Arc<Snapshot>,
    /// The task that follows the store; without it the snapshot would silently grow old.
    follower: AbortHandle,
}

impl Readiness {
    pub(super) fn new(store: Arc<BoundedStore>, snapshot: Arc<Snapshot>, follower: AbortHandle) -> Self {
        Self { store, snapshot, follower }
    }

    /// Whether a restart would not help: everything this process needs of itself is running.
    pub(super) fn is_alive(&self) -> bool {
        !self.follower.is_finished()
    }

    /// Whether desired state can be told to edges. This needs no store once it has been read.
    pub(super) fn can_sync(&self) -> bool {
        self.snapshot.watch().borrow().is_complete()
    }

    /// Why operators cannot be served, if they cannot.
    pub(super) fn unready(&self, now: Instant) -> Option<&'static str> {
        let answered = self.store.last_answer();
        if !self.can_sync() {
            Some("the store has not been read yet")
        } else if answered.is_none_or(|at| now.saturating_duration_since(at) > ANSWER_COUNTS) {
            Some("the store does not answer")
        } else {
            None
        }
    }

    /// Asks the store and tells both health services, for ever.
    pub(super) async fn probe(self, api: HealthReporter, sync: HealthReporter) {
        let mut ticks = interval(PROBE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let key = Key::Cluster.to_string();
        let mut position = self.snapshot.watch();
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    if let Err(error) = self.store.get(&key).await {
                        tracing::debug!(%error, "the store did not answer the probe");
                    }
                }
                // The first listing is complete: say so at once.
                changed = position.changed(), if !position.borrow().is_complete() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
            let serving = |yes| if yes { ServingStatus::Serving } else { ServingStatus::NotServing };
            let ready = serving(self.unready(Instant::now()).is_none());
            let can_sync = serving(self.can_sync());
            for service in ["", DistributionServiceServer::<DistributionApi>::NAME] {
                api.set_service_status(service, ready).await;
            }
            api.set_service_status(EdgeServiceServer::<EdgeApi>::NAME, ServingStatus::Serving).await;
            for service in ["", SyncServiceServer::<SyncApi>::NAME] {
                sync.set_service_status(service, can_sync).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{metrics::Metrics, store::embedded::EmbeddedStore};

    #[tokio::test]
    async fn it_is_ready_once_the_store_is_read_and_for_as_long_as_it_answers() {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(&dir.path().join("store.redb")).unwrap();
        let store = BoundedStore::new(Arc::new(store));
        let (snapshot, follower) = Snapshot::follow(store.clone(), Arc::new(Metrics::new()));
        let (start, started) = tokio::sync::oneshot::channel();
        let follower = tokio::spawn(async {
            started.await.unwrap();
            follower.await;
        });
        let readiness = Readiness::new(store, snapshot.clone(), follower.abort_handle());
        assert_eq!(readiness.unready(Instant::now()), Some("the store has not been read yet"));
        start.send(()).unwrap();
        snapshot.complete().await;
        assert_eq!(readiness.unready(Instant::now()), None);
        let later = Instant::now() + ANSWER_COUNTS + Duration::from_secs(1);
        assert_eq!(readiness.unready(later), Some("the store does not answer"));
        assert!(readiness.can_sync(), "edges can be told without the store");

        assert!(readiness.is_alive());
        follower.abort();
        assert!(follower.await.unwrap_err().is_cancelled());
        assert!(!readiness.is_alive());
    }
}
