//! Who asks: a viewer's address and scheme, from its connection and from what trusted proxies say of it.
//!
//! Seen through trusted proxies, a request is what the first of them got: from there on they are part of this edge, and what they
//! wrote into `X-Forwarded-For` of one another is taken out again.

use std::net::{IpAddr, SocketAddr};

use headland_proto::model::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::reception::{Reception, TrustedProxies};
use crate::end_to_end::{self, X_FORWARDED_FOR};

pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// By which scheme the viewer came for whom an edge asks another.
pub(crate) const HEADLAND_VIEWER_SCHEME: HeaderName = HeaderName::from_static("headland-viewer-scheme");

/// A viewer, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// Where it asks from. Port 0: a proxy has not said which.
    pub address: SocketAddr,
    /// How it came, to whatever ended its connection.
    pub scheme: Scheme,
}

impl Viewer {
    /// At this address.
    #[must_use]
    pub fn new(address: SocketAddr, scheme: Scheme) -> Self {
        Self { address: SocketAddr::new(address.ip().to_canonical(), address.port()), scheme }
    }
}

/// Whoever opened a connection: a viewer, or a proxy that asks for many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    viewer: Viewer,
    is_trusted: bool,
}

impl Peer {
    pub(crate) fn new(viewer: Viewer, reception: &Reception) -> Self {
        Self { viewer, is_trusted: reception.proxies.contain(viewer.address.ip()) }
    }

    /// Another edge as the viewer for whom it asks, with what it says of that one taken out of the headers.
    pub(crate) fn edge(&self, headers: &mut HeaderMap) -> Self {
        let scheme = headers.remove(HEADLAND_VIEWER_SCHEME).and_then(|said| scheme(said.as_bytes()));
        let ip = end_to_end::take_last_forwarded_for(headers);
        let address = ip.map_or(self.viewer.address, |ip| SocketAddr::new(ip, 0));
        Self { viewer: Viewer::new(address, scheme.unwrap_or(self.viewer.scheme)), is_trusted: false }
    }

    /// By which scheme the viewer of a request came whose last `X-Forwarded-Proto` is this.
    pub(crate) fn scheme(&self, forwarded_proto: Option<&[u8]>) -> Scheme {
        forwarded_proto.filter(|_| self.is_trusted).and_then(scheme).unwrap_or(self.viewer.scheme)
    }

    /// Who asks with a request of these headers, which are then as the first trusted proxy got them.
    pub(crate) fn viewer(&self, proxies: &TrustedProxies, headers: &mut HeaderMap) -> Viewer {
        if !self.is_trusted {
            return self.viewer;
        }
        let scheme =
            self.scheme(headers.get_all(X_FORWARDED_PROTO).iter().next_back().map(HeaderValue::as_bytes));
        let address = through(proxies, headers).unwrap_or(self.viewer.address);
        Viewer::new(address, scheme)
    }
}

/// What the last proxy says in `X-Forwarded-Proto`. Proxies set it; one that appends to what a viewer sent says its own word last.
fn scheme(forwarded_proto: &[u8]) -> Option<Scheme> {
    let last = forwarded_proto.rsplit(|b| *b == b',').next().unwrap_or_default().trim_ascii();
    match () {
        () if last.eq_ignore_ascii_case(b"https") => Some(Scheme::Https),
        () if last.eq_ignore_ascii_case(b"http") => Some(Scheme::Http),
        () => None,
    }
}

