//! The arena: where large bodies are, and how many bytes of them.
//!
//! Their memory is a file without a name (memfd_create(2)): from there the kernel sends them to viewers without a copy, and because
//! the file is mapped, all others read them like any memory. A body is written once. When the last who holds a part of it is gone,
//! its pages are punched out of the file: packets under way keep them, and what takes their place in the file gets others. Room in
//! the file costs nothing, so there is far more of it than memory, and each size has its own. Where there is no such file, bodies
//! are in memory as the allocator gives it.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use memmap2::{MmapOptions, MmapRaw};
use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};

use crate::cache::write_at::write_all_at;

/// A body is kept in pieces of this size: few enough to hand over quickly, small enough to find memory for.
pub(super) const PIECE_BYTES: usize = 4 << 20;
/// Places in the file are of this size, or twice, four times that and so on: whole pages on every machine.
const PLACE_BYTES_MIN: usize = 128 << 10;
/// Sizes of places.
const CLASSES: usize = (PIECE_BYTES / PLACE_BYTES_MIN).ilog2() as usize + 1;
/// Room in the file for each byte of memory. A place is less than twice as large as what is in it, and each of six sizes may once have
/// had all of the memory.
const ROOM_FACTOR: u64 = 16;
/// More than that is not to be had on a machine with 47 bits of addresses.
const ROOM_BYTES_MAX: u64 = 1 << 45;

/// Keeps large bodies, and counts their bytes until the last who holds one has let go of it.
#[derive(Debug, Clone, Default)]
pub struct Arena(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bytes: AtomicU64,
    pages: Option<Pages>,
}

/// The file.
#[derive(Debug)]
struct Pages {
    file: OwnedFd,
    map: MmapRaw,
    room: Mutex<Room>,
}

/// Which places in the file are taken.
#[derive(Debug, Default)]
struct Room {
    /// From here on none has ever been.
    end: u64,
    /// Those that are free again, by size.
    free: [Vec<u64>; CLASSES],
}

impl Arena {
    /// One that has room for so many bytes of bodies at once. If the system gives no file, that is logged, and they are elsewhere.
    #[must_use]
    pub fn new(memory_bytes: u64) -> Self {
        let pages = Pages::new(memory_bytes.saturating_mul(ROOM_FACTOR).min(ROOM_BYTES_MAX));
        let pages = pages.inspect_err(
            |error| tracing::warn!(%error, "large bodies are copied to each viewer: there is no file in memory to keep them in"),
        );
        Self(Arc::new(Inner { pages: pages.ok(), ..Inner::default() }))
    }

