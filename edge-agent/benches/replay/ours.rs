//! The policies of this cache, driven through the code that is shipped.

pub(crate) mod disk;
pub(crate) mod memory;
