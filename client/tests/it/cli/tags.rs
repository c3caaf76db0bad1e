//! Tags: set, looked for, and of no consequence at the edges.

use super::harness::Bench;
use crate::network::{control_plane::ControlPlane, edge::Edge, origin::fixed};

fn ids(listed: &serde_json::Value) -> Vec<&str> {
    listed.as_array().expect("a list").iter().map(|d| d["id"].as_str().expect("an id")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn distributions_are_found_by_what_they_are() {
    let bench = Bench::start().await;
    let policy =
        bench.headland_with_stdin("cache-policy create -f -", "name: mine\ntags: {team: web}\n").await;
    policy.ok();
    let web =
        bench.create("--tag team=web --tag stage=test --alias www.example.com --cache-policy mine").await;
    let api = bench.create("--tag team=api --alias *.example.net --disabled").await;
    for (filter, expected) in [
        ("", vec![&web, &api]),
        ("--tag team", vec![&web, &api]),
        ("--tag team=web", vec![&web]),
        ("--tag team=api --tag stage", vec![]),
        ("--host www.example.com", vec![&web]),
        ("--host deep.below.example.net", vec![&api]),
        ("--uses mine", vec![&web]),
        ("--enabled false", vec![&api]),
        ("--state deployed", vec![]),
        ("--state in-progress --tag team=web", vec![&web]),
        ("--origin nowhere.example.com", vec![]),
    ] {
        let listed = bench.headland(&format!("distribution list -o json {filter}")).await.ok().json();
        let mut expected: Vec<&str> = expected.into_iter().map(String::as_str).collect();
        expected.sort_unstable();
        assert_eq!(ids(&listed), expected, "{filter}");
    }
    let policies = bench.headland("cache-policy list --tag team=web -o json").await.ok().json();
    assert_eq!(policies[0]["config"]["name"], "mine", "{policies}");
    assert_eq!(ids(&policies).len(), 1, "{policies}");
    let named = bench.headland("cache-policy list --name Managed-CachingDisabled -o json").await.ok().json();
    assert_eq!(ids(&named), ["4135ea2d-6df8-44a3-9df3-4b5a84be39ad"]);
    let unknown = bench.headland("distribution list --uses nothing").await;
    unknown.failed(3, "not-found").says(&["\"nothing\""]);
    let wrong = bench.headland("distribution list --host a..b").await;
    wrong.failed(2, "invalid-argument").says(&["filter.host"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_part_of_the_config() {
    let bench = Bench::start().await;
    let id = bench.create("--tag team=web --tag old=yes").await;
    let before = bench.headland(&format!("distribution get {id} -o json")).await.ok().json();
    let flags = format!("distribution update {id} --tag team=api --untag old -o json");
    let after = bench.headland(&flags).await.ok().json();
    assert_eq!(after["config"]["tags"], serde_json::json!({"team": "api"}));
    assert_ne!(after["etag"], before["etag"], "a change of tags is a change");
    let refused = bench.headland(&format!("distribution update {id} --tag aws:x=y --tag k=#")).await;
    refused.failed(2, "invalid-argument").says(&["--tag: \"aws:x\"", "value contains '#'"]);
    let table = bench.headland(&format!("distribution get {id}")).await.ok().stdout;
    assert!(table.contains("team=api"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_tags_loses_nothing_that_is_cached() {
    let control_plane = ControlPlane::start().await;
    let edge = Edge::start("fra1", &[&control_plane]).await;
    let origin = fixed("kept").await;
    let flags = format!("--origin http://{} --default-ttl 1h", origin.address());
    let distribution = control_plane.deploy(&flags).await;
    edge.get(&distribution.domain_name, "/a").await.miss(b"kept");
    let update = format!("distribution update {} --tag team=web --wait=60s", distribution.id);
    control_plane.headland(&update).await.ok();
    edge.get(&distribution.domain_name, "/a").await.hit(b"kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_say_names_in_place_of_ids() {
    let bench = Bench::start().await;
    let created = bench.headland_with_stdin("cache-policy create -f - -o json", "name: mine\n").await.ok();
    let text = "origins: [{id: o, custom: {domain_name: o.example.com}}]\n\
                default_cache_behavior:\n  target_origin_id: o\n  cache_policy: mine\n  \
                origin_request_policy: Managed-AllViewer\n";
    let file = bench.file("site.yaml", text);
    let site = bench.headland(&format!("distribution create -f {} -o json", file.display())).await.ok();
    let behavior = &site.json()["config"]["default_cache_behavior"];
    assert_eq!(behavior["cache_policy_id"], created.json()["id"], "{behavior}");
    assert_eq!(behavior["origin_request_policy_id"], "216adef6-5c7f-47e4-b989-5492eafa07d3");
    let file = bench.file("wrong.yaml", &text.replace("mine", "yours").replace("AllViewer", "None"));
    for command in [format!("distribution update {}", site.field("id")), "lint".into()] {
        let wrong = bench.headland(&format!("{command} -f {}", file.display())).await;
        wrong.failed(2, "invalid-argument").says(&["wrong.yaml:4:17: ", "\"yours\"", "wrong.yaml:5:26: "]);
    }
    let file = bench.file("kind.yaml", "kind: cache-policy\nconfig:\n  name: x\n");
    let wrong = bench.headland(&format!("distribution create -f {}", file.display())).await;
    wrong.failed(2, "spec-invalid").says(&["kind.yaml:1:7: kind: is cache-policy, not distribution"]);
}
