//! Certificates of an authority that exists for one test, made with the `openssl` command.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// An authority with its folder.
pub(crate) struct Authority {
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        openssl(
            folder.path(),
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
        );
        Self { folder }
    }

    /// Makes a certificate and a key called after `name`. `names` is an X.509 subject alternative name.
    pub(crate) fn issue(&self, name: &str, names: &str) -> (PathBuf, PathBuf) {
        let folder = self.folder.path();
        fs::write(folder.join("extensions"), format!("basicConstraints=CA:FALSE\nsubjectAltName={names}\n"))
            .unwrap();
        openssl(
            folder,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
            ),
        );
        openssl(
            folder,
            &format!(
                "x509 -req -days 2 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions -out {name}.pem"
            ),
        );
        (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")))
    }

    /// The authority's own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.file("ca.pem")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn openssl(folder: &Path, args: &str) {
    let output = Command::new("openssl")
        .current_dir(folder)
        .args(args.split(' '))
        .output()
        .expect("these tests need the openssl command: `apt-get install openssl`");
    assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
}
