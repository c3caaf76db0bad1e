//! The cache.

use headland_proto::v1;

/// The local cache, shared by all workers.
#[derive(Debug, Default)]
pub struct Cache {}

impl Cache {
    /// What it holds now.
    #[must_use]
    pub fn figures(&self) -> v1::CacheFigures {
        v1::CacheFigures::default()
    }
}
