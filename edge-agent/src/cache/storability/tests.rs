//! What may be stored, row by row.

use std::time::Duration;

use headland_proto::model::{Codings, NameSelection, TtlBounds};
use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;

type Pairs<'a> = &'a [(&'static str, &'a str)];

const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

fn policy(semantics: Semantics, min: u64) -> CachePolicy {
    let s = Duration::from_secs;
    let default = s(if semantics == Semantics::CloudFront { 100 } else { 0 });
    CachePolicy {
        semantics,
        ttl: TtlBounds { min: s(min), default, max: s(1000) },
        headers: vec![],
        cookies: NameSelection::None,
        query_strings: NameSelection::All,
        codings: Codings::default(),
    }
}

fn map(pairs: Pairs<'_>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, value.parse().expect("value"));
    }
    map
}

fn decide_on(
    policy: &CachePolicy,
    request: Pairs<'_>,
    status: u16,
    response: Pairs<'_>,
) -> Result<Storable, Reason> {
    let (request, response) = (map(request), map(response));
    decide(
        policy,
        RequestFacts {
            headers: &request,
            authorization: request.contains_key("authorization"),
            errors: &Default::default(),
        },
        ResponseFacts {
            status: StatusCode::from_u16(status).expect("status"),
            headers: &response,
            delimited: !response.contains_key("x-close"),
            timing: Timing { request: NOW, response: NOW },
        },
    )
}

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const TAG: (&str, &str) = ("etag", "\"a\"");
const NO_AGE: (&str, &str) = ("cache-control", "max-age=0");

fn check(request: Pairs<'_>, status: u16, response: Pairs<'_>, expected: Option<Reason>) {
    let actual = decide_on(&policy(Semantics::Rfc9111, 0), request, status, response).err();
    assert_eq!(actual, expected, "{request:?} {status} {response:?}");
}

fn cc(directives: &str) -> [(&'static str, &str); 1] {
    [("cache-control", directives)]
}

#[test]
fn rfc9111_section_3_directives() {
    check(&[], 200, &[FRESH], None); // RFC 9111 section 3
    check(&[], 200, &cc("max-age=60, no-store"), Some(Reason::NoStore)); // section 5.2.2.5
    check(&[], 200, &[FRESH, ("cache-control", "NO-STORE")], Some(Reason::NoStore)); // section 5.2
    check(&[], 200, &cc("max-age=60, private"), Some(Reason::Private)); // section 5.2.2.7
    check(&[], 200, &cc("max-age=60, private=\"x\""), None); // section 5.2.2.7
    check(&[], 200, &cc("max-age=60, private=\"\""), Some(Reason::Private)); // section 5.2.2.7
    check(&[("cache-control", "no-store")], 200, &[FRESH], Some(Reason::RequestNoStore)); // section 5.2.1.5
    check(&[("pragma", "no-cache")], 200, &[FRESH], None); // section 5.4 says nothing of storing
    check(&[], 200, &[FRESH, ("pragma", "no-cache")], None); // section 5.4, no meaning in a response
    check(&[], 200, &[FRESH, ("set-cookie", "a=1")], None); // section 7.3
    check(&[], 200, &[FRESH, ("vary", "*")], Some(Reason::Vary)); // section 4.1
    check(&[], 200, &[FRESH, ("vary", "accept")], None); // section 4.1
    check(&[], 200, &[FRESH, ("x-close", "")], Some(Reason::CloseDelimited)); // RFC 9112 section 8
    check(&[], 200, &[("cache-control", "no-store"), ("cdn-cache-control", "max-age=60")], None); // RFC 9213 section 2.2
    check(&[], 200, &[FRESH, ("cdn-cache-control", "no-store")], Some(Reason::NoStore)); // RFC 9213 section 2.2
}

#[test]
fn rfc9111_section_3_what_is_never_fresh_is_stored_only_to_be_validated() {
    check(&[], 200, &[], Some(Reason::NotFresh));
    check(&[], 200, &[NO_AGE], Some(Reason::NotFresh));
    check(&[], 200, &[FRESH, ("age", "60")], Some(Reason::NotFresh));
    check(&[], 200, &cc("max-age=60, no-cache"), Some(Reason::NoCache)); // section 5.2.2.4
    check(&[], 200, &cc("no-cache"), Some(Reason::NoCache));
    check(&[], 200, &[TAG], None); // section 4.3.1
    check(&[], 200, &[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("expires", "0")], None); // section 4.3.1
    check(&[], 200, &[NO_AGE, TAG], None); // section 4.3.1
    check(&[], 200, &[("cache-control", "no-cache"), TAG], None); // section 5.2.2.4
    check(&[], 200, &[("cache-control", "no-cache=\"etag\", max-age=0"), TAG], Some(Reason::NotFresh));
    check(&[], 200, &cc("max-age=0, stale-while-revalidate=60"), None); // RFC 5861 section 3
    check(&[], 200, &cc("max-age=0, stale-if-error=60"), None); // RFC 5861 section 4
    check(&[], 200, &cc("max-age=0, stale-if-error=60, must-revalidate"), Some(Reason::NotFresh)); // section 5.2.2.2
}

#[test]
fn rfc9111_section_3_5_authorization() {
    let authorization: Pairs<'_> = &[("authorization", "x")];
    check(authorization, 200, &[FRESH], Some(Reason::Authorization));
    for allowed in ["public", "must-revalidate", "s-maxage=60"] {
        check(authorization, 200, &[FRESH, ("cache-control", allowed)], None);
    }
    for other in ["proxy-revalidate", "immutable", "no-cache"] {
        check(authorization, 200, &[FRESH, ("cache-control", other)], Some(Reason::Authorization));
    }
    check(authorization, 200, &[("cdn-cache-control", "public, max-age=60")], None); // RFC 9213 section 2.2
}

#[test]
fn rfc9111_section_3_statuses() {
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        check(&[], status, &[TAG], None); // RFC 9110 section 15.1
        check(&[], status, &[FRESH], None);
    }
    for status in [201, 202, 205, 299, 302, 303, 307, 400, 401, 403, 409, 451, 499] {
        check(&[], status, &[TAG], Some(Reason::NotExplicit)); // RFC 9110 section 15.1
        check(&[], status, &[TAG, ("cache-control", "public")], None); // RFC 9111 section 3
        check(&[], status, &[FRESH], None); // RFC 9111 section 3
        check(&[], status, &[("expires", "Sun, 06 Nov 1994 08:49:37 GMT"), TAG], None); // RFC 9111 section 3
    }
    for status in [500, 502, 503, 504, 599] {
        check(&[], status, &[TAG], Some(Reason::Status)); // RFC 9110 section 15.1
        check(&[], status, &[FRESH], None); // RFC 9111 section 3
    }
    for status in [100, 101, 103, 199, 206, 304] {
        check(&[], status, &[FRESH, TAG], Some(Reason::Status)); // RFC 9111 section 3, final and understood
    }
    for status in [412, 416] {
        check(&[], status, &[FRESH], Some(Reason::Status)); // RFC 9110 sections 15.5.13 and 15.5.17
    }
    for status in [428, 429, 431, 511] {
        check(&[], status, &[FRESH], Some(Reason::Status)); // RFC 6585 sections 3 to 6
    }
}

