//! The certificates that this edge shows to origins: files of its own, which are read again when they have changed.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

/// How often the files of one certificate are looked at, at most.
const LOOKED_AT_AFTER: Duration = Duration::from_secs(1);

/// All certificates in one directory, by name.
#[derive(Debug)]
pub(super) struct ClientCertificates {
    directory: Option<PathBuf>,
    provider: Arc<CryptoProvider>,
    loaded: Mutex<HashMap<String, Loaded>>,
}

#[derive(Debug)]
struct Loaded {
    certificate: Arc<CertifiedKey>,
    stamp: [Stamp; 2],
    looked_at: Instant,
}

/// What changes when a file does.
type Stamp = (u64, u64, i64, i64);

impl ClientCertificates {
    pub(super) fn new(directory: Option<PathBuf>, provider: Arc<CryptoProvider>) -> Self {
        Self { directory, provider, loaded: Mutex::default() }
    }

    /// The certificate of this name, as it is now. One that cannot be read any more stays what it was.
    ///
    /// # Errors
    /// Says which file is missing, or wrong in what.
    pub(super) fn get(&self, name: &str) -> Result<Arc<CertifiedKey>, String> {
        let directory = self.directory.as_ref().ok_or_else(|| {
            format!("show the client certificate {name:?}: this edge has no directory of them; set origin.client_certificates")
        })?;
        let files = ["crt", "key"].map(|ending| directory.join(format!("{name}.{ending}")));
        let (mut all, now) = (self.loaded.lock(), Instant::now());
        let old = all.get_mut(name);
        if let Some(old) = &old
            && now.duration_since(old.looked_at) < LOOKED_AT_AFTER
        {
            return Ok(Arc::clone(&old.certificate));
        }
        let loaded = stamp(&files).and_then(|stamp| match &old {
            Some(old) if old.stamp == stamp => Ok((Arc::clone(&old.certificate), stamp)),
            _ => Ok((load(&files, &self.provider)?, stamp)),
        });
        match (loaded, old) {
            (Ok((certificate, stamp)), _) => {
                let loaded = Loaded { certificate: Arc::clone(&certificate), stamp, looked_at: now };
                all.insert(name.to_owned(), loaded);
                Ok(certificate)
            }
            (Err(reason), Some(old)) => {
                tracing::warn!(
                    name,
                    reason,
                    "failed to read a client certificate again; the old one is used"
                );
                old.looked_at = now;
                Ok(Arc::clone(&old.certificate))
            }
            (Err(reason), None) => Err(format!("show the client certificate {name:?}: {reason}")),
        }
    }
}

fn stamp(files: &[PathBuf; 2]) -> Result<[Stamp; 2], String> {
    let one = |path: &Path| {
        let of = |found: fs::Metadata| (found.ino(), found.len(), found.mtime(), found.mtime_nsec());
        fs::metadata(path).map(of).map_err(|error| format!("{}: {error}", path.display()))
    };
    Ok([one(&files[0])?, one(&files[1])?])
}

fn load([certificate, key]: &[PathBuf; 2], provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, String> {
    let wrong = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|error| wrong(certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong(certificate, &"holds no certificate in PEM"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let certified = CertifiedKey::from_der(chain, private, provider).map_err(|error| wrong(key, &error))?;
    Ok(Arc::new(certified))
}
