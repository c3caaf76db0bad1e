//! The edge agent as a whole: what is started in which order, and how it stops.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use headland_proto::revision::Revision;
use tokio::{
    runtime::{self, Runtime},
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval, timeout},
};
use uuid::Uuid;

use crate::{
    admin::{self, Observed},
    cache::{
        Limits,
        disk::{Disk, OpenError},
        tiers::DiskTier,
    },
    clock::Clock,
    config::{DiskSettings, Settings, machine::Machine},
    durable,
    error_chain::ErrorChain,
    explain::EdgeExplainer,
    geo::{self, Locations},
    origin::{request::Identity, tls::OriginTlsConfigs},
    origin_checks, origin_health,
    origin_problems::OriginProblems,
    peers::Peers,
    pipeline::Shared,
    sync::{
        self, Serving, Start, Sync, View,
        edge_id::{self, EdgeIdError},
    },
    viewer::{
        connection::Patience,
        listener::{self, ViewerLimits, Workers},
        reception::Reception,
    },
};

/// Threads for everything that is not serving: enough that reports go on while an update is decoded.
const CONTROL_THREADS: usize = 2;
/// For tasks that do not end by themselves when the agent stops.
const RUNTIME_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two looks for objects that have expired.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// For the control planes to be told, where there is nothing to drain.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
/// For the last save of what is served, should the disk hang.
const LAST_SAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// For the disk cache to write what waits, and its index; meanwhile the last save is done.
const DISK_STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time from the end of the drain to the end of the process. Whoever ends processes must allow for it beside the drain:
/// `TimeoutStopSec`, `terminationGracePeriodSeconds` and `stop_grace_period` in `deploy/`.
pub const AFTER_DRAIN_MAX: Duration = Duration::from_secs(2 + 10 + 1);
const LOCK_FILE: &str = "lock";

/// The sockets an agent serves on, bound by the caller so that a test can choose port 0.
#[derive(Debug)]
pub struct Listeners {
    /// For viewers, as [`listener::bind`] makes them: for each address one socket per worker.
    pub viewer: Vec<Vec<TcpListener>>,
    /// For other edges, one socket per worker; none if they cannot ask this one.
    pub peer: Vec<TcpListener>,
    /// For `/livez`, `/readyz` and `/metrics`.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds the addresses of the settings.
    ///
    /// # Errors
    /// When one of them cannot be bound.
    pub fn bind(settings: &Settings) -> Result<Self, StartError> {
        let failed = |address: &SocketAddr| {
            let address = *address;
            move |source| StartError::Bind { address, source }
        };
        let bind = |address: &SocketAddr| listener::bind(*address, settings.workers).map_err(failed(address));
        let viewer = settings.http.iter().map(bind).collect::<Result<_, _>>()?;
        let peer = settings.peer.as_ref().map(bind).transpose()?.unwrap_or_default();
        let admin = TcpListener::bind(settings.admin).map_err(failed(&settings.admin))?;
        Ok(Self { viewer, peer, admin })
    }
}

