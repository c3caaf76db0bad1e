//! The client: typed calls to a control plane, with deadlines, and repeated only where that is safe.

mod call;
mod names;
mod pages;
mod policies;
mod wait;

use std::time::Duration;

use headland_proto::{
    limits::GRPC_MESSAGE_BYTES_MAX,
    v1::{
        self, cache_policy_service_client::CachePolicyServiceClient,
        distribution_service_client::DistributionServiceClient, edge_service_client::EdgeServiceClient,
        key_group_service_client::KeyGroupServiceClient,
        origin_request_policy_service_client::OriginRequestPolicyServiceClient,
        public_key_service_client::PublicKeyServiceClient,
        response_headers_policy_service_client::ResponseHeadersPolicyServiceClient,
    },
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use uuid::Uuid;

use self::call::Repeat;
pub use self::{
    pages::{Distributions, Edges},
    wait::WaitOptions,
};
use crate::error::{Error, ErrorKind};

/// A stub whose messages are no larger than the protocol allows, in both directions.
macro_rules! bounded {
    ($stub:expr) => {
        $stub
            .max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(GRPC_MESSAGE_BYTES_MAX)
    };
}

/// How a client connects and how long it waits.
#[derive(Debug, Clone)]
pub struct Options {
    /// Longest time to set up a connection. Default 5 s.
    pub connect_timeout: Duration,
    /// Longest time for one call, its repetitions included. Default 30 s.
    pub call_timeout: Duration,
    /// Certificates (PEM) that sign the control plane's, for https endpoints. Unset: those the system trusts.
    pub ca_certificate: Option<Vec<u8>>,
    /// What the client calls itself. Default "headland/" and its version.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            ca_certificate: None,
            user_agent: concat!("headland/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A connection to a control plane. Cheap to clone; clones share the connection.
#[derive(Debug, Clone)]
pub struct Client {
    distributions: DistributionServiceClient<Channel>,
    cache_policies: CachePolicyServiceClient<Channel>,
    origin_request_policies: OriginRequestPolicyServiceClient<Channel>,
    response_headers_policies: ResponseHeadersPolicyServiceClient<Channel>,
    public_keys: PublicKeyServiceClient<Channel>,
    key_groups: KeyGroupServiceClient<Channel>,
    edges: EdgeServiceClient<Channel>,
    endpoint: String,
    call_timeout: Duration,
}

impl Client {
    /// A client for the control plane at `endpoint`: `http://host[:port]` or `https://host[:port]`. The connection is made
    /// with the first call. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the endpoint is not of that form, or a certificate cannot be read.
    pub fn connect(endpoint: &str, options: Options) -> Result<Self, Error> {
        let channel = channel(endpoint, &options)?.connect_lazy();
        Ok(Self {
            distributions: bounded!(DistributionServiceClient::new(channel.clone())),
            cache_policies: bounded!(CachePolicyServiceClient::new(channel.clone())),
            origin_request_policies: bounded!(OriginRequestPolicyServiceClient::new(channel.clone())),
            response_headers_policies: bounded!(ResponseHeadersPolicyServiceClient::new(channel.clone())),
            public_keys: bounded!(PublicKeyServiceClient::new(channel.clone())),
            key_groups: bounded!(KeyGroupServiceClient::new(channel.clone())),
            edges: bounded!(EdgeServiceClient::new(channel)),
            endpoint: endpoint.to_owned(),
            call_timeout: options.call_timeout,
        })
    }

    /// Where the control plane is.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Creates a distribution. Without a caller reference one is chosen, so that the call can be repeated safely.
    ///
    /// # Errors
    /// All violations of the config at once; a host name or caller reference that is taken; failures of the call.
    pub async fn create_distribution(
        &self,
        mut config: v1::DistributionConfig,
    ) -> Result<v1::Distribution, Error> {
        if config.caller_reference.is_empty() {
            config.caller_reference = Uuid::now_v7().to_string();
        }
        let request = v1::CreateDistributionRequest { config: Some(config) };
        self.call("create the distribution", Repeat::WhenTransient, request, |request| {
            let mut stub = self.distributions.clone();
            async move { stub.create_distribution(request).await }
        })
        .await
    }

    /// One distribution.
    ///
    /// # Errors
    /// When there is none with this id; failures of the call.
    pub async fn get_distribution(&self, id: &str) -> Result<v1::Distribution, Error> {
        let request = v1::GetDistributionRequest { id: id.to_owned() };
        let doing = format!("get distribution {id}");
        self.call(&doing, Repeat::WhenTransient, request, |request| {
            let mut stub = self.distributions.clone();
            async move { stub.get_distribution(request).await }
        })
        .await
    }

    /// All distributions in order of id, page by page.
    #[must_use]
    pub fn distributions(&self) -> Distributions<'_> {
        self.distributions_that(v1::DistributionFilter::default())
    }

    /// Those that the filter is about, in order of id, page by page.
    #[must_use]
    pub fn distributions_that(&self, filter: v1::DistributionFilter) -> Distributions<'_> {
        Distributions::new(self, filter)
    }

    /// Replaces a distribution's whole config. `etag` is the one of the config that the change was made against.
    ///
    /// # Errors
    /// All violations of the config at once; a stale etag; a host name that is taken; failures of the call. After a
    /// failure on the way the outcome is unknown; the call is not repeated by itself.
    pub async fn update_distribution(
        &self,
        id: &str,
        etag: &str,
        config: v1::DistributionConfig,
    ) -> Result<v1::Distribution, Error> {
        let request =
            v1::UpdateDistributionRequest { id: id.to_owned(), etag: etag.to_owned(), config: Some(config) };
        let doing = format!("update distribution {id}");
        self.call(&doing, Repeat::WhenNotDone, request, |request| {
            let mut stub = self.distributions.clone();
            async move { stub.update_distribution(request).await }
        })
        .await
    }

    /// Deletes a distribution, which must be disabled.
    ///
    /// # Errors
    /// When it is enabled; a stale etag; failures of the call, after which the outcome is unknown.
    pub async fn delete_distribution(&self, id: &str, etag: &str) -> Result<(), Error> {
        let request = v1::DeleteDistributionRequest { id: id.to_owned(), etag: etag.to_owned() };
        let doing = format!("delete distribution {id}");
        self.call(&doing, Repeat::WhenNotDone, request, |request| {
            let mut stub = self.distributions.clone();
            async move { stub.delete_distribution(request).await }
        })
        .await
    }

    /// One edge.
    ///
    /// # Errors
    /// When there is none with this id; failures of the call.
    pub async fn get_edge(&self, id: &str) -> Result<v1::Edge, Error> {
        let request = v1::GetEdgeRequest { id: id.to_owned() };
        let doing = format!("get edge {id}");
        self.call(&doing, Repeat::WhenTransient, request, |request| {
            let mut stub = self.edges.clone();
            async move { stub.get_edge(request).await }
        })
        .await
    }

    /// Asks an edge what it would do with a request, and why. It changes nothing and asks no origin.
    ///
    /// # Errors
    /// All violations of the request at once; no such edge; an edge that does not answer; failures of the call. The call is not
    /// repeated by itself unless it was never made.
    pub async fn explain(&self, request: v1::ExplainRequest) -> Result<v1::ExplainResponse, Error> {
        let doing = match request.edge_id.as_str() {
            "" => "explain the request".to_owned(),
            id => format!("explain the request at edge {id}"),
        };
        self.call(&doing, Repeat::WhenNotDone, request, |request| {
            let mut stub = self.edges.clone();
            async move { stub.explain(request).await }
        })
        .await
    }

    /// All edges in order of id, page by page.
    #[must_use]
    pub fn edges(&self) -> Edges<'_> {
        Edges::new(self)
    }
}