    /// Bytes of all bodies that there are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Relaxed)
    }

    /// Copies the chunks of a body to pieces in the file, all but the last of which are of one size.
    pub(super) fn keep<'c>(&self, chunks: impl IntoIterator<Item = &'c Bytes>) -> Box<[Bytes]> {
        Self::pieces(chunks, |parts, bytes| self.keep_piece(parts, bytes))
    }

    /// The same in memory of the allocator, which has it at hand: the kernel clears every page of the file.
    pub(super) fn gather<'c>(&self, chunks: impl IntoIterator<Item = &'c Bytes>) -> Box<[Bytes]> {
        Self::pieces(chunks, |parts, bytes| self.gather_piece(parts, bytes))
    }

    fn pieces<'c>(
        chunks: impl IntoIterator<Item = &'c Bytes>,
        keep: impl Fn(&[IoSlice<'_>], usize) -> Bytes,
    ) -> Box<[Bytes]> {
        let (mut pieces, mut parts, mut bytes) = (Vec::new(), Vec::new(), 0);
        for chunk in chunks {
            let mut chunk = &chunk[..];
            while !chunk.is_empty() {
                let (now, later) = chunk.split_at(chunk.len().min(PIECE_BYTES - bytes));
                parts.push(IoSlice::new(now));
                bytes += now.len();
                chunk = later;
                if bytes == PIECE_BYTES {
                    pieces.push(keep(&parts, bytes));
                    parts.clear();
                    bytes = 0;
                }
            }
        }
        if bytes > 0 {
            pieces.push(keep(&parts, bytes));
        }
        pieces.into()
    }

    fn keep_piece(&self, parts: &[IoSlice<'_>], bytes: usize) -> Bytes {
        let kept = self.0.pages.as_ref().and_then(|pages| pages.write(parts, bytes));
        match kept {
            Some(offset) => {
                self.0.bytes.fetch_add(bytes as u64, Relaxed);
                Bytes::from_owner(InFile { arena: Arc::clone(&self.0), offset, bytes })
            }
            None => self.gather_piece(parts, bytes),
        }
    }

    fn gather_piece(&self, parts: &[IoSlice<'_>], bytes: usize) -> Bytes {
        let mut piece = Vec::with_capacity(bytes);
        parts.iter().for_each(|part| piece.extend_from_slice(part));
        self.enter(piece.into())
    }

    /// Counts a piece that stays where it is.
    pub(super) fn enter(&self, piece: Bytes) -> Bytes {
        self.0.bytes.fetch_add(piece.len() as u64, Relaxed);
        Bytes::from_owner(Elsewhere { piece, arena: Arc::clone(&self.0) })
    }

    /// Whether these bytes are where they should be: in the file, or there is none.
    pub(super) fn keeps(&self, bytes: &[u8]) -> bool {
        self.0.pages.is_none() || self.find(bytes).is_some()
    }

    /// The file, and where in it these bytes are, if they are part of a body that is in it. They stay there for as long as they are
    /// borrowed.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<(BorrowedFd<'_>, u64)> {
        let pages = self.0.pages.as_ref()?;
        let offset = bytes.as_ptr().addr().checked_sub(pages.map.as_ptr().addr())?;
        (offset + bytes.len() <= pages.map.len()).then_some((pages.file.as_fd(), offset as u64))
    }
}

impl Pages {
    fn new(bytes: u64) -> io::Result<Self> {
        let create = |flags| rustix::fs::memfd_create("headland-bodies", flags);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Some systems insist that it cannot be executed, and older ones know nothing of that.
        let file = create(flags | MemfdFlags::NOEXEC_SEAL).or_else(|_| create(flags))?;
        rustix::fs::ftruncate(&file, bytes)?;
        // What is mapped must stay there.
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        let map = MmapOptions::new().len(bytes).map_raw_read_only(&file)?;
        Ok(Self { file, map, room: Mutex::default() })
    }

    /// Writes a piece to a place of its own. Nothing if there is none, or no memory.
    fn write(&self, parts: &[IoSlice<'_>], bytes: usize) -> Option<u64> {
        let offset = self.room.lock().take(class(bytes), self.map.len() as u64)?;
        // Of a copy, because what was written before an error would be missing from the parts.
        let written = write_all_at(&self.file, &mut parts.to_vec(), offset);
        if written.is_err() {
            self.give_back(offset, bytes);
        }
        written.is_ok().then_some(offset)
    }

    /// Lets go of a piece's memory, and then of its place.
    fn give_back(&self, offset: u64, bytes: usize) {
        let whole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let class = class(bytes);
        // Without that the pages would be written over, packets under way included: then the place is lost.
        match rustix::fs::fallocate(&self.file, whole, offset, (PLACE_BYTES_MIN << class) as u64) {
            Ok(()) => self.room.lock().free[class].push(offset),
            Err(error) => tracing::warn!(%error, "the memory of a large body cannot be given back"),
        }
    }

    /// The bytes of a place that has been written.
    #[expect(unsafe_code, reason = "the only way to read what is mapped")]
    fn read(&self, offset: u64, bytes: usize) -> &[u8] {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        assert!(offset.checked_add(bytes).is_some_and(|end| end <= self.map.len()), "a place is in the file");
        // SAFETY: The range is inside the mapping, by the assertion, and the file cannot become shorter than that: it is sealed. The
        // pages there are initialised: they were written, or are zero. Nobody changes them while the slice lives: a place is written
        // once, before an `InFile` is made of it, and is given back when that is dropped, which the slice borrows from.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(offset), bytes) }
    }
}

impl Room {
    fn take(&mut self, class: usize, room_bytes: u64) -> Option<u64> {
        if let Some(offset) = self.free[class].pop() {
            return Some(offset);
        }
        let (offset, bytes) = (self.end, (PLACE_BYTES_MIN << class) as u64);
        (bytes <= room_bytes - offset).then(|| {
            self.end += bytes;
            offset
        })
    }
}

/// Which places a piece of so many bytes goes to.
fn class(bytes: usize) -> usize {
    bytes.div_ceil(PLACE_BYTES_MIN).next_power_of_two().ilog2() as usize
}

/// A piece in the file.
struct InFile {
    arena: Arc<Inner>,
    offset: u64,
    bytes: usize,
}

impl AsRef<[u8]> for InFile {
    fn as_ref(&self) -> &[u8] {
        // There is a file, or it would not be in it.
        self.arena.pages.as_ref().map_or(&[], |pages| pages.read(self.offset, self.bytes))
    }
}

impl Drop for InFile {
    fn drop(&mut self) {
        self.arena.bytes.fetch_sub(self.bytes as u64, Relaxed);
        if let Some(pages) = &self.arena.pages {
            pages.give_back(self.offset, self.bytes);
        }
    }
}

/// A piece that is not in the file.
struct Elsewhere {
    piece: Bytes,
    arena: Arc<Inner>,
}

impl AsRef<[u8]> for Elsewhere {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.arena.bytes.fetch_sub(self.piece.len() as u64, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::net::UnixStream};

    use super::*;

    fn chunks(bytes: usize, seed: u8) -> Vec<Bytes> {
        let whole: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8 ^ seed).collect();
        whole.chunks(10_000).map(Bytes::copy_from_slice).collect()
    }

    fn memory_bytes(arena: &Arena) -> u64 {
        let pages = arena.0.pages.as_ref().expect("a file");
        u64::try_from(rustix::fs::fstat(&pages.file).expect("fstat").st_blocks).expect("positive") * 512
    }

    #[test]
    fn what_is_kept_is_in_the_file_and_takes_memory_only_while_somebody_holds_it() {
        let arena = Arena::new(64 << 20);
        for bytes in [65_537, 100_000, PLACE_BYTES_MIN, (1 << 20) + 1, PIECE_BYTES, PIECE_BYTES + 1, 9 << 20]
        {
            let chunks = chunks(bytes, 0);
            let pieces = arena.keep(&chunks);
            assert!(pieces.concat() == chunks.concat(), "{bytes}");
            assert!(pieces.iter().rev().skip(1).all(|piece| piece.len() == PIECE_BYTES));
            assert!(pieces.iter().all(|piece| arena.find(piece).is_some()));
            let held = memory_bytes(&arena);
            assert!((bytes as u64..bytes as u64 + 2 * 65_536).contains(&held), "{held} for {bytes}");
            assert_eq!(arena.bytes(), bytes as u64);
            let part = pieces[0].slice(7..9);
            drop(pieces);
            assert_eq!(part[..], chunks[0][7..9]);
            drop(part);
            assert_eq!((memory_bytes(&arena), arena.bytes()), (0, 0), "{bytes}");
        }
        assert!(arena.find(b"elsewhere").is_none());
    }

    /// What the kernel has taken is what was sent, whatever comes to the same place before it is read.
    #[test]
    fn what_is_under_way_to_a_viewer_is_never_written_over() {
        let arena = Arena::new(1 << 20);
        let (sender, mut viewer) = UnixStream::pair().expect("a pair");
        let (first, second) = (chunks(100_000, 1), chunks(100_000, 2));
        let pieces = arena.keep(&first);
        let (file, offset) = arena.find(&pieces[0]).expect("in the file");
        let sent = rustix::fs::sendfile(&sender, file, Some(&mut { offset }), 100_000).expect("sent");
        drop(pieces);
        let others = arena.keep(&second);
        assert_eq!(arena.find(&others[0]).map(|(_, offset)| offset), Some(offset), "in its place");
        drop(sender);
        let mut got = Vec::new();
        viewer.read_to_end(&mut got).expect("read");
        assert!(got.len() == sent && got == first.concat()[..sent]);
        assert!(others.concat() == second.concat());
    }

    #[test]
    fn where_the_file_has_no_room_bodies_are_kept_elsewhere() {
        let arena = Arena::new(PLACE_BYTES_MIN as u64 / ROOM_FACTOR);
        let chunks = chunks(100_000, 0);
        let (first, second) = (arena.keep(&chunks), arena.keep(&chunks));
        assert!(arena.find(&first[0]).is_some() && arena.find(&second[0]).is_none());
        assert!(second.concat() == chunks.concat());
        assert_eq!(arena.bytes(), 200_000);
        drop((first, second));
        assert_eq!(arena.bytes(), 0);
        assert!(arena.find(&arena.keep(&chunks)[0]).is_some(), "there is room again");
        let none = Arena::default();
        assert!(none.keep(&chunks).concat() == chunks.concat());
    }

    /// A file that ends in the middle of a place: as when there is no more memory, the kernel takes some, and then nothing.
    #[test]
    fn what_the_file_takes_in_part_only_is_kept_elsewhere_whole() {
        let file = rustix::fs::memfd_create("short", MemfdFlags::ALLOW_SEALING).expect("a file");
        rustix::fs::ftruncate(&file, 105_000).expect("a length");
        rustix::fs::fcntl_add_seals(&file, SealFlags::GROW).expect("sealed");
        let map = MmapOptions::new().len(PLACE_BYTES_MIN).map_raw_read_only(&file).expect("mapped");
        let pages = Some(Pages { file, map, room: Mutex::default() });
        let arena = Arena(Arc::new(Inner { pages, ..Inner::default() }));
        let chunks = chunks(120_000, 0);
        let pieces = arena.keep(&chunks);
        assert!(arena.find(&pieces[0]).is_none() && pieces.concat() == chunks.concat());
        drop(pieces);
        assert_eq!((memory_bytes(&arena), arena.bytes()), (0, 0));
    }

    #[test]
    fn sizes_have_their_classes() {
        for (bytes, expected) in
            [(1, 0), (PLACE_BYTES_MIN, 0), (PLACE_BYTES_MIN + 1, 1), (1 << 20, 3), (PIECE_BYTES, CLASSES - 1)]
        {
            assert_eq!(class(bytes), expected, "{bytes}");
        }
    }
}
