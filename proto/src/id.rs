//! Names the system gives: distribution ids, distribution domain names, resource ids.

use std::fmt;

use uuid::Uuid;

/// RFC 4648 section 6: no digits that look like letters, and one case.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const RANDOM_CHARS: usize = 13;

/// Id of a distribution: "E" and 13 characters of A-Z, 2-7, in CloudFront's manner. 65 random bits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DistributionId(Box<str>);

impl DistributionId {
    /// A new id from a random UUID (version 4).
    #[must_use]
    pub fn from_random(random: Uuid) -> Self {
        let mut id = String::with_capacity(1 + RANDOM_CHARS);
        id.push('E');
        push_base32(&mut id, random);
        Self(id.into())
    }

    /// The id as people and programs write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DistributionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Not the form of a distribution id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidDistributionId;

impl fmt::Display for InvalidDistributionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a distribution id: expected E and 13 characters of A-Z, 2-7")
    }
}

impl std::error::Error for InvalidDistributionId {}

impl std::str::FromStr for DistributionId {
    type Err = InvalidDistributionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix('E') {
            Some(rest) if rest.len() == RANDOM_CHARS && rest.bytes().all(|b| BASE32.contains(&b)) => {
                Ok(Self(text.into()))
            }
            _ => Err(InvalidDistributionId),
        }
    }
}

/// Id of a resource that distributions refer to: a UUID in lower case, as CloudFront's policies have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(Box<str>);

impl ResourceId {
    /// A new id from a random UUID (version 4).
    #[must_use]
    pub fn from_random(random: Uuid) -> Self {
        Self(random.hyphenated().to_string().into())
    }

    /// The id as people and programs write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ResourceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Not the form of a resource id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidResourceId;

impl fmt::Display for InvalidResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a resource id: expected a UUID in lower case, as 658327ea-f89d-4fab-a63d-7e88639e58f6",
        )
    }
}

impl std::error::Error for InvalidResourceId {}

impl std::str::FromStr for ResourceId {
    type Err = InvalidResourceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uuid: Uuid = text.parse().map_err(|_| InvalidResourceId)?;
        // One thing has one name: other ways to write a UUID are none.
        let id = Self(uuid.hyphenated().to_string().into());
        if id.as_str() == text { Ok(id) } else { Err(InvalidResourceId) }
    }
}

/// The first label of a distribution's own domain name: "d" and 13 characters of a-z, 2-7, from a random UUID (version 4).
#[must_use]
pub fn domain_label(random: Uuid) -> String {
    let mut label = String::with_capacity(1 + RANDOM_CHARS);
    label.push('d');
    push_base32(&mut label, random);
    label.to_ascii_lowercase()
}

/// Appends 13 characters made of the UUID's random bits; its 6 fixed version and variant bits are left out.
fn push_base32(out: &mut String, random: Uuid) {
    let bits = random.as_u128();
    // Bits 0..62 and 64..76 of a version 4 UUID are all random (RFC 9562 section 5.4).
    let pool = (bits & ((1 << 62) - 1)) | (((bits >> 64) & 0xfff) << 62);
    for i in 0..RANDOM_CHARS {
        out.push(char::from(BASE32[((pool >> (5 * i)) & 31) as usize]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_parse_and_differ() {
        let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
        let id = DistributionId::from_random(a);
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_ne!(id, DistributionId::from_random(b));
        assert_ne!(domain_label(a), domain_label(b));
        assert_eq!(domain_label(a).len(), 14);
    }

    #[test]
    fn resource_ids_are_uuids_written_one_way() {
        let id = ResourceId::from_random(Uuid::new_v4());
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        for text in ["", "x", "658327EA-F89D-4FAB-A63D-7E88639E58F6", "658327eaf89d4fab63d7e88639e58f6a"] {
            assert_eq!(text.parse::<ResourceId>(), Err(InvalidResourceId), "{text}");
        }
    }

    #[test]
    fn foreign_ids_are_refused() {
        for text in ["", "E", "EABC", "XABCDEFGHIJKLM", "Eabcdefghijklm", "EABCDEFGHIJKL1", "E/BCDEFGHIJKLM"]
        {
            assert_eq!(text.parse::<DistributionId>(), Err(InvalidDistributionId), "{text}");
        }
    }
}
