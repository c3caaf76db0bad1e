//! Etags: the revision of the last mutation, in a form nobody is tempted to calculate with.

use std::{fmt, str::FromStr};

use headland_proto::{model::Violations, revision::Revision};

/// RFC 4648 section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const CHARS: u32 = 13;

/// Names one version of one distribution or resource: "W" and 13 characters of A-Z, 2-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Etag(pub Revision);

impl Etag {
    /// The etag of a request; what is wrong with it is added to `found`.
    pub(crate) fn check(etag: &str, found: &mut Violations) -> Self {
        if etag.is_empty() {
            found.add("etag", "is required: the etag of the version that the change was made against");
        }
        etag.parse().unwrap_or_else(|error: InvalidEtag| {
            if !etag.is_empty() {
                found.add("etag", error.to_string());
            }
            Self(Revision::ZERO)
        })
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("W")?;
        (0..CHARS).rev().try_for_each(|i| {
            let digit = usize::try_from((self.0.0 >> (5 * i)) & 31).unwrap_or(0);
            write!(f, "{}", char::from(BASE32[digit]))
        })
    }
}

/// Not an etag of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an etag; send back the one that came with what you change")]
pub(crate) struct InvalidEtag;

impl FromStr for Etag {
    type Err = InvalidEtag;

    fn from_str(text: &str) -> Result<Self, InvalidEtag> {
        let digits = text.strip_prefix('W').ok_or(InvalidEtag)?;
        let value = digits.bytes().try_fold(0u64, |value, byte| {
            let digit = BASE32.iter().position(|b| *b == byte).ok_or(InvalidEtag)?;
            let shifted = value.checked_mul(32).ok_or(InvalidEtag)?;
            Ok(shifted + digit as u64)
        })?;
        let etag = Self(Revision(value));
        // One version has one etag.
        if etag.to_string() == text { Ok(etag) } else { Err(InvalidEtag) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_an_etag_is_refused() {
        for text in [
            "",
            "W",
            "WA",
            "7",
            "WAAAAAAAAAAAA1",
            "wAAAAAAAAAAAAB",
            "WAAAAAAAAAAAABB",
            "W7777777777777",
            "\"WAAAAAAAAAAAAB\"",
        ] {
            assert_eq!(text.parse::<Etag>(), Err(InvalidEtag), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_revision_survives_the_round_trip(revision: u64) {
            let etag = Etag(Revision(revision));
            prop_assert_eq!(etag.to_string().parse(), Ok(etag));
        }

        #[test]
        fn no_text_can_panic_the_parser(text in ".*") {
            let _ = text.parse::<Etag>();
        }
    }
}
