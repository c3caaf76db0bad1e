//! What distributions refer to: creating, reading, changing and deleting policies, keys and key groups, so that none is deleted while
//! a distribution, or another of them, uses it.
//!
//! Whoever refers to a resource writes down that it does, and touches the resource's `used` key, in the commit that stores the
//! reference; that commit also holds the resource to the version that was checked. Whoever deletes a resource has looked for uses, and
//! holds the `used` key to what it was before. So neither can miss the other.

use std::{sync::Arc, time::SystemTime};

use headland_proto::{
    id::ResourceId,
    model::{
        self, Violations, key_group, managed,
        resources::{self, Kind, name},
        tags,
    },
    revision::Revision,
    v1::{self, NameClaim, ResourceRecord, Use, resource_config::Kind as Wire},
};
use uuid::Uuid;

use crate::{
    etag::Etag,
    page::{Page, entries_that_fit, next_token},
    store::{
        Committed, Entry, Precondition, Store, StoreError, Write,
        bounded::BoundedStore,
        keys::{CorruptValue, Key, Record, User, resources_of, uses_of},
    },
};

pub(crate) mod uses;

/// Tries of one operation while others change the same keys.
const ATTEMPTS_MAX: usize = 5;
/// Users of a resource that are named when it cannot be deleted.
const USERS_NAMED_MAX: usize = 3;

/// Why an operation on resources was not carried out. Unless said otherwise, nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request breaks rules; all of them are listed.
    #[error("accept the request: {0}")]
    Invalid(#[source] Violations),
    /// There is no such resource.
    #[error("find {kind} {id}")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// The id asked for, as it was written.
        id: String,
    },
    /// Another resource of the kind has the name.
    #[error("use the name {name:?}: {kind} {id} has it")]
    NameTaken {
        /// The kind of both.
        kind: Kind,
        /// The name.
        name: String,
        /// Who has it.
        id: String,
    },
    /// The resource was changed since the etag was given out.
    #[error("change {kind} {id}: it was changed since this etag was given out")]
    EtagStale {
        /// Its kind.
        kind: Kind,
        /// The resource.
        id: ResourceId,
    },
    /// Distributions, or other resources, refer to it.
    #[error("delete {kind} {id}: {} uses it", users.join(", "))]
    InUse {
        /// Its kind.
        kind: Kind,
        /// The resource.
        id: ResourceId,
        /// Ids of some of them.
        users: Vec<String>,
    },
    /// It comes with the program.
    #[error("change {kind} {id}: it is managed, and the same everywhere")]
    Managed {
        /// Its kind.
        kind: Kind,
        /// The resource.
        id: String,
    },
    /// Others changed the same things at the same time, several times in a row.
    #[error("commit: others kept changing the same resource")]
    Contention,
    /// The store did not do it, or it is not known whether it did.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store holds something that cannot be read.
    #[error(transparent)]
    Corrupt(#[from] CorruptValue),
}

/// One resource as it is stored, or managed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    /// The stored value.
    pub(crate) record: ResourceRecord,
    /// The commit that last wrote it; `None` if it is managed.
    pub(crate) revision: Option<Revision>,
}

/// One page of resources: the managed ones, then the others in order of id.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    /// The resources.
    pub(crate) resources: Vec<Stored>,
    /// The token of the next page, if there is one.
    pub(crate) next_page_token: Option<String>,
}

/// What a distribution or a resource refers to, as it was checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Used {
    /// To check it with, with what they themselves refer to. What does not exist is not in it.
    pub(crate) resources: model::Resources,
    /// What was created of what it refers to itself, and its version.
    pub(crate) versions: Vec<(Kind, ResourceId, Revision)>,
}

/// The resources of one store.
#[derive(Debug, Clone)]
pub(crate) struct Resources {
    store: Arc<BoundedStore>,
}

impl Resources {
    /// The resources of this store.
    #[must_use]
    pub(crate) fn new(store: Arc<BoundedStore>) -> Self {
        Self { store }
    }

