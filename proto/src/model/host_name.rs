//! Host names: the names viewers ask for, canonical so that equal names compare equal.

use std::{fmt, net::Ipv6Addr};

use crate::limits::{HOST_LABEL_CHARS_MAX, HOST_NAME_CHARS_MAX};

/// A host name without port, in lower case, without a trailing dot: `img.example.com`, `127.0.0.1`, `[::1]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Box<str>);

/// What is wrong with a host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidHostName {
    /// No characters at all.
    Empty,
    /// More than [`HOST_NAME_CHARS_MAX`] characters.
    TooLong,
    /// A label is empty or longer than [`HOST_LABEL_CHARS_MAX`].
    Label,
    /// A character other than a-z, 0-9, "-", "_" and ".", or a label that begins or ends with "-".
    Character,
    /// In brackets, but not an IPv6 address.
    Ipv6,
    /// A wildcard that is not the whole leftmost label, or has no domain below it.
    Wildcard,
}

impl fmt::Display for InvalidHostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must not be empty"),
            Self::TooLong => write!(f, "is longer than {HOST_NAME_CHARS_MAX} characters"),
            Self::Label => {
                write!(f, "has a label that is empty or longer than {HOST_LABEL_CHARS_MAX} characters")
            }
            Self::Character => f.write_str(
                "is not a host name: use letters, digits, \"-\" and \".\" (no scheme, port or path; \
                 international names in their xn-- form)",
            ),
            Self::Ipv6 => f.write_str("is not an IPv6 address in brackets"),
            Self::Wildcard => {
                f.write_str("may have a wildcard only as its whole leftmost label: \"*.example.com\"")
            }
        }
    }
}

impl std::error::Error for InvalidHostName {}

impl HostName {
    /// The canonical name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for HostName {
    type Err = InvalidHostName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(inner) = text.strip_prefix('[') {
            let address = inner.strip_suffix(']').and_then(|a| a.parse::<Ipv6Addr>().ok());
            return address.map(|a| Self(format!("[{a}]").into())).ok_or(InvalidHostName::Ipv6);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(InvalidHostName::Empty);
        }
        if name.len() > HOST_NAME_CHARS_MAX {
            return Err(InvalidHostName::TooLong);
        }
        for label in name.split('.') {
            if label.is_empty() || label.len() > HOST_LABEL_CHARS_MAX {
                return Err(InvalidHostName::Label);
            }
            let legal = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if !legal || label.starts_with('-') || label.ends_with('-') {
                return Err(InvalidHostName::Character);
            }
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }
}

/// A name a distribution claims: one host, or every host below a domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// Exactly this host.
    Exact(HostName),
    /// `*.domain`: every host below the domain, at any depth, that nobody claims more exactly. Not the domain itself.
    Below(HostName),
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl std::str::FromStr for HostPattern {
    type Err = InvalidHostName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(domain) = text.strip_prefix("*.") {
            let domain: HostName = domain.parse().map_err(|_| InvalidHostName::Wildcard)?;
            return if domain.as_str().starts_with('[') {
                Err(InvalidHostName::Wildcard)
            } else {
                Ok(Self::Below(domain))
            };
        }
        if text.contains('*') { Err(InvalidHostName::Wildcard) } else { text.parse().map(Self::Exact) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, InvalidHostName>) {
        let actual = text.parse::<HostPattern>().map(|p| p.to_string());
        assert_eq!(actual, expected.map(str::to_owned), "{text:?}");
    }

    #[test]
    fn names_are_canonical() {
        check("Img.Example.COM", Ok("img.example.com"));
        check("img.example.com.", Ok("img.example.com"));
        check("localhost", Ok("localhost"));
        check("127.0.0.1", Ok("127.0.0.1"));
        check("[0:0::1]", Ok("[::1]"));
        check("*.Example.com", Ok("*.example.com"));
        check("a_b.example.com", Ok("a_b.example.com"));
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        check("", Err(InvalidHostName::Empty));
        check(".", Err(InvalidHostName::Empty));
        check("a..b", Err(InvalidHostName::Label));
        check(&"a".repeat(64), Err(InvalidHostName::Label));
        check(&vec!["a".repeat(60); 5].join("."), Err(InvalidHostName::TooLong));
        check("http://example.com", Err(InvalidHostName::Character));
        check("example.com:80", Err(InvalidHostName::Character));
        check("-a.example.com", Err(InvalidHostName::Character));
        check("bücher.example", Err(InvalidHostName::Character));
        check("[::g]", Err(InvalidHostName::Ipv6));
        for text in ["*", "*.", "a.*.example.com", "a*.example.com", "*.*.example.com", "*.[::1]"] {
            check(text, Err(InvalidHostName::Wildcard));
        }
    }
}
