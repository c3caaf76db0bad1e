//! Cache-Control (RFC 9111 section 5.2): the directives that a shared cache obeys, in responses and in requests.

use headland_proto::model::Semantics;
use http::{HeaderMap, HeaderName, header};

use super::targeted;

/// 2^31 seconds: what a larger number means (RFC 9111 section 1.2.2).
pub const DELTA_SECONDS_MAX: u64 = 1 << 31;
/// A directive that names more fields than this is about the whole response.
const FIELDS_MAX: usize = 64;

/// A directive that may name the fields it is about (`no-cache="set-cookie"`, RFC 9111 sections 5.2.2.4 and 5.2.2.7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Qualified {
    /// It is not there.
    #[default]
    Absent,
    /// It is about these fields only.
    Fields(Vec<HeaderName>),
    /// It is about the whole response: it names no fields, or names them in a way that cannot be read.
    Whole,
}

impl Qualified {
    /// Whether it is about the whole response.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::Whole
    }

    /// The fields it is about, when it is about some only.
    #[must_use]
    pub fn fields(&self) -> &[HeaderName] {
        match self {
            Self::Fields(names) => names,
            Self::Absent | Self::Whole => &[],
        }
    }

    /// Adds what one more occurrence says: a list of names, or nothing, which is about the whole response.
    pub(super) fn add(&mut self, list: Option<&[u8]>) {
        let Some(names) = list.and_then(field_names) else {
            *self = Self::Whole;
            return;
        };
        match self {
            Self::Whole => {}
            Self::Absent => *self = Self::Fields(names),
            Self::Fields(known) if known.len() + names.len() <= FIELDS_MAX => known.extend(names),
            Self::Fields(_) => *self = Self::Whole,
        }
    }
}

/// The names of a list. `None` if it is empty, or holds what is not a name, or too many.
fn field_names(list: &[u8]) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for name in list.split(|&b| b == b',').map(trim).filter(|name| !name.is_empty()) {
        names.push(HeaderName::from_bytes(name).ok()?);
    }
    (!names.is_empty() && names.len() <= FIELDS_MAX).then_some(names)
}

/// Which field the directives of a response were taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Field {
    /// Cache-Control, with Expires beside it.
    #[default]
    CacheControl,
    /// CDN-Cache-Control (RFC 9213): Cache-Control and Expires are not for this cache.
    Cdn,
    /// Headland-Cache-Control: the same, and meant for this cache alone.
    Headland,
}

