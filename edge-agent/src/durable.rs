//! Writes a file so that after a crash it is there whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Ending of a file that is being written. One that is left over is worth nothing.
pub(crate) const UNFINISHED: &str = "tmp";

/// Creates a directory for this user only, with its parents, if it is not there.
pub(crate) fn create_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Removes a file of this name from the directory. Gone already is fine.
pub(crate) fn remove(dir: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(dir.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts a file of this name in the directory: written aside, synced, renamed into place, the directory synced.
pub(crate) fn write(dir: &Path, name: &str, contents: &[&[u8]]) -> io::Result<()> {
    create_dir(dir)?;
    let unfinished = dir.join(format!("{name}.{UNFINISHED}"));
    let written = write_synced(&unfinished, contents)
        .and_then(|()| fs::rename(&unfinished, dir.join(name)))
        .and_then(|()| File::open(dir)?.sync_all());
    if written.is_err() {
        // On a full disk this makes room for the next try.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn write_synced(path: &Path, contents: &[&[u8]]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    for part in contents {
        file.write_all(part)?;
    }
    file.sync_all()
}
