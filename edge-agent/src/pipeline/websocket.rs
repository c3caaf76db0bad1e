//! WebSockets: a GET that asks for one goes to the origin as such, and when that agrees, viewer and origin have a tunnel (RFC 6455; RFC
//! 9110 section 7.8).
//!
//! CloudFront has them on in every behavior, and so has this edge. Nothing but a WebSocket is tunnelled, and nothing before the origin
//! has said 101: bytes that a viewer sends early wait.

use std::{cell::Cell, rc::Rc};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{Errand, Worker, pass::Alone};
use crate::{
    metrics::WorkerMetrics,
    origin::Fault,
    viewer::{
        body::ViewerBody,
        cache_status::{Forward, Handling},
        connection::Busy,
        error_page::Failure,
        response,
    },
};

/// Tunnels that one worker may have open. A request for one more is refused.
const TUNNELS_MAX: usize = 4096;
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
/// Says from where a page asks, by which servers tell their own pages from others: it always reaches the origin.
const ORIGIN: HeaderName = header::ORIGIN;

/// Marks a request for a WebSocket, whose Upgrade field has been taken away as all that is meant for the next hop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebSocketWanted;

/// Whether a request asks for a WebSocket (RFC 6455 section 4.1). One that is not in order asks for nothing: it is a request like any
/// other.
pub(super) fn is_wanted<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let once = |name| {
        let mut values = headers.get_all(name).iter();
        values.next().is_some() && values.next().is_none()
    };
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has_token(headers, &header::CONNECTION, "upgrade")
        && once(header::UPGRADE)
        && has_token(headers, &header::UPGRADE, "websocket")
        && once(header::SEC_WEBSOCKET_KEY)
        && once(header::SEC_WEBSOCKET_VERSION)
        && !headers.contains_key(header::CONTENT_LENGTH)
        && !headers.contains_key(header::TRANSFER_ENCODING)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|element| element.trim().eq_ignore_ascii_case(token))
}

fn is_of_websockets(name: &HeaderName) -> bool {
    name.as_str().starts_with("sec-websocket-")
}

/// Makes the request to an origin one for a WebSocket.
pub(super) fn ask(viewer: &HeaderMap, outgoing: &mut HeaderMap) {
    for name in viewer.keys().filter(|name| is_of_websockets(name) || **name == ORIGIN) {
        outgoing.remove(name);
        viewer.get_all(name).iter().for_each(|value| _ = outgoing.append(name.clone(), value.clone()));
    }
    outgoing.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    outgoing.insert(header::UPGRADE, WEBSOCKET);
}

/// The tunnels of one worker.
#[derive(Debug, Default)]
pub(super) struct Tunnels(Rc<Cell<usize>>);

/// Counts a tunnel as open until it is dropped.
pub(crate) struct Open {
    tunnels: Rc<Cell<usize>>,
    metrics: std::sync::Arc<WorkerMetrics>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.tunnels.set(self.tunnels.get() - 1);
        self.metrics.tunnels_closed.add(1);
    }
}

impl Tunnels {
    /// Takes one of the places there are.
    pub(super) fn open(&self, metrics: &std::sync::Arc<WorkerMetrics>) -> Result<Open, Fault> {
        if self.0.get() >= TUNNELS_MAX {
            return Err(Fault::Overloaded);
        }
        self.0.set(self.0.get() + 1);
        metrics.tunnels_opened.add(1);
        Ok(Open { tunnels: Rc::clone(&self.0), metrics: std::sync::Arc::clone(metrics) })
    }
}

/// The origin's end of a tunnel, for whoever has the viewer's.
pub(crate) struct Tunnel {
    pub(crate) origin: TokioIo<Upgraded>,
    pub(crate) open: Open,
    /// The viewer waits for us, and not we for it.
    pub(crate) busy: Busy,
}

impl Worker {
    /// Switches to the tunnel that an origin has agreed to.
    pub(super) async fn switch(
        &self,
        errand: &Errand,
        mut alone: Alone,
        id: HeaderValue,
        busy: Busy,
    ) -> Result<Response<ViewerBody>, Failure> {
        let open = self.tunnels.open(&self.metrics)?;
        let upgrade = hyper::upgrade::on(&mut alone.response);
        let upgraded = timeout(errand.behavior.origin.response_timeout, upgrade).await;
        let origin = match upgraded {
            Ok(Ok(upgraded)) => TokioIo::new(upgraded),
            Ok(Err(error)) => return Err(Fault::Response(error.to_string()).into()),
            Err(_) => return Err(Fault::ResponseTimeout.into()),
        };
        // From here on it is no fetch that is under way.
        drop(alone.under_way);
        let (parts, _) = alone.response.into_parts();
        let rules = &errand.behavior.rules;
        let (cookies, via) = (rules.forwards_cookies(), self.via(parts.version));
        let mut headers = response::headers_from_origin(
            parts.headers,
            &rules.cache_policy,
            cookies,
            &via,
            self.clock.now(),
        );
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, WEBSOCKET);
        let fwd_status = Some(StatusCode::SWITCHING_PROTOCOLS);
        let handling = Handling { fwd_status, ..Handling::forwarded(Forward::Bypass) };
        self.marks(handling, id).put(&mut headers);
        let connection = busy.connection();
        connection.tunnel_to(Tunnel { origin, open, busy });
        Ok(response::build(StatusCode::SWITCHING_PROTOCOLS, headers, ViewerBody::empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_in_order_asks_for_a_websocket() {
        let check = |method: Method, version, change: &[(&'static str, &str)], expected| {
            let mut request = Request::new(());
            (*request.method_mut(), *request.version_mut()) = (method, version);
            let usual = [
                ("connection", "keep-alive, Upgrade"),
                ("upgrade", "WebSocket"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("sec-websocket-version", "13"),
            ];
            for (name, value) in usual.iter().chain(change) {
                let (name, value) =
                    (HeaderName::from_static(name), HeaderValue::from_str(value).expect("value"));
                match value.is_empty() {
                    true => _ = request.headers_mut().remove(name),
                    false => _ = request.headers_mut().append(name, value),
                }
            }
            assert_eq!(is_wanted(&request), expected, "{request:?}");
        };
        check(Method::GET, Version::HTTP_11, &[], true);
        check(Method::POST, Version::HTTP_11, &[], false);
        check(Method::GET, Version::HTTP_10, &[], false);
        check(Method::GET, Version::HTTP_2, &[], false);
        check(Method::GET, Version::HTTP_11, &[("upgrade", "h2c")], false);
        check(Method::GET, Version::HTTP_11, &[("upgrade", ""), ("upgrade", "h2c")], false);
        check(Method::GET, Version::HTTP_11, &[("connection", "")], false);
        check(Method::GET, Version::HTTP_11, &[("sec-websocket-key", "again")], false);
        check(Method::GET, Version::HTTP_11, &[("sec-websocket-version", "")], false);
        check(Method::GET, Version::HTTP_11, &[("content-length", "1")], false);
        check(Method::GET, Version::HTTP_11, &[("transfer-encoding", "chunked")], false);
    }
}
