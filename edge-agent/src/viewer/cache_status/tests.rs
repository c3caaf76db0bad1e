//! What Cache-Status says, row by row.

use proptest::prelude::*;

use super::*;

fn check(handling: &Handling, cache: &str, cache_status: &str, x_cache: &str) {
    let mut headers = HeaderMap::new();
    handling.append(cache, &mut headers);
    assert_eq!(headers[CACHE_STATUS], cache_status, "{handling:?}");
    assert_eq!(handling.x_cache(), x_cache, "{handling:?}");
}

#[test]
fn rfc_9211_section_2() {
    let forwarded = Handling::forwarded;
    check(&Handling::hit(376), "headland-1", "headland-1; hit; ttl=376", "Hit from headland");
    // Section 2.4: a stale hit has negative freshness.
    check(&Handling::hit(-412), "a", "a; hit; ttl=-412", "Hit from headland");
    check(&Handling::hit(0), "a", "a; hit; ttl=0", "Hit from headland");
    check(&Handling::hit(i64::MIN), "a", "a; hit; ttl=-999999999999999", "Hit from headland");
    // Section 2.2.
    for (fwd, text) in [
        (Forward::Bypass, "bypass"),
        (Forward::Method, "method"),
        (Forward::UriMiss, "uri-miss"),
        (Forward::VaryMiss, "vary-miss"),
        (Forward::Miss, "miss"),
        (Forward::Request, "request"),
        (Forward::Stale, "stale"),
        (Forward::Partial, "partial"),
    ] {
        check(&forwarded(fwd), "a", &format!("a; fwd={text}"), "Miss from headland");
    }
    // Section 2.3.
    let validated =
        Handling { fwd_status: Some(StatusCode::NOT_MODIFIED), ttl: Some(60), ..forwarded(Forward::Stale) };
    check(&validated, "a", "a; fwd=stale; fwd-status=304; ttl=60", "RefreshHit from headland");
    // Sections 2.5 and 2.6.
    let stored = Handling { stored: true, ..forwarded(Forward::UriMiss) };
    check(&stored, "a", "a; fwd=uri-miss; stored", "Miss from headland");
    let collapsed = Handling { collapsed: true, ..stored };
    check(&collapsed, "a", "a; fwd=uri-miss; stored; collapsed", "Hit from headland");
    // Neither has a meaning beside a hit.
    check(&Handling { fwd: None, ..collapsed }, "a", "a; hit", "Hit from headland");
    // Section 2.8.
    let held = Handling { detail: Some(Detail::Stale(Permission::Hold)), ..Handling::hit(-1) };
    check(&held, "a", "a; hit; ttl=-1; detail=hold", "Hit from headland");
    // Section 2.7.
    let mut headers = HeaderMap::new();
    add_key("a", &mut headers);
    assert!(headers.is_empty(), "there is no member to add it to");
    headers.insert(CACHE_STATUS, HeaderValue::from_static("OriginCache; hit"));
    Handling::hit(1).append("a", &mut headers);
    add_key("a\"\\\u{e9}\n", &mut headers);
    let lines: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
    assert_eq!(lines, ["OriginCache; hit", r#"a; hit; ttl=1; key="a\"\\???""#]);
}

#[test]
fn results_and_their_labels_are_told_apart() {
    let labels: Vec<&str> = CacheResult::all().map(CacheResult::as_str).collect();
    assert_eq!(labels.len(), CacheResult::COUNT);
    for (index, result) in CacheResult::all().enumerate() {
        assert_eq!(result.index(), index, "{result:?}");
        assert!(!labels[..index].contains(&labels[index]), "{result:?}");
    }
    assert!(Reason::ALL.iter().enumerate().all(|(index, reason)| reason.index() == index));
    let check = |handling: Handling, label: &str| assert_eq!(handling.result().as_str(), label);
    let stale = Handling::forwarded(Forward::Stale);
    check(Handling::hit(1), "hit");
    check(stale.clone(), "stale");
    check(Handling { fwd_status: Some(StatusCode::NOT_MODIFIED), ..stale.clone() }, "revalidated");
    check(Handling { detail: Some(Detail::Stale(Permission::Error)), ..stale }, "stale-if-error");
    let bypass = Handling::forwarded(Forward::Bypass);
    check(Handling { fwd_status: Some(StatusCode::NOT_MODIFIED), ..bypass }, "bypass");
}

#[test]
fn a_name_that_is_no_token_is_a_string() {
    check(&Handling::default(), "1 edge", "\"1 edge\"; hit", "Hit from headland");
    check(&Handling::default(), "", "\"\"; hit", "Hit from headland");
    check(&Handling::default(), "*a:/b", "*a:/b; hit", "Hit from headland");
}

#[test]
fn members_of_caches_before_are_kept_in_order() {
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_STATUS, HeaderValue::from_static("OriginCache; hit"));
    Handling::hit(5).append("a", &mut headers);
    let lines: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
    assert_eq!(lines, ["OriginCache; hit", "a; hit; ttl=5"]);
}

proptest! {
    #[test]
    fn any_name_and_key_make_a_field(cache in ".{0,40}", key in ".{0,40}", ttl: i64) {
        let mut headers = HeaderMap::new();
        Handling::hit(ttl).append(&cache, &mut headers);
        add_key(&key, &mut headers);
        prop_assert!(headers[CACHE_STATUS].to_str().is_ok());
    }
}
