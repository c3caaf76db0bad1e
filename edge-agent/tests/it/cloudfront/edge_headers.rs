//! The CloudFront-* request headers: in the key and to the origin where policies name them, and nobody's to forge.

use std::fs;

use headland_edge_agent::geo::Locations;
use headland_proto::{
    model::{EdgeHeader, Resource, Resources},
    v1::{
        HeaderSelection, OriginHeaderSelection, OriginRequestPolicyConfig, ResourceConfig,
        cache_policy_config::Semantics, origin_header_selection::Mode, resource_config::Kind,
    },
};
use tempfile::TempDir;

use crate::support::{
    edge::{Edge, Options, behavior, config, policy, trusting},
    mmdb::{Value, database, maxmind, seattle},
    origin::{Origin, Received},
    viewer::{Viewer, get},
};

const ALL_AND_CLOUDFRONT: &str = "33f36d7e-f396-46d9-90e0-52428a34d9dc";
const POLICY: &str = "11111111-2222-4333-8444-555555555555";
const AMERICAN: &str = "x-forwarded-for: 192.0.2.1:4711";
const GERMAN: &str = "x-forwarded-for: 198.51.100.1";

/// An edge behind a proxy, whose cache policy keys by these headers, and whose origin request policy is this.
struct Scene {
    edge: Edge,
    origin: Origin,
    _folder: TempDir,
}

fn scene(keyed: &[&str], also: &str, resources: &Resources) -> Scene {
    let folder = tempfile::tempdir().expect("folder");
    let (places, networks) = (folder.path().join("city.mmdb"), folder.path().join("asn.mmdb"));
    let flat = vec![
        ("country_code", Value::Text("DE")),
        ("city", Value::Text("M\u{fc}nchen")),
        ("state1", Value::Text("Bavaria")),
        ("latitude", Value::Float(48.137)),
        ("longitude", Value::Double(11.576)),
        ("timezone", Value::Text("Europe/Berlin")),
    ];
    let of_places =
        [("192.0.2.0/24", seattle()), ("198.51.100.0/24", flat), ("2001:db8::/32", maxmind("FR", "France"))];
    fs::write(&places, database(&of_places)).expect("database");
    let network = vec![("autonomous_system_number", Value::Number(64_500))];
    fs::write(&networks, database(&[("192.0.0.0/8", network)])).expect("database");

    let origin = Origin::fixed("cache-control: max-age=60", "hello");
    let mut config = config(origin.address);
    policy(&mut config).semantics = Semantics::Cloudfront.into();
    let names = keyed.iter().map(|name| (*name).to_owned()).collect();
    policy(&mut config).headers = Some(HeaderSelection { names });
    behavior(&mut config).origin_request_policy_id = also.into();
    let locations = Locations::open(Some(places), Some(networks));
    let options = Options { reception: trusting(&["127.0.0.0/8"]), locations, ..Options::default() };
    let edge = Edge::start_with_resources(config, options, resources);
    Scene { edge, origin, _folder: folder }
}

/// An origin request policy that names these headers.
fn naming(mode: Mode, names: &[&str]) -> Resources {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let config = OriginRequestPolicyConfig {
        name: "test".into(),
        headers: Some(OriginHeaderSelection { mode: mode.into(), names }),
        ..Default::default()
    };
    let config = ResourceConfig { kind: Some(Kind::OriginRequestPolicy(config)) };
    let mut resources = Resources::default();
    resources.insert(POLICY.parse().expect("id"), Resource::try_from(&config).expect("valid"));
    resources
}

/// What of the edge's own knowledge came with a request.
fn arrived(received: &Received) -> Vec<(&str, &str)> {
    let ours = received.headers.iter().filter(|(name, _)| name.starts_with("cloudfront-"));
    let mut ours: Vec<_> = ours.map(|(name, value)| (&name["cloudfront-".len()..], value.as_str())).collect();
    ours.sort_unstable();
    ours
}

#[test]
fn an_origin_learns_what_the_edge_knows_of_a_viewer() {
    let scene = scene(&[], ALL_AND_CLOUDFRONT, &Resources::default());
    let phone = "user-agent: Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/140.0.0.0 Mobile Safari/537.36";
    get(scene.edge.address, "/a", &[AMERICAN, "x-forwarded-proto: https", phone]);
    let received = scene.origin.received();
    assert_eq!(
        arrived(&received[0]),
        [
            ("forwarded-proto", "https"),
            ("is-android-viewer", "true"),
            ("is-desktop-viewer", "false"),
            ("is-ios-viewer", "false"),
            ("is-mobile-viewer", "true"),
            ("is-smarttv-viewer", "false"),
            ("is-tablet-viewer", "false"),
            ("viewer-address", "192.0.2.1:4711"),
            ("viewer-asn", "64500"),
            ("viewer-city", "Seattle"),
            ("viewer-country", "US"),
            ("viewer-country-name", "United States"),
            ("viewer-country-region", "WA"),
            ("viewer-country-region-name", "Washington"),
            ("viewer-http-version", "1.1"),
            ("viewer-latitude", "47.6062"),
            ("viewer-longitude", "-122.3321"),
            ("viewer-metro-code", "819"),
            ("viewer-postal-code", "98101"),
            ("viewer-time-zone", "America/Los_Angeles"),
        ]
    );
    assert_eq!(received[0].header("host"), Some("cdn.test"), "and all of the viewer's");
}

