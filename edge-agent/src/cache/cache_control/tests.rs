//! What Cache-Control says, row by row.

use proptest::prelude::*;

use super::*;

fn headers(name: HeaderName, fields: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(&name, http::HeaderValue::from_bytes(field.as_bytes()).expect("value"));
    }
    headers
}

fn check(fields: &[&str], expected: Directives) {
    for semantics in [Semantics::Rfc9111, Semantics::CloudFront] {
        assert_eq!(
            Directives::of(semantics, &headers(header::CACHE_CONTROL, fields)),
            expected,
            "{fields:?}"
        );
    }
}

fn none() -> Directives {
    Directives::default()
}

fn max_age(seconds: u64) -> Directives {
    Directives { max_age: Some(seconds), ..none() }
}

#[test]
fn directives_are_read_as_section_5_2_says() {
    check(&[], none());
    check(&["max-age=60"], max_age(60)); // RFC 9111 section 5.2.2.1
    check(&["Max-AGE=60"], max_age(60)); // RFC 9111 section 5.2, case-insensitive
    check(&["max-age=\"60\""], max_age(60)); // RFC 9111 section 5.2, both forms of an argument
    check(&["max-age=060"], max_age(60)); // RFC 9111 section 1.2.2, digits
    check(&["max-age=60", "public"], Directives { public: true, ..max_age(60) }); // RFC 9110 section 5.3
    check(&["max-age=60, s-maxage=10"], Directives { s_maxage: Some(10), ..max_age(60) }); // section 5.2.2.10
    check(&["x-unknown=\"no-store\", no-stored, xno-store"], none()); // RFC 9111 section 5.2.3
    check(&[",, no-store ,"], Directives { no_store: true, ..none() }); // RFC 9110 section 5.6.1.2
    check(&["\tno-store\t"], Directives { no_store: true, ..none() }); // RFC 9110 section 5.6.3
    check(&["must-revalidate"], Directives { must_revalidate: true, ..none() }); // section 5.2.2.2
    check(&["proxy-revalidate"], Directives { proxy_revalidate: true, ..none() }); // section 5.2.2.8
    check(&["must-understand"], Directives { must_understand: true, ..none() }); // section 5.2.2.3
    check(&["immutable"], Directives { immutable: true, ..none() }); // RFC 8246 section 2
    check(&["immutable=1"], Directives { immutable: true, ..none() }); // RFC 8246 section 2, arguments are ignored
    check(&["stale-while-revalidate=5"], Directives { stale_while_revalidate: Some(5), ..none() }); // RFC 5861 section 3
    check(&["stale-if-error=5"], Directives { stale_if_error: Some(5), ..none() }); // RFC 5861 section 4
    check(&["x=\"é\", max-age=60"], max_age(60)); // RFC 9110 section 5.6.4, obs-text in a quoted string
    check(&["x=\"a\\\", no-store\", max-age=9"], max_age(9)); // RFC 9110 section 5.6.4, quoted-pair
    check(&["x=\"a, no-store"], Directives { no_store: true, ..none() }); // not RFC 9110 section 5.6.4: it does not end
    check(&["no-store max-age=60"], Directives { no_store: true, ..none() }); // a comma is missing: the safe reading
}

