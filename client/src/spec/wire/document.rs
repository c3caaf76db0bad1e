//! What the system knows, from the wire. Never goes back, so a value without a word here shows as unknown.

use headland_proto::v1::{self, distribution_status::State, edge};

use super::{NotRepresentable, optional};
use crate::spec::{
    CacheFigures, DistributionDocument, DistributionState, DistributionStatus, DocumentKind, EdgeDocument,
    Liveness, OriginProblem, Refusal, TrafficFigures,
};

impl TryFrom<&v1::Distribution> for DistributionDocument {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::Distribution) -> Result<Self, NotRepresentable> {
        Ok(Self {
            kind: Some(DocumentKind::Distribution),
            id: wire.id.clone(),
            domain_name: wire.domain_name.clone(),
            etag: wire.etag.clone(),
            revision: wire.revision,
            create_time: time(wire.create_time.as_ref()),
            update_time: time(wire.update_time.as_ref()),
            status: wire.status.as_ref().map(Into::into).unwrap_or_default(),
            config: optional("config", wire.config.as_ref())?
                .ok_or_else(|| NotRepresentable::new("config", "(none)"))?,
        })
    }
}

/// The document of everything else: of which kind, and whether it comes with the program.
macro_rules! document {
    ($Wire:ident, $Spec:ident, $managed:expr) => {
        impl TryFrom<&v1::$Wire> for $crate::spec::PolicyDocument<$Spec> {
            type Error = super::NotRepresentable;

            fn try_from(wire: &v1::$Wire) -> Result<Self, super::NotRepresentable> {
                let managed: fn(&v1::$Wire) -> Option<bool> = $managed;
                Ok(Self {
                    kind: Some(<$Spec as $crate::spec::Spec>::KIND),
                    id: wire.id.clone(),
                    etag: wire.etag.clone(),
                    revision: wire.revision,
                    create_time: super::document::time(wire.create_time.as_ref()),
                    update_time: super::document::time(wire.update_time.as_ref()),
                    managed: managed(wire),
                    config: super::optional("config", wire.config.as_ref())?
                        .ok_or_else(|| super::NotRepresentable::new("config", "(none)"))?,
                })
            }
        }
    };
}
pub(super) use document;

impl From<&v1::DistributionStatus> for DistributionStatus {
    fn from(wire: &v1::DistributionStatus) -> Self {
        Self {
            state: match wire.state() {
                State::Unspecified => DistributionState::Unknown,
                State::InProgress => DistributionState::InProgress,
                State::Deployed => DistributionState::Deployed,
            },
            live_edges: wire.live_edges,
            applied_edges: wire.applied_edges,
            refusals: wire
                .refusals
                .iter()
                .map(|r| Refusal {
                    edge_id: r.edge_id.clone(),
                    revision: r.revision,
                    reason: r.reason.clone(),
                })
                .collect(),
            origin_problems: wire
                .origin_problems
                .iter()
                .map(|p| OriginProblem {
                    edge_id: p.edge_id.clone(),
                    origin_id: p.origin_id.clone(),
                    reason: p.reason.clone(),
                })
                .collect(),
        }
    }
}

impl From<&v1::Edge> for EdgeDocument {
    fn from(wire: &v1::Edge) -> Self {
        let cache = wire.cache.unwrap_or_default();
        let traffic = wire.traffic.unwrap_or_default();
        Self {
            id: wire.id.clone(),
            location: wire.location.clone(),
            viewer_url: wire.viewer_url.clone(),
            agent_version: wire.agent_version.clone(),
            liveness: match wire.liveness() {
                edge::Liveness::Unspecified => Liveness::Unknown,
                edge::Liveness::Live => Liveness::Live,
                edge::Liveness::Late => Liveness::Late,
                edge::Liveness::Gone => Liveness::Gone,
            },
            applied_revision: wire.applied_revision,
            connect_time: time(wire.connect_time.as_ref()),
            report_time: time(wire.report_time.as_ref()),
            uptime_seconds: wire.uptime.map_or(0, |u| u64::try_from(u.seconds).unwrap_or_default()),
            distributions: wire.distributions,
            refusals: wire.refusals,
            cache: CacheFigures {
                objects: cache.objects,
                bytes: cache.bytes,
                capacity_bytes: cache.capacity_bytes,
            },
            traffic: TrafficFigures {
                requests: traffic.requests,
                hits: traffic.hits,
                misses: traffic.misses,
                origin_fetches: traffic.origin_fetches,
                origin_errors: traffic.origin_errors,
                viewer_bytes_sent: traffic.viewer_bytes_sent,
                evictions: traffic.evictions,
                expirations: traffic.expirations,
            },
        }
    }
}

pub(super) fn time(wire: Option<&prost_types::Timestamp>) -> String {
    wire.map(ToString::to_string).unwrap_or_default()
}
