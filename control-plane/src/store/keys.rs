//! Every key that is ever persisted, and what its value is.
//!
//! | key | value | written when |
//! |---|---|---|
//! | `cluster` | [`ClusterRecord`] | the first control plane starts on an empty store |
//! | `distributions/<id>` | [`DistributionRecord`] | a distribution is created, updated, deleted |
//! | `distribution-resources/<plural of the kind>/<id>` | [`ResourceRecord`] | a policy, public key or key group is created, updated, deleted |
//! | `names/<plural of the kind>/<SHA-256 of the name, hex>` | [`NameClaim`] | together with the resource that has the name |
//! | `uses/<resource id>/<id of the user>` | [`Use`] | together with the distribution, or the resource, that refers to the resource |
//! | `used/<resource id>` | [`Use`], the latest | together with every new use: who deletes the resource sees that one came |
//! | `hosts/<host name>`, `hosts/*.<domain>` | [`HostClaim`] | together with the distribution that holds the name |
//! | `caller-references/<SHA-256 of the reference, hex>` | [`CallerReferenceRecord`] | together with the distribution it created |
//!
//! What edges are told begins with `distribution`, so that one listing and one watch show it all, in one order.
//!
//! A caller reference and a name may hold any character, so their keys are digests. A wildcard and a name below it are two keys: they
//! may belong to two distributions.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use headland_proto::{
    id::{DistributionId, ResourceId},
    model::{HostPattern, resources::Kind},
    v1::{
        CallerReferenceRecord, ClusterRecord, DistributionRecord, HostClaim, NameClaim, ResourceRecord, Use,
    },
};
use prost::Message;
use sha2::{Digest, Sha256};

/// What all keys of distributions begin with.
pub const DISTRIBUTIONS: &str = "distributions/";
/// What all keys begin with whose values edges are told.
pub const TOLD: &str = "distribution";
const RESOURCES: &str = "distribution-resources/";
const NAMES: &str = "names/";
const USES: &str = "uses/";
const USED: &str = "used/";
const CLUSTER: &str = "cluster";
const HOSTS: &str = "hosts/";
const CALLER_REFERENCES: &str = "caller-references/";

/// One key of the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Which cluster this store belongs to.
    Cluster,
    /// One distribution.
    Distribution(DistributionId),
    /// Who owns a host name or a wildcard.
    Host(HostPattern),
    /// What a caller reference created; the SHA-256 of the reference.
    CallerReference([u8; 32]),
    /// One resource that distributions refer to.
    Resource(Kind, ResourceId),
    /// Which resource of a kind has a name; the SHA-256 of the name.
    Name(Kind, [u8; 32]),
    /// That somebody refers to a resource.
    Use(ResourceId, User),
    /// The latest use of a resource.
    Used(ResourceId),
}

/// Who refers to a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum User {
    /// A distribution.
    Distribution(DistributionId),
    /// Another resource.
    Resource(ResourceId),
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Distribution(id) => id.fmt(f),
            Self::Resource(id) => id.fmt(f),
        }
    }
}

/// What the keys of all resources of a kind begin with.
#[must_use]
pub fn resources_of(kind: Kind) -> String {
    format!("{RESOURCES}{}/", kind.plural())
}

/// What the keys of all uses of a resource begin with.
#[must_use]
pub fn uses_of(id: &ResourceId) -> String {
    format!("{USES}{id}/")
}

impl Key {
    /// The key of a resource's name.
    #[must_use]
    pub fn name(kind: Kind, name: &str) -> Self {
        Self::Name(kind, Sha256::digest(name.as_bytes()).into())
    }

    /// The key of a caller reference.
    #[must_use]
    pub fn caller_reference(reference: &str) -> Self {
        Self::CallerReference(Sha256::digest(reference.as_bytes()).into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str(CLUSTER),
            Self::Distribution(id) => write!(f, "{DISTRIBUTIONS}{id}"),
            Self::Host(pattern) => write!(f, "{HOSTS}{pattern}"),
            Self::CallerReference(digest) => {
                f.write_str(CALLER_REFERENCES)?;
                write_hex(digest, f)
            }
            Self::Resource(kind, id) => write!(f, "{RESOURCES}{}/{id}", kind.plural()),
            Self::Name(kind, digest) => {
                write!(f, "{NAMES}{}/", kind.plural())?;
                write_hex(digest, f)
            }
            Self::Use(id, user) => write!(f, "{USES}{id}/{user}"),
            Self::Used(id) => write!(f, "{USED}{id}"),
        }
    }
}

