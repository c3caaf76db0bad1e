//! Who is in the fleet, and for how long.

use super::*;

fn greeting(n: u128) -> Greeting {
    Greeting::try_from(v1::Hello { edge_id: Uuid::from_u128(n).to_string(), ..Default::default() }).unwrap()
}

fn connect(fleet: &Arc<Fleet>, n: u128) -> Connection {
    fleet.connect(greeting(n), &"c".into(), Moment::now()).unwrap().0
}

fn fleet() -> Arc<Fleet> {
    Fleet::new(Duration::from_secs(5))
}

fn liveness(fleet: &Fleet, n: u128, now: Instant) -> Option<Liveness> {
    fleet.get(Uuid::from_u128(n), now).map(|(_, liveness)| liveness)
}

#[test]
fn an_edge_is_live_while_its_stream_lasts_and_remembered_for_a_while() {
    let fleet = fleet();
    let connection = connect(&fleet, 1);
    assert_eq!(liveness(&fleet, 1, Instant::now()), Some(Liveness::Live));
    drop(connection);
    let now = Instant::now();
    assert_eq!(liveness(&fleet, 1, now), Some(Liveness::Gone));
    assert_eq!(liveness(&fleet, 1, now + GONE_REMEMBERED + Duration::from_secs(1)), None);
}

#[tokio::test]
async fn the_newest_stream_of_an_edge_wins() {
    let fleet = fleet();
    let old = connect(&fleet, 1);
    let new = connect(&fleet, 1);
    old.superseded().await;
    old.report(
        v1::Report { applied_revision: 99, cluster_id: "c".into(), ..Default::default() },
        Moment::now(),
    );
    let (edge, _) = fleet.get(Uuid::from_u128(1), Instant::now()).unwrap();
    assert_eq!(edge.applied.0, 0, "a superseded stream says nothing any more");
    drop(old);
    assert_eq!(liveness(&fleet, 1, Instant::now()), Some(Liveness::Live));
    drop(new);
    assert_eq!(liveness(&fleet, 1, Instant::now()), Some(Liveness::Gone));
}

#[test]
fn pages_are_in_order_of_id_and_say_whether_more_follow() {
    let fleet = fleet();
    let connections: Vec<Connection> = [3, 1, 2].map(|n| connect(&fleet, n)).into();
    let ids = |after: Option<u128>, limit| {
        let (page, more) = fleet.list(after.map(Uuid::from_u128), limit, Instant::now());
        (page.iter().map(|(e, _)| e.greeting.edge_id.as_u128()).collect::<Vec<_>>(), more)
    };
    assert_eq!(ids(None, 2), (vec![1, 2], true));
    assert_eq!(ids(Some(2), 2), (vec![3], false));
    assert_eq!(ids(None, 3), (vec![1, 2, 3], false));
    drop(connections);
}

#[test]
fn only_so_many_gone_edges_are_remembered() {
    let fleet = fleet();
    for n in 1..=GONE_EDGES_MAX as u128 + 3 {
        drop(connect(&fleet, n));
    }
    let staying = connect(&fleet, 5000);
    let [(_, live), _, (_, gone)] = fleet.count(Instant::now());
    assert_eq!((live, gone), (1, GONE_EDGES_MAX));
    assert_eq!(liveness(&fleet, 1, Instant::now()), None, "the longest gone is forgotten first");
    drop(staying);
}

#[test]
fn a_full_fleet_takes_no_stranger_but_lets_its_own_return() {
    let fleet = fleet();
    let mut connections: Vec<Connection> = (1..=EDGES_MAX as u128)
        .map(|n| {
            // Entering is linear in the size of the fleet; here only the count matters.
            let mut registry = fleet.registry.lock();
            registry.last_number += 1;
            let number = registry.last_number;
            let superseded = CancellationToken::new();
            let (desk, _) = Desk::new(Uuid::from_u128(n));
            let stream = Stream { number, superseded: superseded.clone(), desk: desk.clone() };
            registry.streams.insert(Uuid::from_u128(n), stream);
            Connection {
                fleet: fleet.clone(),
                edge_id: Uuid::from_u128(n),
                number,
                cluster_id: "c".into(),
                superseded,
                desk,
            }
        })
        .collect();
    let stranger = fleet.connect(greeting(EDGES_MAX as u128 + 1), &"c".into(), Moment::now());
    assert_eq!(stranger.err(), Some(FleetFull));
    connections.push(connect(&fleet, 7));
}

#[test]
fn edges_are_told_of_those_that_can_be_asked() {
    let fleet = fleet();
    let mut peers = fleet.peers();
    let connect = |n: u128, url: &str| {
        let hello = v1::Hello {
            edge_id: Uuid::from_u128(n).to_string(),
            location: format!("l{n}"),
            peer_url: url.into(),
            ..Default::default()
        };
        fleet.connect(Greeting::try_from(hello).unwrap(), &"c".into(), Moment::now()).unwrap().0
    };
    let mut told = || {
        let changed = peers.has_changed().unwrap();
        let named =
            peers.borrow_and_update().peers.iter().map(|peer| peer.location.clone()).collect::<Vec<_>>();
        (changed, named.join(" "))
    };
    assert_eq!(told(), (false, String::new()));
    let _mute = connect(1, "");
    assert_eq!(told(), (false, String::new()), "who cannot be asked is nobody's business");
    let second = connect(2, "http://192.0.2.2:80");
    let third = connect(3, "http://192.0.2.3:80");
    assert_eq!(told(), (true, "l2 l3".into()));
    let again = connect(3, "http://192.0.2.3:80");
    drop(third);
    assert_eq!(told(), (false, "l2 l3".into()), "another stream of the same edge");
    let leaving = v1::Report { leaving: true, ..Default::default() };
    second.report(leaving, Moment::now());
    assert_eq!(told(), (true, "l3".into()));
    drop((second, again));
    assert_eq!(told(), (true, String::new()));
}
