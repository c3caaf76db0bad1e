//! What went wrong, as a person needs it: a message, a hint that says what to do next, a stable code, an exit code.
//!
//! This is the only file that chooses exit codes and that reads gRPC codes.

mod decode;

pub(crate) use decode::{is_transient, was_not_done};

use std::fmt;

/// What kind of failure it was. Decides the exit code and, unless the control plane gave a reason of its own, the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command was called wrongly.
    Usage,
    /// A spec cannot be read.
    Spec,
    /// The command's own settings are wrong.
    Settings,
    /// The control plane refused the content of a request; see the violations.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// A name or reference is taken.
    AlreadyExists,
    /// The thing was changed since it was read.
    StaleEtag,
    /// The thing is not in a state that allows this.
    Precondition,
    /// No connection could be made: nothing was sent.
    Unreachable,
    /// The control plane cannot answer at present.
    Unavailable,
    /// The answer did not come in time.
    Deadline,
    /// What was waited for did not happen in time.
    WaitTimeout,
    /// There is something to do, and the question was whether there is.
    Pending,
    /// The control plane does not allow it.
    Denied,
    /// Client and control plane do not understand each other.
    Unsupported,
    /// Reading or writing on this machine failed.
    Io,
    /// A fault in the control plane or here.
    Internal,
}

/// Every kind, for tables and tests.
pub const KINDS: &[ErrorKind] = &[
    ErrorKind::Usage,
    ErrorKind::Spec,
    ErrorKind::Settings,
    ErrorKind::Invalid,
    ErrorKind::NotFound,
    ErrorKind::AlreadyExists,
    ErrorKind::StaleEtag,
    ErrorKind::Precondition,
    ErrorKind::Unreachable,
    ErrorKind::Unavailable,
    ErrorKind::Deadline,
    ErrorKind::WaitTimeout,
    ErrorKind::Pending,
    ErrorKind::Denied,
    ErrorKind::Unsupported,
    ErrorKind::Io,
    ErrorKind::Internal,
];

impl ErrorKind {
    /// The stable code: a heading in docs/errors.md.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Spec => "spec-invalid",
            Self::Settings => "settings-invalid",
            Self::Invalid => "invalid-argument",
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::StaleEtag => "stale-etag",
            Self::Precondition => "failed-precondition",
            Self::Unreachable => "unreachable",
            Self::Unavailable => "unavailable",
            Self::Deadline => "deadline-exceeded",
            Self::WaitTimeout => "wait-timeout",
            Self::Pending => "changes-pending",
            Self::Denied => "permission-denied",
            Self::Unsupported => "unsupported",
            Self::Io => "io",
            Self::Internal => "internal",
        }
    }

    /// What the process exits with: 1 a failure that is nobody's fault here, 2 wrong input, 3 not found, 4 a conflict
    /// with what is there, 5 no answer (try again), 6 waited in vain. Where 2 says that there is something to do, errors are 1: see
    /// [`Error::in_dry_run`].
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Denied | Self::Unsupported | Self::Io | Self::Internal => 1,
            Self::Usage | Self::Spec | Self::Settings | Self::Invalid | Self::Pending => 2,
            Self::NotFound => 3,
            Self::AlreadyExists | Self::StaleEtag | Self::Precondition => 4,
            Self::Unreachable | Self::Unavailable | Self::Deadline => 5,
            Self::WaitTimeout => 6,
        }
    }
}

/// One thing that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field: `origins[1].s3.bucket`, or what stands for it in the input at hand: `--alias`.
    pub field: String,
    /// What is wrong and what would be right.
    pub description: String,
    /// Where it is, if that is known: `site.yaml:7:15`.
    pub place: Option<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.description)
    }
}

/// Why something was not done. Displays as a fragment that fits after "failed to".
#[derive(Debug)]
pub struct Error(Box<Parts>);

/// Boxed: results of everything carry it.
#[derive(Debug)]
struct Parts {
    kind: ErrorKind,
    /// Given by the control plane, more exact than the kind's own.
    reason: Option<String>,
    message: String,
    violations: Vec<Violation>,
    snippet: Option<String>,
    hint: Option<String>,
    in_dry_run: bool,
}

impl Error {
    /// A failure. The message is a fragment that fits after "failed to".
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            reason: None,
            message: message.into(),
            violations: Vec::new(),
            snippet: None,
            hint: None,
            in_dry_run: false,
        }))
    }

    /// The same failure with advice on what to do next, in place of what it had.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same failure where exit code 2 says that there is something to do: its exit code is 1, unless it says just that.
    #[must_use]
    pub fn in_dry_run(mut self) -> Self {
        self.0.in_dry_run = true;
        self
    }

    /// The same failure with everything that is wrong with the input.
    #[must_use]
    pub fn with_violations(mut self, violations: Vec<Violation>) -> Self {
        self.0.violations = violations;
        self
    }

    /// The same failure with the part of the input that it is about, ready to be printed.
    #[must_use]
    pub fn with_snippet(mut self, snippet: impl Into<String>) -> Self {
        self.0.snippet = Some(snippet.into());
        self
    }

    /// The same failure with each violation said in the terms of the input at hand.
    #[must_use]
    pub fn map_violations(mut self, map: impl FnMut(Violation) -> Violation) -> Self {
        self.0.violations = std::mem::take(&mut self.0.violations).into_iter().map(map).collect();
        self
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code: a heading in docs/errors.md.
    #[must_use]
    pub fn code(&self) -> &str {
        self.0.reason.as_deref().unwrap_or(self.0.kind.code())
    }

    /// What the process exits with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.0.kind {
            ErrorKind::Pending => self.0.kind.exit_code(),
            _ if self.0.in_dry_run => 1,
            kind => kind.exit_code(),
        }
    }

    /// Everything that is wrong with the input, in its order.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// The part of the input that it is about, several lines.
    #[must_use]
    pub fn snippet(&self) -> Option<&str> {
        self.0.snippet.as_deref()
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_fit_a_heading() {
        let codes: HashSet<_> = KINDS.iter().map(|k| k.code()).collect();
        assert_eq!(codes.len(), KINDS.len());
        for code in codes {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
        }
    }

    #[test]
    fn no_failure_exits_with_success() {
        assert!(KINDS.iter().all(|k| k.exit_code() != 0));
    }

    #[test]
    fn violations_name_place_and_field() {
        let violation = Violation {
            field: "origins[0].id".into(),
            description: "is required".into(),
            place: Some("a.yaml:3:5".into()),
        };
        assert_eq!(violation.to_string(), "a.yaml:3:5: origins[0].id: is required");
    }
}
