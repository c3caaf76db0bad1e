//! Keeping the snapshot equal to the store: list, watch, and list again after a gap, an error or a timer.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::{error, info, warn};
use uuid::Uuid;

use super::{
    Position, Snapshot, cluster,
    state::{Applied, Reconciled},
};
use crate::{
    metrics::Metrics,
    store::{Store, StoreError, bounded::BoundedStore, keys::TOLD},
};

/// How long a watch is trusted before everything is listed and compared.
const RELIST_INTERVAL: Duration = Duration::from_secs(60);
/// Spread of the interval, so that several control planes do not list at the same moment.
const RELIST_JITTER: f64 = 0.2;
/// Longest wait after the first failure in a row; doubles with each.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// Longest wait after any failure.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Least time between two listings that somebody asked for.
const ASKED_PAUSE: Duration = Duration::from_secs(1);
/// Silence after which a watch counts as broken. A sound one shows signs of life every few seconds.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A watch that lived this long was sound: the next failure is a first one.
const SOUND_AFTER: Duration = Duration::from_secs(10);

/// The task behind a snapshot.
pub(super) struct Follower {
    snapshot: Arc<Snapshot>,
    store: Arc<BoundedStore>,
    metrics: Arc<Metrics>,
    requests: mpsc::Receiver<oneshot::Sender<()>>,
    /// Who waits for the next listing.
    waiting: Vec<oneshot::Sender<()>>,
    /// Whether the store has said which cluster it is.
    clustered: bool,
}

/// Why a watch ended.
enum End {
    /// It is time to compare.
    Due,
    /// Somebody asked for a listing.
    Asked,
    /// The watch withheld something or brought it in the wrong order.
    Faulty,
    /// The store ended it.
    Failed(StoreError),
}

