//! The sync protocol, as an edge sees it.

use std::sync::atomic::Ordering;

use headland_proto::{
    limits::{GRPC_MESSAGE_BYTES_MAX, SYNC_PART_BYTES_MAX},
    v1::{self, Hello, Report, distribution_status::State, edge_message},
};
use prost::Message;
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::plane::{
    Plane, assert_refused, config,
    edge::{TestEdge, hello, ids},
    embedded,
    faulty::FaultyStore,
    large_config, within,
};

/// The greeting of an edge that has applied this revision of the plane's cluster.
fn hello_at(edge: &TestEdge, revision: u64) -> Hello {
    Hello { cluster_id: edge.welcome.cluster_id.clone(), applied_revision: revision, ..hello() }
}

#[tokio::test]
async fn a_new_edge_is_told_everything_even_if_it_is_nothing() {
    let plane = Plane::start().await;
    let mut edge = TestEdge::connect(&plane, hello()).await.unwrap();
    assert!(Uuid::try_parse(&edge.welcome.cluster_id).is_ok());
    assert_eq!(edge.welcome.report_interval.unwrap().seconds, 60);
    let update = edge.update().await;
    assert!(update.whole && update.last && !update.rewind);
    assert_eq!(update.from_revision, 0);
    assert!(update.to_revision > 0, "or the edge would take it for what it has");
    assert!(update.distributions.is_empty());
}

#[tokio::test]
async fn a_change_is_told_alone() {
    let plane = Plane::start().await;
    let a = plane.create(config("a", &["a.example.com"])).await.unwrap();
    let b = plane.create(config("b", &[])).await.unwrap();
    let mut edge = edge_that_has(&plane, b.revision).await;
    let updated = plane.update(&a, |c| c.comment = "new".into()).await.unwrap();
    let delta = edge.update().await;
    assert!(!delta.whole);
    assert_eq!(ids(&delta), [a.id.as_str()]);
    assert_eq!(delta.to_revision, updated.revision);
    let desired = &delta.distributions[0];
    assert_eq!(desired.revision, updated.revision);
    assert_eq!(desired.domain_name, a.domain_name);
    assert_eq!(desired.config, updated.config);
}

#[tokio::test]
async fn edges_are_told_which_others_can_be_asked() {
    let plane = Plane::start().await;
    let shield = Hello { location: "shield".into(), peer_url: "http://192.0.2.1:8078".into(), ..hello() };
    let _shield = TestEdge::connect(&plane, shield.clone()).await.unwrap();
    let mut edge = TestEdge::connect(&plane, hello()).await.unwrap();
    let mut revision = 0;
    while edge.peers.is_empty() {
        revision += 1;
        plane.create(config(&format!("r{revision}"), &[])).await.unwrap();
        edge.update().await;
    }
    let [peer] = &edge.peers[..] else { panic!("{:?}", edge.peers) };
    assert_eq!((&peer.edge_id, &peer.url), (&shield.edge_id, &shield.peer_url));
    assert_eq!(peer.location, "shield");
}

/// A new edge that has been told everything up to this revision at least.
async fn edge_that_has(plane: &Plane, revision: u64) -> TestEdge {
    let mut edge = TestEdge::connect(plane, hello()).await.unwrap();
    let mut told = 0;
    while told < revision {
        told = edge.update().await.to_revision;
    }
    edge
}

#[tokio::test]
async fn a_deletion_is_told_by_its_id() {
    let plane = Plane::start().await;
    let a = plane.create(config("a", &[])).await.unwrap();
    let disabled = plane.update(&a, |c| c.enabled = false).await.unwrap();
    let mut edge = edge_that_has(&plane, disabled.revision).await;
    plane.delete(&disabled).await.unwrap();
    let delta = edge.update().await;
    assert!(!delta.whole && delta.distributions.is_empty());
    assert_eq!(delta.deleted_distribution_ids, [a.id]);
}

#[tokio::test]
async fn an_edge_that_returns_is_told_what_it_missed() {
    let plane = Plane::start().await;
    let a = plane.create(config("a", &[])).await.unwrap();
    let edge = edge_that_has(&plane, a.revision).await;
    let returning = hello_at(&edge, a.revision);
    drop(edge);
    let b = plane.create(config("b", &[])).await.unwrap();
    let mut edge = TestEdge::connect(&plane, returning).await.unwrap();
    let delta = edge.update().await;
    assert_eq!((delta.from_revision, delta.to_revision, delta.whole), (a.revision, b.revision, false));
    assert_eq!(ids(&delta), [b.id.as_str()]);
}

