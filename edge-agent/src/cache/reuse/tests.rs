//! When a stored response may be used, row by row.

use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;

use super::*;
use crate::cache::object::Unpacked;

const STORED: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

/// Fresh for 60 seconds, and stale for nobody.
fn head() -> Unpacked {
    let mut head = Unpacked::sample(STORED, Duration::from_secs(60));
    head.terms.stale_on_request = true;
    head
}

fn at(seconds: u64) -> Timestamp {
    STORED.after(Duration::from_secs(seconds))
}

fn request(cache_control: &'static str) -> RequestDirectives {
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    RequestDirectives::of(&headers)
}

fn check(head: &Unpacked, cache_control: &'static str, seconds: u64, expected: Reuse) {
    assert_eq!(
        decide(&head.clone().pack(), &request(cache_control), at(seconds)),
        expected,
        "{cache_control} after {seconds} s"
    );
}

#[test]
fn freshness_and_what_the_request_asks_decide() {
    use Cause::{Expired, NoCache, RequestMaxAge, RequestMinFresh, RequestNoCache};
    use Reuse::{Fresh, Validate};
    let h = head();
    check(&h, "", 0, Fresh); // RFC 9111 section 4.2
    check(&h, "", 59, Fresh); // section 4.2
    check(&h, "", 60, Validate(Expired)); // section 4.2, the lifetime must exceed the age
    check(&h, "no-cache", 0, Validate(RequestNoCache)); // section 5.2.1.4
    check(&h, "no-cache", 60, Validate(RequestNoCache)); // section 5.2.1.4
    check(&h, "max-age=10", 10, Fresh); // section 5.2.1.1
    check(&h, "max-age=10", 11, Validate(RequestMaxAge)); // section 5.2.1.1
    check(&h, "max-age=0", 0, Validate(RequestMaxAge)); // section 5.2.1.1
    check(&h, "max-age=a", 0, Validate(RequestMaxAge)); // section 5.2.1.1, unreadable
    check(&h, "min-fresh=10", 50, Fresh); // section 5.2.1.3
    check(&h, "min-fresh=10", 51, Validate(RequestMinFresh)); // section 5.2.1.3
    check(&h, "max-age=10, max-stale", 20, Validate(RequestMaxAge)); // section 5.2.1.1
    check(&h, "no-store", 0, Fresh); // section 5.2.1.5 says nothing of what is stored already
    let mut immutable = head();
    immutable.terms.immutable = true;
    check(&immutable, "max-age=0", 5, Fresh); // RFC 8246 section 2
    check(&immutable, "no-cache", 5, Validate(RequestNoCache)); // RFC 8246 section 2, a signal
    check(&immutable, "max-age=0", 60, Validate(Expired)); // RFC 8246 section 2, while it is fresh
    let mut no_cache = head();
    no_cache.terms.validate_always = true;
    check(&no_cache, "", 0, Validate(NoCache)); // RFC 9111 section 5.2.2.4
    check(&no_cache, "max-stale", 70, Validate(NoCache)); // RFC 9111 section 5.2.2.4
}

#[test]
fn a_viewer_may_want_what_is_stale() {
    use Reuse::{Stale, Validate};
    let h = head();
    check(&h, "max-stale", 1000, Stale(Permission::MaxStale)); // RFC 9111 section 5.2.1.2
    check(&h, "max-stale=10", 70, Stale(Permission::MaxStale)); // section 5.2.1.2
    check(&h, "max-stale=10", 71, Validate(Cause::Expired)); // section 5.2.1.2
    check(&h, "max-stale=10, max-age=65", 65, Stale(Permission::MaxStale)); // section 5.2.1.1
    check(&h, "max-stale=10, max-age=60", 65, Validate(Cause::Expired)); // section 5.2.1.1
    check(&h, "max-stale, min-fresh=5", 65, Validate(Cause::Expired)); // section 5.2.1.3
    let mut strict = head();
    strict.terms.stale_on_request = false;
    check(&strict, "max-stale", 61, Validate(Cause::Expired)); // section 4.2.4
}

#[test]
fn the_origin_may_allow_what_is_stale() {
    use Reuse::{Stale, Validate};
    let mut h = head();
    h.terms.while_revalidate_until = at(90);
    check(&h, "", 89, Stale(Permission::WhileRevalidate)); // RFC 5861 section 3
    check(&h, "", 90, Validate(Cause::Expired)); // RFC 5861 section 3
    check(&h, "max-age=1000", 70, Validate(Cause::Expired)); // RFC 9111 section 5.2.1.1, not willing to accept stale
    check(&h, "min-fresh=1", 70, Validate(Cause::Expired)); // RFC 9111 section 5.2.1.3
    check(&h, "no-cache", 70, Validate(Cause::RequestNoCache)); // RFC 9111 section 5.2.1.4
    h.terms.hold_until = at(100);
    check(&h, "", 95, Validate(Cause::Expired)); // held, but not allowed to stand in
    h.terms.if_error_until = at(98);
    check(&h, "", 95, Stale(Permission::Hold)); // RFC 5861 section 4
    check(&h, "", 98, Validate(Cause::Expired)); // RFC 5861 section 4
}

