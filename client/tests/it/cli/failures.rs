//! What the command says and exits with when it cannot do as asked.

use std::{process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    time::{Instant, timeout},
};

use super::harness::{Bench, command, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_names_who_has_it() {
    let bench = Bench::start().await;
    let owner = bench.create("--alias www.example.com").await;
    bench
        .headland("distribution create --origin http://b.example.com --alias www.example.com")
        .await
        .failed(4, "host-name-taken")
        .says(&["www.example.com", &owner, "headland distribution list"]);
    let other = bench.create("").await;
    bench
        .headland(&format!("distribution update {other} --alias www.example.com"))
        .await
        .failed(4, "host-name-taken")
        .says(&[&owner]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_is_not_there_is_named_at_once() {
    let home = TempDir::new().unwrap();
    // A port that was free a moment ago and that nobody listens on.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let endpoint = format!("http://{address}");
    for line in ["distribution list", "edge list", "distribution create --origin http://a.example.com"] {
        let mut args: Vec<_> = line.split(' ').collect();
        args.extend(["--endpoint", &endpoint]);
        let begin = Instant::now();
        run(command(&home, &args)).await.failed(5, "unreachable").says(&[
            &endpoint,
            "refused",
            "headland-control-plane",
        ]);
        assert!(begin.elapsed() < Duration::from_secs(10), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_does_not_answer_is_not_waited_for_for_ever() {
    let home = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let args = ["distribution", "list", "--endpoint", &endpoint, "--call-timeout", "300ms"];
    let ended = timeout(Duration::from_secs(30), run(command(&home, &args))).await.expect("an end");
    ended.failed(5, "deadline-exceeded").says(&[&endpoint, "in time", "--call-timeout"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_that_listens_is_no_control_plane() {
    let home = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            drop(stream.try_write(answer));
        }
    });
    let args = ["edge", "list", "--endpoint", &endpoint, "--call-timeout", "5s"];
    let failed = run(command(&home, &args)).await;
    assert!(matches!(failed.code, Some(1 | 5)), "{failed:?}");
    failed.says(&["failed to list edges", "hint: "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_only_the_first_line_is_no_failure() {
    let bench = Bench::start().await;
    bench.create("").await;
    let mut child = bench
        .command(&["distribution", "list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().await.unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).await.unwrap();
    assert!(status.success() && stderr.is_empty(), "{status} {stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_cannot_steer_the_terminal() {
    let bench = Bench::start().await;
    let path = bench.file("site.yaml", "\"a\\e[2Jb\": 1\n");
    let refused = bench.headland(&format!("distribution create -f {}", path.display())).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(!refused.stderr.contains('\x1b'), "{refused:?}");
}