#[test]
fn fields_may_be_named() {
    let fields = |names: &[&'static str]| {
        Qualified::Fields(names.iter().map(|name| HeaderName::from_static(name)).collect())
    };
    let no_cache = |qualified| Directives { no_cache: qualified, ..none() };
    let private = |qualified| Directives { private: qualified, ..none() };
    check(&["no-cache"], no_cache(Qualified::Whole)); // RFC 9111 section 5.2.2.4
    check(&["no-cache=\"Set-Cookie\""], no_cache(fields(&["set-cookie"]))); // section 5.2.2.4
    check(&["no-cache=set-cookie"], no_cache(fields(&["set-cookie"]))); // section 5.2, both forms
    check(
        &["private=\"a, b ,,c\", max-age=5"],
        Directives { max_age: Some(5), ..private(fields(&["a", "b", "c"])) },
    ); // section 5.2.2.7
    check(&["private=\"a\"", "private=\"b\""], private(fields(&["a", "b"])));
    check(&["private=\"a\", private"], private(Qualified::Whole)); // section 5.2.2.7, unqualified
    check(&["private, private=\"a\""], private(Qualified::Whole));
    check(&["private=\"\""], private(Qualified::Whole)); // 1#field-name: not empty
    check(&["private="], private(Qualified::Whole));
    check(&["private=\"a b\""], private(Qualified::Whole)); // not a field-name
    check(&["private=\"a\\b\""], private(Qualified::Whole));
    check(&["private=\"a, b"], private(Qualified::Whole)); // does not end
    check(&["private =\"a\""], private(Qualified::Whole)); // no whitespace around "="
    let many = format!("private=\"{}\"", vec!["a"; FIELDS_MAX + 1].join(","));
    check(&[&many], private(Qualified::Whole));
    let half = format!("private=\"{}\"", vec!["a"; FIELDS_MAX / 2 + 1].join(","));
    check(&[&half, &half], private(Qualified::Whole));
}

/// RFC 9111 section 4.2.1: invalid freshness information makes a response stale, and of several values the first counts.
#[test]
fn numbers_that_cannot_be_read_mean_stale() {
    for text in [
        "max-age",
        "max-age=",
        "max-age=\"\"",
        "max-age=-1",
        "max-age=+1",
        "max-age=1.5",
        "max-age=1 5",
        "max-age=a",
        "max-age=0x5",
        "max-age=60s",
        "max-age=60; public",
        "max-age= 5",
        "max-age =5",
        "max-age = 5",
        "max-age 5",
        "max-age='5'",
        "max-age=\"5",
        "max-age=5\"",
        "max-age=\" 5\"",
        "max-age=\"\\5\"",
    ] {
        check(&[text], max_age(0));
    }
    check(&["max-age=2147483647"], max_age((1 << 31) - 1)); // section 1.2.2
    check(&["max-age=2147483648"], max_age(1 << 31)); // section 1.2.2
    check(&["max-age=99999999999999999999"], max_age(1 << 31)); // section 1.2.2
    check(&["max-age=10, max-age=5"], max_age(10)); // section 4.2.1, the first
    check(&["max-age=5", "max-age=10"], max_age(5)); // section 4.2.1
    check(&["max-age=a, max-age=5"], max_age(0)); // section 4.2.1
    check(&["max-age=5, max-age=a"], max_age(5)); // section 4.2.1
}

#[test]
fn requests_are_read_as_section_5_2_1_says() {
    let none = RequestDirectives::default();
    let check = |fields: &[&str], expected: RequestDirectives| {
        assert_eq!(RequestDirectives::of(&headers(header::CACHE_CONTROL, fields)), expected, "{fields:?}");
    };
    check(&[], none);
    check(&["no-store"], RequestDirectives { no_store: true, ..none }); // section 5.2.1.5
    check(&["NO-CACHE"], RequestDirectives { no_cache: true, ..none }); // section 5.2.1.4
    check(&["only-if-cached"], RequestDirectives { only_if_cached: true, ..none }); // section 5.2.1.7
    check(&["max-age=5"], RequestDirectives { max_age: Some(5), ..none }); // section 5.2.1.1
    check(&["max-age=a"], RequestDirectives { max_age: Some(0), ..none });
    check(&["min-fresh=5"], RequestDirectives { min_fresh: Some(5), ..none }); // section 5.2.1.3
    check(&["min-fresh=a"], none);
    check(&["max-stale=5"], RequestDirectives { max_stale: Some(5), ..none }); // section 5.2.1.2
    check(&["max-stale"], RequestDirectives { max_stale: Some(1 << 31), ..none }); // section 5.2.1.2, any
    check(&["max-stale=a"], none);
    check(&["stale-if-error=5"], RequestDirectives { stale_if_error: Some(5), ..none }); // RFC 5861 section 4
    check(&["max-age=5, max-age=9"], RequestDirectives { max_age: Some(5), ..none });
}

