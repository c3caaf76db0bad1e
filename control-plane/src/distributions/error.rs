//! Why an operation on distributions was not carried out.

use headland_proto::{id::DistributionId, model::Violations};

use crate::store::{StoreError, keys::CorruptValue};

/// A host name that somebody else holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TakenName {
    /// The host name or wildcard, canonical.
    pub(crate) name: String,
    /// The distribution that holds it.
    pub(crate) distribution_id: String,
}

/// Why an operation on distributions was not carried out. Unless said otherwise, nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request breaks rules; all of them are listed.
    #[error("accept the request: {0}")]
    Invalid(#[source] Violations),
    /// There is no such distribution.
    #[error("find distribution {id}")]
    NotFound {
        /// The id asked for, as it was written.
        id: String,
    },
    /// Other distributions hold host names that were asked for.
    #[error("claim {}", names(.0))]
    HostNamesTaken(
        /// Each of them; never empty.
        Vec<TakenName>,
    ),
    /// The caller reference created a distribution before, from different content.
    #[error("reuse the caller reference: it created distribution {distribution_id} with different content")]
    CallerReferenceTaken {
        /// What it created.
        distribution_id: String,
    },
    /// The distribution was changed since the etag was given out.
    #[error("change distribution {id}: it was changed since this etag was given out")]
    EtagStale {
        /// The distribution.
        id: DistributionId,
    },
    /// A distribution must be disabled before it is deleted.
    #[error("delete distribution {id}: it is enabled")]
    Enabled {
        /// The distribution.
        id: DistributionId,
    },
    /// Others changed the same things at the same time, several times in a row.
    #[error("commit: others kept changing the same distribution or host names")]
    Contention,
    /// The store did not do it, or it is not known whether it did.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store holds something that cannot be read.
    #[error(transparent)]
    Corrupt(#[from] CorruptValue),
}

fn names(taken: &[TakenName]) -> String {
    let each: Vec<String> =
        taken.iter().map(|t| format!("{}, which distribution {} holds", t.name, t.distribution_id)).collect();
    each.join("; ")
}