fn channel(endpoint: &str, options: &Options) -> Result<Endpoint, Error> {
    let wrong = |why: String| {
        Error::new(ErrorKind::Settings, format!("use endpoint {endpoint:?}: {why}"))
            .with_hint("write http://host:port or https://host:port")
    };
    let uri: Uri = endpoint.parse().map_err(|e| wrong(format!("{e}")))?;
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(wrong("it must begin with http:// or https://".into())),
    };
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(wrong("it must not have a path".into()));
    }
    let mut channel = Endpoint::from(uri)
        .connect_timeout(options.connect_timeout)
        .user_agent(options.user_agent.as_str())
        .map_err(|e| wrong(format!("the user agent is not a header value: {e}")))?;
    if tls {
        let config = match &options.ca_certificate {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        channel = channel
            .tls_config(config)
            .map_err(|e| wrong(format!("the certificates to trust cannot be read: {e}")))?;
    }
    Ok(channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn endpoints_are_checked_before_the_first_call() {
        for endpoint in ["http://127.0.0.1:7070", "http://[::1]:7070/", "https://cdn.example.com"] {
            assert!(Client::connect(endpoint, Options::default()).is_ok(), "{endpoint}");
        }
        for endpoint in
            ["127.0.0.1:7070", "localhost", "", "ftp://x", "http://x/path", "http://x?y", "http://"]
        {
            let error = Client::connect(endpoint, Options::default()).expect_err(endpoint);
            assert!(error.kind() == ErrorKind::Settings && error.hint().is_some(), "{error}");
        }
    }
}
