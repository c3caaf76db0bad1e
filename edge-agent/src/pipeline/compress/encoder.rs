//! The encoders: bytes in, compressed bytes out, in any pieces.
//!
//! At these levels the next one costs much more time than it saves bytes; `docs/decisions/0015-compression.md` has the figures.

use std::{
    io::{self, Write},
    ops::RangeInclusive,
};

use bytes::Bytes;
use flate2::{Compression as GzipLevel, write::GzEncoder};
use headland_proto::model::Coding;

const BROTLI_QUALITY: u32 = 5;
/// log2 of brotli's window in bytes. With 16 or less this encoder chooses its slowest search; with less than half of the body it finds
/// less than gzip does.
const BROTLI_WINDOW_LOG: RangeInclusive<u32> = 19..=22;
/// Brotli gives out nothing for megabytes; after so many bytes it is made to. Costs 0.3 % of the size, and bounds what it holds.
const BROTLI_FLUSH_BYTES: usize = 128 << 10;
/// Room for what brotli gives out at a time.
const BROTLI_BUFFER_BYTES: usize = 8 << 10;
const ZSTD_LEVEL: i32 = 7;
/// log2 of zstd's window in bytes, from the least there is. Viewers have 2^23 bytes at least (RFC 9659), and the encoder needs more.
const ZSTD_WINDOW_LOG: RangeInclusive<u32> = 10..=22;
const GZIP_LEVEL: u32 = 6;

/// An encoder of one body.
pub(super) enum Encoder {
    Brotli { writer: Box<brotli::CompressorWriter<Vec<u8>>>, unflushed: usize },
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
}

impl Encoder {
    /// For a body of so many bytes.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(super) fn new(coding: Coding, length: u64) -> io::Result<Self> {
        // A window that holds the whole, where there may be one.
        let whole = u64::BITS - length.saturating_sub(1).leading_zeros();
        let window = |logs: RangeInclusive<u32>| whole.clamp(*logs.start(), *logs.end());
        Ok(match coding {
            Coding::Brotli => {
                let (buffer, window) = (BROTLI_BUFFER_BYTES, window(BROTLI_WINDOW_LOG));
                let writer = brotli::CompressorWriter::new(Vec::new(), buffer, BROTLI_QUALITY, window);
                Self::Brotli { writer: Box::new(writer), unflushed: 0 }
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(window(ZSTD_WINDOW_LOG))?;
                encoder.set_pledged_src_size(Some(length))?;
                Self::Zstd(encoder)
            }
            Coding::Gzip => {
                let encoder = GzEncoder::new(Vec::new(), GzipLevel::new(GZIP_LEVEL));
                Self::Gzip(Box::new(encoder))
            }
        })
    }

    /// Takes bytes, and gives those that have come of what was taken so far; perhaps none.
    ///
    /// # Errors
    /// When the encoder fails.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        let out = match self {
            Self::Brotli { writer, unflushed } => {
                writer.write_all(bytes)?;
                *unflushed += bytes.len();
                if *unflushed >= BROTLI_FLUSH_BYTES {
                    *unflushed = 0;
                    writer.flush()?;
                }
                writer.get_mut()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(bytes)?;
                encoder.get_mut()
            }
            Self::Gzip(encoder) => {
                encoder.write_all(bytes)?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(out).into())
    }

    /// The last bytes.
    ///
    /// # Errors
    /// When the encoder fails, or has not had as many bytes as it was made for.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Brotli { writer, .. } => writer.into_inner(),
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Gzip(encoder) => encoder.finish()?,
        }
        .into())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    /// What was compressed.
    pub(in crate::pipeline::compress) fn decompressed(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
            Coding::Zstd => {
                zstd::stream::read::Decoder::new(bytes).and_then(|mut decoder| decoder.read_to_end(&mut out))
            }
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        }
        .expect("it can be decompressed");
        out
    }

    fn compressed(coding: Coding, body: &[u8], mut pieces: impl FnMut() -> usize) -> Vec<u8> {
        let mut encoder = Encoder::new(coding, body.len() as u64).expect("encoder");
        let (mut out, mut rest) = (Vec::new(), body);
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(pieces().clamp(1, rest.len()));
            out.extend_from_slice(&encoder.write(piece).expect("write"));
            rest = tail;
        }
        out.extend_from_slice(&encoder.finish().expect("finish"));
        out
    }

    fn check(coding: Coding, body: &[u8], piece: usize) -> usize {
        let out = compressed(coding, body, || piece);
        assert!(decompressed(coding, &out) == body, "{coding:?}, {} bytes by {piece}", body.len());
        out.len()
    }

    /// Bytes that cannot be compressed.
    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[test]
    fn long_bodies_are_compressed_too_and_what_cannot_be_grows_little() {
        let text = b"a line of text that comes again and again\n".repeat(40_000);
        for coding in Coding::ALL {
            assert!(check(coding, &text, 16 << 10) < text.len() / 50, "{coding:?}");
            assert!(check(coding, &text[..1000], 1000) < 200, "{coding:?}");
            let noise = noise(1_200_000);
            assert!(check(coding, &noise, 100_000) < noise.len() + 2_000, "{coding:?}");
        }
    }

    #[test]
    fn what_was_taken_is_not_kept_for_long() {
        for coding in Coding::ALL {
            let mut encoder = Encoder::new(coding, 1 << 20).expect("encoder");
            let mut first = (0..8).map(|_| encoder.write(&noise(64 << 10)).expect("write").len());
            assert!(first.any(|bytes| bytes > 0), "{coding:?} gives nothing for half a megabyte");
        }
    }

    #[test]
    fn a_body_that_is_shorter_than_it_was_to_be_is_no_body_in_zstd() {
        let mut encoder = Encoder::new(Coding::Zstd, 2000).expect("encoder");
        encoder.write(b"abc").expect("write");
        assert!(encoder.finish().is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_is_compressed_is_the_same_whatever_the_pieces(
            words in prop::collection::vec("[a-e]{1,9} ?", 0..3000),
            random in prop::collection::vec(any::<u8>(), 0..3000),
            pieces in prop::collection::vec(1usize..70_000, 1..20),
        ) {
            let body = [words.concat().as_bytes(), &random, words.concat().as_bytes()].concat();
            for coding in Coding::ALL {
                let mut sizes = pieces.iter().copied().cycle();
                let out = compressed(coding, &body, || sizes.next().unwrap_or(1));
                prop_assert!(decompressed(coding, &out) == body);
            }
        }
    }
}
