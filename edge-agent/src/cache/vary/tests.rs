//! Which requests match, row by row.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

type Pairs<'a> = &'a [(&'static str, &'a str)];

fn headers(pairs: Pairs<'_>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("value"));
    }
    map
}

fn vary(vary: Pairs<'_>, request: Pairs<'_>) -> Option<Vary> {
    Vary::of(&headers(vary), &headers(request)).expect("readable")
}

fn check(names: Pairs<'_>, first: Pairs<'_>, second: Pairs<'_>, same: bool) {
    let stored = vary(names, first);
    let request = headers(second);
    assert_eq!(stored.as_ref().is_none_or(|v| v.matches(&request)), same, "{first:?} {second:?}");
    // The normal form is what it is whoever came first, and equal exactly when it matches.
    assert_eq!(stored == vary(names, second), same, "{first:?} {second:?}");
    assert_eq!(stored.is_none_or(|v| v.differences(&request).next().is_none()), same, "{first:?} {second:?}");
}

#[test]
fn a_request_with_other_values_does_not_match() {
    let names: Pairs<'_> = &[("vary", "Accept, X-A"), ("vary", "x-a")];
    check(names, &[("accept", "a")], &[("accept", "a"), ("x-other", "1")], true); // RFC 9111 section 4.1
    check(names, &[("accept", "a")], &[("accept", "b")], false); // section 4.1
    check(names, &[("accept", "a")], &[], false); // section 4.1, absent matches absent only
    check(names, &[], &[("x-a", "")], false); // section 4.1
    check(names, &[("x-a", "")], &[], false); // section 4.1
    check(names, &[("x-a", "")], &[("x-a", "")], true);
    check(names, &[], &[], true); // section 4.1
    check(names, &[("x-a", "1"), ("x-a", "2")], &[("x-a", "1"), ("x-a", "2")], true);
    check(names, &[("x-a", "1"), ("x-a", "2")], &[("x-a", "2"), ("x-a", "1")], false); // order may count
    check(&[], &[("accept", "a")], &[("accept", "b")], true);
    check(&[("vary", " , ")], &[("accept", "a")], &[("accept", "b")], true); // RFC 9110 section 5.6.1.2
}

/// RFC 9111 section 4.1, what a cache may do before it compares.
#[test]
fn differences_without_meaning_do_not_count() {
    let any: Pairs<'_> = &[("vary", "x-a")];
    check(any, &[("x-a", "1, 2")], &[("x-a", "1,2")], true); // whitespace
    check(any, &[("x-a", "1 ,\t2")], &[("x-a", "1,2")], true); // whitespace
    check(any, &[("x-a", "1"), ("x-a", "2")], &[("x-a", "1, 2")], true); // lines combined
    check(any, &[("x-a", "\"1, 2\"")], &[("x-a", "\"1,2\"")], false); // inside quotes
    check(any, &[("x-a", "\"\\\", 2\"")], &[("x-a", "\"\\\",2\"")], false); // behind a quoted quote
    check(any, &[("x-a", "a")], &[("x-a", "A")], false); // nobody knows that it may
    check(any, &[("x-a", "1,,2")], &[("x-a", "1,2")], false); // nobody knows that it is a list
    check(any, &[("x-a", "é")], &[("x-a", "è")], false);
    check(any, &[("x-a", "é, 1")], &[("x-a", "é,1")], true);
    let encoding: Pairs<'_> = &[("vary", "accept-encoding")];
    let encodings = |a, b, same| check(encoding, &[("accept-encoding", a)], &[("accept-encoding", b)], same);
    encodings("gzip, br", "GZIP,br", true); // RFC 9110 section 8.4.1, in any case
    encodings("gzip;q=0.5", "gzip ; Q=0.5", true); // RFC 9110 section 12.4.2
    encodings("gzip,, br,", "gzip, br", true); // RFC 9110 section 5.6.1.2
    encodings("gzip, br", "br, gzip", false);
    encodings("gzip;q=0", "gzip", false);
    encodings("", ",", true); // RFC 9110 section 5.6.1.2
    let language: Pairs<'_> = &[("vary", "accept-language")];
    let languages = |a, b, same| check(language, &[("accept-language", a)], &[("accept-language", b)], same);
    languages("en, de;q=0.5", "de;q=0.5, EN", true); // RFC 9110 section 12.5.4, by weight
    languages("en;q=0.50, de;q=0.5", "de;q=0.5, en;q=0.50", false); // equal weights: order may count
    languages("en, de;q=0.999, fr;q=1", "fr;q=1,en,de;q=0.999", false);
    languages("en, de;q=0.999, fr;q=1.000", "en,fr;q=1.000,de;q=0.999", true);
    languages("en, de;q=x", "de;q=x, en", false);
    check(
        &[("vary", "accept-charset")],
        &[("accept-charset", "UTF-8")],
        &[("accept-charset", "utf-8")],
        true,
    );
}