#[test]
fn rfc9111_section_5_2_2_3_must_understand() {
    check(&[], 200, &cc("max-age=60, no-store, must-understand"), None);
    check(&[], 404, &cc("max-age=60, no-store, must-understand"), None);
    check(&[], 599, &cc("max-age=60, no-store, must-understand"), Some(Reason::Status));
    check(&[], 599, &cc("max-age=60, must-understand"), Some(Reason::Status));
    check(&[], 299, &cc("max-age=60, must-understand"), Some(Reason::Status));
    check(&[], 599, &cc("max-age=60"), None);
    check(&[], 206, &cc("max-age=60, must-understand"), Some(Reason::Status));
    check(&[], 200, &cc("max-age=60, private, must-understand"), Some(Reason::Private));
}

#[test]
fn fields_for_one_viewer_are_not_kept() {
    let p = policy(Semantics::Rfc9111, 0);
    let fields = "private=\"x-a, X-B\", no-cache=\"x-c\", max-age=60";
    let stored =
        decide_on(&p, &[], 200, &[("cache-control", fields), ("cache-groups", "\"g\"")]).expect("storable");
    let names: Vec<&str> = stored.fields_not_kept.iter().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-a", "x-b", "x-c"]); // RFC 9111 sections 5.2.2.4 and 5.2.2.7
    assert!(!stored.terms.validate_always);
    assert!(stored.is_shareable(NOW));
    assert_eq!(stored.groups.iter().map(|g| &**g).collect::<Vec<_>>(), ["g"]); // RFC 9875 section 2
}

