//! Step 1: the object lies in a bucket, public or private, of one S3 server or another.

use std::net::SocketAddr;

use http::StatusCode;

use crate::network::{
    bucket::{ACCESS_KEY, IMAGE, Kind, PRIVATE, PRIVATE_VIRTUAL, PUBLIC, S3, SECRET_KEY},
    control_plane::ControlPlane,
    edge::Edge,
    rclone::Rclone,
    wait::until,
};

#[tokio::test(flavor = "multi_thread")]
async fn step_1_image_jpg_lies_in_an_s3_bucket() {
    let servers = [S3::start(PUBLIC).await, S3::start(PRIVATE).await, S3::start(PRIVATE_VIRTUAL).await];
    check(servers.each_ref().map(|s| s.server.address()), StatusCode::FORBIDDEN).await;
    for server in &servers {
        assert!(server.server.gets("/image.jpg") > 0, "an edge was there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn step_1_image_jpg_lies_in_an_s3_bucket_of_another_make() {
    let servers =
        [Rclone::start(PUBLIC).await, Rclone::start(PRIVATE).await, Rclone::start(PRIVATE_VIRTUAL).await];
    // That is what this one says to who does not sign.
    check(servers.each_ref().map(|s| s.address), StatusCode::BAD_REQUEST).await;
}

/// What the shared credentials file of the edge says.
fn profiles() -> String {
    format!(
        "[photos]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n\
         [outdated]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = an-older-secret\n"
    )
}

/// An edge whose own credentials are right for the private servers.
async fn edge_with_credentials(control_plane: &ControlPlane) -> Edge {
    let file = control_plane.file("credentials", &profiles());
    let mut edge = Edge::prepare("fra1", &[control_plane])
        .with_env("AWS_EC2_METADATA_DISABLED", "true")
        .with_env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .with_env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .with_env("AWS_SHARED_CREDENTIALS_FILE", file.to_str().expect("UTF-8"));
    edge.run();
    edge.live(control_plane).await;
    edge
}

async fn check([public, private, private_virtual]: [SocketAddr; 3], unsigned: StatusCode) {
    let control_plane = ControlPlane::start().await;
    let edge = edge_with_credentials(&control_plane).await;
    let flags = |kind: Kind, address: SocketAddr, more: &str| format!("{} {more}", kind.flags(address));
    let mut good_ones = Vec::new();
    for (good, sound) in [
        (flags(PUBLIC, public, ""), true),
        (flags(PRIVATE, private, ""), true),
        (flags(PRIVATE, private, "--s3-profile photos"), true),
        // The AWS SDK, which looks whether the bucket is there, takes the short address for another one.
        (flags(PRIVATE_VIRTUAL, private_virtual, ""), false),
        (flags(PRIVATE_VIRTUAL, private_virtual, "--s3-profile photos"), false),
    ] {
        let distribution = control_plane.deploy(&good).await;
        let host = distribution.domain_name.clone();
        good_ones.extend(sound.then_some(distribution));
        let answer = edge.get(&host, "/image.jpg").await;
        assert_eq!(answer.status, StatusCode::OK, "{good}: {answer:?}");
        answer.miss(IMAGE);
        edge.get(&host, "/image.jpg").await.hit(IMAGE);
        let absent = edge.get(&host, "/absent.jpg").await;
        assert_eq!(absent.status, StatusCode::NOT_FOUND, "{good}: {absent:?}");
    }

    // Nobody is let in without a signature, and the viewer is told what the server said.
    let host = control_plane.deploy(&flags(PRIVATE, private, "--s3-public")).await.domain_name;
    let answer = edge.get(&host, "/image.jpg").await;
    assert_eq!(answer.status, unsigned, "{answer:?}");
    // Nor with a wrong secret, and then the operator is told, too.
    let distribution = control_plane.deploy(&flags(PRIVATE, private, "--s3-profile outdated")).await;
    let answer = edge.get(&distribution.domain_name, "/image.jpg").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
    let get = format!("distribution get {}", distribution.id);
    let problem = until("the edge reports the bucket's refusal", || async {
        let status = control_plane.json(&get).await["status"].clone();
        status["origin_problems"].get(0).cloned()
    })
    .await;
    let reason = problem["reason"].as_str().expect("a reason");
    assert!(reason.contains("refuses this edge's credentials"), "{problem}");
    let shown = control_plane.headland(&get).await.ok().stdout;
    assert!(shown.contains("refuses this edge's credentials"), "{shown}");
    // The edge looks at the buckets in the order they came: by now it would have said what is wrong with the others.
    for distribution in good_ones {
        let status =
            control_plane.json(&format!("distribution get {}", distribution.id)).await["status"].clone();
        assert_eq!(status["origin_problems"], serde_json::json!([]), "{status}");
    }
}
