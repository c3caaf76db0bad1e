//! What of a viewer's request reaches the origin (CloudFront guide, "HTTP request headers and CloudFront behavior"; RFC 9110 section 7.6).
//!
//! With CloudFront semantics a cached object is fetched with nothing of the viewer's but what is in the key, so that no viewer can
//! choose what others will get, and with what an origin request policy adds on the operator's responsibility. Otherwise every
//! end-to-end header passes.

use std::net::IpAddr;

use headland_proto::model::{CacheBehavior, Codings, Origin, OriginHeaders, OriginKind, Semantics};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};

use crate::end_to_end::{self, X_FORWARDED_FOR};

/// Name under which this program is known to origins.
pub(super) const USER_AGENT: HeaderValue = HeaderValue::from_static("Headland");
/// Fields that may be added to those of the viewer's that are sent, Host included.
const OWN_FIELDS: usize = 6;
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// What a request to the origin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To fill the cache, for any number of viewers: a whole object, unconditionally.
    Fill,
    /// To answer this one viewer.
    Pass,
}

/// What is known about the viewer beside the headers.
#[derive(Debug, Clone, Copy)]
pub struct Viewer<'a> {
    /// Method as the viewer sent it.
    pub method: &'a Method,
    /// Protocol the viewer spoke.
    pub version: Version,
    /// Address the connection came from.
    pub address: IpAddr,
    /// The headers as they came.
    pub headers: &'a HeaderMap,
    /// The content codings that it accepts, of those that the policy enables.
    pub codings: Codings,
}

/// The names this edge goes by in Via and CDN-Loop.
#[derive(Debug, Clone)]
pub struct Identity {
    /// For Via and CDN-Loop: unique to this edge.
    pub pseudonym: String,
}

impl Identity {
    /// Whether a request has been through this very edge before (RFC 8586 section 2).
    #[must_use]
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(CDN_LOOP)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|cdn| cdn.split(';').next().is_some_and(|id| id.trim() == self.pseudonym))
    }
}

/// Whether a viewer waits to be asked for its body. One that speaks HTTP/1.0 does not (RFC 9110 section 10.1.1), and one that speaks
/// HTTP/2 could not be asked.
#[must_use]
pub fn expects_continue(version: Version, headers: &HeaderMap) -> bool {
    let is_continue = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    version == Version::HTTP_11 && headers.get_all(header::EXPECT).iter().any(is_continue)
}

/// Whether a request is a gRPC call, where those are passed on as such: a POST over HTTP/2 of a content type of theirs.
#[must_use]
pub fn is_grpc(rules: &CacheBehavior, method: &Method, version: Version, headers: &HeaderMap) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    rules.grpc
        && method == Method::POST
        && version == Version::HTTP_2
        && headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).is_some_and(|content| {
            // "+proto", "; charset"; but not "-web".
            let rest = content.get(TYPE.len()..);
            content.len() >= TYPE.len()
                && content[..TYPE.len()].eq_ignore_ascii_case(TYPE)
                && rest.and_then(|rest| rest.first()).is_none_or(|next| b"+; ".contains(next))
        })
}

