//! How people write sizes and durations, in the one place that reads and prints them.

use std::{fmt::Write as _, time::Duration};

/// Units of size, largest first: what is printed is as short as it can be.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("B", 1),
];

/// Units of duration in milliseconds, largest first.
const DURATIONS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Not a size or duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a number with a unit of size.
    #[error("is not a size; write a whole number and B, KB, MB, GB, TB, KiB, MiB, GiB or TiB: \"512MiB\"")]
    NotASize,
    /// Not a number with a unit of duration.
    #[error("is not a duration; write a whole number and ms, s, m or h: \"30s\"")]
    NotADuration,
    /// More than this program can count.
    #[error("is too large")]
    TooLarge,
}

/// A size in bytes: "512MiB", "10GB", "4096". Units are case-insensitive; without one it is bytes.
///
/// # Errors
/// Anything else.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let text = text.trim();
    let (number, unit) = split(text).ok_or(UnitError::NotASize)?;
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, factor) =
        SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or(UnitError::NotASize)?;
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(*factor)).ok_or(UnitError::TooLarge)
}

/// A duration: "30s", "1500ms", "2m", "1h". The unit is required: a bare number has been a defect too often.
///
/// # Errors
/// Anything else.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text.trim()).ok_or(UnitError::NotADuration)?;
    let (_, factor) = DURATIONS.iter().find(|(name, _)| *name == unit).ok_or(UnitError::NotADuration)?;
    let millis = number.parse::<u64>().ok().and_then(|n| n.checked_mul(*factor));
    millis.map(Duration::from_millis).ok_or(UnitError::TooLarge)
}

/// The number and the unit after it.
fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (!number.is_empty()).then(|| (number, unit.trim_start()))
}

/// A size in the largest unit that fits evenly, as [`parse_bytes`] reads it.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    format(bytes, &SIZES)
}

/// A duration in the largest unit that fits evenly, as [`parse_duration`] reads it; below a millisecond it is cut off.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    format(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATIONS)
}

fn format(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, factor): &&(&str, u64)| value > 0 && value.is_multiple_of(*factor);
    let (unit, factor) = units.iter().find(fits).or(units.last()).copied().unwrap_or(("", 1));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(text, "{}{unit}", value / factor);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("512MiB", 512 << 20),
            ("1 gib", 1 << 30),
            ("10GB", 10_000_000_000),
            ("2KB", 2000),
            ("7B", 7),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
            assert_eq!(parse_bytes(&format_bytes(bytes)), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "5 parsecs", "1MiBs", "0x10"] {
            assert_eq!(parse_bytes(text), Err(UnitError::NotASize), "{text}");
        }
        for text in ["99999999999TiB", "99999999999999999999999"] {
            assert_eq!(parse_bytes(text), Err(UnitError::TooLarge), "{text}");
        }
        assert_eq!(format_bytes(512 << 20), "512MiB");
    }

    #[test]
    fn durations() {
        for (text, millis) in [("0s", 0), ("250ms", 250), ("30s", 30_000), ("2m", 120_000), ("1h", 3_600_000)]
        {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration), "{text}");
        }
        for text in ["", "5", "s", "1.5s", "-1s", "3 days", "1S"] {
            assert_eq!(parse_duration(text), Err(UnitError::NotADuration), "{text}");
        }
        assert_eq!(parse_duration("99999999999999999h"), Err(UnitError::TooLarge));
        assert_eq!(format_duration(Duration::from_secs(90)), "90s");
    }
}
