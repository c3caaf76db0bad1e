//! A segment: a file that is written once from its start to its end, read at any place, and unlinked as a whole.
//!
//! ```text
//! 0 magic 4 | 4 version 4 | 8 segment 4 | 12 log 4 | 16 checksum 8 | zeros up to 32 | records
//! ... entries of 44 bytes | records' end 8 | entries 4 | magic 4 | checksum of all these 8
//! ```
//! The part after the records is the footer. It is written when the segment is closed; without one, the records are found by
//! walking from header to header, up to the first that is not right.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, IoSliceMut},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{FileExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    buffer::spare_capacity,
    io::{Errno, ReadWriteFlags},
};

use super::{
    checksum::{Seed, u32_at, u64_at},
    entry::{ENTRY_BYTES, Entry, RecordId, UNIT_BYTES},
    policy::Log,
    record::{HEADER_BYTES, Header, stored_bytes},
};
use crate::{cache::write_at::write_all_at, durable};

/// Version of the format of segments, snapshot and graves. Files of another version are of no use to this program.
pub(super) const VERSION: u32 = 1;
/// Where records begin.
pub(super) const RECORDS_AT: u64 = 32;
/// Records of one segment at most: what the writer remembers of an open one is bounded by it.
pub(super) const RECORDS_MAX: usize = 1 << 16;
const MAGIC: u32 = 0x4753_4c48;
const FOOTER_MAGIC: u32 = 0x4654_4c48;
const TRAILER_BYTES: usize = 24;
/// Read at once when records are looked for without a footer.
const WALK_BYTES: usize = 256 << 10;

/// An open segment file. It stays readable while anybody holds it, even when it has been given up.
#[derive(Debug)]
pub struct Segment {
    pub(super) id: u32,
    pub(super) log: Log,
    path: PathBuf,
    file: File,
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The number and log that a file's name says, if it is a segment's.
fn of_file_name(name: &str) -> Option<(u32, Log)> {
    let (number, kind) = name.split_once('.')?;
    let log = match kind {
        "probation" => Log::Probation,
        "main" => Log::Main,
        _ => return None,
    };
    let id = (number.len() == 8).then(|| u32::from_str_radix(number, 16).ok())??;
    (format!("{id:08x}") == number).then_some((id, log))
}

fn file_name(id: u32, log: Log) -> String {
    let kind = match log {
        Log::Probation => "probation",
        Log::Main => "main",
    };
    format!("{id:08x}.{kind}")
}

fn head(id: u32, log: Log, seed: &Seed) -> [u8; RECORDS_AT as usize] {
    let mut head = [0; RECORDS_AT as usize];
    head[..4].copy_from_slice(&MAGIC.to_le_bytes());
    head[4..8].copy_from_slice(&VERSION.to_le_bytes());
    head[8..12].copy_from_slice(&id.to_le_bytes());
    head[12..16].copy_from_slice(&u32::from(log == Log::Main).to_le_bytes());
    let checksum = seed.checksum(&[&head[..16]]);
    head[16..24].copy_from_slice(&checksum.to_le_bytes());
    head
}

impl Segment {
    /// A new file; an error if there is one.
    pub(super) fn create(dir: &Path, id: u32, log: Log, seed: &Seed) -> io::Result<Self> {
        let path = dir.join(file_name(id, log));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let segment = Self { id, log, path, file };
        if let Err(error) = segment.file.write_all_at(&head(id, log, seed), 0) {
            let _ = segment.unlink();
            return Err(error);
        }
        Ok(segment)
    }

    /// An existing file, and its length. `InvalidData` or `UnexpectedEof` if it is not a segment of this store; after any other
    /// error it may be one.
    pub(super) fn open(dir: &Path, id: u32, log: Log, seed: &Seed) -> io::Result<(Self, u64)> {
        let path = dir.join(file_name(id, log));
        // Writing is for the footer that a crash has left out, and not essential.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .or_else(|_| OpenOptions::new().read(true).open(&path))?;
        let mut found = [0; RECORDS_AT as usize];
        file.read_exact_at(&mut found, 0)?;
        if found != head(id, log, seed) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let bytes = file.metadata()?.len();
        Ok((Self { id, log, path, file }, bytes))
    }

    /// Writes all of these at an offset. What was written before an error is not referred to by anything.
    pub(super) fn write(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        write_all_at(&self.file, parts, offset)
    }

    /// Cuts the file off behind what is referred to: what a failed write has left could pass for records later.
    pub(super) fn cut(&self, end: u64) -> io::Result<()> {
        self.file.set_len(end)
    }

    /// Reads that many bytes; `UnexpectedEof` if there are fewer.
    pub(super) fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let bytes = self.read_up_to(offset, length)?;
        if bytes.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
    }

