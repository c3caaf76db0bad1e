//! The admin port: `/livez`, `/readyz` and `/metrics`, on its own address and away from viewers.

mod figures;

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use crate::{
    geo::Locations,
    origin::breaker::Breakers,
    sync::{Serving, View},
};

/// Connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// For a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// For a whole connection: probes and scrapers come back with a new one.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
/// After an accept failed, for instance because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the admin port tells about.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) view: View,
    pub(crate) serving: Serving,
    /// Where viewers are.
    pub(crate) locations: Arc<Locations>,
    /// Which origins are down.
    pub(crate) breakers: Arc<Breakers>,
    /// There was to be a disk cache, and it could not be opened.
    pub(crate) disk_is_missing: bool,
    pub(crate) draining: Arc<AtomicBool>,
    pub(crate) started: Instant,
}

impl Observed {
    /// Why viewers should not be sent here now, if so. Whether a control plane can be reached plays no part.
    fn unready(&self) -> Option<&'static str> {
        if self.draining.load(Relaxed) {
            Some("draining\n")
        } else if !self.view.state.borrow().is_serving() {
            Some("waiting for a first configuration\n")
        } else {
            None
        }
    }
}

/// Serves until the task is dropped.
///
/// # Errors
/// Never after the listener was taken over.
pub(crate) fn start(
    listener: std::net::TcpListener,
    observed: Observed,
) -> io::Result<impl Future<Output = ()> + use<>> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let observed = Arc::new(observed);
    let mut registry = Registry::with_prefix("headland_edge_agent");
    registry.register_collector(Box::new(figures::Figures(Arc::clone(&observed))));
    Ok(accept(listener, Arc::new(Admin { observed, registry })))
}

struct Admin {
    observed: Arc<Observed>,
    registry: Registry,
}

async fn accept(listener: TcpListener, admin: Arc<Admin>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => _ = tokio::spawn(connection(stream, Arc::clone(&admin), slot)),
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection on the admin port");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, admin: Arc<Admin>, _slot: OwnedSemaphorePermit) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = admin.answer(request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(response) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let served = timeout(CONNECTION_TIMEOUT, server.serve_connection(TokioIo::new(stream), service)).await;
    if let Ok(Err(error)) = served {
        tracing::debug!(%error, "an admin connection ended early");
    }
}

impl Admin {
    /// The only place that chooses status codes of the admin port.
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/livez" => text(StatusCode::OK, "live\n"),
            "/readyz" => match self.observed.unready() {
                None => text(StatusCode::OK, "ready\n"),
                Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
            },
            "/metrics" => self.metrics(),
            _ => text(StatusCode::NOT_FOUND, "there is /livez, /readyz and /metrics\n"),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let mut body = String::new();
        if encode(&mut body, &self.registry).is_err() {
            return text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be encoded\n");
        }
        let mut response = Response::new(Full::from(body));
        let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(openmetrics));
        response
    }
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
