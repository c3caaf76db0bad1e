//! Sets of bytes as tables: one look for each byte of a text, where every hit has a few texts to check.

/// A set of bytes.
pub(crate) struct Alphabet([bool; 256]);

impl Alphabet {
    /// Letters and digits, and these.
    pub(crate) const fn alphanumeric_and(others: &[u8]) -> Self {
        let mut set = Self::of(others).0;
        let mut byte = 0u8;
        while byte < 128 {
            set[byte as usize] |= byte.is_ascii_alphanumeric();
            byte += 1;
        }
        Self(set)
    }

    /// Small letters and digits, and these.
    pub(crate) const fn lowercase_and(others: &[u8]) -> Self {
        let mut set = Self::of(others).0;
        let mut byte = 0u8;
        while byte < 128 {
            set[byte as usize] |= byte.is_ascii_lowercase() || byte.is_ascii_digit();
            byte += 1;
        }
        Self(set)
    }

    const fn of(bytes: &[u8]) -> Self {
        let mut set = [false; 256];
        let mut at = 0;
        while at < bytes.len() {
            set[bytes[at] as usize] = true;
            at += 1;
        }
        Self(set)
    }

    /// Whether a text has no other bytes.
    pub(crate) fn has_all_of(&self, text: &[u8]) -> bool {
        text.iter().all(|&byte| self.0[usize::from(byte)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_it_was_made_of() {
        let set = Alphabet::alphanumeric_and(b"-.");
        assert!(set.has_all_of(b"aZ09-.") && set.has_all_of(b""));
        assert!(!set.has_all_of(b"a_") && !set.has_all_of(b"\xff"));
        let set = Alphabet::lowercase_and(b"_");
        assert!(set.has_all_of(b"az09_") && !set.has_all_of(b"A"));
    }
}