#[test]
fn the_flat_layout_says_the_same_by_other_names() {
    let scene = scene(&[], ALL_AND_CLOUDFRONT, &Resources::default());
    get(scene.edge.address, "/a", &[GERMAN]);
    let received = scene.origin.received();
    let place: Vec<_> =
        arrived(&received[0]).into_iter().filter(|(name, _)| name.starts_with("viewer-")).collect();
    assert_eq!(
        place,
        [
            ("viewer-address", "198.51.100.1:0"),
            ("viewer-city", "M\u{fc}nchen"),
            ("viewer-country", "DE"),
            ("viewer-country-region-name", "Bavaria"),
            ("viewer-http-version", "1.1"),
            ("viewer-latitude", "48.137"),
            ("viewer-longitude", "11.576"),
            ("viewer-time-zone", "Europe/Berlin"),
        ]
    );
}

#[test]
fn what_is_named_in_a_cache_policy_tells_objects_apart() {
    let scene =
        scene(&["CloudFront-Viewer-Country", "cloudfront-is-mobile-viewer"], "", &Resources::default());
    let mut viewer = Viewer::connect(scene.edge.address);
    for (from, agent, expected) in [
        (AMERICAN, "user-agent: a", "Miss"),
        (AMERICAN, "user-agent: b", "Hit"),
        (GERMAN, "user-agent: a", "Miss"),
        (GERMAN, "user-agent: x Mobile", "Miss"),
        ("x-forwarded-for: 192.0.2.77", "user-agent: c", "Hit"),
        ("x-forwarded-for: 203.0.113.1", "user-agent: a", "Miss"),
        ("x-forwarded-for: 203.0.113.2", "user-agent: a", "Hit"),
    ] {
        let answer = viewer.request("GET", "/a", &[from, agent]);
        assert_eq!(
            answer.header("x-cache"),
            Some(format!("{expected} from headland").as_str()),
            "{from} {agent}"
        );
    }
    let received = scene.origin.received();
    assert_eq!(arrived(&received[1]), [("is-mobile-viewer", "false"), ("viewer-country", "DE")]);
    assert_eq!(arrived(&received[3]), [("is-mobile-viewer", "false")], "in no country");
}

#[test]
fn nobody_forges_what_the_edge_says() {
    let forged = [
        "cloudfront-viewer-country: DE",
        "CloudFront-Viewer-City: Forged",
        "cloudfront-viewer-tls: TLSv1.3",
        "cloudfront-viewer-mood: good",
    ];
    let scene = scene(&["cloudfront-viewer-country"], ALL_AND_CLOUDFRONT, &Resources::default());
    let with = |from: &'static str| [&[from][..], &forged[..]].concat();
    get(scene.edge.address, "/a", &with(AMERICAN));
    assert_eq!(get(scene.edge.address, "/a", &[AMERICAN]).header("x-cache"), Some("Hit from headland"));
    get(scene.edge.address, "/a", &with("x-forwarded-for: 203.0.113.1"));
    let received = scene.origin.received();
    let american = arrived(&received[0]);
    assert!(american.contains(&("viewer-country", "US")) && american.contains(&("viewer-city", "Seattle")));
    for received in &received {
        for (name, value) in arrived(received) {
            assert!(value != "Forged" && name != "viewer-tls" && name != "viewer-mood", "{name}: {value}");
        }
    }
    assert!(
        !arrived(&received[1]).iter().any(|(name, _)| *name == "viewer-country"),
        "nor where nothing is known"
    );
}

#[test]
fn a_policy_gets_what_it_names_and_no_more() {
    let named = ["CloudFront-Viewer-Header-Order", "CloudFront-Viewer-Header-Count", "x-other"];
    let resources = naming(Mode::Whitelist, &named);
    let scene = scene(&[], POLICY, &resources);
    get(scene.edge.address, "/a", &["x-other: 1", "accept: b"]);
    let received = scene.origin.received();
    let expected = [("viewer-header-count", "3"), ("viewer-header-order", "host:x-other:accept")];
    assert_eq!(arrived(&received[0]), expected);
    assert_eq!((received[0].header("x-other"), received[0].header("accept")), (Some("1"), None));

    let resources = naming(Mode::AllViewerAndWhitelistCloudfront, &["CloudFront-Viewer-ASN"]);
    let scene = self::scene(&[], POLICY, &resources);
    get(scene.edge.address, "/a", &[AMERICAN, "accept: b"]);
    let received = scene.origin.received();
    assert_eq!(arrived(&received[0]), [("viewer-asn", "64500")]);
    assert_eq!(received[0].header("accept"), Some("b"));
}

#[test]
fn hits_stay_quick_where_no_key_depends_on_it() {
    let scene = scene(&[], ALL_AND_CLOUDFRONT, &Resources::default());
    let mut viewer = Viewer::connect(scene.edge.address);
    for _ in 0..3 {
        assert_eq!(viewer.request("GET", "/a", &[AMERICAN]).status, 200);
    }
    assert_eq!(scene.edge.shared.metrics.quick_hits(), 2);
    assert_eq!(EdgeHeader::ALL.len(), 22);
}
