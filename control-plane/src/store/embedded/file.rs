//! Opening and creating the file, and saying clearly why it cannot be done.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{Builder, Database, ReadableDatabase};

use super::tables::{ENTRIES, FIRST_REVISION, FORMAT, FORMAT_NOW, NUMBERS, REVISION, number};
use crate::store::StoreError;

/// How much of the file is kept in memory.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Opens the file, or creates it if there is none.
pub(super) fn open_or_create(path: &Path) -> Result<Database, StoreError> {
    match path.try_exists() {
        Ok(true) => open(path),
        Ok(false) => match create(path) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open(path),
            created => created.map_err(|error| failed(format!("create {}: {error}", path.display()))),
        },
        Err(error) => Err(failed(format!("look for {}: {error}", path.display()))),
    }
}

fn open(path: &Path) -> Result<Database, StoreError> {
    let file = fs::metadata(path).map_err(|error| failed(format!("open {}: {error}", path.display())))?;
    if !file.is_file() {
        return Err(failed(format!("{} is not a file", path.display())));
    }
    if file.len() == 0 {
        return Err(failed(format!(
            "{} is empty: restore it from a backup, or remove it to begin with an empty store",
            path.display()
        )));
    }
    let shown = path.display().to_string();
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).set_repair_callback(
        move |session| {
            tracing::info!(path = %shown, progress = session.progress(), "checking the store after a crash");
        },
    );
    // redb checks what it reads, but some of its own doubts are panics, and a damaged file must be an error.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = builder.open(path)?;
        check_format(&database)?;
        Ok::<_, redb::Error>(database)
    }));
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(error)) => Err(unusable(path, &error)),
        Err(_) => Err(damaged(path, "its pages do not fit together")),
    }
}

/// Makes a new store beside its place and then puts it there whole, so that no crash leaves half a store.
fn create(path: &Path) -> Result<Database, io::Error> {
    let unfinished = unfinished_path(path)?;
    let created = create_at(&unfinished).and_then(|database| {
        // Unlike a rename, a link never replaces a store that another process has made meanwhile.
        match fs::hard_link(&unfinished, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // Not every file system has links.
            Err(_) => fs::rename(&unfinished, path)?,
            Ok(()) => {}
        }
        Ok(database)
    });
    // Gone already if it was renamed or never made.
    let _ = fs::remove_file(&unfinished);
    let database = created?;
    File::open(parent(path))?.sync_all()?;
    Ok(database)
}

fn create_at(path: &Path) -> Result<Database, io::Error> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    let initialise = || {
        let database = builder.create(path)?;
        let transaction = database.begin_write()?;
        transaction.open_table(ENTRIES)?;
        let mut numbers = transaction.open_table(NUMBERS)?;
        numbers.insert(FORMAT, FORMAT_NOW)?;
        numbers.insert(REVISION, FIRST_REVISION.0)?;
        drop(numbers);
        transaction.commit()?;
        Ok::<_, redb::Error>(database)
    };
    initialise().map_err(|error| match error {
        redb::Error::Io(error) => error,
        error => io::Error::other(error),
    })
}

fn unfinished_path(path: &Path) -> Result<PathBuf, io::Error> {
    let name = path.file_name().ok_or_else(|| io::Error::other("the path has no file name"))?;
    let mut unfinished = name.to_owned();
    unfinished.push(format!(".unfinished-{}", uuid::Uuid::new_v4()));
    Ok(path.with_file_name(unfinished))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn check_format(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_read()?;
    let numbers = transaction.open_table(NUMBERS)?;
    let format = number(&numbers, FORMAT)?;
    if format != FORMAT_NOW {
        return Err(redb::Error::Corrupted(format!(
            "it has format {format}, this program knows {FORMAT_NOW}"
        )));
    }
    number(&numbers, REVISION)?;
    transaction.open_table(ENTRIES)?;
    Ok(())
}

/// What a redb error means for whoever has to mend it.
pub(super) fn unusable(path: &Path, error: &redb::Error) -> StoreError {
    let shown = path.display();
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => failed(format!(
            "{shown} is held by another control plane: stop it, or give this one its own file"
        )),
        redb::Error::Io(error) if is_about_content(error) => damaged(path, error),
        redb::Error::Io(error) => failed(format!("{shown}: {error}")),
        redb::Error::PreviousIo => failed(format!(
            "{shown}: an earlier disk error; restart the control plane once the disk is in order"
        )),
        redb::Error::UpgradeRequired(version) => {
            failed(format!("{shown} has redb's old file format {version}, which this program cannot read"))
        }
        redb::Error::TableDoesNotExist(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_) => failed(format!("{shown} is not a store of headland's: {error}")),
        error => damaged(path, error),
    }
}

/// Whether the file could be read but is not what it should be.
fn is_about_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn damaged(path: &Path, why: impl std::fmt::Display) -> StoreError {
    failed(format!("{} is damaged, restore it from a backup: {why}", path.display()))
}

fn failed(reason: String) -> StoreError {
    StoreError::Failed { reason }
}
