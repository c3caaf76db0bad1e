//! What whoever runs a control plane sees: health, reflection, admin pages, shutdown.

use std::{net::SocketAddr, sync::atomic::Ordering};

use headland_proto::v1;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::plane::{
    Plane, channel, config,
    edge::{TestEdge, hello},
    embedded,
    faulty::FaultyStore,
    within,
};

/// The status line and the body of an admin page.
pub(crate) async fn page(address: SocketAddr, path: &str) -> (String, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    };
    let response = within(exchange).await;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

async fn health(address: SocketAddr, service: &str) -> ServingStatus {
    let mut client = HealthClient::new(channel(address).await);
    let request = HealthCheckRequest { service: service.into() };
    within(client.check(request)).await.unwrap().into_inner().status()
}

/// Waits until the service has this health.
async fn until_health(address: SocketAddr, service: &str, wanted: ServingStatus) {
    let mut client = HealthClient::new(channel(address).await);
    let request = HealthCheckRequest { service: service.into() };
    let mut watch = within(client.watch(request)).await.unwrap().into_inner();
    while within(watch.message()).await.unwrap().unwrap().status() != wanted {}
}

#[tokio::test]
async fn health_checks_find_every_service() {
    let plane = Plane::start().await;
    for service in ["", "headland.v1.DistributionService", "headland.v1.EdgeService"] {
        until_health(plane.handle.api_address(), service, ServingStatus::Serving).await;
    }
    for service in ["", "headland.v1.SyncService"] {
        until_health(plane.handle.sync_address(), service, ServingStatus::Serving).await;
    }
    assert_eq!(health(plane.handle.api_address(), "").await, ServingStatus::Serving);
}

#[tokio::test]
async fn reflection_names_the_operators_services() {
    let plane = Plane::start().await;
    let mut client = ServerReflectionClient::new(plane.channel().await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let stream = tokio_stream::iter([request]);
    let mut answers = within(client.server_reflection_info(stream)).await.unwrap().into_inner();
    let answer = within(answers.message()).await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(services)) = answer else {
        panic!("instead of services came {answer:?}");
    };
    let names: Vec<&str> = services.service.iter().map(|s| s.name.as_str()).collect();
    for name in ["headland.v1.DistributionService", "headland.v1.EdgeService", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[tokio::test]
async fn admin_pages_tell_liveness_readiness_and_figures() {
    let plane = Plane::start().await;
    let admin = plane.handle.admin_address();
    assert_eq!(page(admin, "/livez").await.0, "HTTP/1.1 200 OK");
    assert_eq!(page(admin, "/readyz").await.0, "HTTP/1.1 200 OK");
    assert_eq!(page(admin, "/other").await.0, "HTTP/1.1 404 Not Found");

    plane.create(config("r1", &[])).await.unwrap();
    let mut edge = TestEdge::connect(&plane, hello()).await.unwrap();
    edge.update().await;
    let (status, figures) = page(admin, "/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    for line in [
        "headland_control_plane_api_calls_total{method=\"CreateDistribution\",code=\"OK\"} 1",
        "headland_control_plane_sync_parts_total 1",
        "headland_control_plane_sync_streams 1",
        "headland_control_plane_edges{liveness=\"live\"} 1",
        "headland_control_plane_snapshot_healed_distributions_total 0",
    ] {
        assert!(figures.lines().any(|l| l == line), "{line} is missing from\n{figures}");
    }
}

#[tokio::test]
async fn a_control_plane_that_never_read_its_store_is_alive_but_not_ready() {
    let (store, _dir) = embedded();
    let store = FaultyStore::new(store);
    store.down.store(true, Ordering::SeqCst);
    let plane = Plane::start_on(store.clone()).await;
    let admin = plane.handle.admin_address();
    assert_eq!(page(admin, "/livez").await.0, "HTTP/1.1 200 OK");
    assert_eq!(page(admin, "/readyz").await.0, "HTTP/1.1 503 Service Unavailable");
    until_health(plane.handle.sync_address(), "headland.v1.SyncService", ServingStatus::NotServing).await;
    // As soon as the store answers, it is.
    store.down.store(false, Ordering::SeqCst);
    within(plane.handle.ready()).await;
    until_health(plane.handle.sync_address(), "headland.v1.SyncService", ServingStatus::Serving).await;
    assert_eq!(page(admin, "/readyz").await.0, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn shutdown_ends_the_streams_of_edges_and_frees_the_ports() {
    let plane = Plane::start().await;
    let mut edge = TestEdge::connect(&plane, hello()).await.unwrap();
    edge.update().await;
    let mut api = plane.distributions().await;
    let (api_address, sync_address) = (plane.handle.api_address(), plane.handle.sync_address());
    within(plane.handle.shutdown()).await;
    let end = edge.part().await;
    assert_eq!(end.unwrap_err().code(), tonic::Code::Unavailable);
    assert!(api.get_distribution(v1::GetDistributionRequest::default()).await.is_err());
    for address in [api_address, sync_address] {
        assert!(TcpStream::connect(address).await.is_err(), "{address} is still open");
    }
}
