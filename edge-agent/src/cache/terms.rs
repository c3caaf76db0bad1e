//! Terms: what a stored response allows from the moment it is stored, worked out once so that a lookup only compares times.

use std::time::Duration;

use headland_proto::model::{CachePolicy, Semantics};
use http::StatusCode;

use super::{
    cache_control::Directives,
    freshness::{self, Freshness},
    reuse::Failing,
};
use crate::clock::Timestamp;

/// An expired response is kept, to be validated or to stand in for an origin that fails, for as long again as it was fresh, within
/// these bounds.
const KEPT_AFTER_EXPIRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(86_400));
/// One that has to be validated before every use has no such measure.
const KEPT_FOR_VALIDATION: Duration = Duration::from_secs(3600);

/// What a stored response allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long it is fresh and why.
    pub freshness: Freshness,
    /// `no-cache`: not even while it is fresh without asking the origin (RFC 9111 section 5.2.2.4).
    pub validate_always: bool,
    /// `immutable` (RFC 8246).
    pub immutable: bool,
    /// Whether a viewer's max-stale counts (RFC 9111 section 4.2.4).
    pub stale_on_request: bool,
    /// Until when it may be used while it is being revalidated (RFC 5861 section 3).
    pub while_revalidate_until: Timestamp,
    /// Until when it may stand in for an error from the origin (RFC 5861 section 4).
    pub if_error_until: Timestamp,
    /// Until when it may stand in for an origin that cannot be reached (RFC 9111 section 4.2.4, "disconnected").
    pub if_unreachable_until: Timestamp,
    /// The origin failed a moment ago: until then there is no use in asking again.
    pub hold_until: Timestamp,
    /// How it failed then.
    pub held_for: Failing,
    /// Until when it is worth keeping.
    pub kept_until: Timestamp,
}

impl Terms {
    /// Whether requests that waited while it was fetched may have it, too: without asking the origin again for each.
    #[must_use]
    pub fn is_shareable(&self, now: Timestamp) -> bool {
        now < self.freshness.fresh_until && !self.validate_always
    }
}

/// The terms of a response received at `received`. `has_validator`: whether it can be asked about with a conditional request.
#[must_use]
pub fn of(
    policy: &CachePolicy,
    status: StatusCode,
    cc: &Directives,
    freshness: Freshness,
    received: Timestamp,
    has_validator: bool,
) -> Terms {
    let expires = freshness.fresh_until;
    let window = |seconds: Option<u64>| {
        seconds.map(|s| expires.after(Duration::from_secs(s).min(policy.ttl.max))).unwrap_or_default()
    };
    let fresh_for = expires.since(received);
    let validate_always = policy.semantics == Semantics::Rfc9111 && cc.no_cache.is_whole();
    let is_fresh_for_a_while = !validate_always && !fresh_for.is_zero();
    let kept_after = if is_fresh_for_a_while {
        fresh_for.clamp(KEPT_AFTER_EXPIRY.0, KEPT_AFTER_EXPIRY.1)
    } else {
        KEPT_FOR_VALIDATION
    };
    let kept_stale_until = expires.max(received).after(kept_after);
    // What was never to be used as it is, and cannot be asked about, is not kept for the day its origin fails.
    let by_default =
        if is_fresh_for_a_while || has_validator { kept_stale_until } else { Timestamp::default() };
    let stale = match policy.semantics {
        Semantics::Rfc9111 => rfc9111(
            cc,
            validate_always,
            by_default,
            window(cc.stale_while_revalidate),
            window(cc.stale_if_error),
        ),
        Semantics::CloudFront => {
            let respected = policy.ttl.min.is_zero() && freshness::forbids_reuse(cc);
            // An error is no object to keep serving.
            let by_default = if status.as_u16() < 400 { by_default } else { Timestamp::default() };
            let if_error = cc.stale_if_error.map(|seconds| window(Some(seconds)));
            cloudfront(respected, by_default, window(cc.stale_while_revalidate), if_error)
        }
    };
    let kept_for_validation = match (has_validator, validate_always) {
        (true, _) => kept_stale_until,
        (false, false) => expires,
        // It can never be used.
        (false, true) => Timestamp::default(),
    };
    Terms {
        freshness,
        validate_always,
        immutable: cc.immutable,
        stale_on_request: stale.on_request,
        while_revalidate_until: stale.while_revalidate,
        if_error_until: stale.if_error,
        if_unreachable_until: stale.if_unreachable,
        hold_until: Timestamp::default(),
        held_for: Failing::Error,
        kept_until: kept_for_validation.max(stale.while_revalidate).max(stale.if_unreachable),
    }
}

