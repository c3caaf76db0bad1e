//! Violations: everything that is wrong with an input, each with the path of the field it is in.

use std::{fmt, time::Duration};

use crate::limits::VIOLATIONS_MAX;

/// One thing that is wrong: where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the wire message: `origins[1].s3.bucket`.
    pub field: String,
    /// What is wrong and what would be right, as a sentence fragment in lower case.
    pub description: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}

/// Everything that is wrong with one input; never empty when returned as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Violations {
    list: Vec<Violation>,
    omitted: usize,
}

impl Violations {
    /// The violations, in the order of the fields; at most [`VIOLATIONS_MAX`].
    #[must_use]
    pub fn list(&self) -> &[Violation] {
        &self.list
    }

    /// How many more there were.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// Adds one.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        if self.list.len() < VIOLATIONS_MAX {
            self.list.push(Violation { field: field.into(), description: description.into() });
        } else {
            self.omitted += 1;
        }
    }

    /// Adds all of them to `found`, as those of one field of something larger.
    pub fn prefixed(&self, field: &str, found: &mut Self) {
        for violation in &self.list {
            let path = match violation.field.as_str() {
                "" => field.to_owned(),
                inner => format!("{field}.{inner}"),
            };
            found.add(path, violation.description.clone());
        }
        (0..self.omitted).for_each(|_| found.add(field, "has more violations"));
    }

    /// The value if nothing was found, otherwise the violations.
    ///
    /// # Errors
    /// When anything was added.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.list.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, violation) in self.list.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            violation.fmt(f)?;
        }
        if self.omitted > 0 {
            write!(f, "; and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

/// Where a check is in the message, and where it writes what it finds.
pub(crate) struct Checker<'v> {
    path: String,
    found: &'v mut Violations,
}

impl<'v> Checker<'v> {
    pub(crate) fn new(found: &'v mut Violations) -> Self {
        Self { path: String::new(), found }
    }

    /// The same check, one field further down.
    pub(crate) fn field(&mut self, name: &str) -> Checker<'_> {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Checker { path, found: self.found }
    }

    /// The same check, at one element of a list.
    pub(crate) fn index(&mut self, i: usize) -> Checker<'_> {
        Checker { path: format!("{}[{i}]", self.path), found: self.found }
    }

    /// Something is wrong here.
    pub(crate) fn violation(&mut self, description: impl Into<String>) {
        self.found.add(self.path.clone(), description);
    }

    /// Something is wrong here unless `ok`.
    pub(crate) fn ensure(&mut self, ok: bool, description: impl FnOnce() -> String) {
        if !ok {
            self.violation(description());
        }
    }

    pub(crate) fn chars_max(&mut self, text: &str, max: usize) {
        let n = text.chars().count();
        self.ensure(n <= max, || format!("has {n} characters; at most {max} are allowed"));
    }

    pub(crate) fn count_max(&mut self, n: usize, max: usize) {
        self.ensure(n <= max, || format!("has {n} entries; at most {max} are allowed"));
    }

    /// No control characters: they would end up in logs and terminals.
    pub(crate) fn printable(&mut self, text: &str) {
        self.ensure(!text.chars().any(char::is_control), || {
            "contains control characters; remove them".into()
        });
    }

    /// A duration within a range; `default` when unset, and also after a violation so that the check can go on.
    pub(crate) fn duration(
        &mut self,
        value: Option<&prost_types::Duration>,
        (min, max): (Duration, Duration),
        default: Duration,
    ) -> Duration {
        let Some(value) = value else { return default };
        match Duration::try_from(*value) {
            Ok(d) if d >= min && d <= max => d,
            _ => {
                let (min, max) = (min.as_secs(), max.as_secs());
                self.violation(format!("must be between {min} s and {max} s"));
                default
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_fields_and_elements() {
        let mut found = Violations::default();
        let mut root = Checker::new(&mut found);
        root.field("origins").index(2).field("s3").field("bucket").violation("is missing");
        root.field("comment").violation("is too long");
        assert_eq!(found.to_string(), "origins[2].s3.bucket: is missing; comment: is too long");
        assert!(found.into_result(()).is_err());
    }

    #[test]
    fn the_list_has_a_ceiling_and_the_rest_is_counted() {
        let mut found = Violations::default();
        for i in 0..VIOLATIONS_MAX + 7 {
            found.add(format!("f{i}"), "is wrong");
        }
        assert_eq!(found.list().len(), VIOLATIONS_MAX);
        assert_eq!(found.omitted(), 7);
        assert!(found.to_string().ends_with("and 7 more"));
    }
}
