//! Signed URLs and signed cookies: who is served, who is not, and what nobody else gets to see of it.

mod keys;

use std::{io::Write, path::Path, time::Duration};

use headland_edge_agent::explain::explain;
use headland_proto::{
    model::{Resource, Resources},
    v1::{self, resource_config::Kind},
};

use self::keys::{Key, Kind::*};
use crate::support::{
    edge::{ALL_METHODS, Edge, HOST, Options, behavior, config, policy},
    origin::{Origin, response},
    viewer::{Response, Viewer, get},
};

const GROUP: &str = "00000000-0000-4000-8000-000000000100";

/// A group of these keys, and the keys.
fn resources(keys: &[&Key]) -> Resources {
    let mut resources = Resources::default();
    let mut insert = |id: &str, kind: Kind| {
        let config = v1::ResourceConfig { kind: Some(kind) };
        let resource = Resource::try_from(&config).expect("a resource that can be used");
        resources.insert(id.parse().expect("id"), resource);
    };
    for key in keys {
        let public_key_pem = key.public_pem.clone();
        insert(
            &key.id,
            Kind::PublicKey(v1::PublicKeyConfig {
                name: key.id.clone(),
                public_key_pem,
                ..Default::default()
            }),
        );
    }
    let public_key_ids = keys.iter().map(|key| key.id.clone()).collect();
    insert(
        GROUP,
        Kind::KeyGroup(v1::KeyGroupConfig { name: "g".into(), public_key_ids, ..Default::default() }),
    );
    resources
}

