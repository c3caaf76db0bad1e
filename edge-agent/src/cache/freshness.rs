//! Freshness (RFC 9111 section 4.2): how long a response may be used, and how old it is.

use std::time::{Duration, SystemTime};

use headland_proto::model::{CachePolicy, Semantics};
use http::{HeaderMap, StatusCode, header};

use super::cache_control::{Directives, delta_seconds};
use crate::clock::Timestamp;

/// How long CloudFront keeps an error at least ("Error caching minimum TTL", default).
pub const ERROR_TTL_MIN: Duration = Duration::from_secs(10);

/// When a request went to the origin and when the head of the response came back.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Just before the request was sent.
    pub request: Timestamp,
    /// Just after the head was received.
    pub response: Timestamp,
}

/// How long a response may be used, counted from when it was received, and how old it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// From receipt on.
    pub lifetime: Duration,
    /// Age at receipt.
    pub initial_age: Duration,
}

/// Computes both. A lifetime of zero means that the response may not be reused without asking the origin.
#[must_use]
pub fn of(
    policy: &CachePolicy,
    status: StatusCode,
    headers: &HeaderMap,
    cc: &Directives,
    timing: Timing,
) -> Freshness {
    let initial_age = initial_age(headers, timing);
    let lifetime = match policy.semantics {
        Semantics::CloudFront => cloudfront_lifetime(policy, status, headers, cc, timing.response),
        Semantics::Rfc9111 => {
            let total = explicit_lifetime(headers, cc, timing.response).unwrap_or(policy.ttl.default);
            total.min(policy.ttl.max).saturating_sub(initial_age)
        }
    };
    Freshness { lifetime, initial_age }
}

/// CloudFront guide, "Manage how long content stays in the cache": the minimum TTL overrides even `no-store`, and errors are
/// kept for a while whatever they say.
fn cloudfront_lifetime(
    policy: &CachePolicy,
    status: StatusCode,
    headers: &HeaderMap,
    cc: &Directives,
    received: Timestamp,
) -> Duration {
    let ttl = policy.ttl;
    if ttl.max.is_zero() {
        return Duration::ZERO;
    }
    let explicit = explicit_lifetime(headers, cc, received);
    if is_error_kept_for_a_while(status) {
        return explicit.map_or(ERROR_TTL_MIN, |lifetime| lifetime.min(ttl.max).max(ERROR_TTL_MIN));
    }
    if cc.no_store || cc.no_cache || cc.private {
        return ttl.min;
    }
    explicit.map_or(ttl.default, |lifetime| lifetime.clamp(ttl.min, ttl.max))
}

/// CloudFront guide, "HTTP 4xx and 5xx status codes that CloudFront always caches".
#[must_use]
pub fn is_error_kept_for_a_while(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404 | 414 | 500..=504)
}

/// What the origin itself says (section 4.2.1): s-maxage, else max-age, else Expires minus Date.
#[must_use]
pub fn explicit_lifetime(headers: &HeaderMap, cc: &Directives, received: Timestamp) -> Option<Duration> {
    if let Some(seconds) = cc.s_maxage.or(cc.max_age) {
        return Some(Duration::from_secs(seconds));
    }
    let mut expires = headers.get_all(header::EXPIRES).iter();
    let first = expires.next()?;
    // "0", garbage, and several values mean "already expired" (section 5.3).
    let at = first.to_str().ok().filter(|_| expires.next().is_none()).and_then(http_date);
    Some(at.map_or(Duration::ZERO, |at| at.since(date(headers).unwrap_or(received))))
}

/// Age at receipt (section 4.2.3, corrected_initial_age).
fn initial_age(headers: &HeaderMap, timing: Timing) -> Duration {
    let apparent = date(headers).map_or(Duration::ZERO, |date| timing.response.since(date));
    let age_value =
        headers.get(header::AGE).and_then(|v| v.to_str().ok()).and_then(delta_seconds).unwrap_or(0);
    let corrected = Duration::from_secs(age_value) + timing.response.since(timing.request);
    // Whole seconds, rounded down, as Age is sent: a fast origin must not make its response a second older.
    Duration::from_secs(apparent.max(corrected).as_secs())
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    headers.get(header::DATE).and_then(|v| v.to_str().ok()).and_then(http_date)
}

/// An HTTP date in any of its three forms (RFC 9110 section 5.6.7).
#[must_use]
pub fn http_date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text).ok().map(|time: SystemTime| time.into())
}

