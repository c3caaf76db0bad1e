//! Stored objects: a response head, made ready for sending, and a body that is never copied again.

mod allocation;
mod arena;
pub mod encoded;
mod head;
mod text;
mod usual;

use std::sync::Arc;

use bytes::Bytes;

use self::{
    allocation::{ARC_BYTES, allocated},
    arena::PIECE_BYTES,
};
pub use self::{
    arena::Arena,
    head::{Compressed, Head, Unpacked},
};

/// Bodies up to this size are plain memory of the object itself, without the counters that a piece handed out by itself needs.
pub(super) const SMALL_BYTES_MAX: usize = 64 << 10;
/// Bodies up to this size are moved to the arena when they are asked for again; larger ones are there from the beginning.
const MOVED_BYTES_MAX: u64 = 1 << 20;
/// What the tables of the memory tier keep for each key: a place in the cache and one in the expiry index, by
/// the sizes of their entries (48 and 16 bytes, and the slack of the tables).
const PLACE_BYTES: u64 = 80;

/// A stored object: immutable once it is in the cache.
#[derive(Debug)]
pub struct Object {
    /// The head, and the body: in the same memory as its text, or, if it is large, in pieces. None is empty, and all but the last are
    /// of one size.
    pub head: Head,
    /// A small body in memory of its own.
    small: Box<[u8]>,
}

impl Object {
    /// Copies the chunks of a body, which are so many bytes together, into memory of exactly their size. A chunk is a slice of the
    /// connection's read buffer and would keep the whole of it alive.
    #[must_use]
    pub fn new<'c>(head: Head, chunks: impl IntoIterator<Item = &'c Bytes>, bytes: u64) -> Self {
        Self::kept_in(&Arena::default(), head, chunks, bytes)
    }

    /// The same, with a large body in an arena: one that is to be moved there when it is asked for again is counted there.
    #[must_use]
    pub fn counted_in<'c>(
        arena: &Arena,
        head: Head,
        chunks: impl IntoIterator<Item = &'c Bytes>,
        bytes: u64,
    ) -> Self {
        if bytes > SMALL_BYTES_MAX as u64 && bytes <= MOVED_BYTES_MAX {
            return Self::without_body(head.with_large(arena.gather(chunks)));
        }
        Self::kept_in(arena, head, chunks, bytes)
    }

    /// The same, with a large body in an arena.
    #[must_use]
    pub fn kept_in<'c>(
        arena: &Arena,
        head: Head,
        chunks: impl IntoIterator<Item = &'c Bytes>,
        bytes: u64,
    ) -> Self {
        if bytes > SMALL_BYTES_MAX as u64 {
            return Self::without_body(head.with_large(arena.keep(chunks)));
        }
        let mut body = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        chunks.into_iter().for_each(|chunk| body.extend_from_slice(chunk));
        Self::small(head, &body)
    }

    /// The same of a body that is in memory of its own already, of no more than a piece; a large one is not copied, but counted by
    /// the arena.
    #[must_use]
    pub(super) fn of_piece(head: Head, body: Bytes, arena: &Arena) -> Self {
        if body.len() > SMALL_BYTES_MAX {
            return Self::without_body(head.with_large([arena.enter(body)].into()));
        }
        Self::small(head, &body)
    }

    /// Whether its body should be moved to the arena, now that it is asked for again.
    #[must_use]
    pub(crate) fn is_to_be_moved(&self, arena: &Arena) -> bool {
        let piece = self.head.large().first();
        piece.is_some_and(|piece| self.large_bytes() <= MOVED_BYTES_MAX && !arena.keeps(piece))
    }

    /// The same with its body in the arena, if it is large and not there.
    #[must_use]
    pub(super) fn moved_to(self: Arc<Self>, arena: &Arena) -> Arc<Self> {
        let large = self.head.large();
        match large.first() {
            Some(piece) if arena.find(piece).is_none() => {
                Arc::new(Self::without_body(self.head.clone().with_large(arena.keep(large))))
            }
            _ => self,
        }
    }

    /// A head whose body is elsewhere, or which has the pieces of a large one.
    #[must_use]
    pub(super) fn without_body(head: Head) -> Self {
        Self { head, small: Box::default() }
    }

    /// A small body has memory of its own unless the sizes that the allocator has make it cheaper to put it to the head.
    fn small(head: Head, body: &[u8]) -> Self {
        let text = head.text().len();
        if allocated(text + body.len()) <= allocated(text) + allocated(body.len()) {
            return Self { head: head.followed_by(body), small: Box::default() };
        }
        Self { head, small: body.into() }
    }

    /// The same body under another head.
    #[must_use]
    pub fn with_head(&self, head: Head) -> Self {
        match self.head.large() {
            [] => Self::small(head, self.small_body()),
            large => Self::without_body(head.with_large(large.into())),
        }
    }

    /// Bytes of the body that are kept here: none of one that is kept in blocks.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.body().map(|piece| piece.len() as u64).sum()
    }

    /// Bytes of the body that viewers get, wherever it is kept.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.head.blocks().map_or_else(|| self.body_bytes(), |blocks| blocks.length)
    }

    /// Bytes of a large body that are kept here: those that an arena may count.
    pub(super) fn large_bytes(&self) -> u64 {
        self.head.large().iter().map(|piece| piece.len() as u64).sum()
    }

    /// The body, in pieces that lie in one place each.
    pub fn body(&self) -> impl Iterator<Item = &[u8]> {
        let small = Some(self.small_body()).filter(|small| !small.is_empty());
        small.into_iter().chain(self.head.large().iter().map(|piece| &piece[..]))
    }

    fn small_body(&self) -> &[u8] {
        if self.small.is_empty() { self.head.after_text() } else { &self.small }
    }

    /// The rest of the piece that holds this position of the body; `None` at the end. It is not copied.
    #[must_use]
    pub fn body_from(self: &Arc<Self>, position: u64) -> Option<Bytes> {
        let position = usize::try_from(position).ok()?;
        let large = self.head.large();
        if large.is_empty() {
            let is_inside = position < self.small_body().len();
            return is_inside.then(|| Bytes::from_owner(SmallBody { object: Arc::clone(self), position }));
        }
        let segment = large.get(position / PIECE_BYTES)?;
        let offset = position % PIECE_BYTES;
        (offset < segment.len()).then(|| segment.slice(offset..))
    }

    /// What it costs to keep, the key included: memory as the allocator gives it, and the places in the tables. Constant for an
    /// object. `benches/memory.rs` holds it against what the process takes.
    #[must_use]
    pub fn weight(&self, key: &[u8]) -> u64 {
        let own = allocated(ARC_BYTES + size_of::<Self>()) + allocated(self.small.len());
        PLACE_BYTES + allocated(ARC_BYTES + key.len()) + own + self.head.weight()
    }
}

