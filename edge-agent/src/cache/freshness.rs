//! Freshness (RFC 9111 section 4.2): how long a response may be used, and how old it is.

use std::time::Duration;

use headland_proto::model::{CachePolicy, Semantics};
use http::{HeaderMap, StatusCode, header};

use super::{
    cache_control::{Directives, Field, delta_seconds},
    date,
    fields::Fields,
};
use crate::{clock::Timestamp, closed::closed};

/// The longest that a guess lasts (RFC 9111 section 4.2.2).
pub const HEURISTIC_MAX: Duration = Duration::from_secs(86_400);
/// A guess is this part of the time since the last modification (RFC 9111 section 4.2.2: "a typical setting ... might be 10%").
const HEURISTIC_DIVISOR: u32 = 10;

/// When a request went to the origin and when the head of the response came back.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Just before the request was sent.
    pub request: Timestamp,
    /// Just after the head was received.
    pub response: Timestamp,
}

/// How long a response may be used, and how old it was when it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Freshness lifetime (section 4.2.1), in full: what is left of it depends on the age.
    pub lifetime: Duration,
    /// What the lifetime was taken from.
    pub source: Source,
    /// Age at receipt (section 4.2.3, corrected_initial_age).
    pub initial_age: Duration,
    /// The moment it becomes stale: perhaps before it was received.
    pub fresh_until: Timestamp,
}

closed! {
    /// What a freshness lifetime was taken from.
    pub enum Source {
        /// `s-maxage`.
        SMaxage = "s-maxage",
        /// `max-age`.
        MaxAge = "max-age",
        /// Expires and Date.
        Expires = "expires",
        /// A tenth of the time since Last-Modified (section 4.2.2).
        Heuristic = "heuristic",
        /// The policy's default TTL.
        DefaultTtl = "default-ttl",
        /// The policy's minimum TTL, which overrides what the origin says (CloudFront only).
        MinTtl = "min-ttl",
        /// The policy's maximum TTL, which cuts what the origin says.
        MaxTtl = "max-ttl",
        /// How long an error is kept at least (CloudFront only).
        ErrorTtl = "error-ttl",
        /// Nothing says that it is fresh for any time.
        Nothing = "nothing",
    }
}

/// Computes both. With CloudFront semantics an error is kept for `error_ttl_min` at least ("Error caching minimum TTL"). A lifetime of
/// zero means that the response may not be reused without asking the origin.
#[must_use]
pub fn of(
    policy: &CachePolicy,
    status: StatusCode,
    error_ttl_min: Duration,
    headers: &HeaderMap,
    cc: &Directives,
    timing: Timing,
) -> Freshness {
    let initial_age = initial_age(headers, timing);
    let received = timing.response;
    let ((lifetime, source), age) = match policy.semantics {
        // Kept for so long from here on, however old it was.
        Semantics::CloudFront => {
            (cloudfront(policy, status, error_ttl_min, headers, cc, received), Duration::ZERO)
        }
        Semantics::Rfc9111 => (rfc9111(policy, status, headers, cc, received), initial_age),
    };
    let fresh_until = if lifetime < age {
        received.before(age.saturating_sub(lifetime))
    } else {
        received.after(lifetime.saturating_sub(age))
    };
    Freshness { lifetime, source, initial_age, fresh_until }
}

/// Section 4.2.1, and where nothing is said and a guess is allowed (section 4.2.2), the policy's default or a heuristic.
fn rfc9111(
    policy: &CachePolicy,
    status: StatusCode,
    headers: &HeaderMap,
    cc: &Directives,
    received: Timestamp,
) -> (Duration, Source) {
    let ttl = policy.ttl;
    let (lifetime, source) = match explicit(headers, cc, received) {
        Some(explicit) => explicit,
        None if !(is_heuristically_cacheable(status) || cc.public) => (Duration::ZERO, Source::Nothing),
        None if !ttl.default.is_zero() => (ttl.default, Source::DefaultTtl),
        None => heuristic(headers, received),
    };
    if lifetime > ttl.max { (ttl.max, Source::MaxTtl) } else { (lifetime, source) }
}

/// A tenth of the time for which it had not changed when it was generated (section 4.2.2).
fn heuristic(headers: &HeaderMap, received: Timestamp) -> (Duration, Source) {
    let generated = date::generated(headers, received).unwrap_or(received);
    let unchanged_for =
        date::of(headers, &header::LAST_MODIFIED, received).map(|modified| generated.since(modified));
    match unchanged_for {
        Some(time) if !time.is_zero() => {
            let seconds = (time / HEURISTIC_DIVISOR).min(HEURISTIC_MAX).as_secs();
            (Duration::from_secs(seconds), Source::Heuristic)
        }
        _ => (Duration::ZERO, Source::Nothing),
    }
}

