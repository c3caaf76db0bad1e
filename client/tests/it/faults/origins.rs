//! Bad input: origins that break off or are not there, and specs that make no sense.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::network::{control_plane::ControlPlane, edge::Edge, viewer, wait::within};

const BODY: &str = "all of the object";

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_cut_short_is_not_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let whole = Arc::new(AtomicBool::new(false));
    let sends_whole = Arc::clone(&whole);
    // Ends with the process, which is this test's own.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let sent = if sends_whole.load(Ordering::Relaxed) { BODY } else { &BODY[..5] };
            let length = BODY.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{sent}"
            );
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    let control_plane = ControlPlane::start().await;
    let edge = Edge::start("fra1", &[&control_plane]).await;
    let host = control_plane.deploy(&format!("--origin http://{address}")).await.domain_name;
    for _ in 0..3 {
        let cut = within("an end", viewer::try_get(edge.http, &host, "/object")).await;
        assert!(!matches!(&cut, Ok(answer) if answer.status.is_success()), "{cut:?}");
    }
    whole.store(true, Ordering::Relaxed);
    edge.get(&host, "/object").await.miss(BODY.as_bytes());
    edge.get(&host, "/object").await.hit(BODY.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_not_there_is_told_to_the_viewer_and_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let control_plane = ControlPlane::start().await;
    let edge = Edge::start("fra1", &[&control_plane]).await;
    let host = control_plane.deploy(&format!("--origin http://{address}")).await.domain_name;
    let answer = edge.get(&host, "/object").await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(String::from_utf8_lossy(&answer.body).contains("could not be reached"), "{answer:?}");
    assert!(!answer.header("x-headland-id").is_empty(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_no_spec_has_is_refused_and_nothing_is_created() {
    let control_plane = ControlPlane::start().await;
    let spec = "origins: []\nno_such_field: 1\n";
    let path = control_plane.file("site.yaml", spec).display().to_string();
    let refused = control_plane.headland(&format!("distribution create -f {path}")).await;
    refused.failed(2, "spec-invalid").says(&["no_such_field", &format!("{path}:2:")]);
    assert_eq!(control_plane.json("distribution list").await, serde_json::json!([]));
}
