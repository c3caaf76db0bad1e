//! Names the system gives: distribution ids, distribution domain names, edge ids.

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
    fn foreign_ids_are_refused() {
        for text in ["", "E", "EABC", "XABCDEFGHIJKLM", "Eabcdefghijklm", "EABCDEFGHIJKL1", "E/BCDEFGHIJKLM"]
        {
            assert_eq!(text.parse::<DistributionId>(), Err(InvalidDistributionId), "{text}");
        }
    }
}
