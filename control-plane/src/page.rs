//! Pages of list calls: how many results, and where the next page goes on.

use std::{fmt::Display, str::FromStr};

use headland_proto::{
    limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX},
    model::Violations,
};

use crate::store::Entry;

/// Encoded size of one page, so that a page of large things still fits into one message.
const PAGE_BYTES_MAX: usize = 2 << 20;
/// Marks the form of the token, so that a later form can be told apart.
const TOKEN_PREFIX: &str = "1.";

/// A checked page request over results in order of `K`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page<K> {
    /// Results wanted, 1 to [`PAGE_SIZE_MAX`].
    pub(crate) size: usize,
    /// The last result of the page before.
    pub(crate) after: Option<K>,
}

impl<K: FromStr> Page<K> {
    /// Reads the two fields of a list request.
    ///
    /// # Errors
    /// When the size is negative or the token did not come from here.
    pub(crate) fn parse(page_size: i32, page_token: &str) -> Result<Self, Violations> {
        let mut found = Violations::default();
        let size = match usize::try_from(page_size) {
            Ok(0) => PAGE_SIZE_DEFAULT,
            Ok(size) => size.min(PAGE_SIZE_MAX),
            Err(_) => {
                found.add("page_size", "must not be negative");
                PAGE_SIZE_DEFAULT
            }
        };
        let after = match page_token {
            "" => None,
            token => {
                let after = token.strip_prefix(TOKEN_PREFIX).and_then(|t| t.parse().ok());
                if after.is_none() {
                    found.add("page_token", "is not a page token; send back next_page_token unchanged");
                }
                after
            }
        };
        found.into_result(Self { size, after })
    }
}

/// The token of the page that follows `last`.
#[must_use]
pub(crate) fn next_token(last: impl Display) -> String {
    format!("{TOKEN_PREFIX}{last}")
}

/// How many entries fit into one page; at least one, if there is one.
pub(crate) fn entries_that_fit(entries: &[Entry]) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        bytes += entry.value.len();
        bytes <= PAGE_BYTES_MAX
    };
    entries.iter().take_while(fits).count().max(1).min(entries.len())
}

#[cfg(test)]
mod tests {
    use headland_proto::id::DistributionId;

    use super::*;

    type IdPage = Page<DistributionId>;

    #[test]
    fn sizes_have_a_default_and_a_ceiling() {
        for (asked, given) in [(0, 100), (1, 1), (1000, 1000), (1001, 1000), (i32::MAX, 1000)] {
            assert_eq!(IdPage::parse(asked, "").unwrap().size, given);
        }
    }

    #[test]
    fn a_token_leads_to_the_next_result() {
        let id: DistributionId = "EABCDEFGHIJKLM".parse().unwrap();
        let page = IdPage::parse(7, &next_token(&id)).unwrap();
        assert_eq!(page, Page { size: 7, after: Some(id) });
    }

    #[test]
    fn both_fields_are_checked_at_once() {
        let violations = IdPage::parse(-1, "1.hello").unwrap_err();
        let fields: Vec<&str> = violations.list().iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["page_size", "page_token"]);
        assert!(IdPage::parse(0, "EABCDEFGHIJKLM").is_err(), "a bare id is not a token");
    }
}
