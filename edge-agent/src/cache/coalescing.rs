//! Coalescing: one fetch per key, any number of waiters, each of which gets the bytes as they arrive.
//!
//! A `Fill` is an object on its way. Whoever asks first starts it and fetches; whoever asks meanwhile joins. A response that
//! may be stored is shared; one that may not is left to the one who started it, and the others are told at once to go themselves.

pub mod body;

use std::{
    collections::{HashMap, hash_map},
    hash::BuildHasher,
    sync::{Arc, OnceLock, atomic::Ordering},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use self::body::{FillBody, Held};
use super::object::{Head, Object};

/// More locks than workers on any machine, so that two misses seldom meet.
const SHARDS: usize = 64;

/// The fills under way, by key. `F` is what a failed fetch leaves behind for the waiters.
#[derive(Debug)]
pub struct Fills<F> {
    shards: Box<[Mutex<Shard<F>>]>,
    hasher: foldhash::quality::RandomState,
    /// What all bodies under way hold together.
    pub(crate) held: Arc<Held>,
}

type Shard<F> = HashMap<Arc<[u8]>, Arc<Fill<F>>, foldhash::fast::RandomState>;

/// One object on its way.
#[derive(Debug)]
pub struct Fill<F> {
    key: Arc<[u8]>,
    outcome: OnceLock<Outcome<F>>,
    decided: Notify,
}

/// What became of a fetch, once its head is known.
#[derive(Debug, Clone)]
pub enum Outcome<F> {
    /// The response may be stored: everybody gets it.
    Shared {
        /// Its head.
        head: Arc<Head>,
        /// Its body, growing.
        body: Arc<FillBody>,
    },
    /// The response has come whole and is stored: everybody gets it.
    Whole(Arc<Object>),
    /// It is stored already: what was there has been validated, or it is kept in blocks, which are on their way. Everybody gets it.
    Stored(Arc<Object>),
    /// The response may not be stored: everybody but the one who started goes to the origin.
    Alone,
    /// The origin answered with an error that is not to be stored: whoever has something stale that may stand in uses it, the others
    /// go to the origin.
    ServerError,
    /// There is no response: everybody is told so.
    Failed(F),
}

/// What to do after asking for a key.
#[derive(Debug)]
pub enum Role<F> {
    /// Fetch, decide, and finish the fill.
    Leader(Leader<F>),
    /// Wait for the outcome.
    Waiter(Arc<Fill<F>>),
}

/// The duty to decide a fill. Dropped undecided, it sends the waiters on their own way; dropped at all, it makes room for the
/// next fill of the key.
#[derive(Debug)]
pub struct Leader<F> {
    fills: Arc<Fills<F>>,
    fill: Arc<Fill<F>>,
}

impl<F> Fills<F> {
    /// None yet. Beyond so many bytes that their bodies hold together, each that is not to be stored holds only a little.
    #[must_use]
    pub fn new(held_bytes_max: u64) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: foldhash::quality::RandomState::default(),
            held: Arc::new(Held::up_to(held_bytes_max)),
        }
    }

    /// Joins the fill of a key, or starts one.
    #[must_use]
    pub fn join(self: &Arc<Self>, key: &Arc<[u8]>) -> Role<F> {
        let mut shard = self.shard(key).lock();
        if let Some(fill) = shard.get(key) {
            return Role::Waiter(Arc::clone(fill));
        }
        let fill = Arc::new(Fill { key: Arc::clone(key), outcome: OnceLock::new(), decided: Notify::new() });
        shard.insert(Arc::clone(key), Arc::clone(&fill));
        Role::Leader(Leader { fills: Arc::clone(self), fill })
    }

    /// Starts a fill that nobody else joins.
    #[must_use]
    pub fn solo(self: &Arc<Self>, key: &Arc<[u8]>) -> Leader<F> {
        let fill = Arc::new(Fill { key: Arc::clone(key), outcome: OnceLock::new(), decided: Notify::new() });
        Leader { fills: Arc::clone(self), fill }
    }

    fn shard(&self, key: &[u8]) -> &Mutex<Shard<F>> {
        let hash = self.hasher.hash_one(key);
        &self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)]
    }

    /// Of these, bytes that are just being copied to where they are stored.
    #[must_use]
    pub fn gathering_bytes(&self) -> u64 {
        self.held.gathering.load(Ordering::Relaxed)
    }

    /// Bytes that all bodies under way hold together.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.held.bytes.load(Ordering::Relaxed)
    }
}

impl<F: Clone> Fill<F> {
    /// Waits until the head is known.
    pub async fn outcome(&self) -> Outcome<F> {
        loop {
            // Registered before looking, so that a decision in between is not missed.
            let decided = self.decided.notified();
            if let Some(outcome) = self.outcome.get() {
                return outcome.clone();
            }
            decided.await;
        }
    }
}

impl<F> Leader<F> {
    /// The key that is being filled.
    #[must_use]
    pub fn key(&self) -> &Arc<[u8]> {
        &self.fill.key
    }

    /// Whether somebody waits who has not begun to read. This leader and the table are two who know of the fill.
    #[must_use]
    pub fn has_waiters(&self) -> bool {
        Arc::strong_count(&self.fill) > 2
    }

    /// Tells the waiters what became of the fetch. Only the first decision counts.
    pub fn decide(&self, outcome: Outcome<F>) {
        // Being second is possible only for the drop below, which then has nothing to say.
        let _ = self.fill.outcome.set(outcome);
        self.fill.decided.notify_waiters();
    }
}

impl<F> Drop for Leader<F> {
    fn drop(&mut self) {
        if self.fill.outcome.get().is_none() {
            self.decide(Outcome::Alone);
        }
        let mut shard = self.fills.shard(&self.fill.key).lock();
        if let hash_map::Entry::Occupied(entry) = shard.entry(Arc::clone(&self.fill.key))
            && Arc::ptr_eq(entry.get(), &self.fill)
        {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests;
