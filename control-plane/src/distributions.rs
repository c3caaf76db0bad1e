//! Distributions: creating, reading, changing and deleting them, so that no two ever hold one host name.
//!
//! Every operation is one commit with preconditions. When a commit is refused, reading again tells which precondition
//! failed; when none can be found failing any more, it is tried again.

use std::{sync::Arc, time::SystemTime};

use headland_proto::{
    id::{DistributionId, domain_label},
    model::{self, HostName, Violations},
    revision::Revision,
    v1::{self, CallerReferenceRecord, DistributionRecord, HostClaim},
};
use uuid::Uuid;

use self::plan::Plan;
pub(crate) use self::{
    error::{Error, TakenName},
    filter::Filter,
};
use crate::{
    etag::Etag,
    page::{Page, entries_that_fit, next_token},
    resources::{self, Resources, Used},
    store::{
        COMMIT_BYTES_MAX, COMMIT_WRITES_MAX, Committed, Entry, Store, StoreError,
        bounded::BoundedStore,
        keys::{DISTRIBUTIONS, Key, Record},
    },
};

mod error;
mod filter;
mod plan;

/// Tries of one operation while others change the same keys.
const ATTEMPTS_MAX: usize = 5;

/// One distribution as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    /// The stored value.
    pub(crate) record: DistributionRecord,
    /// The commit that last wrote it.
    pub(crate) revision: Revision,
}

/// One page of distributions, in order of id.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    /// The distributions.
    pub(crate) distributions: Vec<Stored>,
    /// The token of the next page, if there is one.
    pub(crate) next_page_token: Option<String>,
}

/// The distributions of one store.
#[derive(Debug, Clone)]
pub(crate) struct Distributions {
    store: Arc<BoundedStore>,
    resources: Resources,
    cdn_domain: HostName,
}

impl Distributions {
    /// Distributions whose own host names lie under `cdn_domain`.
    #[must_use]
    pub(crate) fn new(store: Arc<BoundedStore>, cdn_domain: HostName) -> Self {
        Self { resources: Resources::new(Arc::clone(&store)), store, cdn_domain }
    }