/// What a response says about caching. Unknown directives mean nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directives {
    /// Where the rest comes from.
    pub field: Field,
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache`.
    pub no_cache: Qualified,
    /// `private`.
    pub private: Qualified,
    /// `public`.
    pub public: bool,
    /// `must-revalidate`.
    pub must_revalidate: bool,
    /// `proxy-revalidate`.
    pub proxy_revalidate: bool,
    /// `must-understand`.
    pub must_understand: bool,
    /// `immutable` (RFC 8246).
    pub immutable: bool,
    /// `s-maxage`, in seconds.
    pub s_maxage: Option<u64>,
    /// `max-age`, in seconds.
    pub max_age: Option<u64>,
    /// `stale-while-revalidate`, in seconds (RFC 5861 section 3).
    pub stale_while_revalidate: Option<u64>,
    /// `stale-if-error`, in seconds (RFC 5861 section 4).
    pub stale_if_error: Option<u64>,
}

impl Directives {
    /// Reads what counts for this cache: with RFC 9111 semantics the first usable of Headland-Cache-Control, CDN-Cache-Control and
    /// Cache-Control (RFC 9213 section 2.2), with CloudFront's Cache-Control alone.
    #[must_use]
    pub fn of(semantics: Semantics, headers: &HeaderMap) -> Self {
        if semantics == Semantics::Rfc9111
            && let Some(targeted) = targeted::of(headers)
        {
            return targeted;
        }
        let mut found = Self::default();
        for value in headers.get_all(header::CACHE_CONTROL) {
            elements(value.as_bytes()).for_each(|element| found.take(element));
        }
        found
    }

    fn take(&mut self, element: Element<'_>) {
        if let Some(slot) = self.seconds(element.name) {
            // The first counts (section 4.2.1); one that cannot be read makes the response stale.
            slot.get_or_insert(element.seconds().unwrap_or(0));
        } else if let Some(qualified) = self.qualified(element.name) {
            qualified.add(element.list());
        } else if let Some(flag) = self.flag(element.name) {
            *flag = true;
        }
    }

    /// The directive of this name, if it is one with a number of seconds.
    pub(super) fn seconds(&mut self, name: &[u8]) -> Option<&mut Option<u64>> {
        Some(match name {
            _ if name.eq_ignore_ascii_case(b"max-age") => &mut self.max_age,
            _ if name.eq_ignore_ascii_case(b"s-maxage") => &mut self.s_maxage,
            _ if name.eq_ignore_ascii_case(b"stale-while-revalidate") => &mut self.stale_while_revalidate,
            _ if name.eq_ignore_ascii_case(b"stale-if-error") => &mut self.stale_if_error,
            _ => return None,
        })
    }

    /// The directive of this name, if it is one that may name fields.
    pub(super) fn qualified(&mut self, name: &[u8]) -> Option<&mut Qualified> {
        Some(match name {
            _ if name.eq_ignore_ascii_case(b"no-cache") => &mut self.no_cache,
            _ if name.eq_ignore_ascii_case(b"private") => &mut self.private,
            _ => return None,
        })
    }

    /// The directive of this name, if it is one without a value.
    pub(super) fn flag(&mut self, name: &[u8]) -> Option<&mut bool> {
        Some(match name {
            _ if name.eq_ignore_ascii_case(b"no-store") => &mut self.no_store,
            _ if name.eq_ignore_ascii_case(b"public") => &mut self.public,
            _ if name.eq_ignore_ascii_case(b"must-revalidate") => &mut self.must_revalidate,
            _ if name.eq_ignore_ascii_case(b"proxy-revalidate") => &mut self.proxy_revalidate,
            _ if name.eq_ignore_ascii_case(b"must-understand") => &mut self.must_understand,
            _ if name.eq_ignore_ascii_case(b"immutable") => &mut self.immutable,
            _ => return None,
        })
    }
}

/// What a request's Cache-Control says (RFC 9111 section 5.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestDirectives {
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache`, or `Pragma: no-cache` where there is no Cache-Control (section 5.4).
    pub no_cache: bool,
    /// `only-if-cached`.
    pub only_if_cached: bool,
    /// `max-age`, in seconds; zero if it cannot be read.
    pub max_age: Option<u64>,
    /// `min-fresh`, in seconds.
    pub min_fresh: Option<u64>,
    /// `max-stale`, in seconds; without a value the most there is.
    pub max_stale: Option<u64>,
    /// `stale-if-error`, in seconds (RFC 5861 section 4).
    pub stale_if_error: Option<u64>,
}

impl RequestDirectives {
    /// Reads a request. One without either field, as nearly all are, costs two lookups.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        if headers.contains_key(header::CACHE_CONTROL) {
            for value in headers.get_all(header::CACHE_CONTROL) {
                elements(value.as_bytes()).for_each(|element| found.take(element));
            }
        } else if headers.contains_key(header::PRAGMA) {
            found.no_cache = headers
                .get_all(header::PRAGMA)
                .iter()
                .flat_map(|value| elements(value.as_bytes()))
                .any(|element| element.name.eq_ignore_ascii_case(b"no-cache"));
        }
        found
    }

    /// Of several values the first counts. A wish that cannot be read is none, but for max-age: who sends that does not want what is old.
    fn take(&mut self, element: Element<'_>) {
        let is = |directive: &str| element.name.eq_ignore_ascii_case(directive.as_bytes());
        if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            self.no_cache = true;
        } else if is("only-if-cached") {
            self.only_if_cached = true;
        } else if is("max-age") {
            self.max_age.get_or_insert(element.seconds().unwrap_or(0));
        } else if is("min-fresh") {
            self.min_fresh = self.min_fresh.or_else(|| element.seconds());
        } else if is("max-stale") {
            let any = element.argument.is_none().then_some(DELTA_SECONDS_MAX);
            self.max_stale = self.max_stale.or(any).or_else(|| element.seconds());
        } else if is("stale-if-error") {
            self.stale_if_error = self.stale_if_error.or_else(|| element.seconds());
        }
    }
}

