//! The cache: what is kept of what origins sent, by rules named after the sections of RFC 9111.
//!
//! Rules are pure functions of policy, message and time: `key`, `cache_control`, `targeted`,
//! `date`, `storability`, `freshness`, `terms`, `reuse`, `vary`, `groups`. State is in
//! `memory` and `disk` (finished objects; `tiers` makes them one), `coalescing` (objects on their way), `uncacheable` (keys not worth waiting for).

pub mod cache_control;
pub mod coalescing;
pub mod date;
pub mod disk;
pub mod expiry;
pub mod fields;
pub mod freshness;
pub mod groups;
pub mod invalidation;
pub mod key;
pub mod memory;
pub mod object;
pub mod part;
pub mod reuse;
pub mod revalidation;
pub mod storability;
pub mod targeted;
pub mod terms;
pub mod tiers;
pub mod uncacheable;
pub mod variants;
pub mod vary;

use std::sync::Arc;

use headland_proto::v1;

use crate::metrics::SharedMetrics;
use disk::Disk;
use invalidation::Invalidations;
use memory::MemoryCache;
use tiers::DiskTier;
use uncacheable::Uncacheable;

/// How much the cache may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all stored objects together, heads and bookkeeping included.
    pub memory_bytes: u64,
    /// Bytes of one object's body; a larger one passes through.
    pub object_bytes_max: u64,
}

/// The local cache, shared by all workers.
#[derive(Debug)]
pub struct Cache {
    /// Finished objects.
    pub memory: MemoryCache,
    /// More of them, and those that memory has, for the next start.
    pub disk: Option<Arc<Disk>>,
    /// Keys whose last response could not be stored.
    pub uncacheable: Uncacheable,
    /// Keys whose last response was too large to be kept.
    pub oversized: Uncacheable,
    /// What unsafe requests have changed.
    pub invalidations: Invalidations,
    limits: Limits,
}

impl Cache {
    /// A cache with nothing in memory.
    #[must_use]
    pub(crate) fn new(limits: Limits, disk: Option<DiskTier>, metrics: Arc<SharedMetrics>) -> Self {
        let (disk, invalidations) = match disk {
            Some(DiskTier { disk, invalidations }) => (Some(disk), invalidations),
            None => (None, Invalidations::default()),
        };
        Self {
            memory: MemoryCache::new(limits, metrics),
            disk,
            uncacheable: Uncacheable::default(),
            oversized: Uncacheable::default(),
            invalidations,
            limits,
        }
    }

    /// The cache for all who use it. The disk asks memory about what it is to drop.
    #[must_use]
    pub(crate) fn shared(self) -> Arc<Self> {
        let cache = Arc::new(self);
        if let Some(disk) = &cache.disk {
            tiers::ask_memory(disk, Arc::downgrade(&cache));
        }
        cache
    }

    /// How much it may hold.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What it holds now.
    #[must_use]
    pub fn figures(&self) -> v1::CacheFigures {
        v1::CacheFigures {
            objects: self.memory.objects(),
            bytes: self.memory.bytes(),
            capacity_bytes: self.limits.memory_bytes,
        }
    }
}
