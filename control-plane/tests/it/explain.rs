//! Questions to edges: put over their open streams, answered once, given up after a while.

use headland_proto::{limits::EXPLAIN_OUTSTANDING_MAX, v1};
use tokio::task::JoinHandle;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::plane::{
    Plane, assert_refused, config,
    edge::{TestEdge, hello},
    embedded, large_config, within,
};

fn question(edge_id: &str) -> v1::ExplainRequest {
    v1::ExplainRequest {
        edge_id: edge_id.into(),
        host: "www.example.com".into(),
        path: "/a".into(),
        ..Default::default()
    }
}

/// Puts a question, to be awaited later.
async fn put(plane: &Plane, request: v1::ExplainRequest) -> JoinHandle<Result<v1::ExplainResponse, Status>> {
    let mut client = plane.edges().await;
    tokio::spawn(async move { within(client.explain(request)).await.map(tonic::Response::into_inner) })
}

async fn ask(plane: &Plane, request: v1::ExplainRequest) -> Result<v1::ExplainResponse, Status> {
    put(plane, request).await.await.unwrap()
}

/// A new edge that has read its first update, and its id.
async fn edge(plane: &Plane) -> (TestEdge, String) {
    let hello = hello();
    let mut edge = TestEdge::connect(plane, hello.clone()).await.unwrap();
    edge.update().await;
    (edge, hello.edge_id)
}

fn hit() -> v1::Explanation {
    let mut explanation = v1::Explanation { reason: "fresh".into(), status: 200, ..Default::default() };
    explanation.set_verdict(v1::explanation::Verdict::Hit);
    explanation
}

#[tokio::test]
async fn a_question_is_put_to_the_edge_and_its_answer_comes_back() {
    let plane = Plane::start().await;
    let (mut edge, id) = edge(&plane).await;
    let asked = put(&plane, v1::ExplainRequest { query: Some("b".into()), ..question(&id) }).await;
    let explain = edge.question().await;
    let request = explain.request.unwrap();
    assert_eq!((request.host.as_str(), request.path.as_str()), ("www.example.com", "/a"));
    assert_eq!(request.query.as_deref(), Some("b"));
    // Neither a report nor an answer that nobody waits for disturbs it, nor does a change.
    edge.explained(explain.id + 1, v1::Explanation::default()).await;
    let created = plane.create(config("a", &[])).await.unwrap();
    let update = edge.update().await;
    edge.applied(update.to_revision).await;
    edge.explained(explain.id, hit()).await;
    let answer = asked.await.unwrap().unwrap();
    assert_eq!(answer.edge_id, id);
    assert_eq!(answer.edge_location, "lab");
    assert_eq!(answer.edge_viewer_url, "http://127.0.0.1:8080");
    assert_eq!(answer.explanation, Some(hit()));
    edge.explained(explain.id, v1::Explanation::default()).await;
    plane.update(&created, |c| c.comment = "x".into()).await.unwrap();
    assert_eq!(edge.update().await.distributions.len(), 1, "the stream lives on");
}

#[tokio::test]
async fn without_a_name_an_edge_that_serves_is_asked() {
    let plane = Plane::start().await;
    let (_idle, _) = edge(&plane).await;
    assert_refused(ask(&plane, question("")).await, Code::Unavailable, "NO_LIVE_EDGE");
    let (mut serving, id) = edge(&plane).await;
    serving.applied(1).await;
    within(async {
        let observed = || async {
            let request = v1::GetEdgeRequest { id: id.clone() };
            plane.edges().await.get_edge(request).await.unwrap().into_inner().report_time
        };
        while observed().await.is_none() {}
    })
    .await;
    let asked = put(&plane, question("")).await;
    let explain = serving.question().await;
    serving.explained(explain.id, hit()).await;
    assert_eq!(asked.await.unwrap().unwrap().edge_id, id);
}

#[tokio::test]
async fn an_edge_that_cannot_answer_is_not_waited_for() {
    let plane = Plane::start().await;
    assert_refused(ask(&plane, question("")).await, Code::Unavailable, "NO_LIVE_EDGE");
    assert_refused(ask(&plane, question(&hello().edge_id)).await, Code::NotFound, "NOT_FOUND");

    // It leaves with the question.
    let (mut leaving, id) = edge(&plane).await;
    let asked = put(&plane, question(&id)).await;
    leaving.question().await;
    drop(leaving);
    assert_refused(asked.await.unwrap(), Code::Unavailable, "EDGE_GONE");
    // It has left.
    assert_refused(ask(&plane, question(&id)).await, Code::Unavailable, "EDGE_GONE");

    // An older program ignores it.
    let (mut silent, id) = edge(&plane).await;
    let asked = put(&plane, question(&id)).await;
    silent.question().await;
    let status = assert_refused(asked.await.unwrap(), Code::Unavailable, "EDGE_SILENT");
    assert!(status.message().contains(&id) && status.message().contains("older version"), "{status}");
}

#[tokio::test]
async fn an_edge_of_another_control_plane_is_not_known_here() {
    let (store, _dir) = embedded();
    let (one, other) = (Plane::start_on(store.clone()).await, Plane::start_on(store).await);
    within(one.handle.ready()).await;
    within(other.handle.ready()).await;
    let (_edge, id) = edge(&other).await;
    assert_refused(ask(&one, question(&id)).await, Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_every_violation() {
    let plane = Plane::start().await;
    let request = v1::ExplainRequest {
        edge_id: "fra1".into(),
        method: "G T".into(),
        host: String::new(),
        path: "a".into(),
        headers: vec![v1::HeaderField { name: "a b".into(), value: "c".into() }],
        ..Default::default()
    };
    let status = assert_refused(ask(&plane, request).await, Code::InvalidArgument, "INVALID");
    let details = status.get_error_details();
    let fields: Vec<_> =
        details.bad_request().unwrap().field_violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["method", "host", "path", "headers[0].name", "edge_id"]);
}

#[tokio::test]
async fn only_so_many_questions_wait_for_one_edge() {
    let plane = Plane::start().await;
    let (mut edge, id) = edge(&plane).await;
    let mut asked = Vec::new();
    let mut questions = Vec::new();
    for _ in 0..EXPLAIN_OUTSTANDING_MAX {
        asked.push(put(&plane, question(&id)).await);
        questions.push(edge.question().await.id);
    }
    assert_refused(ask(&plane, question(&id)).await, Code::ResourceExhausted, "EDGE_BUSY");
    for id in questions.into_iter().rev() {
        edge.explained(id, hit()).await;
    }
    for answer in asked {
        assert_eq!(answer.await.unwrap().unwrap().explanation, Some(hit()));
    }
    let again = put(&plane, question(&id)).await;
    let explain = edge.question().await;
    edge.explained(explain.id, hit()).await;
    again.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_question_does_not_come_between_the_parts_of_an_update() {
    let plane = Plane::start().await;
    for reference in ["a", "b", "c", "d", "e", "f"] {
        plane.create(large_config(reference, 900_000)).await.unwrap();
    }
    let hello = hello();
    let mut edge = TestEdge::connect(&plane, hello.clone()).await.unwrap();
    let asked = put(&plane, question(&hello.edge_id)).await;
    assert!(edge.parts().await.len() > 1);
    let explain = edge.question().await;
    edge.explained(explain.id, hit()).await;
    asked.await.unwrap().unwrap();
}