/// Delta-seconds (RFC 9111 section 1.2.2): digits and nothing else. Too many of them mean 2^31.
#[must_use]
pub fn delta_seconds(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| {
        (sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))).min(DELTA_SECONDS_MAX)
    };
    Some(digits.iter().fold(0, add))
}

/// One element of a list of directives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Element<'a> {
    name: &'a [u8],
    /// What follows "=", quotes and all. Empty when it does not follow at once, so that it cannot be read.
    argument: Option<&'a [u8]>,
}

impl<'a> Element<'a> {
    fn of(text: &'a [u8]) -> Self {
        let end = text.iter().position(|b| matches!(b, b'=' | b' ' | b'\t'));
        let (name, argument) = match end {
            None => (text, None),
            Some(end) if text[end] == b'=' => (&text[..end], Some(&text[end + 1..])),
            Some(end) => (&text[..end], Some(&text[end..end])),
        };
        Self { name, argument }
    }

    /// The argument without the quotes, which section 5.2 asks recipients to accept around any; `None` if there is none, or one that
    /// is quoted in a way this cache has no use for.
    fn unquoted(self) -> Option<&'a [u8]> {
        let argument = self.argument?;
        match argument.strip_prefix(b"\"") {
            None => Some(argument),
            Some(rest) => rest.strip_suffix(b"\"").filter(|inside| !inside.contains(&b'\\')),
        }
    }

    fn seconds(self) -> Option<u64> {
        self.unquoted().and_then(delta_seconds)
    }

    /// The list of names in the argument; `None` if there is no argument; empty if it cannot be read.
    fn list(self) -> Option<&'a [u8]> {
        self.argument.map(|_| self.unquoted().unwrap_or_default())
    }
}

/// Whether a message's Cache-Control says `no-transform`, to whomever passes it on (RFC 9110 section 7.7).
#[must_use]
pub fn forbids_transformation(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::CACHE_CONTROL).iter();
    lines
        .flat_map(|line| elements(line.as_bytes()))
        .any(|element| element.name.eq_ignore_ascii_case(b"no-transform"))
}

/// The elements of a comma-separated list. Commas inside quotes do not separate; a quote that is never closed quotes nothing, so that a
/// directive behind it still counts.
fn elements(text: &[u8]) -> impl Iterator<Item = Element<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = element_end(rest);
            let element = trim(&rest[..end]);
            rest = rest.get(end + 1..).unwrap_or_default();
            if !element.is_empty() {
                return Some(Element::of(element));
            }
        }
        None
    })
}

/// Where the first element ends: at a comma outside quotes, or at the end of the text.
fn element_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b',' => return at,
            b'"' => at = quoted_end(text, at).unwrap_or(at + 1),
            _ => at += 1,
        }
    }
    text.len()
}

/// Just behind the quoted string that begins at `open`; `None` if it does not end.
pub(super) fn quoted_end(text: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match text.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// Without the whitespace around it.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let is_space = |b: &u8| matches!(b, b' ' | b'\t');
    let start = text.iter().position(|b| !is_space(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|b| !is_space(b)).map_or(start, |last| last + 1);
    &text[start..end]
}

#[cfg(test)]
mod tests;
