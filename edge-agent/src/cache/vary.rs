//! Vary (RFC 9111 section 4.1): which request headers a stored response was chosen by.

mod normal;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, header};

/// A response that names more headers than this matches no request.
pub const NAMES_MAX: usize = 64;

/// The request headers that a response named in Vary, with the values they had, in normal form. Two are equal when they name the same
/// headers with the same values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vary(Box<[Field]>);

/// A Vary that no request ever matches: `*`, or one that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeverMatches;

/// A header that counts, its value in normal form, and the line it came in where that is another.
pub(super) type Written = (HeaderName, Option<Box<str>>, Option<Box<[u8]>>);

/// One header that counts.
#[derive(Debug, Clone)]
struct Field {
    name: HeaderName,
    /// Its value in normal form; `None` if the request did not have it.
    value: Option<Box<str>>,
    /// The one line it came in, where that is not the normal form: what the same viewer sends again need not be worked on again.
    raw: Option<Box<[u8]>>,
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value
    }
}

impl Eq for Field {}

impl Field {
    fn of(name: HeaderName, request: &HeaderMap) -> Self {
        let value = normal::value(&name, request);
        let mut lines = request.get_all(&name).iter();
        // Copied: a value that came with a request keeps the connection's whole read buffer alive.
        let raw = match (lines.next(), lines.next()) {
            (Some(line), None)
                if value.as_deref().is_some_and(|value| value.as_bytes() != line.as_bytes()) =>
            {
                Some(line.as_bytes().into())
            }
            _ => None,
        };
        Self { name, value: value.map(String::into_boxed_str), raw }
    }

    /// Whether a request has the same value. Costs a comparison where the viewer's line is the one that is stored.
    fn matches(&self, request: &HeaderMap) -> bool {
        let mut lines = request.get_all(&self.name).iter();
        let (first, second) = (lines.next(), lines.next());
        match (&self.value, first) {
            (None, None) => true,
            (None, Some(_)) | (Some(_), None) => false,
            (Some(value), Some(line)) => {
                let same_line = second.is_none()
                    && (value.is_ascii() && value.as_bytes() == line.as_bytes()
                        || self.raw.as_deref() == Some(line.as_bytes()));
                same_line || normal::value(&self.name, request).as_deref() == Some(value)
            }
        }
    }
}

impl Vary {
    /// What a response to this request varies by; `None` if it does not.
    ///
    /// # Errors
    /// When no later request could ever match.
    pub fn of(response: &HeaderMap, request: &HeaderMap) -> Result<Option<Self>, NeverMatches> {
        let mut names: Vec<HeaderName> = Vec::new();
        for line in response.get_all(header::VARY) {
            for name in line.as_bytes().split(|&b| b == b',').map(<[u8]>::trim_ascii) {
                if name.is_empty() {
                    continue;
                }
                // "*" is a token, hence a valid header name to the parser, but it is not one.
                let name =
                    HeaderName::from_bytes(name).ok().filter(|n| n.as_str() != "*").ok_or(NeverMatches)?;
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        if names.len() > NAMES_MAX {
            return Err(NeverMatches);
        }
        // In one order, so that the same names in another are the same.
        names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        Ok((!names.is_empty())
            .then(|| Self(names.into_iter().map(|name| Field::of(name, request)).collect())))
    }

    /// The same but for a header by which the key tells requests apart already; `None` if that was all.
    #[must_use]
    pub fn without(self, name: &HeaderName) -> Option<Self> {
        let fields: Box<[Field]> = self.0.into_iter().filter(|field| field.name != *name).collect();
        (!fields.is_empty()).then_some(Self(fields))
    }

    /// The headers that count, each with its value in normal form; `None` is no such header.
    pub fn fields(&self) -> impl Iterator<Item = (&HeaderName, Option<&str>)> {
        self.0.iter().map(|field| (&field.name, field.value.as_deref()))
    }

    /// Bytes of each piece of memory that it is kept in.
    pub(super) fn pieces(&self) -> impl Iterator<Item = usize> {
        let of_one = |field: &Field| {
            let name = field.name.as_str().len();
            [name, field.value.as_ref().map_or(0, |v| v.len()), field.raw.as_ref().map_or(0, |v| v.len())]
        };
        std::iter::once(size_of_val(&*self.0)).chain(self.0.iter().flat_map(of_one))
    }

    /// The headers that count, each with its value in normal form and the line it came in where that is another, to write them down.
    pub(super) fn written(
        &self,
    ) -> impl ExactSizeIterator<Item = (&HeaderName, Option<&[u8]>, Option<&[u8]>)> {
        self.0
            .iter()
            .map(|field| (&field.name, field.value.as_deref().map(str::as_bytes), field.raw.as_deref()))
    }

    /// The same from what was written down; `None` if nothing like it was ever written.
    pub(super) fn from_written(fields: Vec<Written>) -> Option<Self> {
        let sorted = fields.is_sorted_by(|(a, ..), (b, ..)| a.as_str() < b.as_str());
        if fields.is_empty() || fields.len() > NAMES_MAX || !sorted {
            return None;
        }
        Some(Self(fields.into_iter().map(|(name, value, raw)| Field { name, value, raw }).collect()))
    }

    /// Whether a request has the same values.
    #[must_use]
    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|field| field.matches(request))
    }

    /// The headers that count, sorted.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|field| &field.name)
    }

    /// The headers in which a request differs: name, stored value, requested value, both in normal form. `None` is no such header.
    pub fn differences<'a>(
        &'a self,
        request: &'a HeaderMap,
    ) -> impl Iterator<Item = (&'a HeaderName, Option<&'a str>, Option<Cow<'a, str>>)> {
        self.0.iter().filter(|field| !field.matches(request)).map(|field| {
            let requested = normal::value(&field.name, request).map(Cow::Owned);
            (&field.name, field.value.as_deref(), requested)
        })
    }
}

#[cfg(test)]
mod tests;
