//! The graves: which records are dead although their segments are there, so that no restart brings back what was removed.
//!
//! One file of 16 bytes for each: the record's id and a checksum. It is only added to, and written anew when most of it is
//! of segments that are gone.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    checksum::{Seed, u64_at},
    entry::RecordId,
};
use crate::durable;

pub(super) const FILE_NAME: &str = "graves";
const GRAVE_BYTES: usize = 16;
/// Graves of segments that are gone which are not worth writing the file anew.
const SLACK: u64 = 64 << 10;

/// The graves' file while it is added to.
#[derive(Debug)]
pub(super) struct Graves {
    dir: PathBuf,
    seed: Seed,
    file: Option<Arc<File>>,
    bytes: u64,
    synced_bytes: u64,
    /// How many there are of each segment.
    of_segment: HashMap<u32, u64>,
}

fn grave(id: RecordId, seed: &Seed) -> [u8; GRAVE_BYTES] {
    let mut grave = [0; GRAVE_BYTES];
    grave[..8].copy_from_slice(&id.encode());
    let checksum = seed.checksum(&[b"grave", &id.encode()]);
    grave[8..].copy_from_slice(&checksum.to_le_bytes());
    grave
}

/// The ids in the file's bytes. A crash leaves part of a grave at the end, a power failure zeros; if there is anything else
/// that is not right, nobody knows what was removed, and there is nothing.
fn decode(bytes: &[u8], seed: &Seed) -> Option<Vec<RecordId>> {
    let right = |bytes: &&[u8]| seed.checksum(&[b"grave", &bytes[..8]]) == u64_at(bytes, 8);
    let graves = bytes.chunks_exact(GRAVE_BYTES).take_while(right);
    let ids: Vec<_> = graves.map(|grave| RecordId::decode(&grave[..8])).collect();
    let rest = &bytes[ids.len() * GRAVE_BYTES..];
    (rest.len() < GRAVE_BYTES || rest.iter().all(|&byte| byte == 0)).then_some(ids)
}

impl Graves {
    /// With nothing in it, whatever the file says.
    pub(super) fn new(dir: &Path, seed: Seed) -> Self {
        Self { dir: dir.to_owned(), seed, file: None, bytes: 0, synced_bytes: 0, of_segment: HashMap::new() }
    }

    /// Reads the file, if there is one. Nothing in the place of the ids if it cannot be trusted.
    pub(super) fn open(dir: &Path, seed: Seed) -> io::Result<(Self, Option<HashSet<RecordId>>)> {
        let bytes = match fs::read(dir.join(FILE_NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes?,
        };
        let ids = decode(&bytes, &seed);
        let mut graves = Self::new(dir, seed);
        ids.iter().flatten().for_each(|id| *graves.of_segment.entry(id.segment).or_default() += 1);
        graves.bytes = (ids.iter().flatten().count() * GRAVE_BYTES) as u64;
        Ok((graves, ids.map(|ids| ids.into_iter().collect())))
    }

    /// Forgets them all, with their file: there is no segment any more.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file = None;
        self.of_segment.clear();
        self.bytes = 0;
        self.synced_bytes = 0;
        durable::remove(&self.dir, FILE_NAME)
    }

    /// The largest segment number that any is of.
    pub(super) fn segment_max(&self) -> Option<u32> {
        self.of_segment.keys().copied().max()
    }

    /// Bytes of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds these. After an error none of them counts, and the next addition writes in the same place.
    pub(super) fn add(&mut self, ids: &[RecordId]) -> io::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => Arc::new(open(&self.dir.join(FILE_NAME))?),
        };
        let bytes: Vec<u8> = ids.iter().flat_map(|id| grave(*id, &self.seed)).collect();
        file.write_all_at(&bytes, self.bytes)?;
        self.file = Some(file);
        self.bytes += bytes.len() as u64;
        ids.iter().for_each(|id| *self.of_segment.entry(id.segment).or_default() += 1);
        Ok(())
    }

    /// The file, if there is anything in it that this has not been asked about: it must be synced, because a power failure
    /// may otherwise bring back what was removed.
    pub(super) fn unsynced(&mut self) -> Option<Arc<File>> {
        let file = self.file.clone().filter(|_| self.bytes > self.synced_bytes)?;
        self.synced_bytes = self.bytes;
        Some(file)
    }

    /// A segment is gone, and with it its graves.
    pub(super) fn forget(&mut self, segment: u32) {
        self.of_segment.remove(&segment);
    }

    /// Writes the file anew if most of it is of segments that are gone.
    pub(super) fn clean(&mut self) -> io::Result<()> {
        let living: u64 = self.of_segment.values().sum();
        if self.bytes / GRAVE_BYTES as u64 <= 2 * living + SLACK {
            return Ok(());
        }
        let ids =
            decode(&fs::read(self.dir.join(FILE_NAME))?, &self.seed).ok_or(io::ErrorKind::InvalidData)?;
        let kept = ids.into_iter().filter(|id| self.of_segment.contains_key(&id.segment));
        let bytes: Vec<u8> = kept.flat_map(|id| grave(id, &self.seed)).collect();
        durable::write(&self.dir, FILE_NAME, &[&bytes])?;
        // The next addition opens the new one.
        self.file = None;
        self.bytes = bytes.len() as u64;
        self.synced_bytes = self.bytes;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Seed = Seed([1; 16]);

    fn ids(segment: u32, count: u32) -> Vec<RecordId> {
        (0..count).map(|unit| RecordId { segment, unit }).collect()
    }

    #[test]
    fn a_torn_end_is_cut_off_and_nothing_else_is_trusted() {
        let all = ids(1, 3);
        let bytes: Vec<u8> = all.iter().flat_map(|id| grave(*id, &SEED)).collect();
        assert_eq!(decode(&bytes, &SEED), Some(all.clone()));
        assert_eq!(decode(&bytes[..bytes.len() - 1], &SEED), Some(all[..2].to_vec()));
        let zeros = [&bytes[..32], &[0; 40]].concat();
        assert_eq!(decode(&zeros, &SEED), Some(all[..2].to_vec()));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(decode(&changed, &SEED), None);
        }
    }

    #[test]
    fn graves_of_segments_that_are_gone_are_cleaned_away() {
        let dir = tempfile::tempdir().expect("dir");
        let (mut graves, found) = Graves::open(dir.path(), SEED).expect("open");
        assert_eq!(found.map(|ids| ids.len()), Some(0));
        graves.add(&ids(1, 70_000)).expect("add");
        graves.add(&ids(2, 10)).expect("add");
        graves.clean().expect("clean");
        assert_eq!(graves.bytes(), 70_010 * 16, "all are of use");
        graves.forget(1);
        graves.clean().expect("clean");
        graves.add(&ids(3, 1)).expect("add");
        let (graves, found) = Graves::open(dir.path(), SEED).expect("open");
        let wanted: HashSet<_> = ids(2, 10).into_iter().chain(ids(3, 1)).collect();
        assert_eq!(found, Some(wanted));
        assert_eq!(graves.bytes(), 11 * 16);
    }
}
