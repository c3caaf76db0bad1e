//! Origin shields: edges that ask another edge, which alone asks the origin.

use std::{io::Write as _, time::Instant};

use headland_edge_agent::viewer::response::X_CACHE;
use headland_proto::v1;

use crate::support::{
    edge::{ALL_METHODS, Edge, HOST, Options, behavior, config, policy, seconds},
    origin::{Origin, response},
    viewer::{Response, Viewer, get},
};

const FRESH: &str = "cache-control: max-age=60\r\netag: \"a\"";

/// A distribution whose origin has a shield.
fn shielded(origin: &Origin) -> v1::DistributionConfig {
    let mut config = config(origin.address);
    config.origins[0].origin_shield = Some(v1::OriginShield { location: "shield".into() });
    config
}

fn shield(config: v1::DistributionConfig) -> Edge {
    Edge::start_with(config, Options { pseudonym: "headland-shield", ..Options::default() })
}

/// Tells an edge that these are the edges of the shield.
fn name(edge: &Edge, shields: &[&Edge]) {
    let peers = shields.iter().enumerate().map(|(n, shield)| v1::Peer {
        edge_id: format!("shield-{n}"),
        location: "shield".into(),
        url: format!("http://{}", shield.peer),
    });
    edge.shared.peers.name(&v1::Peers { peers: peers.collect() }, Instant::now());
}

/// So many edges that ask the shield, and the shield.
fn network<const N: usize>(config: &v1::DistributionConfig) -> ([Edge; N], Edge) {
    let shield = shield(config.clone());
    let edges = std::array::from_fn(|_| {
        let edge = Edge::start(config.clone());
        name(&edge, &[&shield]);
        edge
    });
    (edges, shield)
}

fn x_cache(response: &Response) -> Option<&str> {
    response.header(X_CACHE.as_str())
}

/// Requests that the shield answered, and those that went to the origin because it could not.
fn by_shield(edge: &Edge) -> [u64; 2] {
    edge.shared.metrics.shield().map(|(_, count)| count)
}

#[test]
fn one_fetch_serves_all_edges() {
    let origin = Origin::fixed(FRESH, "hello");
    let (edges, shield) = network::<3>(&shielded(&origin));
    for edge in &edges {
        for expected in ["Miss from headland", "Hit from headland"] {
            let response = get(edge.address, "/a?x=1", &[]);
            assert_eq!((response.status, response.text()), (200, "hello"));
            assert_eq!(x_cache(&response), Some(expected));
        }
        assert_eq!(by_shield(edge), [1, 0]);
    }
    assert_eq!(origin.requests(), 1);
    // The shield serves its own viewers from what it has.
    assert_eq!(x_cache(&get(shield.address, "/a?x=1", &[])), Some("Hit from headland"));
    assert_eq!(by_shield(&shield), [0, 0]);
}

