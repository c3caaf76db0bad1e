//! The operator's view of the fleet.

use std::sync::Arc;

use headland_proto::{
    model::{Question, Violations},
    v1::{
        self, ExplainRequest, ExplainResponse, GetEdgeRequest, ListEdgesRequest, ListEdgesResponse,
        edge_service_server::EdgeService,
    },
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{answer, status};
use crate::{
    fleet::{Edge, Fleet, Greeting, Liveness},
    metrics::Metrics,
    page::{Page, next_token},
};

/// The service.
#[derive(Debug)]
pub(crate) struct EdgeApi {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) metrics: Arc<Metrics>,
}

impl EdgeApi {
    fn answer<T>(&self, method: &'static str, result: Result<T, Status>) -> Result<Response<T>, Status> {
        answer(&self.metrics, method, result)
    }
}

/// Whom to ask, once the request is known to be sound.
fn check_question(request: &ExplainRequest) -> Result<Option<Uuid>, Violations> {
    let mut found = Question::try_from(request).err().unwrap_or_default();
    let edge_id = match request.edge_id.as_str() {
        "" => None,
        id => Uuid::try_parse(id)
            .map_err(|_| found.add("edge_id", "must be a UUID, or empty for any edge"))
            .ok(),
    };
    found.into_result(edge_id)
}

fn encode_answer((greeting, explanation): (Greeting, v1::Explanation)) -> ExplainResponse {
    ExplainResponse {
        edge_id: greeting.edge_id.to_string(),
        edge_location: greeting.location,
        edge_viewer_url: greeting.viewer_url,
        explanation: Some(explanation),
    }
}

fn encode((edge, liveness): (Edge, Liveness)) -> v1::Edge {
    let liveness = match liveness {
        Liveness::Live => v1::edge::Liveness::Live,
        Liveness::Late => v1::edge::Liveness::Late,
        Liveness::Gone => v1::edge::Liveness::Gone,
    };
    v1::Edge {
        id: edge.greeting.edge_id.to_string(),
        location: edge.greeting.location,
        viewer_url: edge.greeting.viewer_url,
        agent_version: edge.greeting.agent_version,
        liveness: liveness.into(),
        applied_revision: edge.applied.0,
        connect_time: Some(edge.connected_at.wall.into()),
        report_time: edge.reported_at.map(|at| at.wall.into()),
        cache: edge.report.cache,
        traffic: edge.report.traffic,
        uptime: edge.report.uptime,
        distributions: edge.report.distributions,
        refusals: u32::try_from(edge.report.refusals.len()).unwrap_or(u32::MAX),
    }
}

#[tonic::async_trait]
impl EdgeService for EdgeApi {
    async fn list_edges(
        &self,
        request: Request<ListEdgesRequest>,
    ) -> Result<Response<ListEdgesResponse>, Status> {
        let request = request.get_ref();
        let page = Page::<Uuid>::parse(request.page_size, &request.page_token);
        let response = page.map_err(|violations| status::invalid(&violations)).map(|page| {
            let (edges, more) = self.fleet.list(page.after, page.size, Instant::now());
            let last = edges.last().filter(|_| more).map(|(edge, _)| edge.greeting.edge_id);
            ListEdgesResponse {
                edges: edges.into_iter().map(encode).collect(),
                next_page_token: last.map(next_token).unwrap_or_default(),
            }
        });
        self.answer("ListEdges", response)
    }

    async fn get_edge(&self, request: Request<GetEdgeRequest>) -> Result<Response<v1::Edge>, Status> {
        let id = &request.get_ref().id;
        let edge = Uuid::try_parse(id).ok().and_then(|uuid| self.fleet.get(uuid, Instant::now()));
        self.answer("GetEdge", edge.map(encode).ok_or_else(|| status::edge_not_found(id)))
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        let request = request.into_inner();
        let response = match check_question(&request) {
            Err(violations) => Err(status::invalid(&violations)),
            Ok(edge_id) => {
                let answered = self.fleet.ask(edge_id, request).await;
                answered.map(encode_answer).map_err(status::from_unanswered)
            }
        };
        self.answer("Explain", response)
    }
}
