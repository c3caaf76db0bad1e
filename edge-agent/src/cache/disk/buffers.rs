//! Buffers for large reads, used again and again: a fresh one would be cleared, and its pages faulted in, each time.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;

/// Below this the allocator is as good.
pub(super) const LARGE_BYTES: usize = 256 << 10;
/// Buffers that lie ready, each of a record's size.
const FREE_MAX: usize = 16;

/// Those that lie ready.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

/// One that is in use. It goes back when the last who looks into it is gone.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    length: usize,
    home: Arc<Buffers>,
}

impl Buffers {
    /// One of this length, with anything in it. It takes little more memory than that: who holds it counts its length.
    pub(super) fn take(self: &Arc<Self>, length: usize) -> Buffer {
        let fits = |free: &Vec<u8>| (length..=length + length / 16).contains(&free.len());
        let mut free = self.0.lock();
        let found = free.iter().rposition(fits).map(|at| free.swap_remove(at));
        drop(free);
        let bytes = found.unwrap_or_else(|| vec![0; length]);
        Buffer { bytes, length, home: Arc::clone(self) }
    }
}

impl Buffer {
    /// The same, to be shared.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = self.home.0.lock();
        if free.len() >= FREE_MAX {
            // The oldest is of a size that is not asked for, or there are too many.
            free.swap_remove(0);
        }
        free.push(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_when_the_last_who_looks_into_it_is_gone() {
        let buffers = Arc::new(Buffers::default());
        let mut first = buffers.take(LARGE_BYTES);
        first[7] = 7;
        let whole = first.freeze();
        let part = whole.slice(7..8);
        drop(whole);
        assert!(buffers.0.lock().is_empty());
        assert_eq!(part[..], [7]);
        drop(part);
        let again = buffers.take(LARGE_BYTES - 100);
        assert_eq!((again.len(), again[7]), (LARGE_BYTES - 100, 7));
        assert!(buffers.0.lock().is_empty());
        drop(again);
        assert_eq!(buffers.take(LARGE_BYTES / 2)[7], 0, "it would waste the other half");
        for _ in 0..3 {
            let many: Vec<_> = (0..40).map(|_| buffers.take(LARGE_BYTES)).collect();
            drop(many);
            assert_eq!(buffers.0.lock().len(), FREE_MAX);
        }
    }
}
