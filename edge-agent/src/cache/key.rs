//! The cache key: what makes two requests ask for the same object (RFC 9111 section 2; CloudFront guide, "Understand the cache key").
//!
//! A key holds the distribution, the path, and what the policy selects of query, headers and cookies: exactly the bytes that are
//! forwarded, but for what an origin request policy adds. Every part is preceded by its length, so no two different requests can ever
//! write the same key.

pub mod shown;

use std::borrow::Cow;

use headland_proto::{
    id::DistributionId,
    model::{CacheBehavior, CachePolicy, Codings, NameSelection},
};
use http::{HeaderMap, Method, header};

/// Appends the key of a request to `out`, which the caller has emptied; `host` is canonical. Returns how much of it stands for the
/// URI alone: distribution, path, query and, where it is keyed, host. Without allocation unless cookies are selected.
pub fn write(
    out: &mut Vec<u8>,
    distribution: &DistributionId,
    policy: &CachePolicy,
    path: &str,
    forwarded_query: Option<&str>,
    host: &str,
    Selecting { method, headers, codings }: Selecting<'_>,
) -> UriPart {
    let uri = write_uri(out, distribution, policy, path, forwarded_query, host);
    if method == Method::OPTIONS {
        // What it brings is another thing than what a GET does (CloudFront guide, "Cached HTTP methods").
        part(out, b'm', method.as_str().as_bytes());
    }
    write_codings(out, codings);
    for name in policy.headers.iter().filter(|name| **name != header::HOST) {
        for value in headers.get_all(name) {
            part(out, b'n', name.as_str().as_bytes());
            part(out, b'h', value.as_bytes());
        }
    }
    if let Some(cookies) = select_cookies(headers, &policy.cookies) {
        part(out, b'c', cookies.as_bytes());
    }
    uri
}

/// What of a request may be in its key beside the URI.
#[derive(Debug, Clone, Copy)]
pub struct Selecting<'r> {
    /// Its method. GET and HEAD are one.
    pub method: &'r Method,
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// The content codings that it accepts, of those that the policy enables.
    pub codings: Codings,
}

/// Appends the part of a key that stands for the content codings that are accepted. There is none if none is.
pub fn write_codings(out: &mut Vec<u8>, codings: Codings) {
    if !codings.is_empty() {
        part(out, b'e', codings.list().as_bytes());
    }
}

/// Appends the part of a key that stands for the URI alone.
pub fn write_uri(
    out: &mut Vec<u8>,
    distribution: &DistributionId,
    policy: &CachePolicy,
    path: &str,
    forwarded_query: Option<&str>,
    host: &str,
) -> UriPart {
    part(out, b'd', distribution.as_str().as_bytes());
    if policy.headers.contains(&header::HOST) {
        // As it was understood, whatever the protocol says it by, and as it is forwarded.
        part(out, b'a', host.as_bytes());
    }
    let scope = out.len();
    part(out, b'p', path.as_bytes());
    if let Some(query) = forwarded_query {
        part(out, b'q', query.as_bytes());
    }
    UriPart { scope, end: out.len() }
}

/// Where in a key the URI stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UriPart {
    scope: usize,
    end: usize,
}

impl UriPart {
    /// What stands for the URI's origin (RFC 9110 section 4.3.1): those that share it may invalidate one another's objects.
    #[must_use]
    pub fn scope<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        &key[..self.scope]
    }

    /// What stands for the URI.
    #[must_use]
    pub fn uri<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        &key[..self.end]
    }
}

fn part(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    // A request head is far smaller than 4 GiB.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The query string that is keyed: the selected parameters, as the viewer wrote them and in the viewer's order.
#[must_use]
pub fn select_query<'q>(query: Option<&'q str>, selection: &NameSelection) -> Option<Cow<'q, str>> {
    let query = query?;
    match selection {
        NameSelection::None => None,
        NameSelection::All => Some(Cow::Borrowed(query)),
        NameSelection::Whitelist(_) | NameSelection::AllExcept(_) => {
            select(query, |name| selection.selects(name)).map(Cow::Owned)
        }
    }
}

/// The query string that is forwarded: what is keyed, and what the origin request policy adds.
#[must_use]
pub fn forwarded_query<'q>(query: Option<&'q str>, rules: &CacheBehavior) -> Option<Cow<'q, str>> {
    let keyed = &rules.cache_policy.query_strings;
    match rules.origin_request_policy.as_ref().map(|policy| &policy.query_strings) {
        None | Some(NameSelection::None) => select_query(query, keyed),
        Some(NameSelection::All) => query.map(Cow::Borrowed),
        Some(also) => select(query?, |name| keyed.selects(name) || also.selects(name)).map(Cow::Owned),
    }
}