#[tokio::test]
async fn an_edge_that_was_away_for_too_long_or_belongs_elsewhere_is_told_everything() {
    let (store, _dir) = embedded();
    let first = Plane::start_on(store.clone()).await;
    let a = first.create(config("a", &[])).await.unwrap();
    let b = first.create(config("b", &[])).await.unwrap();
    // A control plane that starts now does not know what was deleted before.
    let plane = Plane::start_on(store).await;
    let edge = TestEdge::connect(&plane, hello()).await.unwrap();
    let missed = hello_at(&edge, a.revision);
    let elsewhere = Hello { cluster_id: Uuid::new_v4().to_string(), ..hello_at(&edge, b.revision) };
    for hello in [missed, elsewhere] {
        let mut edge = TestEdge::connect(&plane, hello).await.unwrap();
        let update = edge.update().await;
        assert!(update.whole && !update.rewind);
        let mut both = [a.id.as_str(), b.id.as_str()];
        both.sort_by_key(|id| if *id == a.id { 0 } else { 1 });
        assert_eq!(ids(&update), both, "in the order of their changes");
    }
    // One that has everything is told nothing, until something changes.
    let mut current = TestEdge::connect(&plane, hello_at(&edge, b.revision)).await.unwrap();
    let c = plane.create(config("c", &[])).await.unwrap();
    let delta = current.update().await;
    assert_eq!((delta.from_revision, ids(&delta)), (b.revision, vec![c.id.as_str()]));
}

#[tokio::test]
async fn an_edge_from_before_a_restored_backup_is_rewound() {
    let plane = Plane::start().await;
    let a = plane.create(config("a", &[])).await.unwrap();
    let edge = edge_that_has(&plane, a.revision).await;
    let mut from_the_future = TestEdge::connect(&plane, hello_at(&edge, a.revision + 1000)).await.unwrap();
    let update = from_the_future.update().await;
    assert!(update.whole && update.rewind);
    assert_eq!(update.to_revision, a.revision);
    assert_eq!(ids(&update), [a.id.as_str()]);
}

#[tokio::test]
async fn an_edge_ahead_of_this_control_plane_is_not_rewound_but_makes_it_catch_up() {
    let (store, _dir) = embedded();
    let ahead = Plane::start_on(store.clone()).await;
    within(ahead.handle.ready()).await;
    let faulty = FaultyStore::new(store);
    faulty.watches_silent.store(true, Ordering::SeqCst);
    let behind = Plane::start_on(faulty.clone()).await;
    let mut waiting = TestEdge::connect(&behind, hello()).await.unwrap();
    assert!(waiting.update().await.whole);

    let a = ahead.create(config("a", &[])).await.unwrap();
    let told = edge_that_has(&ahead, a.revision).await;
    faulty.watches_silent.store(false, Ordering::SeqCst);
    let mut edge = TestEdge::connect(&behind, hello_at(&told, a.revision)).await.unwrap();
    // What it had not heard of is told to its other edges as an ordinary change.
    let delta = waiting.update().await;
    assert!(!delta.whole);
    assert_eq!((ids(&delta), delta.to_revision), (vec![a.id.as_str()], a.revision));
    let b = ahead.create(config("b", &[])).await.unwrap();
    let delta = edge.update().await;
    assert_eq!((delta.from_revision, delta.whole, ids(&delta)), (a.revision, false, vec![b.id.as_str()]));
}

#[tokio::test]
async fn refused_distributions_are_sent_again_on_request() {
    let plane = Plane::start().await;
    let a = plane.create(config("a", &[])).await.unwrap();
    let b = plane.create(config("b", &[])).await.unwrap();
    let edge = edge_that_has(&plane, b.revision).await;
    let hello = Hello {
        resend_distribution_ids: vec![a.id.clone(), "EAAAAAAAAAAAAA".into()],
        ..hello_at(&edge, b.revision)
    };
    let mut edge = TestEdge::connect(&plane, hello).await.unwrap();
    let update = edge.update().await;
    assert!(!update.whole);
    assert_eq!((ids(&update), update.to_revision), (vec![a.id.as_str()], b.revision));
}

