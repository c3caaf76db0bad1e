//! What the store in etcd must also withstand: members that are away, answers that are lost, users and certificates.

mod access;
mod lost_answers;
mod members;
mod neighbours;

use headland_control_plane::store::{Precondition, Write};
use headland_proto::revision::Revision;

fn put(key: &str, value: impl Into<bytes::Bytes>) -> Write {
    Write::Put { key: key.to_owned(), value: value.into() }
}

fn absent(key: &str) -> Vec<Precondition> {
    vec![Precondition::Absent { key: key.to_owned() }]
}

fn modified_at(key: &str, revision: Revision) -> Vec<Precondition> {
    vec![Precondition::ModifiedAt { key: key.to_owned(), revision }]
}