/// Until when it may be used stale, and for what. `if_unreachable` is never before `if_error`.
struct Stale {
    on_request: bool,
    while_revalidate: Timestamp,
    if_error: Timestamp,
    if_unreachable: Timestamp,
}

/// RFC 9111 section 4.2.4. Only what asks for validation in so many words forbids what the response itself allows. s-maxage, which
/// implies proxy-revalidate (section 5.2.2.10), forbids what it does not allow itself: a stale-while-revalidate or stale-if-error beside
/// it is a later word of the same origin on the same question (section 5.2.3), and other shared caches read it so.
fn rfc9111(
    cc: &Directives,
    validate_always: bool,
    by_default: Timestamp,
    while_revalidate: Timestamp,
    if_error: Timestamp,
) -> Stale {
    let never = Timestamp::default();
    if cc.must_revalidate || cc.proxy_revalidate || validate_always {
        return Stale { on_request: false, while_revalidate: never, if_error: never, if_unreachable: never };
    }
    let on_request = cc.s_maxage.is_none();
    // Its limit is one for an origin that cannot be reached as well (RFC 5861 section 4).
    let unlimited = on_request && cc.stale_if_error.is_none();
    let if_unreachable = if_error.max(if unlimited { by_default } else { never });
    Stale { on_request, while_revalidate, if_error, if_unreachable }
}

/// An object that has expired is kept serving while the origin fails, unless the origin limits that (CloudFront guide, "Serve stale
/// (expired) content"), or said that it is not to be reused and is respected (no minimum TTL).
fn cloudfront(
    respected: bool,
    by_default: Timestamp,
    while_revalidate: Timestamp,
    if_error: Option<Timestamp>,
) -> Stale {
    let never = Timestamp::default();
    if respected {
        return Stale { on_request: false, while_revalidate: never, if_error: never, if_unreachable: never };
    }
    let if_error = if_error.unwrap_or(by_default);
    Stale { on_request: false, while_revalidate, if_error, if_unreachable: if_error }
}

#[cfg(test)]
mod tests {
    use headland_proto::model::{Codings, NameSelection, TtlBounds};
    use http::{HeaderMap, HeaderValue, header};

    use super::*;
    use crate::cache::freshness::Timing;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
    const ZERO_MIN: u64 = 0;

