//! Content codings (RFC 9110 section 8.4.1) that edges know, and sets of them.

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Brotli (RFC 7932).
    Brotli,
    /// Zstandard (RFC 8878).
    Zstd,
    /// Gzip (RFC 1952).
    Gzip,
}

impl Coding {
    /// All there are, the one that makes most bodies smallest first. For brotli and gzip this is CloudFront's order.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in Content-Encoding and Accept-Encoding.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

/// Some content codings, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Codings(u8);

impl Codings {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is among them.
    #[must_use]
    pub const fn contains(self, coding: Coding) -> bool {
        self.0 & 1 << coding as u8 != 0
    }

    /// Those that there are, in the order of [`Coding::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Coding> {
        Coding::ALL.into_iter().filter(move |coding| self.contains(*coding))
    }

    /// The list of them, as Accept-Encoding has it: one text for each set. Empty if there are none.
    #[must_use]
    pub const fn list(self) -> &'static str {
        match (self.contains(Coding::Brotli), self.contains(Coding::Zstd), self.contains(Coding::Gzip)) {
            (false, false, false) => "",
            (false, false, true) => "gzip",
            (false, true, false) => "zstd",
            (false, true, true) => "zstd,gzip",
            (true, false, false) => "br",
            (true, false, true) => "br,gzip",
            (true, true, false) => "br,zstd",
            (true, true, true) => "br,zstd,gzip",
        }
    }
}

impl FromIterator<Coding> for Codings {
    fn from_iter<I: IntoIterator<Item = Coding>>(codings: I) -> Self {
        Self(codings.into_iter().fold(0, |set, coding| set | 1 << coding as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_a_set_holds_its_members_in_one_order() {
        for bits in 0..1 << Coding::ALL.len() {
            let set = Codings(bits);
            let tokens: Vec<_> = set.iter().map(Coding::token).collect();
            assert_eq!(set.list(), tokens.join(","));
            assert_eq!(set.iter().collect::<Codings>(), set);
            assert_eq!(set.is_empty(), tokens.is_empty());
        }
    }
}
