//! Origin Shield: what this edge does not have it asks of an edge at the shield's location, which alone asks the origin (CloudFront guide,
//! "Use Amazon CloudFront Origin Shield"). An edge that was asked so never asks a third.

use std::time::Instant;

use http::{HeaderName, HeaderValue, Request};

use super::{Errand, Worker, errand::Way, failover::Fetched};
use crate::{
    origin::http::{Outgoing, Shield, name_of},
    peers::{self, FromPeer},
    routing::compile::Behavior,
    viewer::who::HEADLAND_VIEWER_SCHEME,
};

/// Says to the edge that has asked that it has to see for itself.
pub(super) const HEADLAND_REFUSED: HeaderName = HeaderName::from_static("headland-refused");

impl Worker {
    /// Where a fill goes first, if that is not the origin.
    pub(super) fn shield<B>(&self, errand: &Errand, request: &Request<B>) -> Option<Box<Shield>> {
        let location = errand.behavior.origin.shield.as_ref()?;
        let Way::Cache(slot) = &errand.way else { return None };
        if location == self.peers.location() || request.extensions().get::<FromPeer>().is_some() {
            return None;
        }
        let host = HeaderValue::from_str(&errand.viewer_host).ok()?;
        let (location, hash) = (location.clone(), peers::hash(&slot.key));
        Some(Box::new(Shield { location, hash, host }))
    }

    /// What the shield answers. `None` if no edge there can be asked: the origin is then asked from here.
    pub(super) async fn fetch_from_shield(
        &self,
        shield: &Shield,
        behavior: &Behavior,
        outgoing: &mut Outgoing,
    ) -> Option<Fetched> {
        let host = outgoing.host.replace(shield.host.clone());
        let scheme = HeaderValue::from_static(outgoing.viewer_scheme.as_str());
        outgoing.headers.insert(HEADLAND_VIEWER_SCHEME, scheme);
        let mut answer = None;
        for peer in self.peers.to_ask(&shield.location, shield.hash, Instant::now()) {
            let origin = peer.in_place_of(&behavior.origin);
            if self.breakers.is_bad(&name_of(&origin), self.clock.now()) {
                continue;
            }
            let _asked = peer.ask();
            let fetched = self.fetch_and_note(&origin, outgoing).await;
            if fetched.as_ref().is_ok_and(|(response, _)| !response.headers().contains_key(&HEADLAND_REFUSED))
            {
                answer = Some(fetched);
                break;
            }
        }
        outgoing.host = host;
        outgoing.headers.remove(HEADLAND_VIEWER_SCHEME);
        match answer.is_some() {
            true => self.metrics.shield_answers.add(1),
            false => self.metrics.shield_failures.add(1),
        }
        answer
    }
}
