//! The report: everything this edge has to say about itself, in full each time.

use std::{sync::Arc, time::Instant};

use headland_proto::{limits::RESEND_MAX, v1};

use super::state::State;
use crate::{cache::Cache, metrics::Metrics, origin_problems::OriginProblems};

/// Encoded size of one list in a message of ours, so that the message stays below its limit.
const LIST_BYTES_MAX: usize = 1 << 20;

/// Who this edge says it is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) edge_id: String,
    pub(crate) location: String,
    pub(crate) viewer_url: String,
    /// Empty if other edges cannot ask this one.
    pub(crate) peer_url: String,
}

/// Where the figures of a report come from.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) identity: Identity,
    pub(crate) cache: Arc<Cache>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) origin_problems: Arc<OriginProblems>,
    pub(crate) started: Instant,
}

impl Sources {
    /// The first message of a stream.
    pub(crate) fn hello(&self, state: &State) -> v1::EdgeMessage {
        let resend = state.refused().filter(|(_, refused)| refused.resend).map(|(id, _)| id.to_owned());
        message(v1::edge_message::Message::Hello(v1::Hello {
            edge_id: self.identity.edge_id.clone(),
            location: self.identity.location.clone(),
            viewer_url: self.identity.viewer_url.clone(),
            peer_url: self.identity.peer_url.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster_id: state.cluster_id().to_owned(),
            applied_revision: state.applied().0,
            resend_distribution_ids: resend.take(RESEND_MAX).collect(),
        }))
    }

    /// The report as of now.
    pub(crate) fn report(&self, state: &State, leaving: bool) -> v1::EdgeMessage {
        let edge_id = &self.identity.edge_id;
        let refusals = state.refused().map(|(id, refused)| v1::Refusal {
            edge_id: edge_id.clone(),
            distribution_id: id.to_owned(),
            revision: refused.revision.0,
            reason: refused.reason.clone(),
        });
        let problems = self.origin_problems.list().into_iter().map(|problem| v1::OriginProblem {
            edge_id: edge_id.clone(),
            distribution_id: problem.distribution_id,
            origin_id: problem.origin_id,
            reason: problem.reason,
        });
        message(v1::edge_message::Message::Report(v1::Report {
            applied_revision: state.applied().0,
            cluster_id: state.cluster_id().to_owned(),
            serving: state.is_serving(),
            cache: Some(self.cache.figures()),
            traffic: Some(self.metrics.traffic()),
            uptime: prost_types::Duration::try_from(self.started.elapsed()).ok(),
            distributions: u32::try_from(state.len()).unwrap_or(u32::MAX),
            refusals: within_bytes(refusals),
            origin_problems: within_bytes(problems),
            leaving,
        }))
    }
}

fn message(message: v1::edge_message::Message) -> v1::EdgeMessage {
    v1::EdgeMessage { message: Some(message) }
}

/// As many entries as may go up in one message.
fn within_bytes<M: prost::Message>(entries: impl Iterator<Item = M>) -> Vec<M> {
    let mut bytes = 0;
    entries
        .take_while(|entry| {
            bytes += entry.encoded_len();
            bytes <= LIST_BYTES_MAX
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use headland_proto::{id::DistributionId, limits::GRPC_MESSAGE_BYTES_MAX};
    use prost::Message as _;
    use uuid::Uuid;

    use super::*;

    fn sources() -> Sources {
        let identity = Identity {
            edge_id: "e".into(),
            location: "fra1".into(),
            viewer_url: "http://e:8080".into(),
            peer_url: String::new(),
        };
        let limits = crate::cache::Limits {
            memory_bytes: 1 << 20,
            object_bytes_max: 1 << 10,
            background_fill_percent: 50,
        };
        let metrics = Arc::new(Metrics::default());
        let cache = Arc::new(Cache::new(limits, None, metrics.shared()));
        let origin_problems = Arc::default();
        Sources { identity, cache, metrics, origin_problems, started: Instant::now() }
    }

    /// At revision 7; one more refused than asked for, since it does not compile.
    fn loaded(refused: usize) -> State {
        let random = std::iter::repeat_with(|| DistributionId::from_random(Uuid::new_v4()).to_string());
        State::from_record(v1::LastGood {
            cluster_id: "c".into(),
            revision: 7,
            distributions: vec![v1::DesiredDistribution {
                id: "EAAAAAAAAAAAAA".into(),
                ..Default::default()
            }],
            refused_distribution_ids: random.take(refused).collect(),
            resources: Vec::new(),
        })
    }

    #[test]
    fn hello_names_what_is_held_and_what_is_to_be_sent_again() {
        let Some(v1::edge_message::Message::Hello(hello)) = sources().hello(&loaded(1)).message else {
            panic!("not a hello");
        };
        assert_eq!((hello.cluster_id.as_str(), hello.applied_revision), ("c", 7));
        assert_eq!(hello.resend_distribution_ids.len(), 2);
        assert!(hello.resend_distribution_ids.contains(&"EAAAAAAAAAAAAA".to_owned()));
        assert_eq!((hello.edge_id.as_str(), hello.location.as_str()), ("e", "fra1"));
    }

    #[test]
    fn messages_tell_everything_and_never_outgrow_their_limit() {
        let sources = sources();
        assert!(sources.hello(&loaded(100_000)).encoded_len() < GRPC_MESSAGE_BYTES_MAX);
        sources.origin_problems.set("A", "o", "connect: refused");
        let report = sources.report(&loaded(100_000), false);
        assert!(report.encoded_len() < GRPC_MESSAGE_BYTES_MAX);
        let Some(v1::edge_message::Message::Report(report)) = report.message else { panic!("not a report") };
        assert!(report.serving && !report.leaving && report.applied_revision == 7);
        assert_eq!(report.origin_problems[0].edge_id, "e");
        assert!(report.refusals.len() > 5000 && report.refusals.len() < 100_000);
    }
}
