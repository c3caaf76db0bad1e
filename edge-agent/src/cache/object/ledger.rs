//! The ledger of large bodies: how many bytes of them there are, in the cache or only in the hands of slow viewers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;

/// Counts the bytes of pieces until the last who holds one has let go of it.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<AtomicU64>);

impl Ledger {
    /// Bytes of all pieces that there are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// A piece that is counted.
    pub(super) fn enter(&self, piece: Bytes) -> Bytes {
        self.0.fetch_add(piece.len() as u64, Relaxed);
        Bytes::from_owner(Counted { piece, ledger: self.clone() })
    }
}

/// A piece of a body, and where it is counted.
struct Counted {
    piece: Bytes,
    ledger: Ledger,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.ledger.0.fetch_sub(self.piece.len() as u64, Relaxed);
    }
}
