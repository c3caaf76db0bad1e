//! Tags: what operators and their programs note about distributions and policies. Edges do not look at them.

use std::collections::BTreeMap;

use super::violation::{Checker, Violations};
use crate::{
    limits::{FILTER_TAGS_MAX, TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX},
    v1,
};

/// Keys that begin so are Amazon's own.
const RESERVED: &str = "aws:";

/// Whether a character may stand in a key or value: letters, digits, spaces and some signs (CloudFront API, TagKey and TagValue).
fn is_allowed(c: char) -> bool {
    c.is_alphabetic() || c.is_numeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}

pub(super) fn check(tags: &BTreeMap<String, String>, c: &mut Checker<'_>) {
    c.count_max(tags.len(), TAGS_MAX);
    for (key, value) in tags {
        let chars = key.chars().count();
        c.ensure(!key.is_empty() && chars <= TAG_KEY_CHARS_MAX, || {
            format!("{key:?}: a key has 1 to {TAG_KEY_CHARS_MAX} characters, this one {chars}")
        });
        let chars = value.chars().count();
        c.ensure(chars <= TAG_VALUE_CHARS_MAX, || {
            format!("{key:?}: its value has {chars} characters; at most {TAG_VALUE_CHARS_MAX} are allowed")
        });
        let reserved = key.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED));
        c.ensure(!reserved, || format!("{key:?}: a key must not begin with {RESERVED:?}, which is Amazon's"));
        for (what, text) in [("key", key), ("value", value)] {
            if let Some(other) = text.chars().find(|char| !is_allowed(*char)) {
                c.violation(format!(
                    "{key:?}: its {what} contains {other:?}; only letters, digits, spaces and _ . : / = + - @ are allowed"
                ));
            }
        }
    }
}

/// Checks the tags that a list is filtered by, which stand in the request's field `filter.tags`.
pub fn check_filter(filters: &[v1::TagFilter], found: &mut Violations) {
    let mut c = Checker::new(found);
    let (mut c, count) = (c.field("filter.tags"), filters.len());
    c.count_max(count, FILTER_TAGS_MAX);
    for (i, filter) in filters.iter().enumerate() {
        c.index(i).field("key").ensure(!filter.key.is_empty(), || "is required: the key of a tag".into());
    }
}

/// Whether something with these tags is meant.
#[must_use]
pub fn matches(filters: &[v1::TagFilter], tags: &BTreeMap<String, String>) -> bool {
    filters.iter().all(|filter| {
        let value = tags.get(&filter.key);
        value.is_some_and(|value| filter.value.as_ref().is_none_or(|wanted| wanted == value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tags: &[(&str, &str)], expected: &[&str]) {
        let tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut found = Violations::default();
        super::check(&tags, &mut Checker::new(&mut found).field("tags"));
        let said: Vec<String> = found.list().iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), expected.len(), "{said:?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.starts_with("tags: ") && said.contains(expected), "{said}, not {expected}");
        }
    }

    #[test]
    fn what_amazon_allows_is_allowed() {
        let (key, value) = ("k".repeat(TAG_KEY_CHARS_MAX), "ü".repeat(TAG_VALUE_CHARS_MAX));
        check(
            &[
                ("team", "web"),
                ("empty", ""),
                ("a b/c=d+e-f@g.h:i_j", "1 2"),
                ("große", "Größe ٣"),
                (&key, &value),
            ],
            &[],
        );
    }

    #[test]
    fn what_amazon_does_not_is_refused_with_the_limit() {
        check(&[("", "x")], &["1 to 128"]);
        check(&[(&"k".repeat(TAG_KEY_CHARS_MAX + 1), "")], &["1 to 128 characters, this one 129"]);
        check(&[("k", &"v".repeat(TAG_VALUE_CHARS_MAX + 1))], &["257 characters; at most 256"]);
        check(
            &[("AWS:x", ""), ("k", "a\nb"), ("k#", "")],
            &["Amazon's", "value contains '\\n'", "key contains '#'"],
        );
        let many: Vec<String> = (0..=TAGS_MAX).map(|i| format!("k{i}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
        check(&many, &["51 entries; at most 50"]);
    }

    #[test]
    fn filters_ask_for_a_key_or_for_a_value_too() {
        let tags = BTreeMap::from([("team".to_owned(), "web".to_owned())]);
        let filter =
            |key: &str, value: Option<&str>| v1::TagFilter { key: key.into(), value: value.map(Into::into) };
        for (filters, expected) in [
            (vec![], true),
            (vec![filter("team", None)], true),
            (vec![filter("team", Some("web"))], true),
            (vec![filter("team", Some(""))], false),
            (vec![filter("team", None), filter("stage", None)], false),
        ] {
            assert_eq!(matches(&filters, &tags), expected, "{filters:?}");
        }
        let mut found = Violations::default();
        check_filter(&vec![filter("", None); FILTER_TAGS_MAX + 1], &mut found);
        assert_eq!(found.list().len(), FILTER_TAGS_MAX + 2, "{found}");
        assert!(found.to_string().contains("filter.tags: has 11 entries; at most 10"), "{found}");
    }
}