/// Statuses that need no explicit freshness to be stored (RFC 9110 section 15.1). 206 is one too, but it is not stored.
#[must_use]
pub fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// CloudFront guide, "Manage how long content stays in the cache": the minimum TTL overrides even `no-store`, and errors are
/// kept for a while whatever they say.
fn cloudfront(
    policy: &CachePolicy,
    status: StatusCode,
    error_ttl_min: Duration,
    headers: &HeaderMap,
    cc: &Directives,
    received: Timestamp,
) -> (Duration, Source) {
    let ttl = policy.ttl;
    if ttl.max.is_zero() {
        return (Duration::ZERO, Source::MaxTtl);
    }
    let said = explicit(headers, cc, received).map(|(lifetime, source)| {
        if lifetime > ttl.max { (ttl.max, Source::MaxTtl) } else { (lifetime, source) }
    });
    let at_least = |least: Duration, why: Source, (lifetime, source): (Duration, Source)| {
        if lifetime < least { (least, why) } else { (lifetime, source) }
    };
    if is_error_kept_for_a_while(status) {
        let said = said.unwrap_or((error_ttl_min, Source::ErrorTtl));
        return at_least(error_ttl_min, Source::ErrorTtl, said);
    }
    if forbids_reuse(cc) {
        return (ttl.min, if ttl.min.is_zero() { Source::Nothing } else { Source::MinTtl });
    }
    at_least(ttl.min, Source::MinTtl, said.unwrap_or((ttl.default, Source::DefaultTtl)))
}

/// Whether the response says that it is not to be reused: what CloudFront respects unless there is a minimum TTL.
#[must_use]
pub(super) fn forbids_reuse(cc: &Directives) -> bool {
    cc.no_store || cc.no_cache.is_whole() || cc.private.is_whole()
}

/// CloudFront guide, "HTTP 4xx and 5xx status codes that CloudFront always caches".
#[must_use]
pub fn is_error_kept_for_a_while(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404 | 414 | 500..=504)
}

/// What the origin itself says (section 4.2.1): s-maxage, else max-age, else Expires minus Date.
#[must_use]
pub fn explicit_lifetime(headers: &HeaderMap, cc: &Directives, received: Timestamp) -> Option<Duration> {
    explicit(headers, cc, received).map(|(lifetime, _)| lifetime)
}

fn explicit(headers: &HeaderMap, cc: &Directives, received: Timestamp) -> Option<(Duration, Source)> {
    if let Some(seconds) = cc.s_maxage {
        return Some((Duration::from_secs(seconds), Source::SMaxage));
    }
    if let Some(seconds) = cc.max_age {
        return Some((Duration::from_secs(seconds), Source::MaxAge));
    }
    // A targeted field stands for Expires too (RFC 9213 section 2.2).
    if cc.field != Field::CacheControl {
        return None;
    }
    let mut lines = headers.get_all(header::EXPIRES).iter();
    let first = lines.next()?;
    // "0", garbage, and several values mean "already expired" (sections 4.2.1 and 5.3).
    let at =
        first.to_str().ok().filter(|_| lines.next().is_none()).and_then(|text| date::parse(text, received));
    let lifetime =
        at.map_or(Duration::ZERO, |at| at.since(date::generated(headers, received).unwrap_or(received)));
    Some((lifetime, Source::Expires))
}

/// Age at receipt (section 4.2.3, corrected_initial_age).
fn initial_age(headers: &HeaderMap, timing: Timing) -> Duration {
    let apparent = date::generated(headers, timing.response)
        .map_or(Duration::ZERO, |generated| timing.response.since(generated));
    let corrected = age_value(headers) + timing.response.since(timing.request);
    // Whole seconds, rounded down, as Age is sent: a fast origin must not make its response a second older.
    Duration::from_secs(apparent.max(corrected).as_secs())
}

/// What Age says: the first member if it is a list, zero if it cannot be read, never more than 2^31 seconds (section 5.1).
fn age_value(headers: &HeaderMap) -> Duration {
    let first = headers.get(header::AGE).and_then(|value| value.as_bytes().split(|&b| b == b',').next());
    Duration::from_secs(first.map(super::cache_control::trim).and_then(delta_seconds).unwrap_or(0))
}

/// When a message was generated (RFC 9110 section 6.6.1); `None` if it does not say, or not in a way that can be read.
#[must_use]
pub fn date(headers: &impl Fields) -> Option<Timestamp> {
    date::generated(headers, CENTURY)
}

/// An HTTP date in any of its three forms (RFC 9110 section 5.6.7), for who has no clock at hand.
#[must_use]
pub fn http_date(text: &str) -> Option<Timestamp> {
    date::parse(text, CENTURY)
}

/// 2026-01-01: from where two-digit years are read when it matters to nobody.
const CENTURY: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);

#[cfg(test)]
mod tests;