    /// Creates a distribution. The same caller reference with the same content gives the distribution that it created,
    /// as it is now.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn create(
        &self,
        wire: &v1::DistributionConfig,
        now: SystemTime,
    ) -> Result<Stored, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let used = self.resources.used_by(wire).await?;
            let config = check_config(wire, &used, Violations::default())?;
            let id = DistributionId::from_random(Uuid::new_v4());
            let domain = self.new_domain()?;
            let (plan, record) = plan::create(&id, &domain, wire, (&config, &used), now);
            check_size(&plan)?;
            match self.store.commit(plan.preconditions.clone(), plan.writes.clone()).await {
                Ok(Committed::Applied(revision)) => return Ok(Stored { record, revision }),
                Ok(Committed::Refused) => {}
                Err(StoreError::OutcomeUnknown { reason }) => {
                    return match self.read(&id).await {
                        Ok(Some(stored)) => Ok(stored),
                        _ => Err(StoreError::OutcomeUnknown { reason }.into()),
                    };
                }
                Err(error) => return Err(error.into()),
            }
            if let Some(existing) = self.created_before(&config.caller_reference, wire).await? {
                return Ok(existing);
            }
            self.refuse_taken(&plan, None).await?;
        }
        Err(Error::Contention)
    }

    /// One distribution.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn get(&self, id: &str) -> Result<Stored, Error> {
        // An id of another form names nothing, and is not worth another error.
        let parsed = id.parse().map_err(|_| Error::NotFound { id: id.to_owned() })?;
        self.read_existing(&parsed).await
    }

    /// One page of those distributions that the filter is about, in order of id. A page may be shorter than asked for although more
    /// follow: as many as asked for are looked at.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn list(&self, page: &Page<DistributionId>, filter: &Filter) -> Result<Listed, Error> {
        let after = page.after.clone().map(|id| Key::Distribution(id).to_string());
        let listing = self.store.list(DISTRIBUTIONS, after.as_deref(), Some(page.size)).await?;
        let fitting = entries_that_fit(&listing.entries);
        let more = listing.more || fitting < listing.entries.len();
        let mut distributions: Vec<Stored> =
            listing.entries[..fitting].iter().map(decode).collect::<Result<_, _>>()?;
        let last = distributions.last().filter(|_| more);
        let next_page_token = last.map(|stored| next_token(&stored.record.id));
        distributions.retain(|stored| filter.matches(stored));
        Ok(Listed { next_page_token, distributions })
    }

    /// Replaces the config of a distribution that nobody changed since `etag` was given out.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn update(
        &self,
        id: &str,
        etag: &str,
        wire: &v1::DistributionConfig,
        now: SystemTime,
    ) -> Result<Stored, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let used = self.resources.used_by(wire).await?;
            let mut found = Violations::default();
            let expected = Etag::check(etag, &mut found);
            check_config(wire, &used, found)?;
            let (id, before) = self.get_unchanged(id, expected).await?;
            check_immutable(&before.record, wire)?;
            let (plan, record) = plan::update(&id, (&before.record, before.revision), wire, &used, now);
            check_size(&plan)?;
            match self.store.commit(plan.preconditions.clone(), plan.writes.clone()).await {
                Ok(Committed::Applied(revision)) => return Ok(Stored { record, revision }),
                Ok(Committed::Refused) => self.refuse_taken(&plan, Some(&id)).await?,
                Err(StoreError::OutcomeUnknown { reason }) => {
                    // Our own content under a later revision: whether this commit or another wrote it makes no difference.
                    return match self.read(&id).await {
                        Ok(Some(s)) if s.revision != before.revision && s.record == record => Ok(s),
                        _ => Err(StoreError::OutcomeUnknown { reason }.into()),
                    };
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Contention)
    }

    /// Deletes a disabled distribution that nobody changed since `etag` was given out, and frees what it holds.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn delete(&self, id: &str, etag: &str) -> Result<(), Error> {
        let mut found = Violations::default();
        let expected = Etag::check(etag, &mut found);
        let expected = found.into_result(expected).map_err(Error::Invalid)?;
        for _ in 0..ATTEMPTS_MAX {
            let (id, before) = self.get_unchanged(id, expected).await?;
            if before.record.config.as_ref().is_some_and(|c| c.enabled) {
                return Err(Error::Enabled { id });
            }
            let plan = plan::delete(&id, &before.record, before.revision);
            match self.store.commit(plan.preconditions, plan.writes).await {
                Ok(Committed::Applied(_)) => return Ok(()),
                Ok(Committed::Refused) => {}
                Err(StoreError::OutcomeUnknown { reason }) => {
                    return match self.read(&id).await {
                        Ok(None) => Ok(()),
                        _ => Err(StoreError::OutcomeUnknown { reason }.into()),
                    };
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Contention)
    }

    async fn read(&self, id: &DistributionId) -> Result<Option<Stored>, Error> {
        let entry = self.store.get(&Key::Distribution(id.clone()).to_string()).await?;
        Ok(entry.as_ref().map(decode).transpose()?)
    }

    async fn read_existing(&self, id: &DistributionId) -> Result<Stored, Error> {
        let stored = self.read(id).await?;
        stored.ok_or_else(|| Error::NotFound { id: id.to_string() })
    }

    async fn get_unchanged(&self, id: &str, expected: Etag) -> Result<(DistributionId, Stored), Error> {
        let id: DistributionId = id.parse().map_err(|_| Error::NotFound { id: id.to_owned() })?;
        let stored = self.read_existing(&id).await?;
        if stored.revision == expected.0 { Ok((id, stored)) } else { Err(Error::EtagStale { id }) }
    }

    /// What the caller reference created, if it did and the content was the same.
    async fn created_before(
        &self,
        reference: &str,
        wire: &v1::DistributionConfig,
    ) -> Result<Option<Stored>, Error> {
        let key = Key::caller_reference(reference).to_string();
        let Some(entry) = self.store.get(&key).await? else {
            return Ok(None);
        };
        let before = CallerReferenceRecord::from_value(&key, &entry.value)?;
        if before.config_sha256 != plan::digest(wire) {
            return Err(Error::CallerReferenceTaken { distribution_id: before.distribution_id });
        }
        match before.distribution_id.parse() {
            Ok(id) => self.read(&id).await,
            Err(_) => Err(Error::CallerReferenceTaken { distribution_id: before.distribution_id }),
        }
    }

    /// Fails if another distribution than `own` holds one of the names that the plan claims.
    async fn refuse_taken(&self, plan: &Plan, own: Option<&DistributionId>) -> Result<(), Error> {
        let mut taken = Vec::new();
        for pattern in &plan.claims {
            let key = Key::Host(pattern.clone()).to_string();
            let Some(entry) = self.store.get(&key).await? else {
                continue;
            };
            let holder = HostClaim::from_value(&key, &entry.value)?.distribution_id;
            if own.is_none_or(|own| own.as_str() != holder) {
                taken.push(TakenName { name: pattern.to_string(), distribution_id: holder });
            }
        }
        if taken.is_empty() { Ok(()) } else { Err(Error::HostNamesTaken(taken)) }
    }

    fn new_domain(&self) -> Result<HostName, Error> {
        let name = format!("{}.{}", domain_label(Uuid::new_v4()), self.cdn_domain);
        name.parse().map_err(|error| {
            StoreError::Failed { reason: format!("the domain name {name} {error}; use a shorter CDN domain") }
                .into()
        })
    }
}

