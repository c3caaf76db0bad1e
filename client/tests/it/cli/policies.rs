//! Policies by the command: created from files, used by distributions, obeyed by edges.

use super::harness::Bench;
use crate::network::{control_plane::ControlPlane, edge::Edge, origin::fixed, wait::until};

const OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_lives_from_create_to_delete() {
    let bench = Bench::start().await;
    let file = bench.file("policy.yaml", "name: images\nmin_ttl: 1h\nheaders: {names: [Accept]}\n");
    let created = bench.headland(&format!("cache-policy create -f {} -o json", file.display())).await.ok();
    let id = created.field("id");
    assert_eq!(created.json()["config"]["min_ttl"], "3600s");
    let shown = bench.headland(&format!("cache-policy get {id}")).await.ok().stdout;
    assert!(shown.contains("images") && shown.contains("custom"), "{shown}");

    let printed = bench.headland(&format!("cache-policy get {id} -o yaml")).await.ok().stdout;
    let edited = printed.replace("images", "pictures");
    let updated =
        bench.headland_with_stdin(&format!("cache-policy update {id} -f - -o json"), &edited).await.ok();
    assert_eq!(updated.json()["config"]["name"], "pictures");
    let stale = bench.headland_with_stdin(&format!("cache-policy update {id} -f -"), &edited).await;
    stale.failed(4, "stale-etag").says(&[&id]);

    let distribution = bench.create(&format!("--cache-policy {id}")).await;
    let refused = bench.headland(&format!("cache-policy delete {id}")).await;
    refused.failed(4, "in-use").says(&[&distribution]);
    bench.headland(&format!("distribution update {distribution} --cache-policy {OPTIMIZED}")).await.ok();
    bench.headland(&format!("cache-policy delete {id}")).await.ok();
    bench.headland(&format!("cache-policy get {id}")).await.failed(3, "not-found").says(&[&id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn managed_policies_are_listed_and_may_be_copied_but_not_changed() {
    let bench = Bench::start().await;
    for (noun, name) in [
        ("cache-policy", "Managed-CachingOptimized"),
        ("origin-request-policy", "Managed-AllViewer"),
        ("response-headers-policy", "Managed-SimpleCORS"),
    ] {
        let listed = bench.headland(&format!("{noun} list")).await.ok().stdout;
        assert!(listed.contains(name) && listed.contains("managed"), "{listed}");
        let custom = bench.headland(&format!("{noun} list --type custom -o json")).await.ok();
        assert_eq!(custom.json(), serde_json::json!([]));
    }
    let printed = bench.headland(&format!("cache-policy get {OPTIMIZED} -o yaml")).await.ok().stdout;
    let changed = bench.headland_with_stdin(&format!("cache-policy update {OPTIMIZED} -f -"), &printed).await;
    changed.failed(4, "managed");
    bench.headland_with_stdin("cache-policy create -f -", &printed.replace("Managed-", "My")).await.ok();
    let again =
        bench.headland_with_stdin("cache-policy create -f -", &printed.replace("Managed-", "My")).await;
    again.failed(4, "name-taken").says(&["MyCachingOptimized"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_policy_is_shown_where_it_stands() {
    let bench = Bench::start().await;
    let file = bench.file("policy.yaml", "name: p\nheaders:\n  mode: whitelist\n  names: [Authorization]\n");
    bench
        .headland(&format!("origin-request-policy create -f {}", file.display()))
        .await
        .failed(2, "invalid-argument")
        .says(&["policy.yaml:4:", "headers.names[0]", "all-viewer"]);
    bench
        .headland(&format!("distribution create --origin http://a.example.com --cache-policy {OPTIMIZED}0"))
        .await
        .failed(2, "invalid-argument")
        .says(&["--cache-policy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_policy_is_obeyed_by_the_edges() {
    let control_plane = ControlPlane::start().await;
    let edge = Edge::start("fra1", &[&control_plane]).await;
    let origin = fixed("hello").await;
    let file = control_plane.file("policy.yaml", "name: p\nquery_strings: {mode: none}\n");
    let created = control_plane.json(&format!("cache-policy create -f {}", file.display())).await;
    let id = created["id"].as_str().expect("an id");
    let flags = format!("--origin http://{} --cache-policy {id}", origin.address());
    let distribution = control_plane.deploy(&flags).await;
    edge.get(&distribution.domain_name, "/a?x=1").await.miss(b"hello");
    edge.get(&distribution.domain_name, "/a?x=2").await.hit(b"hello");

    let file = control_plane.file("policy.yaml", "name: p\nquery_strings: {mode: all}\n");
    control_plane.headland(&format!("cache-policy update {id} -f {}", file.display())).await.ok();
    until("the edge obeys the new policy", async || {
        let answer = edge.get(&distribution.domain_name, "/a?x=3").await;
        (answer.header("x-cache") == "Miss from headland").then_some(())
    })
    .await;
    edge.get(&distribution.domain_name, "/a?x=3").await.hit(b"hello");
    edge.get(&distribution.domain_name, "/a?x=4").await.miss(b"hello");
    let after = control_plane.json(&format!("distribution get {}", distribution.id)).await;
    assert_eq!(after["status"]["state"], "Deployed", "it has not changed itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn traps_are_found_before_and_told_after_a_distribution_is_created() {
    let bench = Bench::start().await;
    let created = bench
        .headland_with_stdin("cache-policy create -f - -o json", "name: p\ncookies: {mode: all}\n")
        .await;
    let id = created.ok().field("id");
    let text = format!(
        "origins: [{{id: o, custom: {{domain_name: o.example.com}}}}]\n\
         default_cache_behavior: {{target_origin_id: o, cache_policy_id: {OPTIMIZED}}}\n\
         cache_behaviors:\n  - path_pattern: '*.css'\n    target_origin_id: o\n    cache_policy_id: {id}\n"
    );
    let file = bench.file("site.yaml", &text);
    let found = bench.headland(&format!("lint -f {} -o json", file.display())).await;
    assert_eq!(found.code, Some(2), "{found:#?}");
    let warnings = found.json();
    assert_eq!(warnings[0]["field"], "cache_behaviors[0].cache_policy", "{warnings}");
    assert!(warnings[0]["place"].as_str().is_some_and(|place| place.contains("site.yaml:4")), "{warnings}");
    let created = bench.headland(&format!("distribution create -f {}", file.display())).await.ok();
    assert!(created.stderr.contains("warning: cache_behaviors[0].cache_policy: "), "{created:#?}");
    let clean = bench.file("clean.yaml", &text.replace("*.css", "api/*"));
    assert_eq!(
        bench.headland(&format!("lint -f {} -o json", clean.display())).await.ok().json(),
        serde_json::json!([])
    );
    let wrong = bench.file("wrong.yaml", &text.replace("target_origin_id: o\n", "target_origin_id: x\n"));
    let wrong = bench.headland(&format!("lint -f {}", wrong.display())).await;
    wrong.failed(2, "invalid-argument").says(&["wrong.yaml:5:", "target_origin_id"]);
}
