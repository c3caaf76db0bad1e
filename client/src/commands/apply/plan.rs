//! What has to be done, in which order: a function of what files say and of what is there.

use std::fmt;

use headland::{
    error::{Error, ErrorKind},
    spec::DocumentKind,
};
use serde::Serialize;

use super::{
    check::check,
    diff::{Field, diff},
    files::Files,
};
use crate::{
    commands::{
        Session,
        things::{APPLIED_BY, Everything, Existing, Read, Thing},
    },
    output::Table,
};

/// What is done with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    Create,
    Change,
    Delete,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    Pending,
    Done,
    Failed,
}

/// One step.
#[derive(Serialize)]
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) kind: DocumentKind,
    /// Name or caller reference.
    pub(super) name: String,
    /// Empty until it is created.
    pub(super) id: String,
    pub(super) fields: Vec<Field>,
    pub(super) outcome: Outcome,
    #[serde(skip)]
    pub(super) wanted: Option<Read>,
    #[serde(skip)]
    pub(super) there: Option<Existing>,
}

/// All steps, in the order in which they are done.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
}

/// Makes the plan.
///
/// # Errors
/// Everything that is wrong with any of the files.
pub(super) fn plan(files: Files, everything: &Everything, set: &str, prune: bool) -> Result<Plan, Error> {
    let Files { documents, unreadable } = files;
    let wrong = check(&documents, unreadable, everything);
    if !wrong.is_empty() {
        let message = format!("accept the files: {} wrong", things(wrong.len()));
        return Err(Error::new(ErrorKind::Spec, message)
            .with_violations(wrong)
            .with_hint("nothing was done; correct what is listed and apply again"));
    }
    let mut steps = Vec::new();
    let mut kept: Vec<(DocumentKind, String)> = Vec::new();
    for mut read in documents {
        let (kind, name) = (read.thing.kind(), read.thing.identity().to_owned());
        let there = everything.find(kind, &name);
        // The tag says who created it, whatever a file says of that.
        let maker = match there {
            Some(there) => there.thing.tags().get(APPLIED_BY).cloned(),
            None => Some(set.to_owned()),
        };
        read.thing.tags_mut().remove(APPLIED_BY);
        read.thing.tags_mut().extend(maker.map(|maker| (APPLIED_BY.to_owned(), maker)));
        read.thing = read.thing.with_names(&everything.names);
        let fields = match there {
            Some(there) => diff(&value(&there.thing)?, &value(&read.thing)?),
            None => Vec::new(),
        };
        kept.push((kind, name.clone()));
        let (action, id) = match there {
            None => (Action::Create, String::new()),
            Some(_) if fields.is_empty() => continue,
            Some(there) => (Action::Change, there.id.clone()),
        };
        let (wanted, there, outcome) = (Some(read), there.cloned(), Outcome::Pending);
        steps.push(Step { action, kind, name, id, fields, outcome, wanted, there });
    }
    if prune {
        let gone = everything.existing.iter().filter(|there| {
            let name = (there.thing.kind(), there.thing.identity().to_owned());
            there.thing.tags().get(APPLIED_BY).is_some_and(|by| by == set) && !kept.contains(&name)
        });
        steps.extend(gone.map(|there| Step {
            action: Action::Delete,
            kind: there.thing.kind(),
            name: there.thing.identity().to_owned(),
            id: there.id.clone(),
            fields: Vec::new(),
            outcome: Outcome::Pending,
            wanted: None,
            there: Some(there.clone()),
        }));
    }
    order(&mut steps);
    Ok(Plan { steps })
}

/// Policies before the distributions that refer to them; who gives up a host name before who takes it; what is deleted last, and then
/// policies after the distributions that referred to them.
fn order(steps: &mut [Step]) {
    let taken: Vec<String> =
        steps.iter().flat_map(|step| aliases(step.wanted.as_ref().map(|read| &read.thing))).collect();
    steps.sort_by_key(|step| {
        let had = aliases(step.there.as_ref().map(|there| &there.thing));
        let has = aliases(step.wanted.as_ref().map(|read| &read.thing));
        let gives_up = had.iter().any(|name| !has.contains(name) && taken.contains(name));
        match (step.action, step.kind) {
            (Action::Create | Action::Change, DocumentKind::Distribution) => {
                (if gives_up { 1 } else { 3 }, None)
            }
            (Action::Delete, DocumentKind::Distribution) => (if gives_up { 2 } else { 4 }, None),
            (Action::Create | Action::Change, kind) => (0, Some(kind)),
            // A key group refers to public keys.
            (Action::Delete, DocumentKind::PublicKey) => (6, None),
            (Action::Delete, kind) => (5, Some(kind)),
        }
    });
}

fn aliases(thing: Option<&Thing>) -> Vec<String> {
    match thing {
        Some(Thing::Distribution(spec)) => {
            spec.aliases.iter().map(|name| name.to_ascii_lowercase()).collect()
        }
        _ => Vec::new(),
    }
}

fn value(thing: &Thing) -> Result<serde_json::Value, Error> {
    serde_json::to_value(thing)
        .map_err(|e| Error::new(ErrorKind::Internal, format!("compare {}: {e}", thing.identity())))
}

fn things(count: usize) -> String {
    if count == 1 { "1 thing is".to_owned() } else { format!("{count} things are") }
}

impl Plan {
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// "1 to create, 2 to change, 0 to delete".
    pub(super) fn summary(&self) -> String {
        let count = |action| self.steps.iter().filter(|step| step.action == action).count();
        format!(
            "{} to create, {} to change, {} to delete",
            count(Action::Create),
            count(Action::Change),
            count(Action::Delete)
        )
    }

    /// For people: every step, with what changes, and how many there are.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for step in &self.steps {
            lines.push(step.to_string());
            lines.extend(step.fields.iter().map(|field| format!("    {field}")));
        }
        lines.push(self.summary());
        lines
    }

    /// Writes the steps as data.
    pub(super) fn print(&self, session: &mut Session<'_>) -> Result<(), Error> {
        session.output.data(session.settings.output.0, &self.steps, || {
            let mut table = Table::of_things(&["ACTION", "KIND", "NAME", "ID", "OUTCOME"]);
            for step in &self.steps {
                table.row(&[&step.action, &step.kind, &step.name, &step.id, &step.outcome]);
            }
            table
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Delete => "delete",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for Step {
    /// "create cache-policy images".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.action, self.kind, self.name)?;
        if self.id.is_empty() { Ok(()) } else { write!(f, " ({})", self.id) }
    }
}