/// Why an agent did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken, not this machine's, or not allowed.
    #[error("listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Two agents with one data directory would be one edge with two minds.
    #[error("use the data directory {}: another edge agent is using it", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// See there.
    #[error(transparent)]
    EdgeId(#[from] EdgeIdError),
    /// Another process uses the disk cache, or it is set too small.
    #[error(transparent)]
    Disk(#[from] OpenError),
    /// The system gave no thread, timer or socket.
    #[error("start the runtime")]
    Runtime(#[from] io::Error),
}

/// A running agent. Dropping it stops the agent at once; [`Handle::shutdown`] is the friendly way.
#[derive(Debug)]
pub struct Handle {
    edge_id: Uuid,
    viewer: Vec<SocketAddr>,
    admin: SocketAddr,
    view: View,
    stop: oneshot::Sender<Duration>,
    stopped: oneshot::Receiver<()>,
}

impl Handle {
    /// The edge's id, which it keeps over restarts.
    #[must_use]
    pub fn edge_id(&self) -> Uuid {
        self.edge_id
    }

    /// Where viewers are served.
    #[must_use]
    pub fn viewer_addresses(&self) -> &[SocketAddr] {
        &self.viewer
    }

    /// Where the admin port is.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Waits until a configuration is in force, from disk or from a control plane.
    pub async fn ready(&self) {
        if !self.view.clone().ready().await {
            // Sync never ends before the agent: nothing will become ready any more.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until everything up to a revision of the store is in force.
    pub async fn applied(&self, revision: Revision) {
        if self.view.state.clone().wait_for(|state| state.applied() >= revision).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Stops: tells the control planes, lets running requests end for at most `drain`, saves what is unsaved.
    pub async fn shutdown(self, drain: Duration) {
        if self.stop.send(drain).is_ok() {
            // An error means that the agent is gone, which is what was asked for.
            let _ = self.stopped.await;
        }
    }
}

/// Starts an agent on threads of its own. What was saved is in force before this returns, and before any control plane is
/// asked.
///
/// # Errors
/// When the data directory belongs to another agent or holds a corrupt edge id, or the system refuses threads or sockets.
pub fn start(settings: Settings, listeners: Listeners) -> Result<Handle, StartError> {
    let lock = lock(&settings.data_dir)?;
    let (edge_id, unkept) = edge_id::load_or_create(&settings.data_dir)?;
    if let Some(error) = unkept {
        tracing::warn!(%error, %edge_id, "failed to keep the new edge id; after a restart this will be another edge");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("headland-control")
        .enable_all()
        .build()?;
    match Running::start(&settings, listeners, edge_id, runtime.handle()) {
        Ok(running) => run(running, runtime, lock, edge_id),
        Err(error) => {
            // Dropping it would block, which a caller on another runtime must not.
            runtime.shutdown_background();
            Err(error)
        }
    }
}

/// Hands a started agent over to a thread that sees it to its end.
fn run(running: Running, runtime: Runtime, lock: Option<File>, edge_id: Uuid) -> Result<Handle, StartError> {
    let (stop, asked_to_stop) = oneshot::channel();
    let (say_stopped, stopped) = oneshot::channel();
    let (viewer, admin, view) = (running.viewer.clone(), running.admin, running.sync.view.clone());
    thread::Builder::new().name("headland-agent".into()).spawn(move || {
        supervise(runtime, running, asked_to_stop);
        drop(lock);
        // Nobody may be waiting.
        let _ = say_stopped.send(());
    })?;
    tracing::info!(%edge_id, ?viewer, %admin, "started");
    Ok(Handle { edge_id, viewer, admin, view, stop, stopped })
}

/// Everything that was started.
struct Running {
    viewer: Vec<SocketAddr>,
    admin: SocketAddr,
    workers: Workers,
    sync: Sync,
    tasks: Vec<JoinHandle<()>>,
    disk: Option<Arc<Disk>>,
    draining: Arc<AtomicBool>,
}

impl Running {
    /// In this order: what was saved is in force, viewers are served, control planes are asked.
    fn start(
        settings: &Settings,
        listeners: Listeners,
        edge_id: Uuid,
        runtime: &runtime::Handle,
    ) -> Result<Self, StartError> {
        let started = Instant::now();
        let entered = runtime.enter();
        let shared = Arc::new(shared(settings, edge_id, &listeners, runtime)?);
        let disk_is_missing = settings.cache.disk.is_some() && shared.cache.disk.is_none();
        let serving = Serving {
            routing: Arc::clone(&shared.routing),
            cache: Arc::clone(&shared.cache),
            metrics: Arc::clone(&shared.metrics),
            origin_problems: Arc::new(OriginProblems::default()),
            peers: Arc::clone(&shared.peers),
        };
        let origin_problems = Arc::clone(&serving.origin_problems);
        let start = Start::load(&settings.data_dir, &serving.routing);

        let addresses = listeners.viewer.iter().filter_map(|sockets| sockets.first());
        let viewer: Vec<_> = addresses.map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        let admin = listeners.admin.local_addr()?;
        let peer = listeners.peer.first().map(TcpListener::local_addr).transpose()?;
        let workers = Workers::start(listeners.viewer, listeners.peer, &shared, viewer_limits(settings))?;

        let sync_settings = sync_settings(settings, edge_id, (viewer.first(), peer), started);
        let explainer = Arc::new(EdgeExplainer::new(&shared));
        let sync = Sync::start(sync_settings, start, serving.clone(), explainer);
        let draining = Arc::new(AtomicBool::new(false));
        let observed = Observed {
            view: sync.view.clone(),
            locations: Arc::clone(&shared.locations),
            breakers: Arc::clone(&shared.breakers),
            serving,
            disk_is_missing,
            draining: Arc::clone(&draining),
            started,
        };
        let checks = origin_checks::run(
            sync.view.state.clone(),
            Arc::clone(&shared.routing),
            (shared.credentials.clone(), Arc::clone(&shared.tls)),
            origin_problems,
        );
        let health = origin_health::run(
            sync.view.state.clone(),
            Arc::clone(&shared.routing),
            Arc::clone(&shared.tls),
            Arc::clone(&shared.breakers),
        );
        let disk = shared.cache.disk.clone();
        let tasks = vec![
            tokio::spawn(admin::start(listeners.admin, observed)?),
            tokio::spawn(geo::watch(Arc::clone(&shared.locations))),
            tokio::spawn(sweep(shared)),
            tokio::spawn(checks),
            tokio::spawn(health),
        ];
        drop(entered);
        Ok(Self { viewer, admin, workers, sync, tasks, disk, draining })
    }
}

fn supervise(runtime: Runtime, running: Running, asked_to_stop: oneshot::Receiver<Duration>) {
    let Running { workers, mut sync, tasks, disk, draining, .. } = running;
    runtime.block_on(async move {
        // An error means that the handle was dropped.
        let Ok(drain) = asked_to_stop.await else { return };
        tracing::info!(?drain, "draining");
        draining.store(true, Relaxed);
        // The fleet should know first that this edge leaves, but no viewer waits for a control plane.
        let drained = timeout(drain, spawn_blocking(move || workers.stop()));
        let (left, drained) = tokio::join!(timeout(drain + LEAVE_TIMEOUT, sync.leave()), drained);
        if left.is_err() {
            tracing::warn!("some control planes could not be told in time that this edge leaves");
        }
        if drained.is_err() {
            tracing::warn!("some viewers' requests did not end in time");
        }
        tasks.iter().for_each(JoinHandle::abort);
        let last_save = async {
            if timeout(LAST_SAVE_TIMEOUT, sync.finish()).await.is_err() {
                tracing::warn!("the last save did not end in time; the one before it counts");
            }
        };
        let disk_stop = async {
            let Some(disk) = disk else { return };
            if spawn_blocking(move || disk.stop(DISK_STOP_TIMEOUT)).await.is_err() {
                tracing::error!("failed to stop the disk cache");
            }
        };
        tokio::join!(last_save, disk_stop);
    });
    runtime.shutdown_timeout(RUNTIME_TIMEOUT);
    tracing::info!("stopped");
}

/// What serves, with nothing in it yet.
fn shared(
    settings: &Settings,
    edge_id: Uuid,
    listeners: &Listeners,
    runtime: &runtime::Handle,
) -> Result<Shared, StartError> {
    let limits = Limits {
        memory_bytes: settings.cache.memory_bytes,
        object_bytes_max: settings.cache.object_bytes_max,
        background_fill_percent: settings.cache.background_fill_percent,
    };
    let workers = listeners.viewer.iter().map(Vec::len).max().unwrap_or(0);
    let identity = Identity { pseudonym: format!("headland-{edge_id}") };
    let clock = Clock::system();
    let disk = disk(settings.cache.disk.as_ref(), &clock)?;
    let mut shared = Shared::new(limits, disk, workers, identity, clock, runtime.clone());
    shared.peers = Arc::new(Peers::new(edge_id.to_string(), settings.location.clone()));
    shared.tls = Arc::new(OriginTlsConfigs::new(settings.origin_client_certificates.clone()));
    let geo = settings.geo.clone();
    let locations = Locations::open(geo.database, geo.asn_database);
    Ok(shared.receiving(reception(settings, listeners)?).locating(locations))
}

/// Who is believed, and what is special about the addresses that are listened on, which the sockets know.
fn reception(settings: &Settings, listeners: &Listeners) -> io::Result<Reception> {
    let mut entrances = Vec::new();
    for (address, sockets) in settings.http.iter().zip(&listeners.viewer) {
        if let Some(socket) = sockets.first() {
            entrances.push((socket.local_addr()?, settings.entrance(address)));
        }
    }
    Ok(Reception { proxies: settings.trusted_proxies.clone(), entrances })
}

/// The disk cache, if there is to be one and its disk lets there be.
fn disk(settings: Option<&DiskSettings>, clock: &Clock) -> Result<Option<DiskTier>, StartError> {
    let Some(DiskSettings { path, bytes }) = settings else { return Ok(None) };
    match DiskTier::open(path.clone(), *bytes, clock) {
        Ok(disk) => Ok(Some(disk)),
        Err(error @ OpenError::Io { .. }) => {
            let error = ErrorChain(&error);
            tracing::error!(%error, "the edge serves from memory alone, and forgets at its next start");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn viewer_limits(settings: &Settings) -> ViewerLimits {
    let limits = settings.limits;
    ViewerLimits {
        patience: Patience {
            head: limits.header_timeout,
            idle: limits.idle_timeout,
            write: limits.idle_timeout,
        },
        connections_max: limits.connections_max.div_ceil(settings.workers),
        drain: settings.drain_timeout,
    }
}

/// Drops what has expired, so that it makes room even if nobody asks for it any more.
async fn sweep(shared: Arc<Shared>) {
    let mut ticks = interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        shared.cache.sweep(shared.clock.now());
    }
}

fn sync_settings(
    settings: &Settings,
    edge_id: Uuid,
    (bound, peer): (Option<&SocketAddr>, Option<SocketAddr>),
    started: Instant,
) -> sync::Settings {
    let host_name = Machine::detect().host_name;
    let bound = bound.copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
    sync::Settings {
        edge_id: edge_id.to_string(),
        location: settings.location.clone(),
        viewer_url: settings.viewer_url(bound, &host_name),
        peer_url: settings.peer_url(peer, &host_name),
        control_planes: settings.control_planes.clone(),
        started,
    }
}

/// Makes the data directory this agent's own. One that cannot be written is used for reading alone.
fn lock(data_dir: &Path) -> Result<Option<File>, StartError> {
    let locked = durable::create_dir(data_dir).and_then(|()| {
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(data_dir.join(LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    });
    match locked {
        Ok(Some(file)) => Ok(Some(file)),
        Ok(None) => Err(StartError::InUse { path: data_dir.to_owned() }),
        Err(error) => {
            tracing::warn!(
                path = %data_dir.display(),
                %error,
                "failed to lock the data directory; the edge serves from memory and forgets at its next start"
            );
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds behind `name` in a file of `deploy/`.
    fn seconds(file: &str, name: &str) -> Duration {
        let value = file.lines().find_map(|line| line.trim().strip_prefix(name)).expect("the setting");
        let digits: String = value.trim().chars().take_while(char::is_ascii_digit).collect();
        Duration::from_secs(digits.parse().expect("seconds"))
    }

    #[test]
    fn a_stop_ends_before_whoever_ordered_it_loses_patience() {
        assert!(
            LEAVE_TIMEOUT + LAST_SAVE_TIMEOUT.max(DISK_STOP_TIMEOUT) + RUNTIME_TIMEOUT <= AFTER_DRAIN_MAX
        );
        let on_a_host = seconds(include_str!("../../deploy/config/edge-agent.yaml"), "drain_timeout:");
        let unit = include_str!("../../deploy/systemd/headland-edge-agent.service");
        assert!(on_a_host + AFTER_DRAIN_MAX <= seconds(unit, "TimeoutStopSec="));
        let in_kubernetes =
            seconds(include_str!("../../deploy/kubernetes/base/config/edge-agent.yaml"), "drain_timeout:");
        let pod = include_str!("../../deploy/kubernetes/base/edge-agent.yaml");
        assert!(in_kubernetes + AFTER_DRAIN_MAX <= seconds(pod, "terminationGracePeriodSeconds:"));
        let compose = include_str!("../../deploy/compose/compose.yaml");
        let by_default = Duration::from_secs(30);
        assert!(by_default + AFTER_DRAIN_MAX <= seconds(compose, "stop_grace_period:"));
    }
}
