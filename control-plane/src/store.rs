//! The store: what is persisted, in etcd's terms, behind one small trait with two backends.
//!
//! A store is an ordered map from keys to values with one history: every commit gets the next revision, and every value
//! remembers the revision that last wrote it. What each backend must guarantee stands on the trait; the contract
//! suite in `tests/it/store.rs` checks it on both.

pub(crate) mod bounded;
mod check;
pub mod embedded;
pub mod etcd;
pub mod keys;

use std::{fmt::Debug, sync::Arc};

use bytes::Bytes;
use futures::{future::BoxFuture, stream::BoxStream};
use headland_proto::revision::Revision;

/// The most writes, and the most preconditions, in one commit: etcd's default for `--max-txn-ops`.
pub const COMMIT_WRITES_MAX: usize = 128;

/// The most bytes of keys and values in one commit. Below etcd's default request limit of 1.5 MiB with room for its own
/// framing, so that what one backend accepts the other does too.
pub const COMMIT_BYTES_MAX: usize = 1280 * 1024;

/// A store that any task may use.
pub type SharedStore = Arc<dyn Store>;

/// One key with its value and the revision that last wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, without the backend's own prefix.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// The commit that last wrote this key.
    pub modified: Revision,
}

/// All or one page of the keys below a prefix, as they were at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// In order of key.
    pub entries: Vec<Entry>,
    /// The store's revision when the listing was taken: a watch from the next one misses nothing.
    pub revision: Revision,
    /// Whether there are more keys below the prefix after the last entry.
    pub more: bool,
}

/// What must hold at the moment of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// The key does not exist.
    Absent {
        /// The key.
        key: String,
    },
    /// The key was last written by this commit.
    ModifiedAt {
        /// The key.
        key: String,
        /// The commit.
        revision: Revision,
    },
}

/// One change of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets the value of a key.
    Put {
        /// The key.
        key: String,
        /// The value.
        value: Bytes,
    },
    /// Removes a key; nothing happens if there is none.
    Delete {
        /// The key.
        key: String,
    },
}

/// How a commit ended when the store could decide it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// All preconditions held; all writes are durable, under this revision. A commit that changes nothing (no writes, or only
    /// deletes of keys that do not exist) takes no new revision: this is then the store's present one.
    Applied(Revision),
    /// At least one precondition did not hold; nothing was written.
    Refused,
}

/// What a watch delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A key was set.
    Put(Entry),
    /// A key was removed by this commit.
    Deleted {
        /// The key.
        key: String,
        /// The commit.
        revision: Revision,
    },
    /// Nothing more happened up to this revision. Sent every few seconds on an idle watch, as proof of life. True but not
    /// always sharp: it may stay behind the store's own revision.
    Progress(Revision),
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or does not answer, and nothing was written. Worth repeating.
    #[error("reach the store: {reason}")]
    Unavailable {
        /// What the backend said.
        reason: String,
    },
    /// A commit was sent and no answer came: it may or may not have been applied.
    #[error("learn whether the commit was applied: {reason}")]
    OutcomeUnknown {
        /// What the backend said.
        reason: String,
    },
    /// A watch asked for revisions that the store no longer has: list again.
    #[error("watch from revision {asked}: the store has forgotten everything before {oldest}")]
    Compacted {
        /// The revision asked for.
        asked: Revision,
        /// The oldest revision that can be watched from.
        oldest: Revision,
    },
    /// The backend failed in a way that repeating will not mend (corrupt file, wrong credentials, no space).
    #[error("use the store: {reason}")]
    Failed {
        /// What the backend said.
        reason: String,
    },
}

/// The whole contract of a backend.
///
/// Reads and commits are linearizable. A commit is atomic and, once `Applied`, survives the death of the process. All keys
/// begin with the backend's configured prefix, which callers never see.
pub trait Store: Debug + Send + Sync + 'static {
    /// One key, or `None` if it does not exist.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>>;

    /// The keys that begin with `prefix` and stand after `after`, at most `limit` of them; all if `limit` is `None`.
    /// However large, the listing is of one revision.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Listing, StoreError>>;

    /// Applies all writes if all preconditions hold, otherwise none. No key may be written twice, and
    /// [`COMMIT_WRITES_MAX`] and [`COMMIT_BYTES_MAX`] hold: `Failed` otherwise.
    fn commit(
        &self,
        preconditions: Vec<Precondition>,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Committed, StoreError>>;

    /// Every change to keys that begin with `prefix`, in order, from the given revision (inclusive; zero is the first) on. Ends
    /// with an error, after which the caller lists and watches anew; it never skips a change silently. `Compacted` may
    /// come from the call or as the stream's first item.
    fn watch<'a>(
        &'a self,
        prefix: &'a str,
        from: Revision,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Change, StoreError>>, StoreError>>;
}
