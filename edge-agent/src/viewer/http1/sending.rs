//! Sending: a finished head and a stored body, as far as the viewer takes them.

use std::{
    io::{self, IoSlice},
    sync::Arc,
    task::{Context, Poll, ready},
};

use crate::{cache::object::Object, viewer::connection::ViewerIo};

/// Bodies up to this size are copied behind the head: that costs less than telling the kernel of two places.
pub(crate) const COPIED_BYTES_MAX: u64 = 8 << 10;
/// Pieces of a body named to the kernel at once.
const PIECES_MAX: usize = 16;

/// A response on its way.
pub(crate) struct Sending {
    /// The head, and the body if it is small.
    head: Vec<u8>,
    /// Bytes of `head` that were sent.
    head_sent: usize,
    /// The object whose body follows.
    object: Option<Arc<Object>>,
    /// Bytes of the body that were sent.
    body_sent: u64,
}

impl Sending {
    pub(crate) fn new(mut head: Vec<u8>, object: Arc<Object>) -> Self {
        let copied = object.body_bytes() <= COPIED_BYTES_MAX;
        if copied {
            object.body().for_each(|piece| head.extend_from_slice(piece));
        }
        Self { head, head_sent: 0, object: Some(object).filter(|_| !copied), body_sent: 0 }
    }

    /// The buffer of the head, for the next.
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.head)
    }

    /// Sends the rest.
    pub(crate) fn poll(&mut self, io: &mut ViewerIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let head = &self.head[self.head_sent..];
            let sent = match &self.object {
                None if head.is_empty() => return Poll::Ready(Ok(())),
                None => ready!(io.poll_give(cx, &[IoSlice::new(head)]))?,
                Some(object) if self.body_sent == object.body_bytes() => return Poll::Ready(Ok(())),
                Some(object) => {
                    let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
                    let unsent = Some(head).filter(|head| !head.is_empty()).into_iter();
                    let unsent = unsent.chain(rest(object, self.body_sent));
                    let mut count = 0;
                    for (place, piece) in pieces.iter_mut().zip(unsent) {
                        *place = IoSlice::new(piece);
                        count += 1;
                    }
                    ready!(io.poll_give(cx, &pieces[..count]))?
                }
            };
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = sent.min(head.len());
            self.head_sent += of_head;
            self.body_sent += (sent - of_head) as u64;
        }
    }
}

/// The pieces of a body from a position on.
fn rest(object: &Object, position: u64) -> impl Iterator<Item = &[u8]> {
    let mut skip = usize::try_from(position).unwrap_or(usize::MAX);
    object.body().filter_map(move |piece| {
        let unsent = piece.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(piece.len());
        Some(unsent).filter(|unsent| !unsent.is_empty())
    })
}
