//! Sending: a finished head and a stored body, as far as the viewer takes them.

use std::{
    io::{self, IoSlice},
    os::fd::AsFd as _,
    sync::Arc,
    task::{Context, Poll, ready},
};

use crate::{
    cache::{disk::FileBody, object::Object},
    pipeline::Quick,
    viewer::connection::ViewerIo,
};

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
    /// What follows.
    body: Following,
    /// Bytes of it that were sent.
    body_sent: u64,
}

/// The body behind a head.
enum Following {
    Nothing,
    Stored(Arc<Object>),
    OnDisk(FileBody),
}

impl Sending {
    pub(crate) fn new(mut head: Vec<u8>, Quick { object, on_disk }: Quick) -> Self {
        let body = match on_disk {
            Some(body) => Following::OnDisk(body),
            None if object.body_bytes() > COPIED_BYTES_MAX => Following::Stored(object),
            None => {
                object.body().for_each(|piece| head.extend_from_slice(piece));
                Following::Nothing
            }
        };
        Self { head, head_sent: 0, body, body_sent: 0 }
    }

    /// The buffer of the head, for the next.
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.head)
    }

    /// Sends the rest.
    pub(crate) fn poll(&mut self, io: &mut ViewerIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let head = &self.head[self.head_sent..];
            if head.is_empty() && self.body_sent == self.body.bytes() {
                return Poll::Ready(Ok(()));
            }
            let sent = match &self.body {
                Following::Nothing => ready!(io.poll_give(cx, &[IoSlice::new(head)]))?,
                Following::Stored(object) => {
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
                Following::OnDisk(FileBody { segment, offset, length }) => {
                    let sent = usize::try_from(self.body_sent).unwrap_or(usize::MAX);
                    let (offset, left) = (offset + self.body_sent, length - sent);
                    ready!(io.poll_give_file(cx, head, segment.as_fd(), offset, left))?
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

impl Following {
    fn bytes(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Stored(object) => object.body_bytes(),
            Self::OnDisk(body) => body.length as u64,
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
