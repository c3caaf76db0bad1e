//! Dates in the text of a scenario: `{now}`, `{now-10}`, `{start+60}`, and the two obsolete formats.

use std::time::{Duration, UNIX_EPOCH};

/// Puts dates in place of `{now±n}` (the edge's clock), `{start±n}` (the clock when the scenario began), and
/// `{rfc850±n}` and `{asctime±n}` (now, in the obsolete formats of RFC 9110 section 5.6.7). Seconds since 1970.
pub(crate) fn fill_in(text: &str, start: u64, now: u64) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((inside, behind)) = after.split_once('}') else { break };
        filled.push_str(&date(inside, start, now));
        rest = behind;
    }
    filled + rest
}

fn date(text: &str, start: u64, now: u64) -> String {
    let (name, offset) = text.split_at(text.find(['+', '-']).unwrap_or(text.len()));
    let offset: i64 = if offset.is_empty() { 0 } else { offset.parse().expect("an offset in seconds") };
    let from = if name == "start" { start } else { now };
    let at = from.checked_add_signed(offset).expect("a date after 1970");
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at));
    match name {
        "now" | "start" => date,
        "rfc850" => rfc850(&date),
        "asctime" => asctime(&date),
        _ => panic!("no such date: {text}"),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` to `Sunday, 06-Nov-94 08:49:37 GMT`.
fn rfc850(date: &str) -> String {
    const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let day = DAYS.iter().find(|day| day.starts_with(&date[..3])).expect("a day of the week");
    format!("{day}, {}-{}-{} {} GMT", &date[5..7], &date[8..11], &date[14..16], &date[17..25])
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` to `Sun Nov  6 08:49:37 1994`.
fn asctime(date: &str) -> String {
    let day: u8 = date[5..7].parse().expect("a day of the month");
    format!("{} {} {day:2} {} {}", &date[..3], &date[8..11], &date[17..25], &date[12..16])
}

#[test]
fn dates_are_filled_in() {
    let now = 784_111_777;
    assert_eq!(fill_in("a {now} b", 0, now), "a Sun, 06 Nov 1994 08:49:37 GMT b");
    assert_eq!(fill_in("{start+7}", now, 0), "Sun, 06 Nov 1994 08:49:44 GMT");
    assert_eq!(fill_in("{rfc850-7}", 0, now), "Sunday, 06-Nov-94 08:49:30 GMT");
    assert_eq!(fill_in("{asctime}", 0, now), "Sun Nov  6 08:49:37 1994");
}
