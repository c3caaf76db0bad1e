//! The work of compressing: bounded in memory and in time, and where it holds up no viewer.

use std::{fmt, io, sync::Arc};

use bytes::Bytes;
use headland_proto::model::Coding;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{NotCompressed, encoder::Encoder};

/// Memory that all encoders may hold, in MiB: enough for 42 bodies of up to 256 KiB at a time, or 11 of the longest.
const MIB_MAX: usize = 128;
/// Bodies up to this size are compressed by the worker itself: half a millisecond at most. With longer ones it would hold up its other
/// viewers.
const BY_WORKER_BYTES_MAX: u64 = 16 << 10;
/// Bytes that are compressed at a time: three milliseconds at most, then it is another body's turn.
const SLICE_BYTES: usize = 64 << 10;

/// Who compresses, of all workers together.
#[derive(Debug, Clone)]
pub(in crate::pipeline) struct Compressors {
    memory: Arc<Semaphore>,
    /// Threads that compress at a time: half as many as workers, so that these always get their share of the processor.
    turns: Arc<Semaphore>,
    background: Handle,
}

impl Compressors {
    /// Beside so many workers.
    pub(in crate::pipeline) fn new(workers: usize, background: Handle) -> Self {
        let turns = Arc::new(Semaphore::new((workers / 2).max(1)));
        Self { memory: Arc::new(Semaphore::new(MIB_MAX)), turns, background }
    }

    /// Begins with a body of this length. No one waits for it to be possible: what cannot be compressed now is served as it is.
    ///
    /// # Errors
    /// Why it is not possible.
    pub(in crate::pipeline) fn begin(
        &self,
        coding: Coding,
        length: u64,
    ) -> Result<Compression, NotCompressed> {
        let memory = Arc::clone(&self.memory).try_acquire_many_owned(mib(length));
        let memory = memory.map_err(|_| NotCompressed::Busy)?;
        let encoder = Encoder::new(coding, length).map_err(|_| NotCompressed::Encoder)?;
        let (turns, background) = (Arc::clone(&self.turns), self.background.clone());
        Ok(Compression { encoder: Some(encoder), left: length, length, turns, background, _memory: memory })
    }
}

/// What the encoder of a body of this length holds, in MiB: that of brotli or zstd, whichever holds more
/// (`docs/decisions/0015-compression.md`).
fn mib(length: u64) -> u32 {
    match length {
        0..=0x4_0000 => 3,
        0x4_0001..=0x10_0000 => 7,
        _ => 11,
    }
}

/// A body that has come whole, compressed; `None` if that takes too long to be done here.
pub(in crate::pipeline) fn at_once(coding: Coding, body: &[u8]) -> Option<io::Result<Bytes>> {
    let length = body.len() as u64;
    let compress = || {
        let mut encoder = Encoder::new(coding, length)?;
        let first = encoder.write(body)?;
        let last = encoder.finish()?;
        Ok(if first.is_empty() { last } else { [first, last].concat().into() })
    };
    (length <= BY_WORKER_BYTES_MAX).then(compress)
}

/// A body that is compressed as it comes.
pub(in crate::pipeline) struct Compression {
    /// Gone for ever if it has panicked.
    encoder: Option<Encoder>,
    length: u64,
    /// Bytes that are still to come.
    left: u64,
    turns: Arc<Semaphore>,
    background: Handle,
    _memory: OwnedSemaphorePermit,
}

impl Compression {
    /// Takes the first bytes of a chunk, and gives what has come of all so far; perhaps nothing.
    ///
    /// # Errors
    /// When the encoder fails, or the body is longer than it was to be.
    pub(in crate::pipeline) async fn take(&mut self, chunk: &mut Bytes) -> io::Result<Bytes> {
        let slice = chunk.split_to(chunk.len().min(SLICE_BYTES));
        self.left = self.left.checked_sub(slice.len() as u64).ok_or_else(|| wrong("longer"))?;
        self.work(move |mut encoder| (encoder.write(&slice), Some(encoder))).await
    }

    /// The last bytes.
    ///
    /// # Errors
    /// When the encoder fails, or the body is shorter than it was to be.
    pub(in crate::pipeline) async fn finish(&mut self) -> io::Result<Bytes> {
        if self.left > 0 {
            return Err(wrong("shorter"));
        }
        self.work(|encoder| (encoder.finish(), None)).await
    }

    async fn work(
        &mut self,
        work: impl FnOnce(Encoder) -> (io::Result<Bytes>, Option<Encoder>) + Send + 'static,
    ) -> io::Result<Bytes> {
        let encoder = self.encoder.take().ok_or_else(|| io::Error::other("the encoder is gone"))?;
        let (out, encoder) = if self.length <= BY_WORKER_BYTES_MAX {
            tokio::task::yield_now().await;
            work(encoder)
        } else {
            let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(io::Error::other)?;
            let worked = self.background.spawn_blocking(move || {
                let _turn = turn;
                work(encoder)
            });
            worked.await.map_err(io::Error::other)?
        };
        self.encoder = encoder;
        out
    }
}

impl fmt::Debug for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compression").field("left", &self.left).finish_non_exhaustive()
    }
}

fn wrong(how: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the body is {how} than it was to be"))
}

#[cfg(test)]
mod tests {
    use super::{super::encoder::tests::decompressed, *};

    fn compressors() -> Compressors {
        Compressors::new(1, Handle::current())
    }

    async fn compressed(length: u64, chunks: &[&'static [u8]]) -> io::Result<Vec<u8>> {
        let mut compression = compressors().begin(Coding::Gzip, length).expect("begun");
        let mut out = Vec::new();
        for chunk in chunks {
            let mut chunk = Bytes::from_static(chunk);
            while !chunk.is_empty() {
                out.extend_from_slice(&compression.take(&mut chunk).await?);
            }
        }
        out.extend_from_slice(&compression.finish().await?);
        Ok(out)
    }

    #[tokio::test]
    async fn short_and_long_bodies_are_compressed_as_they_come() {
        static LONG: [u8; 300_000] = [b'x'; 300_000];
        for length in [0, 1000, BY_WORKER_BYTES_MAX as usize, BY_WORKER_BYTES_MAX as usize + 1, 300_000] {
            let (first, last) = LONG[..length].split_at(length / 3);
            let out = compressed(length as u64, &[first, last]).await.expect("compressed");
            assert_eq!(decompressed(Coding::Gzip, &out), LONG[..length]);
            let at_once = at_once(Coding::Brotli, &LONG[..length]);
            assert_eq!(at_once.is_some(), length as u64 <= BY_WORKER_BYTES_MAX);
            if let Some(out) = at_once {
                assert_eq!(decompressed(Coding::Brotli, &out.expect("compressed")), LONG[..length]);
            }
        }
    }

    #[tokio::test]
    async fn a_body_of_another_length_is_an_error() {
        assert!(compressed(2, &[b"abc"]).await.is_err());
        assert!(compressed(4, &[b"abc"]).await.is_err());
        assert!(compressed(3, &[b"a", b"bc"]).await.is_ok());
    }

    #[tokio::test]
    async fn encoders_hold_so_much_memory_and_no_more() {
        for (length, bodies) in [(1000, 42), (1 << 20, 18), (10_000_000, 11)] {
            let compressors = compressors();
            let begin = || compressors.begin(Coding::Gzip, length);
            let mut begun: Vec<_> = (0..bodies).map(|_| begin().expect("begun")).collect();
            assert_eq!(begin().err(), Some(NotCompressed::Busy));
            begun.pop();
            assert!(begin().is_ok());
        }
    }
}
