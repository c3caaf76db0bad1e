//! Creating, changing and deleting distributions.

use super::harness::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn a_distribution_lives_from_create_to_delete() {
    let bench = Bench::start().await;
    let created = bench
        .headland("distribution create --origin https://example.com:8443/site --alias www.example.com --comment hello -o json")
        .await
        .ok();
    let id = created.field("id");
    assert!(id.starts_with('E') && created.field("domain_name").ends_with(".cdn.localhost"), "{created:?}");
    assert_eq!(created.json()["status"]["state"], "InProgress");
    assert_eq!(created.json()["config"]["origins"][0]["custom"]["https_port"], 8443);

    let shown = bench.headland(&format!("distribution get {id}")).await.ok();
    for part in ["InProgress", "https://example.com:8443/site", "www.example.com", "hello"] {
        assert!(shown.stdout.contains(part), "{part} in {shown:#?}");
    }
    let updated = bench
        .headland(&format!("distribution update {id} --comment bye --default-ttl 90 -o json"))
        .await
        .ok();
    assert_eq!(updated.json()["config"]["comment"], "bye");
    assert_eq!(updated.json()["config"]["aliases"][0], "www.example.com", "flags change only what they name");
    let policy = &updated.json()["config"]["default_cache_behavior"]["cache_policy"];
    assert_eq!(policy["default_ttl"], "90s");
    assert_ne!(updated.field("etag"), created.field("etag"));

    bench
        .headland(&format!("distribution delete {id}"))
        .await
        .failed(4, "distribution-enabled")
        .says(&["it is enabled", "--disable"]);
    let deleted = bench.headland(&format!("distribution delete {id} --disable")).await.ok();
    assert!(deleted.stdout.is_empty() && deleted.stderr.contains("deleted"), "{deleted:?}");
    bench
        .headland(&format!("distribution get {id}"))
        .await
        .failed(3, "not-found")
        .says(&[&id, "there is none"]);
    // Its name is free again.
    bench.create("--alias www.example.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_is_idempotent_by_caller_reference() {
    let bench = Bench::start().await;
    let first = bench.create("--caller-reference one").await;
    assert_eq!(bench.create("--caller-reference one").await, first);
    bench
        .headland("distribution create --origin http://b.example.com --caller-reference one")
        .await
        .failed(4, "caller-reference-taken")
        .says(&[&first]);
    assert_ne!(bench.create("").await, bench.create("").await, "a reference is chosen for each");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_get_prints_is_what_update_takes() {
    let bench = Bench::start().await;
    let id = bench.create("--alias a.example.com --min-ttl 5 --semantics cloudfront").await;
    let printed = bench.headland(&format!("distribution get {id} -o yaml")).await.ok().stdout;
    let edited = printed.replace("a.example.com", "b.example.com");
    let update = format!("distribution update {id} -f - -o json");
    let updated = bench.headland_with_stdin(&update, &edited).await.ok();
    assert_eq!(updated.json()["config"]["aliases"], serde_json::json!(["b.example.com"]));

    // The config alone is a file, too, and need not repeat the caller reference.
    let (_, config) = printed.split_once("config:\n").expect("a config");
    let bare: Vec<_> = config.lines().map(|l| l.strip_prefix("  ").expect("indented")).collect();
    let bare: Vec<_> = bare.into_iter().filter(|l| !l.starts_with("caller_reference")).collect();
    let path = bench.file("site.yaml", &bare.join("\n"));
    let update = format!("distribution update {id} -f {} -o json", path.display());
    let updated = bench.headland(&update).await.ok();
    assert_eq!(updated.json()["config"]["aliases"], serde_json::json!(["a.example.com"]));

    // The same as JSON.
    let json = bench.headland(&format!("distribution get {id} -o json")).await.ok().stdout;
    bench.headland_with_stdin(&format!("distribution update {id} -f -"), &json).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_state_or_distribution_is_refused() {
    let bench = Bench::start().await;
    let id = bench.create("").await;
    let printed = bench.headland(&format!("distribution get {id} -o yaml")).await.ok().stdout;
    let old_etag = bench.headland(&format!("distribution get {id} -o json")).await.ok().field("etag");
    bench.headland(&format!("distribution update {id} --comment meanwhile")).await.ok();

    let stale = bench.headland_with_stdin(&format!("distribution update {id} -f -"), &printed).await;
    stale.failed(4, "stale-etag").says(&[&id, "changed since"]);
    bench
        .headland(&format!("distribution update {id} --comment x --etag {old_etag}"))
        .await
        .failed(4, "stale-etag");
    bench.headland(&format!("distribution delete {id} --etag {old_etag}")).await.failed(4, "stale-etag");
    let kept = bench.headland(&format!("distribution get {id} -o json")).await.ok();
    assert_eq!(kept.json()["config"]["comment"], "meanwhile");

    let other = bench.create("").await;
    bench
        .headland_with_stdin(&format!("distribution update {other} -f -"), &printed)
        .await
        .failed(2, "usage")
        .says(&[&id, &other, "stdin"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_by_flags_at_the_same_time_are_all_kept() {
    let bench = Bench::start().await;
    let id = bench.create("").await;
    let lines = ["--comment both", "--default-root-object index.html"]
        .map(|flags| format!("distribution update {id} {flags}"));
    let (a, b) = tokio::join!(bench.headland(&lines[0]), bench.headland(&lines[1]));
    a.ok();
    b.ok();
    let both = bench.headland(&format!("distribution get {id} -o json")).await.ok();
    assert_eq!(both.json()["config"]["comment"], "both");
    assert_eq!(both.json()["config"]["default_root_object"], "index.html");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_must_say_what_to_change() {
    let bench = Bench::start().await;
    let id = bench.create("").await;
    bench
        .headland(&format!("distribution update {id}"))
        .await
        .failed(2, "usage")
        .says(&["nothing to change"]);
    bench
        .headland(&format!("distribution update {id} --s3-region eu-central-1"))
        .await
        .failed(2, "usage")
        .says(&["HTTP server", "--s3-bucket"]);
}
