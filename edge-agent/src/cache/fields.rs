//! Fields of a message, however they are kept: as a table while it is under way, as text once it is stored.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Where a rule finds a field.
pub trait Fields {
    /// The first value of a field.
    fn first(&self, name: &HeaderName) -> Option<&[u8]>;
}

impl Fields for HeaderMap {
    fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        self.get(name).map(HeaderValue::as_bytes)
    }
}
