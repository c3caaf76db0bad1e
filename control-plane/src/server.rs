//! The whole control plane: what `main`, `headland dev` and tests start.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use headland_proto::{
    limits::GRPC_MESSAGE_BYTES_MAX,
    v1::{
        FILE_DESCRIPTOR_SET, cache_policy_service_server::CachePolicyServiceServer,
        distribution_service_server::DistributionServiceServer, edge_service_server::EdgeServiceServer,
        key_group_service_server::KeyGroupServiceServer,
        origin_request_policy_service_server::OriginRequestPolicyServiceServer,
        public_key_service_server::PublicKeyServiceServer,
        response_headers_policy_service_server::ResponseHeadersPolicyServiceServer,
        sync_service_server::SyncServiceServer,
    },
};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Server, server::Router};
use tonic_health::server::{HealthReporter, health_reporter};
use tracing::{error, info, warn};

use self::{accept::accept, admin::Admin, readiness::Readiness};
use crate::{
    api::{
        distributions::DistributionApi,
        edges::EdgeApi,
        policies::{
            CachePolicyApi, KeyGroupApi, OriginRequestPolicyApi, PolicyApi, PublicKeyApi,
            ResponseHeadersPolicyApi,
        },
        sync::SyncApi,
    },
    distributions::Distributions,
    fleet::Fleet,
    metrics::Metrics,
    resources::Resources,
    settings::Settings,
    snapshot::Snapshot,
    store::{SharedStore, bounded::BoundedStore},
};

mod accept;
mod admin;
mod readiness;

/// Connections of operators at once.
const API_CONNECTIONS_MAX: usize = 1024;
/// Calls under way on one connection; more are refused.
const API_CALLS_MAX: usize = 64;
/// Longest time for one call, whatever the caller's own deadline.
const API_TIMEOUT: Duration = Duration::from_secs(15);
/// Connections of edges at once: a little more than edges, for those that return before their old one is noticed dead.
const SYNC_CONNECTIONS_MAX: usize = crate::fleet::EDGES_MAX + 1024;
/// Streams of one connection, for both listeners.
const STREAMS_MAX: u32 = 128;
/// Bytes of the headers of one request.
const HEADERS_BYTES_MAX: u32 = 16 * 1024;
/// How often a silent peer is asked whether it is still there, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long calls under way may take to end after the order to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Where to listen.
#[derive(Debug)]
pub struct Listeners {
    /// Operators: distributions, policies, edges, health, reflection (gRPC).
    pub api: TcpListener,
    /// Edges: sync, health (gRPC).
    pub sync: TcpListener,
    /// Whoever runs this program: `/livez`, `/readyz`, `/metrics` (HTTP).
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds all three; port 0 takes a free port.
    ///
    /// # Errors
    /// When an address cannot be bound; the error names it.
    pub async fn bind(api: SocketAddr, sync: SocketAddr, admin: SocketAddr) -> io::Result<Self> {
        let bind = async |what: &str, address: SocketAddr| {
            let bound = TcpListener::bind(address).await;
            bound.map_err(|e| io::Error::new(e.kind(), format!("listen on {address} for the {what}: {e}")))
        };
        Ok(Self {
            api: bind("API", api).await?,
            sync: bind("sync", sync).await?,
            admin: bind("admin pages", admin).await?,
        })
    }
}

/// The control plane.
#[derive(Debug)]
pub struct ControlPlane;

impl ControlPlane {
    /// Starts on these listeners and this store. Does not wait for the store: see [`Handle::ready`].
    ///
    /// # Errors
    /// When the listeners cannot be used.
    pub fn start(settings: Settings, listeners: Listeners, store: SharedStore) -> io::Result<Handle> {
        let addresses =
            (listeners.api.local_addr()?, listeners.sync.local_addr()?, listeners.admin.local_addr()?);
        let shutdown = CancellationToken::new();
        let metrics = Arc::new(Metrics::new());
        let store = BoundedStore::new(store);
        let fleet = Fleet::new(settings.report_interval);
        let (snapshot, follower) = Snapshot::follow(store.clone(), metrics.clone());
        let mut tasks = JoinSet::new();
        let follower = tasks.spawn(until(shutdown.clone(), follower));
        let readiness = Readiness::new(store.clone(), snapshot.clone(), follower);

        let (api_health, api_health_service) = health_reporter();
        let (sync_health, sync_health_service) = health_reporter();
        let resources = Resources::new(store.clone());
        let api = api_router(
            DistributionApi {
                distributions: Distributions::new(store, settings.cdn_domain),
                fleet: fleet.clone(),
                metrics: metrics.clone(),
            },
            PolicyApi { resources, metrics: metrics.clone() },
            EdgeApi { fleet: fleet.clone(), metrics: metrics.clone() },
        )?
        .add_service(api_health_service);
        let sync = sync_router(SyncApi {
            snapshot: snapshot.clone(),
            fleet: fleet.clone(),
            metrics: metrics.clone(),
            shutdown: shutdown.clone(),
        })
        .add_service(sync_health_service);
        tasks.spawn(serve(api, listeners.api, API_CONNECTIONS_MAX, shutdown.clone()));
        tasks.spawn(serve(sync, listeners.sync, SYNC_CONNECTIONS_MAX, shutdown.clone()));
        tasks.spawn(until(shutdown.clone(), probe(readiness.clone(), api_health, sync_health)));
        let admin = Admin { readiness, fleet, metrics };
        tasks.spawn(admin.serve(listeners.admin, shutdown.clone()));
        let (api, sync, admin) = addresses;
        info!(%api, %sync, %admin, "the control plane listens");
        Ok(Handle { api, sync, admin, snapshot, shutdown, tasks })
    }
}

