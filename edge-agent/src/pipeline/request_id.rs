//! Request ids: unique, short, and cheap enough to give one to every request.

use std::cell::Cell;

use bytes::Bytes;
use http::HeaderValue;
use uuid::Uuid;

const HEX: &[u8; 16] = b"0123456789abcdef";
const PREFIX: usize = 12;
const LENGTH: usize = 24;

/// One worker's ids: a random prefix chosen at the start, and a counter.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: [u8; PREFIX],
    next: Cell<u64>,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        let random = Uuid::new_v4();
        let mut prefix = [0; PREFIX];
        for (out, byte) in prefix.iter_mut().zip(random.as_bytes()) {
            *out = HEX[usize::from(byte & 15)];
        }
        Self { prefix, next: Cell::new(0) }
    }

    pub(crate) fn next(&self) -> HeaderValue {
        HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&self.next_text()))
            .unwrap_or_else(|_| HeaderValue::from_static("-"))
    }

    pub(crate) fn next_text(&self) -> [u8; LENGTH] {
        let mut n = self.next.get();
        self.next.set(n.wrapping_add(1));
        let mut text = [0; LENGTH];
        text[..PREFIX].copy_from_slice(&self.prefix);
        for out in text[PREFIX..].iter_mut().rev() {
            *out = HEX[(n & 15) as usize];
            n >>= 4;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_within_and_between_workers() {
        let (one, other) = (RequestIds::new(), RequestIds::new());
        let (a, b) = (one.next(), one.next());
        assert_eq!(a.len(), LENGTH);
        assert_ne!(a, b);
        assert_eq!(a.as_bytes()[..PREFIX], b.as_bytes()[..PREFIX]);
        assert_ne!(a, other.next());
    }
}