#[cfg(test)]
mod tests {
    use headland_proto::model::{NameSelection, TtlBounds};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn policy(semantics: Semantics, min: u64, default: u64, max: u64) -> CachePolicy {
        let s = Duration::from_secs;
        CachePolicy {
            semantics,
            ttl: TtlBounds { min: s(min), default: s(default), max: s(max) },
            headers: vec![],
            cookies: NameSelection::None,
            query_strings: NameSelection::All,
        }
    }

    /// `{+n}` and `{-n}` in a value become the date n seconds from now.
    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            let value = match value.strip_prefix('{').and_then(|v| v.strip_suffix('}')) {
                Some(offset) => {
                    let at =
                        NOW.unix_seconds().checked_add_signed(offset.parse().expect("offset")).expect("date");
                    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(at))
                }
                None => (*value).to_owned(),
            };
            map.append(*name, value.parse().expect("value"));
        }
        map
    }

    fn check(policy: &CachePolicy, status: u16, pairs: &[(&'static str, &str)], lifetime: u64) {
        let headers = headers(pairs);
        let timing = Timing { request: NOW, response: NOW };
        let status = StatusCode::from_u16(status).expect("status");
        let freshness = of(policy, status, &headers, &Directives::of(&headers), timing);
        assert_eq!(freshness.lifetime, Duration::from_secs(lifetime), "{pairs:?} {:?}", policy.ttl);
    }

    /// The table of CloudFront's guide, cell by cell: minimum TTL 0 and above 0.
    #[test]
    fn cloudfront_clamps_what_the_origin_says() {
        let zero = policy(Semantics::CloudFront, 0, 500, 1000);
        let some = policy(Semantics::CloudFront, 100, 500, 1000);
        for (pairs, with_zero, with_some) in [
            (&[("cache-control", "max-age=50")][..], 50, 100),
            (&[("cache-control", "max-age=5000")], 1000, 1000),
            (&[("cache-control", "max-age=50, s-maxage=300")], 300, 300),
            (&[("cache-control", "s-maxage=0, max-age=50")], 0, 100),
            (&[], 500, 500),
            (&[("expires", "{+60}")], 60, 100),
            (&[("expires", "{+60}"), ("date", "{+20}")], 40, 100),
            (&[("expires", "{+5000}")], 1000, 1000),
            (&[("expires", "0")], 0, 100),
            (&[("expires", "{-60}")], 0, 100),
            (&[("cache-control", "no-store, max-age=50")], 0, 100),
            (&[("cache-control", "no-cache")], 0, 100),
            (&[("cache-control", "private, max-age=50")], 0, 100),
        ] {
            check(&zero, 200, pairs, with_zero);
            check(&some, 200, pairs, with_some);
        }
    }

    #[test]
    fn cloudfront_keeps_some_errors_for_a_while() {
        let p = policy(Semantics::CloudFront, 0, 500, 1000);
        check(&p, 404, &[], 10);
        check(&p, 503, &[("cache-control", "no-store")], 10);
        check(&p, 404, &[("cache-control", "max-age=60")], 60);
        check(&p, 404, &[("cache-control", "max-age=1")], 10);
        check(&policy(Semantics::CloudFront, 0, 0, 0), 404, &[], 0);
        check(&policy(Semantics::CloudFront, 0, 0, 0), 200, &[("cache-control", "max-age=60")], 0);
    }

    #[test]
    fn rfc9111_counts_age_against_the_lifetime() {
        let p = policy(Semantics::Rfc9111, 0, 0, 1000);
        check(&p, 200, &[("cache-control", "max-age=50"), ("age", "20")], 30);
        check(&p, 200, &[("cache-control", "max-age=50"), ("age", "60")], 0);
        check(&p, 200, &[("cache-control", "max-age=50"), ("date", "{-10}")], 40);
        check(&p, 200, &[("cache-control", "max-age=50"), ("date", "{-10}"), ("age", "5")], 40);
        check(&p, 200, &[("expires", "{+60}"), ("date", "{-10}")], 60);
        check(&p, 200, &[("expires", "garbage")], 0);
        check(&p, 200, &[("expires", "{+60}"), ("expires", "{+90}")], 0);
        check(&p, 200, &[("cache-control", "max-age=5000")], 1000);
        check(&p, 200, &[], 0);
    }

    #[test]
    fn the_response_delay_is_part_of_the_age() {
        let headers = headers(&[("age", "7")]);
        let timing = Timing { request: NOW, response: NOW.after(Duration::from_secs(3)) };
        assert_eq!(initial_age(&headers, timing), Duration::from_secs(10));
    }
}
