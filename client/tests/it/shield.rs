//! An origin shield in a network of real processes: edges hear of it from the control plane.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use http::{Response, StatusCode};

use crate::network::{
    control_plane::ControlPlane,
    edge::Edge,
    origin::{full, scripted},
    server::Server,
    wait::until,
};

/// Asks two edges for something that neither has had, until the origin hears of it so many times.
async fn origin_hears(edges: [&Edge; 2], host: &str, origin: &Server, times: usize) {
    let tries = AtomicUsize::new(0);
    until("the origin is asked by those who should", || async {
        let path = format!("/{times}/{}/{host}", tries.fetch_add(1, Relaxed));
        let before = origin.gets(&path);
        for edge in edges {
            let answer = edge.get(host, &path).await;
            assert_eq!((answer.status, answer.body.as_ref()), (StatusCode::OK, &b"hello"[..]), "{path}");
        }
        (origin.gets(&path) - before == times).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_ask_the_shield_and_do_without_it_while_it_is_away() {
    let origin = scripted(|_| {
        let response = Response::builder().header("cache-control", "max-age=600").body(full("hello"));
        std::future::ready(response.expect("a response"))
    })
    .await;
    let control_plane = ControlPlane::start().await;
    let mut shield = Edge::prepare("shield", &[&control_plane]).with_env("HEADLAND_PEER", "127.0.0.1:0");
    shield.run();
    shield.live(&control_plane).await;
    let one = Edge::start("fra1", &[&control_plane]).await;
    let other = Edge::start("lon1", &[&control_plane]).await;
    let address = origin.address();
    let spec = format!(
        "origins:\n  - id: o\n    origin_shield: {{location: shield}}\n    custom: {{domain_name: {}, http_port: {}}}\n\
         default_cache_behavior: {{target_origin_id: o}}\n",
        address.ip(),
        address.port()
    );
    let file = control_plane.file("site.yaml", &spec);
    let host = control_plane.deploy(&format!("-f {}", file.display())).await.domain_name;

    origin_hears([&one, &other], &host, &origin, 1).await;
    shield.kill();
    origin_hears([&one, &other], &host, &origin, 2).await;
    shield.run();
    shield.live(&control_plane).await;
    origin_hears([&one, &other], &host, &origin, 1).await;

    let wrong = control_plane.file("wrong.yaml", &spec.replace("location: shield", "location: ''"));
    let refused = control_plane.headland(&format!("distribution create -f {}", wrong.display())).await;
    refused.failed(2, "invalid-argument").says(&["origins[0].origin_shield.location", "is required"]);
}
