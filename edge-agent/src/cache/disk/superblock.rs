//! The superblock: the small file that makes a directory a store, with its format's version and its seed; and the lock.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{
    checksum::{Seed, u32_at, u64_at},
    segment::VERSION,
};
use crate::durable;

const FILE_NAME: &str = "superblock";
const LOCK_NAME: &str = "lock";
const MAGIC: u64 = 0x6e61_6c64_6165_4831;
const BYTES: usize = 40;

/// Why the store was empty at the start, if it was not simply new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was written by another version of this program.
    Version(u32),
    /// It is not a superblock.
    Garbled,
}

/// Takes the store for this process; `None` if another one has it. It is free when the file is closed, however that happens.
pub(super) fn lock(dir: &Path) -> io::Result<Option<File>> {
    let path = dir.join(LOCK_NAME);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        // On a read-only file system, one that is there will do.
        .or_else(|error| File::open(&path).map_err(|_| error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn encode(seed: &Seed) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..32].copy_from_slice(&seed.0);
    let checksum = seed.checksum(&[&bytes[..32]]);
    bytes[32..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Result<Seed, Refused> {
    if bytes.len() < BYTES || u64_at(bytes, 0) != MAGIC {
        return Err(Refused::Garbled);
    }
    if u32_at(bytes, 8) != VERSION {
        return Err(Refused::Version(u32_at(bytes, 8)));
    }
    let mut seed = Seed([0; 16]);
    seed.0.copy_from_slice(&bytes[16..32]);
    if encode(&seed) == bytes { Ok(seed) } else { Err(Refused::Garbled) }
}

/// The seed of the store in this directory, if it is one of ours.
pub(super) fn read(dir: &Path) -> io::Result<Option<Result<Seed, Refused>>> {
    match fs::read(dir.join(FILE_NAME)) {
        Ok(bytes) => Ok(Some(decode(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the directory a store with this seed, whole or not at all.
pub(super) fn write(dir: &Path, seed: &Seed) -> io::Result<()> {
    durable::write(dir, FILE_NAME, &[&encode(seed)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_superblock_is_what_it_was_or_says_why_not() {
        let seed = Seed([9; 16]);
        let good = encode(&seed);
        assert_eq!(decode(&good), Ok(seed));
        let mut newer = good;
        newer[8] += 1;
        assert_eq!(decode(&newer), Err(Refused::Version(VERSION + 1)));
        let mut garbled = good;
        garbled[20] ^= 1;
        assert_eq!(decode(&garbled), Err(Refused::Garbled));
        assert_eq!(decode(&good[..30]), Err(Refused::Garbled));
    }

    #[test]
    fn a_directory_is_locked_once() {
        let dir = tempfile::tempdir().expect("dir");
        let first = lock(dir.path()).expect("lock");
        assert!(first.is_some());
        assert!(lock(dir.path()).expect("lock").is_none());
        drop(first);
        assert!(lock(dir.path()).expect("lock").is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
