//! Edges behind load balancers: who is believed when it says for whom it asks, in headers or in the PROXY protocol.

use std::{net::SocketAddr, time::Duration};

use headland_edge_agent::viewer::{connection::Patience, reception::Entrance};
use headland_proto::v1::cache_behavior::ViewerProtocolPolicy;

use crate::support::{
    edge::{Edge, Options, behavior, config, trusting},
    origin::Origin,
    viewer::{Viewer, get},
};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const GET: &[u8] = b"GET /a HTTP/1.1\r\nhost: cdn.test\r\n\r\n";

/// An edge that trusts these networks, and whose address to listen on is such.
fn edge(trusted: &[&str], entrance: Entrance, patience: Patience) -> (Edge, Origin) {
    let origin = Origin::fixed("cache-control: no-store", "hello");
    let options = Options { reception: trusting(trusted), entrance, patience, ..Options::default() };
    (Edge::start_with(config(origin.address), options), origin)
}

fn patience() -> Patience {
    Options::default().patience
}

/// What the origin was told of the way of the last request.
fn told(origin: &Origin) -> Option<String> {
    origin.received().last()?.header("x-forwarded-for").map(str::to_owned)
}

#[test]
fn an_origin_hears_of_the_viewer_and_not_of_trusted_proxies() {
    let (edge, origin) = edge(&["127.0.0.0/8", "10.0.0.0/8"], Entrance::default(), patience());
    let mut viewer = Viewer::connect(edge.address);
    for (sent, expected) in [
        (&[][..], "127.0.0.1"),
        (&["x-forwarded-for: 192.0.2.1"], "192.0.2.1"),
        (&["x-forwarded-for: 192.0.2.1:4711, 10.0.0.1"], "192.0.2.1"),
        (&["x-forwarded-for: 203.0.113.1, 192.0.2.1"], "203.0.113.1, 192.0.2.1"),
        (&["x-forwarded-for: 203.0.113.1", "x-forwarded-for: [2001:db8::1]:80"], "203.0.113.1, 2001:db8::1"),
        (&["x-forwarded-for: 192.0.2.1, nonsense"], "192.0.2.1, nonsense, 127.0.0.1"),
        (&["x-forwarded-for: 192.0.2.1, nonsense, 10.0.0.1"], "192.0.2.1, nonsense, 10.0.0.1"),
    ] {
        // Through hyper, and without it.
        for not_plain in [&[][..], &["te: trailers"]] {
            assert_eq!(viewer.request("GET", "/a", &[sent, not_plain].concat()).status, 200);
            assert_eq!(told(&origin).as_deref(), Some(expected), "{sent:?}");
        }
    }
}

#[test]
fn what_a_stranger_says_is_passed_on_as_such() {
    let (edge, origin) = edge(&["10.0.0.0/8"], Entrance::default(), patience());
    get(edge.address, "/a", &["x-forwarded-for: 10.0.0.1"]);
    assert_eq!(told(&origin).as_deref(), Some("10.0.0.1, 127.0.0.1"));
}

const PROXIED: Entrance = Entrance { proxy_protocol: true, behind_tls: false };

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("length").to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

const INET: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0, 80];

/// What an edge that takes PROXY headers from here answers to a connection that begins so.
fn answer(edge: SocketAddr, header: &[u8], request: &[u8]) -> Option<u16> {
    let mut viewer = Viewer::connect(edge);
    // What is refused may be refused before all of it is sent.
    let _ = viewer.try_raw(&[header, request].concat());
    viewer.try_response(false).map(|answer| answer.status)
}

#[test]
fn a_load_balancer_says_who_opened_a_connection() {
    let (edge, origin) = edge(&["127.0.0.0/8"], PROXIED, patience());
    let tls = [&INET[..], &[4, 0, 2, 0, 0, 0x20, 0, 5, 1, 0, 0, 0, 0]].concat();
    for (header, expected) in [
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n".to_vec(), "192.0.2.1"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n".to_vec(), "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v2(0x21, 0x11, &INET), "192.0.2.1"),
        (v2(0x21, 0x11, &tls), "192.0.2.1"),
        (v2(0x20, 0x11, &INET), "127.0.0.1"),
        (v2(0x20, 0, &[]), "127.0.0.1"),
        (v2(0x21, 0, b"whatever"), "127.0.0.1"),
        (v2(0x21, 0x31, &[b'/'; 216]), "127.0.0.1"),
    ] {
        let text = header.escape_ascii().to_string();
        assert_eq!(answer(edge.address, &header, GET), Some(200), "{text}");
        assert_eq!(told(&origin).as_deref(), Some(expected), "{text}");
    }
    // Who it says is no proxy: what that one says in turn is its own word.
    let forged = b"GET /a HTTP/1.1\r\nhost: cdn.test\r\nx-forwarded-for: 203.0.113.1\r\n\r\n";
    assert_eq!(answer(edge.address, &v2(0x21, 0x11, &INET), forged), Some(200));
    assert_eq!(told(&origin).as_deref(), Some("203.0.113.1, 192.0.2.1"));
}

