//! Path patterns: which requests a cache behavior is for.

use std::fmt;

use crate::limits::PATH_PATTERN_CHARS_MAX;

/// A path pattern (CloudFront guide, "Path pattern"): `*` is zero or more of any character including `/`, `?` is exactly
/// one, everything else is itself. Case-sensitive. Matched against the path as the viewer sent it, without the query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern(Box<str>);

/// What is wrong with a path pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidPathPattern {
    /// No characters at all.
    Empty,
    /// More than [`PATH_PATTERN_CHARS_MAX`] characters.
    TooLong,
    /// A character that CloudFront does not allow in a pattern.
    Character(char),
}

impl fmt::Display for InvalidPathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must not be empty; \"*\" matches every path"),
            Self::TooLong => write!(f, "is longer than {PATH_PATTERN_CHARS_MAX} characters"),
            Self::Character(c) => {
                write!(
                    f,
                    "contains {c:?}; allowed are letters, digits and _-.*?$/~\"'@:+&% (encode others as %XX)"
                )
            }
        }
    }
}

impl std::error::Error for InvalidPathPattern {}

impl PathPattern {
    /// The pattern, always with its leading slash unless it begins with a wildcard.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path` (with its leading slash) matches. Linear in the path for each `*`, no recursion.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let (pattern, path) = (self.0.as_bytes(), path.as_bytes());
        let (mut p, mut s) = (0, 0);
        // Where to go on when a character does not fit: after the last `*`, taking one character more.
        let mut retry: Option<(usize, usize)> = None;
        while s < path.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    p += 1;
                    retry = Some((p, s));
                }
                Some(&c) if c == b'?' || c == path[s] => {
                    p += 1;
                    s += 1;
                }
                _ => match &mut retry {
                    Some((after_star, from)) => {
                        *from += 1;
                        (p, s) = (*after_star, *from);
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|&c| c == b'*')
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for PathPattern {
    type Err = InvalidPathPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(InvalidPathPattern::Empty);
        }
        if text.chars().count() > PATH_PATTERN_CHARS_MAX {
            return Err(InvalidPathPattern::TooLong);
        }
        if let Some(c) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"_-.*?$/~\"'@:+&%".contains(*c))
        {
            return Err(InvalidPathPattern::Character(c));
        }
        // "images/*.jpg" and "/images/*.jpg" mean the same. "?" may stand for the slash itself, as "*" may.
        let rooted = text.starts_with(['/', '*', '?']);
        Ok(Self(if rooted { text.into() } else { format!("/{text}").into() }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(pattern: &str, path: &str, expected: bool) {
        let pattern: PathPattern = pattern.parse().expect(pattern);
        assert_eq!(pattern.matches(path), expected, "{pattern} {path}");
    }

    #[test]
    fn wildcards_match_as_cloudfront_documents() {
        check("images/*.jpg", "/images/a.jpg", true);
        check("/images/*.jpg", "/images/deep/er/a.jpg", true);
        check("*.gif", "/a/b.gif", true);
        check("*.gif", "/a/b.GIF", false);
        check("*.gif", "/a/b.gif2", false);
        check("*", "/", true);
        check("/a??.jpg", "/ant.jpg", true);
        check("/a??.jpg", "/at.jpg", false);
        check("/a*b*c", "/aXbYbZc", true);
        check("/a*b*c", "/aXbYbZ", false);
        check("/", "/", true);
        check("/", "/index.html", false);
        check("images/", "/images/", true);
    }

    #[test]
    fn many_stars_do_not_blow_up() {
        let pattern: PathPattern = format!("/{}b", "a*".repeat(100)).parse().expect("pattern");
        assert!(!pattern.matches(&format!("/{}", "a".repeat(8000))));
    }

    #[test]
    fn what_is_not_a_pattern_is_refused() {
        assert_eq!("".parse::<PathPattern>(), Err(InvalidPathPattern::Empty));
        assert_eq!("/a b".parse::<PathPattern>(), Err(InvalidPathPattern::Character(' ')));
        assert_eq!("/[a]".parse::<PathPattern>(), Err(InvalidPathPattern::Character('[')));
        assert_eq!("a".repeat(256).parse::<PathPattern>(), Err(InvalidPathPattern::TooLong));
    }

    /// The obvious definition, for comparison.
    fn matches_slowly(pattern: &[u8], path: &[u8]) -> bool {
        match (pattern.first(), path.first()) {
            (None, None) => true,
            (Some(b'*'), _) => {
                matches_slowly(&pattern[1..], path)
                    || (!path.is_empty() && matches_slowly(pattern, &path[1..]))
            }
            (Some(b'?'), Some(_)) => matches_slowly(&pattern[1..], &path[1..]),
            (Some(a), Some(b)) if a == b => matches_slowly(&pattern[1..], &path[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "/[ab*?]{0,8}", path in "/[ab]{0,10}") {
            let parsed: PathPattern = pattern.parse().expect("pattern");
            prop_assert_eq!(parsed.matches(&path), matches_slowly(pattern.as_bytes(), path.as_bytes()));
        }
    }
}
