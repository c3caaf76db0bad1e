//! The resources that this edge holds: what distributions refer to, checked, and what of it could not be used.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use headland_proto::{
    id::ResourceId,
    model::{
        Resource, Resources,
        resources::{Kind, used_by, used_by_resource},
    },
    v1,
};

/// Resources at one revision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holdings {
    held: BTreeMap<ResourceId, Arc<v1::DesiredResource>>,
    checked: Resources,
    /// Of which the newest version cannot be used, and why.
    refused: BTreeMap<String, String>,
}

/// Which resources an update has changed, or would have; and those that refer to one of them.
#[derive(Debug, Default)]
pub(crate) struct Taken(BTreeSet<String>);

impl Taken {
    /// Whether a distribution refers to any of them.
    pub(crate) fn concern(&self, desired: &v1::DesiredDistribution) -> bool {
        !self.0.is_empty() && used(desired).any(|(_, id)| self.0.contains(id))
    }

    /// Whether there are any.
    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Their ids.
    pub(super) fn into_ids(self) -> BTreeSet<String> {
        self.0
    }
}

impl Holdings {
    /// What compiling needs.
    pub(crate) fn checked(&self) -> &Resources {
        &self.checked
    }

    /// What to save: what is in use.
    pub(crate) fn to_records(&self) -> Vec<v1::DesiredResource> {
        self.held.values().map(|desired| (**desired).clone()).collect()
    }

    /// What one of them was sent as that is in use.
    pub(super) fn desired(&self, id: &str) -> Option<&v1::DesiredResource> {
        self.held.get(id).map(|desired| &**desired)
    }

    /// Why a distribution cannot be served as it should be: something that it refers to cannot be used.
    pub(crate) fn refusal_for(&self, desired: &v1::DesiredDistribution) -> Option<String> {
        if self.refused.is_empty() {
            return None;
        }
        let refused = |(kind, id): (Kind, &str)| {
            self.refused.get(id).map(|reason| format!("the {kind} {id} cannot be used: {reason}"))
        };
        used(desired)
            .find_map(|(kind, id)| refused((kind, id)).or_else(|| self.used_by(id).find_map(&refused)))
    }

    /// Takes in what an update brings. What is the same as `earlier`, the holdings before the update, has not changed.
    pub(crate) fn take(
        &mut self,
        resources: Vec<v1::DesiredResource>,
        deleted: &[String],
        earlier: &Self,
    ) -> Taken {
        let mut taken = Taken::default();
        for id in deleted {
            self.remove(id);
            taken.0.insert(id.clone());
        }
        for desired in resources {
            let before = earlier.held.get(desired.id.as_str());
            if before.is_some_and(|before| before.revision > desired.revision) {
                continue;
            }
            let id = desired.id.clone();
            let unchanged = before.is_some_and(|before| **before == desired);
            let refused_before = earlier.refused.contains_key(&id);
            let put = self.put(desired, Some(earlier));
            if let Err(reason) = &put {
                tracing::warn!(resource = ?id, ?reason, "refused a resource; its previous version, if any, stays in use");
            }
            if !unchanged || refused_before || put.is_err() {
                taken.0.insert(id);
            }
        }
        if taken.any() {
            // Nothing refers to what refers to others but distributions, so once is enough.
            let is_concerned = |id: &str| self.used_by(id).any(|(_, used)| taken.0.contains(used));
            let concerned = self.held.keys().filter(|id| is_concerned(id.as_str())).map(ToString::to_string);
            let concerned: Vec<String> = concerned.collect();
            taken.0.extend(concerned);
        }
        taken
    }

    /// What a resource that is held refers to.
    fn used_by(&self, id: &str) -> impl Iterator<Item = (Kind, &str)> {
        let config = self.held.get(id).and_then(|desired| desired.config.as_ref());
        config.into_iter().flat_map(used_by_resource)
    }

    /// Holds one, or its version in `earlier` if it cannot be used.
    pub(crate) fn put(&mut self, desired: v1::DesiredResource, earlier: Option<&Self>) -> Result<(), String> {
        let Ok(id) = desired.id.parse::<ResourceId>() else {
            return Err("it has no id".to_owned());
        };
        let unknown = v1::ResourceConfig::default();
        match Resource::try_from(desired.config.as_ref().unwrap_or(&unknown)) {
            Ok(resource) => {
                self.refused.remove(id.as_str());
                self.checked.insert(id.clone(), resource);
                self.held.insert(id, Arc::new(desired));
                Ok(())
            }
            Err(violations) => {
                let reason = violations.to_string();
                self.refused.insert(desired.id, reason.clone());
                if let Some((earlier, before)) = earlier.and_then(|e| Some((e, e.held.get(&id)?))) {
                    if let Some(resource) = earlier.checked.created(id.as_str()) {
                        self.checked.insert(id.clone(), resource.clone());
                    }
                    self.held.insert(id, Arc::clone(before));
                }
                Err(reason)
            }
        }
    }

    fn remove(&mut self, id: &str) {
        self.held.remove(id);
        self.checked.remove(id);
        self.refused.remove(id);
    }
}

fn used(desired: &v1::DesiredDistribution) -> impl Iterator<Item = (Kind, &str)> {
    desired.config.iter().flat_map(used_by)
}
