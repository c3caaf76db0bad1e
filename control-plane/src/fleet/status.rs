//! How far distributions have come on the fleet: pure.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use headland_proto::{revision::Revision, v1};
use tokio::time::Instant;

use super::{edge::Edge, liveness::Liveness};

/// Refusals, and origin problems, listed for one distribution.
const FINDINGS_LISTED_MAX: usize = 100;

/// The live, serving edges at one moment, arranged so that one distribution's status costs little.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// What each has applied, ascending.
    applied: Vec<Revision>,
    refusals: HashMap<String, Vec<(Revision, v1::Refusal)>>,
    /// By distribution: what the edges have applied that are known to lack it.
    unsettled: HashMap<String, Vec<Revision>>,
    origin_problems: HashMap<String, Vec<v1::OriginProblem>>,
}

impl Observed {
    /// Arranges the edges. Those that are gone, or do not serve yet, do not count; one that is late may still serve.
    pub(crate) fn new<'e>(
        edges: impl IntoIterator<Item = &'e Edge>,
        report_interval: Duration,
        now: Instant,
    ) -> Self {
        let mut observed = Self::default();
        for edge in edges {
            if edge.serving && edge.liveness(report_interval, now) != Liveness::Gone {
                observed.add(edge);
            }
        }
        observed.applied.sort_unstable();
        observed
    }

    fn add(&mut self, edge: &Edge) {
        self.applied.push(edge.applied);
        for id in &edge.unsettled {
            self.unsettled.entry(id.clone()).or_default().push(edge.applied);
        }
        let mut seen = HashSet::new();
        for refusal in &edge.report.refusals {
            // One edge refuses one distribution once.
            if seen.insert(&refusal.distribution_id) {
                let of = self.refusals.entry(refusal.distribution_id.clone()).or_default();
                of.push((edge.applied, refusal.clone()));
            }
        }
        for problem in &edge.report.origin_problems {
            let of = self.origin_problems.entry(problem.distribution_id.clone()).or_default();
            of.push(problem.clone());
        }
    }

    /// How far this revision of this distribution has come: deployed when there is a live edge, and every live edge
    /// has applied it and does not refuse it.
    #[must_use]
    pub(crate) fn status(&self, distribution_id: &str, revision: Revision) -> v1::DistributionStatus {
        let live = self.applied.len();
        let reached = live - self.applied.partition_point(|applied| *applied < revision);
        let refusals = self.refusals.get(distribution_id).map_or(&[][..], Vec::as_slice);
        let refusals: Vec<_> = refusals.iter().filter(|(_, r)| r.revision >= revision.0).collect();
        let refusing = refusals.iter().filter(|(applied, _)| *applied >= revision).count();
        let unsettled = self.unsettled.get(distribution_id).map_or(&[][..], Vec::as_slice);
        let unsettled = unsettled.iter().filter(|applied| **applied >= revision).count();
        let applied = reached.saturating_sub(refusing + unsettled);
        let state = if live > 0 && applied == live {
            v1::distribution_status::State::Deployed
        } else {
            v1::distribution_status::State::InProgress
        };
        let problems = self.origin_problems.get(distribution_id).map_or(&[][..], Vec::as_slice);
        v1::DistributionStatus {
            state: state.into(),
            live_edges: u32::try_from(live).unwrap_or(u32::MAX),
            applied_edges: u32::try_from(applied).unwrap_or(u32::MAX),
            refusals: refusals.into_iter().take(FINDINGS_LISTED_MAX).map(|(_, r)| r.clone()).collect(),
            origin_problems: problems.iter().take(FINDINGS_LISTED_MAX).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Greeting, Moment};

    const CLUSTER: &str = "4b1c5b0e-0d5b-4c59-9f0e-0a4f5a0d6a02";
    const D: &str = "EABCDEFGHIJKLM";
    const INTERVAL: Duration = Duration::from_secs(5);

    /// A connected edge that has reported these (revision applied, refused revision of D).
    fn edge(applied: u64, refused: Option<u64>) -> Edge {
        let mut edge = connected(0, &[]);
        let refusals = refused.map(|revision| v1::Refusal {
            distribution_id: D.into(),
            revision,
            reason: "no".into(),
            ..Default::default()
        });
        let report = v1::Report {
            applied_revision: applied,
            cluster_id: CLUSTER.into(),
            serving: applied > 0,
            refusals: refusals.into_iter().collect(),
            ..Default::default()
        };
        edge.report(report, CLUSTER, Moment::now());
        edge
    }

    fn connected(applied: u64, resend: &[&str]) -> Edge {
        let greeting = Greeting::try_from(v1::Hello {
            edge_id: "4b1c5b0e-0d5b-4c59-9f0e-0a4f5a0d6a01".into(),
            cluster_id: CLUSTER.into(),
            applied_revision: applied,
            resend_distribution_ids: resend.iter().map(ToString::to_string).collect(),
            ..Default::default()
        });
        Edge::connected(greeting.unwrap(), CLUSTER, Moment::now())
    }

    /// (deployed, live, applied, refusals) of revision 10 of D on these edges.
    fn check(edges: &[Edge], expected: (bool, u32, u32, usize)) {
        let observed = Observed::new(edges, INTERVAL, Instant::now());
        let status = observed.status(D, Revision(10));
        let deployed = status.state() == v1::distribution_status::State::Deployed;
        assert_eq!((deployed, status.live_edges, status.applied_edges, status.refusals.len()), expected);
    }

    #[test]
    fn without_a_live_edge_nothing_is_deployed() {
        check(&[], (false, 0, 0, 0));
        let mut gone = edge(10, None);
        gone.disconnected_at = Some(Instant::now());
        check(&[gone], (false, 0, 0, 0));
    }

    #[test]
    fn every_live_edge_must_have_applied_it() {
        check(&[edge(10, None)], (true, 1, 1, 0));
        check(&[edge(10, None), edge(15, None)], (true, 2, 2, 0));
        check(&[edge(10, None), edge(9, None)], (false, 2, 1, 0));
    }

    #[test]
    fn an_edge_that_is_late_still_counts_until_it_is_gone() {
        let deployed_after = |intervals| {
            let edges = [edge(10, None), edge(9, None)];
            let observed = Observed::new(&edges, INTERVAL, Instant::now() + INTERVAL * intervals);
            let status = observed.status(D, Revision(10));
            (status.state() == v1::distribution_status::State::Deployed, status.live_edges)
        };
        assert_eq!(deployed_after(3), (false, 2));
        assert_eq!(deployed_after(7), (false, 0));
    }

    #[test]
    fn an_edge_that_does_not_serve_yet_does_not_count() {
        check(&[edge(10, None), edge(0, None)], (true, 1, 1, 0));
        check(&[edge(0, None)], (false, 0, 0, 0));
    }

    #[test]
    fn a_refusal_of_this_revision_holds_it_up() {
        check(&[edge(10, Some(10)), edge(10, None)], (false, 2, 1, 1));
        check(&[edge(12, Some(10))], (false, 1, 0, 1));
        check(&[edge(10, Some(9))], (true, 1, 1, 0));
        check(&[edge(9, Some(8))], (false, 1, 0, 0));
    }

    #[test]
    fn a_refusal_by_an_earlier_run_counts_until_the_first_report() {
        check(&[connected(10, &[D])], (false, 1, 0, 0));
        check(&[connected(10, &["EBCDEFGHIJKLMN"])], (true, 1, 1, 0));
        check(&[connected(9, &[D]), edge(10, None)], (false, 2, 1, 0));
    }

    #[test]
    fn origin_problems_are_named_but_hold_nothing_up() {
        let mut edge = edge(10, None);
        edge.report.origin_problems =
            vec![v1::OriginProblem { distribution_id: D.into(), ..Default::default() }; 101];
        let observed = Observed::new([&edge], INTERVAL, Instant::now());
        let status = observed.status(D, Revision(10));
        assert_eq!(status.state(), v1::distribution_status::State::Deployed);
        assert_eq!(status.origin_problems.len(), FINDINGS_LISTED_MAX);
        assert!(observed.status("E2", Revision(10)).origin_problems.is_empty());
    }
}
