//! The revision: the only clock the planes share.

use std::fmt;

/// A point in the history of a store. Grows with every commit; comparable only within one cluster id.
///
/// With etcd this is etcd's own revision, with the embedded store its commit counter. Zero is "before everything".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// Before everything: no store is ever at this revision.
    pub const ZERO: Self = Self(0);

    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
