//! Cache groups (RFC 9875): names that stored responses have in common, and the responses that invalidate them.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, List, ListEntry, Parser};

use super::targeted::combined;

/// Which groups a response belongs to (RFC 9875 section 2).
pub const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
/// Which groups a response to an unsafe request invalidates (RFC 9875 section 3).
pub const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// Groups in one field; those after them are ignored. RFC 9875 asks for 32 at least.
pub const GROUPS_MAX: usize = 128;
/// Bytes of a group's name; a longer one is ignored. RFC 9875 asks for 32 at least.
pub const GROUP_BYTES_MAX: usize = 256;

/// The groups that a response belongs to. None if the field is not a list of strings.
#[must_use]
pub fn of(response: &HeaderMap) -> Box<[Box<str>]> {
    read(response, &CACHE_GROUPS)
}

/// The groups that a response invalidates. The caller knows that the request was unsafe: after others the field means nothing.
#[must_use]
pub fn invalidated(response: &HeaderMap) -> Box<[Box<str>]> {
    read(response, &CACHE_GROUP_INVALIDATION)
}

fn read(response: &HeaderMap, name: &HeaderName) -> Box<[Box<str>]> {
    strings(response, name).unwrap_or_default()
}

fn strings(response: &HeaderMap, name: &HeaderName) -> Option<Box<[Box<str>]>> {
    let text = combined(response, name)?;
    let list: List = Parser::new(&text).parse().ok()?;
    let mut groups: Vec<Box<str>> = Vec::new();
    for member in &list {
        // One member of another type makes the whole field something else (RFC 9651 section 1.1).
        let ListEntry::Item(item) = member else { return None };
        let BareItem::String(group) = &item.bare_item else { return None };
        let group = group.as_str();
        let is_new = !groups.iter().any(|known| **known == *group);
        if is_new && group.len() <= GROUP_BYTES_MAX && groups.len() < GROUPS_MAX {
            groups.push(group.into());
        }
    }
    Some(groups.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[&str], expected: &[&str]) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(CACHE_GROUPS, field.parse().expect("value"));
            headers.append(CACHE_GROUP_INVALIDATION, field.parse().expect("value"));
        }
        let texts = |groups: Box<[Box<str>]>| groups.iter().map(|g| g.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(of(&headers)), expected, "{fields:?}");
        assert_eq!(texts(invalidated(&headers)), expected, "{fields:?}");
    }

    #[test]
    fn groups_are_a_list_of_strings() {
        check(&[], &[]);
        check(&[""], &[]);
        check(&["\"a\", \"B c\""], &["a", "B c"]); // RFC 9875 section 2
        check(&["\"a\"", "\"b\""], &["a", "b"]); // RFC 9651 section 4.2
        check(&["\"a\";x=1;y"], &["a"]); // RFC 9875 section 2, unknown parameters
        check(&["\"a\", \"a\", \"A\""], &["a", "A"]); // RFC 9875 section 2.1, character by character
        check(&["\"a, \\\"b\\\"\""], &["a, \"b\""]); // RFC 9651 section 3.3.3
        for malformed in ["a", "\"a", "\"a\", b", "\"a\" \"b\"", "(\"a\")", "1", "\"a\","] {
            check(&[malformed], &[]); // RFC 9651 section 4.2
        }
    }

    #[test]
    fn enough_groups_are_kept_and_no_more() {
        let many: Vec<String> = (0..=GROUPS_MAX).map(|i| format!("{i:032}")).collect();
        let field = many.iter().map(|g| format!("\"{g}\"")).collect::<Vec<_>>().join(", ");
        let kept: Vec<&str> = many.iter().take(GROUPS_MAX).map(String::as_str).collect();
        check(&[&field], &kept);
        let long = "x".repeat(GROUP_BYTES_MAX + 1);
        check(&[&format!("\"{long}\", \"a\"")], &["a"]);
    }
}