#[test]
fn a_connection_goes_on_as_any_other() {
    let (edge, _origin) = edge(&["127.0.0.0/8"], PROXIED, patience());
    let mut viewer = Viewer::connect(edge.address);
    viewer.raw(&v2(0x21, 0x11, &INET));
    for _ in 0..3 {
        assert_eq!(viewer.request("GET", "/a", &[]).status, 200);
    }
    // HTTP/2 begins with its preface, and is answered with its settings.
    let mut viewer = Viewer::connect(edge.address);
    viewer.raw(
        &[&v2(0x21, 0x11, &INET), &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..]].concat(),
    );
    assert_eq!(viewer.bytes(9)[3], 4, "a SETTINGS frame");
}

#[test]
fn whoever_does_not_say_for_whom_it_asks_is_refused() {
    let (edge, origin) = edge(&["127.0.0.0/8"], PROXIED, patience());
    let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 200], b"\r\n"].concat();
    let mut large = v2(0x21, 0x11, &[0; 5000]);
    large.extend_from_slice(&[0; 100]);
    let headers: [&[u8]; 12] = [
        b"",
        b"PROXY TCP4 nonsense 198.51.100.1 4711 80\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\n",
        b"PROXY TCP9 192.0.2.1 198.51.100.1 4711 80\r\n",
        b"proxy unknown\r\n",
        &long,
        &large,
        &v2(0x31, 0x11, &INET),
        &v2(0x2f, 0x11, &INET),
        &v2(0x21, 0xf1, &INET),
        &v2(0x21, 0x21, &INET),
        &v2(0x21, 0x11, &[&INET[..], &[4, 0xff, 0xff]].concat()),
    ];
    let refused = headers.len() as u64;
    for header in headers {
        assert_eq!(answer(edge.address, header, GET), None, "{:?}", header.escape_ascii().to_string());
    }
    assert_eq!((origin.requests(), edge.shared.metrics.unproxied()), (0, refused));
    // Nor does it matter what a stranger says.
    let (edge, origin) = self::edge(&["10.0.0.0/8"], PROXIED, patience());
    assert_eq!(answer(edge.address, &v2(0x21, 0x11, &INET), GET), None);
    assert_eq!((origin.requests(), edge.shared.metrics.unproxied()), (0, 1));
}

#[test]
fn a_header_that_does_not_come_is_not_waited_for_for_ever() {
    let patience = Patience { head: Duration::from_millis(100), ..patience() };
    let (edge, _origin) = edge(&["127.0.0.0/8"], PROXIED, patience);
    for begun in [&b""[..], b"PROXY", b"PROXY TCP4 192.0.2.1", SIGNATURE, &v2(0x21, 0x11, &INET)[..20]] {
        let mut viewer = Viewer::connect(edge.address);
        viewer.raw(begun);
        assert!(viewer.is_closed(), "{:?}", begun.escape_ascii().to_string());
    }
}

#[test]
fn without_the_setting_a_header_is_no_http() {
    let (edge, origin) = edge(&["127.0.0.0/8"], Entrance::default(), patience());
    assert_eq!(answer(edge.address, &v2(0x21, 0x11, &INET), GET), Some(400));
    assert_eq!(origin.requests(), 0);
}

#[test]
fn the_scheme_is_known_by_the_proxy_the_header_or_the_address() {
    let status = |entrance: Entrance, header: &[u8]| {
        let (edge, origin) = edge(&["127.0.0.0/8"], entrance, patience());
        let mut config = config(origin.address);
        behavior(&mut config).viewer_protocol_policy = ViewerProtocolPolicy::HttpsOnly.into();
        edge.update(config);
        answer(edge.address, header, GET)
    };
    let behind_tls = Entrance { behind_tls: true, ..Entrance::default() };
    assert_eq!(status(Entrance::default(), b""), Some(403));
    assert_eq!(status(behind_tls, b""), Some(200));
    let header = |tlv: &[u8]| v2(0x21, 0x11, &[&INET, tlv].concat());
    let (with, without) = ([0x20, 0, 5, 1, 0, 0, 0, 0], [0x20, 0, 5, 0, 0, 0, 0, 0]);
    assert_eq!(status(PROXIED, &header(&[])), Some(403));
    assert_eq!(status(PROXIED, &header(&with)), Some(200));
    let both = Entrance { behind_tls: true, ..PROXIED };
    assert_eq!(status(both, &header(&[])), Some(200));
    assert_eq!(status(both, &header(&without)), Some(403), "who knows better says so");
}
