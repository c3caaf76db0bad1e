//! Times as people give them to `sign`: from now on, as a date, or as a Unix time.

use std::str::FromStr;

use headland::spec::SpecDuration;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// So many seconds from now.
    In(u64),
    /// So many seconds since 1970.
    At(u64),
}

impl Time {
    /// In seconds since 1970.
    pub(super) fn after(self, now: u64) -> u64 {
        match self {
            Self::In(seconds) => now.saturating_add(seconds),
            Self::At(seconds) => seconds,
        }
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(unix) = text.strip_prefix('@') {
            return unix.parse().map(Self::At).map_err(|_| format!("{unix:?} is not a number of seconds"));
        }
        // Who is used to other tools means a Unix time by this.
        if text.len() >= 10 && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("write @{text} for a Unix time; a number alone is seconds from now"));
        }
        if let Ok(duration) = text.parse::<SpecDuration>() {
            return Ok(Self::In(duration.0.as_secs()));
        }
        let at = text.parse::<prost_types::Timestamp>().ok();
        let at = at.and_then(|at| u64::try_from(at.seconds).ok());
        at.map(Self::At).ok_or_else(|| {
            format!("{text:?} is no time: write 1h30m for a time from now, or a date as 2026-12-24T18:00:00Z")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_durations_dates_and_unix_times() {
        for (text, expected) in [
            ("90", Some(Time::In(90))),
            ("1h30m", Some(Time::In(5400))),
            ("1970-01-02T00:00:00Z", Some(Time::At(86_400))),
            ("1970-01-02T01:00:00+01:00", Some(Time::At(86_400))),
            ("1970-01-02", Some(Time::At(86_400))),
            ("@1767225600", Some(Time::At(1_767_225_600))),
            ("1767225600", None),
            ("", None),
            ("tomorrow", None),
            ("@-1", None),
            ("1969-01-01T00:00:00Z", None),
        ] {
            assert_eq!(text.parse::<Time>().ok(), expected, "{text}");
        }
        assert_eq!((Time::In(5).after(10), Time::At(5).after(10)), (15, 5));
    }
}
