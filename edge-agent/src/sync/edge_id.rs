//! The edge's id: chosen once, kept over restarts.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::durable;

const FILE: &str = "edge-id";

/// Why there is no edge id.
#[derive(Debug, thiserror::Error)]
pub enum EdgeIdError {
    /// The file is there but cannot be read.
    #[error("read the edge id from {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file holds something else. Taking a new id silently would leave the old edge behind as one that is gone.
    #[error("read the edge id from {}: it is not a UUID; restore the file, or delete it to become a new edge", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
    },
}

/// The id kept in the data directory; a new one (UUID version 7) if there is none yet.
///
/// If a new one cannot be kept, the edge has it until it stops; the error says why.
pub(crate) fn load_or_create(data_dir: &Path) -> Result<(Uuid, Option<io::Error>), EdgeIdError> {
    let path = data_dir.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => match Uuid::try_parse(text.trim()) {
            Ok(id) if !id.is_nil() => Ok((id, None)),
            _ => Err(EdgeIdError::Corrupt { path }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = Uuid::now_v7();
            let kept = durable::write(data_dir, FILE, &[id.to_string().as_bytes(), b"\n"]);
            Ok((id, kept.err()))
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(EdgeIdError::Corrupt { path }),
        Err(source) => Err(EdgeIdError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("not/yet/there");
        let (id, unkept) = load_or_create(&data_dir).unwrap();
        assert!(unkept.is_none());
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(load_or_create(&data_dir).unwrap().0, id);
    }

    #[test]
    fn a_corrupt_file_is_an_error_that_names_it() {
        for content in [&b""[..], b"fra1", b"\xff\xfe", b"00000000-0000-0000-0000-000000000000"] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(FILE), content).unwrap();
            let error = load_or_create(dir.path()).unwrap_err().to_string();
            assert!(error.contains(FILE) && error.contains("delete it"), "{error}");
        }
    }

    #[test]
    fn an_id_that_cannot_be_kept_is_used_until_the_end() {
        // The kernel lets nobody create files there.
        let (id, unkept) = load_or_create(Path::new("/proc/headland")).unwrap();
        assert!(!id.is_nil() && unkept.is_some());
    }
}