fn write_hex(digest: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Not one of the keys this program writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the key {0:?}: it is none of this program's")]
pub struct UnknownKey(pub String);

impl FromStr for Key {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        let unknown = || UnknownKey(text.to_owned());
        let key = if text == CLUSTER {
            Self::Cluster
        } else if let Some(id) = text.strip_prefix(DISTRIBUTIONS) {
            Self::Distribution(id.parse().map_err(|_| unknown())?)
        } else if let Some(host) = text.strip_prefix(HOSTS) {
            Self::Host(host.parse().map_err(|_| unknown())?)
        } else if let Some(hex) = text.strip_prefix(CALLER_REFERENCES) {
            Self::CallerReference(digest_from_hex(hex).ok_or_else(unknown)?)
        } else if let Some((kind, id)) = text.strip_prefix(RESOURCES).and_then(kind_and_rest) {
            Self::Resource(kind, id.parse().map_err(|_| unknown())?)
        } else if let Some((kind, hex)) = text.strip_prefix(NAMES).and_then(kind_and_rest) {
            Self::Name(kind, digest_from_hex(hex).ok_or_else(unknown)?)
        } else if let Some((id, user)) = text.strip_prefix(USES).and_then(|rest| rest.split_once('/')) {
            let distribution = user.parse().map(User::Distribution);
            let user = distribution.or_else(|_| user.parse().map(User::Resource)).map_err(|_| unknown())?;
            Self::Use(id.parse().map_err(|_| unknown())?, user)
        } else if let Some(id) = text.strip_prefix(USED) {
            Self::Used(id.parse().map_err(|_| unknown())?)
        } else {
            return Err(unknown());
        };
        // One thing has one key: what parses but is written otherwise (an upper-case host name) is not ours.
        if key.to_string() == text { Ok(key) } else { Err(unknown()) }
    }
}

fn kind_and_rest(text: &str) -> Option<(Kind, &str)> {
    let (plural, rest) = text.split_once('/')?;
    Some((Kind::ALL.into_iter().find(|kind| kind.plural() == plural)?, rest))
}

