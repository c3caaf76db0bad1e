//! An edge that follows the sync protocol and does with each distribution what the test says.

use headland::v1::{
    ControlMessage, EdgeMessage, Explain, ExplainRequest, Explained, Explanation, FreshnessSum, Hello,
    Refusal, Report, StoredVariant, control_message, edge_message, explanation, freshness_sum,
    sync_service_client::SyncServiceClient,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// A connected edge. Dropping it ends its stream.
pub(crate) struct ScriptedEdge {
    task: JoinHandle<()>,
}

impl Drop for ScriptedEdge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ScriptedEdge {
    /// Connects. `refuse` is the reason for refusing every distribution, if it does.
    pub(crate) async fn connect(endpoint: String, id: &str, refuse: Option<&'static str>) -> Self {
        let mut client = SyncServiceClient::connect(endpoint).await.expect("a control plane");
        let (sender, receiver) = mpsc::channel(16);
        let hello = Hello {
            edge_id: id.to_owned(),
            location: "rack-7".into(),
            viewer_url: "http://127.0.0.1:8080".into(),
            agent_version: "0.0.0".into(),
            ..Hello::default()
        };
        sender.send(message(edge_message::Message::Hello(hello))).await.expect("room");
        let answers = client.sync(ReceiverStream::new(receiver)).await.expect("a stream").into_inner();
        Self { task: tokio::spawn(follow(answers, sender, refuse)) }
    }
}

fn message(message: edge_message::Message) -> EdgeMessage {
    EdgeMessage { message: Some(message) }
}

/// A hit whose detail is the question. Of a host that begins with "silent" nobody will ever hear.
fn explained(question: Explain) -> edge_message::Message {
    let request = question.request.unwrap_or_default();
    let headers: String = request.headers.iter().map(|h| format!(" {}: {}", h.name, h.value)).collect();
    let ExplainRequest { method, host, path, query, .. } = request;
    let freshness = FreshnessSum {
        left: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
        lifetime_source: freshness_sum::LifetimeSource::MaxAge.into(),
        ..FreshnessSum::default()
    };
    let explanation = Explanation {
        verdict: explanation::Verdict::Hit.into(),
        reason: "scripted".into(),
        detail: format!("asked for {method} {host} {path} {query:?}{headers}"),
        status: 200,
        variants: vec![StoredVariant { freshness: Some(freshness), ..StoredVariant::default() }],
        ..Explanation::default()
    };
    let id = if host.starts_with("silent") { u64::MAX } else { question.id };
    edge_message::Message::Explanation(Explained { id, explanation: Some(explanation) })
}

async fn follow(
    mut answers: Streaming<ControlMessage>,
    sender: mpsc::Sender<EdgeMessage>,
    refuse: Option<&'static str>,
) {
    let mut cluster_id = String::new();
    let mut refusals: Vec<Refusal> = Vec::new();
    while let Ok(Some(answer)) = answers.message().await {
        let reply = match answer.message {
            Some(control_message::Message::Welcome(welcome)) => {
                cluster_id = welcome.cluster_id;
                continue;
            }
            Some(control_message::Message::Update(update)) => {
                for desired in update.distributions {
                    refusals.retain(|r| r.distribution_id != desired.id);
                    if let Some(reason) = refuse {
                        refusals.push(Refusal {
                            distribution_id: desired.id,
                            revision: desired.revision,
                            reason: reason.to_owned(),
                            ..Refusal::default()
                        });
                    }
                }
                if !update.last {
                    continue;
                }
                edge_message::Message::Report(Report {
                    applied_revision: update.to_revision,
                    cluster_id: cluster_id.clone(),
                    serving: true,
                    refusals: refusals.clone(),
                    ..Report::default()
                })
            }
            Some(control_message::Message::Explain(question)) => explained(question),
            Some(control_message::Message::Peers(_)) | None => continue,
        };
        if sender.send(message(reply)).await.is_err() {
            return;
        }
    }
}
