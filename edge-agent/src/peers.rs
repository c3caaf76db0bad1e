//! The other edges, as far as this one can ask them for what they hold (origin shields): which there are, and how busy it keeps each.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use headland_proto::{
    model::{CustomOrigin, Http2, Origin, OriginKind, Scheme},
    v1,
};
use http::Uri;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

/// How long an edge that is no longer named may still be asked: a control plane that has just started does not know all of them yet.
const UNNAMED_KEPT: Duration = Duration::from_secs(60);
/// How much busier than the average an edge may be kept, in percent: beyond that, the next one is asked (consistent hashing with bounded loads).
const LOAD_MAX_PERCENT: usize = 125;
/// Requests that an edge may always have under way from this one: below that, which is the busiest says nothing.
const LOAD_FREE: usize = 8;
/// Edges that are tried for one request.
const TRIED_MAX: usize = 2;
/// Time to connect to another edge.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an idle connection to another edge is kept.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Marks a request that another edge has sent. It has been through everything that is about viewers, and goes to the origin from here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FromPeer;

/// All that are known. Sync writes, the pipeline reads.
#[derive(Debug, Default)]
pub struct Peers {
    location: String,
    edge_id: String,
    known: Mutex<BTreeMap<String, Known>>,
    current: ArcSwap<Vec<Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    peer: Arc<Peer>,
    /// Since when it has not been named; `None` while it is.
    unnamed: Option<Instant>,
}

/// Another edge.
#[derive(Debug)]
pub(crate) struct Peer {
    location: String,
    url: String,
    hash: u64,
    /// How it is reached.
    origin: Origin,
    busy: AtomicUsize,
}

/// Counts a request that an edge has been sent, until it is dropped.
#[derive(Debug)]
pub(crate) struct Asked<'p>(&'p Peer);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

impl Peer {
    fn new(wire: &v1::Peer) -> Option<Self> {
        let url = wire.url.parse::<Uri>().ok().filter(|url| url.scheme_str() == Some("http"))?;
        let host = url.host()?.parse().ok()?;
        let port = url.port_u16()?;
        let custom = CustomOrigin { scheme: Some(Scheme::Http), host, http_port: port, https_port: port };
        let origin = Origin {
            id: format!("edge {}", wire.edge_id),
            path: String::new(),
            custom_headers: Vec::new(),
            connection_attempts: 1,
            connection_timeout: CONNECTION_TIMEOUT,
            response_timeout: CONNECTION_TIMEOUT,
            keepalive_timeout: KEEPALIVE_TIMEOUT,
            kind: OriginKind::Custom(custom),
            completion_timeout: None,
            tls: None,
            http2: Http2::Off,
            health_check: None,
            shield: None,
        };
        let hash = hash(wire.edge_id.as_bytes());
        let (location, url) = (wire.location.clone(), wire.url.clone());
        Some(Self { location, url, hash, origin, busy: AtomicUsize::new(0) })
    }

    /// The edge as an origin that answers when the real one has had its time.
    pub(crate) fn in_place_of(&self, origin: &Origin) -> Origin {
        let connecting = origin.connection_timeout * origin.connection_attempts;
        Origin { response_timeout: connecting + origin.response_timeout, ..self.origin.clone() }
    }

    /// Counts a request.
    pub(crate) fn ask(&self) -> Asked<'_> {
        self.busy.fetch_add(1, Relaxed);
        Asked(self)
    }
}

impl Peers {
    /// None are known yet. This edge is the one with this id, at this location.
    #[must_use]
    pub fn new(edge_id: String, location: String) -> Self {
        Self { location, edge_id, ..Self::default() }
    }

    /// Where this edge is.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Takes in all that a control plane names.
    pub fn name(&self, peers: &v1::Peers, now: Instant) {
        let mut known = self.known.lock();
        known.values_mut().for_each(|known| _ = known.unnamed.get_or_insert(now));
        for wire in peers.peers.iter().filter(|wire| wire.edge_id != self.edge_id) {
            let before = known.get(&wire.edge_id).map(|known| Arc::clone(&known.peer));
            let before = before.filter(|peer| peer.location == wire.location && peer.url == wire.url);
            let Some(peer) = before.or_else(|| Peer::new(wire).map(Arc::new)) else {
                tracing::warn!(edge = ?wire.edge_id, url = ?wire.url, "cannot ask another edge: its URL is not http://host:port");
                continue;
            };
            known.insert(wire.edge_id.clone(), Known { peer, unnamed: None });
        }
        known.retain(|_, known| known.may_be_asked(now));
        self.current.store(Arc::new(known.values().cloned().collect()));
    }

