//! Base64 as CloudFront has it in URLs and cookies: the usual one, with `-` for `+`, `_` for `=` and `~` for `/`. It is not the
//! URL-safe alphabet of RFC 4648.

use base64::{
    Engine as _,
    alphabet::Alphabet,
    engine::general_purpose::{GeneralPurpose, PAD},
};

use super::Denial;

/// `+/` become `-~`; the sign for padding cannot be chosen, and is exchanged by hand.
const ALPHABET: Alphabet =
    match Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~") {
        Ok(alphabet) => alphabet,
        Err(_) => base64::alphabet::STANDARD,
    };
const ENGINE: GeneralPurpose = GeneralPurpose::new(&ALPHABET, PAD);

/// The bytes that a text stands for, if they are no more than `max`.
pub(super) fn decode(text: &str, max: usize) -> Result<Vec<u8>, Denial> {
    if text.is_empty() || text.len() > max.div_ceil(3) * 4 || text.contains('=') {
        return Err(Denial::Malformed);
    }
    let decoded = ENGINE.decode(text.replace('_', "=")).map_err(|_| Denial::Malformed)?;
    if decoded.len() <= max { Ok(decoded) } else { Err(Denial::Malformed) }
}

/// The text that stands for bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    ENGINE.encode(bytes).replace('=', "_")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_three_signs_are_exchanged() {
        assert_eq!(encode(&[0xfb, 0xef, 0xff, 0xff]), "--~~~w__");
        assert_eq!(decode("--~~~w__", 4), Ok(vec![0xfb, 0xef, 0xff, 0xff]));
        assert_eq!(decode("--~~~w__", 3), Err(Denial::Malformed));
        for text in ["", "AA", "AA==", "A+==", "AA/A", "AA A", "AAA_A", "AB__"] {
            assert_eq!(decode(text, 100), Err(Denial::Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes in proptest::collection::vec(any::<u8>(), 1..100)) {
            prop_assert_eq!(decode(&encode(&bytes), 100), Ok(bytes));
        }
    }
}
