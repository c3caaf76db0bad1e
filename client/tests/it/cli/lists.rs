//! Lists, of distributions and of edges.

use std::time::Duration;

use headland::v1;

use super::{harness::Bench, scripted_edge::ScriptedEdge};

const EDGE: &str = "0198c0de-0000-7000-8000-000000000001";

/// One page and a little.
const MANY: usize = 103;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_several_pages_is_whole_and_in_order() {
    let bench = Bench::start().await;
    let client = bench.client();
    let mut created = Vec::new();
    for _ in 0..MANY {
        let config = v1::DistributionConfig {
            origins: vec![v1::Origin {
                id: "a".into(),
                kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
                    domain_name: "a.example.com".into(),
                    ..Default::default()
                })),
                ..Default::default()
            }],
            default_cache_behavior: Some(v1::CacheBehavior {
                target_origin_id: "a".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        created.push(client.create_distribution(config).await.expect("created").id);
    }
    created.sort();
    let listed = bench.headland("distribution list -o json").await.ok().json();
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap()).collect();
    assert_eq!(ids, created);
    let table = bench.headland("distribution list").await.ok().stdout;
    assert_eq!(table.lines().count(), MANY + 1);
    assert!(table.starts_with("ID ") && table.contains("http://a.example.com"), "{table}");
    assert!(table.lines().all(|l| l.split_whitespace().count() == 8), "a column is empty:\n{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_are_listed_with_where_they_stand() {
    let bench = Bench::start().await;
    let none = bench.headland("edge list").await.ok();
    assert_eq!(none.stdout.lines().count(), 1, "only the header: {none:?}");
    let _edge = ScriptedEdge::connect(bench.sync_endpoint(), EDGE, None).await;
    // Its first report makes it live.
    let id = bench.create("--wait=60s").await;
    let listed = bench.headland("edge list -o json").await.ok().json();
    assert_eq!(listed[0]["id"], EDGE);
    assert_eq!(listed[0]["location"], "rack-7");
    assert_eq!(listed[0]["liveness"], "live");
    assert!(listed[0]["applied_revision"].as_u64() > Some(0), "{listed}");
    let one = bench.headland(&format!("edge get {EDGE}")).await.ok();
    assert!(one.stdout.contains("rack-7") && one.stdout.contains("http://127.0.0.1:8080"), "{one:?}");
    bench.headland(&format!("edge get {id}")).await.failed(3, "not-found").says(&["headland edge list"]);

    let client = bench.client();
    let edges = tokio::time::timeout(Duration::from_secs(30), client.edges().all()).await.expect("in time");
    assert_eq!(edges.expect("edges").len(), 1);
}