async fn probe(readiness: Readiness, api: HealthReporter, sync: HealthReporter) {
    readiness.probe(api, sync).await;
}

async fn until(shutdown: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        () = task => {}
        () = shutdown.cancelled() => {}
    }
}

fn server() -> Server {
    Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
}

/// A service whose messages are no larger than the protocol allows, in both directions.
macro_rules! bounded {
    ($service:expr) => {
        $service
            .max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(GRPC_MESSAGE_BYTES_MAX)
    };
}

fn api_router(distributions: DistributionApi, policies: PolicyApi, edges: EdgeApi) -> io::Result<Router> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(io::Error::other)?;
    let distributions = bounded!(DistributionServiceServer::new(distributions));
    let edges = bounded!(EdgeServiceServer::new(edges));
    let cache_policies = bounded!(CachePolicyServiceServer::new(CachePolicyApi(policies.clone())));
    let origin_request_policies =
        bounded!(OriginRequestPolicyServiceServer::new(OriginRequestPolicyApi(policies.clone())));
    let response_headers_policies =
        bounded!(ResponseHeadersPolicyServiceServer::new(ResponseHeadersPolicyApi(policies.clone())));
    let public_keys = bounded!(PublicKeyServiceServer::new(PublicKeyApi(policies.clone())));
    let key_groups = bounded!(KeyGroupServiceServer::new(KeyGroupApi(policies)));
    Ok(server()
        .timeout(API_TIMEOUT)
        .concurrency_limit_per_connection(API_CALLS_MAX)
        .load_shed(true)
        .add_service(distributions)
        .add_service(cache_policies)
        .add_service(origin_request_policies)
        .add_service(response_headers_policies)
        .add_service(public_keys)
        .add_service(key_groups)
        .add_service(edges)
        .add_service(reflection))
}

fn sync_router(sync: SyncApi) -> Router {
    let sync = bounded!(SyncServiceServer::new(sync));
    server().add_service(sync)
}

async fn serve(router: Router, listener: TcpListener, connections_max: usize, shutdown: CancellationToken) {
    let stop = shutdown.cancelled_owned();
    if let Err(error) = router.serve_with_incoming_shutdown(accept(listener, connections_max), stop).await {
        error!(%error, "failed to serve gRPC");
    }
}

/// A running control plane. Dropping it stops it without ceremony.
#[derive(Debug)]
pub struct Handle {
    api: SocketAddr,
    sync: SocketAddr,
    admin: SocketAddr,
    snapshot: Arc<Snapshot>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl Handle {
    /// Where operators connect.
    #[must_use]
    pub fn api_address(&self) -> SocketAddr {
        self.api
    }

    /// Where edges connect.
    #[must_use]
    pub fn sync_address(&self) -> SocketAddr {
        self.sync
    }

    /// Where the admin pages are.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Waits until the store has been read for the first time. Waits for ever if it never can be.
    pub async fn ready(&self) {
        self.snapshot.complete().await;
    }

    /// Waits until a part of the control plane ends though nobody asked it to. Never happens if all is well.
    pub async fn failed(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
        error!("a part of the control plane has ended");
    }

    /// Stops: takes no more calls, ends the streams of edges, and waits a bounded time for calls under way.
    pub async fn shutdown(mut self) {
        self.shutdown.cancel();
        let drained = timeout(DRAIN_TIMEOUT, async { while self.tasks.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            warn!("calls were still under way; they are cut off");
            self.tasks.shutdown().await;
        }
        info!("the control plane has stopped");
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
