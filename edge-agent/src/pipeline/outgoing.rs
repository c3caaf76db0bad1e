//! What is sent to an origin for a request.

use http::{HeaderValue, Method, Request};

use super::{
    Worker,
    errand::Errand,
    websocket::{self, WebSocketWanted},
};
use crate::{
    cache::key,
    origin::{
        http::{How, Outgoing},
        request::{self as origin_request, Purpose},
    },
    viewer::{
        accept_encoding,
        max_forwards::{self, MaxForwards},
        who::Viewer,
    },
};

impl Worker {
    /// The request to the origin.
    pub(super) fn outgoing<B>(
        &self,
        errand: &Errand,
        purpose: Purpose,
        request: &Request<B>,
        viewer: Viewer,
    ) -> Outgoing {
        let rules = &errand.behavior.rules;
        let cookies = key::forwarded_cookies(request.headers(), rules);
        let scheme = viewer.scheme;
        let viewer = origin_request::Viewer {
            method: request.method(),
            version: request.version(),
            address: viewer.address.ip(),
            headers: request.headers(),
            codings: accept_encoding::of(rules.cache_policy.codings, request),
        };
        let mut headers = origin_request::headers(purpose, rules, viewer, cookies.as_deref(), &self.identity);
        if let MaxForwards::Forward(forwards) = max_forwards::decide(request.method(), request.headers()) {
            max_forwards::set(forwards, &mut headers);
        }
        let how = if request.extensions().get::<WebSocketWanted>().is_some() {
            websocket::ask(request.headers(), &mut headers);
            How::WebSocket
        } else if origin_request::is_grpc(rules, request.method(), request.version(), request.headers()) {
            How::Http2
        } else {
            How::Usual
        };
        Outgoing {
            method: match purpose {
                Purpose::Fill if request.method() == Method::HEAD => Method::GET,
                _ => request.method().clone(),
            },
            path: errand.path.clone(),
            query: errand.query.clone(),
            headers,
            host: origin_request::forwards_host(rules, &errand.behavior.origin)
                .then(|| HeaderValue::from_str(&errand.viewer_host).ok())
                .flatten(),
            body: None,
            expects_continue: false,
            viewer_scheme: scheme,
            how,
            shield: (purpose == Purpose::Fill).then(|| self.shield(errand, request)).flatten(),
        }
    }

    /// How this edge names itself in Via.
    pub(super) fn via(&self, version: http::Version) -> String {
        [origin_request::version_text(version), " ", &self.identity.pseudonym].concat()
    }
}
