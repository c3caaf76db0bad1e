//! What an edge says it would do is what it does, on real processes.

use std::future::ready;

use http::Response;

use crate::network::{
    control_plane::ControlPlane,
    edge::Edge,
    origin::{self, full},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_an_edge_says_it_would_do_is_what_it_does() {
    let control_plane = ControlPlane::start().await;
    let edge = Edge::start("fra1", &[&control_plane]).await;
    let origin = origin::scripted(|_| {
        let answer = Response::builder().header("cache-control", "max-age=600").header("etag", "\"v1\"");
        ready(answer.body(full("hello")).expect("an answer"))
    })
    .await;
    let deployed =
        control_plane.deploy(&format!("--origin http://{} --alias www.example.test", origin.address())).await;
    let explain = "explain http://www.example.test/a.txt";

    let told = control_plane.json(explain).await;
    assert_eq!(
        (told["verdict"].as_str(), told["reason"].as_str()),
        (Some("miss"), Some("uri-miss")),
        "{told}"
    );
    assert_eq!(told["distribution"]["id"], deployed.id.as_str());
    assert_eq!(origin.gets("/a.txt"), 0, "nothing is sent to the origin");
    edge.get("www.example.test", "/a.txt").await.miss(b"hello");

    let told = control_plane.json(explain).await;
    assert_eq!((told["verdict"].as_str(), told["status"].as_u64()), (Some("hit"), Some(200)), "{told}");
    let variant = &told["variants"][0];
    assert_eq!((variant["selected"].as_bool(), variant["etag"].as_str()), (Some(true), Some("\"v1\"")));
    assert_eq!(variant["freshness"]["lifetime_seconds"], 600, "{told}");
    edge.get("www.example.test", "/a.txt").await.hit(b"hello");
    let story = control_plane.headland(explain).await.ok().stdout;
    for part in ["edge fra1 (", "HIT", "Cache key", "/a.txt", "by max-age", "default_cache_behavior"] {
        assert!(story.contains(part), "{part} in {story}");
    }

    // Where no distribution answers, nothing is to be had.
    let told = control_plane.json("explain http://elsewhere.test/a.txt").await;
    assert_eq!((told["verdict"].as_str(), told["status"].as_u64()), (Some("refused"), Some(404)), "{told}");
    assert_eq!(edge.get("elsewhere.test", "/a.txt").await.status, 404);
}