#[test]
fn what_is_stale_is_revalidated_at_the_shield() {
    let origin = Origin::start(|request, stream| {
        let answer = match request.header("if-none-match") {
            Some("\"a\"") => {
                "HTTP/1.1 304 Not Modified\r\ncache-control: max-age=60\r\netag: \"a\"\r\n\r\n".to_owned()
            }
            _ => response("200 OK", FRESH, "hello"),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let ([one, other], shield) = network::<2>(&shielded(&origin));
    for edge in [&one, &other] {
        get(edge.address, "/a", &[]);
    }
    for edge in [&one, &other, &shield] {
        edge.clock.advance(std::time::Duration::from_secs(61));
    }
    for edge in [&one, &other] {
        let again = get(edge.address, "/a", &[]);
        assert_eq!(
            (again.status, again.text(), x_cache(&again)),
            (200, "hello", Some("RefreshHit from headland"))
        );
    }
    assert_eq!(origin.requests(), 2, "one of each");
}

#[test]
fn a_shield_that_is_away_is_passed_over() {
    let origin = Origin::fixed(FRESH, "hello");
    let (edges, mut shield) = network::<1>(&shielded(&origin));
    let [edge] = &edges;
    get(edge.address, "/a", &[]);
    shield.stop();
    for (n, path) in ["/b", "/c", "/d"].into_iter().enumerate() {
        let response = get(edge.address, path, &[]);
        assert_eq!((response.status, response.text()), (200, "hello"), "{path}");
        assert_eq!(by_shield(edge), [1, n as u64 + 1]);
    }
    assert_eq!(origin.requests(), 4);
    // Another edge takes its place.
    let next = self::shield(shielded(&origin));
    name(edge, &[&next]);
    assert_eq!(get(edge.address, "/e", &[]).status, 200);
    assert_eq!(by_shield(edge), [2, 3]);
}

#[test]
fn a_shield_that_does_not_serve_the_distribution_is_passed_over() {
    let origin = Origin::fixed(FRESH, "hello");
    let config = shielded(&origin);
    let (edges, shield) = network::<1>(&config);
    shield.update(v1::DistributionConfig { enabled: false, ..config.clone() });
    assert_eq!(get(edges[0].address, "/a", &[]).text(), "hello");
    shield.update(v1::DistributionConfig { aliases: vec!["other.test".into()], ..config });
    assert_eq!(get(edges[0].address, "/b", &[]).text(), "hello");
    assert_eq!((by_shield(&edges[0]), origin.requests()), ([0, 2], 2));
}

#[test]
fn what_is_one_viewers_goes_to_the_origin_itself() {
    let origin = Origin::fixed("cache-control: no-store", "own");
    let mut config = shielded(&origin);
    behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    let (edges, shield) = network::<1>(&config);
    let answer = Viewer::connect(edges[0].address).request("POST", "/a", &["content-length: 0"]);
    assert_eq!((answer.status, by_shield(&edges[0])), (200, [0, 0]));
    policy(&mut config).max_ttl = seconds(0);
    edges[0].update(config);
    get(edges[0].address, "/b", &[]);
    assert_eq!(by_shield(&edges[0]), [0, 0]);
    assert_eq!(shield.shared.metrics.traffic().requests, 0);
}

#[test]
fn the_origin_hears_what_it_would_hear_without_a_shield() {
    let heard = |with_shield: bool| {
        let origin = Origin::fixed(FRESH, "hello");
        let mut config = shielded(&origin);
        policy(&mut config).headers =
            Some(v1::HeaderSelection { names: vec!["host".into(), "x-key".into()] });
        let (edges, _shield) = network::<1>(&config);
        if !with_shield {
            name(&edges[0], &[]);
            edges[0].shared.peers.name(&v1::Peers::default(), Instant::now());
            config.origins[0].origin_shield = None;
            edges[0].update(config);
        }
        let viewer = ["x-key: 1", "x-forwarded-for: 192.0.2.1", "x-other: 2", "accept-encoding: gzip"];
        get(edges[0].address, "/a?b=c", &viewer);
        assert_eq!(by_shield(&edges[0]), [u64::from(with_shield), 0]);
        let mut request = origin.received().remove(0);
        request.headers.retain(|(name, _)| name != "via" && name != "cdn-loop");
        request.headers.sort();
        (request.line, request.headers)
    };
    let (line, headers) = heard(true);
    assert_eq!((line, headers.clone()), heard(false));
    assert!(headers.contains(&("x-forwarded-for".into(), "192.0.2.1, 127.0.0.1".into())), "{headers:?}");
    assert!(headers.contains(&("host".into(), HOST.into())), "{headers:?}");
}

#[test]
fn what_is_about_viewers_happens_once() {
    let origin = Origin::start(|request, stream| {
        let answer = match request.path() {
            "/page" => response("200 OK", FRESH, "a page"),
            _ => response("404 Not Found", FRESH, "nothing"),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let mut config = shielded(&origin);
    behavior(&mut config).response_headers_policy_id = "67f7725c-6f97-4210-82d7-5512b31e9d03".into();
    config.custom_error_responses = vec![v1::CustomErrorResponse {
        error_code: 404,
        response_page_path: "/page".into(),
        response_code: 200,
        ..Default::default()
    }];
    let (edges, shield) = network::<1>(&config);
    let response = get(edges[0].address, "/a", &[]);
    assert_eq!((response.status, response.text()), (200, "a page"));
    let nosniff = response.headers.iter().filter(|(name, _)| name == "x-content-type-options");
    assert_eq!(nosniff.count(), 1);
    let paths: Vec<String> = origin.received().iter().map(|r| r.path().to_owned()).collect();
    assert_eq!(paths, ["/a", "/page"]);
    // To other edges the shield says what is so.
    let mut edge = Viewer::connect(shield.peer);
    let answer = edge.request("GET", "/a", &[]);
    assert_eq!(
        (answer.status, answer.text(), answer.header("x-content-type-options")),
        (404, "nothing", None)
    );
}

#[test]
fn a_large_object_comes_through_the_shield_in_parts() {
    let body: String = (0..3 << 20).map(|n: u32| char::from(b'a' + (n * 7 % 26) as u8)).collect();
    let sent = body.clone();
    let origin = Origin::start(move |request, stream| {
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
        let part = range.and_then(|range| {
            let (start, end) = range.split_once('-')?;
            let start: usize = start.parse().ok()?;
            let end = end.parse().map_or(sent.len(), |end: usize| (end + 1).min(sent.len()));
            Some((start, end))
        });
        let answer = match part {
            Some((start, end)) => {
                let range = format!("{FRESH}\r\ncontent-range: bytes {start}-{}/{}", end - 1, sent.len());
                response("206 Partial Content", &range, &sent[start..end])
            }
            None => response("200 OK", FRESH, &sent),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let mut config = shielded(&origin);
    config.origins[0].response_timeout = seconds(20);
    let ([one, other], _shield) = network::<2>(&config);
    for edge in [&one, &other] {
        let part = get(edge.address, "/film", &["range: bytes=1500000-1500009"]);
        assert_eq!((part.status, part.text()), (206, &body[1_500_000..1_500_010]));
    }
    let asked = origin.requests();
    for edge in [&one, &other] {
        assert!(get(edge.address, "/film", &[]).text() == body);
    }
    assert!(origin.requests() > asked);
    let whole = origin.requests();
    assert!(get(one.address, "/film", &["range: bytes=5-9"]).text() == &body[5..10]);
    assert_eq!(origin.requests(), whole);
}