    /// Creates a resource.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn create(
        &self,
        kind: Kind,
        config: &v1::ResourceConfig,
        now: SystemTime,
    ) -> Result<Stored, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let used = self.used_by_resource(config).await?;
            check_config(config, &used, Violations::default())?;
            let id = ResourceId::from_random(Uuid::new_v4());
            let record = ResourceRecord {
                id: id.to_string(),
                create_time: Some(now.into()),
                update_time: Some(now.into()),
                config: Some(config.clone()),
            };
            let (key, claim) = (Key::Resource(kind, id.clone()).to_string(), Claim::of(kind, config, &id));
            let mut preconditions = vec![Precondition::Absent { key: key.clone() }, claim.is_free()];
            let mut writes = vec![Write::Put { key, value: record.to_value() }, claim.put()];
            preconditions.extend(uses::hold(&used));
            writes.extend(uses::change(&[], &used, &User::Resource(id.clone())));
            match self.commit(kind, &id, &record, preconditions, writes).await? {
                Some(revision) => return Ok(Stored { record, revision: Some(revision) }),
                None => self.refuse_taken(kind, name(config), None).await?,
            }
        }
        Err(Error::Contention)
    }

    /// One resource.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn get(&self, kind: Kind, id: &str) -> Result<Stored, Error> {
        if let Some(managed) = managed_of(kind, id) {
            return Ok(managed);
        }
        let not_found = || Error::NotFound { kind, id: id.to_owned() };
        let parsed = id.parse().map_err(|_| not_found())?;
        self.read(kind, &parsed).await?.ok_or_else(not_found)
    }

    /// One page of resources: of as many as asked for, those that the filter is about.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn list(
        &self,
        kind: Kind,
        page: &Page<ResourceId>,
        wanted: v1::PolicyType,
        filter: &v1::PolicyFilter,
    ) -> Result<Listed, Error> {
        let after = page.after.as_ref().map(ResourceId::as_str);
        let in_managed = after.and_then(|after| managed::of_kind(kind).position(|m| m.id == after));
        let mut resources: Vec<Stored> = Vec::new();
        let wants_managed = wanted != v1::PolicyType::Custom && (after.is_none() || in_managed.is_some());
        if wants_managed {
            let rest = managed::of_kind(kind).skip(in_managed.map_or(0, |at| at + 1));
            resources.extend(rest.take(page.size).map(stored_managed));
        }
        let mut more = wants_managed
            && resources.len() == page.size
            && resources.last().map(|s| s.record.id.as_str()) != managed::of_kind(kind).last().map(|m| m.id);
        if wanted != v1::PolicyType::Managed && !more {
            let room = page.size - resources.len();
            let after = page.after.clone().filter(|_| in_managed.is_none());
            let after = after.map(|id| Key::Resource(kind, id).to_string());
            // One more than fits tells whether there is a next page, also where none fits.
            let listing = self.store.list(&resources_of(kind), after.as_deref(), Some(room + 1)).await?;
            let fitting = entries_that_fit(&listing.entries).min(room);
            more = listing.entries.len() > fitting;
            let decoded: Result<Vec<Stored>, _> = listing.entries.iter().take(fitting).map(decode).collect();
            resources.extend(decoded?);
        }
        let last = resources.last().filter(|_| more);
        let next_page_token = last.map(|stored| next_token(&stored.record.id));
        resources.retain(|stored| is_wanted(stored, filter));
        Ok(Listed { next_page_token, resources })
    }

    /// Replaces the config of a resource that nobody changed since `etag` was given out.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn update(
        &self,
        kind: Kind,
        id: &str,
        etag: &str,
        config: &v1::ResourceConfig,
        now: SystemTime,
    ) -> Result<Stored, Error> {
        refuse_managed(kind, id)?;
        for _ in 0..ATTEMPTS_MAX {
            let used = self.used_by_resource(config).await?;
            let mut found = Violations::default();
            let expected = Etag::check(etag, &mut found);
            check_config(config, &used, found)?;
            let (id, before, modified) = self.get_unchanged(kind, id, expected).await?;
            check_immutable(before.config.as_ref(), config)?;
            let record = ResourceRecord {
                update_time: Some(now.into()),
                config: Some(config.clone()),
                ..before.clone()
            };
            let key = Key::Resource(kind, id.clone()).to_string();
            let mut preconditions = vec![Precondition::ModifiedAt { key: key.clone(), revision: modified }];
            let mut writes = vec![Write::Put { key, value: record.to_value() }];
            let used_before = uses::of_resource(before.config.as_ref());
            preconditions.extend(uses::hold(&used));
            writes.extend(uses::change(&used_before, &used, &User::Resource(id.clone())));
            let old_name = before.config.as_ref().map_or("", name);
            if old_name != name(config) {
                let claim = Claim::of(kind, config, &id);
                preconditions.push(claim.is_free());
                writes.push(claim.put());
                writes.push(Write::Delete { key: Key::name(kind, old_name).to_string() });
            }
            match self.commit(kind, &id, &record, preconditions, writes).await? {
                Some(revision) => return Ok(Stored { record, revision: Some(revision) }),
                None => self.refuse_taken(kind, name(config), Some(&id)).await?,
            }
        }
        Err(Error::Contention)
    }

    /// Deletes a resource that nobody uses and that nobody changed since `etag` was given out.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn delete(&self, kind: Kind, id: &str, etag: &str) -> Result<(), Error> {
        refuse_managed(kind, id)?;
        let mut found = Violations::default();
        let expected = Etag::check(etag, &mut found);
        let expected = found.into_result(expected).map_err(Error::Invalid)?;
        for _ in 0..ATTEMPTS_MAX {
            let (id, before, modified) = self.get_unchanged(kind, id, expected).await?;
            // Before the uses are looked for: one that comes later touches it.
            let used = Key::Used(id.clone()).to_string();
            let touched = self.store.get(&used).await?.map(|entry| entry.modified);
            let users = self.store.list(&uses_of(&id), None, Some(USERS_NAMED_MAX)).await?;
            if !users.entries.is_empty() {
                let user = |entry: &Entry| {
                    let user = Use::from_value(&entry.key, &entry.value)?;
                    let ids = [user.distribution_id, user.resource_id];
                    Ok::<_, CorruptValue>(ids.into_iter().find(|id| !id.is_empty()).unwrap_or_default())
                };
                let users = users.entries.iter().map(user).collect::<Result<_, _>>()?;
                return Err(Error::InUse { kind, id, users });
            }
            let key = Key::Resource(kind, id.clone()).to_string();
            let untouched = match touched {
                Some(revision) => Precondition::ModifiedAt { key: used.clone(), revision },
                None => Precondition::Absent { key: used.clone() },
            };
            let preconditions =
                vec![Precondition::ModifiedAt { key: key.clone(), revision: modified }, untouched];
            let name = before.config.as_ref().map_or("", name);
            let writes = [key, used, Key::name(kind, name).to_string()];
            let mut writes = writes.map(|key| Write::Delete { key }).to_vec();
            let used = uses::of_resource(before.config.as_ref());
            writes.extend(used.iter().map(|resource| uses::end(resource, &User::Resource(id.clone()))));
            match self.store.commit(preconditions, writes).await {
                Ok(Committed::Applied(_)) => return Ok(()),
                Ok(Committed::Refused) => {}
                Err(StoreError::OutcomeUnknown { reason }) => {
                    return match self.read(kind, &id).await {
                        Ok(None) => Ok(()),
                        _ => Err(StoreError::OutcomeUnknown { reason }.into()),
                    };
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Contention)
    }

    async fn read(&self, kind: Kind, id: &ResourceId) -> Result<Option<Stored>, Error> {
        let entry = self.store.get(&Key::Resource(kind, id.clone()).to_string()).await?;
        Ok(entry.as_ref().map(decode).transpose()?)
    }

    async fn get_unchanged(
        &self,
        kind: Kind,
        id: &str,
        expected: Etag,
    ) -> Result<(ResourceId, ResourceRecord, Revision), Error> {
        let not_found = || Error::NotFound { kind, id: id.to_owned() };
        let id: ResourceId = id.parse().map_err(|_| not_found())?;
        match self.read(kind, &id).await? {
            Some(Stored { record, revision: Some(revision) }) if revision == expected.0 => {
                Ok((id, record, revision))
            }
            Some(_) => Err(Error::EtagStale { kind, id }),
            None => Err(not_found()),
        }
    }

    /// Commits what writes `record`; the revision, or `None` if a precondition did not hold.
    async fn commit(
        &self,
        kind: Kind,
        id: &ResourceId,
        record: &ResourceRecord,
        preconditions: Vec<Precondition>,
        writes: Vec<Write>,
    ) -> Result<Option<Revision>, Error> {
        match self.store.commit(preconditions, writes).await {
            Ok(Committed::Applied(revision)) => Ok(Some(revision)),
            Ok(Committed::Refused) => Ok(None),
            Err(StoreError::OutcomeUnknown { reason }) => match self.read(kind, id).await {
                Ok(Some(stored)) if stored.record == *record => Ok(stored.revision),
                _ => Err(StoreError::OutcomeUnknown { reason }.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Fails if another resource than `own` has the name.
    async fn refuse_taken(&self, kind: Kind, name: &str, own: Option<&ResourceId>) -> Result<(), Error> {
        let key = Key::name(kind, name).to_string();
        let Some(entry) = self.store.get(&key).await? else {
            return Ok(());
        };
        let holder = NameClaim::from_value(&key, &entry.value)?.id;
        if own.is_some_and(|own| own.as_str() == holder) {
            return Ok(());
        }
        Err(Error::NameTaken { kind, name: name.to_owned(), id: holder })
    }
}

/// What says that a resource has a name.
struct Claim {
    key: String,
    claim: NameClaim,
}

impl Claim {
    fn of(kind: Kind, config: &v1::ResourceConfig, id: &ResourceId) -> Self {
        Self { key: Key::name(kind, name(config)).to_string(), claim: NameClaim { id: id.to_string() } }
    }

    fn is_free(&self) -> Precondition {
        Precondition::Absent { key: self.key.clone() }
    }

    fn put(&self) -> Write {
        Write::Put { key: self.key.clone(), value: self.claim.to_value() }
    }
}

fn decode(entry: &Entry) -> Result<Stored, CorruptValue> {
    let record = ResourceRecord::from_value(&entry.key, &entry.value)?;
    Ok(Stored { record, revision: Some(entry.modified) })
}

fn is_wanted(stored: &Stored, filter: &v1::PolicyFilter) -> bool {
    let Some(config) = &stored.record.config else { return false };
    (filter.name.is_empty() || filter.name == name(config))
        && tags::matches(&filter.tags, resources::tags(config))
}

fn managed_of(kind: Kind, id: &str) -> Option<Stored> {
    managed::of_kind(kind).find(|managed| managed.id == id).map(stored_managed)
}

fn stored_managed(managed: &managed::Managed) -> Stored {
    let (id, config) = (managed.id.to_owned(), Some(managed.config.clone()));
    Stored { record: ResourceRecord { id, create_time: None, update_time: None, config }, revision: None }
}

fn refuse_managed(kind: Kind, id: &str) -> Result<(), Error> {
    match managed_of(kind, id) {
        Some(_) => Err(Error::Managed { kind, id: id.to_owned() }),
        None => Ok(()),
    }
}

/// Fails with what was found before and what is wrong with a config. Its fields are named as they stand in the request.
fn check_config(config: &v1::ResourceConfig, used: &Used, mut found: Violations) -> Result<(), Error> {
    let managed_name = Kind::of(config)
        .and_then(|kind| managed::of_kind(kind).find(|managed| name(&managed.config) == name(config)));
    if managed_name.is_some() {
        found.add("config.name", "is the name of a managed one; choose another");
    }
    if let Err(in_config) = model::Resource::try_from(config) {
        in_config.prefixed("config", &mut found);
    }
    if let Some(Wire::KeyGroup(group)) = &config.kind {
        for (i, description) in key_group::unknown_keys(group, &used.resources) {
            found.add(format!("config.public_key_ids[{i}]"), description);
        }
    }
    found.into_result(()).map_err(Error::Invalid)
}

/// Fails if something would be changed that cannot be.
fn check_immutable(before: Option<&v1::ResourceConfig>, config: &v1::ResourceConfig) -> Result<(), Error> {
    let key = |config: &v1::ResourceConfig| match model::Resource::try_from(config) {
        Ok(model::Resource::PublicKey(key)) => Some(key),
        _ => None,
    };
    let mut found = Violations::default();
    // Compared as keys: the same one may be written with other line ends.
    if matches!(config.kind, Some(Wire::PublicKey(_))) && before.and_then(key) != key(config) {
        let description = "cannot be changed; create another public key, and put it into the key groups beside this one, or in its place";
        found.add("config.public_key_pem", description);
    }
    found.into_result(()).map_err(Error::Invalid)
}
