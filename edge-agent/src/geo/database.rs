//! One database file: read whole, checked whole, and replaced by what its file has become.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwapOption;
use maxminddb::{LookupResult, MaxMindDbError, Reader};
use parking_lot::Mutex;
use serde::de::IgnoredAny;

use crate::error_chain::ErrorChain;

/// Size of a database, all of which is in memory. The largest in use have some hundred megabytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A database that may not be there, or not be one.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    reader: ArcSwapOption<Reader<Vec<u8>>>,
    /// What the file was like when it was last looked at.
    seen: Mutex<Option<Seen>>,
    failures: AtomicU64,
}

/// What tells a file from what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Missing,
    File { inode: u64, bytes: u64, modified: (i64, i64) },
}

/// What is to be seen of a database from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Whether there is one in force.
    pub loaded: bool,
    /// When it was built, in seconds since 1970; 0 if there is none.
    pub built: u64,
    /// How often it could not be read, or was none, since the start.
    pub failures: u64,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("read the file")]
    Read(#[from] io::Error),
    #[error("read more than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("understand it")]
    Malformed(#[from] MaxMindDbError),
}

impl Database {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, reader: ArcSwapOption::empty(), seen: Mutex::default(), failures: AtomicU64::default() }
    }

    /// Reads the file if it is another than before.
    pub(super) fn refresh(&self) {
        let mut seen = self.seen.lock();
        let now = look(&self.path);
        if seen.replace(now) == Some(now) {
            return;
        }
        let path = self.path.display();
        match load(&self.path) {
            Ok(reader) => {
                let metadata = reader.metadata();
                let (kind, built) = (&metadata.database_type, metadata.build_epoch);
                tracing::info!(%path, kind, built, "read a database of addresses");
                self.reader.store(Some(Arc::new(reader)));
            }
            Err(error) => {
                self.failures.fetch_add(1, Relaxed);
                let error = ErrorChain(&error);
                match self.reader.load().is_some() {
                    true => {
                        tracing::error!(%path, %error, "failed to read a database of addresses; the one before it counts")
                    }
                    false => {
                        tracing::error!(%path, %error, "failed to read a database of addresses; nobody's place is known")
                    }
                }
            }
        }
    }

    pub(super) fn figures(&self) -> Figures {
        let reader = self.reader.load();
        Figures {
            loaded: reader.is_some(),
            built: reader.as_ref().map_or(0, |reader| reader.metadata().build_epoch),
            failures: self.failures.load(Relaxed),
        }
    }

    /// What it says of an address; `None` if it has nothing.
    pub(super) fn look_up<T>(
        &self,
        address: IpAddr,
        tell: impl FnOnce(&LookupResult<'_, Vec<u8>>) -> T,
    ) -> Option<T> {
        let reader = self.reader.load();
        let found = reader.as_ref()?.lookup(address.to_canonical()).ok()?;
        found.has_data().then(|| tell(&found))
    }
}

fn look(path: &Path) -> Seen {
    match fs::metadata(path) {
        Ok(file) => {
            Seen::File { inode: file.ino(), bytes: file.len(), modified: (file.mtime(), file.mtime_nsec()) }
        }
        Err(_) => Seen::Missing,
    }
}

/// Reads a file to memory, where nobody can change it, and asks it about an address here and there: what stands in the middle of the file
/// is not looked at otherwise. (Every part of it would be too much: what is wrong in the description of a database in wide use is no
/// reason to do without it.)
fn load(path: &Path) -> Result<Reader<Vec<u8>>, LoadError> {
    let file = File::open(path)?;
    let mut bytes =
        Vec::with_capacity(usize::try_from(file.metadata()?.len().min(FILE_BYTES_MAX)).unwrap_or(0));
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(LoadError::TooLarge);
    }
    let reader = Reader::from_source(bytes)?;
    for first in u8::MIN..=u8::MAX {
        let v6 = IpAddr::from([0x2000 | u16::from(first), 0, 0, 0, 0, 0, 0, 0]);
        let has_v6 = reader.metadata().ip_version == 6;
        for address in [Some(IpAddr::from([first, 0, 0, 1])), has_v6.then_some(v6)].into_iter().flatten() {
            reader.lookup(address)?.decode::<IgnoredAny>()?;
        }
    }
    Ok(reader)
}
