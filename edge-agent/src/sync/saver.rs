//! Saves what is held to the last-good ring: soon after it changed, and never in the way of anything else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    last_good::{Ring, SaveError},
    state::State,
    unsaved::Unsaved,
};

/// From the first unsaved change to the beginning of the save: what comes meanwhile is saved with it.
pub(crate) const SAVE_DELAY: Duration = Duration::from_millis(100);
/// Between tries while the disk refuses.
pub(crate) const SAVE_RETRY: Duration = Duration::from_secs(10);

/// What the saver has done since the start.
#[derive(Debug, Default)]
pub(crate) struct SaverFigures {
    pub(crate) saves: AtomicU64,
    pub(crate) failures: AtomicU64,
    failing: AtomicBool,
}

/// The saver: a ring, and what to put in it.
#[derive(Debug)]
pub(crate) struct Saver {
    pub(crate) ring: Arc<Mutex<Ring>>,
    pub(crate) state: watch::Receiver<Arc<State>>,
    /// What of it is not on disk.
    pub(crate) unsaved: Arc<Mutex<Unsaved>>,
    pub(crate) figures: Arc<SaverFigures>,
}

impl Saver {
    /// Saves every change until `stop`, then what is still unsaved.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while let Some(Ok(())) = stop.run_until_cancelled(self.state.changed()).await {
            // A change that comes while a save is under way waits only for that save.
            let _ = stop.run_until_cancelled(sleep(SAVE_DELAY)).await;
            while !self.save().await {
                // A newer state is no reason to press a full disk harder.
                if stop.run_until_cancelled(sleep(SAVE_RETRY)).await.is_none() {
                    break;
                }
            }
        }
        if *self.unsaved.lock() != Unsaved::default() {
            self.save().await;
        }
    }

    /// Whether the newest state is on disk now.
    async fn save(&mut self) -> bool {
        let (state, unsaved) = {
            let mut unsaved = self.unsaved.lock();
            (Arc::clone(&self.state.borrow_and_update()), std::mem::take(&mut *unsaved))
        };
        let ring = Arc::clone(&self.ring);
        let saving = tokio::task::spawn_blocking(move || {
            let saved = save(&mut ring.lock(), &state, &unsaved);
            (saved, unsaved)
        });
        let error: Box<dyn std::error::Error + Send + Sync> = match saving.await {
            Ok((Ok(()), _)) => {
                self.figures.saves.fetch_add(1, Relaxed);
                if self.figures.failing.swap(false, Relaxed) {
                    tracing::info!("the last-good state is saved again");
                }
                return true;
            }
            Ok((Err(error), unsaved)) => {
                self.unsaved.lock().add(unsaved);
                error.into()
            }
            Err(error) => {
                self.unsaved.lock().add(Unsaved::everything());
                error.into()
            }
        };
        self.figures.failures.fetch_add(1, Relaxed);
        if !self.figures.failing.swap(true, Relaxed) {
            tracing::warn!(
                error = %crate::error_chain::ErrorChain(&*error),
                "failed to save the last-good state; the edge goes on from memory and keeps trying"
            );
        }
        false
    }
}

/// Adds what has changed to what is on disk, or saves all.
fn save(ring: &mut Ring, state: &State, unsaved: &Unsaved) -> Result<(), SaveError> {
    match unsaved.to_record(state) {
        Some(change) if ring.append(&change)? => Ok(()),
        _ => ring.save(&state.to_record()),
    }
}
