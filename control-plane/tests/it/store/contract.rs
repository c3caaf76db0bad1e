//! The contract of a store, property by property. Nothing here knows which backend it runs on.

pub(crate) mod commits;
pub(crate) mod reads;
pub(crate) mod watches;

use bytes::Bytes;
use headland_control_plane::store::{Committed, Precondition, SharedStore, Write};
use headland_proto::revision::Revision;

fn put(key: &str, value: impl Into<Bytes>) -> Write {
    Write::Put { key: key.to_owned(), value: value.into() }
}

fn delete(key: &str) -> Write {
    Write::Delete { key: key.to_owned() }
}

fn absent(key: &str) -> Precondition {
    Precondition::Absent { key: key.to_owned() }
}

fn modified_at(key: &str, revision: Revision) -> Precondition {
    Precondition::ModifiedAt { key: key.to_owned(), revision }
}

/// Commits without preconditions.
async fn commit(store: &SharedStore, writes: Vec<Write>) -> Revision {
    match store.commit(vec![], writes).await.unwrap() {
        Committed::Applied(revision) => revision,
        Committed::Refused => panic!("a commit without preconditions was refused"),
    }
}

/// The value of a key as text.
async fn value(store: &SharedStore, key: &str) -> Option<String> {
    let entry = store.get(key).await.unwrap()?;
    Some(String::from_utf8(entry.value.to_vec()).unwrap())
}
