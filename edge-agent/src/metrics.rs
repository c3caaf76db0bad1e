//! What the workers have done, in counters that no two workers share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use headland_proto::{model::Coding, v1};

use crate::{
    cache::storability::Reason, pipeline::compress::NotCompressed, viewer::cache_status::CacheResult,
};

/// A counter with one writer. Reading it from elsewhere is always safe; the sum may lag by a moment.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds. Only the owning worker may call this: a plain load and store costs nothing, a locked addition does.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One worker's counters, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct WorkerMetrics {
    /// By [`CacheResult::index`].
    pub(crate) results: [Counter; CacheResult::COUNT],
    /// By [`Reason::index`].
    pub(crate) not_stored: [Counter; Reason::ALL.len()],
    /// By [`Coding`], in the order of [`Coding::ALL`].
    pub(crate) compressed: [Counter; Coding::ALL.len()],
    /// By [`NotCompressed::index`].
    pub(crate) not_compressed: [Counter; NotCompressed::ALL.len()],
    pub(crate) collapsed: Counter,
    pub(crate) invalidations: Counter,
    /// Connections refused for want of a PROXY protocol header from a trusted proxy.
    pub(crate) unproxied: Counter,
    pub(crate) requests: Counter,
    pub(crate) hits: Counter,
    /// Those of them that were answered without hyper.
    pub(crate) quick_hits: Counter,
    pub(crate) misses: Counter,
    pub(crate) origin_fetches: Counter,
    /// Of these, answered by an edge of the shield.
    pub(crate) shield_answers: Counter,
    /// Of these, for which no edge of the shield could be asked.
    pub(crate) shield_failures: Counter,
    pub(crate) origin_errors: Counter,
    pub(crate) tunnels_opened: Counter,
    pub(crate) tunnels_closed: Counter,
    pub(crate) viewer_bytes_sent: Counter,
}

/// Counters of all workers, and of the cache they share.
#[derive(Debug, Default)]
pub struct Metrics {
    workers: Vec<Arc<WorkerMetrics>>,
    shared: Arc<SharedMetrics>,
}

/// Counters that several threads write; none of them is touched by a hit.
#[derive(Debug, Default)]
pub(crate) struct SharedMetrics {
    pub(crate) evictions: AtomicU64,
    pub(crate) expirations: AtomicU64,
}

impl Metrics {
    /// Counters for this many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self { workers: (0..workers).map(|_| Arc::default()).collect(), shared: Arc::default() }
    }

    pub(crate) fn worker(&self, index: usize) -> Arc<WorkerMetrics> {
        Arc::clone(&self.workers[index])
    }

    pub(crate) fn shared(&self) -> Arc<SharedMetrics> {
        Arc::clone(&self.shared)
    }

    /// How many requests had each result, in the order of [`CacheResult::all`].
    pub fn results(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CacheResult::all().map(|result| (result.as_str(), self.sum(|w| &w.results[result.index()])))
    }

    /// How many responses were not stored for each reason.
    pub fn not_stored(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Reason::ALL.into_iter().map(|reason| (reason.as_str(), self.sum(|w| &w.not_stored[reason.index()])))
    }

    /// How many responses were compressed in each coding.
    pub fn compressed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Coding::ALL.into_iter().map(|coding| (coding.token(), self.sum(|w| &w.compressed[coding as usize])))
    }

    /// How many responses were not compressed for each reason, where behaviors ask for it.
    pub fn not_compressed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NotCompressed::ALL
            .into_iter()
            .map(|reason| (reason.as_str(), self.sum(|w| &w.not_compressed[reason.index()])))
    }

    /// Requests that were answered by the response to another's.
    #[must_use]
    pub fn collapsed(&self) -> u64 {
        self.sum(|w| &w.collapsed)
    }

    /// Hits that were answered without a request or response being made of them.
    #[must_use]
    pub fn quick_hits(&self) -> u64 {
        self.sum(|w| &w.quick_hits)
    }

    /// Requests to origins that an edge of the shield answered, and those for which none could be asked.
    #[must_use]
    pub fn shield(&self) -> [(&'static str, u64); 2] {
        [("answered", self.sum(|w| &w.shield_answers)), ("unreachable", self.sum(|w| &w.shield_failures))]
    }

    /// Tunnels (WebSockets) that were opened, and those of them that are open.
    #[must_use]
    pub fn tunnels(&self) -> (u64, u64) {
        // In this order, so that none seems to be closed before it was opened.
        let closed = self.sum(|w| &w.tunnels_closed);
        let opened = self.sum(|w| &w.tunnels_opened);
        (opened, opened.saturating_sub(closed))
    }

    /// URIs and groups invalidated by unsafe requests.
    #[must_use]
    pub fn invalidations(&self) -> u64 {
        self.sum(|w| &w.invalidations)
    }

    /// Connections refused because no trusted proxy said for whom they are, where one has to.
    #[must_use]
    pub fn unproxied(&self) -> u64 {
        self.sum(|w| &w.unproxied)
    }

    fn sum(&self, counter: impl Fn(&WorkerMetrics) -> &Counter) -> u64 {
        self.workers.iter().map(|worker| counter(worker).get()).sum()
    }

    /// The sum over all workers since the start.
    #[must_use]
    pub fn traffic(&self) -> v1::TrafficFigures {
        let sum = |counter: fn(&WorkerMetrics) -> &Counter| self.sum(counter);
        v1::TrafficFigures {
            requests: sum(|w| &w.requests),
            hits: sum(|w| &w.hits),
            misses: sum(|w| &w.misses),
            origin_fetches: sum(|w| &w.origin_fetches),
            origin_errors: sum(|w| &w.origin_errors),
            viewer_bytes_sent: sum(|w| &w.viewer_bytes_sent),
            evictions: self.shared.evictions.load(Ordering::Relaxed),
            expirations: self.shared.expirations.load(Ordering::Relaxed),
        }
    }
}
