//! What becomes of each field, and what cannot be read.

use std::fmt;

use serde::Serialize;

/// What becomes of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It means the same here.
    Exact,
    /// It is done, otherwise in what the note says.
    Differs,
    /// It is not done; the note says what happens.
    NotSupported,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Differs => "differs",
            Self::NotSupported => "not supported",
        })
    }
}

/// What becomes of one field of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The file.
    pub file: String,
    /// JSON path of the field: `$.DistributionConfig.Origins.Items[0].DomainName`.
    pub path: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// In what way; empty where it means the same.
    pub note: String,
}

/// Something that cannot be read, or that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// JSON path.
    pub path: String,
    /// What is wrong, and what would be right.
    pub description: String,
}

/// What was found out about the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// File by file.
    pub entries: Vec<Entry>,
    /// Whatever keeps them from being imported.
    pub problems: Vec<Problem>,
}

/// One place in a file.
#[derive(Debug)]
pub(super) struct Place<'r> {
    file: String,
    path: String,
    report: &'r mut Report,
}

impl<'r> Place<'r> {
    /// The whole of a file.
    pub(super) fn new(file: &str, report: &'r mut Report) -> Self {
        Self { file: file.to_owned(), path: "$".to_owned(), report }
    }

    /// A place further down: `.Items[3]`.
    pub(super) fn below(&mut self, path: &str) -> Place<'_> {
        Place { file: self.file.clone(), path: format!("{}{path}", self.path), report: self.report }
    }

    /// A field.
    pub(super) fn field(&mut self, name: &str) -> Place<'_> {
        self.below(&format!(".{name}"))
    }

    fn add(&mut self, outcome: Outcome, note: &str) {
        let (file, path) = (self.file.clone(), self.path.clone());
        self.report.entries.push(Entry { file, path, outcome, note: note.to_owned() });
    }

    /// It means the same here.
    pub(super) fn exact(&mut self) {
        self.add(Outcome::Exact, "");
    }

    /// It is done otherwise.
    pub(super) fn differs(&mut self, note: impl AsRef<str>) {
        self.add(Outcome::Differs, note.as_ref());
    }

    /// It is not done.
    pub(super) fn unsupported(&mut self, note: impl AsRef<str>) {
        self.add(Outcome::NotSupported, note.as_ref());
    }

    /// It cannot be read.
    pub(super) fn problem(&mut self, description: impl Into<String>) {
        let (file, path) = (self.file.clone(), self.path.clone());
        self.report.problems.push(Problem { file, path, description: description.into() });
    }
}