#[test]
fn a_stale_response_stands_in_for_a_failing_origin() {
    let mut h = head();
    h.terms.if_error_until = at(90);
    h.terms.if_unreachable_until = at(120);
    let check = |cc, cause, failing, seconds, expected| {
        let actual = on_failure(&h.clone().pack(), &request(cc), cause, failing, at(seconds));
        assert_eq!(actual, expected, "{cc} {cause:?} {failing:?} after {seconds} s");
    };
    let (error, unreachable) = (Some(Permission::Error), Some(Permission::Unreachable));
    check("", Cause::Expired, Failing::Error, 89, error); // RFC 5861 section 4
    check("", Cause::Expired, Failing::Error, 90, None); // RFC 5861 section 4
    check("", Cause::Expired, Failing::Unreachable, 119, unreachable); // RFC 9111 section 4.2.4
    check("", Cause::Expired, Failing::Unreachable, 120, None); // RFC 9111 section 4.2.4
    check("", Cause::NoCache, Failing::Unreachable, 70, None); // RFC 9111 section 5.2.2.4
    check("", Cause::Invalidated, Failing::Unreachable, 70, None); // RFC 9111 section 4.4
    check("", Cause::RequestNoCache, Failing::Error, 10, None); // RFC 9111 section 5.2.1.4
    check("stale-if-error=100", Cause::Expired, Failing::Error, 150, error); // RFC 5861 section 4, in a request
    check("stale-if-error=10", Cause::Expired, Failing::Error, 150, None); // RFC 5861 section 4, in a request
    check("stale-if-error=100", Cause::NoCache, Failing::Error, 150, None); // RFC 9111 section 5.2.2.4
}

proptest! {
    /// What RFC 9111 section 4 forbids, said without the code under test.
    #[test]
    fn what_is_forbidden_is_never_used(
        now in 0u64..300,
        windows in any::<[Option<u8>; 4]>(),
        flags in any::<[bool; 4]>(),
        wishes in any::<[Option<u8>; 3]>(),
    ) {
        let mut h = head();
        let until = |window: Option<u8>| window.map(|s| at(60 + u64::from(s))).unwrap_or_default();
        h.terms.while_revalidate_until = until(windows[0]);
        h.terms.if_error_until = until(windows[1]);
        h.terms.if_unreachable_until = until(windows[2]).max(h.terms.if_error_until);
        h.terms.hold_until = until(windows[3]);
        h.terms.validate_always = flags[0];
        h.terms.immutable = flags[1];
        h.terms.stale_on_request = flags[2];
        let request = RequestDirectives {
            no_cache: flags[3],
            max_age: wishes[0].map(u64::from),
            min_fresh: wishes[1].map(u64::from),
            max_stale: wishes[2].map(u64::from),
            ..RequestDirectives::default()
        };
        let reuse = decide(&h.clone().pack(), &request, at(now));
        let may_skip_asking = !request.no_cache && !h.terms.validate_always;
        prop_assert!(may_skip_asking || matches!(reuse, Reuse::Validate(_)));
        match reuse {
            Reuse::Fresh => {
                prop_assert!(now < 60);
                prop_assert!(h.terms.immutable || request.max_age.is_none_or(|max| now <= max));
                prop_assert!(request.min_fresh.is_none_or(|min| now + min <= 60));
            }
            Reuse::Stale(permission) => {
                prop_assert!(now >= 60);
                prop_assert!(request.max_age.is_none_or(|max| now <= max && request.max_stale.is_some()));
                prop_assert!(request.min_fresh.is_none());
                let allowed = match permission {
                    Permission::MaxStale => flags[2] && request.max_stale.is_some_and(|max| now - 60 <= max),
                    Permission::WhileRevalidate => windows[0].is_some_and(|s| now < 60 + u64::from(s)),
                    Permission::Hold => [windows[0], windows[1]].iter().flatten().any(|&s| now < 60 + u64::from(s)),
                    Permission::Error | Permission::Unreachable => false,
                };
                prop_assert!(allowed);
            }
            Reuse::Validate(cause) => {
                prop_assert_eq!(cause == Cause::Expired, now >= 60 && may_skip_asking);
                for failing in [Failing::Error, Failing::Unreachable] {
                    if on_failure(&h.clone().pack(), &request, cause, failing, at(now)).is_some() {
                        let wish = failing == Failing::Unreachable && cause.is_the_requests();
                        prop_assert!(!h.terms.validate_always && (wish || now >= 60));
                    }
                }
            }
        }
    }
}