    fn terms(semantics: Semantics, min: u64, status: u16, cache_control: &str, has_validator: bool) -> Terms {
        let s = Duration::from_secs;
        let policy = CachePolicy {
            semantics,
            ttl: TtlBounds { min: s(min), default: s(min), max: s(100_000) },
            headers: vec![],
            cookies: NameSelection::None,
            query_strings: NameSelection::All,
            codings: Codings::default(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_str(cache_control).expect("value"));
        let cc = Directives::of(semantics, &headers);
        let status = StatusCode::from_u16(status).expect("status");
        let freshness = freshness::of(
            &policy,
            status,
            Duration::from_secs(10),
            &headers,
            &cc,
            Timing { request: NOW, response: NOW },
        );
        of(&policy, status, &cc, freshness, NOW, has_validator)
    }

    /// Seconds from now: while it is revalidated, for an error, for an origin that cannot be reached; 0 is not at all.
    fn check(terms: Terms, windows: [u64; 3], on_request: bool, kept: u64, row: &str) {
        let seconds = |until: Timestamp| until.since(NOW).as_secs();
        let actual =
            [terms.while_revalidate_until, terms.if_error_until, terms.if_unreachable_until].map(seconds);
        assert_eq!(
            (actual, terms.stale_on_request, seconds(terms.kept_until)),
            (windows, on_request, kept),
            "{row}"
        );
    }

    #[test]
    fn rfc9111_allows_stale_use_where_nothing_forbids_it() {
        for (cc, windows, on_request, kept) in [
            ("max-age=60", [0, 0, 120], true, 120), // RFC 9111 section 4.2.4, disconnected
            ("max-age=1", [0, 0, 6], true, 6),
            ("max-age=99999", [0, 0, 99_999 + 86_400], true, 99_999 + 86_400),
            ("max-age=60, stale-while-revalidate=30", [90, 0, 120], true, 120), // RFC 5861 section 3
            ("max-age=60, stale-while-revalidate=300", [360, 0, 120], true, 360), // RFC 5861 section 3
            ("max-age=60, stale-if-error=30", [0, 90, 90], true, 120),          // RFC 5861 section 4
            ("max-age=60, stale-if-error=300", [0, 360, 360], true, 360),       // RFC 5861 section 4
            ("max-age=60, stale-if-error=999999", [0, 100_060, 100_060], true, 100_060), // the policy's maximum
            ("max-age=60, must-revalidate, stale-if-error=30", [0, 0, 0], false, 120), // RFC 9111 section 5.2.2.2
            ("max-age=60, proxy-revalidate, stale-while-revalidate=30", [0, 0, 0], false, 120), // section 5.2.2.8
            ("max-age=60, no-cache, stale-while-revalidate=30", [0, 0, 0], false, 3660), // section 5.2.2.4
            ("s-maxage=60", [0, 0, 0], false, 120),                                      // section 5.2.2.10
            ("s-maxage=60, stale-while-revalidate=30", [90, 0, 0], false, 120), // sections 5.2.2.10 and 5.2.3
            ("s-maxage=60, stale-if-error=30", [0, 90, 90], false, 120),        // sections 5.2.2.10 and 5.2.3
            ("max-age=60, no-cache=\"x\"", [0, 0, 120], true, 120), // section 5.2.2.4, with fields
            ("max-age=0", [0, 0, 3600], true, 3600),                // section 4.3
        ] {
            check(terms(Semantics::Rfc9111, ZERO_MIN, 200, cc, true), windows, on_request, kept, cc);
        }
        // Without a validator there is nothing to keep it for but its stale use.
        for (cc, windows, on_request, kept) in [
            ("max-age=60", [0, 0, 120], true, 120),
            ("max-age=60, must-revalidate", [0, 0, 0], false, 60),
            ("max-age=0", [0, 0, 0], true, 0),
            ("no-cache, max-age=60", [0, 0, 0], false, 0), // section 5.2.2.4
            ("max-age=0, stale-while-revalidate=30", [30, 0, 0], true, 30),
        ] {
            check(terms(Semantics::Rfc9111, ZERO_MIN, 200, cc, false), windows, on_request, kept, cc);
        }
    }

    /// CloudFront guide, "Serve stale (expired) content".
    #[test]
    fn cloudfront_keeps_serving_what_has_expired() {
        for (min, status, cc, windows, kept) in [
            (ZERO_MIN, 200, "max-age=60", [0, 120, 120], 120),
            (ZERO_MIN, 200, "max-age=60, must-revalidate", [0, 120, 120], 120),
            (ZERO_MIN, 200, "max-age=60, stale-if-error=0", [0, 60, 60], 120),
            (ZERO_MIN, 200, "max-age=60, stale-if-error=9", [0, 69, 69], 120),
            (ZERO_MIN, 200, "max-age=60, stale-while-revalidate=9", [69, 120, 120], 120),
            (ZERO_MIN, 404, "max-age=60", [0, 0, 0], 120),
            (ZERO_MIN, 200, "max-age=0", [0, 3600, 3600], 3600),
            (ZERO_MIN, 200, "no-cache, stale-while-revalidate=9", [0, 0, 0], 3600),
            (60, 200, "no-cache", [0, 120, 120], 120),
            (60, 200, "no-store, stale-if-error=0", [0, 60, 60], 120),
        ] {
            check(terms(Semantics::CloudFront, min, status, cc, true), windows, false, kept, cc);
        }
    }

    #[test]
    fn waiters_share_what_is_fresh() {
        let check = |cc, semantics, expected| {
            assert_eq!(terms(semantics, 0, 200, cc, true).is_shareable(NOW), expected, "{cc}");
        };
        check("max-age=1", Semantics::Rfc9111, true);
        check("max-age=0", Semantics::Rfc9111, false);
        check("max-age=9, no-cache", Semantics::Rfc9111, false); // RFC 9111 section 5.2.2.4
        check("max-age=1", Semantics::CloudFront, true);
        check("max-age=9, no-cache", Semantics::CloudFront, false);
    }
}
