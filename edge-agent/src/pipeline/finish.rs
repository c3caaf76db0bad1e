//! Finishing: what a response headers policy does to a response before it goes to its viewer, whatever it came from.

use std::{sync::Arc, time::Instant};

use headland_proto::model::ResponseHeadersPolicy;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header::PRAGMA};

use super::Worker;
use crate::{
    routing::compile::Behavior,
    viewer::{
        body::ViewerBody,
        request,
        response::{X_CACHE, X_HEADLAND_ID},
        response_headers::{self, Occasion},
    },
};

/// What the edge did with a request (W3C Server Timing).
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// What sampling rates are parts of.
const ALL: u32 = 1_000_000;

/// What is needed to finish the answer to a request.
pub(super) struct Finish {
    policy: Arc<ResponseHeadersPolicy>,
    origin: Option<HeaderValue>,
    is_preflight: bool,
    /// When the request came, if the viewer is to be told what became of it.
    timed_since: Option<Instant>,
}

impl Finish {
    /// Whether more is said than can be put to a head that is written already.
    pub(super) fn is_timed(&self) -> bool {
        self.timed_since.is_some()
    }
}

/// Whether this is one of the answers that say Server-Timing.
fn is_timed(policy: &ResponseHeadersPolicy, request: &HeaderMap) -> bool {
    let Some(rate) = policy.server_timing else { return false };
    let asks = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"server-timing");
    request.get_all(PRAGMA).iter().any(asks) || fastrand::u32(..ALL) < rate.0
}

impl Worker {
    /// Prepares to finish the answer to a request, if its behavior has a policy for that.
    pub(super) fn finish<B>(&self, request: &Request<B>) -> Option<Finish> {
        let table = self.routing.current();
        if !table.has_response_headers() {
            return None;
        }
        let target = request::admit(request).ok()?;
        let distribution = table.distribution(&target.host).filter(|distribution| distribution.enabled)?;
        let behavior = distribution.behavior(distribution.object_for(target.path));
        let policy = behavior.rules.response_headers_policy.clone()?;
        let occasion = Occasion::of(request);
        let origin = occasion.origin.and_then(|origin| HeaderValue::from_bytes(origin).ok());
        let is_preflight = occasion.is_preflight;
        let timed_since = is_timed(&policy, request.headers()).then(Instant::now);
        Some(Finish { policy, origin, is_preflight, timed_since })
    }

    /// Finishes an answer.
    pub(super) fn finished(
        &self,
        finish: &Finish,
        mut response: Response<ViewerBody>,
    ) -> Response<ViewerBody> {
        let origin = finish.origin.as_ref().map(HeaderValue::as_bytes);
        let occasion = Occasion { origin, is_preflight: finish.is_preflight };
        if let Some(head) = response.body_mut().written_head() {
            let text = std::mem::take(head);
            head.reserve(text.capacity());
            response_headers::write(&finish.policy, occasion, &text, head);
            return response;
        }
        let headers = response.headers_mut();
        response_headers::apply(&finish.policy, occasion, headers);
        if let Some(since) = finish.timed_since {
            let timing = self.timing(headers, since);
            headers.extend(HeaderValue::from_str(&timing).ok().map(|timing| (SERVER_TIMING, timing)));
        }
        response
    }

    /// The metrics of one answer, under CloudFront's names.
    fn timing(&self, headers: &HeaderMap, since: Instant) -> String {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
        let result = match text(&X_CACHE).split(' ').next() {
            Some("Hit") => "cdn-cache-hit",
            Some("RefreshHit") => "cdn-cache-refresh",
            _ => "cdn-cache-miss",
        };
        let (edge, id) = (&self.identity.pseudonym, text(&X_HEADLAND_ID));
        let layer = if result == "cdn-cache-miss" { "" } else { ",cdn-hit-layer;desc=\"EDGE\"" };
        let ms = since.elapsed().as_secs_f64() * 1000.0;
        format!(
            "{result},cdn-pop;desc=\"{edge}\",cdn-rid;desc=\"{id}\"{layer},cdn-downstream-fbl;dur={ms:.3}"
        )
    }
}

/// Whether an answer from the cache with this policy can be written without a request being made of it: all but what is timed.
pub(super) fn is_written_at_once(behavior: &Behavior) -> bool {
    behavior.rules.response_headers_policy.as_ref().is_none_or(|policy| policy.server_timing.is_none())
}
