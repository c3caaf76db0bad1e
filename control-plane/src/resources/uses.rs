//! What a commit writes and asks for so that nothing is deleted while somebody refers to it.

use headland_proto::{
    id::ResourceId,
    model::{managed, resources::used_by_resource},
    v1::{self, Use},
};

use super::Used;
use crate::store::{
    Precondition, Write,
    keys::{Key, Record, User},
};

/// What was checked must still be so.
pub(crate) fn hold(used: &Used) -> impl Iterator<Item = Precondition> {
    used.versions.iter().map(|(kind, id, revision)| {
        let key = Key::Resource(*kind, id.clone()).to_string();
        Precondition::ModifiedAt { key, revision: *revision }
    })
}

/// Somebody refers to a resource from now on; whoever is about to delete it sees that.
pub(crate) fn begin(resource: &ResourceId, user: &User) -> [Write; 2] {
    let value = match user {
        User::Distribution(id) => Use { distribution_id: id.to_string(), ..Default::default() },
        User::Resource(id) => Use { resource_id: id.to_string(), ..Default::default() },
    };
    let keys = [Key::Use(resource.clone(), user.clone()), Key::Used(resource.clone())];
    keys.map(|key| Write::Put { key: key.to_string(), value: value.to_value() })
}

/// Somebody no longer does.
pub(crate) fn end(resource: &ResourceId, user: &User) -> Write {
    Write::Delete { key: Key::Use(resource.clone(), user.clone()).to_string() }
}

/// From what somebody referred to, to what it refers to.
pub(crate) fn change(before: &[ResourceId], used: &Used, user: &User) -> Vec<Write> {
    let after = || used.versions.iter().map(|(_, resource, _)| resource);
    let begun =
        after().filter(|resource| !before.contains(resource)).flat_map(|resource| begin(resource, user));
    let ended = before.iter().filter(|resource| after().all(|still| still != *resource));
    begun.chain(ended.map(|resource| end(resource, user))).collect()
}

/// Everything created that a stored resource refers to.
pub(super) fn of_resource(config: Option<&v1::ResourceConfig>) -> Vec<ResourceId> {
    let used = config.into_iter().flat_map(used_by_resource).map(|(_, id)| id);
    used.filter(|id| managed::find(id).is_none()).filter_map(|id| id.parse().ok()).collect()
}
