//! What refers to what: how it is read, and what a commit writes and asks for so that nothing is deleted while somebody refers to it.

use headland_proto::{
    id::ResourceId,
    model::{
        self, managed,
        resources::{Kind, used_by, used_by_resource},
    },
    revision::Revision,
    v1::{self, Use},
};

use super::{ATTEMPTS_MAX, Error, Resources, Stored, Used};
use crate::store::{
    Precondition, Write,
    keys::{Key, Record, User},
};

impl Resources {
    /// What a distribution refers to, as it is now.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn used_by(&self, config: &v1::DistributionConfig) -> Result<Used, Error> {
        let mut used = Used::default();
        for (kind, id) in used_by(config) {
            for _ in 0..ATTEMPTS_MAX {
                let Some((id, config, revision)) = self.read_used(kind, id, &mut used.resources).await?
                else {
                    break;
                };
                let mut is_whole = true;
                for (kind, id) in used_by_resource(&config) {
                    is_whole &= self.read_used(kind, id, &mut used.resources).await?.is_some();
                }
                // What is stored refers to nothing that is not there, so it has been changed meanwhile.
                if is_whole {
                    used.versions.push((kind, id, revision));
                    break;
                }
            }
        }
        Ok(used)
    }

    /// What a resource refers to, as it is now.
    pub(super) async fn used_by_resource(&self, config: &v1::ResourceConfig) -> Result<Used, Error> {
        let mut used = Used::default();
        for (kind, id) in used_by_resource(config) {
            if let Some((id, _, revision)) = self.read_used(kind, id, &mut used.resources).await? {
                used.versions.push((kind, id, revision));
            }
        }
        Ok(used)
    }

    /// Puts something that is referred to among the resources, if it was created and can be used.
    async fn read_used(
        &self,
        kind: Kind,
        id: &str,
        resources: &mut model::Resources,
    ) -> Result<Option<(ResourceId, v1::ResourceConfig, Revision)>, Error> {
        let Ok(id) = id.parse::<ResourceId>() else { return Ok(None) };
        if managed::find(id.as_str()).is_some() {
            return Ok(None);
        }
        let Some(Stored { record, revision: Some(revision) }) = self.read(kind, &id).await? else {
            return Ok(None);
        };
        let config = record.config.unwrap_or_default();
        let Ok(resource) = model::Resource::try_from(&config) else { return Ok(None) };
        resources.insert(id.clone(), resource);
        Ok(Some((id, config, revision)))
    }
}

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
