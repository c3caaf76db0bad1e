//! An https endpoint: believed only with a certificate that leads to one of those that are trusted.
//!
//! The files beside this one are a certificate authority made for this test, and a key and certificate it signed for
//! localhost and 127.0.0.1, good for a hundred years. The authority's own key is gone.

use headland::v1::{
    Edge, ExplainRequest, ExplainResponse, GetEdgeRequest, ListEdgesRequest, ListEdgesResponse,
    edge_service_server::{EdgeService, EdgeServiceServer},
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Identity, Server, ServerTlsConfig},
};

use super::harness::{command, run};

const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cli/tls/ca.pem");

/// A fleet without edges.
struct Nobody;

#[tonic::async_trait]
impl EdgeService for Nobody {
    async fn list_edges(&self, _: Request<ListEdgesRequest>) -> Result<Response<ListEdgesResponse>, Status> {
        Ok(Response::new(ListEdgesResponse::default()))
    }

    async fn get_edge(&self, _: Request<GetEdgeRequest>) -> Result<Response<Edge>, Status> {
        Err(Status::not_found("nobody"))
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        Err(Status::not_found("nobody"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_endpoint_must_prove_who_it_is() {
    let home = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let identity = Identity::from_pem(include_str!("tls/server.pem"), include_str!("tls/server.key"));
    let server = Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))
        .unwrap()
        .add_service(EdgeServiceServer::new(Nobody))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);

    let trusting = ["edge", "list", "-o", "json", "--endpoint", &endpoint, "--ca-certificate", CA];
    assert_eq!(run(command(&home, &trusting)).await.ok().stdout, "[]\n");
    run(command(&home, &trusting[..6]))
        .await
        .failed(5, "unreachable")
        .says(&["certificate", "--ca-certificate"]);
    let missing = ["edge", "list", "--endpoint", &endpoint, "--ca-certificate", "/nowhere.pem"];
    let missing = run(command(&home, &missing)).await;
    assert_eq!(missing.code, Some(2), "{missing:?}");
    missing.says(&["failed to read the CA certificate /nowhere.pem: "]);
}