    fn read_up_to(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = offset + bytes.len() as u64;
            match rustix::io::pread(&self.file, spare_capacity(&mut bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    /// The same, into what is there.
    pub(super) fn read_into(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    /// Reads that many bytes if they are all in the page cache; `WouldBlock` if not, or if the file system cannot tell.
    pub(super) fn read_resident(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.read_resident_into(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The same, into what is there.
    pub(super) fn read_resident_into(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let length = bytes.len();
        let mut parts = [IoSliceMut::new(bytes)];
        match rustix::io::preadv2(&self.file, &mut parts, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == length => Ok(()),
            Ok(0) if length > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the footer behind what is there, and returns its length.
    pub(super) fn write_footer(&self, entries: &[Entry], end: u64, seed: &Seed) -> io::Result<u64> {
        let mut footer = Vec::with_capacity(entries.len() * ENTRY_BYTES + TRAILER_BYTES);
        entries.iter().for_each(|entry| footer.extend_from_slice(&entry.encode()));
        footer.extend_from_slice(&end.to_le_bytes());
        // At most RECORDS_MAX.
        footer.extend_from_slice(&(entries.len() as u32).to_le_bytes());
        footer.extend_from_slice(&FOOTER_MAGIC.to_le_bytes());
        let checksum = seed.checksum(&[&self.id.to_le_bytes(), &footer]);
        footer.extend_from_slice(&checksum.to_le_bytes());
        self.file.write_all_at(&footer, end)?;
        Ok(footer.len() as u64)
    }

    /// The segment's records, in their order: of its footer, or else of a walk, in which case the footer is written now.
    pub(super) fn records(&self, seed: &Seed) -> io::Result<Vec<Entry>> {
        let bytes = self.file.metadata()?.len();
        if let Some(entries) = self.read_footer(bytes, seed)? {
            return Ok(entries);
        }
        let entries = self.walk(bytes, seed)?;
        // Not needed, but the next start is faster. It goes behind whatever the crash has left.
        let _ = self.write_footer(&entries, bytes, seed);
        Ok(entries)
    }

    fn read_footer(&self, bytes: u64, seed: &Seed) -> io::Result<Option<Vec<Entry>>> {
        let Some(trailer_at) = bytes.checked_sub(TRAILER_BYTES as u64) else {
            return Ok(None);
        };
        let trailer = self.read(trailer_at, TRAILER_BYTES)?;
        let (end, count) = (u64_at(&trailer, 0), u32_at(&trailer, 8) as usize);
        let fits = count <= RECORDS_MAX && end.checked_add((count * ENTRY_BYTES) as u64) == Some(trailer_at);
        if u32_at(&trailer, 12) != FOOTER_MAGIC || !fits {
            return Ok(None);
        }
        let footer = self.read(end, count * ENTRY_BYTES)?;
        if seed.checksum(&[&self.id.to_le_bytes(), &footer, &trailer[..16]]) != u64_at(&trailer, 16) {
            return Ok(None);
        }
        let entries = footer.chunks_exact(ENTRY_BYTES).filter_map(Entry::decode);
        Ok(Some(entries.filter(|entry| entry.id.segment == self.id).collect()))
    }

    fn walk(&self, bytes: u64, seed: &Seed) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut at = RECORDS_AT;
        let mut window = Vec::new();
        let mut window_at = 0;
        while at < bytes && entries.len() < RECORDS_MAX {
            // A header with its meta at the start of the window, or all that there is.
            let mut rest = window.get((at - window_at) as usize..).unwrap_or_default();
            let known = Header::head_bytes(rest).filter(|_| rest.len() >= HEADER_BYTES);
            if known.is_none_or(|head_bytes| rest.len() < head_bytes) {
                window = self.read_up_to(at, WALK_BYTES)?;
                window_at = at;
                rest = &window;
            }
            let id = RecordId::at(self.id, at);
            let Some(header) = Header::decode(rest, id, seed) else {
                break;
            };
            let end = at + (HEADER_BYTES + header.meta_bytes + header.body_bytes) as u64;
            if end > bytes {
                break;
            }
            entries.push(header.entry());
            at += stored_bytes(header.meta_bytes, header.body_bytes);
        }
        Ok(entries)
    }

    /// The header of a record, with its meta checked.
    pub(super) fn header(&self, entry: &Entry, seed: &Seed) -> Option<Header> {
        let head = self.read(entry.id.offset(), HEADER_BYTES + entry.packed.meta_bytes()).ok()?;
        Header::decode(&head, entry.id, seed).filter(|header| header.is_of(entry))
    }

    /// Length of the file.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Waits until what was written is on the medium.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Takes away its name. Gone already is fine.
    pub(super) fn unlink(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Takes away a file that is of no use. Gone already is fine.
pub(super) fn remove(dir: &Path, id: u32, log: Log) -> io::Result<()> {
    durable::remove(dir, &file_name(id, log))
}

/// The segment files of a directory, by number.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(u32, Log)>> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(dir)? {
        found.extend(file?.file_name().to_str().and_then(of_file_name));
    }
    found.sort_unstable_by_key(|(id, _)| *id);
    Ok(found)
}

/// Whether a record of these lengths fits into what is left of a segment.
pub(super) fn fits(at: u64, record_bytes: u64, segment_bytes: u64) -> bool {
    debug_assert!(at.is_multiple_of(UNIT_BYTES), "records begin at units");
    at + record_bytes <= segment_bytes
}
