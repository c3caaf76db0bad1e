//! HTTP dates (RFC 9110 section 5.6.7) as a cache reads them: in three formats, in any case, in no zone but GMT.

use std::time::{Duration, SystemTime};

use http::{HeaderName, header};

use super::fields::Fields;
use crate::clock::Timestamp;

/// `Wednesday, 06-Nov-94 08:49:37 GMT`: no valid date is longer.
const LENGTH_MAX: usize = 33;
/// A mean Gregorian year.
const YEAR: Duration = Duration::from_secs(31_556_952);
/// A two-digit year further ahead than this is one of the past.
const FUTURE_MAX: u32 = 50;
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Reads a date. `None` if it is none; never later than what it says. Letters match in any case (RFC 9111 section 4.2); dates before
/// 1970 are not read. `now` only decides which century a two-digit year belongs to.
#[must_use]
pub fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim_matches([' ', '\t']);
    if !text.is_ascii() || text.len() > LENGTH_MAX {
        return None;
    }
    let mut buffer = [0; LENGTH_MAX];
    let canonical = &mut buffer[..text.len()];
    canonical.copy_from_slice(text.as_bytes());
    let in_leap_second = canonicalise(canonical);
    let canonical = std::str::from_utf8(canonical).ok()?;
    let date = match canonical.split_once(", ") {
        Some((weekday, rest)) if WEEKDAYS.contains(&weekday) => two_digit_year(weekday, rest, now)?,
        _ => read(canonical)?,
    };
    Some(if in_leap_second { date.after(Duration::from_secs(1)) } else { date })
}

/// The date in a field that has one value. `None` if it is not there, or not in a way that can be read.
#[must_use]
pub fn of(headers: &impl Fields, name: &HeaderName, now: Timestamp) -> Option<Timestamp> {
    std::str::from_utf8(headers.first(name)?).ok().and_then(|text| parse(text, now))
}

/// When a message was generated (RFC 9110 section 6.6.1).
#[must_use]
pub fn generated(headers: &impl Fields, received: Timestamp) -> Option<Timestamp> {
    of(headers, &header::DATE, received)
}

/// Gives words the case that the grammar has. A leap second, which it allows, becomes the second before; says whether it was one.
fn canonicalise(date: &mut [u8]) -> bool {
    let mut after_letter = false;
    for byte in &mut *date {
        let letter = byte.is_ascii_alphabetic();
        if after_letter {
            byte.make_ascii_lowercase();
        } else {
            byte.make_ascii_uppercase();
        }
        after_letter = letter;
    }
    if let Some(zone) = date.len().checked_sub(3).and_then(|at| date.get_mut(at..))
        && zone == b"Gmt"
    {
        zone.make_ascii_uppercase();
    }
    let Some(colon) = date.iter().rposition(|&b| b == b':') else {
        return false;
    };
    match date.get_mut(colon + 1..colon + 3) {
        Some(seconds) if seconds == b"60" => {
            seconds.copy_from_slice(b"59");
            true
        }
        _ => false,
    }
}

/// The obsolete format of RFC 850, `06-Nov-94 08:49:37 GMT` after the weekday. More than 50 years ahead means the past.
fn two_digit_year(weekday: &str, rest: &str, now: Timestamp) -> Option<Timestamp> {
    let (day, rest) = rest.split_once('-')?;
    let (month, rest) = rest.split_once('-')?;
    let (year, time) = rest.split_once(' ')?;
    if year.len() != 2 || !year.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let year: u64 = year.parse().ok()?;
    let this_year = 1970 + now.unix_seconds() / YEAR.as_secs();
    // The next year with these digits, perhaps this one.
    let next = this_year + (year + 100 - this_year % 100) % 100;
    let at = |year: u64| read(&format!("{}, {day} {month} {year:04} {time}", &weekday[..3]));
    let furthest = now.after(YEAR * FUTURE_MAX);
    if next - this_year < u64::from(FUTURE_MAX) {
        return at(next);
    }
    at(next).filter(|date| *date <= furthest).or_else(|| at(next - 100))
}