    /// The edges at a location to ask for what has this hash, the first first.
    pub(crate) fn to_ask(&self, location: &str, hash: u64, now: Instant) -> Vec<Arc<Peer>> {
        let current = self.current.load();
        let there = current.iter().filter(|known| known.peer.location == location && known.may_be_asked(now));
        let there: Vec<&Arc<Peer>> = there.map(|known| &known.peer).collect();
        let loads: Vec<_> = there.iter().map(|peer| (peer.hash, peer.busy.load(Relaxed))).collect();
        order(hash, &loads).into_iter().take(TRIED_MAX).map(|index| Arc::clone(there[index])).collect()
    }
}

impl Known {
    fn may_be_asked(&self, now: Instant) -> bool {
        self.unnamed.is_none_or(|since| now.saturating_duration_since(since) < UNNAMED_KEPT)
    }
}

/// The order in which edges, each with its own hash and load, are asked for what has a hash: every edge that is away moves only what
/// it was asked for (rendezvous hashing), and one that is much busier than the others comes after them.
fn order(hash: u64, edges: &[(u64, usize)]) -> Vec<usize> {
    let total = 1 + edges.iter().map(|(_, load)| load).sum::<usize>();
    let load_max = (total * LOAD_MAX_PERCENT).div_ceil(100 * edges.len().max(1)).max(LOAD_FREE);
    let mut order: Vec<usize> = (0..edges.len()).collect();
    order.sort_by_key(|&index| {
        let (edge, load) = edges[index];
        (load >= load_max, std::cmp::Reverse(mixed(hash ^ edge)))
    });
    order
}

/// A number that tells texts apart, the same in every process.
pub(crate) fn hash(text: &[u8]) -> u64 {
    let digest = Sha256::digest(text);
    digest.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

/// Spreads what two numbers have in common over all bits.
fn mixed(mut x: u64) -> u64 {
    for multiplier in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        x ^= x >> 33;
        x = x.wrapping_mul(multiplier);
    }
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(n: u64) -> Vec<(u64, usize)> {
        (0..n).map(|n| (hash(&n.to_le_bytes()), 0)).collect()
    }

    fn first(key: u64, edges: &[(u64, usize)]) -> u64 {
        edges[order(hash(&key.to_le_bytes()), edges)[0]].0
    }

    #[test]
    fn keys_are_spread_and_stay_where_they_are_when_an_edge_goes() {
        let all = edges(5);
        let fewer: Vec<_> = all[..4].to_vec();
        let mut counts = BTreeMap::new();
        for key in 0..10_000 {
            let before = first(key, &all);
            *counts.entry(before).or_insert(0) += 1;
            if before != all[4].0 {
                assert_eq!(first(key, &fewer), before);
            }
        }
        assert!(counts.len() == 5 && counts.values().all(|n| (1_800..2_200).contains(n)), "{counts:?}");
        assert!(order(1, &[]).is_empty());
    }

    #[test]
    fn one_that_is_much_busier_than_the_others_comes_last() {
        let mut edges = edges(3);
        let favourite = order(7, &edges)[0];
        for (load, is_first) in [(0, true), (1, true), (LOAD_FREE - 1, true), (LOAD_FREE, false), (50, false)]
        {
            edges[favourite].1 = load;
            let order = order(7, &edges);
            assert_eq!(order[0] == favourite, is_first, "{load}");
            assert_eq!(order.len(), 3);
        }
        edges.iter_mut().for_each(|edge| edge.1 = 50);
        assert_eq!(order(7, &edges)[0], favourite, "all are as busy");
    }

    #[test]
    fn who_is_no_longer_named_is_asked_for_a_while() {
        let peers = Peers::new("me".into(), "here".into());
        let peer = |id: &str, location: &str, url: &str| v1::Peer {
            edge_id: id.into(),
            location: location.into(),
            url: url.into(),
        };
        let start = Instant::now();
        let named = |list: &[v1::Peer], after: u64| {
            peers.name(&v1::Peers { peers: list.to_vec() }, start + Duration::from_secs(after));
        };
        let there = |after: u64| peers.to_ask("far", 1, start + Duration::from_secs(after)).len();
        let good = peer("a", "far", "http://10.0.0.1:80");
        let list = [
            good.clone(),
            peer("me", "far", "http://10.0.0.2:80"),
            peer("b", "near", "http://10.0.0.3:80"),
            peer("c", "far", "https://10.0.0.4:80"),
            peer("d", "far", "http://10.0.0.4"),
            peer("e", "far", "nonsense"),
        ];
        named(&list, 0);
        assert_eq!(there(0), 1);
        named(&[], 10);
        assert_eq!((there(10), there(69), there(70)), (1, 1, 0));
        named(std::slice::from_ref(&good), 69);
        assert_eq!(there(1000), 1, "while it is named");
        named(&[], 1000);
        named(&[], 1050);
        assert_eq!((there(1059), there(1060)), (1, 0), "it counts from when it was named last");
    }
}
