//! Routing: which distribution and which cache behavior a request belongs to.

use std::sync::Arc;

use arc_swap::ArcSwap;
use headland_proto::{id::DistributionId, model::Violations, revision::Revision, v1};

/// One distribution, checked and compiled for serving.
#[derive(Debug)]
pub struct Distribution {
    /// Its id.
    pub id: DistributionId,
    /// The revision this was compiled from.
    pub revision: Revision,
}

impl Distribution {
    /// Checks and compiles what the control plane sent.
    ///
    /// # Errors
    /// Everything that keeps this edge from serving it.
    pub fn compile(desired: &v1::DesiredDistribution) -> Result<Self, Violations> {
        let mut found = Violations::default();
        let Ok(id) = desired.id.parse() else {
            found.add("id", "is not a distribution id");
            return Err(found);
        };
        Ok(Self { id, revision: Revision(desired.revision) })
    }
}

/// All distributions of this edge; immutable.
#[derive(Debug, Default)]
pub struct Table {}

impl Table {
    /// A table of these distributions.
    #[must_use]
    pub fn new(distributions: impl IntoIterator<Item = Arc<Distribution>>) -> Self {
        let _ = distributions.into_iter().count();
        Self {}
    }
}

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
}