/// The headers of a request to the origin, but for Host, the origin's custom headers and a signature.
#[must_use]
pub fn headers(
    purpose: Purpose,
    rules: &CacheBehavior,
    viewer: Viewer<'_>,
    cookies: Option<&str>,
    identity: &Identity,
) -> HeaderMap {
    let policy = &rules.cache_policy;
    let also = rules.origin_request_policy.as_ref().map_or(&OriginHeaders::None, |policy| &policy.headers);
    let everything = policy.semantics == Semantics::Rfc9111 || !rules.caches(viewer.method);
    // Of about the right size: the memory of a large table is cold.
    let copies = everything || *also != OriginHeaders::None;
    let from_viewer = if copies { viewer.headers.len() } else { policy.headers.len() };
    let mut out = HeaderMap::with_capacity(from_viewer + OWN_FIELDS);
    if copies {
        end_to_end::copy(viewer.headers, &mut out);
        out.remove(header::HOST);
        let passes = |name: &HeaderName| {
            let usual = policy.semantics == Semantics::Rfc9111
                || !NOT_FORWARDED_BY_CLOUDFRONT.contains(&name.as_str());
            (everything && usual) || (also.selects(name) && *name != header::COOKIE)
        };
        let left_out: Vec<HeaderName> = out.keys().filter(|name| !passes(name)).cloned().collect();
        left_out.iter().for_each(|name| _ = out.remove(name));
    }
    for name in policy.headers.iter().filter(|name| **name != header::HOST) {
        out.remove(name);
        viewer.headers.get_all(name).iter().for_each(|value| _ = out.append(name.clone(), value.clone()));
    }
    if rules.forwards_cookies() {
        out.remove(header::COOKIE);
    }
    if let Some(cookies) = cookies.and_then(|c| HeaderValue::from_str(c).ok()) {
        out.insert(header::COOKIE, cookies);
    }
    match purpose {
        Purpose::Fill => {
            // With CloudFront semantics there is seldom anything to take away.
            if !out.is_empty() {
                let wished =
                    |name: &str| policy.headers.iter().any(|header| header == name) || also.names(name);
                MISLEADING.iter().filter(|name| !wished(name)).for_each(|name| _ = out.remove(*name));
                if !everything {
                    // Whoever accepts something else shares what comes.
                    out.remove(header::ACCEPT_ENCODING);
                }
                SELECTING.iter().for_each(|name| _ = out.remove(name));
            }
        }
        Purpose::Pass if !everything => {
            for name in &SELECTING {
                out.remove(name);
                viewer.headers.get_all(name).iter().for_each(|value| _ = out.append(name, value.clone()));
            }
        }
        Purpose::Pass => {}
    }
    out.remove(&HEADLAND_DEBUG);
    // CloudFront removes TE, but for gRPC.
    if purpose == Purpose::Pass
        && (policy.semantics == Semantics::Rfc9111
            || is_grpc(rules, viewer.method, viewer.version, viewer.headers))
        && end_to_end::asks_for_trailers(viewer.headers)
    {
        // Said anew for the next hop, to which alone it is said (RFC 9110 section 10.1.4).
        out.insert(header::TE, HeaderValue::from_static("trailers"));
        out.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
    if !policy.codings.is_empty() && rules.caches(viewer.method) {
        // As it is in the key (CloudFront guide, "Compressed objects support").
        let accepted = if viewer.codings.is_empty() { "identity" } else { viewer.codings.list() };
        out.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
    }
    if policy.semantics == Semantics::CloudFront {
        out.entry(header::USER_AGENT).or_insert(USER_AGENT);
    }
    // What the edge itself says about the way the request took.
    let address = viewer.address.to_canonical().to_string();
    let told = everything || also.selects(&X_FORWARDED_FOR);
    let forwarded_for = if told { viewer.headers } else { &HeaderMap::new() };
    let via = [version_text(viewer.version), " ", &identity.pseudonym].concat();
    for (before, name, element) in [
        (forwarded_for, X_FORWARDED_FOR, address.as_str()),
        (viewer.headers, header::VIA, via.as_str()),
        (viewer.headers, CDN_LOOP, identity.pseudonym.as_str()),
    ] {
        end_to_end::append_to_list(before.get_all(&name), name, element, &mut out);
    }
    out
}

/// Whether the origin gets the host that the viewer asked for in place of its own. A bucket answers to its own name only.
#[must_use]
pub fn forwards_host(rules: &CacheBehavior, origin: &Origin) -> bool {
    let also =
        rules.origin_request_policy.as_ref().is_some_and(|policy| policy.headers.selects(&header::HOST));
    let to_bucket = matches!(origin.kind, OriginKind::S3(_));
    !to_bucket && (also || rules.cache_policy.headers.contains(&header::HOST))
}

/// Asks this edge how it came to its answer, or tells it. Not for origins.
pub(crate) const HEADLAND_DEBUG: HeaderName = HeaderName::from_static("headland-debug");

/// Headers that ask for less than the whole object.
pub(crate) const SELECTING: [HeaderName; 6] = [
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];

/// Headers by which a viewer could tell the origin that another page was asked for than the one in the key.
const MISLEADING: &[&str] = &[
    "forwarded",
    "front-end-https",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "x-url-scheme",
];

/// CloudFront guide: removed unless a policy asks for them.
const NOT_FORWARDED_BY_CLOUDFRONT: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cookie",
    "referer",
    "user-agent",
    "x-forwarded-proto",
    "x-http-method-override",
    "x-real-ip",
];