/// The weekday says nothing that the rest does not: a wrong one is put right (RFC 9110 section 5.6.7 encourages to be robust).
fn read(text: &str) -> Option<Timestamp> {
    let exactly = |text: &str| httpdate::parse_http_date(text).ok().map(|time: SystemTime| time.into());
    exactly(text).or_else(|| {
        let rest = text.get(3..)?;
        WEEKDAYS.iter().find(|weekday| text.starts_with(&weekday[..3]))?;
        WEEKDAYS.iter().find_map(|weekday| exactly(&format!("{}{rest}", &weekday[..3])))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-01-01.
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);

    fn check(text: &str, seconds: Option<u64>) {
        assert_eq!(parse(text, NOW), seconds.map(Timestamp::from_unix_seconds), "{text}");
    }

    #[test]
    fn the_three_formats_are_read_in_any_case() {
        let same = Some(784_111_777);
        check("Sun, 06 Nov 1994 08:49:37 GMT", same); // RFC 9110 section 5.6.7, IMF-fixdate
        check("Sunday, 06-Nov-94 08:49:37 GMT", same); // RFC 9110 section 5.6.7, rfc850-date
        check("Sun Nov  6 08:49:37 1994", same); // RFC 9110 section 5.6.7, asctime-date
        check("sUN, 06 nOV 1994 08:49:37 gmt", same); // RFC 9111 section 4.2, any case
        check("SUNDAY, 06-NOV-94 08:49:37 GMT", same); // RFC 9111 section 4.2
        check("sun nov  6 08:49:37 1994", same); // RFC 9111 section 4.2
        check(" Sun, 06 Nov 1994 08:49:37 GMT\t", same); // RFC 9110 section 5.5, whitespace around a value
        check("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_800)); // RFC 9110 section 5.6.7, a leap second
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Mon, 06 Nov 1994 08:49:37 GMT", same); // RFC 9110 section 5.6.7, robust: it was a Sunday
        check("Monday, 06-Nov-94 08:49:37 GMT", same);
        check("Mon Nov  6 08:49:37 1994", same);
    }

    #[test]
    fn what_is_not_a_date_in_gmt_is_none() {
        for text in [
            "",
            "0",
            "-1",
            "Sun, 06 Nov 1994 08:49:37 UTC", // RFC 9111 section 4.2, another zone
            "Sun, 06 Nov 1994 08:49:37 AEST", // RFC 9111 section 4.2
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37",
            "Xyz, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT", // two digits belong to the format of RFC 850 only
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun,  06 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GM\u{a0}",
            "::60",
        ] {
            check(text, None);
        }
    }

    /// RFC 9110 section 5.6.7: more than 50 years in the future is the most recent year in the past with the same digits.
    #[test]
    fn two_digit_years_lie_within_fifty_years() {
        check("Thursday, 18-Aug-50 02:01:18 GMT", Some(2_544_400_878));
        check("Tuesday, 31-Dec-75 00:00:00 GMT", Some(3_344_976_000));
        check("Wednesday, 01-Jan-76 00:00:00 GMT", Some(3_345_062_400));
        check("Saturday, 01-Jan-77 00:00:00 GMT", Some(220_924_800));
        check("Friday, 31-Dec-99 23:59:59 GMT", Some(946_684_799));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(seconds in 0u64..253_402_300_800) {
            let at = Timestamp::from_unix_seconds(seconds);
            let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            prop_assert_eq!(parse(&text, NOW), Some(at));
            prop_assert_eq!(parse(&text.to_lowercase(), NOW), Some(at));
        }

        #[test]
        fn any_text_is_survived(text in "([A-Za-z]{3,9},? )?[ -~]{0,30}", now in any::<u64>()) {
            let _ = parse(&text, Timestamp::from_unix_seconds(now));
        }

        #[test]
        fn any_obsolete_date_is_survived(
            text in "(Sun|Mon)day, [0-9]{2}-(Jan|Feb|Dec)-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
            now in any::<u64>(),
        ) {
            let _ = parse(&text, Timestamp::from_unix_seconds(now));
        }
    }
}