#[tokio::test]
async fn a_large_update_comes_in_parts() {
    let plane = Plane::start().await;
    let mut last = 0;
    for i in 0..7 {
        last = plane.create(large_config(&format!("r{i}"), 900_000)).await.unwrap().revision;
    }
    drop(edge_that_has(&plane, last).await);
    let mut edge = TestEdge::connect(&plane, hello()).await.unwrap();
    let parts = edge.parts().await;
    let counts: Vec<usize> = parts.iter().map(|p| p.distributions.len()).collect();
    assert_eq!(counts, [2, 2, 2, 1]);
    for part in &parts {
        assert!(part.encoded_len() <= SYNC_PART_BYTES_MAX + 64);
    }
    const { assert!(SYNC_PART_BYTES_MAX + 64 < GRPC_MESSAGE_BYTES_MAX) };
}

#[tokio::test]
async fn a_faulty_greeting_is_refused_with_every_violation() {
    let plane = Plane::start().await;
    let bad = Hello { edge_id: "x".into(), location: "y".repeat(65), ..hello() };
    let refused = TestEdge::connect(&plane, bad).await.map(|_| ());
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID");
    let details = status.get_error_details();
    let fields: Vec<&str> =
        details.bad_request().unwrap().field_violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["hello.edge_id", "hello.location"]);

    let report = edge_message::Message::Report(Report::default());
    let refused = TestEdge::open(&plane, report).await.map(|_| ());
    assert_refused(refused, Code::InvalidArgument, "INVALID");

    let mut edge = TestEdge::connect(&plane, hello()).await.unwrap();
    edge.update().await;
    edge.send(edge_message::Message::Hello(hello())).await;
    assert_refused(edge.part().await, Code::InvalidArgument, "INVALID");
}

#[tokio::test]
async fn the_newest_stream_of_an_edge_wins() {
    let plane = Plane::start().await;
    let same = hello();
    let mut old = TestEdge::connect(&plane, same.clone()).await.unwrap();
    old.update().await;
    let mut new = TestEdge::connect(&plane, same.clone()).await.unwrap();
    assert_refused(old.part().await, Code::Aborted, "EDGE_SUPERSEDED");
    new.update().await;
    let edge = edge(&plane, &same.edge_id).await.unwrap();
    assert_eq!(edge.liveness(), v1::edge::Liveness::Live);
}

async fn edge(plane: &Plane, id: &str) -> Result<v1::Edge, tonic::Status> {
    let request = v1::GetEdgeRequest { id: id.into() };
    within(plane.edges().await.get_edge(request)).await.map(tonic::Response::into_inner)
}

