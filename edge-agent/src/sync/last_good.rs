//! The last-good files: what this edge held when it was last well, so that it can start without a control plane.
//!
//! A ring of files named by a sequence. Each holds a header (magic, format, length and SHA-256 of the rest) and an encoded
//! `LastGood`. A file that is not what it should be is skipped for the one before it. What changed after a file was saved is beside it,
//! in its `journal`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use headland_proto::v1;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use self::journal::Journal;
use super::unsaved;
use crate::durable;

mod journal;
#[cfg(test)]
mod tests;

/// Files that are kept.
pub(crate) const FILES_KEPT: usize = 5;
/// Size of a file this program reads or writes.
const FILE_BYTES_MAX: u64 = 1 << 30;

const DIRECTORY: &str = "last-good";
const ENDING: &str = "lastgood";
const MAGIC: &[u8; 8] = b"HEADLAND";
/// Raised when an older program must not read the rest. New fields of `LastGood` are no reason.
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 8 + 4 + 8 + 32;

/// Why a state was not saved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    #[error("save the last-good state in {}", dir.display())]
    Write { dir: PathBuf, source: io::Error },
    #[error("save the last-good state: it has {bytes} bytes; at most {FILE_BYTES_MAX} can be read again")]
    TooLarge { bytes: usize },
}

/// Why a file was skipped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SkipReason {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it is not a last-good file")]
    Foreign,
    #[error("it was written by a newer program (format {0})")]
    TooNew(u32),
    #[error("it is cut off or has something added")]
    Length,
    #[error("its checksum does not match")]
    Checksum,
    #[error("its content cannot be decoded: {0}")]
    Content(#[from] prost::DecodeError),
    #[error("it names no cluster")]
    NoCluster,
}

/// What was found on disk.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The newest that is whole, and where it came from.
    pub(crate) newest: Option<(PathBuf, v1::LastGood)>,
    /// What was newer but could not be used.
    pub(crate) skipped: Vec<(PathBuf, SkipReason)>,
}

/// The ring of files in a data directory. One at a time, which the data directory's lock sees to.
#[derive(Debug)]
pub(crate) struct Ring {
    dir: PathBuf,
    next: u64,
    /// Of the file that was saved last, if that was by this program and nothing has failed since.
    journal: Option<Journal>,
}

impl Ring {
    /// The ring of a data directory and what it holds. Nothing on the disk makes this fail.
    pub(crate) fn open(data_dir: &Path) -> (Self, Loaded) {
        let dir = data_dir.join(DIRECTORY);
        let files = list(&dir);
        let next = files.last().map_or(0, |(sequence, _)| sequence.saturating_add(1));
        let mut loaded = Loaded { newest: None, skipped: Vec::new() };
        for (sequence, path) in files.into_iter().rev() {
            match read(&path) {
                Ok(record) => {
                    let (changes, end) = journal::read(&dir, sequence);
                    if let Err(reason) = end {
                        loaded.skipped.push((journal::path(&dir, sequence), reason));
                    }
                    loaded.newest = Some((path, unsaved::apply(record, changes)));
                    break;
                }
                Err(reason) => loaded.skipped.push((path, reason)),
            }
        }
        (Self { dir, next, journal: None }, loaded)
    }

    /// Adds a change to the newest file, if that is worth while: otherwise all has to be saved. Blocks until it is durable.
    pub(crate) fn append(&mut self, change: &v1::LastGoodChange) -> Result<bool, SaveError> {
        let Some(journal) = &mut self.journal else { return Ok(false) };
        let appended = journal.append(change);
        if appended.is_err() {
            // Whatever got there is at its end; nothing may follow it.
            self.journal = None;
        }
        appended.map_err(|source| SaveError::Write { dir: self.dir.clone(), source })
    }

    /// Saves a state as the newest file and drops the oldest. Blocks until it is durable.
    pub(crate) fn save(&mut self, record: &v1::LastGood) -> Result<(), SaveError> {
        let content = record.encode_to_vec();
        let bytes = HEADER_BYTES + content.len();
        if bytes as u64 > FILE_BYTES_MAX {
            return Err(SaveError::TooLarge { bytes });
        }
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&FORMAT.to_le_bytes());
        header.extend_from_slice(&(content.len() as u64).to_le_bytes());
        header.extend_from_slice(&Sha256::digest(&content));
        let name = format!("{:020}.{ENDING}", self.next);
        self.journal = None;
        journal::remove(&self.dir, self.next)
            .and_then(|()| durable::write(&self.dir, &name, &[&header, &content]))
            .map_err(|source| SaveError::Write { dir: self.dir.clone(), source })?;
        self.journal = Some(Journal::new(&self.dir, self.next, bytes as u64));
        self.next = self.next.saturating_add(1);
        self.drop_oldest();
        Ok(())
    }

    /// A file that cannot be removed is tried again with the next save.
    fn drop_oldest(&self) {
        let files = list(&self.dir);
        for (sequence, path) in &files[..files.len().saturating_sub(FILES_KEPT)] {
            let _ = journal::remove(&self.dir, *sequence);
            let _ = fs::remove_file(path);
        }
    }
}

/// The files of the ring, oldest first, by the sequence in their name.
fn list(dir: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let sequence =
                path.file_name()?.to_str()?.strip_suffix(ENDING)?.strip_suffix('.')?.parse().ok()?;
            Some((sequence, path))
        })
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> Result<v1::LastGood, SkipReason> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        // Reading a pipe could wait for ever.
        return Err(SkipReason::Foreign);
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(SkipReason::Length);
    }
    decode(&fs::read(path)?)
}

fn decode(file: &[u8]) -> Result<v1::LastGood, SkipReason> {
    let rest = file.strip_prefix(MAGIC).ok_or(SkipReason::Foreign)?;
    let (format, rest) = rest.split_first_chunk::<4>().ok_or(SkipReason::Length)?;
    let format = u32::from_le_bytes(*format);
    if format > FORMAT {
        return Err(SkipReason::TooNew(format));
    }
    let (length, rest) = rest.split_first_chunk::<8>().ok_or(SkipReason::Length)?;
    let (sha256, content) = rest.split_first_chunk::<32>().ok_or(SkipReason::Length)?;
    if u64::from_le_bytes(*length) != content.len() as u64 {
        return Err(SkipReason::Length);
    }
    if Sha256::digest(content)[..] != sha256[..] {
        return Err(SkipReason::Checksum);
    }
    let record = v1::LastGood::decode(content)?;
    if record.cluster_id.is_empty() {
        return Err(SkipReason::NoCluster);
    }
    Ok(record)
}
