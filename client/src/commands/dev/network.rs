//! The planes of `headland dev`: one control plane on the embedded store, and edges that sync with it.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use headland::error::{Error, ErrorKind};
use headland_control_plane::{
    server::{ControlPlane, Handle as ControlPlaneHandle, Listeners as ControlPlaneListeners},
    settings::{CDN_DOMAIN_DEFAULT, Settings as ControlPlaneSettings},
    store::embedded::EmbeddedStore,
};
use headland_edge_agent::{
    agent::{self, Handle as EdgeHandle, Listeners as EdgeListeners},
    config::{Settings as EdgeSettings, layer::Layer, machine::Machine},
    error_chain::ErrorChain,
};

use super::Args;

/// Quick enough that figures follow what a person does.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long connections have to finish.
const DRAIN: Duration = Duration::from_secs(5);

/// A running network.
pub(super) struct Network {
    control_plane: ControlPlaneHandle,
    api: SocketAddr,
    edges: Vec<EdgeHandle>,
    viewer_addresses: Vec<SocketAddr>,
}

impl Network {
    pub(super) async fn start(args: &Args, data_dir: &Path) -> Result<Self, Error> {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = ControlPlaneListeners::bind(args.api, local, local)
            .await
            .map_err(|e| failed("start the control plane", &e))?;
        let (api, sync) = addresses(&listeners).map_err(|e| failed("start the control plane", &e))?;
        let path = data_dir.join("control-plane.redb");
        let store = EmbeddedStore::open(&path).map_err(|e| failed("open the store", &e))?;
        let domain = CDN_DOMAIN_DEFAULT.parse().map_err(|e| failed("understand the CDN domain", &e))?;
        let settings =
            ControlPlaneSettings { report_interval: REPORT_INTERVAL, ..ControlPlaneSettings::new(domain) };
        let control_plane = ControlPlane::start(settings, listeners, Arc::new(store))
            .map_err(|e| failed("start the control plane", &e))?;
        let mut network = Self { control_plane, api, edges: Vec::new(), viewer_addresses: Vec::new() };
        for n in 0..args.edges {
            match start_edge(args, n, &data_dir.join(format!("edge-{}", n + 1)), sync) {
                Ok(edge) => {
                    network.viewer_addresses.extend(edge.viewer_addresses().first());
                    network.edges.push(edge);
                }
                Err(error) => {
                    network.stop().await;
                    return Err(error);
                }
            }
        }
        Ok(network)
    }

    pub(super) fn api(&self) -> SocketAddr {
        self.api
    }

    /// Of each edge, in order.
    pub(super) fn viewer_addresses(&self) -> &[SocketAddr] {
        &self.viewer_addresses
    }

    /// Waits until every edge has a configuration, be it an empty one.
    pub(super) async fn ready(&self) {
        for edge in &self.edges {
            edge.ready().await;
        }
    }

    /// Stops the edges first, so that they can say good-bye.
    pub(super) async fn stop(self) {
        for edge in self.edges {
            edge.shutdown(DRAIN).await;
        }
        self.control_plane.shutdown().await;
    }
}

fn addresses(listeners: &ControlPlaneListeners) -> io::Result<(SocketAddr, SocketAddr)> {
    Ok((listeners.api.local_addr()?, listeners.sync.local_addr()?))
}

fn start_edge(args: &Args, n: u16, data_dir: &Path, sync: SocketAddr) -> Result<EdgeHandle, Error> {
    let port = match args.http.port() {
        0 => Some(0),
        first => first.checked_add(n),
    };
    let port = port.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("start edge {}: its port would be above 65535", n + 1))
    })?;
    let machine = Machine::detect();
    let machine = Machine { memory_bytes: machine.memory_bytes / u64::from(args.edges), ..machine };
    let layer = Layer {
        data_dir: Some(data_dir.display().to_string()),
        location: Some(format!("dev-{}", n + 1)),
        http: Some(vec![SocketAddr::new(args.http.ip(), port).to_string()]),
        admin: Some("127.0.0.1:0".into()),
        control_planes: Some(vec![format!("http://{sync}")]),
        trusted_proxies: Some(args.trusted_proxies.clone()),
        geo_database: args.geo_database.clone(),
        cache_memory_bytes: args.cache_memory.clone(),
        cache_disk_path: args.cache_disk.as_ref().map(|_| data_dir.join("cache").display().to_string()),
        cache_disk_bytes: args.cache_disk.clone(),
        ..Layer::default()
    };
    let settings = EdgeSettings::check(layer, &machine).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::new(ErrorKind::Settings, format!("start edge {}: {}", n + 1, problems.join("; ")))
    })?;
    let listeners =
        EdgeListeners::bind(&settings).map_err(|e| failed(&format!("start edge {}", n + 1), &e))?;
    agent::start(settings, listeners).map_err(|e| failed(&format!("start edge {}", n + 1), &e))
}

/// An error with all its causes.
fn failed(doing: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    Error::new(ErrorKind::Io, format!("{doing}: {}", ErrorChain(error)))
        .with_hint("is another headland running? choose other addresses with --http and --api")
}
