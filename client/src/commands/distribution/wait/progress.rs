//! What to say while waiting: each thing once, when it becomes true.

use std::collections::HashSet;

use headland::v1::{self, distribution_status::State};

/// What has been said already.
#[derive(Debug, Default)]
pub(super) struct Progress {
    last: String,
    said: HashSet<String>,
}

impl Progress {
    /// What is new in what was seen.
    pub(super) fn lines(&mut self, seen: &v1::Distribution) -> Vec<String> {
        let Some(status) = &seen.status else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        let state = summary(seen, status);
        if state != self.last {
            lines.push(state.clone());
            self.last = state;
        }
        let refusals = status.refusals.iter().map(|r| {
            format!(
                "refused: edge {} keeps what it had before revision {}: {}",
                r.edge_id, r.revision, r.reason
            )
        });
        let problems = status
            .origin_problems
            .iter()
            .map(|p| format!("warning: edge {} cannot use origin {}: {}", p.edge_id, p.origin_id, p.reason));
        for line in refusals.chain(problems) {
            if self.said.insert(line.clone()) {
                lines.push(line);
            }
        }
        lines
    }
}

fn summary(seen: &v1::Distribution, status: &v1::DistributionStatus) -> String {
    let (id, revision) = (&seen.id, seen.revision);
    match (status.state(), status.live_edges) {
        (State::Deployed, n) => {
            format!("{id} revision {revision} is deployed: {n} of {n} live edges have applied it")
        }
        (_, 0) => format!("waiting for {id} revision {revision}: no edge is live"),
        (_, n) => format!(
            "waiting for {id} revision {revision}: {} of {n} live edges have applied it",
            status.applied_edges
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(state: State, applied: u32, live: u32, refusals: &[&str]) -> v1::Distribution {
        v1::Distribution {
            id: "E1".into(),
            revision: 7,
            status: Some(v1::DistributionStatus {
                state: state.into(),
                live_edges: live,
                applied_edges: applied,
                refusals: refusals
                    .iter()
                    .map(|reason| v1::Refusal {
                        edge_id: "e".into(),
                        revision: 7,
                        reason: (*reason).into(),
                        ..Default::default()
                    })
                    .collect(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn each_thing_is_said_once() {
        let mut progress = Progress::default();
        let mut check = |seen: &v1::Distribution, lines: &[&str]| assert_eq!(progress.lines(seen), lines);
        let waiting = State::InProgress;
        check(&seen(waiting, 0, 0, &[]), &["waiting for E1 revision 7: no edge is live"]);
        check(&seen(waiting, 0, 0, &[]), &[]);
        check(
            &seen(waiting, 1, 2, &["no"]),
            &[
                "waiting for E1 revision 7: 1 of 2 live edges have applied it",
                "refused: edge e keeps what it had before revision 7: no",
            ],
        );
        check(&seen(waiting, 1, 2, &["no"]), &[]);
        check(
            &seen(State::Deployed, 2, 2, &[]),
            &["E1 revision 7 is deployed: 2 of 2 live edges have applied it"],
        );
    }
}
