//! Keys made by openssl, and what openssl signs with them: URLs and cookies as anybody may make them who reads CloudFront's guide.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

/// What sort of key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Rsa,
    Ecdsa,
}

/// A key pair under the id that a control plane would have given the public key.
pub(super) struct Key {
    pub(super) id: String,
    pub(super) public_pem: String,
    private: PathBuf,
    _dir: tempfile::TempDir,
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl, which scripts/bootstrap.sh test installs");
    child.stdin.take().expect("stdin").write_all(input).expect("write");
    let output = child.wait_with_output().expect("openssl ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

impl Key {
    pub(super) fn new(n: u8, kind: Kind) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let private = dir.path().join("private.pem");
        let file = private.to_str().expect("text");
        let how: &[&str] = match kind {
            Kind::Rsa => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Kind::Ecdsa => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        };
        openssl(&[&["genpkey", "-out", file], how].concat(), b"");
        let public = openssl(&["pkey", "-in", file, "-pubout"], b"");
        let id = format!("00000000-0000-4000-8000-0000000000{n:02}");
        Self { id, public_pem: String::from_utf8(public).expect("PEM"), private, _dir: dir }
    }

    /// Signature, id and hash algorithm, as they stand behind an `Expires` or a `Policy`.
    fn sign(&self, policy: &str, hash: &str) -> Vec<String> {
        let private = self.private.to_str().expect("text");
        let signature = openssl(&["dgst", &format!("-{hash}"), "-sign", private], policy.as_bytes());
        let mut parts = vec![format!("Signature={}", encode(&signature)), format!("Key-Pair-Id={}", self.id)];
        if hash == "sha256" {
            parts.push("Hash-Algorithm=SHA256".into());
        }
        parts
    }

    /// Path and query of a URL that is signed with the canned policy.
    pub(super) fn canned(&self, url: &str, expires: u64, hash: &str) -> String {
        let policy = format!(
            r#"{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}"#
        );
        let path = &url[url.find("://").expect("a scheme") + 3..];
        let path = &path[path.find('/').expect("a path")..];
        with(path, &format!("Expires={expires}&{}", self.sign(&policy, hash).join("&")))
    }

    /// Path and query of a URL that is signed with a policy.
    pub(super) fn custom(&self, path: &str, policy: &str, hash: &str) -> String {
        let parameters = self.sign(policy, hash).join("&");
        with(path, &format!("Policy={}&{parameters}", encode(policy.as_bytes())))
    }

    /// The cookies that stand for a policy, as a Cookie header has them.
    pub(super) fn cookies(&self, policy: &str, hash: &str) -> String {
        let mut parts = vec![format!("Policy={}", encode(policy.as_bytes()))];
        parts.extend(self.sign(policy, hash));
        parts.iter().map(|part| format!("CloudFront-{part}")).collect::<Vec<_>>().join("; ")
    }
}

fn with(path: &str, parameters: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{parameters}")
}

/// As the guide says: `base64 | tr -- '+=/' '-_~'`.
fn encode(bytes: &[u8]) -> String {
    let text = openssl(&["base64", "-A"], bytes);
    let text = String::from_utf8(text).expect("base64");
    text.trim().replace('+', "-").replace('=', "_").replace('/', "~")
}
