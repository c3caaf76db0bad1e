//! The seven steps of "How CloudFront Delivers Content", one test or more each, on real processes.

mod buckets;

use std::{future::ready, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use tokio::{
    sync::{Barrier, mpsc},
    task::JoinSet,
};

use crate::network::{
    bucket::{IMAGE, PUBLIC, S3},
    control_plane::ControlPlane,
    edge::Edge,
    origin::{self, fixed},
    viewer,
    wait::{until, within},
};

#[tokio::test(flavor = "multi_thread")]
async fn step_2_create_returns_id_domain_name_etag_and_status_in_progress_then_deployed() {
    let control_plane = ControlPlane::start().await;
    let origin = fixed("hello").await;
    let create = format!("distribution create --origin http://{}", origin.address());
    let created = control_plane.headland(&format!("{create} -o json")).await.ok();
    let (id, domain_name) = (created.field("id"), created.field("domain_name"));
    assert!(id.len() == 14 && id.starts_with('E'), "{created:?}");
    assert!(domain_name.starts_with('d') && domain_name.ends_with(".cdn.localhost"), "{created:?}");
    assert!(!created.field("etag").is_empty());
    assert_eq!(created.json()["status"]["state"], "InProgress", "no edge has it");

    let mut edge = Edge::start("fra1", &[&control_plane]).await;
    let deployed = control_plane.json(&format!("distribution wait {id} --timeout 60s")).await;
    assert_eq!(deployed["status"]["state"], "Deployed");
    assert_eq!(deployed["etag"], created.field("etag").as_str(), "waiting changes nothing");

    // An edge that stands still keeps the next one from being deployed.
    edge.program().signal("STOP");
    let second = control_plane.headland(&format!("{create} -o json")).await.ok();
    assert_eq!(second.json()["status"]["state"], "InProgress");
    let id = second.field("id");
    let waited = control_plane.headland(&format!("distribution wait {id} --timeout 1s")).await;
    waited.failed(6, "wait-timeout");
    edge.program().signal("CONT");
    let deployed = control_plane.json(&format!("distribution wait {id} --timeout 60s")).await;
    assert_eq!(deployed["status"]["applied_edges"], 1);
    edge.get(&second.field("domain_name"), "/").await.miss(b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn step_3_a_viewer_asks_an_edge_by_the_domain_name() {
    let control_plane = ControlPlane::start().await;
    let edge = Edge::start("fra1", &[&control_plane]).await;
    let bucket = S3::start(PUBLIC).await;
    let flags = format!("{} --alias *.pictures.example", PUBLIC.flags(bucket.server.address()));
    let distribution = control_plane.deploy(&flags).await;

    let answer = edge.get(&distribution.domain_name, "/image.jpg").await.miss(IMAGE);
    assert!(!answer.header("via").is_empty() && !answer.header("etag").is_empty(), "{answer:?}");
    // The port is no part of the name, and neither is its case; the wildcard stands for any name below.
    let with_port = format!("{}:{}", distribution.domain_name.to_uppercase(), edge.http.port());
    edge.get(&with_port, "/image.jpg").await.hit(IMAGE);
    edge.get("a.b.pictures.example", "/image.jpg").await.hit(IMAGE);
    for stranger in ["pictures.example", "dnobody.cdn.localhost", "127.0.0.1"] {
        let answer = edge.get(stranger, "/image.jpg").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{stranger}: {answer:?}");
        let page = String::from_utf8_lossy(&answer.body);
        assert!(page.contains("No distribution answers to this host name"), "{page}");
    }
    assert_eq!(bucket.server.gets("/image.jpg"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn step_4_edge_list_says_which_edges_are_live_and_where() {
    let control_plane = ControlPlane::start().await;
    let mut frankfurt = Edge::start("fra1", &[&control_plane]).await;
    let mut madrid = Edge::start("mad2", &[&control_plane]).await;
    let edges = control_plane.edges().await;
    assert_eq!(edges.len(), 2, "{edges:?}");
    for edge in [&frankfurt, &madrid] {
        let url = format!("http://{}", edge.http);
        assert!(edges.iter().any(|e| e["viewer_url"] == url.as_str()), "{url} in {edges:?}");
    }
    let table = control_plane.headland("edge list").await.ok().stdout;
    for part in ["fra1", "mad2", "live"] {
        assert!(table.contains(part), "{part} in {table}");
    }

    frankfurt.kill();
    frankfurt.seen(&control_plane, "gone").await;
    // One that stands still has its connection, and says nothing.
    let before = madrid.live(&control_plane).await;
    madrid.program().signal("STOP");
    madrid.seen(&control_plane, "late").await;
    madrid.seen(&control_plane, "gone").await;
    madrid.program().signal("CONT");
    let after = madrid.live(&control_plane).await;
    assert_eq!(before["id"], after["id"]);
    // An edge keeps its id over a restart.
    frankfurt.run();
    let back = frankfurt.live(&control_plane).await;
    assert!(edges.iter().any(|e| e["id"] == back["id"]), "{back} in {edges:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn step_5_a_hundred_first_requests_cause_one_origin_fetch() {
    const VIEWERS: usize = 100;
    let (parts, body) = mpsc::channel::<Bytes>(2);
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    // Whoever asks a second time gets nothing.
    let origin = origin::scripted(move |_| {
        let body = body.lock().expect("lock").take();
        ready(Response::new(body.map_or_else(|| origin::full(""), origin::streamed)))
    })
    .await;
    let control_plane = ControlPlane::start().await;
    let mut edge = Edge::start("fra1", &[&control_plane]).await;
    let distribution = control_plane.deploy(&format!("--origin http://{}", origin.address())).await;

    let (first, second) = (Bytes::from(vec![b'1'; 70_000]), Bytes::from(vec![b'2'; 50_000]));
    let everybody_has_the_first = Arc::new(Barrier::new(VIEWERS + 1));
    let mut viewers = JoinSet::new();
    for _ in 0..VIEWERS {
        let (address, host) = (edge.http, distribution.domain_name.clone());
        let (barrier, first_length) = (Arc::clone(&everybody_has_the_first), first.len());
        viewers.spawn(async move {
            let mut response = viewer::open(address, &host, "/image.jpg").await.unwrap();
            let mut got = Vec::new();
            while let Some(frame) = response.body_mut().frame().await {
                got.extend_from_slice(frame.unwrap().data_ref().unwrap());
                if got.len() == first_length {
                    barrier.wait().await;
                }
            }
            got
        });
    }
    parts.send(first.clone()).await.unwrap();
    // The second part does not exist before every viewer has the whole first one.
    within("a hundred viewers with half the object", everybody_has_the_first.wait()).await;
    parts.send(second.clone()).await.unwrap();
    drop(parts);
    let whole = [first, second].concat();
    let got = within("a hundred viewers with the whole object", viewers.join_all()).await;
    assert!(got.len() == VIEWERS && got.iter().all(|body| *body == whole));
    assert_eq!(origin.gets("/image.jpg"), 1);
    let id = edge.live(&control_plane).await["id"].as_str().unwrap().to_owned();
    until("the edge reports one fetch for a hundred requests", || async {
        let traffic = control_plane.json(&format!("edge get {id}")).await["traffic"].clone();
        (traffic["requests"] == VIEWERS && traffic["origin_fetches"] == 1).then_some(())
    })
    .await;
    edge.get(&distribution.domain_name, "/image.jpg").await.hit(&whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn step_6_every_edge_serves_it_again_without_the_origin_after_its_own_first_fetch() {
    let control_plane = ControlPlane::start().await;
    let frankfurt = Edge::start("fra1", &[&control_plane]).await;
    let madrid = Edge::start("mad2", &[&control_plane]).await;
    let mut bucket = S3::start(PUBLIC).await;
    let distribution = control_plane.deploy(&PUBLIC.flags(bucket.server.address())).await;
    let host = distribution.domain_name.as_str();

    frankfurt.get(host, "/image.jpg").await.miss(IMAGE);
    frankfurt.get(host, "/image.jpg").await.hit(IMAGE);
    assert_eq!(bucket.server.gets("/image.jpg"), 1);
    madrid.get(host, "/image.jpg").await.miss(IMAGE);
    assert_eq!(bucket.server.gets("/image.jpg"), 2);

    bucket.server.stop().await;
    for edge in [&frankfurt, &madrid] {
        edge.get(host, "/image.jpg").await.hit(IMAGE);
        let absent = edge.get(host, "/other.jpg").await;
        assert_eq!(absent.status, StatusCode::BAD_GATEWAY, "the origin is gone: {absent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn step_7_what_expires_is_dropped_and_fetched_only_when_a_viewer_asks() {
    let control_plane = ControlPlane::start().await;
    let mut edge = Edge::start("fra1", &[&control_plane]).await;
    let bucket = S3::start(PUBLIC).await;
    let flags = format!("{} --default-ttl 3s", PUBLIC.flags(bucket.server.address()));
    let host = control_plane.deploy(&flags).await.domain_name;
    let id = edge.live(&control_plane).await["id"].as_str().unwrap().to_owned();

    edge.get(&host, "/image.jpg").await.miss(IMAGE);
    edge.get(&host, "/image.jpg").await.hit(IMAGE);
    until("the edge has dropped it by itself", || async {
        let seen = control_plane.json(&format!("edge get {id}")).await;
        (seen["traffic"]["expirations"] == 1 && seen["cache"]["objects"] == 0).then_some(())
    })
    .await;
    // Nobody asked: for longer than it would take to fetch it anew, nothing goes to the origin.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(bucket.server.gets("/image.jpg"), 1);
    edge.get(&host, "/image.jpg").await.miss(IMAGE);
    assert_eq!(bucket.server.gets("/image.jpg"), 2);
}
