//! Patience: how long a viewer waits for an origin, alone or with others.

use std::{sync::Arc, time::Duration};

use headland_proto::model::Origin;
use tokio::time::{Instant, timeout_at};

use super::{Errand, Worker, lookup::Found};
use crate::{
    cache::{
        coalescing::{Fill, Outcome},
        reuse::Failing,
    },
    origin::Fault,
    routing::compile::Behavior,
};

/// How long a viewer for whom there is something stale waits for an origin, at most: it is there to be used.
const PATIENCE_WITH_STALE: Duration = Duration::from_secs(2);
/// How often somebody who waits looks whether the origin is known to be down by now.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl Worker {
    /// Waits for somebody else's fetch: for as long as one's own might take, or for as long as is worth it if there is something
    /// stale to be had instead.
    pub(super) async fn wait(
        &self,
        errand: &Errand,
        fill: &Arc<Fill<Fault>>,
        found: &Found,
    ) -> Outcome<Fault> {
        let outcome = self.unless_down(errand, found, fill.outcome()).await;
        outcome.unwrap_or(Outcome::Failed(Fault::ResponseTimeout))
    }

    /// Waits, and gives up when it takes too long, or when it becomes known that the origin is down and something stale may stand in.
    pub(super) async fn unless_down<T>(
        &self,
        errand: &Errand,
        found: &Found,
        waiting: impl Future<Output = T>,
    ) -> Option<T> {
        let began = self.clock.now();
        let patience = self.patience(errand, found);
        let until = Instant::now() + patience.unwrap_or_else(|| time_for_fetch(&errand.behavior));
        let mut waiting = std::pin::pin!(waiting);
        loop {
            let next_look = until.min(Instant::now() + LOOK_AGAIN);
            // Boxed, because few wait here: a timer is large, and would be part of every fetch's future.
            if let Ok(outcome) = Box::pin(timeout_at(next_look, &mut waiting)).await {
                return Some(outcome);
            }
            let now = self.clock.now();
            if next_look == until {
                if patience.is_some() {
                    self.breaker(errand).suspected(began, now);
                }
                return None;
            }
            if self.breaker(errand).is_open(now) && found.stand_in(Failing::Unreachable, now).is_some() {
                return None;
            }
        }
    }

    /// How long to wait for the origin when something stale may stand in for its answer; `None` if nothing may.
    fn patience(&self, errand: &Errand, found: &Found) -> Option<Duration> {
        found.stand_in(Failing::Error, self.clock.now())?;
        Some(PATIENCE_WITH_STALE.min(errand.behavior.origin.response_timeout / 2))
    }
}

/// How long a fetch may take until its head is there, from one origin after the other, and a little more.
fn time_for_fetch(behavior: &Behavior) -> Duration {
    let one = |origin: &Arc<Origin>| {
        origin.connection_timeout.saturating_mul(origin.connection_attempts) + origin.response_timeout
    };
    behavior.origins().map(one).sum::<Duration>() + Duration::from_secs(1)
}
