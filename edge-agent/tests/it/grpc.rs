//! gRPC through the edge, with a real client and real servers: calls of every kind, with trailers, and never from the cache.

use std::net::SocketAddr;

use headland_proto::v1::{
    self, ControlMessage, EdgeMessage, control_message, edge_message, sync_service_client::SyncServiceClient,
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{
    Code,
    transport::{Channel, Endpoint, Server},
};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};

use crate::support::{
    control_plane::{ControlPlane, within},
    edge::{ALL_METHODS, Edge, HOST, behavior, config, seconds},
};

fn edge(origin: SocketAddr, grpc: bool) -> Edge {
    let mut config = config(origin);
    config.origins[0].http2 = v1::origin::Http2::Always.into();
    config.origins[0].response_timeout = seconds(60);
    behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    behavior(&mut config).grpc = grpc;
    Edge::start(config)
}

async fn channel(edge: &Edge) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", edge.address)).expect("endpoint");
    let viewed_as = format!("http://{HOST}").parse().expect("origin");
    endpoint.origin(viewed_as).connect().await.expect("connect")
}

/// A health service, and who tells it how things are.
async fn health() -> (SocketAddr, tonic_health::server::HealthReporter) {
    let (reporter, service) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let serving =
        Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(serving);
    (address, reporter)
}

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_has_one_answer_which_is_never_stored() {
    let (origin, reporter) = health().await;
    let edge = edge(origin, true);
    let mut client = HealthClient::new(channel(&edge).await);
    for status in [ServingStatus::Serving, ServingStatus::NotServing] {
        reporter.set_service_status("a", status).await;
        let answer = within("an answer", client.check(about("a"))).await.expect("answer");
        assert_eq!(answer.into_inner().status, status as i32);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_arrives_with_its_code_and_its_words() {
    let (origin, _reporter) = health().await;
    let edge = edge(origin, true);
    let mut client = HealthClient::new(channel(&edge).await);
    let error = within("an error", client.check(about("unknown"))).await.expect_err("error");
    assert_eq!((error.code(), error.message()), (Code::NotFound, "service not registered"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_streams_as_long_as_it_likes() {
    let (origin, reporter) = health().await;
    let edge = edge(origin, true);
    let mut client = HealthClient::new(channel(&edge).await);
    reporter.set_service_status("a", ServingStatus::Serving).await;
    let mut stream = within("a stream", client.watch(about("a"))).await.expect("stream").into_inner();
    // What it is at the beginning is told unasked.
    for change in [None, Some(ServingStatus::NotServing), Some(ServingStatus::Serving)] {
        if let Some(status) = change {
            reporter.set_service_status("a", status).await;
        }
        let status = change.unwrap_or(ServingStatus::Serving);
        let message = within("a message", stream.message()).await.expect("stream").expect("message");
        assert_eq!(message.status, status as i32);
    }
}

async fn talk(
    edge: &Edge,
) -> (mpsc::Sender<EdgeMessage>, impl Future<Output = tonic::Streaming<ControlMessage>> + use<>) {
    let mut client = SyncServiceClient::new(channel(edge).await);
    let (say, said) = mpsc::channel(4);
    (say, async move { client.sync(ReceiverStream::new(said)).await.expect("stream").into_inner() })
}

fn hello() -> EdgeMessage {
    EdgeMessage { message: Some(edge_message::Message::Hello(v1::Hello::default())) }
}

fn report(revision: u64) -> EdgeMessage {
    let report = v1::Report { applied_revision: revision, ..Default::default() };
    EdgeMessage { message: Some(edge_message::Message::Report(report)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_stream_at_once_and_either_may_leave() {
    let mut server = ControlPlane::start().await;
    let edge = edge(server.address, true);
    let (say, stream) = talk(&edge).await;
    say.send(hello()).await.expect("say");
    let (mut session, mut stream) = tokio::join!(server.session(), within("a stream", stream));
    for revision in 1..=3 {
        session.welcome(&revision.to_string()).await;
        let message = within("a message", stream.message()).await.expect("stream").expect("message");
        let Some(control_message::Message::Welcome(welcome)) = message.message else { panic!("{message:?}") };
        assert_eq!(welcome.cluster_id, revision.to_string());
        say.send(report(revision)).await.expect("say");
        session.applied(revision).await;
    }
    // The client breaks off in the middle: the server learns of it.
    drop((say, stream));
    session.closed().await;
    // And the other way round.
    let (say, stream) = talk(&edge).await;
    say.send(hello()).await.expect("say");
    let (session, mut stream) = tokio::join!(server.session(), within("a stream", stream));
    drop(session);
    assert!(matches!(within("the end", stream.message()).await, Ok(None) | Err(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_not_wished_it_is_a_post_like_any_other() {
    let (origin, reporter) = health().await;
    reporter.set_service_status("a", ServingStatus::Serving).await;
    let mut config = config(origin);
    behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    let edge = Edge::start(config);
    let mut client = HealthClient::new(channel(&edge).await);
    // In HTTP/1.1, which a gRPC server does not speak.
    assert!(within("an error", client.check(about("a"))).await.is_err());
}
