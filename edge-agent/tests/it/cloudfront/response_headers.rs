//! Response headers policies: every response has what they say, whichever way it goes, and nothing of it is stored.

use headland_proto::{
    model::{Resource, Resources},
    v1::{self, resource_config::Kind},
};

use crate::support::{
    edge::{ALL_METHODS, Edge, behavior, config, seconds},
    origin::Origin,
    viewer::{Response, Viewer, get},
};

const ID: &str = "00000000-0000-4000-8000-000000000001";
const SECURITY: &str = "67f7725c-6f97-4210-82d7-5512b31e9d03";
const CORS_WITH_PREFLIGHT: &str = "5cc3b908-e619-4b99-88e5-2cf7f45965bd";

const SENT: &str =
    "cache-control: max-age=60\r\netag: \"a\"\r\nserver: origin\r\nx-frame-options: DENY\r\nx-mine: origin";

/// Where a distribution refers to this policy.
fn resources(policy: v1::ResponseHeadersPolicyConfig) -> Resources {
    let policy = v1::ResponseHeadersPolicyConfig { name: "p".into(), ..policy };
    let config = v1::ResourceConfig { kind: Some(Kind::ResponseHeadersPolicy(policy)) };
    let mut resources = Resources::default();
    resources.insert(ID.parse().expect("id"), Resource::try_from(&config).expect("is valid"));
    resources
}

fn edge(origin: &Origin, policy: v1::ResponseHeadersPolicyConfig, methods: &[&str]) -> Edge {
    let mut config = config(origin.address);
    let edge = Edge::start(config.clone());
    behavior(&mut config).response_headers_policy_id = ID.into();
    behavior(&mut config).allowed_methods = methods.iter().map(|&method| method.to_owned()).collect();
    edge.update_with(config, &resources(policy));
    edge
}

/// An edge that refers to a managed policy.
fn edge_with(origin: &Origin, id: &str) -> Edge {
    let mut config = config(origin.address);
    behavior(&mut config).response_headers_policy_id = id.into();
    Edge::start(config)
}

fn added(name: &str, value: &str, origin_override: bool) -> v1::CustomResponseHeader {
    v1::CustomResponseHeader { name: name.into(), value: value.into(), origin_override }
}

fn all(response: &Response, name: &str) -> Vec<String> {
    let of_name = response.headers.iter().filter(|(n, _)| n == name);
    of_name.map(|(_, value)| value.clone()).collect()
}