/// An origin that answers with the path it was asked for.
fn origin() -> Origin {
    Origin::start(|request, stream| {
        let answer = match request.path().starts_with("/missing") {
            true => response("404 Not Found", "", "the origin's own"),
            false => response("200 OK", "cache-control: max-age=600\r\netag: \"a\"", request.path()),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    })
}

fn signed(origin: &Origin) -> v1::DistributionConfig {
    let mut config = config(origin.address);
    behavior(&mut config).trusted_key_group_ids = vec![GROUP.into()];
    config
}

fn start(origin: &Origin, config: v1::DistributionConfig, key: &Key, options: Options) -> Edge {
    // It begins with a configuration that refers to nothing.
    let edge = Edge::start_with(crate::support::edge::config(origin.address), options);
    edge.update_with(config, &resources(&[key]));
    edge
}

/// Seconds from the edge's now.
fn from_now(edge: &Edge, seconds: u64) -> u64 {
    edge.clock.now().unix_seconds() + seconds
}

#[track_caller]
fn refused(response: &Response, code: &str) {
    assert_eq!(response.status, 403, "{}", response.text());
    assert!(response.text().contains(&format!("({code})")), "{}", response.text());
    assert_eq!(response.header("x-cache"), Some("Error from headland"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
}

#[test]
fn every_kind_of_key_and_hash_that_openssl_signs_with_is_verified() {
    for kind in [Rsa, Ecdsa] {
        let (origin, key) = (origin(), Key::new(1, kind));
        let edge = start(&origin, signed(&origin), &key, Options::default());
        for hash in ["sha1", "sha256"] {
            let path = format!("/{hash}?size=large");
            let url = key.canned(&format!("http://{HOST}{path}"), from_now(&edge, 60), hash);
            let first = get(edge.address, &url, &[]);
            assert_eq!((first.status, first.text()), (200, path.as_str()), "{kind:?} {hash}");
            assert_eq!(get(edge.address, &url, &[]).header("x-cache"), Some("Hit from headland"));
        }
    }
}

#[test]
fn nobody_reads_without_a_signature_what_others_have_read_with_one() {
    let (origin, key) = (origin(), Key::new(1, Ecdsa));
    let mut config = signed(&origin);
    behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    let edge = start(&origin, config, &key, Options::default());
    let url = key.canned(&format!("http://{HOST}/a"), from_now(&edge, 60), "sha256");
    for _ in 0..2 {
        assert_eq!(get(edge.address, &url, &[]).status, 200);
    }
    let asked = origin.requests();
    for headers in [
        &[][..],
        &["range: bytes=0-0"],
        &["if-none-match: \"a\""],
        &["cache-control: only-if-cached"],
        &["cookie: a=b"],
        &["headland-debug: 1"],
    ] {
        refused(&get(edge.address, "/a", headers), "signature-missing");
        refused(&get(edge.address, "/a?x", headers), "signature-missing");
    }
    for method in ["OPTIONS", "PUT", "POST", "PATCH", "DELETE"] {
        refused(&Viewer::connect(edge.address).request(method, "/a", &[]), "signature-missing");
    }
    let head = Viewer::connect(edge.address).request("HEAD", "/a", &[]);
    assert_eq!((head.status, head.header("etag")), (403, None));
    // One connection, so that what is allowed and what is not take turns.
    let mut viewer = Viewer::connect(edge.address);
    for _ in 0..3 {
        assert_eq!(viewer.request("GET", &url, &[]).status, 200);
        refused(&viewer.request("GET", "/a", &[]), "signature-missing");
    }
    assert_eq!(viewer.request("HEAD", &url, &[]).status, 200);
    assert_eq!(viewer.request("GET", &url, &["range: bytes=0-0"]).status, 206);
    assert_eq!(viewer.request("GET", &url, &["if-none-match: \"a\""]).status, 304);
    assert_eq!(origin.requests(), asked, "nothing of it reached the origin");
}

#[test]
fn whatever_is_changed_is_refused() {
    let (origin, key) = (origin(), Key::new(1, Rsa));
    let edge = start(&origin, signed(&origin), &key, Options::default());
    let url = key.canned(&format!("http://{HOST}/a?x=1"), from_now(&edge, 60), "sha1");
    assert_eq!(get(edge.address, &url, &[]).status, 200);
    let (path, signature) = url.split_once("Signature=").expect("a signature");
    let (signature, id) = signature.split_once('&').expect("an id");
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let expires = from_now(&edge, 60).to_string();
    let cases = [
        (url.replace("/a?", "/b?"), "signature-invalid"),
        (url.replace("x=1", "x=2"), "signature-invalid"),
        (url.replace("x=1&", ""), "signature-invalid"),
        (format!("{url}&y"), "signature-invalid"),
        (url.replace(&expires, &from_now(&edge, 61).to_string()), "signature-invalid"),
        (format!("{path}Signature={flipped}{}&{id}", &signature[1..]), "signature-invalid"),
        (format!("{path}Signature={}&{id}", &signature[4..]), "signature-invalid"),
        (format!("{path}Signature={}&{id}", &signature[1..]), "signature-malformed"),
        (format!("{path}Signature=&{id}"), "signature-malformed"),
        (format!("{url}&Hash-Algorithm=SHA256"), "signature-invalid"),
        (format!("{url}&Hash-Algorithm=none"), "signature-malformed"),
        (format!("{url}&Expires={expires}"), "signature-malformed"),
        (url.replace(&key.id, GROUP), "signature-key-unknown"),
        (url.replace(&expires, "1"), "signature-expired"),
        (url.replace(&expires, ""), "signature-malformed"),
    ];
    for (url, code) in cases {
        refused(&get(edge.address, &url, &[]), code);
    }
    let mut other_host = Viewer::connect(edge.address);
    let text = format!("GET {url} HTTP/1.1\r\nhost: dabcdefghijklm.cdn.localhost\r\n\r\n");
    other_host.raw(text.as_bytes());
    refused(&other_host.response(false), "signature-invalid");
}

#[test]
fn what_is_stored_is_not_served_when_the_time_of_a_signature_is_over() {
    let (origin, key) = (origin(), Key::new(1, Ecdsa));
    let edge = start(&origin, signed(&origin), &key, Options::default());
    let url = key.canned(&format!("https://{HOST}/a"), from_now(&edge, 60), "sha256");
    let resumed = ["range: bytes=1-"];
    assert_eq!(get(edge.address, &url, &[]).status, 200);
    edge.clock.advance(Duration::from_secs(59));
    assert_eq!(get(edge.address, &url, &[]).header("x-cache"), Some("Hit from headland"));
    assert_eq!(get(edge.address, &url, &resumed).status, 206);
    edge.clock.advance(Duration::from_secs(1));
    refused(&get(edge.address, &url, &[]), "signature-expired");
    refused(&get(edge.address, &url, &resumed), "signature-expired");
    let again = key.canned(&format!("https://{HOST}/a"), from_now(&edge, 60), "sha256");
    assert_eq!(get(edge.address, &again, &[]).header("x-cache"), Some("Hit from headland"));
    assert_eq!(origin.requests(), 1, "the object is the same, however it is signed");
}

#[test]
fn a_custom_policy_restricts_address_time_and_resource() {
    let (origin, key) = (origin(), Key::new(1, Rsa));
    let edge = start(&origin, signed(&origin), &key, Options::default());
    let sign = |path: &str, resource: &str, network: &str, from: u64| {
        let (from, until) = (from_now(&edge, from), from_now(&edge, 60));
        let policy = format!(
            r#"{{"Statement":[{{"Resource":"{resource}","Condition":{{"IpAddress":{{"AWS:SourceIp":"{network}"}},"DateGreaterThan":{{"AWS:EpochTime":{from}}},"DateLessThan":{{"AWS:EpochTime":{until}}}}}}}]}}"#
        );
        get(edge.address, &key.custom(path, &policy, "sha1"), &[])
    };
    let set = format!("http*://{HOST}/training/*");
    assert_eq!(sign("/training/a?x", &set, "127.0.0.0/8", 0).text(), "/training/a?x");
    assert_eq!(sign("/training/b", &set, "127.0.0.1", 0).status, 200);
    refused(&sign("/other/b", &set, "127.0.0.0/8", 0), "signature-resource");
    refused(&sign("/training/b", &set, "192.0.2.0/24", 0), "signature-address");
    refused(&sign("/training/b", &set, "2001:db8::/32", 0), "signature-address");
    refused(&sign("/training/b", &set, "127.0.0.0/8", 1), "signature-not-yet-valid");
}

#[test]
fn neither_origins_nor_keys_see_anything_of_parameters_and_cookies() {
    let (origin, key) = (origin(), Key::new(1, Ecdsa));
    let mut config = signed(&origin);
    policy(&mut config).cookies =
        Some(v1::NameSelection { mode: v1::name_selection::Mode::All.into(), names: vec![] });
    let edge = start(&origin, config, &key, Options::default());
    let url = key.canned(&format!("http://{HOST}/a?x=1"), from_now(&edge, 60), "sha256");
    let by_cookies = key.cookies(
        &format!(
            r#"{{"Statement":{{"Resource":"http://{HOST}/*","Condition":{{"DateLessThan":{{"AWS:EpochTime":{}}}}}}}}}"#,
            from_now(&edge, 60)
        ),
        "sha256",
    );
    let first = get(edge.address, &url, &["cookie: user=7"]);
    assert_eq!((first.status, first.text()), (200, "/a?x=1"));
    let second = get(edge.address, "/a?x=1", &[&format!("cookie: {by_cookies}; user=7")]);
    assert_eq!(second.header("x-cache"), Some("Hit from headland"), "cookies and URL sign for one object");
    let alone = get(edge.address, "/b", &[&format!("cookie: {by_cookies}")]);
    assert_eq!((alone.status, alone.text()), (200, "/b"));
    let received = origin.received();
    assert_eq!(received.len(), 2);
    assert_eq!((received[0].path(), received[0].header("cookie")), ("/a?x=1", Some("user=7")));
    assert_eq!((received[1].path(), received[1].header("cookie")), ("/b", None));
    // A URL that is signed badly is not helped by cookies that are good.
    let bad = get(edge.address, &format!("{url}&y"), &[&format!("cookie: {by_cookies}")]);
    refused(&bad, "signature-invalid");
}

#[test]
fn without_key_groups_the_names_are_the_origins_own() {
    let origin = origin();
    let mut config = config(origin.address);
    behavior(&mut config).trusted_key_group_ids = Vec::new();
    let edge = Edge::start(config);
    let path = "/a?Expires=1&Signature=s&Key-Pair-Id=k";
    let cookie = "CloudFront-Policy=p";
    assert_eq!(get(edge.address, path, &[&format!("cookie: {cookie}")]).text(), path);
    assert_eq!(origin.received()[0].header("cookie"), Some(cookie));
}

#[test]
fn a_key_counts_as_long_as_it_is_in_the_group() {
    let (origin, old, new) = (origin(), Key::new(1, Rsa), Key::new(2, Ecdsa));
    let edge = start(&origin, signed(&origin), &old, Options::default());
    let url = |key: &Key| key.canned(&format!("http://{HOST}/a"), from_now(&edge, 60), "sha1");
    assert_eq!(get(edge.address, &url(&old), &[]).status, 200);
    refused(&get(edge.address, &url(&new), &[]), "signature-key-unknown");
    edge.update_with(signed(&origin), &resources(&[&old, &new]));
    for key in [&old, &new] {
        assert_eq!(get(edge.address, &url(key), &[]).status, 200);
    }
    edge.update_with(signed(&origin), &resources(&[&new]));
    refused(&get(edge.address, &url(&old), &[]), "signature-key-unknown");
    assert_eq!(get(edge.address, &url(&new), &[]).status, 200);
}

#[test]
fn behaviors_are_signed_each_by_itself() {
    let (origin, key) = (origin(), Key::new(1, Ecdsa));
    let mut config = config(origin.address);
    let private = v1::CacheBehavior {
        path_pattern: "private/*".into(),
        ..signed(&origin).default_cache_behavior.expect("one")
    };
    config.cache_behaviors = vec![private];
    let edge = start(&origin, config, &key, Options::default());
    assert_eq!(get(edge.address, "/public/a", &[]).status, 200);
    refused(&get(edge.address, "/private/a", &[]), "signature-missing");
    refused(&get(edge.address, "/%70rivate/a", &[]), "signature-missing");
    let url = key.canned(&format!("http://{HOST}/private/a"), from_now(&edge, 60), "sha256");
    assert_eq!(get(edge.address, &url, &[]).status, 200);
}

#[test]
fn a_page_for_errors_needs_the_signature_that_its_own_behavior_asks_for() {
    let (origin, key) = (origin(), Key::new(1, Ecdsa));
    let page = |path: &str| {
        let mut config = signed(&origin);
        config.cache_behaviors = vec![v1::CacheBehavior {
            path_pattern: "errors/*".into(),
            trusted_key_group_ids: Vec::new(),
            ..signed(&origin).default_cache_behavior.expect("one")
        }];
        let custom = |error_code| v1::CustomErrorResponse {
            error_code,
            response_page_path: path.into(),
            ..Default::default()
        };
        config.custom_error_responses = vec![custom(403), custom(404)];
        config
    };
    let edge = start(&origin, page("/errors/e"), &key, Options::default());
    let missing = key.canned(&format!("http://{HOST}/missing"), from_now(&edge, 60), "sha256");
    let unsigned = get(edge.address, "/a", &[]);
    assert_eq!((unsigned.status, unsigned.text()), (403, "/errors/e"), "the page is for everybody");
    let not_found = get(edge.address, &missing, &[]);
    assert_eq!((not_found.status, not_found.text()), (404, "/errors/e"));

    edge.update_with(page("/private/e"), &resources(&[&key]));
    refused(&get(edge.address, "/a", &[]), "signature-missing");
    refused(&get(edge.address, &missing, &[]), "signature-missing");
    assert!(origin.received().iter().all(|request| request.path() != "/private/e"));
}

#[test]
fn what_is_on_disk_alone_is_served_to_those_who_sign() {
    let dir = tempfile::tempdir().expect("directory");
    let (origin, key) = (origin(), Key::new(1, Ecdsa));
    let options = |dir: &Path| Options { disk: Some(dir.to_owned()), ..Options::default() };
    let edge = start(&origin, signed(&origin), &key, options(dir.path()));
    let url = key.canned(&format!("http://{HOST}/a"), from_now(&edge, 600), "sha256");
    assert_eq!(get(edge.address, &url, &[]).status, 200);
    drop(edge);
    let edge = start(&origin, signed(&origin), &key, options(dir.path()));
    while edge.shared.cache.disk.as_ref().expect("a disk tier").is_loading() {
        std::thread::yield_now();
    }
    refused(&get(edge.address, "/a", &[]), "signature-missing");
    assert_eq!(get(edge.address, &url, &[]).header("x-cache"), Some("Hit from headland"));
    refused(&get(edge.address, "/a", &[]), "signature-missing");
    assert_eq!(origin.requests(), 1);
}

#[test]
fn explain_says_what_a_request_lacks() {
    let (origin, key) = (origin(), Key::new(1, Ecdsa));
    let edge = start(&origin, signed(&origin), &key, Options::default());
    let ask = |path_and_query: &str| {
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (path_and_query, None),
        };
        let request =
            v1::ExplainRequest { host: HOST.into(), path: path.into(), query, ..Default::default() };
        explain(&edge.shared, &request)
    };
    let told = ask("/a");
    assert_eq!(
        (told.verdict(), told.reason.as_str()),
        (v1::explanation::Verdict::Refused, "signature-missing")
    );
    assert_eq!(
        (told.status, told.behavior.expect("one").trusted_key_group_ids),
        (403, vec![GROUP.to_owned()])
    );
    let url = key.canned(&format!("http://{HOST}/a"), from_now(&edge, 60), "sha256");
    let told = ask(&url);
    assert_eq!(told.verdict(), v1::explanation::Verdict::Miss);
    assert_eq!(told.request.expect("one").forwarded_query, None);
    assert_eq!(ask(&format!("{url}&y")).reason, "signature-invalid");
}
