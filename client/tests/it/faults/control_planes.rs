//! Control planes and their stores fail: what was acknowledged stays, and every edge arrives where it should.

use serde_json::{Value, json};

use super::writers::{Writers, listed};
use crate::network::{
    control_plane::ControlPlane,
    edge::Edge,
    etcd,
    origin::fixed,
    wait::{until, within},
};

/// Waits until a control plane sees this many edges live, all of which serve so many distributions.
async fn all_serve(control_plane: &ControlPlane, edges: usize, distributions: usize) -> Vec<Value> {
    until(&format!("{edges} edges serve {distributions} distributions"), || async {
        let seen = control_plane.edges().await;
        let there = |e: &Value| e["liveness"] == "live" && e["distributions"] == distributions;
        (seen.len() == edges && seen.iter().all(there)).then_some(seen)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_killed_in_mid_write_has_every_acknowledged_distribution_when_it_is_back() {
    let mut control_plane = ControlPlane::start().await;
    let mut edge = Edge::start("fra1", &[&control_plane]).await;
    let origin = fixed("hello").await;
    let host = control_plane.deploy(&format!("--origin http://{}", origin.address())).await.domain_name;
    edge.get(&host, "/").await.miss(b"hello");

    let writers = Writers::start(&[&control_plane], 4);
    for _ in 0..3 {
        writers.more(20).await;
        control_plane.kill();
        edge.get(&host, "/").await.hit(b"hello");
        control_plane.run();
        control_plane.ready().await;
    }
    let acknowledged = writers.stop().await;
    let all = listed(&control_plane).await;
    let lost: Vec<_> = acknowledged.difference(&all).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
    all_serve(&control_plane, 1, all.len()).await;
    for id in acknowledged.iter().take(3).chain(acknowledged.iter().last()) {
        control_plane.headland(&format!("distribution wait {id} --timeout 60s")).await.ok();
    }
    edge.program().assert_runs();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_member_restarted_under_load_loses_nothing_and_two_control_planes_agree() {
    let mut members = etcd::start(3).await;
    let endpoints = etcd::endpoints(&members);
    let one = ControlPlane::start_on_etcd(&endpoints).await;
    let other = ControlPlane::start_on_etcd(&endpoints).await;
    let mut edges = [Edge::start("fra1", &[&one, &other]).await, Edge::start("mad2", &[&other, &one]).await];
    let writers = Writers::start(&[&one, &other], 2);
    writers.more(30).await;
    for member in &mut members {
        member.kill();
        // Two of three are enough.
        writers.more(30).await;
        member.run();
        member.healthy().await;
    }
    let acknowledged = writers.stop().await;

    let all = listed(&one).await;
    let lost: Vec<_> = acknowledged.difference(&all).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
    assert_eq!(all, listed(&other).await);
    let summary = |edges: Vec<Value>| {
        let fields = |e: &Value| json!([e["id"], e["location"], e["viewer_url"], e["applied_revision"]]);
        edges.iter().map(fields).collect::<Vec<_>>()
    };
    let seen_by_one = summary(all_serve(&one, 2, all.len()).await);
    let seen_by_other = summary(all_serve(&other, 2, all.len()).await);
    assert_eq!(seen_by_one, seen_by_other);
    let id = acknowledged.last().expect("one");
    for control_plane in [&one, &other] {
        let status =
            control_plane.json(&format!("distribution wait {id} --timeout 60s")).await["status"].clone();
        assert_eq!(status["state"], "Deployed");
        assert_eq!(status["applied_edges"], 2, "{status}");
    }
    edges.iter_mut().for_each(|edge| edge.program().assert_runs());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_claimed_at_two_control_planes_at_once_goes_to_one() {
    let members = etcd::start(1).await;
    let endpoints = etcd::endpoints(&members);
    let one = ControlPlane::start_on_etcd(&endpoints).await;
    let other = ControlPlane::start_on_etcd(&endpoints).await;
    for round in 0..8 {
        let alias = format!("race-{round}.example.com");
        let create =
            |n| format!("distribution create --origin http://o{n}.example.com --alias {alias} -o json");
        let (line_one, line_other) = (create(1), create(2));
        let both = async { tokio::join!(one.headland(&line_one), other.headland(&line_other)) };
        let (a, b) = within("two creates", both).await;
        let (won, lost) = if a.code == Some(0) { (a, b) } else { (b, a) };
        let owner = won.ok().field("id");
        lost.failed(4, "host-name-taken").says(&[&alias, &owner]);
    }
    assert_eq!(listed(&one).await.len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_serve_on_while_etcd_is_away_and_changes_go_on_when_it_is_back() {
    let mut members = etcd::start(1).await;
    let control_plane = ControlPlane::start_on_etcd(&etcd::endpoints(&members)).await;
    let mut edge = Edge::start("fra1", &[&control_plane]).await;
    let origin = fixed("hello").await;
    let create = format!("--origin http://{}", origin.address());
    let host = control_plane.deploy(&create).await.domain_name;
    edge.get(&host, "/a").await.miss(b"hello");

    members[0].kill();
    let refused = control_plane.headland(&format!("distribution create {create} --call-timeout 2s")).await;
    assert_eq!(refused.code, Some(5), "{refused:?}");
    edge.get(&host, "/a").await.hit(b"hello");
    edge.get(&host, "/b").await.miss(b"hello");
    // The edge is new to a control plane that cannot read its store, and has what it had.
    edge.kill();
    edge.run();
    edge.ready().await;
    edge.get(&host, "/a").await.miss(b"hello");

    members[0].run();
    members[0].healthy().await;
    let next = until("changes are taken again", || async {
        let line = format!("distribution create {create} --wait=60s -o json");
        let created = control_plane.headland(&line).await;
        (created.code == Some(0)).then_some(created)
    })
    .await;
    edge.get(&next.field("domain_name"), "/a").await.miss(b"hello");
    edge.get(&host, "/a").await.hit(b"hello");
}
