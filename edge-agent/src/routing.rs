//! Routing: which distribution and which cache behavior a request belongs to.

pub mod compile;
pub mod hosts;

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

pub use compile::Distribution;
pub use hosts::Table;

/// The table in force. Workers read it, sync replaces it whole.
#[derive(Debug, Default)]
pub struct Routing {
    table: ArcSwap<Table>,
}

impl Routing {
    /// Puts a new table in force. Requests that have begun keep the one they began with.
    pub fn publish(&self, table: Table) {
        self.table.store(Arc::new(table));
    }

    /// The table in force now.
    pub fn current(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }
}
