//! The cache: what is kept of what origins sent, by rules named after the sections of RFC 9111.
//!
//! Rules are pure functions of policy, message and time: `key`, `cache_control`, `targeted`,
//! `date`, `storability`, `freshness`, `terms`, `reuse`, `vary`, `groups`. State is in
//! `memory` and `disk` (finished objects; `tiers` makes them one), `coalescing` (objects on their way), `uncacheable` (keys not worth waiting for).

pub mod blocks;
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
pub mod promotion;
pub mod reuse;
pub mod revalidation;
pub mod runs;
pub mod storability;
pub mod targeted;
pub mod terms;
pub mod tiers;
pub mod uncacheable;
pub mod variants;
pub mod vary;
mod write_at;

use std::sync::Arc;

use headland_proto::v1;

use crate::metrics::SharedMetrics;
use blocks::BLOCK_BYTES;
use disk::Disk;
use invalidation::Invalidations;
use memory::MemoryCache;
use object::Arena;
use promotion::Promotion;
use tiers::DiskTier;
use uncacheable::Uncacheable;

/// How much the cache may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all stored objects together, heads and bookkeeping included.
    pub memory_bytes: u64,
    /// Bytes of one object's body; a larger one passes through.
    pub object_bytes_max: u64,
    /// A fill that nobody waits for any more is finished if this part of it has arrived, of 100.
    pub background_fill_percent: u8,
}

/// Bodies under way may hold this fraction of the cache's memory, on top of it.
const UNDER_WAY_FRACTION: u64 = 4;
/// Blocks that memory must have room for.
const BLOCKS_MIN: u64 = 4;
/// The largest object that is kept in one piece, if it cannot be kept in blocks.
const PIECE_BYTES_MAX: u64 = 64 << 20;

impl Limits {
    /// Bytes of the largest object that is kept in one piece.
    #[must_use]
    pub fn piece_bytes_max(&self) -> u64 {
        self.object_bytes_max.min(self.memory_bytes).clamp(1, PIECE_BYTES_MAX)
    }

    /// Bytes that all bodies under way may hold together, and those that viewers hold and the cache does not; beyond that what comes
    /// is handed on and not kept.
    #[must_use]
    pub fn under_way_bytes_max(&self) -> u64 {
        self.memory_bytes / UNDER_WAY_FRACTION
    }

    /// Bytes of the largest object that is kept in blocks; none is where memory has no room for a few of them.
    #[must_use]
    pub fn in_blocks_bytes_max(&self) -> u64 {
        if self.memory_bytes < BLOCKS_MIN * BLOCK_BYTES { 0 } else { self.object_bytes_max }
    }
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
    /// Keys whose last response could be kept neither in one piece nor in blocks: too large, or not to be had in parts.
    pub oversized: Uncacheable,
    /// What unsafe requests have changed.
    pub invalidations: Invalidations,
    /// Large bodies, those included that only viewers still hold.
    pub(crate) arena: Arena,
    /// What comes up from disk.
    promotion: Promotion,
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
            promotion: Promotion::new(limits.memory_bytes),
            arena: Arena::new(limits.memory_bytes + limits.under_way_bytes_max()),
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

    /// Bytes of large bodies that are not stored any more, or not yet, and that viewers still hold.
    #[must_use]
    pub fn pinned_bytes(&self) -> u64 {
        self.arena.bytes().saturating_sub(self.memory.large_bytes())
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
