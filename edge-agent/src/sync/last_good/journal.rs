//! What has changed since a last-good file was saved, in a file beside it: one record after the other, each with its length and SHA-256.
//! A record that is not what it should be is the end.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use headland_proto::v1;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::{FILE_BYTES_MAX, SkipReason};
use crate::durable;

const ENDING: &str = "changes";

/// The journal of one last-good file.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    path: PathBuf,
    /// There is one only if something has changed.
    file: Option<File>,
    bytes: u64,
    bytes_max: u64,
}

/// Where the journal of a last-good file is.
pub(super) fn path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(name(sequence))
}

fn name(sequence: u64) -> String {
    format!("{sequence:020}.{ENDING}")
}

/// Removes the journal of a last-good file. None is fine.
pub(super) fn remove(dir: &Path, sequence: u64) -> io::Result<()> {
    durable::remove(dir, &name(sequence))
}

/// Everything that is whole in the journal of a last-good file, and whether something else follows.
pub(super) fn read(dir: &Path, sequence: u64) -> (Vec<v1::LastGoodChange>, Result<(), SkipReason>) {
    let mut changes = Vec::new();
    let end = read_into(&path(dir, sequence), &mut changes);
    (changes, end)
}

fn read_into(path: &Path, changes: &mut Vec<v1::LastGoodChange>) -> Result<(), SkipReason> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.is_file() {
        return Err(SkipReason::Foreign);
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(SkipReason::Length);
    }
    let file = fs::read(path)?;
    let mut rest = file.as_slice();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().ok_or(SkipReason::Length)?;
        let (sha256, after) = after.split_first_chunk::<32>().ok_or(SkipReason::Length)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (content, after) = after.split_at_checked(length).ok_or(SkipReason::Length)?;
        if Sha256::digest(content)[..] != sha256[..] {
            return Err(SkipReason::Checksum);
        }
        changes.push(v1::LastGoodChange::decode(content)?);
        rest = after;
    }
    Ok(())
}

impl Journal {
    /// The journal of a file that was saved just now and has so many bytes. It may become as large: then as much is written for the
    /// changes as for saving all once, and no more has to be read than twice as much as there is.
    pub(super) fn new(dir: &Path, sequence: u64, bytes_max: u64) -> Self {
        Self { dir: dir.to_owned(), path: path(dir, sequence), file: None, bytes: 0, bytes_max }
    }

    /// Adds a change and returns when it is durable; `false`, and nothing added, if there is no room for it.
    pub(super) fn append(&mut self, change: &v1::LastGoodChange) -> io::Result<bool> {
        let content = change.encode_to_vec();
        let Ok(length) = u32::try_from(content.len()) else { return Ok(false) };
        let mut record = Vec::with_capacity(4 + 32 + content.len());
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(&Sha256::digest(&content));
        record.extend_from_slice(&content);
        if self.bytes + record.len() as u64 > self.bytes_max {
            return Ok(false);
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&self.path)?;
                File::open(&self.dir)?.sync_all()?;
                file
            }
        };
        file.write_all(&record)?;
        file.sync_data()?;
        self.bytes += record.len() as u64;
        self.file = Some(file);
        Ok(true)
    }
}
