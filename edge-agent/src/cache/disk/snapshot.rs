//! The snapshot: the whole index in one file, written at a clean stop and used up by the next start.
//!
//! ```text
//! 0 magic 4 | version 4 | segments 4 | zero 4 | graves' bytes 8 | entries 8 | then segment 4, zero 4, bytes 8 of each | checksum 8
//! then blocks of up to 4096 entries, each with its checksum
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use tracing::warn;

use super::{
    checksum::{Seed, u32_at, u64_at},
    entry::{ENTRY_BYTES, Entry},
    index::{Index, SHARDS},
    segment::VERSION,
};
use crate::{durable, error_chain::ErrorChain};

const FILE_NAME: &str = "snapshot";
const MAGIC: u32 = 0x4e53_4c48;
const BLOCK_ENTRIES: usize = 4096;
/// Segments of a store at most, as far as reading a snapshot goes.
const SEGMENTS_MAX: usize = 1 << 20;

/// What the store was when the snapshot was written. If it is anything else now, the snapshot is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stamp {
    /// Number and file length of each segment, in order.
    pub(super) segments: Vec<(u32, u64)>,
    pub(super) graves_bytes: u64,
}

fn header(stamp: &Stamp, entries: u64, seed: &Seed) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&MAGIC.to_le_bytes());
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(stamp.segments.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&stamp.graves_bytes.to_le_bytes());
    bytes.extend_from_slice(&entries.to_le_bytes());
    for (segment, length) in &stamp.segments {
        bytes.extend_from_slice(&u64::from(*segment).to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
    }
    let checksum = seed.checksum(&[&bytes]);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Writes what the index holds; nothing may change it meanwhile.
pub(super) fn write(dir: &Path, index: &Index, stamp: &Stamp, seed: &Seed) -> io::Result<()> {
    let aside = dir.join(FILE_NAME).with_extension(durable::UNFINISHED);
    let written = write_to(&aside, index, stamp, seed).and_then(|()| fs::rename(&aside, dir.join(FILE_NAME)));
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written
}

fn write_to(path: &Path, index: &Index, stamp: &Stamp, seed: &Seed) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(&header(stamp, index.records(), seed))?;
    let mut block = Vec::with_capacity(BLOCK_ENTRIES * ENTRY_BYTES);
    let mut flush = |block: &mut Vec<u8>| {
        out.write_all(block)?;
        out.write_all(&seed.checksum(&[&block[..]]).to_le_bytes())?;
        block.clear();
        io::Result::Ok(())
    };
    for shard in 0..SHARDS {
        for entry in index.entries(shard) {
            block.extend_from_slice(&entry.encode());
            if block.len() == BLOCK_ENTRIES * ENTRY_BYTES {
                flush(&mut block)?;
            }
        }
    }
    if !block.is_empty() {
        flush(&mut block)?;
    }
    out.flush()?;
    out.get_ref().sync_data()
}

/// The snapshot, if there is one. It is taken away, because from now on the directory may change.
pub(super) fn take(dir: &Path) -> Option<File> {
    let file = File::open(dir.join(FILE_NAME)).ok();
    if let Err(error) = remove(dir) {
        // Where nothing can be removed nothing is changed either; and if anything is, the stamp tells.
        warn!(error = %ErrorChain(&error), "the disk cache's snapshot cannot be removed");
    }
    file
}

/// Hands over the entries of the snapshot, block by block, and tells whether it had all of them. False, and perhaps a part
/// of them, if it is not of this store as it is now, or a byte of it is wrong.
pub(super) fn read(file: File, stamp: &Stamp, seed: &Seed, mut some: impl FnMut(Vec<Entry>)) -> bool {
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut start = [0; 32];
    if file.read_exact(&mut start).is_err() || u32_at(&start, 8) as usize > SEGMENTS_MAX {
        return false;
    }
    let mut rest = vec![0; u32_at(&start, 8) as usize * 16 + 8];
    let entries = u64_at(&start, 24);
    if file.read_exact(&mut rest).is_err() || [&start[..], &rest].concat() != header(stamp, entries, seed) {
        return false;
    }
    let mut left = entries;
    let mut block = Vec::new();
    while left > 0 {
        let now = left.min(BLOCK_ENTRIES as u64);
        left -= now;
        block.resize(now as usize * ENTRY_BYTES + 8, 0);
        if file.read_exact(&mut block).is_err() {
            return false;
        }
        let (encoded, checksum) = block.split_at(now as usize * ENTRY_BYTES);
        if seed.checksum(&[encoded]) != u64_at(checksum, 0) {
            return false;
        }
        some(encoded.chunks_exact(ENTRY_BYTES).filter_map(Entry::decode).collect());
    }
    true
}

/// Takes it away. Gone already is fine.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    durable::remove(dir, FILE_NAME)
}
