//! What memory costs: the allocator (mimalloc) gives it in certain sizes.

/// Sizes up to here, in words, are given as they are, but even.
const EXACT_WORDS_MAX: usize = 8;
/// Larger pieces than this are whole pages of the system.
const CLASS_BYTES_MAX: usize = 512 << 10;
const PAGE_BYTES: usize = 4096;
const WORD_BYTES: usize = 8;
/// What an `Arc` keeps beside its value: two counters.
pub(super) const ARC_BYTES: usize = 16;

/// Bytes that the allocator takes for this many: the next of four sizes between a power of two and the next.
pub(super) fn allocated(bytes: usize) -> u64 {
    let words = bytes.div_ceil(WORD_BYTES);
    let rounded = match words {
        0 => 0,
        _ if bytes > CLASS_BYTES_MAX => return bytes.next_multiple_of(PAGE_BYTES) as u64,
        1 => 1,
        _ if words <= EXACT_WORDS_MAX => words.next_multiple_of(2),
        _ => words.next_multiple_of(1 << ((words - 1).ilog2() - 2)),
    };
    (rounded * WORD_BYTES) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the classes of mimalloc (`mi_bin` in its page-queue.c).
    #[test]
    fn sizes_are_those_of_the_allocator() {
        for (bytes, expected) in [
            (0, 0),
            (1, 8),
            (8, 8),
            (9, 16),
            (17, 32),
            (64, 64),
            (65, 80),
            (81, 96),
            (129, 160),
            (160, 160),
            (257, 320),
            (1000, 1024),
            (1024, 1024),
            (1025, 1280),
            (1281, 1536),
            (16 << 10, 16 << 10),
            ((16 << 10) + 1, 20 << 10),
            (512 << 10, 512 << 10),
            ((512 << 10) + 1, (512 << 10) + 4096),
            (1 << 20, 1 << 20),
        ] {
            assert_eq!(allocated(bytes), expected, "{bytes}");
        }
    }
}