#[test]
fn cloudfront_keeps_what_the_policy_says() {
    let p = policy(Semantics::CloudFront, 0);
    let some = policy(Semantics::CloudFront, 5);
    let check = |p: &CachePolicy, status, response: Pairs<'_>, expected| {
        assert_eq!(decide_on(p, &[], status, response).err(), expected, "{status} {response:?}");
    };
    // CloudFront guide, "Specify the amount of time that CloudFront caches objects".
    check(&p, 200, &[], None);
    check(&p, 200, &cc("no-store"), Some(Reason::NoStore));
    check(&p, 200, &[("cache-control", "no-store"), TAG], Some(Reason::NoStore));
    check(&p, 200, &[("cache-control", "private"), TAG], Some(Reason::Private));
    check(&p, 200, &cc("no-cache"), Some(Reason::NoCache));
    check(&p, 200, &[("cache-control", "no-cache"), TAG], None);
    check(&p, 200, &cc("max-age=0"), Some(Reason::NotFresh));
    check(&p, 200, &[NO_AGE, TAG], None);
    for directive in ["no-store", "no-cache", "private", "max-age=0"] {
        check(&some, 200, &cc(directive), None);
    }
    // CloudFront guide, "Vary".
    check(&p, 200, &[("vary", "*")], Some(Reason::Vary));
    check(&p, 200, &[("vary", "accept")], None);
    check(&some, 200, &[("vary", "*")], None);
    // CloudFront guide, "How CloudFront caches HTTP 4xx and 5xx status codes".
    for status in [404, 414, 500, 501, 502, 503, 504] {
        check(&p, status, &[], None);
        check(&p, status, &cc("no-store"), None);
    }
    for status in [400, 403, 405, 412, 415] {
        check(&p, status, &[], Some(Reason::NotExplicit));
        check(&p, status, &[("expires", "Thu, 18 Aug 2050 02:01:18 GMT")], Some(Reason::NotExplicit));
        check(&p, status, &[FRESH], None);
        check(&p, status, &cc("s-maxage=60"), None);
    }
    for status in [401, 402, 406, 409, 410, 429, 505, 599] {
        check(&p, status, &[FRESH], Some(Reason::Status));
    }
    check(&p, 302, &[], None);
    check(&p, 206, &[], Some(Reason::Status));
    check(&p, 304, &[FRESH], Some(Reason::Status));
    check(&p, 416, &[FRESH], Some(Reason::Status));
    check(&p, 200, &[("x-close", "")], Some(Reason::CloseDelimited));
}

#[test]
fn nothing_is_kept_under_a_maximum_of_zero() {
    for semantics in [Semantics::CloudFront, Semantics::Rfc9111] {
        let mut p = policy(semantics, 0);
        p.ttl.max = Duration::ZERO;
        assert_eq!(decide_on(&p, &[], 200, &[FRESH, TAG]).err(), Some(Reason::Policy));
        assert_eq!(decide_on(&p, &[], 404, &[FRESH, TAG]).err(), Some(Reason::Policy));
    }
}

fn directive() -> impl Strategy<Value = String> {
    let flags = [
        "no-store",
        "no-cache",
        "private",
        "public",
        "must-revalidate",
        "proxy-revalidate",
        "must-understand",
        "immutable",
        "no-cache=\"x\"",
        "private=\"x\"",
    ];
    prop_oneof![
        proptest::sample::select(flags.to_vec()).prop_map(str::to_owned),
        ("(max-age|s-maxage|stale-while-revalidate|stale-if-error)", 0u64..2000)
            .prop_map(|(n, s)| format!("{n}={s}")),
    ]
}

proptest! {
    /// What RFC 9111 section 3 forbids, said without the code under test.
    #[test]
    fn what_is_forbidden_is_never_stored(
        directives in proptest::collection::vec(directive(), 0..5),
        status in prop_oneof![100u16..600, Just(200u16)],
        authorization in any::<bool>(),
        tag in any::<bool>(),
    ) {
        let has = |name: &str| directives.iter().any(|d| d == name || d.starts_with(&format!("{name}=")));
        let is = |name: &str| directives.iter().any(|d| d == name);
        let text = directives.join(", ");
        let mut response = vec![("cache-control", text.as_str())];
        response.extend(tag.then_some(TAG));
        let request: Pairs<'_> = if authorization { &[("authorization", "x")] } else { &[] };
        let decided = decide_on(&policy(Semantics::Rfc9111, 0), request, status, &response);
        if let Ok(stored) = decided {
            prop_assert!(!is("no-store") || is("must-understand"));
            prop_assert!(!is("private"));
            prop_assert!(!authorization || is("public") || is("must-revalidate") || has("s-maxage"));
            prop_assert!(!matches!(status, 100..=199 | 206 | 304));
            prop_assert!(stored.terms.kept_until > NOW);
            prop_assert!(stored.terms.if_unreachable_until >= stored.terms.if_error_until);
            prop_assert!(stored.terms.validate_always == is("no-cache"));
            prop_assert_eq!(stored.fields_not_kept.is_empty(), !(directives.iter().any(|d| d.contains('"'))
                && (!is("no-cache") || directives.iter().any(|d| d.starts_with("private=")))));
            let forbidden = is("must-revalidate") || is("proxy-revalidate") || is("no-cache");
            let stale = [stored.terms.while_revalidate_until, stored.terms.if_unreachable_until];
            prop_assert!(!forbidden || stale == [Timestamp::default(); 2] && !stored.terms.stale_on_request);
            prop_assert!(!has("s-maxage") || !stored.terms.stale_on_request);
            // Fresh only by what is said, as nothing else says so here.
            prop_assert!(!stored.is_shareable(NOW) || has("max-age") || has("s-maxage"));
        }
    }
}
