//! Policies to compare with, as their papers describe them, in as few lines as show them whole.

pub(crate) mod lru;
pub(crate) mod s3_fifo;
pub(crate) mod w_tiny_lfu;
