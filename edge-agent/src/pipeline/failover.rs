//! Origin groups: an origin that cannot answer hands a request on to the next (CloudFront guide, "Optimize high availability with CloudFront
//! origin failover").

use std::sync::Arc;

use headland_proto::model::{Origin, OriginKind};
use http::{Method, Response};

use super::Worker;
use crate::{
    origin::{
        Fault,
        http::{Outgoing, UnderWay, name_of},
        response::ResponseBody,
    },
    routing::compile::{Behavior, Group},
};

/// What an origin answered, or why it did not.
pub(super) type Fetched = Result<(Response<ResponseBody>, UnderWay), Fault>;

impl Worker {
    /// Sends a request to a behavior's origin, or to one origin after the other of its group; before them to the shield, if there is one.
    ///
    /// # Errors
    /// What kept the only origin, or the last of the group, from answering.
    pub(super) async fn fetch_from(&self, behavior: &Behavior, outgoing: &mut Outgoing) -> Fetched {
        if let Some(shield) = outgoing.shield.take() {
            let answered = Box::pin(self.fetch_from_shield(&shield, behavior, outgoing)).await;
            outgoing.shield = Some(shield);
            if let Some(fetched) = answered {
                return fetched;
            }
        }
        match &behavior.group {
            None => self.origins.fetch(&behavior.origin, outgoing).await,
            // Boxed, because it is large, and not what most fetches come to.
            Some(group) => Box::pin(self.fetch_from_group(behavior, group, outgoing)).await,
        }
    }

    async fn fetch_from_group(&self, behavior: &Behavior, group: &Group, outgoing: &mut Outgoing) -> Fetched {
        if !may_fail_over(outgoing) {
            return self.origins.fetch(&behavior.origin, outgoing).await;
        }
        let now = self.clock.now();
        let all: Vec<&Arc<Origin>> = behavior.origins().collect();
        // One that is known to be down is passed over, unless all are.
        let is_up = |origin: &&Arc<Origin>| !self.breakers.is_bad_or_unwell(&name_of(origin), now);
        let up: Vec<&Arc<Origin>> = all.iter().copied().filter(is_up).collect();
        let host = outgoing.host.clone();
        let mut last: Option<Fetched> = None;
        for origin in if up.is_empty() { all } else { up } {
            if last.as_ref().is_some_and(|fetched| !group.goes_on_after(fetched)) {
                break;
            }
            if last.is_some() {
                // The first is counted where the fetch begins.
                self.metrics.origin_fetches.add(1);
            }
            // A bucket answers to its own name only.
            let to_bucket = matches!(origin.kind, OriginKind::S3(_));
            outgoing.host.clone_from(if to_bucket { &None } else { &host });
            last = Some(self.fetch_and_note(origin, outgoing).await);
        }
        outgoing.host = host;
        // There is always one to ask.
        last.unwrap_or(Err(Fault::Overloaded))
    }

    /// Asks one server of several, and tells its breaker how that went.
    pub(super) async fn fetch_and_note(&self, origin: &Origin, outgoing: &mut Outgoing) -> Fetched {
        let (breaker, asked) = (self.breakers.of(&name_of(origin)), self.clock.now());
        // Held, if it is one, until it is known how the server is.
        let _probe = breaker.outlook(asked);
        let fetched = self.origins.fetch(origin, outgoing).await;
        match &fetched {
            Ok(_) => breaker.answered(self.clock.now()),
            Err(fault) => breaker.failed(fault, asked, self.clock.now()),
        }
        fetched
    }
}

impl Group {
    /// Whether the next origin is asked after this.
    fn goes_on_after(&self, fetched: &Fetched) -> bool {
        fetched.as_ref().map_or(true, |(response, _)| self.failover_codes.contains(&response.status()))
    }
}

/// Only what changes nothing, and can be sent again (CloudFront: GET, HEAD and OPTIONS).
fn may_fail_over(outgoing: &Outgoing) -> bool {
    matches!(outgoing.method, Method::GET | Method::HEAD | Method::OPTIONS) && outgoing.body.is_none()
}
