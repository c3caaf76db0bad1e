//! How a store is to be, and how a directory becomes one.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use tracing::warn;

use super::{checksum::Seed, graves, segment, snapshot, superblock};
use crate::durable;

/// The smallest store: segments must have room for the largest record, and be many.
pub const BYTES_MIN: u64 = 64 << 20;
/// A store has about this many segments, as long as they stay within these limits.
const SEGMENTS: u64 = 64;
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 2 << 20..=256 << 20;
/// Bytes of the store for each record that it may have; the index takes at most about 60 bytes of memory for one.
const BYTES_PER_RECORD: u64 = 8 << 10;
const RECORDS_MIN: u64 = 1 << 20;

/// How a store is to be.
#[derive(Debug, Clone)]
pub struct DiskConfig {
    /// Its directory. It is made if it is not there; other files in it are left alone.
    pub path: PathBuf,
    /// Bytes of all segment files together. Graves and snapshot come on top: at most 60 bytes a record.
    pub bytes: u64,
    /// Bytes of one segment file.
    pub segment_bytes: u64,
    /// Records at most, which bounds the memory of the index.
    pub records_max: u64,
    /// Bytes of records that may wait to be written.
    pub queue_bytes: u64,
    /// Threads that wait for the disk.
    pub readers: usize,
}

impl DiskConfig {
    /// A store of this size, with all else as it suits that.
    #[must_use]
    pub fn new(path: PathBuf, bytes: u64) -> Self {
        Self {
            path,
            bytes,
            segment_bytes: (bytes / SEGMENTS).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end()),
            records_max: (bytes / BYTES_PER_RECORD).max(RECORDS_MIN),
            queue_bytes: 32 << 20,
            readers: 4,
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it, or another store of this one.
    #[error("open the disk cache in {0}: another process is using it")]
    Locked(PathBuf),
    /// It would have too few segments to work.
    #[error("open the disk cache in {path}: {bytes} bytes are too few, {min} is the least")]
    TooSmall {
        /// The directory.
        path: PathBuf,
        /// What was asked for.
        bytes: u64,
        /// What is needed.
        min: u64,
    },
    /// The directory cannot be used.
    #[error("open the disk cache in {path}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Makes the directory a store, or finds that it is one, and takes it; no lock if another process has it.
pub(super) fn prepare(path: &Path) -> io::Result<(Option<File>, Seed)> {
    durable::create_dir(path)?;
    let Some(lock) = superblock::lock(path)? else {
        return Ok((None, Seed([0; 16])));
    };
    match superblock::read(path)? {
        Some(Ok(seed)) => return Ok((Some(lock), seed)),
        Some(Err(refused)) => {
            warn!(path = %path.display(), ?refused, "the disk cache is not of this version: it starts empty");
        }
        None => {}
    }
    // What is there was written with another seed, and cannot be told from garbage.
    let seed = Seed(*uuid::Uuid::new_v4().as_bytes());
    for (id, log) in segment::list(path)? {
        segment::remove(path, id, log)?;
    }
    snapshot::remove(path)?;
    durable::remove(path, graves::FILE_NAME)?;
    superblock::write(path, &seed)?;
    Ok((Some(lock), seed))
}
