//! Dialling: a connection to an origin's server, in clear or with TLS.

use std::{error::Error, io, time::Duration};

use headland_proto::model::Origin;
use http::{Uri, uri::Scheme};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::Service as _;

use super::{
    Fault,
    tls::{self, Offer, OriginTlsConfigs},
};
use crate::error_chain::ErrorChain;

/// A new connection.
pub(super) enum Dialled {
    /// In clear.
    Clear(TcpStream),
    /// With TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Dialled {
    /// Whether the origin chose HTTP/2.
    pub(super) fn chose_http2(&self) -> bool {
        match self {
            Self::Clear(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

/// Makes TCP connections that are given up after this long.
pub(super) fn connector(timeout: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(timeout));
    tcp
}

/// Connects to a scheme and authority, within the origin's connection timeout: name, TCP and TLS together.
///
/// # Errors
/// What kept it from being made.
pub(super) async fn dial(
    tcp: HttpConnector,
    configs: &OriginTlsConfigs,
    server: &str,
    origin: &Origin,
    offer: Offer,
) -> Result<Dialled, Fault> {
    let dialling = Box::pin(dial_patiently(tcp, configs, server, origin, offer));
    timeout(origin.connection_timeout, dialling).await.unwrap_or(Err(Fault::ConnectTimeout))
}

async fn dial_patiently(
    mut tcp: HttpConnector,
    configs: &OriginTlsConfigs,
    server: &str,
    origin: &Origin,
    offer: Offer,
) -> Result<Dialled, Fault> {
    let uri = server.parse::<Uri>().map_err(|error| Fault::Request(error.to_string()))?;
    let tls = match uri.scheme() == Some(&Scheme::HTTPS) {
        false => None,
        true => {
            let way = origin.tls.as_ref();
            let name = tls::server_name(way.map(AsRef::as_ref), uri.host().unwrap_or_default());
            Some((name.map_err(Fault::Tls)?, configs.config(way, offer).map_err(Fault::Tls)?))
        }
    };
    let connected = tcp.call(uri).await.map_err(|error| {
        let reason = ErrorChain(&error).to_string();
        if reason.contains("timed out") { Fault::ConnectTimeout } else { Fault::Connect(reason) }
    })?;
    let stream = connected.into_inner();
    let Some((name, config)) = tls else { return Ok(Dialled::Clear(stream)) };
    match TlsConnector::from(config).connect(name, stream).await {
        Ok(stream) => Ok(Dialled::Tls(Box::new(stream))),
        Err(error) => {
            Err(tls_fault(&error).unwrap_or_else(|| Fault::Connect(ErrorChain(&error).to_string())))
        }
    }
}

/// The fault that a TLS error at the bottom of this one means.
pub(super) fn tls_fault(error: &(dyn Error + 'static)) -> Option<Fault> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inner = inner.map(|inner| inner as &(dyn Error + 'static));
        if let Some(tls) = inner.unwrap_or(error).downcast_ref::<rustls::Error>() {
            return Some(Fault::Tls(tls.to_string()));
        }
        next = error.source();
    }
    None
}