/// RFC 9111 section 5.4.
#[test]
fn pragma_counts_only_without_cache_control() {
    let check = |pragma: &str, cache_control: Option<&'static str>, expected| {
        let mut headers = headers(header::PRAGMA, &[pragma]);
        headers.extend(
            cache_control.map(|value| (header::CACHE_CONTROL, http::HeaderValue::from_static(value))),
        );
        assert_eq!(RequestDirectives::of(&headers).no_cache, expected, "{pragma} {cache_control:?}");
    };
    check("no-cache", None, true);
    check("x, No-Cache", None, true);
    check("x=\"no-cache\"", None, false);
    check("no-cache", Some("max-stale"), false);
    check("no-cache", Some(""), false);
}

/// Writes directives as a response would.
fn print(directives: &Directives) -> String {
    let mut parts: Vec<String> = Vec::new();
    let flags = [
        ("no-store", directives.no_store),
        ("public", directives.public),
        ("must-revalidate", directives.must_revalidate),
        ("proxy-revalidate", directives.proxy_revalidate),
        ("must-understand", directives.must_understand),
        ("immutable", directives.immutable),
    ];
    parts.extend(flags.iter().filter(|(_, set)| *set).map(|(name, _)| (*name).to_owned()));
    for (name, qualified) in [("no-cache", &directives.no_cache), ("private", &directives.private)] {
        match qualified {
            Qualified::Absent => {}
            Qualified::Whole => parts.push(name.to_owned()),
            Qualified::Fields(names) => {
                parts.push(format!(
                    "{name}=\"{}\"",
                    names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", ")
                ));
            }
        }
    }
    for (name, seconds) in [
        ("s-maxage", directives.s_maxage),
        ("max-age", directives.max_age),
        ("stale-while-revalidate", directives.stale_while_revalidate),
        ("stale-if-error", directives.stale_if_error),
    ] {
        parts.extend(seconds.map(|s| format!("{name}={s}")));
    }
    parts.join(", ")
}

fn qualified() -> impl Strategy<Value = Qualified> {
    let name = "[a-z][a-z-]{0,10}".prop_map(|name| name.parse::<HeaderName>().expect("name"));
    prop_oneof![
        Just(Qualified::Absent),
        Just(Qualified::Whole),
        proptest::collection::vec(name, 1..4).prop_map(Qualified::Fields),
    ]
}

fn directives() -> impl Strategy<Value = Directives> {
    let seconds = || proptest::option::of(0..=DELTA_SECONDS_MAX);
    let flags = any::<[bool; 6]>();
    (flags, qualified(), qualified(), seconds(), seconds(), seconds(), seconds()).prop_map(
        |(flags, no_cache, private, s_maxage, max_age, stale_while_revalidate, stale_if_error)| Directives {
            field: Field::CacheControl,
            no_store: flags[0],
            public: flags[1],
            must_revalidate: flags[2],
            proxy_revalidate: flags[3],
            must_understand: flags[4],
            immutable: flags[5],
            no_cache,
            private,
            s_maxage,
            max_age,
            stale_while_revalidate,
            stale_if_error,
        },
    )
}

proptest! {
    #[test]
    fn what_is_printed_is_read(directives in directives()) {
        let text = print(&directives);
        let in_one = headers(header::CACHE_CONTROL, &[&text]);
        prop_assert_eq!(&Directives::of(Semantics::Rfc9111, &in_one), &directives);
        // The same words mean the same in a targeted field (RFC 9213 section 2.1), and there is always one.
        let targeted = headers(targeted::CDN_CACHE_CONTROL, &[&format!("{text}{}x", if text.is_empty() { "" } else { ", " })]);
        prop_assert_eq!(Directives::of(Semantics::Rfc9111, &targeted), Directives { field: Field::Cdn, ..directives });
    }

    #[test]
    fn a_no_store_that_stands_alone_is_always_seen(before in "[ -~&&[^\"]]{0,20}", after in "[ -~]{0,20}") {
        let text = format!("{before}, no-store, {after}");
        prop_assert!(Directives::of(Semantics::Rfc9111, &headers(header::CACHE_CONTROL, &[&text])).no_store);
    }
}