impl Follower {
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        store: Arc<BoundedStore>,
        metrics: Arc<Metrics>,
        requests: mpsc::Receiver<oneshot::Sender<()>>,
    ) -> Self {
        Self { snapshot, store, metrics, requests, waiting: Vec::new(), clustered: false }
    }

    pub(super) async fn run(mut self) {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let end = match self.relist().await {
                Ok(()) => self.watch().await,
                Err(error) => End::Failed(error),
            };
            match end {
                End::Due | End::Asked => {
                    failures = 0;
                    continue;
                }
                End::Faulty => warn!("the watch brought a change out of order; listing again"),
                End::Failed(StoreError::Compacted { .. }) => info!("the watch fell behind; listing again"),
                End::Failed(error) => warn!(%error, "failed to follow the store; trying again"),
            }
            self.metrics.follow_failures.inc();
            failures = if began.elapsed() >= SOUND_AFTER { 0 } else { failures };
            sleep(backoff(failures, random_fraction())).await;
            failures += 1;
        }
    }

    async fn relist(&mut self) -> Result<(), StoreError> {
        // Only those who asked before the listing begins can be told that it is newer than their question.
        while let Ok(request) = self.requests.try_recv() {
            self.waiting.push(request);
        }
        let cluster_id = match self.clustered {
            false => cluster::ensure(&self.store).await?,
            // A store that has forgotten its cluster under a running control plane was emptied: what edges serve must not follow.
            true => cluster::read(&self.store).await?.ok_or_else(|| StoreError::Failed {
                reason: "it no longer says which cluster it is; restore it, or start anew on purpose".into(),
            })?,
        };
        self.clustered = true;
        let listing = self.store.list(TOLD, None, None).await?;
        let (result, position) = {
            let mut state = self.snapshot.state.write();
            let result = state.reconcile(&cluster_id, &listing);
            (result, Position { revision: state.revision(), epoch: state.epoch() })
        };
        self.metrics.listings.inc();
        self.note(result);
        self.publish(position, result.changed > 0);
        self.waiting.drain(..).for_each(|waiting| {
            // Who asked may have given up.
            let _ = waiting.send(());
        });
        Ok(())
    }

    async fn watch(&mut self) -> End {
        let from = self.snapshot.read(|state| state.revision().next());
        let mut changes = match self.store.watch(TOLD, from).await {
            Ok(changes) => changes,
            Err(error) => return End::Failed(error),
        };
        let began = Instant::now();
        let due = sleep_until(began + relist_interval(random_fraction()));
        tokio::pin!(due);
        let mut asked = false;
        loop {
            let change = tokio::select! {
                () = &mut due => return End::Due,
                Some(request) = self.requests.recv() => {
                    self.waiting.push(request);
                    asked = true;
                    continue;
                }
                // Whoever asks does not get to decide how often everything is listed.
                () = sleep_until(began + ASKED_PAUSE), if asked => return End::Asked,
                change = timeout(SILENCE_MAX, changes.next()) => change,
            };
            let broken = |reason: &str| End::Failed(StoreError::Unavailable { reason: reason.into() });
            let change = match change {
                Ok(Some(Ok(change))) => change,
                Ok(Some(Err(error))) => return End::Failed(error),
                Ok(None) => return broken("the watch ended"),
                Err(_) => return broken("the watch fell silent"),
            };
            let (applied, position) = {
                let mut state = self.snapshot.state.write();
                let applied = state.apply(&change);
                (applied, Position { revision: state.revision(), epoch: state.epoch() })
            };
            match applied {
                Applied::Changed => self.publish(position, true),
                Applied::Nothing => self.publish(position, false),
                Applied::Unreadable => {
                    self.metrics.unreadable_values.inc();
                    error!(revision = %position.revision, "a stored distribution or resource cannot be read; the version before it stays");
                }
                Applied::OutOfOrder => return End::Faulty,
            }
        }
    }

    fn note(&self, result: Reconciled) {
        let Reconciled { changed, healed, unreadable, rewound } = result;
        if rewound {
            self.metrics.rewinds.inc();
            error!("the store has gone back; every edge is sent everything");
        }
        if healed > 0 {
            self.metrics.healed_distributions.inc_by(healed as u64);
            error!(healed, changed, "the watch had withheld changes; they are in effect now");
        }
        if unreadable > 0 {
            self.metrics.unreadable_values.inc_by(unreadable as u64);
            error!(
                unreadable,
                "stored distributions or resources cannot be read; the versions before them stay"
            );
        }
    }

    /// Wakes the sessions if there is something to tell.
    fn publish(&self, position: Position, changed: bool) {
        self.metrics.snapshot_revision.set(position.revision.0);
        let count = self.snapshot.read(super::State::len);
        self.metrics.snapshot_distributions.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.snapshot.position.send_if_modified(|known| {
            let wake = changed || !known.is_complete() || known.epoch != position.epoch;
            if wake {
                *known = position;
            }
            wake
        });
    }
}

/// A random number in [0, 1).
fn random_fraction() -> f64 {
    // 53 random bits fill the mantissa exactly.
    let bits = u64::try_from(Uuid::new_v4().as_u128() & ((1 << 53) - 1)).unwrap_or(0);
    bits as f64 / (1u64 << 53) as f64
}

fn relist_interval(fraction: f64) -> Duration {
    RELIST_INTERVAL.mul_f64(1.0 + RELIST_JITTER * (2.0 * fraction - 1.0))
}

/// Full jitter: anything up to a ceiling that doubles with every failure in a row.
fn backoff(failures: u32, fraction: f64) -> Duration {
    let ceiling = BACKOFF_FIRST.saturating_mul(2u32.saturating_pow(failures)).min(BACKOFF_MAX);
    ceiling.mul_f64(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comparison_comes_every_minute_more_or_less() {
        for (fraction, seconds) in [(0.0, 48), (0.5, 60), (1.0, 72)] {
            assert_eq!(relist_interval(fraction).as_secs(), seconds);
        }
    }

    #[test]
    fn back_off_grows_to_a_ceiling_with_full_jitter() {
        for (failures, millis) in [(0, 200), (1, 400), (5, 6_400), (6, 10_000), (u32::MAX, 10_000)] {
            assert_eq!(backoff(failures, 1.0), Duration::from_millis(millis));
            assert_eq!(backoff(failures, 0.0), Duration::ZERO);
        }
    }

    #[test]
    fn fractions_are_fractions() {
        for _ in 0..1000 {
            assert!((0.0..1.0).contains(&random_fraction()));
        }
    }
}
