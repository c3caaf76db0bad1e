//! The admin listener: `/livez`, `/readyz` and `/metrics` over plain HTTP, for whoever runs this program.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{accept::accept, readiness::Readiness};
use crate::{
    fleet::{Fleet, Liveness},
    metrics::{LivenessLabels, Metrics},
};

/// Connections at once.
const CONNECTIONS_MAX: usize = 64;
/// Longest wait for the head of a request, and so for the next request on a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// What OpenMetrics text calls itself.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the answers are made from.
#[derive(Debug, Clone)]
pub(super) struct Admin {
    pub(super) readiness: Readiness,
    pub(super) fleet: Arc<Fleet>,
    pub(super) metrics: Arc<Metrics>,
}

impl Admin {
    /// Answers until shut down. Requests are small: those under way are not waited for.
    pub(super) async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let connections = accept(listener, CONNECTIONS_MAX).take_until(shutdown.clone().cancelled_owned());
        tokio::pin!(connections);
        while let Some(accepted) = connections.next().await {
            let Ok(stream) = accepted;
            let admin = self.clone();
            let shutdown = shutdown.clone();
            let service = service_fn(move |request| {
                let response = admin.answer(&request);
                async { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move {
                tokio::select! {
                    // A peer that breaks off is its own business.
                    _ = connection => {}
                    () = shutdown.cancelled() => {}
                }
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
        }
        match request.uri().path() {
            "/livez" if self.readiness.is_alive() => text(StatusCode::OK, "alive\n"),
            "/livez" => text(StatusCode::SERVICE_UNAVAILABLE, "the store is no longer followed\n"),
            "/readyz" => match self.readiness.unready(Instant::now()) {
                None => text(StatusCode::OK, "ready\n"),
                Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{reason}\n")),
            },
            "/metrics" => self.metrics_page(),
            _ => text(StatusCode::NOT_FOUND, "try /livez, /readyz or /metrics\n"),
        }
    }

    fn metrics_page(&self) -> Response<Full<Bytes>> {
        for (liveness, edges) in self.fleet.count(Instant::now()) {
            let liveness = match liveness {
                Liveness::Live => "live",
                Liveness::Late => "late",
                Liveness::Gone => "gone",
            };
            let gauge = self.metrics.edges.get_or_create(&LivenessLabels { liveness });
            gauge.set(i64::try_from(edges).unwrap_or(i64::MAX));
        }
        match self.metrics.encode() {
            Ok(page) => respond(StatusCode::OK, OPENMETRICS, page.into()),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n"),
        }
    }
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", Bytes::copy_from_slice(body.as_bytes()))
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