impl From<resources::Error> for Error {
    /// What reading a distribution's resources can fail with.
    fn from(error: resources::Error) -> Self {
        match error {
            resources::Error::Store(error) => Self::Store(error),
            resources::Error::Corrupt(error) => Self::Corrupt(error),
            _ => Self::Contention,
        }
    }
}

fn decode(entry: &Entry) -> Result<Stored, crate::store::keys::CorruptValue> {
    Ok(Stored { record: DistributionRecord::from_value(&entry.key, &entry.value)?, revision: entry.modified })
}

fn check_config(
    wire: &v1::DistributionConfig,
    used: &Used,
    mut found: Violations,
) -> Result<model::DistributionConfig, Error> {
    match model::DistributionConfig::check(wire, &used.resources) {
        Ok(config) => found.into_result(config).map_err(Error::Invalid),
        Err(in_config) => {
            in_config.prefixed("config", &mut found);
            Err(Error::Invalid(found))
        }
    }
}

/// A store takes only so much in one commit, and what belongs together must change together.
fn check_size(plan: &Plan) -> Result<(), Error> {
    let mut found = Violations::default();
    let entries = plan.writes.len().max(plan.preconditions.len());
    if entries > COMMIT_WRITES_MAX {
        let (changed, most) = (entries - 1, COMMIT_WRITES_MAX - 1);
        let description = format!(
            "adds and removes {changed} names (and references to policies) at once; at most {most} can change, take two steps"
        );
        found.add("config.aliases", description);
    }
    let bytes = plan.bytes();
    if bytes > COMMIT_BYTES_MAX {
        let description = format!("takes {bytes} bytes to store; at most {COMMIT_BYTES_MAX} are possible");
        found.add("config", description);
    }
    found.into_result(()).map_err(Error::Invalid)
}

fn check_immutable(before: &DistributionRecord, wire: &v1::DistributionConfig) -> Result<(), Error> {
    let reference = before.config.as_ref().map_or("", |c| c.caller_reference.as_str());
    let mut found = Violations::default();
    if reference != wire.caller_reference {
        let description = format!("cannot be changed; it is {reference:?}");
        found.add("config.caller_reference", description);
    }
    found.into_result(()).map_err(Error::Invalid)
}