#[test]
fn every_way_a_response_can_go_shows_the_same_headers() {
    let origin = Origin::fixed(SENT, "hello");
    let policy = v1::ResponseHeadersPolicyConfig {
        removed_headers: vec!["Server".into()],
        custom_headers: vec![added("x-mine", "edge", true), added("x-frame-options-not", "1", false)],
        security_headers: Some(v1::SecurityHeaders {
            frame_options: Some(v1::FrameOptions {
                frame_option: "SAMEORIGIN".into(),
                origin_override: false,
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let edge = edge(&origin, policy, &ALL_METHODS);
    let mut viewer = Viewer::connect(edge.address);
    let mut seen = Vec::new();
    for (what, method, path, headers, status) in [
        ("direct miss", "GET", "/a", &[][..], 200),
        ("quick hit", "GET", "/a", &[], 200),
        ("hit by hyper", "GET", "/a", &["te: trailers"], 200),
        ("miss by hyper", "GET", "/b", &["te: trailers"], 200),
        ("not modified", "GET", "/a", &["if-none-match: \"a\""], 304),
        ("a range", "GET", "/a", &["range: bytes=1-2"], 206),
        ("head", "HEAD", "/a", &[], 200),
        ("past the cache", "PUT", "/c", &["content-length: 0"], 200),
        ("refused", "GET", "/a", &["cdn-loop: headland-test"], 508),
    ] {
        let response = viewer.request(method, path, headers);
        assert_eq!(response.status, status, "{what}");
        assert_eq!(all(&response, "server"), [""; 0], "{what}");
        assert_eq!(all(&response, "x-mine"), ["edge"], "{what}");
        assert_eq!(all(&response, "x-frame-options-not"), ["1"], "{what}");
        let frame = if status == 508 { "SAMEORIGIN" } else { "DENY" };
        assert_eq!(all(&response, "x-frame-options"), [frame], "{what}");
        seen.push((what, response.header("x-cache").map(str::to_owned)));
    }
    assert_eq!(edge.shared.metrics.quick_hits(), 1, "{seen:?}");

    // What is stored is what the origin sent: another policy applies to it at once.
    let mut plain = config(origin.address);
    behavior(&mut plain).response_headers_policy_id = SECURITY.into();
    edge.update(plain);
    let before = origin.requests();
    let hit = get(edge.address, "/a", &[]);
    assert_eq!((hit.header("server"), hit.header("x-mine")), (Some("origin"), Some("origin")));
    assert_eq!(hit.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(hit.header("x-frame-options"), Some("DENY"), "the origin's stays");
    assert_eq!(hit.header("strict-transport-security"), Some("max-age=31536000"));
    assert_eq!(origin.requests(), before);
}

#[test]
fn a_preflight_is_answered_by_the_edge_if_the_policy_overrides_the_origin() {
    let cors = |origin_override| v1::ResponseHeadersPolicyConfig {
        cors: Some(v1::Cors {
            allow_origins: vec!["https://*.shop.test".into()],
            allow_methods: vec!["GET".into(), "PUT".into()],
            allow_headers: vec!["authorization".into()],
            allow_credentials: true,
            max_age: seconds(600),
            origin_override,
            ..Default::default()
        }),
        ..Default::default()
    };
    let preflight = ["origin: https://www.shop.test", "access-control-request-method: PUT"];
    for (is_overridden, asked) in [(true, 0), (false, 1)] {
        let origin = Origin::fixed("", "preflight");
        let edge = edge(&origin, cors(is_overridden), &ALL_METHODS);
        let answer = Viewer::connect(edge.address).request("OPTIONS", "/a", &preflight);
        assert_eq!(answer.status, if is_overridden { 204 } else { 200 });
        for (name, value) in [
            ("access-control-allow-origin", "https://www.shop.test"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET, PUT"),
            ("access-control-allow-headers", "authorization"),
            ("access-control-max-age", "600"),
            ("vary", "Origin"),
        ] {
            assert_eq!(all(&answer, name), [value], "{name} {is_overridden}");
        }
        assert_eq!(origin.requests(), asked);
        let stranger = ["origin: https://evil.test", "access-control-request-method: PUT"];
        let answer = Viewer::connect(edge.address).request("OPTIONS", "/a", &stranger);
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("access-control-allow-methods"), None);
        let read = get(edge.address, "/a", &["origin: https://www.shop.test"]);
        assert_eq!(read.header("access-control-allow-origin"), Some("https://www.shop.test"));
        assert_eq!(read.header("access-control-allow-methods"), None);
    }
    // Where a behavior does not allow OPTIONS, a preflight is refused like any other.
    let origin = Origin::fixed("", "");
    let edge = edge(&origin, cors(true), &["GET", "HEAD"]);
    assert_eq!(Viewer::connect(edge.address).request("OPTIONS", "/a", &preflight).status, 403);
}

#[test]
fn one_stored_response_serves_all_origins() {
    let origin = Origin::fixed("cache-control: max-age=60", "hello");
    let edge = edge_with(&origin, CORS_WITH_PREFLIGHT);
    for from in ["origin: https://a.test", "origin: https://b.test", "accept: */*"] {
        let response = get(edge.address, "/a", &[from]);
        assert_eq!(response.header("access-control-allow-origin"), Some("*"), "{from}");
        assert_eq!(response.header("access-control-expose-headers"), Some("*"));
    }
    assert_eq!(origin.requests(), 1);
    assert_eq!(edge.shared.metrics.quick_hits(), 2);
}

#[test]
fn server_timing_tells_what_became_of_a_request() {
    let origin = Origin::fixed("cache-control: max-age=60\r\nserver-timing: db;dur=1", "hello");
    let policy = |sampling_rate| v1::ResponseHeadersPolicyConfig {
        server_timing: Some(v1::ServerTiming { sampling_rate }),
        ..Default::default()
    };
    let always = edge(&origin, policy(100.0), &["GET", "HEAD"]);
    for expected in ["cdn-cache-miss,", "cdn-cache-hit,"] {
        let response = get(always.address, "/a", &[]);
        let lines = all(&response, "server-timing");
        assert_eq!(lines[0], "db;dur=1", "the origin's is there too");
        let id = response.header("x-headland-id").expect("id");
        assert!(
            lines[1].starts_with(expected) && lines[1].contains("cdn-pop;desc=\"headland-test\""),
            "{lines:?}"
        );
        assert!(lines[1].contains(&format!("cdn-rid;desc=\"{id}\"")), "{lines:?}");
        assert!(lines[1].contains(",cdn-downstream-fbl;dur="), "{lines:?}");
    }
    let never = edge(&origin, policy(0.0), &["GET", "HEAD"]);
    assert_eq!(all(&get(never.address, "/a", &[]), "server-timing"), ["db;dur=1"]);
    assert_eq!(all(&get(never.address, "/a", &["pragma: server-timing"]), "server-timing").len(), 2);
}

#[test]
fn an_error_page_of_the_edges_own_has_them_too() {
    let origin = Origin::fixed("", "");
    let mut config = config(origin.address);
    behavior(&mut config).response_headers_policy_id = SECURITY.into();
    if let Some(v1::origin::Kind::Custom(custom)) = &mut config.origins[0].kind {
        custom.http_port = 1;
    }
    let edge = Edge::start(config);
    let failed = get(edge.address, "/a", &[]);
    assert_eq!(failed.status, 502);
    assert_eq!(failed.header("x-content-type-options"), Some("nosniff"));
}