/// The right-most address in `X-Forwarded-For` that is no trusted proxy's. What is malformed ends the walk: behind it nobody is known.
/// Whatever is not left of the address that is found is taken out.
fn through(proxies: &TrustedProxies, headers: &mut HeaderMap) -> Option<SocketAddr> {
    let mut list = Vec::new();
    for line in headers.get_all(X_FORWARDED_FOR) {
        if !list.is_empty() {
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(line.as_bytes());
    }
    let (mut left, mut found) = (&list[..], None);
    while !left.is_empty() {
        let comma = memchr::memrchr(b',', left);
        let element = left[comma.map_or(0, |comma| comma + 1)..].trim_ascii();
        let before = &left[..comma.unwrap_or(0)];
        if !element.is_empty() {
            // Of all that are trusted, the farthest stands for whoever is behind it.
            let Some(address) = address(element) else { break };
            found = Some((address, before));
            if !proxies.contain(address.ip()) {
                break;
            }
        }
        left = before;
    }
    let (address, before) = found?;
    match HeaderValue::from_bytes(before.trim_ascii()) {
        Ok(before) if !before.is_empty() => _ = headers.insert(X_FORWARDED_FOR, before),
        _ => _ = headers.remove(X_FORWARDED_FOR),
    }
    Some(address)
}

/// An element of `X-Forwarded-For`: an address, with or without a port; an IPv6 address in brackets if there is one.
fn address(element: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let bare =
        text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).filter(|text| text.contains(':'));
    match bare.unwrap_or(text).parse::<IpAddr>() {
        Ok(ip) => Some(SocketAddr::new(ip, 0)),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The viewer of a request with these lines, from a peer at this address, and what `X-Forwarded-For` is left.
    fn check(peer: &str, lines: &[(&'static str, &str)], expected: (&str, Scheme, Option<&str>)) {
        let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|n| n.parse().expect("network"));
        let proxies = TrustedProxies::new(networks.to_vec());
        let reception = Reception { proxies, ..Reception::default() };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("value"));
        }
        let peer = Viewer::new(peer.parse().expect("peer"), Scheme::Http);
        let viewer = Peer::new(peer, &reception).viewer(&reception.proxies, &mut headers);
        let left =
            headers.get("x-forwarded-for").map(|value| std::str::from_utf8(value.as_bytes()).expect("text"));
        assert_eq!((viewer.address.to_string().as_str(), viewer.scheme, left), expected, "{lines:?}");
    }

    const FOR: &str = "x-forwarded-for";
    const PROTO: &str = "x-forwarded-proto";

    #[test]
    fn a_stranger_is_not_believed() {
        let said = [(FOR, "192.0.2.1"), (PROTO, "https")];
        check("203.0.113.5:9", &said, ("203.0.113.5:9", Scheme::Http, Some("192.0.2.1")));
        check("[::ffff:203.0.113.5]:9", &[], ("203.0.113.5:9", Scheme::Http, None));
    }

    #[test]
    fn the_viewer_is_the_right_most_that_is_no_proxy() {
        let check = |list: &str, expected: &str, left: Option<&str>| {
            check("10.0.0.1:9", &[(FOR, list)], (expected, Scheme::Http, left));
        };
        check("192.0.2.1", "192.0.2.1:0", None);
        check("192.0.2.1:4711", "192.0.2.1:4711", None);
        check("[2001:dead::1]:4711", "[2001:dead::1]:4711", None);
        check("[2001:dead::1]", "[2001:dead::1]:0", None);
        check("2001:dead::1", "[2001:dead::1]:0", None);
        check("::ffff:192.0.2.1", "192.0.2.1:0", None);
        check("198.51.100.7, 192.0.2.1", "192.0.2.1:0", Some("198.51.100.7"));
        check("198.51.100.7, 192.0.2.1, 10.2.3.4 , 2001:db8::7", "192.0.2.1:0", Some("198.51.100.7"));
        check("10.9.9.9,, 10.2.3.4", "10.9.9.9:0", None);
        check(", 192.0.2.1,", "192.0.2.1:0", None);
    }

    #[test]
    fn what_is_malformed_ends_the_walk() {
        let check = |list: &str, expected: &str, left: Option<&str>| {
            check("10.0.0.1:9", &[(FOR, list)], (expected, Scheme::Http, left));
        };
        check("192.0.2.1, unknown", "10.0.0.1:9", Some("192.0.2.1, unknown"));
        check("192.0.2.1, unknown, 10.0.0.2", "10.0.0.2:0", Some("192.0.2.1, unknown"));
        for bad in
            ["1.2.3", "1.2.3.4:", "1.2.3.4:99999", "[1.2.3.4]", "[::1", "::1]:8", "\u{e9}", "\"192.0.2.1\""]
        {
            check(bad, "10.0.0.1:9", Some(bad));
        }
        check("", "10.0.0.1:9", Some(""));
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [(FOR, "198.51.100.7"), (FOR, "192.0.2.1"), (FOR, "10.0.0.2")];
        check("[2001:db8::1]:9", &lines, ("192.0.2.1:0", Scheme::Http, Some("198.51.100.7")));
    }

    #[test]
    fn the_scheme_is_what_the_last_proxy_says() {
        let check = |lines: &[(&'static str, &str)], expected| {
            check("10.0.0.1:9", lines, ("10.0.0.1:9", expected, None));
        };
        check(&[(PROTO, "https")], Scheme::Https);
        check(&[(PROTO, "HTTPS ")], Scheme::Https);
        check(&[(PROTO, "https, http")], Scheme::Http);
        check(&[(PROTO, "https"), (PROTO, "http")], Scheme::Http);
        check(&[(PROTO, "http"), (PROTO, "https")], Scheme::Https);
        check(&[(PROTO, "wss")], Scheme::Http);
        check(&[], Scheme::Http);
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_forwarded_ends_the_process(list: Vec<u8>, proto: Vec<u8>) {
            let mut headers = HeaderMap::new();
            for (name, bytes) in [(X_FORWARDED_FOR, list), (X_FORWARDED_PROTO, proto)] {
                headers.extend(HeaderValue::from_bytes(&bytes).ok().map(|value| (name, value)));
            }
            let reception = Reception {
                proxies: TrustedProxies::new(vec!["0.0.0.0/0".parse().expect("network")]),
                ..Reception::default()
            };
            let peer = Viewer::new(([10, 0, 0, 1], 9).into(), Scheme::Http);
            Peer::new(peer, &reception).viewer(&reception.proxies, &mut headers);
        }
    }
}
