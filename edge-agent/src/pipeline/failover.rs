//! Origin groups: an origin that cannot answer hands a request on to the next (CloudFront guide, "Optimize high availability with CloudFront
//! origin failover").

use headland_proto::model::{Origin, OriginKind};
use http::{Method, Response};

use super::Worker;
use crate::{
    origin::{
        Fault,
        breaker::Outlook,
        http::{Outgoing, UnderWay, name_of},
        response::ResponseBody,
    },
    routing::compile::{Behavior, Group},
};

/// What an origin answered, or why it did not.
type Fetched = Result<(Response<ResponseBody>, UnderWay), Fault>;

impl Worker {
    /// Sends a request to a behavior's origin, or to one origin after the other of its group.
    ///
    /// # Errors
    /// What kept the only origin, or the last of the group, from answering.
    pub(super) async fn fetch_from(&self, behavior: &Behavior, outgoing: &mut Outgoing) -> Fetched {
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
        let members: Vec<&Origin> =
            [&behavior.origin].into_iter().chain(&group.others).map(AsRef::as_ref).collect();
        let now = self.clock.now();
        let is_down = |origin: &&Origin| self.breakers.is_bad(&name_of(origin), now);
        // One that is known to be down is passed over, unless all are.
        let passes_over = !members.iter().all(is_down);
        let host = outgoing.host.clone();
        let mut last: Fetched = Err(Fault::Overloaded);
        for (i, origin) in members.iter().enumerate() {
            let breaker = self.breakers.of(&name_of(origin));
            let asked = self.clock.now();
            let _probe = match breaker.outlook(asked) {
                Outlook::Good => None,
                Outlook::Probe(probe) => Some(probe),
                Outlook::Bad if passes_over => continue,
                Outlook::Bad => None,
            };
            if i > 0 {
                self.metrics.origin_fetches.add(1);
            }
            // A bucket answers to its own name only.
            let to_bucket = matches!(origin.kind, OriginKind::S3(_));
            outgoing.host.clone_from(if to_bucket { &None } else { &host });
            last = self.origins.fetch(origin, outgoing).await;
            match &last {
                Ok((response, _)) => {
                    breaker.answered(self.clock.now());
                    if !group.failover_codes.contains(&response.status()) {
                        break;
                    }
                    tracing::debug!(origin = origin.id, status = %response.status(), "going on to the next origin of a group");
                }
                Err(fault) => {
                    breaker.failed(fault, asked, self.clock.now());
                    tracing::debug!(origin = origin.id, %fault, "going on to the next origin of a group");
                }
            }
        }
        outgoing.host = host;
        last
    }
}

/// Only what changes nothing, and can be sent again (CloudFront: GET, HEAD and OPTIONS).
fn may_fail_over(outgoing: &Outgoing) -> bool {
    matches!(outgoing.method, Method::GET | Method::HEAD | Method::OPTIONS) && outgoing.body.is_none()
}
