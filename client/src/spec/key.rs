//! Public keys and key groups as people write them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What signatures of signed URLs and cookies are verified with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKeySpec {
    /// Unique among public keys.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// For people. At most 128 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// `BEGIN PUBLIC KEY`: RSA of 2,048 bits, or ECDSA with the curve P-256. Cannot be changed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub public_key_pem: String,
    /// For people and their programs. At most 50.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Which public keys a cache behavior trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyGroupSpec {
    /// Unique among key groups.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// For people. At most 128 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Ids of public keys, or their names; 1 to 5.
    #[serde(default)]
    pub public_key_ids: Vec<String>,
    /// For people and their programs. At most 50.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}
