//! Asking an edge what it would do with a request.

use super::{harness::Bench, scripted_edge::ScriptedEdge};

const EDGE: &str = "0198c0de-0000-7000-8000-000000000001";

/// A control plane with one edge that is live and serves.
async fn bench() -> (Bench, ScriptedEdge) {
    let bench = Bench::start().await;
    let edge = ScriptedEdge::connect(bench.sync_endpoint(), EDGE, None).await;
    // Its first report makes it live.
    bench.create("--wait=60s").await;
    (bench, edge)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_told_as_a_story_and_as_a_document() {
    let (bench, _edge) = bench().await;
    let told = bench.headland("explain http://www.example.com:8080/a?b=1 -H accept:x").await.ok();
    let first = told.stdout.lines().next().unwrap();
    assert_eq!(
        first,
        format!(
            "edge rack-7 ({EDGE}) would answer with a HIT, status 200: asked for GET www.example.com:8080 /a Some(\"b=1\") \
             accept: x (scripted)"
        )
    );
    assert!(told.stderr.is_empty(), "{told:?}");

    let line = "explain http://www.example.com/a -X POST -H host:other.example -o json";
    let json = bench.headland(line).await.ok().json();
    assert_eq!((json["verdict"].as_str(), json["reason"].as_str()), (Some("hit"), Some("scripted")));
    assert_eq!(json["detail"], "asked for POST other.example /a None");
    assert_eq!(
        (json["edge"]["id"].as_str(), json["edge"]["location"].as_str()),
        (Some(EDGE), Some("rack-7"))
    );
    assert_eq!((json["status"].as_u64(), json["distribution"].is_null()), (Some(200), true));
    let freshness = &json["variants"][0]["freshness"];
    assert_eq!(
        (freshness["left_seconds"].as_f64(), freshness["lifetime_source"].as_str()),
        (Some(1.5), Some("max-age"))
    );
    let yaml = bench.headland("explain http://www.example.com -o yaml").await.ok().stdout;
    assert!(yaml.contains("verdict: hit") && yaml.contains("lifetime_source: max-age"), "{yaml}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_is_named_by_its_id_or_where_it_stands() {
    let (bench, _edge) = bench().await;
    for edge in [EDGE, "rack-7"] {
        let json = bench.headland(&format!("explain http://a/ --edge {edge} -o json")).await.ok().json();
        assert_eq!(json["edge"]["id"], EDGE);
    }
    bench
        .headland("explain http://a/ --edge rack-8")
        .await
        .failed(3, "not-found")
        .says(&["\"rack-8\"", "headland edge list"]);
    let stranger = "0198c0de-0000-7000-8000-000000000002";
    bench
        .headland(&format!("explain http://a/ --edge {stranger}"))
        .await
        .failed(3, "not-found")
        .says(&[stranger, "headland edge list"]);
    let _second =
        ScriptedEdge::connect(bench.sync_endpoint(), "0198c0de-0000-7000-8000-000000000003", None).await;
    bench.headland("explain http://a/ --edge rack-7").await.failed(2, "usage").says(&["several", "--edge"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_answer_is_named_with_what_to_do() {
    let empty = Bench::start().await;
    let nobody = empty.headland("explain http://a/").await;
    nobody.failed(5, "no-live-edge").says(&["headland edge list"]);

    let (bench, edge) = bench().await;
    let silent = bench.headland("explain http://silent.example/").await;
    silent.failed(5, "edge-silent").says(&[EDGE, "older version", "headland edge"]);
    drop(edge);
    let client = bench.client();
    while client.get_edge(EDGE).await.unwrap().liveness() != headland::v1::edge::Liveness::Gone {}
    let gone = bench.headland(&format!("explain http://a/ --edge {EDGE}")).await;
    gone.failed(5, "edge-gone").says(&[EDGE, "not connected"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_request_names_the_argument() {
    let bench = Bench::start().await;
    bench.headland("explain www.example.com").await.failed(2, "usage").says(&["www.example.com", "http://"]);
    bench.headland("explain http://a/ -H accept").await.failed(2, "usage").says(&["-H \"accept\"", "colon"]);
    bench.headland("explain http://a/ü -X G(T -H a@:b").await.failed(2, "usage").says(&[
        "3 things are wrong",
        "  -X: ",
        "  URL: ",
        "  -H \"a@:b\": ",
    ]);
}
