//! How long a response may be used, row by row.

use std::time::SystemTime;

use headland_proto::model::{Codings, NameSelection, TtlBounds};

use super::*;

/// As distributions have it that do not say otherwise.
const ERROR_TTL: Duration = Duration::from_secs(10);

const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

fn policy(semantics: Semantics, min: u64, default: u64, max: u64) -> CachePolicy {
    let s = Duration::from_secs;
    CachePolicy {
        semantics,
        ttl: TtlBounds { min: s(min), default: s(default), max: s(max) },
        headers: vec![],
        cookies: NameSelection::None,
        query_strings: NameSelection::All,
        codings: Codings::default(),
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

/// `left`: seconds for which it is fresh from its receipt on.
fn check(policy: &CachePolicy, status: u16, pairs: &[(&'static str, &str)], left: u64, source: Source) {
    let headers = headers(pairs);
    let timing = Timing { request: NOW, response: NOW };
    let status = StatusCode::from_u16(status).expect("status");
    let freshness =
        of(policy, status, ERROR_TTL, &headers, &Directives::of(policy.semantics, &headers), timing);
    let actual = (freshness.fresh_until.since(NOW).as_secs(), freshness.source);
    assert_eq!(actual, (left, source), "{status} {pairs:?} {:?}", policy.ttl);
}

/// The table of CloudFront's guide, cell by cell: minimum TTL 0 and above 0.
#[test]
fn cloudfront_clamps_what_the_origin_says() {
    use Source::{DefaultTtl, Expires, MaxAge, MaxTtl, MinTtl, Nothing, SMaxage};
    let zero = policy(Semantics::CloudFront, 0, 500, 1000);
    let some = policy(Semantics::CloudFront, 100, 500, 1000);
    for (pairs, with_zero, with_some) in [
        // max-age
        (&[("cache-control", "max-age=50")][..], (50, MaxAge), (100, MinTtl)),
        (&[("cache-control", "max-age=150")], (150, MaxAge), (150, MaxAge)),
        (&[("cache-control", "max-age=5000")], (1000, MaxTtl), (1000, MaxTtl)),
        (&[("cache-control", "max-age=0")], (0, MaxAge), (100, MinTtl)),
        (&[("cache-control", "max-age=a")], (0, MaxAge), (100, MinTtl)),
        // nothing
        (&[], (500, DefaultTtl), (500, DefaultTtl)),
        (&[("cache-control", "public")], (500, DefaultTtl), (500, DefaultTtl)),
        (&[("last-modified", "{-50}")], (500, DefaultTtl), (500, DefaultTtl)),
        // max-age and s-maxage
        (&[("cache-control", "max-age=50, s-maxage=300")], (300, SMaxage), (300, SMaxage)),
        (&[("cache-control", "s-maxage=5000, max-age=50")], (1000, MaxTtl), (1000, MaxTtl)),
        (&[("cache-control", "s-maxage=0, max-age=50")], (0, SMaxage), (100, MinTtl)),
        // Expires
        (&[("expires", "{+60}")], (60, Expires), (100, MinTtl)),
        (&[("expires", "{+60}"), ("date", "{+20}")], (40, Expires), (100, MinTtl)),
        (&[("expires", "{+5000}")], (1000, MaxTtl), (1000, MaxTtl)),
        (&[("expires", "0")], (0, Expires), (100, MinTtl)),
        (&[("expires", "{-60}")], (0, Expires), (100, MinTtl)),
        (&[("expires", "{+60}"), ("cache-control", "max-age=200")], (200, MaxAge), (200, MaxAge)),
        // no-cache, no-store, private
        (&[("cache-control", "no-store, max-age=50")], (0, Nothing), (100, MinTtl)),
        (&[("cache-control", "no-cache")], (0, Nothing), (100, MinTtl)),
        (&[("cache-control", "private, max-age=500")], (0, Nothing), (100, MinTtl)),
        // Not in the guide: an Age does not shorten it, and targeted fields are not read.
        (&[("cache-control", "max-age=200"), ("age", "60")], (200, MaxAge), (200, MaxAge)),
        (&[("cdn-cache-control", "max-age=200")], (500, DefaultTtl), (500, DefaultTtl)),
    ] {
        check(&zero, 200, pairs, with_zero.0, with_zero.1);
        check(&some, 200, pairs, with_some.0, with_some.1);
    }
}

/// CloudFront guide, "How CloudFront caches HTTP 4xx and 5xx status codes".
#[test]
fn cloudfront_keeps_some_errors_for_a_while() {
    let p = policy(Semantics::CloudFront, 0, 500, 1000);
    for status in [404, 414, 500, 501, 502, 503, 504] {
        check(&p, status, &[], 10, Source::ErrorTtl);
        check(&p, status, &[("cache-control", "no-store")], 10, Source::ErrorTtl);
        check(&p, status, &[("cache-control", "max-age=60")], 60, Source::MaxAge);
        check(&p, status, &[("expires", "{+60}")], 60, Source::Expires);
        check(&p, status, &[("cache-control", "max-age=5000")], 1000, Source::MaxTtl);
        check(&p, status, &[("cache-control", "max-age=1")], 10, Source::ErrorTtl);
    }
    let nothing = policy(Semantics::CloudFront, 0, 0, 0);
    check(&nothing, 404, &[], 0, Source::MaxTtl);
    check(&nothing, 200, &[("cache-control", "max-age=60")], 0, Source::MaxTtl);
}

#[test]
fn rfc9111_takes_the_lifetime_from_the_first_that_is_there() {
    use Source::{Expires, MaxAge, MaxTtl, Nothing, SMaxage};
    let p = policy(Semantics::Rfc9111, 0, 0, 1000);
    let check = |pairs: &[(&'static str, &str)], left, source| check(&p, 200, pairs, left, source);
    check(&[("cache-control", "max-age=50, s-maxage=30"), ("expires", "{+90}")], 30, SMaxage); // section 4.2.1
    check(&[("cache-control", "max-age=50"), ("expires", "{+90}")], 50, MaxAge); // section 4.2.1
    check(&[("expires", "{+90}")], 90, Expires); // section 4.2.1, without Date
    check(&[("expires", "{+90}"), ("date", "{+0}")], 90, Expires); // section 4.2.1
    check(&[("expires", "{+60}"), ("date", "{-10}")], 60, Expires); // section 4.2.3: 70 less an apparent age of 10
    check(&[("expires", "{+60}"), ("date", "garbage")], 60, Expires); // RFC 9110 section 6.6.1, the time of receipt
    check(&[("expires", "{+60}"), ("date", "{+20}")], 40, Expires); // section 4.2.1
    check(&[("expires", "{-60}")], 0, Expires); // section 5.3
    check(&[("expires", "0")], 0, Expires); // section 5.3
    check(&[("expires", "garbage")], 0, Expires); // section 5.3
    check(&[("expires", "Thu, 18 Aug 2050 02:01:18 UTC")], 0, Expires); // section 4.2, another zone
    check(&[("expires", "tHU, 18 aUG 2050 02:01:18 gMT")], 1000, MaxTtl); // section 4.2, any case
    check(&[("expires", "{+60}"), ("expires", "{+90}")], 0, Expires); // section 4.2.1, several
    check(&[("cache-control", "max-age=a"), ("expires", "{+90}")], 0, MaxAge); // section 4.2.1
    check(&[("cache-control", "max-age=5000")], 1000, MaxTtl);
    check(&[("cdn-cache-control", "max-age=9"), ("cache-control", "max-age=50")], 9, MaxAge); // RFC 9213 section 2.2
    check(&[("cdn-cache-control", "none"), ("expires", "{+90}")], 0, Nothing); // RFC 9213 section 2.2
    check(&[], 0, Nothing);
}

#[test]
fn rfc9111_counts_age_against_the_lifetime() {
    let p = policy(Semantics::Rfc9111, 0, 0, u64::from(u32::MAX));
    let fresh = ("cache-control", "max-age=50");
    let check = |more: &[(&'static str, &str)], left| {
        check(&p, 200, &[&[fresh], more].concat(), left, Source::MaxAge);
    };
    check(&[], 50);
    check(&[("age", "20")], 30); // section 4.2.3, age_value
    check(&[("age", "50")], 0); // section 4.2: fresh only while the lifetime exceeds the age
    check(&[("age", "60")], 0); // section 4.2
    check(&[("age", "20, 60")], 30); // section 5.1, the first member
    check(&[("age", "20"), ("age", "60")], 30); // section 5.1
    check(&[("age", "-20")], 50); // section 5.1, invalid
    check(&[("age", "20.5")], 50); // section 5.1
    check(&[("age", "\"20\"")], 50); // section 5.1
    check(&[("age", "")], 50); // section 5.1
    check(&[("age", "99999999999999999999")], 0); // section 1.2.2
    check(&[("date", "{-10}")], 40); // section 4.2.3, apparent_age
    check(&[("date", "{+10}")], 50); // section 4.2.3, never negative
    check(&[("date", "{-10}"), ("age", "5")], 40); // section 4.2.3, the larger
    check(&[("date", "{-5}"), ("age", "10")], 40); // section 4.2.3
    check(&[("date", "garbage")], 50); // RFC 9110 section 6.6.1
}

/// An age beyond the beginning of all time is not forgotten.
#[test]
fn the_largest_age_outweighs_the_largest_lifetime() {
    let p = policy(Semantics::Rfc9111, 0, 0, 1 << 40);
    let max = &[("cache-control", "max-age=2147483648"), ("age", "2147483648")];
    check(&p, 200, max, 0, Source::MaxAge); // section 1.2.2
}

#[test]
fn the_response_delay_is_part_of_the_age() {
    let check = |age: &str, delay_millis, expected| {
        let headers = headers(&[("age", age)]);
        let timing = Timing { request: NOW, response: NOW.after(Duration::from_millis(delay_millis)) };
        assert_eq!(initial_age(&headers, timing), Duration::from_secs(expected), "{age} {delay_millis}");
    };
    check("7", 3000, 10); // section 4.2.3, corrected_age_value
    check("7", 900, 7);
    check("x", 3000, 3);
}

#[test]
fn guesses_are_made_only_where_they_are_allowed() {
    use Source::{DefaultTtl, Heuristic, MaxAge, Nothing};
    let p = policy(Semantics::Rfc9111, 0, 0, 1_000_000);
    let old = ("last-modified", "{-1000}");
    check(&p, 200, &[old], 100, Heuristic); // section 4.2.2
    check(&p, 200, &[old, ("date", "{-100}")], 0, Heuristic); // section 4.2.3: 90 less an age of 100
    check(&p, 200, &[old, ("date", "{+1000}")], 200, Heuristic); // section 4.2.2
    check(&p, 200, &[("last-modified", "{-100000000}")], 86_400, Heuristic); // section 4.2.2, a bound
    check(&p, 200, &[("last-modified", "{+1000}")], 0, Nothing);
    check(&p, 200, &[("last-modified", "garbage")], 0, Nothing);
    check(&p, 200, &[], 0, Nothing);
    check(&p, 200, &[old, ("cache-control", "max-age=7")], 7, MaxAge); // section 4.2.2, MUST NOT
    check(&p, 200, &[old, ("expires", "0")], 0, Source::Expires); // section 4.2.2, MUST NOT
    for status in [203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        check(&p, status, &[old], 100, Heuristic); // RFC 9110 section 15.1
    }
    for status in [201, 302, 303, 307, 400, 403, 500, 503, 599] {
        check(&p, status, &[old], 0, Nothing); // RFC 9110 section 15.1
        check(&p, status, &[old, ("cache-control", "public")], 100, Heuristic); // section 4.2.2, marked as cacheable
    }
    let with_default = policy(Semantics::Rfc9111, 0, 70, 1000);
    check(&with_default, 200, &[old], 70, DefaultTtl);
    check(&with_default, 200, &[], 70, DefaultTtl);
    check(&with_default, 302, &[], 0, Nothing); // RFC 9110 section 15.1
    check(&with_default, 302, &[("cache-control", "public")], 70, DefaultTtl); // section 4.2.2
    check(&with_default, 200, &[("age", "30")], 40, DefaultTtl); // section 4.2.3
}