fn select(query: &str, selects: impl Fn(&str) -> bool) -> Option<String> {
    let name = |pair: &str| pair.split_once('=').map_or(pair.len(), |(name, _)| name.len());
    let kept: Vec<&str> = query.split('&').filter(|pair| selects(&pair[..name(pair)])).collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

/// The Cookie header that is keyed: the selected cookies, sorted by name as CloudFront does.
#[must_use]
pub fn select_cookies(headers: &HeaderMap, selection: &NameSelection) -> Option<String> {
    if *selection == NameSelection::None {
        return None;
    }
    cookies(headers, |name| selection.selects(name))
}

/// The Cookie header that is forwarded: what is keyed, and what the origin request policy adds; sorted by name.
#[must_use]
pub fn forwarded_cookies(headers: &HeaderMap, rules: &CacheBehavior) -> Option<String> {
    if !rules.forwards_cookies() {
        return None;
    }
    let also = rules.origin_request_policy.as_ref().map(|policy| &policy.cookies);
    let keyed = &rules.cache_policy.cookies;
    cookies(headers, |name| keyed.selects(name) || also.is_some_and(|also| also.selects(name)))
}

fn cookies(headers: &HeaderMap, selects: impl Fn(&str) -> bool) -> Option<String> {
    let mut kept: Vec<&str> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .map(str::trim)
        .filter(|pair| !pair.is_empty() && selects(cookie_name(pair)))
        .collect();
    kept.sort_by_key(|pair| cookie_name(pair));
    (!kept.is_empty()).then(|| kept.join("; "))
}

fn cookie_name(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use headland_proto::model::{Coding, Semantics, TtlBounds};
    use http::HeaderName;
    use proptest::prelude::*;

    use super::*;

    fn policy(headers: &[&'static str], cookies: NameSelection) -> CachePolicy {
        CachePolicy {
            semantics: Semantics::CloudFront,
            ttl: TtlBounds { min: Duration::ZERO, default: Duration::ZERO, max: Duration::ZERO },
            headers: headers.iter().map(|h| HeaderName::from_static(h)).collect(),
            cookies,
            query_strings: NameSelection::All,
            codings: Coding::ALL.into_iter().collect(),
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), value.parse().expect("value"));
        }
        map
    }

    fn key(policy: &CachePolicy, path: &str, query: Option<&str>, pairs: &[(&'static str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        write(
            &mut out,
            &"EABCDEFGHIJKLM".parse().expect("id"),
            policy,
            path,
            query,
            "cdn.test",
            selecting(&headers(pairs)),
        );
        out
    }

    fn selecting(headers: &HeaderMap) -> Selecting<'_> {
        Selecting { method: &Method::GET, headers, codings: Codings::default() }
    }

    #[test]
    fn only_what_the_policy_selects_counts() {
        let p = policy(&["accept-language"], NameSelection::Whitelist(vec!["lang".into()]));
        let base = key(&p, "/a", None, &[]);
        assert_eq!(base, key(&p, "/a", None, &[("user-agent", "x"), ("cookie", "other=1")]));
        assert_ne!(base, key(&p, "/a", None, &[("accept-language", "de")]));
        assert_ne!(base, key(&p, "/a", None, &[("cookie", "lang=de")]));
        assert_ne!(base, key(&p, "/a", Some(""), &[]));
        assert_ne!(base, key(&p, "/A", None, &[]));
    }

    #[test]
    fn parts_cannot_run_into_one_another() {
        let p = policy(&["x-a", "x-b"], NameSelection::All);
        assert_ne!(key(&p, "/a", Some("b"), &[]), key(&p, "/a?b", None, &[]));
        assert_ne!(key(&p, "/", None, &[("x-a", "1")]), key(&p, "/", None, &[("x-b", "1")]));
        assert_ne!(key(&p, "/", None, &[("x-a", "1"), ("x-a", "2")]), key(&p, "/", None, &[("x-a", "1, 2")]));
        assert_ne!(key(&p, "/", None, &[("cookie", "a=1; b=2")]), key(&p, "/", None, &[("x-a", "a=1; b=2")]));
    }

    #[test]
    fn a_keyed_host_is_the_canonical_one() {
        let p = policy(&["host"], NameSelection::None);
        let of = |host: &str, field: &str| {
            let mut out = Vec::new();
            write(
                &mut out,
                &"EABCDEFGHIJKLM".parse().expect("id"),
                &p,
                "/a",
                None,
                host,
                selecting(&headers(&[("host", field)])),
            );
            out
        };
        assert_eq!(of("a.test", "A.test:80"), of("a.test", "forged.test"));
        assert_ne!(of("a.test", "a.test"), of("b.test", "a.test"));
    }

    #[test]
    fn a_header_is_keyed_by_its_name() {
        let value = [("x-a", "1"), ("x-b", "1")];
        assert_ne!(
            key(&policy(&["x-a"], NameSelection::None), "/", None, &value),
            key(&policy(&["x-b"], NameSelection::None), "/", None, &value)
        );
    }

    #[test]
    fn each_set_of_accepted_codings_is_a_key_of_its_own() {
        let p = policy(&["x-a"], NameSelection::All);
        let of = |codings: &[Coding]| {
            let (mut out, codings) = (Vec::new(), codings.iter().copied().collect());
            let id = "EABCDEFGHIJKLM".parse().expect("id");
            let request = Selecting { method: &Method::GET, headers: &HeaderMap::new(), codings };
            let uri = write(&mut out, &id, &p, "/a", None, "cdn.test", request);
            (uri.uri(&out).to_vec(), out)
        };
        let (none, gzip, both) = (of(&[]), of(&[Coding::Gzip]), of(&[Coding::Gzip, Coding::Brotli]));
        assert!(none.1 != gzip.1 && gzip.1 != both.1 && none.1 != both.1);
        // What has to be invalidated is the same.
        assert!(none.0 == gzip.0 && gzip.0 == both.0 && none.0 == none.1);
    }

    #[test]
    fn two_distributions_never_share_a_key() {
        let p = policy(&[], NameSelection::None);
        let mut other = Vec::new();
        write(
            &mut other,
            &"EABCDEFGHIJKLN".parse().expect("id"),
            &p,
            "/a",
            None,
            "cdn.test",
            selecting(&HeaderMap::new()),
        );
        assert_ne!(other, key(&p, "/a", None, &[]));
    }

    #[test]
    fn cookies_are_selected_and_sorted() {
        let map = headers(&[("cookie", "b=2; a=1"), ("cookie", "c=3")]);
        let names = |list: &[&str]| list.iter().map(|&n| n.to_owned()).collect();
        assert_eq!(select_cookies(&map, &NameSelection::All).as_deref(), Some("a=1; b=2; c=3"));
        assert_eq!(select_cookies(&map, &NameSelection::Whitelist(names(&["b"]))).as_deref(), Some("b=2"));
        assert_eq!(
            select_cookies(&map, &NameSelection::AllExcept(names(&["b"]))).as_deref(),
            Some("a=1; c=3")
        );
        assert_eq!(select_cookies(&map, &NameSelection::Whitelist(names(&["z"]))), None);
        assert_eq!(select_cookies(&map, &NameSelection::None), None);
    }

    #[test]
    fn an_origin_request_policy_adds_to_what_is_forwarded_and_not_to_the_key() {
        use headland_proto::model::{MethodSet, OriginHeaders, OriginRequestPolicy, ViewerProtocol};
        let only = |name: &str| NameSelection::Whitelist(vec![name.to_owned()]);
        let check =
            |also: Option<(NameSelection, NameSelection)>, query: Option<&str>, cookie: Option<&str>| {
                let cache_policy = CachePolicy { query_strings: only("v"), ..policy(&[], only("lang")) };
                let rules = CacheBehavior {
                    compress: false,
                    trusted_keys: None,
                    target: headland_proto::model::Target::Origin(0),
                    viewer_protocol: ViewerProtocol::AllowAll,
                    allowed_methods: MethodSet::GetHead,
                    caches_options: false,
                    grpc: false,
                    cache_policy: std::sync::Arc::new(cache_policy),
                    origin_request_policy: also.map(|(cookies, query_strings)| {
                        let headers = OriginHeaders::None;
                        std::sync::Arc::new(OriginRequestPolicy { headers, cookies, query_strings })
                    }),
                    response_headers_policy: None,
                };
                let viewer = headers(&[("cookie", "z=1; lang=de; id=7")]);
                assert_eq!(forwarded_query(Some("utm=1&v=2&x"), &rules).as_deref(), query);
                assert_eq!(forwarded_cookies(&viewer, &rules).as_deref(), cookie);
            };
        check(None, Some("v=2"), Some("lang=de"));
        check(Some((NameSelection::None, NameSelection::None)), Some("v=2"), Some("lang=de"));
        check(Some((only("id"), only("x"))), Some("v=2&x"), Some("id=7; lang=de"));
        check(
            Some((NameSelection::All, NameSelection::All)),
            Some("utm=1&v=2&x"),
            Some("id=7; lang=de; z=1"),
        );
    }

    #[test]
    fn queries_are_selected_in_the_viewers_order() {
        let names = |list: &[&str]| list.iter().map(|&n| n.to_owned()).collect();
        let select = |selection| select_query(Some("b=2&a=1&b=3&c"), &selection).map(Cow::into_owned);
        assert_eq!(select(NameSelection::All).as_deref(), Some("b=2&a=1&b=3&c"));
        assert_eq!(select(NameSelection::Whitelist(names(&["b", "c"]))).as_deref(), Some("b=2&b=3&c"));
        assert_eq!(select(NameSelection::AllExcept(names(&["b"]))).as_deref(), Some("a=1&c"));
        assert_eq!(select(NameSelection::Whitelist(names(&["z"]))), None);
        assert_eq!(select(NameSelection::None), None);
    }

    proptest! {
        #[test]
        fn different_requests_have_different_keys(
            a in ("/[a-z?&=%]{0,6}", proptest::option::of("[a-z&=]{0,6}"), "[ -~]{0,6}"),
            b in ("/[a-z?&=%]{0,6}", proptest::option::of("[a-z&=]{0,6}"), "[ -~]{0,6}"),
        ) {
            let p = policy(&["x-a"], NameSelection::None);
            let of = |r: &(String, Option<String>, String)| key(&p, &r.0, r.1.as_deref(), &[("x-a", r.2.as_str())]);
            prop_assert_eq!(of(&a) == of(&b), a == b);
        }
    }
}
