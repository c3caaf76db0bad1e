//! Figures of the disk tier, counted where things happen and read all at once.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! figures {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        #[derive(Debug, Default)]
        pub(super) struct Counters { $(pub(super) $name: AtomicU64),+ }

        /// What the disk tier has done since the start, and what it holds.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub struct DiskFigures {
            $($(#[doc = $doc])+ pub $name: u64,)+
            /// Records that can be found.
            pub records: u64,
            /// Bytes of all segment files.
            pub bytes: u64,
            /// Bytes of segment files that there may be.
            pub capacity_bytes: u64,
            /// Bytes of memory that the index takes.
            pub index_bytes: u64,
            /// Bytes that wait to be written.
            pub queue_bytes: u64,
        }

        impl Counters {
            /// The counters; the rest is zero.
            pub(super) fn read(&self) -> DiskFigures {
                DiskFigures { $($name: self.$name.load(Relaxed),)+ ..DiskFigures::default() }
            }
        }
    };
}

figures! {
    /// Lookups for viewers that found something.
    hits,
    /// Lookups for viewers that did not.
    misses,
    /// Records, or their heads, that were read.
    reads,
    /// Bytes of them.
    read_bytes,
    /// Reads that the queue had no room for.
    reads_refused,
    /// Reads that failed with an error of the disk.
    read_errors,
    /// Records whose bytes were not what had been written, and which were dropped for it.
    corrupt,
    /// Records written for the first time.
    writes,
    /// Bytes of them.
    write_bytes,
    /// Records moved to main, or written again there.
    rewrites,
    /// Bytes of them.
    rewrite_bytes,
    /// Records not written because they, or their meta, are too large.
    dropped_too_large,
    /// Records not written because the queue was full.
    dropped_queue_full,
    /// Records not written because the disk is not well.
    dropped_degraded,
    /// Records not written because the store had stopped.
    dropped_stopped,
    /// Errors of the disk when writing.
    write_errors,
    /// Records that gave way to others.
    evicted,
    /// Records that had their time.
    expired,
    /// Records removed by order.
    removed,
    /// Segments given up.
    segments_reclaimed,
    /// How often the whole store was emptied because removals could not be kept track of otherwise.
    emptied,
}

pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Relaxed);
}
