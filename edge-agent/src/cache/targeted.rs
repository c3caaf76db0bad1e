//! Targeted fields (RFC 9213): Cache-Control for caches of one kind, in the form of a structured field.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::cache_control::{DELTA_SECONDS_MAX, Directives, Field};

/// CDN-Cache-Control (RFC 9213 section 3).
pub const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
/// Headland-Cache-Control: meant for this cache alone.
pub const HEADLAND_CACHE_CONTROL: HeaderName = HeaderName::from_static("headland-cache-control");

/// The target list (RFC 9213 section 2.2), the most applicable first.
const TARGETS: [(HeaderName, Field); 2] =
    [(HEADLAND_CACHE_CONTROL, Field::Headland), (CDN_CACHE_CONTROL, Field::Cdn)];

/// The directives of the first field on the target list that is there, valid and not empty (RFC 9213 section 2.2).
#[must_use]
pub fn of(headers: &HeaderMap) -> Option<Directives> {
    TARGETS.iter().find_map(|(name, field)| read(headers, name, *field))
}

fn read(headers: &HeaderMap, name: &HeaderName, field: Field) -> Option<Directives> {
    let text = combined(headers, name)?;
    let members: Dictionary =
        Parser::new(&text).parse().ok().filter(|members: &Dictionary| !members.is_empty())?;
    let mut found = Directives { field, ..Directives::default() };
    for (name, member) in &members {
        let value = match member {
            ListEntry::Item(item) => Some(&item.bare_item),
            ListEntry::InnerList(_) => None,
        };
        found.take_targeted(name.as_str().as_bytes(), value);
    }
    Some(found)
}

/// The lines of a structured field as one (RFC 9651 section 4.2).
pub(super) fn combined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let mut lines = headers.get_all(name).iter();
    let mut text = lines.next()?.as_bytes().to_vec();
    for line in lines {
        text.extend_from_slice(b", ");
        text.extend_from_slice(line.as_bytes());
    }
    Some(text)
}

impl Directives {
    /// Takes a member. A value of a type that the directive cannot have is not used (RFC 9213 section 2.1), and where something is left
    /// to choose it is the reading that reuses less: a number that is none is zero, a restriction counts unless it says `?0`.
    fn take_targeted(&mut self, name: &[u8], value: Option<&BareItem>) {
        let said = value != Some(&BareItem::Boolean(false));
        let is_true = value == Some(&BareItem::Boolean(true));
        if let Some(seconds) = self.seconds(name) {
            *seconds = Some(match value {
                Some(BareItem::Integer(n)) => {
                    u64::try_from(i64::from(*n)).map_or(0, |n| n.min(DELTA_SECONDS_MAX))
                }
                _ => 0,
            });
        } else if let Some(qualified) = self.qualified(name) {
            match value {
                Some(BareItem::String(names)) => qualified.add(Some(names.as_str().as_bytes())),
                Some(BareItem::Token(name)) => qualified.add(Some(name.as_str().as_bytes())),
                _ if said => qualified.add(None),
                _ => {}
            }
        } else if let Some(flag) = self.flag(name) {
            *flag = if matches!(name, b"public" | b"immutable") { is_true } else { said };
        }
    }
}

#[cfg(test)]
mod tests {
    use headland_proto::model::Semantics;
    use http::HeaderValue;

    use super::*;
    use crate::cache::cache_control::Qualified;

    fn check(fields: &[(&'static str, &'static str)], expected: Directives) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("value"));
        }
        assert_eq!(Directives::of(Semantics::Rfc9111, &headers), expected, "{fields:?}");
        // CloudFront's guide knows Cache-Control only.
        assert_eq!(Directives::of(Semantics::CloudFront, &headers).field, Field::CacheControl);
    }

    fn plain() -> Directives {
        Directives::default()
    }

    fn cdn() -> Directives {
        Directives { field: Field::Cdn, ..plain() }
    }

    fn fields(name: &'static str) -> Qualified {
        Qualified::Fields(vec![HeaderName::from_static(name)])
    }

    #[test]
    fn the_most_applicable_field_that_can_be_read_counts_alone() {
        let cc = ("cache-control", "max-age=1");
        let max_age = |field, seconds| Directives { field, max_age: Some(seconds), ..plain() };
        check(&[cc], max_age(Field::CacheControl, 1));
        check(&[cc, ("cdn-cache-control", "max-age=2")], max_age(Field::Cdn, 2)); // RFC 9213 section 2.2
        check(
            &[cc, ("cdn-cache-control", "max-age=2"), ("headland-cache-control", "max-age=3")],
            max_age(Field::Headland, 3), // RFC 9213 section 2.2, the order of the list
        );
        check(
            &[("cdn-cache-control", "max-age=2"), ("headland-cache-control", "max-age=")],
            max_age(Field::Cdn, 2), // RFC 9213 section 2.2, the first that is valid
        );
        for unusable in
            ["", " ", "max-age =2", "Max-Age=2", "max-age=2,", "no-store, é", "max-age=1.", "a=\"b"]
        {
            check(&[cc, ("cdn-cache-control", unusable)], max_age(Field::CacheControl, 1)); // RFC 9213 section 2.1
        }
        check(&[cc, ("surrogate-control", "max-age=9")], max_age(Field::CacheControl, 1)); // RFC 9213 section 2.2
        check(&[("cache-control", "no-store"), ("cdn-cache-control", "none")], cdn()); // RFC 9213 section 3.1
        check(
            &[("cdn-cache-control", "max-age=2"), ("cdn-cache-control", "no-store")],
            Directives { no_store: true, ..max_age(Field::Cdn, 2) },
        ); // RFC 9651 section 4.2
    }

    #[test]
    fn values_have_types() {
        let check = |value, expected| check(&[("cdn-cache-control", value)], expected);
        let max_age = |seconds| Directives { max_age: Some(seconds), ..cdn() };
        check("max-age=60;x=1", max_age(60)); // RFC 9213 section 2.1, parameters are ignored
        check("max-age=1, max-age=2", max_age(2)); // RFC 9651 section 3.2, the last counts
        check("max-age=999999999999999", max_age(1 << 31)); // RFC 9111 section 1.2.2
        for wrong in [
            "max-age",
            "max-age=-5",
            "max-age=60.0",
            "max-age=\"60\"",
            "max-age=a",
            "max-age=(60)",
            "max-age=?0",
        ] {
            check(wrong, max_age(0)); // RFC 9213 section 2.1, not to be consumed
        }
        check("no-store", Directives { no_store: true, ..cdn() }); // RFC 9213 section 2.1, Boolean
        check("no-store=?0", cdn());
        check("no-store=1", Directives { no_store: true, ..cdn() });
        check("public=1", cdn());
        check("public, immutable", Directives { public: true, immutable: true, ..cdn() });
        check("private", Directives { private: Qualified::Whole, ..cdn() });
        check("private=?0", cdn());
        check("private=\"x\"", Directives { private: fields("x"), ..cdn() }); // RFC 9213 section 2.1, String
        check("no-cache=x", Directives { no_cache: fields("x"), ..cdn() });
        check("no-cache=1", Directives { no_cache: Qualified::Whole, ..cdn() });
        check(
            "must-revalidate, proxy-revalidate, must-understand",
            Directives { must_revalidate: true, proxy_revalidate: true, must_understand: true, ..cdn() },
        );
    }
}