/// The protocol version as Via has it.
#[must_use]
pub fn version_text(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2.0",
        Version::HTTP_3 => "3.0",
        _ => "1.1",
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc, time::Duration};

    use headland_proto::model::{
        CachePolicy, Coding, MethodSet, NameSelection, OriginRequestPolicy, Target, TtlBounds, ViewerProtocol,
    };

    use super::*;

    fn check(
        semantics: Semantics,
        purpose: Purpose,
        method: &Method,
        viewer: &[(&'static str, &str)],
        expected: &[(&str, &str)],
    ) {
        check_with(semantics, None, purpose, method, viewer, expected);
    }

    fn rules(cache_policy: CachePolicy, also: Option<OriginHeaders>) -> CacheBehavior {
        let origin_request_policy = also.map(|headers| {
            let none = NameSelection::None;
            Arc::new(OriginRequestPolicy { headers, cookies: none.clone(), query_strings: none })
        });
        CacheBehavior {
            target: Target::Origin(0),
            viewer_protocol: ViewerProtocol::AllowAll,
            allowed_methods: MethodSet::All,
            caches_options: false,
            grpc: false,
            cache_policy: Arc::new(cache_policy),
            origin_request_policy,
            response_headers_policy: None,
            compress: false,
            trusted_keys: None,
        }
    }

    fn policy(semantics: Semantics) -> CachePolicy {
        CachePolicy {
            semantics,
            ttl: TtlBounds { min: Duration::ZERO, default: Duration::ZERO, max: Duration::ZERO },
            headers: vec![HeaderName::from_static("x-key")],
            cookies: NameSelection::None,
            query_strings: NameSelection::None,
            codings: Codings::default(),
        }
    }

    fn viewer(headers: &HeaderMap) -> Viewer<'_> {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Viewer {
            method: &Method::GET,
            version: Version::HTTP_11,
            address,
            headers,
            codings: Codings::default(),
        }
    }

    fn check_with(
        semantics: Semantics,
        also: Option<OriginHeaders>,
        purpose: Purpose,
        method: &Method,
        sent: &[(&'static str, &str)],
        expected: &[(&str, &str)],
    ) {
        let policy = policy(semantics);
        let mut map = HeaderMap::new();
        for (name, value) in sent {
            map.append(*name, value.parse().expect("value"));
        }
        let identity = Identity { pseudonym: "headland-1".into() };
        let viewer = Viewer { method, ..viewer(&map) };
        let rules = rules(policy, also);
        let out = headers(purpose, &rules, viewer, Some("a=1"), &identity);
        let mut actual: Vec<(&str, &str)> =
            out.iter().map(|(n, v)| (n.as_str(), v.to_str().expect("text"))).collect();
        let always = [("cdn-loop", "headland-1"), ("cookie", "a=1"), ("via", "1.1 headland-1")];
        let mut expected: Vec<(&str, &str)> = expected.iter().copied().chain(always).collect();
        actual.sort_unstable();
        expected.sort_unstable();
        assert_eq!(actual, expected);
    }

    const VIEWER: &[(&str, &str)] = &[
        ("host", "cdn.example.com"),
        ("accept", "image/*"),
        ("authorization", "Basic x"),
        ("connection", "close, x-hop"),
        ("content-type", "text/plain"),
        ("if-none-match", "\"e\""),
        ("range", "bytes=0-1"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("user-agent", "curl"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "forged.test"),
        ("x-hop", "1"),
        ("x-key", "k"),
        ("x-other", "o"),
        ("headland-debug", "1"),
    ];

    #[test]
    fn a_cloudfront_fill_carries_nothing_but_the_key() {
        check(
            Semantics::CloudFront,
            Purpose::Fill,
            &Method::GET,
            VIEWER,
            &[("user-agent", "Headland"), ("x-forwarded-for", "127.0.0.1"), ("x-key", "k")],
        );
    }

    #[test]
    fn a_policy_adds_what_it_names() {
        let named = ["user-agent", "x-forwarded-host", "x-missing"].map(HeaderName::from_static).to_vec();
        check_with(
            Semantics::CloudFront,
            Some(OriginHeaders::Whitelist(named)),
            Purpose::Fill,
            &Method::GET,
            VIEWER,
            &[
                ("user-agent", "curl"),
                ("x-forwarded-for", "127.0.0.1"),
                ("x-forwarded-host", "forged.test"),
                ("x-key", "k"),
            ],
        );
    }

    #[test]
    fn a_policy_of_all_adds_all_but_what_makes_a_fill_another() {
        let all = [
            ("accept", "image/*"),
            ("authorization", "Basic x"),
            ("content-type", "text/plain"),
            ("user-agent", "curl"),
            ("x-forwarded-for", "192.0.2.1, 127.0.0.1"),
            ("x-key", "k"),
            ("x-other", "o"),
        ];
        let viewer = [VIEWER, &[("accept-encoding", "gzip"), ("cookie", "secret=1")]].concat();
        let (semantics, policy) = (Semantics::CloudFront, || Some(OriginHeaders::AllViewer));
        check_with(semantics, policy(), Purpose::Fill, &Method::GET, &viewer, &all);
        let alone = [
            ("accept-encoding", "gzip"),
            ("if-none-match", "\"e\""),
            ("range", "bytes=0-1"),
            ("x-forwarded-host", "forged.test"),
        ];
        check_with(semantics, policy(), Purpose::Pass, &Method::GET, &viewer, &[&all[..], &alone].concat());
        let but = OriginHeaders::AllExcept(vec![header::AUTHORIZATION, HeaderName::from_static("x-other")]);
        let rest: Vec<_> =
            all.into_iter().filter(|(name, _)| !["authorization", "x-other"].contains(name)).collect();
        check_with(semantics, Some(but), Purpose::Fill, &Method::GET, &viewer, &rest);
    }

    #[test]
    fn a_passed_get_may_be_conditional() {
        check(
            Semantics::CloudFront,
            Purpose::Pass,
            &Method::GET,
            VIEWER,
            &[
                ("if-none-match", "\"e\""),
                ("range", "bytes=0-1"),
                ("user-agent", "Headland"),
                ("x-forwarded-for", "127.0.0.1"),
                ("x-key", "k"),
            ],
        );
    }

    #[test]
    fn a_post_keeps_its_content_and_credentials() {
        check(
            Semantics::CloudFront,
            Purpose::Pass,
            &Method::POST,
            VIEWER,
            &[
                ("authorization", "Basic x"),
                ("content-type", "text/plain"),
                ("if-none-match", "\"e\""),
                ("range", "bytes=0-1"),
                ("user-agent", "Headland"),
                ("x-forwarded-for", "192.0.2.1, 127.0.0.1"),
                ("x-forwarded-host", "forged.test"),
                ("x-key", "k"),
                ("x-other", "o"),
            ],
        );
    }

    #[test]
    fn rfc9111_passes_every_end_to_end_header() {
        check(
            Semantics::Rfc9111,
            Purpose::Fill,
            &Method::GET,
            VIEWER,
            &[
                ("accept", "image/*"),
                ("authorization", "Basic x"),
                ("content-type", "text/plain"),
                ("user-agent", "curl"),
                ("x-forwarded-for", "192.0.2.1, 127.0.0.1"),
                ("x-key", "k"),
                ("x-other", "o"),
            ],
        );
    }

    #[test]
    fn what_is_accepted_is_sent_as_it_is_in_the_key() {
        let check =
            |semantics, method: Method, enabled: &[Coding], accepted: &[Coding], expected: Option<&str>| {
                let set = |codings: &[Coding]| codings.iter().copied().collect::<Codings>();
                let policy = CachePolicy { codings: set(enabled), ..policy(semantics) };
                let mut map = HeaderMap::new();
                map.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("deflate, gzip;q=0.5"));
                let viewer = Viewer { method: &method, codings: set(accepted), ..viewer(&map) };
                let identity = Identity { pseudonym: "headland-1".into() };
                for purpose in [Purpose::Fill, Purpose::Pass] {
                    let out = headers(purpose, &rules(policy.clone(), None), viewer, None, &identity);
                    let sent = out.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
                    assert_eq!(sent, expected, "{semantics:?} {method} {enabled:?} {accepted:?} {purpose:?}");
                }
            };
        let (gzip, both) = (&[Coding::Gzip][..], &[Coding::Gzip, Coding::Brotli][..]);
        for semantics in [Semantics::CloudFront, Semantics::Rfc9111] {
            check(semantics, Method::GET, both, gzip, Some("gzip"));
            check(semantics, Method::HEAD, both, both, Some("br,gzip"));
            check(semantics, Method::GET, both, &[], Some("identity"));
        }
        check(Semantics::CloudFront, Method::GET, &[], &[], None);
        check(Semantics::Rfc9111, Method::GET, &[], &[], Some("deflate, gzip;q=0.5"));
        check(Semantics::Rfc9111, Method::POST, both, gzip, Some("deflate, gzip;q=0.5"));
        check(Semantics::CloudFront, Method::POST, both, gzip, None);
    }

    #[test]
    fn a_loop_is_recognised() {
        let identity = Identity { pseudonym: "headland-1".into() };
        let with = |value: &str| {
            let mut map = HeaderMap::new();
            map.insert(CDN_LOOP, value.parse().expect("value"));
            identity.is_in(&map)
        };
        assert!(with("headland-1"));
        assert!(with("foo, headland-1; v=2"));
        assert!(!with("headland-12, foo"));
    }
}
