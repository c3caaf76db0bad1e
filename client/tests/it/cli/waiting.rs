//! Waiting for Deployed.

use std::{process::Stdio, time::Duration};

use headland::{client::WaitOptions, error::ErrorKind};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

use super::{harness::Bench, scripted_edge::ScriptedEdge};

const EDGE: &str = "0198c0de-0000-7000-8000-000000000001";
const OTHER_EDGE: &str = "0198c0de-0000-7000-8000-000000000002";

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_every_live_edge_has_applied() {
    let bench = Bench::start().await;
    let _edges = (
        ScriptedEdge::connect(bench.sync_endpoint(), EDGE, None).await,
        ScriptedEdge::connect(bench.sync_endpoint(), OTHER_EDGE, None).await,
    );
    let created =
        bench.headland("distribution create --origin http://a.example.com --wait=60s -o json").await.ok();
    assert_eq!(created.json()["status"]["state"], "Deployed");
    let id = created.field("id");
    let created = created.says(&["created ", "is deployed: "]);
    let waited = bench.headland(&format!("distribution wait {id} --timeout 60s -o json")).await.ok();
    assert_eq!(waited.json()["status"]["live_edges"], 2);
    let updated = bench.headland(&format!("distribution update {id} --comment x --wait -o json")).await.ok();
    assert_eq!(updated.json()["status"]["state"], "Deployed");
    assert!(updated.json()["revision"].as_u64() > created.json()["revision"].as_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_edges_the_wait_says_so_and_ends_in_time() {
    let bench = Bench::start().await;
    let waited =
        bench.headland("distribution create --origin http://a.example.com --wait=200ms -o json").await;
    assert_eq!(waited.code, Some(6), "{waited:?}");
    let id = waited.field("id");
    waited.says(&["no edge is live", "error[wait-timeout]", "hint: start an edge agent"]);
    bench
        .headland(&format!("distribution wait {id} --timeout 200ms"))
        .await
        .failed(6, "wait-timeout")
        .says(&[&id, "no edge is live"]);
    bench.headland("distribution wait EABCDEFGHIJKLM").await.failed(3, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_began_without_edges_ends_when_one_comes() {
    let bench = Bench::start().await;
    let id = bench.create("").await;
    let mut child = bench
        .command(&["distribution", "wait", &id, "--timeout", "60s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = talk.next_line().await.unwrap().expect("a line");
    assert!(first.contains("no edge is live"), "{first}");
    let _edge = ScriptedEdge::connect(bench.sync_endpoint(), EDGE, None).await;
    let mut last = first;
    while let Some(line) = talk.next_line().await.unwrap() {
        last = line;
    }
    assert!(last.contains("is deployed: 1 of 1"), "{last}");
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_and_keep_it_from_being_deployed() {
    let bench = Bench::start().await;
    let _edge = ScriptedEdge::connect(bench.sync_endpoint(), EDGE, Some("no such cipher")).await;
    let id = bench.create("").await;
    let client = bench.client();
    let refused = async {
        while client.get_distribution(&id).await.expect("it").status.unwrap_or_default().refusals.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), refused).await.expect("the refusal arrives");
    let mut child = bench
        .command(&["distribution", "wait", &id, "--timeout", "500ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    while let Some(line) = talk.next_line().await.unwrap() {
        said.push(line);
    }
    assert_eq!(child.wait().await.unwrap().code(), Some(6), "{said:#?}");
    let refused: Vec<_> = said.iter().filter(|l| l.starts_with("refused: ")).collect();
    assert_eq!(refused.len(), 1, "once: {said:#?}");
    assert!(refused[0].contains(EDGE) && refused[0].contains("no such cipher"), "{refused:?}");
    assert!(said.iter().any(|l| l.contains("1 refused it")), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_waits_for_the_revision_it_was_given() {
    let bench = Bench::start().await;
    let _edge = ScriptedEdge::connect(bench.sync_endpoint(), EDGE, None).await;
    let id = bench.create("--wait=60s").await;
    let client = bench.client();
    let now = client.get_distribution(&id).await.expect("a distribution");
    let wait = |revision_min| WaitOptions {
        timeout: Duration::from_millis(500),
        revision_min,
        ..WaitOptions::default()
    };
    let mut seen = 0;
    client.wait_deployed(&id, wait(now.revision), |_| seen += 1).await.expect("deployed");
    assert_eq!(seen, 1, "what is deployed already is seen once");
    let error = client.wait_deployed(&id, wait(now.revision + 1), |_| {}).await.expect_err("not yet");
    assert_eq!(error.kind(), ErrorKind::WaitTimeout);
}
