//! An edge that serves one distribution, with its real workers, sockets and cache, and a clock held by hand.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use headland_edge_agent::{
    cache::{Limits, disk, tiers::DiskTier},
    clock::{Clock, Timestamp},
    geo::Locations,
    origin::{credentials::CredentialsStore, request::Identity, tls::OriginTlsConfigs},
    pipeline::Shared,
    routing::{Distribution, Table},
    viewer::{
        connection::Patience,
        listener::{self, ViewerLimits, Workers},
        reception::{Entrance, Reception, TrustedProxies},
    },
};
use headland_proto::{model::Resources, v1};

/// The host name that every test distribution answers to.
pub(crate) const HOST: &str = "cdn.test";

/// Workers of a test's edge.
pub(crate) const WORKERS: usize = 2;

/// Size of a test's disk tier.
const DISK_BYTES: u64 = disk::BYTES_MIN;

/// A running edge; it stops when it is dropped.
pub(crate) struct Edge {
    pub(crate) address: SocketAddr,
    /// Where other edges ask it.
    pub(crate) peer: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    workers: Option<Workers>,
    background: Option<tokio::runtime::Runtime>,
}

/// How an edge differs from the usual one.
pub(crate) struct Options {
    pub(crate) memory_bytes: u64,
    pub(crate) object_bytes_max: u64,
    pub(crate) background_fill_percent: u8,
    pub(crate) patience: Patience,
    /// How it names itself to origins and other edges.
    pub(crate) pseudonym: &'static str,
    /// Where the disk tier is, if there is one.
    pub(crate) disk: Option<std::path::PathBuf>,
    /// Who is believed.
    pub(crate) reception: Reception,
    /// What is special about its address.
    pub(crate) entrance: Entrance,
    /// Where viewers are.
    pub(crate) locations: Locations,
    /// Where the certificates are that it shows to origins.
    pub(crate) client_certificates: Option<std::path::PathBuf>,
    /// The file with its credentials for buckets; otherwise what this machine has.
    pub(crate) credentials: Option<std::path::PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            object_bytes_max: 8 << 20,
            background_fill_percent: 50,
            patience: Patience {
                head: Duration::from_secs(10),
                idle: Duration::from_secs(60),
                write: Duration::from_secs(60),
            },
            pseudonym: "headland-test",
            disk: None,
            reception: Reception::default(),
            entrance: Entrance::default(),
            locations: Locations::default(),
            client_certificates: None,
            credentials: None,
        }
    }
}

/// Believes these networks.
pub(crate) fn trusting(networks: &[&str]) -> Reception {
    let networks = networks.iter().map(|network| network.parse().expect("network")).collect();
    Reception { proxies: TrustedProxies::new(networks), entrances: Vec::new() }
}

/// A distribution with one custom origin and RFC 9111 semantics, to be changed at will.
pub(crate) fn config(origin: SocketAddr) -> v1::DistributionConfig {
    v1::DistributionConfig {
        caller_reference: "test".into(),
        enabled: true,
        aliases: vec![HOST.into()],
        origins: vec![v1::Origin {
            id: "origin".into(),
            connection_timeout: seconds(1),
            response_timeout: seconds(1),
            kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
                domain_name: origin.ip().to_string(),
                http_port: origin.port().into(),
                ..Default::default()
            })),
            ..Default::default()
        }],
        default_cache_behavior: Some(v1::CacheBehavior {
            target_origin_id: "origin".into(),
            cache_policy: Some(v1::CachePolicyConfig {
                semantics: v1::cache_policy_config::Semantics::Rfc9111.into(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

pub(crate) fn policy(config: &mut v1::DistributionConfig) -> &mut v1::CachePolicyConfig {
    behavior(config).cache_policy.get_or_insert_default()
}

pub(crate) fn behavior(config: &mut v1::DistributionConfig) -> &mut v1::CacheBehavior {
    config.default_cache_behavior.get_or_insert_default()
}

pub(crate) const ALL_METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"];

impl Edge {
    pub(crate) fn start(config: v1::DistributionConfig) -> Self {
        Self::start_with(config, Options::default())
    }

    pub(crate) fn start_with(config: v1::DistributionConfig, options: Options) -> Self {
        Self::start_with_resources(config, options, &Resources::default())
    }

    /// An edge whose distribution refers to these.
    pub(crate) fn start_with_resources(
        config: v1::DistributionConfig,
        options: Options,
        resources: &Resources,
    ) -> Self {
        let background = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("background runtime");
        let clock = Clock::manual(Timestamp::from(std::time::SystemTime::now()));
        let Options { memory_bytes, object_bytes_max, background_fill_percent, .. } = options;
        let limits = Limits { memory_bytes, object_bytes_max, background_fill_percent };
        let identity = Identity { pseudonym: options.pseudonym.into() };
        let disk = options.disk.map(|path| {
            loop {
                match DiskTier::open(path.clone(), DISK_BYTES, &clock) {
                    // One that was there before is on its way out.
                    Err(disk::OpenError::Locked(_)) => std::thread::yield_now(),
                    opened => break opened.expect("a disk tier"),
                }
            }
        });
        let handle = background.handle().clone();
        let sockets = listener::bind(([127, 0, 0, 1], 0).into(), WORKERS).expect("bind");
        let address = sockets[0].local_addr().expect("address");
        let mut reception = options.reception;
        reception.entrances.push((address, options.entrance));
        let mut shared = Shared::new(limits, disk, WORKERS, identity, clock.clone(), handle.clone());
        shared.tls = Arc::new(OriginTlsConfigs::new(options.client_certificates));
        if let Some(file) = options.credentials {
            shared.credentials = CredentialsStore::from_file(handle, &file);
        }
        let shared = Arc::new(shared.receiving(reception).locating(options.locations));
        let limits =
            ViewerLimits { patience: options.patience, connections_max: 1000, drain: Duration::from_secs(1) };
        let peers = listener::bind(([127, 0, 0, 1], 0).into(), WORKERS).expect("bind");
        let peer = peers[0].local_addr().expect("address");
        let workers = Workers::start(vec![sockets], peers, &shared, limits).expect("workers");
        let edge =
            Self { address, peer, shared, clock, workers: Some(workers), background: Some(background) };
        edge.update_with(config, resources);
        edge
    }

    /// Puts another configuration in force.
    pub(crate) fn update(&self, config: v1::DistributionConfig) {
        self.update_with(config, &Resources::default());
    }

    /// The same, with what it refers to.
    pub(crate) fn update_with(&self, config: v1::DistributionConfig, resources: &Resources) {
        let desired = v1::DesiredDistribution {
            id: "EABCDEFGHIJKLM".into(),
            domain_name: "dabcdefghijklm.cdn.localhost".into(),
            revision: 1,
            config: Some(config),
        };
        let distribution = Distribution::compile(&desired, resources).expect("valid distribution");
        self.shared.routing.publish(Table::new([Arc::new(distribution)]));
    }

    /// Ends without a clean stop of the disk tier, as `kill -9` would.
    pub(crate) fn crash(mut self) {
        if let Some(workers) = self.workers.take() {
            workers.stop();
        }
    }

    /// Stops the workers as SIGTERM would.
    pub(crate) fn stop(&mut self) {
        if let Some(workers) = self.workers.take() {
            workers.stop();
            if let Some(disk) = &self.shared.cache.disk {
                assert!(disk.stop(Duration::from_secs(10)), "the disk tier stops in time");
            }
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop();
        if let Some(background) = self.background.take() {
            background.shutdown_background();
        }
    }
}
