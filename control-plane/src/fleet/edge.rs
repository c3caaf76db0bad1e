//! One edge: what it said, when, and whether it is there.

use std::time::{Duration, SystemTime};

use headland_proto::{revision::Revision, v1};
use tokio::time::Instant;

use super::{
    greeting::Greeting,
    liveness::{Liveness, Signs},
};

/// Refusals, and origin problems, of one report that are kept.
const FINDINGS_MAX: usize = 1000;
/// Characters kept of an edge's reason.
const REASON_CHARS_MAX: usize = 1024;

/// One moment on both clocks: the one for people, and the one for measuring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// For people.
    pub(crate) wall: SystemTime,
    /// For measuring.
    pub(crate) monotonic: Instant,
}

impl Moment {
    /// Now.
    #[must_use]
    pub(crate) fn now() -> Self {
        Self { wall: SystemTime::now(), monotonic: Instant::now() }
    }
}

/// One edge as of its last message.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    /// What it said when it connected.
    pub(crate) greeting: Greeting,
    /// When it connected.
    pub(crate) connected_at: Moment,
    /// When its stream ended; `None` while it lasts.
    pub(crate) disconnected_at: Option<Instant>,
    /// When it last reported on this stream.
    pub(crate) reported_at: Option<Moment>,
    /// Its last report on this stream, cut to [`FINDINGS_MAX`] and [`REASON_CHARS_MAX`].
    pub(crate) report: v1::Report,
    /// What it has applied of this cluster.
    pub(crate) applied: Revision,
    /// Whether it serves.
    pub(crate) serving: bool,
    /// Distributions it is known to lack although it has applied their revision: refused by an earlier run, not yet
    /// reported on by this one.
    pub(crate) unsettled: Vec<String>,
}

impl Edge {
    /// An edge that has just connected. Until its first report, its greeting says what it serves.
    #[must_use]
    pub(crate) fn connected(greeting: Greeting, cluster_id: &str, now: Moment) -> Self {
        let applied = greeting.applied_of(cluster_id);
        Self {
            connected_at: now,
            disconnected_at: None,
            reported_at: None,
            report: v1::Report::default(),
            applied: applied.unwrap_or_default(),
            serving: greeting.applied.is_some(),
            unsettled: greeting.resend.iter().map(ToString::to_string).collect(),
            greeting,
        }
    }

    /// Whether other edges can ask it: it is connected, takes questions, and is not about to leave.
    #[must_use]
    pub(crate) fn is_peer(&self) -> bool {
        self.disconnected_at.is_none() && !self.greeting.peer_url.is_empty() && !self.report.leaving
    }

    /// Takes in a report.
    pub(crate) fn report(&mut self, mut report: v1::Report, cluster_id: &str, now: Moment) {
        report.refusals.truncate(FINDINGS_MAX);
        report.origin_problems.truncate(FINDINGS_MAX);
        // Who sent it is known; what it says about that is not.
        let edge_id = self.greeting.edge_id.to_string();
        for refusal in &mut report.refusals {
            refusal.edge_id.clone_from(&edge_id);
            cut(&mut refusal.reason);
        }
        for problem in &mut report.origin_problems {
            problem.edge_id.clone_from(&edge_id);
            cut(&mut problem.reason);
        }
        let ours = report.cluster_id == cluster_id;
        self.applied = Revision(if ours { report.applied_revision } else { 0 });
        self.serving = report.serving;
        self.unsettled.clear();
        self.reported_at = Some(now);
        self.report = report;
    }

    /// Whether it is there.
    #[must_use]
    pub(crate) fn liveness(&self, report_interval: Duration, now: Instant) -> Liveness {
        let heard = self.reported_at.unwrap_or(self.connected_at);
        Signs {
            connected: self.disconnected_at.is_none(),
            leaving: self.report.leaving,
            silence: now.saturating_duration_since(heard.monotonic),
        }
        .liveness(report_interval)
    }
}

fn cut(reason: &mut String) {
    if let Some((end, _)) = reason.char_indices().nth(REASON_CHARS_MAX) {
        reason.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "4b1c5b0e-0d5b-4c59-9f0e-0a4f5a0d6a02";

    fn edge() -> Edge {
        let greeting = Greeting::try_from(v1::Hello {
            edge_id: "4b1c5b0e-0d5b-4c59-9f0e-0a4f5a0d6a01".into(),
            cluster_id: CLUSTER.into(),
            applied_revision: 7,
            resend_distribution_ids: vec!["EABCDEFGHIJKLM".into()],
            ..Default::default()
        });
        Edge::connected(greeting.unwrap(), CLUSTER, Moment::now())
    }

    #[test]
    fn until_its_first_report_an_edge_is_as_its_greeting_says() {
        let edge = edge();
        assert_eq!((edge.applied, edge.serving), (Revision(7), true));
        assert_eq!(edge.unsettled, ["EABCDEFGHIJKLM"]);
        let foreign = Edge::connected(edge.greeting, "another", Moment::now());
        assert_eq!((foreign.applied, foreign.serving), (Revision(0), true));
    }

    #[test]
    fn a_report_replaces_what_was_known() {
        let mut edge = edge();
        let report = v1::Report {
            applied_revision: 9,
            cluster_id: CLUSTER.into(),
            serving: true,
            refusals: vec![
                v1::Refusal {
                    edge_id: "forged".into(),
                    reason: "ä".repeat(2000),
                    ..Default::default()
                };
                1001
            ],
            ..Default::default()
        };
        edge.report(report, CLUSTER, Moment::now());
        assert_eq!((edge.applied, edge.serving), (Revision(9), true));
        assert!(edge.unsettled.is_empty());
        assert_eq!(edge.report.refusals.len(), FINDINGS_MAX);
        assert_eq!(edge.report.refusals[0].reason.chars().count(), REASON_CHARS_MAX);
        assert_eq!(edge.report.refusals[0].edge_id, edge.greeting.edge_id.to_string());
    }

    #[test]
    fn what_it_applied_of_another_cluster_does_not_count() {
        let mut edge = edge();
        let report = v1::Report { applied_revision: 9, serving: true, ..Default::default() };
        edge.report(report, CLUSTER, Moment::now());
        assert_eq!(edge.applied, Revision(0));
    }
}
