//! Spec files: what is wrong with them, and where.

use super::harness::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_no_spec_has_is_refused_with_its_line() {
    let bench = Bench::start().await;
    let path = bench.file("site.yaml", "comment: x\norigins:\n- id: a\n  s3:\n    bukcet: photos\n");
    let path = path.display();
    bench.headland(&format!("distribution create -f {path}")).await.failed(2, "spec-invalid").says(&[
        &format!("{path}:5:5: origins[0].s3: unknown field `bukcet`, expected one of bucket"),
        "5 |     bukcet: photos",
    ]);
    let listed = bench.headland("distribution list -o json").await.ok();
    assert_eq!(listed.json(), serde_json::json!([]), "nothing was created");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_violation_is_listed_where_it_stands() {
    let bench = Bench::start().await;
    let text = "comment: x
aliases: [not..a..name]
origins:
- id: a
  s3:
    bucket: Not_A_Bucket
- id: b
  custom:
    domain_name: b.example.com
    protocol_policy: http-only
  http2: where-offered
default_cache_behavior:
  target_origin_id: c
  cache_policy: {min_ttl: 10, default_ttl: 5}
";
    let path = bench.file("site.yaml", text);
    let path = path.display();
    let refused = bench
        .headland(&format!("distribution create -f {path} --caller-reference r"))
        .await
        .failed(2, "invalid-argument");
    for place in [
        "2:11: aliases[0]: ",
        "6:13: origins[0].s3.bucket: ",
        "11:10: origins[1].http2: can only be offered over HTTPS",
        "13:21: default_cache_behavior.target_origin_id: ",
        "14:44: default_cache_behavior.cache_policy.default_ttl: ",
    ] {
        assert!(refused.stderr.contains(&format!("  {path}:{place}")), "no {place} in {}", refused.stderr);
    }
    assert!(refused.stderr.contains("5 things are wrong"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn violations_of_flags_name_the_flags() {
    let bench = Bench::start().await;
    bench
        .headland("distribution create --s3-bucket Bad_Bucket --s3-endpoint localhost:9000 --alias a..b")
        .await
        .failed(2, "invalid-argument")
        .says(&["  --s3-bucket: ", "  --s3-endpoint: ", "  --alias: "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_can_come_from_stdin_and_be_json() {
    let bench = Bench::start().await;
    let spec = r#"{"origins": [{"id": "a", "s3": {"bucket": "photos", "signing": "never"}}],
                   "default_cache_behavior": {"target_origin_id": "a", "cache_policy": {"default_ttl": "1h30m"}}}"#;
    let created = bench.headland_with_stdin("distribution create -f - -o json", spec).await.ok();
    let config = &created.json()["config"];
    assert_eq!(config["origins"][0]["s3"]["signing"], "never");
    assert_eq!(config["default_cache_behavior"]["cache_policy"]["default_ttl"], "5400s");
    assert_eq!(config["enabled"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_named() {
    let bench = Bench::start().await;
    let missing = bench.headland("distribution create -f nowhere.yaml").await;
    assert_eq!(missing.code, Some(2), "{missing:?}");
    missing.says(&["error[spec-invalid]: failed to read nowhere.yaml: "]);
}
