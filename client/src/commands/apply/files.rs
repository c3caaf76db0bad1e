//! The files: every document in them, or everything that keeps them from being read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use headland::{
    error::{Error, ErrorKind, Violation},
    spec::{documents, kind_of},
};

use crate::commands::{
    source,
    things::{Read, Thing},
};

/// Endings of the names of those files in a folder that are read.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// The documents that can be read, and what is wrong with the others.
pub(super) struct Files {
    pub(super) documents: Vec<Read>,
    pub(super) unreadable: Vec<Violation>,
}

/// Reads all documents of all files. Distributions without a caller reference have the name of their file.
pub(super) fn read(paths: &[PathBuf]) -> Result<Files, Error> {
    let mut files = Files { documents: Vec::new(), unreadable: Vec::new() };
    for path in listed(paths)? {
        let (name, text) = source::text(&path)?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let mut unnamed = 0;
        for document in documents(&text) {
            match kind_of(&name, &document).and_then(|kind| Thing::read(kind, &name, &document)) {
                Ok(mut read) => {
                    unnamed += usize::from(call_after(&mut read.thing, &stem));
                    files.documents.push(read);
                }
                Err(error) => files.unreadable.push(as_violation(&error)),
            }
        }
        if unnamed > 1 {
            let description = format!(
                "{unnamed} distributions in this file have no caller_reference, and cannot all be called {stem:?} after it; give \
                 each one of its own"
            );
            files.unreadable.push(Violation { field: String::new(), description, place: Some(name) });
        }
    }
    Ok(files)
}

/// Gives a distribution that has no caller reference the name of its file. Whether it had none.
fn call_after(thing: &mut Thing, stem: &str) -> bool {
    match thing {
        Thing::Distribution(spec) if spec.caller_reference.is_empty() => {
            stem.clone_into(&mut spec.caller_reference);
            true
        }
        _ => false,
    }
}

/// The files that paths stand for: those in a folder in order of their names.
fn listed(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for path in paths {
        let failed = |e: std::io::Error| Error::new(ErrorKind::Spec, format!("read {}: {e}", path.display()));
        if path == Path::new("-") || !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).map_err(failed)?;
        let mut inside: Vec<PathBuf> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed)?;
        let is_read = |path: &PathBuf| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            path.is_file() && extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
        };
        inside.retain(is_read);
        if inside.is_empty() {
            let message =
                format!("read {}: it has no file that ends in .yaml, .yml or .json", path.display());
            return Err(
                Error::new(ErrorKind::Spec, message).with_hint("headland export --dir writes such files")
            );
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// An error about a document as one of several: the place and field are in its message already.
fn as_violation(error: &Error) -> Violation {
    let message = error.to_string();
    let description = message.strip_prefix("read ").unwrap_or(&message).to_owned();
    Violation { field: String::new(), description, place: None }
}