#[test]
fn single_values_are_left_alone() {
    for name in ["user-agent", "authorization", "referer", "origin", "host", "from", "if-modified-since"] {
        let names: Pairs<'_> = &[("vary", name)];
        check(names, &[(name, "a, b")], &[(name, "a,b")], false);
        check(names, &[(name, "a"), (name, "b")], &[(name, "a, b")], false);
        check(names, &[(name, "a, b")], &[(name, "a, b")], true);
    }
    let cookie: Pairs<'_> = &[("vary", "cookie")];
    check(cookie, &[("cookie", "a=1"), ("cookie", "b=2")], &[("cookie", "a=1; b=2")], true); // RFC 9113 section 8.2.3
    check(cookie, &[("cookie", "a=1,b")], &[("cookie", "a=1, b")], false);
}

#[test]
fn star_and_garbage_never_match() {
    let many = (0..=NAMES_MAX).map(|i| format!("x-{i}")).collect::<Vec<_>>().join(",");
    for value in ["*", "accept, *", "*, *", "a b", "é", &many] {
        assert_eq!(Vary::of(&headers(&[("vary", value)]), &HeaderMap::new()), Err(NeverMatches), "{value}"); // section 4.1
    }
}

#[test]
fn what_differs_is_told() {
    let stored = vary(&[("vary", "x-b, accept-language, x-a")], &[("accept-language", "EN"), ("x-a", "1")])
        .expect("some");
    assert_eq!(stored.names().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept-language", "x-a", "x-b"]);
    let request = headers(&[("accept-language", "de, fr"), ("x-a", "1"), ("x-b", "")]);
    let differences: Vec<_> =
        stored.differences(&request).map(|(name, a, b)| (name.as_str(), a, b)).collect();
    assert_eq!(
        differences,
        [("accept-language", Some("en"), Some("de,fr".into())), ("x-b", None, Some("".into()))]
    );
}

#[test]
fn the_same_names_in_another_order_are_the_same() {
    let request: Pairs<'_> = &[("a", "1"), ("b", "2")];
    assert_eq!(vary(&[("vary", "a, b")], request), vary(&[("vary", "B"), ("vary", "A")], request));
    assert_ne!(vary(&[("vary", "a")], request), vary(&[("vary", "a, b")], request));
}

proptest! {
    #[test]
    fn a_request_matches_itself(
        value in "[ -~]{0,30}",
        name in prop_oneof![Just("accept-language"), Just("accept-encoding"), Just("cookie"), Just("user-agent"), Just("x-a")],
        lines in 1usize..3,
    ) {
        let value = value.trim();
        let request: Vec<_> = (0..lines).map(|_| (name, value)).collect();
        let stored = vary(&[("vary", name)], &request).expect("some");
        prop_assert!(stored.matches(&headers(&request)));
        prop_assert!(!stored.matches(&HeaderMap::new()));
        // The normal form is its own.
        let normal = normal::value(&name.parse().expect("name"), &headers(&request)).expect("there");
        if !normal.contains(['\n', '"']) {
            prop_assert!(stored.matches(&headers(&[(name, &normal)])), "{normal}");
        }
    }
}
