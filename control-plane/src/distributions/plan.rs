//! What one commit must write so that a distribution, its host names, its caller reference and its references to resources always
//! change together.

use std::time::SystemTime;

use headland_proto::{
    id::{DistributionId, ResourceId},
    model::{DistributionConfig, HostName, HostPattern, managed, resources::used_by},
    revision::Revision,
    v1::{self, CallerReferenceRecord, DistributionRecord, HostClaim},
};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::{
    resources::{Used, uses},
    store::{
        Precondition, Write,
        keys::{Key, Record, User},
    },
};

/// One commit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) preconditions: Vec<Precondition>,
    pub(super) writes: Vec<Write>,
    /// The host names it claims: each must be free.
    pub(super) claims: Vec<HostPattern>,
}

/// SHA-256 of a config as it was received: tells whether a repeated creation asks for the same thing.
pub(super) fn digest(config: &v1::DistributionConfig) -> [u8; 32] {
    Sha256::digest(config.encode_to_vec()).into()
}

/// Creates a distribution: everything it takes must be free.
pub(super) fn create(
    id: &DistributionId,
    domain: &HostName,
    wire: &v1::DistributionConfig,
    (config, used): (&DistributionConfig, &Used),
    now: SystemTime,
) -> (Plan, DistributionRecord) {
    let record = DistributionRecord {
        id: id.to_string(),
        domain_name: domain.to_string(),
        create_time: Some(now.into()),
        update_time: Some(now.into()),
        config: Some(wire.clone()),
    };
    let reference =
        CallerReferenceRecord { distribution_id: id.to_string(), config_sha256: digest(wire).to_vec() };
    let mut plan = Plan { preconditions: Vec::new(), writes: Vec::new(), claims: Vec::new() };
    plan.put_absent(&Key::Distribution(id.clone()), &record);
    plan.put_absent(&Key::caller_reference(&config.caller_reference), &reference);
    let own = HostPattern::Exact(domain.clone());
    for pattern in std::iter::once(own).chain(config.aliases.iter().cloned()) {
        plan.claim(pattern, id);
    }
    plan.preconditions.extend(uses::hold(used));
    used.versions.iter().for_each(|(_, resource, _)| plan.writes.extend(uses::begin(resource, &user(id))));
    (plan, record)
}

/// Replaces the config of a distribution that was last changed at `modified`: new aliases must be free, dropped ones
/// become so.
pub(super) fn update(
    id: &DistributionId,
    (before, modified): (&DistributionRecord, Revision),
    wire: &v1::DistributionConfig,
    used: &Used,
    now: SystemTime,
) -> (Plan, DistributionRecord) {
    let record =
        DistributionRecord { update_time: Some(now.into()), config: Some(wire.clone()), ..before.clone() };
    let held = names(before);
    let wanted = names(&record);
    let mut plan = Plan::on(id, modified);
    plan.writes.push(Write::Put { key: Key::Distribution(id.clone()).to_string(), value: record.to_value() });
    for pattern in wanted.iter().filter(|name| !held.contains(name)) {
        plan.claim(pattern.clone(), id);
    }
    for pattern in held.into_iter().filter(|name| !wanted.contains(name)) {
        plan.release(pattern);
    }
    let used_before = resources(before);
    plan.preconditions.extend(uses::hold(used));
    plan.writes.extend(uses::change(&used_before, used, &user(id)));
    (plan, record)
}

/// Deletes a distribution that was last changed at `modified`, with everything it holds.
pub(super) fn delete(id: &DistributionId, record: &DistributionRecord, modified: Revision) -> Plan {
    let mut plan = Plan::on(id, modified);
    plan.writes.push(Write::Delete { key: Key::Distribution(id.clone()).to_string() });
    for pattern in names(record) {
        plan.release(pattern);
    }
    plan.writes.extend(resources(record).iter().map(|resource| uses::end(resource, &user(id))));
    if let Some(config) = &record.config {
        let key = Key::caller_reference(&config.caller_reference).to_string();
        plan.writes.push(Write::Delete { key });
    }
    plan
}

/// Every host name a stored distribution holds, each once: an alias may repeat its own domain name. They were checked
/// before they were stored.
fn names(record: &DistributionRecord) -> Vec<HostPattern> {
    let aliases = record.config.iter().flat_map(|config| &config.aliases);
    let mut names: Vec<HostPattern> = Vec::new();
    for name in std::iter::once(&record.domain_name).chain(aliases).filter_map(|name| name.parse().ok()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Every resource that a stored distribution refers to and that was created, each once.
fn resources(record: &DistributionRecord) -> Vec<ResourceId> {
    let used = record.config.iter().flat_map(used_by).map(|(_, id)| id);
    used.filter(|id| managed::find(id).is_none()).filter_map(|id| id.parse().ok()).collect()
}

fn user(id: &DistributionId) -> User {
    User::Distribution(id.clone())
}

impl Plan {
    fn on(id: &DistributionId, modified: Revision) -> Self {
        let key = Key::Distribution(id.clone()).to_string();
        Self {
            preconditions: vec![Precondition::ModifiedAt { key, revision: modified }],
            writes: Vec::new(),
            claims: Vec::new(),
        }
    }

    /// Bytes of all keys and values.
    pub(super) fn bytes(&self) -> usize {
        let asked = self.preconditions.iter().map(|precondition| match precondition {
            Precondition::Absent { key } | Precondition::ModifiedAt { key, .. } => key.len(),
        });
        let written = self.writes.iter().map(|write| match write {
            Write::Put { key, value } => key.len() + value.len(),
            Write::Delete { key } => key.len(),
        });
        asked.chain(written).sum()
    }

    fn put_absent(&mut self, key: &Key, record: &impl Record) {
        let key = key.to_string();
        self.preconditions.push(Precondition::Absent { key: key.clone() });
        self.writes.push(Write::Put { key, value: record.to_value() });
    }

    fn claim(&mut self, pattern: HostPattern, id: &DistributionId) {
        let claim = HostClaim { distribution_id: id.to_string() };
        self.put_absent(&Key::Host(pattern.clone()), &claim);
        self.claims.push(pattern);
    }

    fn release(&mut self, pattern: HostPattern) {
        self.writes.push(Write::Delete { key: Key::Host(pattern).to_string() });
    }
}

#[cfg(test)]
mod tests;
