//! Passing: a request and its response that are this viewer's alone.

use std::rc::Rc;

use http::{Method, Response, StatusCode, header};
use hyper::body::Incoming;

use super::{Asking, Errand, Worker};
use crate::{
    cache::{
        freshness::Timing,
        storability::{self, RequestFacts, ResponseFacts},
    },
    origin::{http::UnderWay, request::Purpose},
    viewer::{body::ViewerBody, error_page::Failure, response},
};

impl Worker {
    /// Asks the origin for this viewer only. `watched` is the key under which the response was not storable last time: should it
    /// be now, the next request may fill again.
    pub(super) async fn pass(
        self: &Rc<Self>,
        errand: &Errand,
        asking: Asking,
        watched: Option<&[u8]>,
    ) -> Result<Response<ViewerBody>, Failure> {
        let mut outgoing = self.outgoing(errand, Purpose::Pass, &asking.request, asking.address);
        let (parts, body) = asking.request.into_parts();
        if !http_body::Body::is_end_stream(&body) {
            outgoing.body = Some(body);
        }
        let asked = self.clock.now();
        self.metrics.origin_fetches.add(1);
        let fetched = self.origins.fetch(&errand.behavior.origin, outgoing).await;
        let (response, under_way) = fetched.inspect_err(|_| self.metrics.origin_errors.add(1))?;
        if let Some(key) = watched
            && parts.method == Method::GET
        {
            let facts = ResponseFacts::of(&response, Timing { request: asked, response: self.clock.now() });
            let authorization = parts.headers.contains_key(header::AUTHORIZATION);
            let request = RequestFacts { headers: &parts.headers, authorization };
            match storability::decide(&errand.behavior.rules.cache_policy, request, facts) {
                Ok(_) => self.cache.uncacheable.forget(key),
                Err(reason) if reason.is_lasting() => self.cache.uncacheable.remember(key, asked),
                Err(_) => {}
            }
        }
        let alone = Alone { response, under_way };
        Ok(self.alone(errand, alone, &parts.method, asking.id, asking.busy))
    }

    /// A response that goes to one viewer as it comes.
    pub(super) fn alone(
        &self,
        errand: &Errand,
        alone: Alone,
        method: &Method,
        id: http::HeaderValue,
        busy: crate::viewer::connection::Busy,
    ) -> Response<ViewerBody> {
        let (parts, incoming) = alone.response.into_parts();
        let policy = &errand.behavior.rules.cache_policy;
        let mut headers = response::headers_from_origin(&parts.headers, policy, &self.via(parts.version));
        response::mark(&mut headers, false, id);
        if parts.status == StatusCode::NO_CONTENT {
            headers.remove(header::CONTENT_LENGTH);
        }
        let no_body = method == Method::HEAD
            || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || http_body::Body::is_end_stream(&incoming);
        let body = if no_body {
            ViewerBody::empty()
        } else {
            let silence_max = errand.behavior.origin.response_timeout;
            ViewerBody::passing(incoming, silence_max, alone.under_way, busy, self.metrics.clone())
        };
        response::build(parts.status, headers, body)
    }
}

/// A response that is one viewer's alone.
pub(super) struct Alone {
    pub(super) response: Response<Incoming>,
    pub(super) under_way: UnderWay,
}
