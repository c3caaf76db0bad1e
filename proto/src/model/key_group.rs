//! Key groups: which public keys a cache behavior trusts.

use std::{collections::BTreeMap, sync::Arc};

use super::{PublicKey, Resources, violation::Checker};
use crate::{
    id::ResourceId,
    limits::{KEY_GROUP_KEYS, TRUSTED_KEY_GROUPS_MAX},
    v1,
};

/// A checked key group. Whether its keys exist is checked where all resources are at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyGroup {
    /// Its public keys.
    pub public_key_ids: Vec<ResourceId>,
}

/// What the requests of a cache behavior must be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKeys {
    /// The ids of the key groups, as the operator listed them; at least one.
    pub group_ids: Vec<String>,
    /// All their keys, by id.
    pub keys: BTreeMap<ResourceId, Arc<PublicKey>>,
}

/// Checks all but name and comment.
pub(super) fn check(wire: &v1::KeyGroupConfig, c: &mut Checker<'_>) -> KeyGroup {
    let mut field = c.field("public_key_ids");
    let (min, max) = KEY_GROUP_KEYS;
    field.ensure((min..=max).contains(&wire.public_key_ids.len()), || {
        format!("has {} entries; a key group has {min} to {max}", wire.public_key_ids.len())
    });
    let mut public_key_ids = Vec::new();
    for (i, id) in wire.public_key_ids.iter().enumerate().take(2 * max) {
        match id.parse::<ResourceId>() {
            Ok(id) if public_key_ids.contains(&id) => {
                field.index(i).violation(format!("{id} is named twice"))
            }
            Ok(id) => public_key_ids.push(id),
            Err(_) => field.index(i).violation(unknown_key(id)),
        }
    }
    KeyGroup { public_key_ids }
}

/// Which of a group's public keys are not among the resources.
pub fn unknown_keys(wire: &v1::KeyGroupConfig, resources: &Resources) -> Vec<(usize, String)> {
    let ids = wire.public_key_ids.iter().enumerate();
    let unknown =
        ids.filter(|(_, id)| id.parse::<ResourceId>().is_ok() && resources.public_key(id).is_none());
    unknown.map(|(i, id)| (i, unknown_key(id))).collect()
}

fn unknown_key(id: &str) -> String {
    format!("{id:?} is not the id of a public key; create it first, or use one that is listed")
}

/// The keys of all groups that a behavior trusts; `None` if it trusts none, so that requests need not be signed.
pub(super) fn check_trusted(
    wire: &[String],
    resources: &Resources,
    c: &mut Checker<'_>,
) -> Option<TrustedKeys> {
    c.count_max(wire.len(), TRUSTED_KEY_GROUPS_MAX);
    let mut keys = BTreeMap::new();
    for (i, id) in wire.iter().enumerate().take(2 * TRUSTED_KEY_GROUPS_MAX) {
        let mut c = c.index(i);
        c.ensure(!wire[..i].contains(id), || format!("{id:?} is named twice"));
        let Some(group) = resources.key_group(id) else {
            c.violation(format!(
                "{id:?} is not the id of a key group; create it first, or use one that is listed"
            ));
            continue;
        };
        for id in &group.public_key_ids {
            match resources.public_key(id.as_str()) {
                Some(key) => _ = keys.insert(id.clone(), Arc::clone(key)),
                None => c.violation(format!("has the public key {id}, which is not there")),
            }
        }
    }
    (!wire.is_empty()).then(|| TrustedKeys { group_ids: wire.to_vec(), keys })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{KeyAlgorithm, Resource, violation::Violations};

    fn id(n: usize) -> String {
        format!("00000000-0000-4000-8000-{n:012}")
    }

    fn check(keys: &[String], expected: Result<usize, &str>) {
        let wire = v1::KeyGroupConfig { public_key_ids: keys.to_vec(), ..Default::default() };
        let mut found = Violations::default();
        let group = super::check(&wire, &mut Checker::new(&mut found));
        match (found.into_result(group), expected) {
            (Ok(group), Ok(count)) => assert_eq!(group.public_key_ids.len(), count),
            (Err(found), Err(field)) => assert_eq!(found.list()[0].field, field, "{found}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_group_has_one_to_five_keys_each_once() {
        let ids = |n: usize| (0..n).map(id).collect::<Vec<_>>();
        check(&ids(1), Ok(1));
        check(&ids(KEY_GROUP_KEYS.1), Ok(KEY_GROUP_KEYS.1));
        check(&[], Err("public_key_ids"));
        check(&ids(KEY_GROUP_KEYS.1 + 1), Err("public_key_ids"));
        check(&[id(1), id(1)], Err("public_key_ids[1]"));
        check(&["K2JCJMDEHXQW5F".into()], Err("public_key_ids[0]"));
    }

    #[test]
    fn a_behavior_trusts_every_key_of_its_groups() {
        let mut resources = Resources::default();
        let key = |n: u8| {
            let key = PublicKey { algorithm: KeyAlgorithm::EcdsaP256, spki: vec![n] };
            Resource::PublicKey(Arc::new(key))
        };
        let group = |keys: &[usize]| {
            let public_key_ids = keys.iter().map(|n| id(*n).parse().expect("id")).collect();
            Resource::KeyGroup(Arc::new(KeyGroup { public_key_ids }))
        };
        for (n, resource) in
            [key(0), key(1), group(&[0, 1]), group(&[1]), group(&[7])].into_iter().enumerate()
        {
            resources.insert(id(n).parse().expect("id"), resource);
        }
        let check = |groups: &[usize], expected: Result<usize, &str>| {
            let groups: Vec<String> = groups.iter().map(|n| id(*n)).collect();
            let mut found = Violations::default();
            let trusted = check_trusted(&groups, &resources, &mut Checker::new(&mut found).field("t"));
            match (found.into_result(trusted), expected) {
                (Ok(trusted), Ok(keys)) => assert_eq!(trusted.map_or(0, |t| t.keys.len()), keys),
                (Err(found), Err(field)) => assert_eq!(found.list()[0].field, field, "{found}"),
                (found, expected) => panic!("{found:?}, not {expected:?}"),
            }
        };
        check(&[], Ok(0));
        check(&[2, 3], Ok(2));
        check(&[3], Ok(1));
        check(&[3, 3], Err("t[1]"));
        check(&[0], Err("t[0]"));
        check(&[4], Err("t[0]"));
        check(&[2; TRUSTED_KEY_GROUPS_MAX + 1], Err("t"));
    }
}