/// Waits until the distribution's status is like this.
async fn until_status(
    plane: &Plane,
    id: &str,
    wanted: impl Fn(&v1::DistributionStatus) -> bool,
) -> v1::Distribution {
    within(async {
        loop {
            let distribution = plane.get(id).await.unwrap();
            if wanted(distribution.status.as_ref().unwrap()) {
                return distribution;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_distribution_is_deployed_when_every_live_edge_has_applied_it() {
    let plane = Plane::start().await;
    let a = plane.create(config("a", &[])).await.unwrap();
    let first = edge_that_has(&plane, a.revision).await;
    let second = edge_that_has(&plane, a.revision).await;
    first.applied(a.revision).await;
    second.applied(a.revision - 1).await;
    let deployed = |s: &v1::DistributionStatus| s.state() == State::Deployed;
    let halfway = until_status(&plane, &a.id, |s| (s.live_edges, s.applied_edges) == (2, 1)).await;
    assert_eq!(halfway.status.unwrap().state(), State::InProgress);
    second.applied(a.revision).await;
    until_status(&plane, &a.id, deployed).await;

    // A change takes it back to the start, and an edge that leaves is not waited for.
    let a = plane.update(&a, |c| c.comment = "new".into()).await.unwrap();
    assert_eq!(a.status.as_ref().unwrap().state(), State::InProgress);
    first.applied(a.revision).await;
    until_status(&plane, &a.id, |s| (s.live_edges, s.applied_edges) == (2, 1)).await;
    second.report(Report { leaving: true, ..second.report_of(a.revision - 1) }).await;
    until_status(&plane, &a.id, |s| deployed(s) && s.live_edges == 1).await;
    drop(first);
    until_status(&plane, &a.id, |s| s.state() == State::InProgress && s.live_edges == 0).await;
}

#[tokio::test]
async fn a_refusal_is_named_and_holds_up_only_its_own_distribution() {
    let plane = Plane::start().await;
    let a = plane.create(config("a", &[])).await.unwrap();
    let b = plane.create(config("b", &[])).await.unwrap();
    let edge = edge_that_has(&plane, b.revision).await;
    let refusal = v1::Refusal {
        distribution_id: a.id.clone(),
        revision: a.revision,
        reason: "no such thing".into(),
        ..Default::default()
    };
    let problem = v1::OriginProblem {
        distribution_id: b.id.clone(),
        origin_id: "o".into(),
        reason: "no such bucket".into(),
        ..Default::default()
    };
    let report =
        Report { refusals: vec![refusal], origin_problems: vec![problem], ..edge.report_of(b.revision) };
    edge.report(report).await;
    let b_status = until_status(&plane, &b.id, |s| s.state() == State::Deployed).await.status.unwrap();
    assert_eq!(b_status.origin_problems[0].reason, "no such bucket");
    let a_status = plane.get(&a.id).await.unwrap().status.unwrap();
    assert_eq!(a_status.state(), State::InProgress);
    assert_eq!(a_status.refusals[0].reason, "no such thing");

    // A new revision of it starts anew.
    let a = plane.update(&a, |c| c.comment = "better".into()).await.unwrap();
    assert!(a.status.unwrap().refusals.is_empty());
    edge.applied(a.revision).await;
    until_status(&plane, &a.id, |s| s.state() == State::Deployed).await;
}

#[tokio::test]
async fn edges_are_listed_with_what_they_said() {
    let plane = Plane::start().await;
    let mut greetings = [hello(), hello(), hello()];
    greetings.sort_by(|a, b| a.edge_id.cmp(&b.edge_id));
    let mut edges = Vec::new();
    for greeting in &greetings {
        edges.push(TestEdge::connect(&plane, greeting.clone()).await.unwrap());
    }
    let mut client = plane.edges().await;
    let mut listed = Vec::new();
    let mut token = String::new();
    loop {
        let request = v1::ListEdgesRequest { page_size: 2, page_token: token };
        let page = within(client.list_edges(request)).await.unwrap().into_inner();
        listed.extend(page.edges);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let said: Vec<(&str, &str)> = listed.iter().map(|e| (e.id.as_str(), e.location.as_str())).collect();
    let expected: Vec<(&str, &str)> = greetings.iter().map(|g| (g.edge_id.as_str(), "lab")).collect();
    assert_eq!(said, expected);
    assert_refused(edge(&plane, "x").await, Code::NotFound, "NOT_FOUND");

    drop(edges);
    within(async {
        while edge(&plane, &greetings[0].edge_id).await.unwrap().liveness() != v1::edge::Liveness::Gone {}
    })
    .await;
}

#[tokio::test]
async fn sync_goes_on_without_the_store() {
    let (store, _dir) = embedded();
    let store = FaultyStore::new(store);
    let plane = Plane::start_on(store.clone()).await;
    within(plane.handle.ready()).await;
    let a = plane.create(config("a", &[])).await.unwrap();
    drop(edge_that_has(&plane, a.revision).await);
    store.down.store(true, Ordering::SeqCst);
    let mut edge = TestEdge::connect(&plane, hello()).await.unwrap();
    assert_eq!(ids(&edge.update().await), [a.id.as_str()]);
    // Whether the store has gone back cannot be known now: one that is ahead is told nothing, but it is there.
    let ahead = hello_at(&edge, a.revision + 5);
    let mut ahead_edge = TestEdge::connect(&plane, ahead.clone()).await.unwrap();
    assert_eq!(self::edge(&plane, &ahead.edge_id).await.unwrap().liveness(), v1::edge::Liveness::Live);
    store.down.store(false, Ordering::SeqCst);
    let update = ahead_edge.update().await;
    assert!(update.whole && update.rewind, "it is known again, and the store has gone back");
}
