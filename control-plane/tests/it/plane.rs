//! A control plane inside a test, on port 0 and a store of its own, and what talks to it.

use std::{sync::Arc, time::Duration};

use headland_control_plane::{
    server::{ControlPlane, Handle, Listeners},
    settings::Settings,
    store::{SharedStore, embedded::EmbeddedStore},
};
use headland_proto::v1::{
    self, Distribution, DistributionConfig, distribution_service_client::DistributionServiceClient,
    edge_service_client::EdgeServiceClient,
};
use tempfile::TempDir;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

pub(crate) mod edge;
pub(crate) mod faulty;

/// Longest wait for anything; only a broken program takes so long.
const CEILING: Duration = Duration::from_secs(30);

/// Waits for something that must come.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(CEILING, future).await.expect("it came in time")
}

/// A store in a folder that vanishes with it.
pub(crate) fn embedded() -> (SharedStore, TempDir) {
    let dir = TempDir::new().unwrap();
    let store = EmbeddedStore::open(&dir.path().join("store.redb")).unwrap();
    (Arc::new(store), dir)
}

/// One control plane.
pub(crate) struct Plane {
    pub(crate) handle: Handle,
    _dir: Option<TempDir>,
}

impl Plane {
    pub(crate) async fn start() -> Self {
        let (store, dir) = embedded();
        let mut plane = Self::start_on(store).await;
        plane._dir = Some(dir);
        within(plane.handle.ready()).await;
        plane
    }

    /// Does not wait for the store.
    pub(crate) async fn start_on(store: SharedStore) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let listeners = Listeners::bind(any, any, any).await.unwrap();
        let settings =
            Settings { cdn_domain: "cdn.test".parse().unwrap(), report_interval: Duration::from_secs(60) };
        let handle = ControlPlane::start(settings, listeners, store).unwrap();
        Self { handle, _dir: None }
    }

    pub(crate) async fn channel(&self) -> Channel {
        channel(self.handle.api_address()).await
    }

    pub(crate) async fn distributions(&self) -> DistributionServiceClient<Channel> {
        DistributionServiceClient::new(self.channel().await)
    }

    pub(crate) async fn edges(&self) -> EdgeServiceClient<Channel> {
        EdgeServiceClient::new(self.channel().await)
    }

    pub(crate) async fn create(&self, config: DistributionConfig) -> Result<Distribution, Status> {
        let request = v1::CreateDistributionRequest { config: Some(config) };
        let answer = within(self.distributions().await.create_distribution(request)).await;
        answer.map(tonic::Response::into_inner)
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Distribution, Status> {
        let request = v1::GetDistributionRequest { id: id.into() };
        let answer = within(self.distributions().await.get_distribution(request)).await;
        answer.map(tonic::Response::into_inner)
    }

    pub(crate) async fn update(
        &self,
        before: &Distribution,
        change: impl FnOnce(&mut DistributionConfig),
    ) -> Result<Distribution, Status> {
        let mut config = before.config.clone().unwrap();
        change(&mut config);
        let request = v1::UpdateDistributionRequest {
            id: before.id.clone(),
            etag: before.etag.clone(),
            config: Some(config),
        };
        let answer = within(self.distributions().await.update_distribution(request)).await;
        answer.map(tonic::Response::into_inner)
    }

    pub(crate) async fn delete(&self, before: &Distribution) -> Result<(), Status> {
        let request = v1::DeleteDistributionRequest { id: before.id.clone(), etag: before.etag.clone() };
        let answer = within(self.distributions().await.delete_distribution(request)).await;
        answer.map(tonic::Response::into_inner)
    }
}

pub(crate) async fn channel(address: std::net::SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    within(endpoint.connect()).await.unwrap()
}

/// The smallest config with this caller reference and these aliases.
pub(crate) fn config(reference: &str, aliases: &[&str]) -> DistributionConfig {
    DistributionConfig {
        caller_reference: reference.into(),
        enabled: true,
        aliases: aliases.iter().map(ToString::to_string).collect(),
        origins: vec![v1::Origin {
            id: "o".into(),
            kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
                domain_name: "origin.example.com".into(),
                ..Default::default()
            })),
            ..Default::default()
        }],
        default_cache_behavior: Some(v1::CacheBehavior {
            target_origin_id: "o".into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A config of roughly this many bytes.
pub(crate) fn large_config(reference: &str, bytes: usize) -> DistributionConfig {
    let mut config = config(reference, &[]);
    let header = |name: String| v1::CustomHeader { name, value: "x".repeat(1500) };
    for i in 0..bytes.div_ceil(9_500) {
        let mut origin = config.origins[0].clone();
        origin.id = format!("o{i}");
        origin.custom_headers = (0..6).map(|n| header(format!("x-{n}"))).collect();
        config.origins.push(origin);
    }
    config
}

/// Fails unless the call was refused with this code and reason.
pub(crate) fn assert_refused<T: std::fmt::Debug>(
    result: Result<T, Status>,
    code: Code,
    reason: &str,
) -> Status {
    let status = result.expect_err("a refusal");
    let details = status.get_error_details();
    let info = details.error_info().expect("error info");
    assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{status}");
    status
}
