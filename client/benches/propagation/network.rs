//! A control plane and a fleet of edge agents in this process, each with its own threads, ports and data directory.

use std::{net::SocketAddr, path::Path, time::Duration};

use headland::{
    client::{Client, Options},
    spec::{CacheBehaviorSpec, CachePolicySpec, DistributionSpec, OriginSpec, SpecDuration},
};
use headland_control_plane::{
    server::{ControlPlane, Handle as ControlPlaneHandle, Listeners as ControlPlaneListeners},
    settings::{CDN_DOMAIN_DEFAULT, Settings as ControlPlaneSettings},
    store::SharedStore,
};
use headland_edge_agent::{
    agent::{self, Handle as EdgeHandle, Listeners as EdgeListeners},
    config::{Settings as EdgeSettings, layer::Layer, machine::Machine},
};
use headland_proto::revision::Revision;
use tokio::task::JoinSet;

use crate::Fallible;

/// For running requests to end; there are none.
const DRAIN: Duration = Duration::from_secs(1);
/// Cache of one edge, which stays empty.
const CACHE_MEMORY: &str = "16MiB";

/// A running network.
pub(crate) struct Network {
    pub(crate) client: Client,
    pub(crate) edges: Vec<EdgeHandle>,
    control_plane: ControlPlaneHandle,
}

impl Network {
    /// Starts everything and waits until every edge has its first, empty configuration.
    pub(crate) async fn start(store: SharedStore, edges: usize, dir: &Path) -> Fallible<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = ControlPlaneListeners::bind(any, any, any).await?;
        let settings = ControlPlaneSettings::new(CDN_DOMAIN_DEFAULT.parse()?);
        let control_plane = ControlPlane::start(settings, listeners, store)?;
        control_plane.ready().await;
        let client = Client::connect(&format!("http://{}", control_plane.api_address()), Options::default())?;
        let mut network = Self { client, edges: Vec::new(), control_plane };
        for _ in 0..edges {
            network.add_edge(dir)?;
        }
        for edge in &network.edges {
            edge.ready().await;
        }
        Ok(network)
    }

    /// Starts one more edge, with a data directory of its own below `dir`. It may not be ready yet.
    pub(crate) fn add_edge(&mut self, dir: &Path) -> Fallible<()> {
        let edge = start_edge(self.edges.len(), dir, self.control_plane.sync_address())?;
        self.edges.push(edge);
        Ok(())
    }

    /// Waits until every edge has everything up to a revision in force.
    pub(crate) async fn applied(&self, revision: Revision) {
        // One after the other takes as long as the last of them.
        for edge in &self.edges {
            edge.applied(revision).await;
        }
    }

    /// Stops the edges, then the control plane.
    pub(crate) async fn stop(self) {
        let mut stopping = JoinSet::new();
        for edge in self.edges {
            stopping.spawn(edge.shutdown(DRAIN));
        }
        while stopping.join_next().await.is_some() {}
        drop(self.client);
        self.control_plane.shutdown().await;
    }
}

/// One edge agent with one worker.
fn start_edge(n: usize, dir: &Path, control_plane: SocketAddr) -> Fallible<EdgeHandle> {
    let layer = Layer {
        data_dir: Some(dir.join(format!("edge-{n}")).display().to_string()),
        location: Some("bench".into()),
        http: Some(vec!["127.0.0.1:0".into()]),
        admin: Some("127.0.0.1:0".into()),
        control_planes: Some(vec![format!("http://{control_plane}")]),
        cache_memory_bytes: Some(CACHE_MEMORY.into()),
        cache_object_bytes_max: Some(CACHE_MEMORY.into()),
        workers: Some("1".into()),
        ..Layer::default()
    };
    let settings = EdgeSettings::check(layer, &Machine::detect())
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let listeners = EdgeListeners::bind(&settings)?;
    Ok(agent::start(settings, listeners)?)
}

/// The distribution after its nth change.
pub(crate) fn spec(n: usize) -> DistributionSpec {
    let ttl = Duration::from_secs(1000 + n as u64);
    let policy = CachePolicySpec { default_ttl: Some(SpecDuration(ttl)), ..CachePolicySpec::default() };
    let behavior = CacheBehaviorSpec { cache_policy: Some(policy.into()), ..CacheBehaviorSpec::default() };
    let origin = OriginSpec::from_url("http://origin.example.com").expect("an http URL");
    DistributionSpec {
        caller_reference: "propagation".into(),
        aliases: vec!["www.example.com".into()],
        default_cache_behavior: Some(behavior),
        ..DistributionSpec::default()
    }
    .with_origin(origin)
}
