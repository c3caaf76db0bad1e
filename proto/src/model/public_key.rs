//! Public keys: what signatures of signed URLs and cookies are verified with.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls_pki_types::pem::{PemObject as _, SectionKind};

use super::violation::Checker;
use crate::{limits::PUBLIC_KEY_PEM_CHARS_MAX, v1};

/// What to do about a text that holds no usable key.
const WANTED: &str = "needed is one section BEGIN PUBLIC KEY, as `openssl pkey -in private.pem -pubout` prints it, \
                      of RSA with 2048 bits or ECDSA with the curve P-256 (prime256v1)";

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSA, PKCS #1 v1.5, 2,048 bits.
    Rsa2048,
    /// ECDSA with the curve P-256.
    EcdsaP256,
}

/// A checked public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// What it is for.
    pub algorithm: KeyAlgorithm,
    /// The key: a SubjectPublicKeyInfo (RFC 5280 section 4.1), in DER.
    pub spki: Vec<u8>,
}

/// Checks all but name and comment.
pub(super) fn check(wire: &v1::PublicKeyConfig, c: &mut Checker<'_>) -> Option<PublicKey> {
    let mut field = c.field("public_key_pem");
    let text = wire.public_key_pem.as_str();
    if text.is_empty() {
        field.violation(format!("is required: {WANTED}"));
        return None;
    }
    if text.len() > PUBLIC_KEY_PEM_CHARS_MAX {
        field.chars_max(text, PUBLIC_KEY_PEM_CHARS_MAX);
        return None;
    }
    read(text).map_err(|why| field.violation(format!("{why}; {WANTED}"))).ok()
}

fn read(text: &str) -> Result<PublicKey, &'static str> {
    // Whatever else is in there, a private key has been given away with it.
    if text.contains("PRIVATE KEY") {
        return Err(
            "holds a private key, which must stay with whoever signs: make a new one, and give its public key alone",
        );
    }
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let spki = match sections.as_deref() {
        Ok([(SectionKind::PublicKey, der)]) => der.clone(),
        Ok([_, _, ..]) => return Err("holds more than one key"),
        _ => return Err("is not the PEM of a public key"),
    };
    let algorithm = algorithm_of(&spki)?;
    let verifying: &'static dyn VerificationAlgorithm = match algorithm {
        KeyAlgorithm::Rsa2048 => &RSA_PKCS1_2048_8192_SHA256,
        KeyAlgorithm::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
    };
    match verifying_key(verifying, &spki) {
        true => Ok(PublicKey { algorithm, spki }),
        false => Err("is damaged: it is no valid key"),
    }
}

fn verifying_key(algorithm: &'static dyn VerificationAlgorithm, spki: &[u8]) -> bool {
    UnparsedPublicKey::new(algorithm, spki).parse().is_ok()
}

/// AlgorithmIdentifier of rsaEncryption (RFC 3279 section 2.3.1).
const RSA: &[u8] = &[0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
/// AlgorithmIdentifier of id-ecPublicKey with secp256r1 (RFC 5480 section 2.1.1).
const EC_P256: &[u8] =
    &[0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// What begins with this is an elliptic curve, or something else that its parameters tell.
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 3;
const INTEGER: u8 = 2;
const RSA_BITS: usize = 2048;

/// Reads as much of a SubjectPublicKeyInfo as tells what it is for.
fn algorithm_of(spki: &[u8]) -> Result<KeyAlgorithm, &'static str> {
    let damaged = "is damaged: it is no SubjectPublicKeyInfo";
    let (inside, _) = element(spki, SEQUENCE).filter(|(_, rest)| rest.is_empty()).ok_or(damaged)?;
    if inside.starts_with(EC_P256) {
        return Ok(KeyAlgorithm::EcdsaP256);
    }
    let Some(key) = inside.strip_prefix(RSA) else {
        return Err("is of an algorithm or curve that is not supported");
    };
    let (bits, _) = element(key, BIT_STRING).ok_or(damaged)?;
    // The first byte counts unused bits, of which there are none.
    let (numbers, _) = bits.strip_prefix(&[0]).and_then(|key| element(key, SEQUENCE)).ok_or(damaged)?;
    let (modulus, _) = element(numbers, INTEGER).ok_or(damaged)?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let leading = modulus.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    match (modulus.len() - zeros) * 8 - leading {
        RSA_BITS => Ok(KeyAlgorithm::Rsa2048),
        _ => Err("is an RSA key of another size than 2048 bits"),
    }
}

/// The content of the element that `der` begins with, if it has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Keys that are allowed are shorter than 64 KiB.
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    (found == tag && rest.len() >= length).then(|| rest.split_at(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::violation::Violations;

    // Made with openssl, as docs/signed-urls.md says; nobody has the private keys any more.
    const RSA_2048: &str = include_str!("public_key/rsa2048.pem");
    const RSA_3072: &str = include_str!("public_key/rsa3072.pem");
    const P256: &str = include_str!("public_key/p256.pem");
    const P384: &str = include_str!("public_key/p384.pem");
    const ED25519: &str = include_str!("public_key/ed25519.pem");

    fn check(pem: &str, expected: Result<KeyAlgorithm, &str>) {
        let wire = v1::PublicKeyConfig { public_key_pem: pem.to_owned(), ..Default::default() };
        let mut found = Violations::default();
        let key = super::check(&wire, &mut Checker::new(&mut found));
        match (found.into_result(key), expected) {
            (Ok(Some(key)), Ok(algorithm)) => assert_eq!(key.algorithm, algorithm),
            (Err(found), Err(word)) => {
                let [violation] = found.list() else { panic!("{found}") };
                assert_eq!(violation.field, "public_key_pem");
                assert!(violation.description.contains(word), "{violation:?}, not {word}");
            }
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn what_cloudfront_takes_is_taken_and_nothing_else() {
        check(RSA_2048, Ok(KeyAlgorithm::Rsa2048));
        check(P256, Ok(KeyAlgorithm::EcdsaP256));
        check(&format!("my key\n{P256}\n\n"), Ok(KeyAlgorithm::EcdsaP256));
        check(RSA_3072, Err("another size"));
        check(P384, Err("not supported"));
        check(ED25519, Err("not supported"));
        check("", Err("required"));
        check("nonsense", Err("openssl"));
        check(&format!("{P256}{RSA_2048}"), Err("more than one"));
        check("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", Err("private key"));
        check("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", Err("damaged"));
        check(&"x".repeat(PUBLIC_KEY_PEM_CHARS_MAX + 1), Err("4096"));
    }

    #[test]
    fn a_point_that_is_not_on_the_curve_is_no_key() {
        let (_, rest) = P256.split_once('\n').expect("lines");
        let (body, _) = rest.split_once("-----").expect("an end");
        let broken: String = body.trim_end().replace(&body[100..104], "AAAA");
        check(
            &format!("-----BEGIN PUBLIC KEY-----\n{broken}\n-----END PUBLIC KEY-----\n"),
            Err("no valid key"),
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_can_panic_the_reader(der: Vec<u8>) {
            let _ = algorithm_of(&der);
        }
    }
}
