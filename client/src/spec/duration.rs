//! Durations as people write them: `60s`, `1h30m`, or plain seconds.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const NANOS: u128 = 1_000_000_000;

/// Units, largest first, in nanoseconds.
const UNITS: &[(&str, u128)] = &[
    ("d", 86_400 * NANOS),
    ("h", 3_600 * NANOS),
    ("m", 60 * NANOS),
    ("s", NANOS),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// A length of time, to the nanosecond. Written in the largest of s, ms, us and ns that is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct SpecDuration(pub Duration);

/// Not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write seconds (90) or units from d, h, m, s, ms (90s, 1h30m)")]
pub struct InvalidDuration(String);

impl FromStr for SpecDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        nanos(text).and_then(from_nanos).map(Self).ok_or_else(|| InvalidDuration(text.to_owned()))
    }
}

/// Each unit at most once, larger ones first. A bare number is seconds.
fn nanos(text: &str) -> Option<u128> {
    if let Ok(seconds) = text.parse::<u128>() {
        // Only digits: "+5" would pass as well.
        return text.starts_with(|c: char| c.is_ascii_digit()).then(|| seconds.checked_mul(NANOS))?;
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut sum = 0u128;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let (_, size) = units.find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.parse::<u128>().ok()?.checked_mul(*size)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(sum)
}

/// What fits the wire's signed seconds.
fn from_nanos(nanos: u128) -> Option<Duration> {
    let seconds = u64::try_from(nanos / NANOS).ok().filter(|s| i64::try_from(*s).is_ok())?;
    Some(Duration::new(seconds, u32::try_from(nanos % NANOS).ok()?))
}

impl fmt::Display for SpecDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let exact =
            UNITS.iter().filter(|(_, size)| *size <= NANOS).find(|(_, size)| nanos.is_multiple_of(*size));
        match exact {
            Some((unit, size)) => write!(f, "{}{unit}", nanos / size),
            None => write!(f, "{nanos}ns"),
        }
    }
}

impl Serialize for SpecDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpecDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = SpecDuration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 90, 90s or 1h30m")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Self::Value, E> {
        self.visit_str(&seconds.to_string())
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Self::Value, E> {
        self.visit_str(&seconds.to_string())
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Self::Value, E> {
        self.visit_str(&seconds.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood() {
        for (text, millis) in [
            ("0", 0),
            ("90", 90_000),
            ("60s", 60_000),
            ("1h", 3_600_000),
            ("1h30m", 5_400_000),
            ("2d1ms", 172_800_001),
            ("1500ms", 1_500),
        ] {
            assert_eq!(text.parse(), Ok(SpecDuration(Duration::from_millis(millis))), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            " ",
            "s",
            "-1",
            "+5",
            "1.5s",
            "1x",
            "1s1h",
            "1s2s",
            "1 h",
            "99999999999999999999",
            "9223372036854775808",
            "99999999999999999d",
        ] {
            assert!(text.parse::<SpecDuration>().is_err(), "{text}");
        }
    }

    #[test]
    fn printed_durations_are_exact() {
        for (duration, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_secs(86_400), "86400s"),
            (Duration::from_millis(1_500), "1500ms"),
            (Duration::from_nanos(7), "7ns"),
            (Duration::new(18_446_744_074, 1), "18446744074000000001ns"),
        ] {
            assert_eq!(SpecDuration(duration).to_string(), text);
            assert_eq!(text.parse(), Ok(SpecDuration(duration)));
        }
    }
}
