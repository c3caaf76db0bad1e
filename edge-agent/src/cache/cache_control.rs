//! Cache-Control (RFC 9111 section 5.2): the directives of a response that a shared cache obeys.

use http::{HeaderMap, header};

/// 2^31 seconds: what a larger number means (RFC 9111 section 1.2.2).
const DELTA_SECONDS_MAX: u64 = 1 << 31;

/// What a response's Cache-Control says. Unknown directives mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Directives {
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache`, with or without field names: the qualified form is treated as the stricter unqualified one
    /// (section 5.2.2.4 allows it).
    pub no_cache: bool,
    /// `private`, with or without field names (section 5.2.2.7 allows treating both alike).
    pub private: bool,
    /// `public`.
    pub public: bool,
    /// `must-revalidate`.
    pub must_revalidate: bool,
    /// `s-maxage`, in seconds.
    pub s_maxage: Option<u64>,
    /// `max-age`, in seconds.
    pub max_age: Option<u64>,
}

impl Directives {
    /// Reads all Cache-Control fields of a message as one list.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for value in headers.get_all(header::CACHE_CONTROL) {
            // A field with bytes outside ASCII is not one this cache can obey in part: take the safe reading.
            match value.to_str() {
                Ok(text) => elements(text).for_each(|(name, argument)| found.take(name, argument)),
                Err(_) => found.no_store = true,
            }
        }
        found
    }

    fn take(&mut self, name: &str, argument: Option<&str>) {
        let is = |directive: &str| name.eq_ignore_ascii_case(directive);
        if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            self.no_cache = true;
        } else if is("private") {
            self.private = true;
        } else if is("public") {
            self.public = true;
        } else if is("must-revalidate") {
            self.must_revalidate = true;
        } else if is("s-maxage") {
            keep_shortest(&mut self.s_maxage, argument);
        } else if is("max-age") {
            keep_shortest(&mut self.max_age, argument);
        }
    }
}

/// Of several values the shortest counts, and one that cannot be read counts as zero: section 4.2.1 lets a cache take the first or
/// consider the response stale, and being cold is correct where being stale is not.
fn keep_shortest(slot: &mut Option<u64>, argument: Option<&str>) {
    let seconds = argument.and_then(delta_seconds).unwrap_or(0);
    *slot = Some(slot.map_or(seconds, |other| other.min(seconds)));
}

/// Delta-seconds (RFC 9111 section 1.2.2), also when quoted, which section 5.2 asks recipients to accept.
#[must_use]
pub fn delta_seconds(text: &str) -> Option<u64> {
    let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Only digits, so failure can only mean overflow.
    Some(text.parse().map_or(DELTA_SECONDS_MAX, |n: u64| n.min(DELTA_SECONDS_MAX)))
}

/// The elements of a comma-separated list, each as a name and what follows its "=". Commas inside quotes do not separate.
fn elements(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut quoted = false;
        let mut escaped = false;
        let end = rest.bytes().position(|b| {
            match b {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => return true,
                _ => {}
            }
            false
        });
        let (element, after) = end.map_or((rest, ""), |i| (&rest[..i], &rest[i + 1..]));
        rest = after;
        let element = element.trim_matches([' ', '\t']);
        Some(element.split_once('=').map_or((element, None), |(name, argument)| (name, Some(argument))))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(fields: &[&str], expected: Directives) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::CACHE_CONTROL, field.parse().expect("value"));
        }
        assert_eq!(Directives::of(&headers), expected, "{fields:?}");
    }

    #[test]
    fn directives_are_read_as_section_5_2_says() {
        let none = Directives::default();
        let max_age = |seconds| Directives { max_age: Some(seconds), ..none };
        check(&[], none);
        check(&["max-age=60"], max_age(60));
        check(&["Max-Age=60"], max_age(60));
        check(&["max-age=\"60\""], max_age(60));
        check(&["max-age=60", "public"], Directives { public: true, ..max_age(60) });
        check(&["max-age=60, s-maxage=10"], Directives { s_maxage: Some(10), ..max_age(60) });
        check(&["private=\"set-cookie, x\", max-age=5"], Directives { private: true, ..max_age(5) });
        check(&["no-cache=\"a\\\", max-age=9\""], Directives { no_cache: true, ..none });
        check(&["x-unknown=\"no-store\""], none);
        check(&[",, no-store ,"], Directives { no_store: true, ..none });
        check(&["must-revalidate"], Directives { must_revalidate: true, ..none });
    }

    #[test]
    fn numbers_that_cannot_be_read_mean_stale() {
        for text in
            ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=a", "max-age= 5", "max-age='5'"]
        {
            check(&[text], Directives { max_age: Some(0), ..Directives::default() });
        }
        check(
            &["max-age=99999999999999999999"],
            Directives { max_age: Some(1 << 31), ..Directives::default() },
        );
        check(&["max-age=10, max-age=5"], Directives { max_age: Some(5), ..Directives::default() });
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[ -~]{0,40}") {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, text.parse().expect("value"));
            let _ = Directives::of(&headers);
        }
    }
}
