//! Edges without their control plane, with a damaged disk, and on their way out.

use std::{
    fs,
    future::ready,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::sync::mpsc;

use crate::network::{
    control_plane::ControlPlane,
    edge::Edge,
    origin::{self, fixed},
    viewer,
    wait::{until, within},
};

/// Waits until the newest last-good file has this in it.
async fn saved(edge: &Edge, text: &str) {
    until("the last-good state is saved", || {
        let newest = edge.last_good().pop().and_then(|file| fs::read(file).ok()).unwrap_or_default();
        ready(newest.windows(text.len()).any(|w| w == text.as_bytes()).then_some(()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_serves_without_the_control_plane_also_after_a_cold_start() {
    let mut control_plane = ControlPlane::start().await;
    let mut edge = Edge::start("fra1", &[&control_plane]).await;
    let origin = fixed("hello").await;
    let create = format!("--origin http://{}", origin.address());
    let first = control_plane.deploy(&create).await;
    edge.get(&first.domain_name, "/a").await.miss(b"hello");
    saved(&edge, &first.domain_name).await;
    control_plane.kill();
    edge.get(&first.domain_name, "/a").await.hit(b"hello");
    edge.get(&first.domain_name, "/b").await.miss(b"hello");

    edge.kill();
    edge.run();
    edge.ready().await;
    edge.get(&first.domain_name, "/a").await.miss(b"hello");
    edge.get(&first.domain_name, "/a").await.hit(b"hello");

    // And it takes changes again when the control plane is back.
    control_plane.run();
    control_plane.ready().await;
    let second = control_plane.deploy(&create).await;
    edge.get(&second.domain_name, "/a").await.miss(b"hello");
    edge.get(&first.domain_name, "/a").await.hit(b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupted_last_good_file_is_skipped_and_an_older_one_is_used() {
    let mut control_plane = ControlPlane::start().await;
    let mut edge = Edge::start("fra1", &[&control_plane]).await;
    let origin = fixed("hello").await;
    let create = format!("--origin http://{}", origin.address());
    let first = control_plane.deploy(&create).await;
    saved(&edge, &first.domain_name).await;
    let second = control_plane.deploy(&create).await;
    saved(&edge, &second.domain_name).await;
    control_plane.kill();
    edge.kill();

    let newest = edge.last_good().pop().unwrap();
    let mut damaged = fs::read(&newest).unwrap();
    let last = damaged.last_mut().unwrap();
    *last ^= 1;
    fs::write(&newest, damaged).unwrap();
    // Cut off, as by a disk that was full: it is newer still.
    let cut = newest.with_file_name(format!("{:020}.lastgood", u64::from(u32::MAX)));
    fs::write(&cut, &fs::read(&newest).unwrap()[..20]).unwrap();

    edge.run();
    edge.ready().await;
    edge.get(&first.domain_name, "/a").await.miss(b"hello");
    let unknown = edge.get(&second.domain_name, "/a").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{unknown:?}");
    // The control plane brings back what the damage took.
    control_plane.run();
    control_plane.ready().await;
    until("the second distribution is served again", || async {
        let answer = edge.get(&second.domain_name, "/a").await;
        (answer.status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_is_asked_to_stop_finishes_a_running_download() {
    let (parts, body) = mpsc::channel::<Bytes>(1);
    let body = Arc::new(Mutex::new(Some(body)));
    let origin = origin::scripted(move |_| {
        let body = body.lock().expect("lock").take().expect("asked once");
        ready(Response::new(origin::streamed(body)))
    })
    .await;
    let control_plane = ControlPlane::start().await;
    let mut edge = Edge::start("fra1", &[&control_plane]).await;
    let host = control_plane.deploy(&format!("--origin http://{}", origin.address())).await.domain_name;
    parts.send("first ".into()).await.unwrap();
    let response = within("the head", viewer::open(edge.http, &host, "/film")).await.unwrap();

    edge.program().signal("TERM");
    let (http, admin) = (edge.http, edge.admin);
    until("the edge says that it drains", || async {
        let answer = viewer::try_get(admin, "127.0.0.1", "/readyz").await.ok()?;
        (answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.body == "draining\n").then_some(())
    })
    .await;
    edge.seen(&control_plane, "gone").await;
    until("no new viewer is let in", || async {
        viewer::try_get(http, &host, "/other").await.is_err().then_some(())
    })
    .await;
    edge.program().assert_runs();
    parts.send("second".into()).await.unwrap();
    drop(parts);
    let film = within("the rest", viewer::whole(response)).await.unwrap();
    assert_eq!(film.body, "first second");
    let status = edge.ended().await;
    assert_eq!(status.code(), Some(0));
}
