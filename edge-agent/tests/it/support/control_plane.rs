//! A control plane that does what a test tells it: a real gRPC server without a mind of its own.
#![allow(clippy::unwrap_used)]

use std::{net::SocketAddr, time::Duration};

use headland_proto::v1::{
    self, ControlMessage, EdgeMessage, control_message, edge_message,
    sync_service_server::{SyncService, SyncServiceServer},
};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};

/// Longer than anything here takes on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the future yields, or the test's end.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// A running server and the sessions that edges open on it.
pub(crate) struct ControlPlane {
    pub(crate) address: SocketAddr,
    sessions: mpsc::Receiver<Session>,
    /// Its own, so that it can die with every connection it has. Gone once it was killed.
    runtime: Option<Runtime>,
}

impl ControlPlane {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let listener = loop {
            let entered = runtime.handle().clone();
            match entered.spawn(TcpListener::bind(address)).await.unwrap() {
                Ok(listener) => break listener,
                // The server before may still be dying.
                Err(error) => assert!(Instant::now() < deadline, "bind {address}: {error}"),
            }
        };
        let address = listener.local_addr().unwrap();
        let (opened, sessions) = mpsc::channel(16);
        let service = SyncServiceServer::new(Scripted { opened });
        let serving =
            Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        runtime.spawn(serving);
        Self { address, sessions, runtime: Some(runtime) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next session that an edge opens, with its Hello.
    pub(crate) async fn session(&mut self) -> Session {
        within("an edge to say Hello", self.sessions.recv()).await.unwrap()
    }

    /// The next session, welcomed to this cluster.
    pub(crate) async fn welcomed(&mut self, cluster_id: &str) -> Session {
        let session = self.session().await;
        session.welcome(cluster_id).await;
        session
    }

    /// Dies without a word, and every connection with it.
    pub(crate) fn kill(self) -> SocketAddr {
        self.address
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Scripted {
    opened: mpsc::Sender<Session>,
}

#[tonic::async_trait]
impl SyncService for Scripted {
    type SyncStream = ReceiverStream<Result<ControlMessage, Status>>;

    async fn sync(
        &self,
        request: Request<Streaming<EdgeMessage>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let mut inbound = request.into_inner();
        let Some(edge_message::Message::Hello(hello)) = inbound.message().await?.and_then(|m| m.message)
        else {
            panic!("an edge's first message is Hello");
        };
        let (outbound, messages) = mpsc::channel(16);
        self.opened
            .send(Session { hello, inbound, outbound })
            .await
            .map_err(|_| Status::unavailable("gone"))?;
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

/// One edge's stream.
pub(crate) struct Session {
    pub(crate) hello: v1::Hello,
    inbound: Streaming<EdgeMessage>,
    outbound: mpsc::Sender<Result<ControlMessage, Status>>,
}

impl Session {
    pub(crate) async fn say(&self, message: control_message::Message) {
        within("room", self.outbound.send(Ok(ControlMessage { message: Some(message) }))).await.unwrap();
    }

    pub(crate) async fn welcome(&self, cluster_id: &str) {
        // Long enough that a report which comes in time came for another reason.
        let report_interval = Some(prost_types::Duration { seconds: 60, nanos: 0 });
        let welcome = v1::Welcome { cluster_id: cluster_id.into(), report_interval };
        self.say(control_message::Message::Welcome(welcome)).await;
    }

    pub(crate) async fn update(&self, update: v1::Update) {
        self.say(control_message::Message::Update(update)).await;
    }

    /// Asks what the edge would do with a request to this host.
    pub(crate) async fn ask(&self, id: u64, host: &str) {
        let request = v1::ExplainRequest { host: host.into(), path: "/a".into(), ..Default::default() };
        let explain = v1::Explain { id, request: Some(request) };
        self.say(control_message::Message::Explain(explain)).await;
    }

    /// The next message, which must be an answer.
    pub(crate) async fn explained(&mut self) -> v1::Explained {
        match within("an answer", self.inbound.message()).await.unwrap().and_then(|m| m.message) {
            Some(edge_message::Message::Explanation(explained)) => explained,
            other => panic!("expected an answer: {other:?}"),
        }
    }

    /// The next report; none if the edge closed the stream.
    pub(crate) async fn report(&mut self) -> Option<v1::Report> {
        match within("a report", self.inbound.message()).await.ok()??.message {
            Some(edge_message::Message::Report(report)) => Some(report),
            other => panic!("expected a report: {other:?}"),
        }
    }

    /// The first report that says that this revision is applied.
    pub(crate) async fn applied(&mut self, revision: u64) -> v1::Report {
        loop {
            let report = self.report().await.unwrap_or_else(|| panic!("closed before revision {revision}"));
            if report.applied_revision == revision {
                return report;
            }
        }
    }

    /// Waits until the edge has closed the stream.
    pub(crate) async fn closed(&mut self) {
        while self.report().await.is_some() {}
    }
}

/// A distribution that every edge can serve.
pub(crate) fn good(id: &str, revision: u64) -> v1::DesiredDistribution {
    let custom = v1::CustomOrigin { domain_name: "origin.example".into(), ..Default::default() };
    let origin =
        v1::Origin { id: "o".into(), kind: Some(v1::origin::Kind::Custom(custom)), ..Default::default() };
    let behavior = v1::CacheBehavior {
        target_origin_id: "o".into(),
        cache_policy: Some(v1::CachePolicyConfig::default()),
        ..Default::default()
    };
    v1::DesiredDistribution {
        id: id.into(),
        domain_name: format!("d{}.cdn.localhost", id[1..].to_lowercase()),
        revision,
        config: Some(v1::DistributionConfig {
            caller_reference: id.into(),
            comment: format!("revision {revision}"),
            enabled: true,
            origins: vec![origin],
            default_cache_behavior: Some(behavior),
            ..Default::default()
        }),
    }
}

/// A distribution that no edge can serve: it has no origin.
pub(crate) fn bad(id: &str, revision: u64) -> v1::DesiredDistribution {
    let mut desired = good(id, revision);
    desired.config.as_mut().unwrap().origins.clear();
    desired
}

pub(crate) fn whole(to: u64, distributions: Vec<v1::DesiredDistribution>) -> v1::Update {
    v1::Update { to_revision: to, whole: true, distributions, last: true, ..Default::default() }
}

pub(crate) fn delta(from: u64, to: u64, distributions: Vec<v1::DesiredDistribution>) -> v1::Update {
    v1::Update { from_revision: from, to_revision: to, distributions, last: true, ..Default::default() }
}
