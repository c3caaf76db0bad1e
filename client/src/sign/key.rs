//! Private keys, and what is signed with them.

use std::{
    fmt,
    io::{self, Write},
    process::{Command, Stdio},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};

use super::{Hash, SignError};

const RSA_MODULUS_BYTES: usize = 256;

/// A private key that CloudFront knows a use for.
pub(super) struct PrivateKey {
    pair: Pair,
    /// For openssl, which signs what the library does not.
    pem: Vec<u8>,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

impl PrivateKey {
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, SignError> {
        let refused = |reason: &str| SignError::Key(reason.to_owned());
        let der = PrivateKeyDer::from_pem_slice(pem)
            .map_err(|_| refused("it is not the PEM of a private key, as `openssl genpkey` writes it"))?;
        let rsa = match &der {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
            _ => None,
        };
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pair = match (rsa, &der) {
            (Some(rsa), _) if rsa.public_modulus_len() == RSA_MODULUS_BYTES => Pair::Rsa(Box::new(rsa)),
            (Some(_), _) => return Err(refused("it is an RSA key of another size than 2048 bits")),
            (None, PrivateKeyDer::Pkcs1(_)) => return Err(refused("it is no valid RSA key")),
            (None, der) => {
                let pair = EcdsaKeyPair::from_private_key_der(algorithm, der.secret_der());
                let unusable = "it is neither an RSA key of 2048 bits nor an ECDSA key with the curve P-256 (prime256v1)";
                Pair::Ecdsa(Box::new(pair.map_err(|_| refused(unusable))?))
            }
        };
        Ok(Self { pair, pem: pem.to_vec() })
    }

    /// The signature of a text: RSA as PKCS #1 v1.5 has it, ECDSA in ASN.1.
    pub(super) fn sign(&self, text: &[u8], hash: Hash) -> Result<Vec<u8>, SignError> {
        let failed = |_| SignError::Key("it does not sign".to_owned());
        if hash == Hash::Sha1 {
            return openssl(&self.pem, text);
        }
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Pair::Ecdsa(pair) => Ok(pair.sign(&SystemRandom::new(), text).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

/// Signs with SHA-1. The library that everything else here is signed with makes no such signatures any more, it only verifies them.
fn openssl(pem: &[u8], text: &[u8]) -> Result<Vec<u8>, SignError> {
    let failed = |e: io::Error| {
        SignError::Key(format!(
            "run openssl, which signs with SHA-1: {e}; install it, or sign with SHA-256 (--hash-algorithm sha256)"
        ))
    };
    // A private key belongs into a file that nobody else can read, and only as long as it is needed.
    let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
    file.write_all(pem).map_err(failed)?;
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha1", "-sign"])
        .arg(file.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(failed(io::Error::other(said.lines().next().unwrap_or("it failed").to_owned())))
        }
    }
}