/// A small body from some position on.
struct SmallBody {
    object: Arc<Object>,
    position: usize,
}

impl AsRef<[u8]> for SmallBody {
    fn as_ref(&self) -> &[u8] {
        &self.object.small_body()[self.position..]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;

    fn object(chunks: &[Bytes]) -> Arc<Object> {
        let head = Head::sample(Timestamp::default(), Duration::ZERO);
        Arc::new(Object::new(head, chunks, chunks.iter().map(|chunk| chunk.len() as u64).sum()))
    }

    #[test]
    fn chunks_are_gathered_into_pieces() {
        let chunks: Vec<Bytes> = (0..10u8).map(|i| Bytes::from(vec![i; 1 << 20])).collect();
        let object = object(&chunks);
        assert_eq!(object.body_bytes(), 10 << 20);
        assert_eq!(object.body().map(<[u8]>::len).collect::<Vec<_>>(), [4 << 20, 4 << 20, 2 << 20]);
        let flat: Vec<u8> = object.body().flatten().copied().collect();
        assert!(flat.chunks(1 << 20).zip(0u8..).all(|(chunk, i)| chunk.iter().all(|&b| b == i)));
        assert_eq!(object.body_from(9 << 20).map(|b| b.len()), Some(1 << 20));
        assert_eq!(object.body_from(10 << 20), None);
        assert_eq!(object.body_from(0).map(|b| b.len()), Some(4 << 20));
    }

    #[test]
    fn a_large_body_is_moved_when_it_is_asked_for_again() {
        let arena = Arena::new(64 << 20);
        for bytes in [SMALL_BYTES_MAX, SMALL_BYTES_MAX + 1, 1 << 20, (1 << 20) + 1] {
            let chunk = Bytes::from(vec![7; bytes]);
            let head = Head::sample(Timestamp::default(), Duration::ZERO);
            let object = Arc::new(Object::counted_in(&arena, head, [&chunk], bytes as u64));
            let is_moved = bytes > SMALL_BYTES_MAX && bytes <= 1 << 20;
            assert_eq!(object.is_to_be_moved(&arena), is_moved, "{bytes}");
            let moved = Arc::clone(&object).moved_to(&arena);
            assert_eq!((moved.is_to_be_moved(&arena), Arc::ptr_eq(&moved, &object)), (false, !is_moved));
            assert_eq!(moved.weight(b"key"), object.weight(b"key"));
            assert!(moved.body_from(0).unwrap_or_default() == chunk);
            drop((object, moved));
            assert_eq!(arena.bytes(), 0);
        }
    }

    /// In memory of its own or the head's, and across the border to large ones.
    #[test]
    fn bodies_of_every_size_are_what_came() {
        let (mut with_head, mut small, mut large) = (false, false, false);
        for bytes in (0..3000).step_by(7).chain([SMALL_BYTES_MAX, SMALL_BYTES_MAX + 1]) {
            let whole: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
            let chunks: Vec<Bytes> = whole.chunks(1000).map(Bytes::copy_from_slice).collect();
            let object = object(&chunks);
            for object in [&object, &Arc::new(object.with_head(object.head.clone()))] {
                assert_eq!(object.body().collect::<Vec<_>>().concat(), whole);
                assert_eq!(object.body_bytes(), bytes as u64);
                assert_eq!(object.body_from(0).unwrap_or_default(), whole);
                assert_eq!(object.body_from(bytes as u64 / 2).unwrap_or_default(), whole[bytes / 2..]);
                assert_eq!(object.body_from(bytes as u64), None);
                assert_eq!(object.head.text(), b"HTTP/1.1 200 OK\r\n");
            }
            with_head |= !object.head.after_text().is_empty();
            small |= !object.small.is_empty();
            large |= !object.head.large().is_empty();
        }
        assert!(with_head && small && large);
    }
}
