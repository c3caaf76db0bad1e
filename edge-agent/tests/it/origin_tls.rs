//! TLS toward origins: whom the edge trusts, what it shows, and that a refusal is told to the operator and not to viewers.

use std::{fs, net::SocketAddr, path::Path};

use headland_proto::v1;

use crate::support::{
    edge::{self, Edge, Options, config},
    origin::Origin,
    tls_origin::{self, Authority, Certified, Like, hexadecimal, log, over_tls},
    viewer::{Response, get},
};

fn plain(shows: &Certified) -> Like<'_> {
    Like { shows, demands: None, only_1_2: false }
}

fn trusting(authority: &Authority) -> v1::OriginTls {
    v1::OriginTls { ca_certificates: authority.pem(), ..Default::default() }
}

/// What an edge gets from this server by this name.
fn ask(name: &str, address: SocketAddr, tls: v1::OriginTls) -> Response {
    let mut config = config(address);
    over_tls(&mut config, name, address, tls);
    let edge = Edge::start(config);
    get(edge.address, "/a", &[])
}

/// The same is refused, and the log says why.
fn refused(name: &str, address: SocketAddr, tls: v1::OriginTls, reason: &str) {
    let log = log();
    let answer = ask(name, address, tls);
    assert_eq!(answer.status, 502, "{reason}");
    assert!(answer.header("cache-status").is_some_and(|status| status.contains("origin-tls")), "{answer:?}");
    let told = log.lines_with(&format!("{name}:{}", address.port()));
    assert!(told.iter().any(|line| line.contains(reason)), "{reason} not in {told:?}");
    assert!(!answer.text().contains(reason), "viewers need not know");
}

#[test]
fn an_origin_is_trusted_by_the_authority_that_it_names() {
    let authority = Authority::new("ours");
    let shows = authority.issue("localhost", 2100);
    let address = tls_origin::start(&plain(&shows));
    assert_eq!(ask("localhost", address, trusting(&authority)).text(), "nobody");
}

#[test]
fn what_is_not_trusted_is_refused_with_the_reason_in_the_log() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let good = authority.issue("localhost", 2100);
    let address = tls_origin::start(&plain(&good));
    refused("localhost", address, trusting(&other), "UnknownIssuer");
    let address = tls_origin::start(&plain(&good));
    // Nor does this machine know it.
    refused("localhost", address, v1::OriginTls::default(), "UnknownIssuer");
    let elsewhere = authority.issue("elsewhere.test", 2100);
    let address = tls_origin::start(&plain(&elsewhere));
    refused("localhost", address, trusting(&authority), "not valid for name");
    let old = authority.issue("localhost", 2021);
    let address = tls_origin::start(&plain(&old));
    refused("localhost", address, trusting(&authority), "expired");
}

#[test]
fn a_name_may_stand_in_for_the_origins_own() {
    let authority = Authority::new("ours");
    let shows = authority.issue("elsewhere.test", 2100);
    let address = tls_origin::start(&plain(&shows));
    let tls = v1::OriginTls { server_name: "elsewhere.test".into(), ..trusting(&authority) };
    assert_eq!(ask("127.0.0.1", address, tls).text(), "nobody");
}

#[test]
fn an_old_version_is_refused_where_that_is_wished() {
    let authority = Authority::new("ours");
    let shows = authority.issue("localhost", 2100);
    let old = || tls_origin::start(&Like { only_1_2: true, ..plain(&shows) });
    assert_eq!(ask("localhost", old(), trusting(&authority)).text(), "nobody");
    let minimum_version = v1::origin_tls::Version::Version13.into();
    let tls = v1::OriginTls { minimum_version, ..trusting(&authority) };
    refused("localhost", old(), tls, "ProtocolVersion");
}

#[test]
fn a_viewer_that_came_by_https_has_its_origin_asked_by_https() {
    let authority = Authority::new("ours");
    let shows = authority.issue("localhost", 2100);
    let (by_https, by_http) = (tls_origin::start(&plain(&shows)), Origin::fixed("", "in clear"));
    let mut config = config(by_http.address);
    over_tls(&mut config, "localhost", by_https, trusting(&authority));
    if let Some(v1::origin::Kind::Custom(custom)) = &mut config.origins[0].kind {
        custom.protocol_policy = v1::custom_origin::ProtocolPolicy::MatchViewer.into();
        custom.http_port = by_http.address.port().into();
    }
    let options = Options { reception: edge::trusting(&["127.0.0.0/8"]), ..Options::default() };
    let edge = Edge::start_with(config, options);
    assert_eq!(get(edge.address, "/a", &[]).text(), "in clear");
    assert_eq!(get(edge.address, "/b", &["x-forwarded-proto: https"]).text(), "nobody");
    assert_eq!(get(edge.address, "/c", &["x-forwarded-proto: http"]).text(), "in clear");
}

fn put(directory: &Path, shown: &Certified) {
    fs::write(directory.join("edge.key"), shown.key.serialize_pem()).expect("write");
    fs::write(directory.join("edge.crt"), shown.certificate.pem()).expect("write");
}

#[test]
fn a_certificate_is_shown_to_an_origin_that_demands_one_and_read_again_when_it_has_changed() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    let shows = authority.issue("localhost", 2100);
    let address = tls_origin::start(&Like { demands: Some(&clients), ..plain(&shows) });
    refused("localhost", address, trusting(&authority), "CertificateRequired");

    let directory = tempfile::tempdir().expect("directory");
    let mut config = config(address);
    let tls = v1::OriginTls { client_certificate: "edge".into(), ..trusting(&authority) };
    over_tls(&mut config, "localhost", address, tls.clone());
    let options = Options { client_certificates: Some(directory.path().to_path_buf()), ..Options::default() };
    let edge = Edge::start_with(config, options);
    let log = log();
    assert_eq!(get(edge.address, "/a", &[]).status, 502);
    assert!(log.lines_with("show the client certificate").iter().any(|line| line.contains("edge.crt")));
    for year in [2100, 2101] {
        let own = clients.issue("edge", year);
        put(directory.path(), &own);
        let expected = hexadecimal(own.certificate.der());
        while get(edge.address, "/a", &[]).text() != expected {}
    }
    // An edge that has no such directory says so.
    refused("localhost", tls_origin::start(&plain(&shows)), tls, "no directory");
}

#[test]
fn connections_are_not_shared_by_origins_that_trust_differently() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let shows = authority.issue("localhost", 2100);
    let address = tls_origin::start(&plain(&shows));
    let mut config = config(address);
    over_tls(&mut config, "localhost", address, trusting(&authority));
    let mut second = config.origins[0].clone();
    second.id = "second".into();
    second.tls = Some(trusting(&other));
    config.origins.push(second);
    config.cache_behaviors = vec![v1::CacheBehavior {
        path_pattern: "/second/*".into(),
        target_origin_id: "second".into(),
        ..config.default_cache_behavior.clone().expect("behavior")
    }];
    let edge = Edge::start(config);
    assert_eq!(get(edge.address, "/a", &[]).status, 200);
    assert_eq!(get(edge.address, "/second/a", &[]).status, 502);
}