fn digest_from_hex(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (i, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(digest)
}

/// A value that is persisted under one of the keys.
pub trait Record: Message + Default {
    /// What the value is, for messages.
    const NOUN: &'static str;

    /// The bytes to persist.
    fn to_value(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// Reads persisted bytes.
    ///
    /// # Errors
    /// When the bytes are not such a value; the error names the key.
    fn from_value(key: &str, value: &[u8]) -> Result<Self, CorruptValue> {
        Self::decode(value).map_err(|source| CorruptValue { key: key.to_owned(), noun: Self::NOUN, source })
    }
}

impl Record for ClusterRecord {
    const NOUN: &'static str = "cluster";
}
impl Record for DistributionRecord {
    const NOUN: &'static str = "distribution";
}
impl Record for HostClaim {
    const NOUN: &'static str = "host claim";
}
impl Record for CallerReferenceRecord {
    const NOUN: &'static str = "caller reference";
}
impl Record for ResourceRecord {
    const NOUN: &'static str = "resource";
}
impl Record for NameClaim {
    const NOUN: &'static str = "name claim";
}
impl Record for Use {
    const NOUN: &'static str = "use of a resource";
}

/// A persisted value that cannot be read: written by something else, or damaged.
#[derive(Debug, Clone, thiserror::Error)]
#[error("read the {noun} stored under {key:?}")]
pub struct CorruptValue {
    /// The key it is stored under.
    pub key: String,
    /// What it should be.
    pub noun: &'static str,
    source: prost::DecodeError,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn distribution() -> DistributionId {
        "EABCDEFGHIJKLM".parse().unwrap()
    }

    fn resource() -> ResourceId {
        "658327ea-f89d-4fab-a63d-7e88639e58f6".parse().unwrap()
    }

    #[test]
    fn edges_are_told_of_distributions_and_what_they_refer_to() {
        let told = [Key::Distribution(distribution()), Key::Resource(Kind::CachePolicy, resource())];
        assert!(told.iter().all(|key| key.to_string().starts_with(TOLD)));
        let others = [
            Key::Cluster,
            Key::Host("a.test".parse().unwrap()),
            Key::caller_reference("abc"),
            Key::name(Kind::CachePolicy, "abc"),
            Key::Use(resource(), User::Distribution(distribution())),
            Key::Use(resource(), User::Resource(resource())),
            Key::Used(resource()),
        ];
        assert!(others.iter().all(|key| !key.to_string().starts_with(TOLD)));
    }

    #[test]
    fn keys_are_written_as_documented() {
        let id = distribution();
        let cases = [
            (Key::Cluster, "cluster"),
            (Key::Distribution(id), "distributions/EABCDEFGHIJKLM"),
            (Key::Host("Img.Example.com.".parse().unwrap()), "hosts/img.example.com"),
            (Key::Host("*.example.com".parse().unwrap()), "hosts/*.example.com"),
            (Key::Host("[0::1]".parse().unwrap()), "hosts/[::1]"),
            (
                Key::caller_reference("abc"),
                "caller-references/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Key::Resource(Kind::CachePolicy, resource()),
                "distribution-resources/cache-policies/658327ea-f89d-4fab-a63d-7e88639e58f6",
            ),
            (
                Key::name(Kind::OriginRequestPolicy, "abc"),
                "names/origin-request-policies/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Key::Use(resource(), User::Distribution(distribution())),
                "uses/658327ea-f89d-4fab-a63d-7e88639e58f6/EABCDEFGHIJKLM",
            ),
            (
                Key::Use(resource(), User::Resource(resource())),
                "uses/658327ea-f89d-4fab-a63d-7e88639e58f6/658327ea-f89d-4fab-a63d-7e88639e58f6",
            ),
            (Key::Used(resource()), "used/658327ea-f89d-4fab-a63d-7e88639e58f6"),
        ];
        for (key, text) in cases {
            assert_eq!(key.to_string(), text);
            assert_eq!(text.parse(), Ok(key));
        }
    }

    #[test]
    fn foreign_keys_are_refused() {
        for text in [
            "",
            "clusters",
            "distributions/",
            "distributions/x",
            "hosts/",
            "hosts/Img.example.com",
            "caller-references/00",
            "caller-references/BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        ] {
            assert_eq!(text.parse::<Key>(), Err(UnknownKey(text.into())));
        }
    }

    #[test]
    fn a_damaged_value_names_its_key() {
        let error = DistributionRecord::from_value("distributions/E", &[0xff, 0xff]).unwrap_err();
        assert_eq!(error.to_string(), "read the distribution stored under \"distributions/E\"");
    }

    proptest! {
        #[test]
        fn every_key_survives_the_round_trip(
            random in any::<u128>(),
            host in "(\\*\\.)?[a-z0-9]{1,20}(\\.[a-z0-9]{1,20}){0,3}",
            reference in ".{1,128}",
        ) {
            let id = DistributionId::from_random(Uuid::from_u128(random));
            for key in [
                Key::Cluster,
                Key::Distribution(id),
                Key::Host(host.parse().unwrap()),
                Key::caller_reference(&reference),
                Key::Resource(Kind::CachePolicy, ResourceId::from_random(Uuid::from_u128(random))),
                Key::name(Kind::OriginRequestPolicy, &reference),
                Key::Use(
                    ResourceId::from_random(Uuid::from_u128(random)),
                    User::Distribution(DistributionId::from_random(Uuid::from_u128(random))),
                ),
                Key::Use(
                    ResourceId::from_random(Uuid::from_u128(random)),
                    User::Resource(ResourceId::from_random(Uuid::from_u128(!random))),
                ),
                Key::Used(ResourceId::from_random(Uuid::from_u128(random))),
            ] {
                prop_assert_eq!(key.to_string().parse(), Ok(key));
            }
        }

        #[test]
        fn every_value_survives_the_round_trip(
            id in ".{0,20}", name in ".{0,20}", comment in ".{0,20}", enabled: bool,
            seconds in 0i64..253_402_300_799, digest: [u8; 32],
        ) {
            let record = DistributionRecord {
                id: id.clone(),
                domain_name: name,
                create_time: Some(prost_types::Timestamp { seconds, nanos: 7 }),
                update_time: None,
                config: Some(headland_proto::v1::DistributionConfig { comment, enabled, ..Default::default() }),
            };
            prop_assert_eq!(DistributionRecord::from_value("k", &record.to_value()).unwrap(), record);
            let claim = HostClaim { distribution_id: id.clone() };
            prop_assert_eq!(HostClaim::from_value("k", &claim.to_value()).unwrap(), claim);
            let reference = CallerReferenceRecord { distribution_id: id.clone(), config_sha256: digest.to_vec() };
            prop_assert_eq!(CallerReferenceRecord::from_value("k", &reference.to_value()).unwrap(), reference);
            let cluster = ClusterRecord { cluster_id: id };
            prop_assert_eq!(ClusterRecord::from_value("k", &cluster.to_value()).unwrap(), cluster);
        }

        #[test]
        fn no_bytes_can_panic_the_reader(value: Vec<u8>) {
            let _ = DistributionRecord::from_value("k", &value);
        }
    }
}
