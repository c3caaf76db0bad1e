//! Verifying signatures, and remembering which have been.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    digest::{self, Context},
    signature::{
        ECDSA_P256_SHA1_ASN1, ECDSA_P256_SHA256_ASN1, ParsedPublicKey,
        RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    },
};
use headland_proto::model::{KeyAlgorithm, PublicKey};

/// How many signatures are remembered as verified: some 3 MiB.
pub(super) const VERIFIED_MAX: usize = 32_768;

/// What is signed is a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    /// CloudFront's default. To forge a policy for a signature that exists needs a second preimage, which SHA-1 withstands; who lets
    /// strangers choose what is in a policy should use SHA-256, since collisions can be made.
    Sha1,
    Sha256,
}

/// A public key, ready to verify with.
pub(super) struct VerifyingKey {
    sha1: ParsedPublicKey,
    sha256: ParsedPublicKey,
    /// Of the key itself, so that what one key has signed is not taken for another's, whatever their ids.
    fingerprint: [u8; 32],
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").finish_non_exhaustive()
    }
}

impl VerifyingKey {
    pub(super) fn new(key: &PublicKey) -> Option<Self> {
        let algorithms: [&'static dyn VerificationAlgorithm; 2] = match key.algorithm {
            KeyAlgorithm::Rsa2048 => {
                [&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, &RSA_PKCS1_2048_8192_SHA256]
            }
            KeyAlgorithm::EcdsaP256 => [&ECDSA_P256_SHA1_ASN1, &ECDSA_P256_SHA256_ASN1],
        };
        let [sha1, sha256] = algorithms.map(|algorithm| UnparsedPublicKey::new(algorithm, &key.spki).parse());
        let fingerprint = sha256_of(&[&key.spki]);
        Some(Self { sha1: sha1.ok()?, sha256: sha256.ok()?, fingerprint })
    }

    fn verify(&self, hash: Hash, text: &[u8], signature: &[u8]) -> bool {
        let key = match hash {
            Hash::Sha1 => &self.sha1,
            Hash::Sha256 => &self.sha256,
        };
        key.verify_sig(text, signature).is_ok()
    }
}

/// Signatures that have been verified, so that a hit does not cost a verification. Only what is good is remembered, so nobody can push
/// it out with what is not.
#[derive(Clone)]
pub struct Verified(Arc<quick_cache::sync::Cache<[u8; 32], ()>>);

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("len", &self.0.len()).finish()
    }
}

impl Default for Verified {
    fn default() -> Self {
        Self(Arc::new(quick_cache::sync::Cache::new(VERIFIED_MAX)))
    }
}

impl Verified {
    /// Whether a signature is the key's over a text.
    pub(super) fn contains_or_verify(
        &self,
        key: &VerifyingKey,
        hash: Hash,
        text: &[u8],
        signature: &[u8],
    ) -> bool {
        let tag: &[u8] = match hash {
            Hash::Sha1 => b"1",
            Hash::Sha256 => b"2",
        };
        let length = (text.len() as u64).to_le_bytes();
        let name = sha256_of(&[&key.fingerprint, tag, &length, text, signature]);
        if self.0.get(&name).is_some() {
            return true;
        }
        let is_good = key.verify(hash, text, signature);
        if is_good {
            self.0.insert(name, ());
        }
        is_good
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn sha256_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    // SHA-256 has 32 bytes.
    out.copy_from_slice(context.finish().as_ref());
    out
}
