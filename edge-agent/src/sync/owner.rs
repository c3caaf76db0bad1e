//! The one task that changes what this edge holds: applies offers one by one and puts tables in force.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    state::{Offer, Outcome, Served, State},
    unsaved::Unsaved,
};
use crate::{
    origin_problems::OriginProblems,
    routing::{Routing, Table},
};

/// Offers that wait while one is applied; sessions wait beyond that.
pub(crate) const OFFERS_MAX: usize = 16;

/// Refusals of one update that get a log line of their own.
const REFUSALS_LOGGED_MAX: usize = 20;

/// What the owner has done since the start.
#[derive(Debug, Default)]
pub(crate) struct OwnerFigures {
    pub(crate) applied: AtomicU64,
    pub(crate) ignored: AtomicU64,
    pub(crate) gaps: AtomicU64,
}

/// An offer and where the answer goes.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) offer: Offer,
    pub(crate) reply: oneshot::Sender<Verdict>,
}

/// What became of an offer, for the session that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Applied {
        /// The state's history from now on.
        history: u64,
    },
    Ignored,
    Gap(&'static str),
}

/// The owner and what it writes to.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) state: watch::Sender<Arc<State>>,
    pub(crate) routing: Arc<Routing>,
    pub(crate) origin_problems: Arc<OriginProblems>,
    pub(crate) unsaved: Arc<Mutex<Unsaved>>,
    pub(crate) figures: Arc<OwnerFigures>,
}

/// The table to put in force after `current`; none if what is served does not change.
fn table_of(outcome: &Outcome, current: &Table) -> Option<Table> {
    let Outcome::Applied(applied) = outcome else { return None };
    match &applied.served {
        Served::Same => None,
        Served::Changed { gone, come } => {
            Some(current.changed(gone, come).unwrap_or_else(|| applied.state.table()))
        }
        Served::Anew => Some(applied.state.table()),
    }
}

impl Owner {
    /// Applies offers until nobody can make any.
    pub(crate) async fn run(self, mut requests: mpsc::Receiver<Request>) {
        while let Some(Request { offer, reply }) = requests.recv().await {
            let state = Arc::clone(&self.state.borrow());
            let table = self.routing.current();
            // Compiling thousands of distributions takes a while, in which reports must go on.
            let outcome = tokio::task::spawn_blocking(move || {
                let outcome = state.apply(offer);
                let table = table_of(&outcome, &table);
                (outcome, table)
            });
            let verdict = match outcome.await {
                Ok((outcome, table)) => self.settle(outcome, table),
                Err(error) => {
                    tracing::error!(%error, "failed to apply an update; what was served before still is");
                    Verdict::Gap("the update could not be applied")
                }
            };
            // A session that is gone does not need its answer.
            let _ = reply.send(verdict);
        }
    }

    fn settle(&self, outcome: Outcome, table: Option<Table>) -> Verdict {
        match outcome {
            Outcome::Applied(applied) => {
                // In force before anybody hears of it: a report must be true.
                if let Some(table) = table {
                    self.routing.publish(table);
                }
                let state = Arc::new(applied.state);
                log_refusals(&state, &applied.refused);
                self.origin_problems.retain(|id| state.holds(id));
                self.figures.applied.fetch_add(1, Relaxed);
                tracing::info!(
                    revision = %state.applied(),
                    distributions = state.len(),
                    refused = state.refused().len(),
                    "applied an update"
                );
                let history = state.history();
                // Whoever saves sees both or neither.
                let mut unsaved = self.unsaved.lock();
                unsaved.add(applied.unsaved);
                self.state.send_replace(state);
                Verdict::Applied { history }
            }
            Outcome::Ignored => {
                self.figures.ignored.fetch_add(1, Relaxed);
                Verdict::Ignored
            }
            Outcome::Gap(reason) => {
                self.figures.gaps.fetch_add(1, Relaxed);
                Verdict::Gap(reason)
            }
        }
    }
}

fn log_refusals(state: &State, ids: &[Arc<str>]) {
    for id in ids.iter().take(REFUSALS_LOGGED_MAX) {
        if let Some(refused) = state.refusal(id) {
            tracing::warn!(
                distribution = ?id,
                revision = %refused.revision,
                reason = ?refused.reason,
                "refused a distribution; its previous version, if any, is still served"
            );
        }
    }
    if let Some(more) = ids.len().checked_sub(REFUSALS_LOGGED_MAX + 1) {
        tracing::warn!(more = more + 1, "refused further distributions");
    }
}
