//! Waiting until every live edge serves a distribution's current revision.

use std::time::Duration;

use headland_proto::v1::{self, distribution_status::State};
use tokio::time::{Instant, sleep, timeout_at};

use super::Client;
use crate::error::{Error, ErrorKind};

/// How long and for what to wait.
#[derive(Debug, Clone, Copy)]
pub struct WaitOptions {
    /// Longest time to wait. Default 5 minutes.
    pub timeout: Duration,
    /// The least revision that counts: what an update returned. Default 0, whichever is current.
    pub revision_min: u64,
    /// Whether it is enough that no edge is live. Default false: nobody serves then.
    pub empty_fleet_counts: bool,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(300), revision_min: 0, empty_fleet_counts: false }
    }
}

impl Client {
    /// Waits until every live edge has applied the distribution's current revision, and returns it as it is then.
    /// `progress` sees every state that was observed on the way, the last included.
    ///
    /// # Errors
    /// [`ErrorKind::WaitTimeout`] when that did not happen in time; when there is no such distribution, or there no longer is;
    /// failures of the first call. Later the control plane may be away for a while.
    pub async fn wait_deployed(
        &self,
        id: &str,
        options: WaitOptions,
        mut progress: impl FnMut(&v1::Distribution),
    ) -> Result<v1::Distribution, Error> {
        let start = Instant::now();
        let deadline = start + options.timeout;
        let mut last: Option<v1::Distribution> = None;
        loop {
            match timeout_at(deadline, self.get_distribution(id)).await {
                Err(_) => break,
                Ok(Ok(seen)) => {
                    progress(&seen);
                    if is_deployed(&seen, options) {
                        return Ok(seen);
                    }
                    last = Some(seen);
                }
                Ok(Err(error)) if last.is_none() || !may_pass(&error) => return Err(error),
                Ok(Err(_)) => {}
            }
            let pause = pause(start.elapsed());
            if Instant::now() + pause >= deadline {
                break;
            }
            sleep(pause).await;
        }
        Err(timed_out(id, options.timeout, last.as_ref()))
    }
}

/// Whether every live edge has applied at least this revision.
fn is_deployed(distribution: &v1::Distribution, options: WaitOptions) -> bool {
    distribution.status.as_ref().is_some_and(|status| {
        let nobody = options.empty_fleet_counts && status.live_edges == 0;
        (status.state() == State::Deployed || nobody) && distribution.revision >= options.revision_min
    })
}

fn may_pass(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Unavailable | ErrorKind::Deadline)
}

/// Deploying takes milliseconds or, when something is wrong, long: ask often at first, then ever more seldom.
fn pause(waited: Duration) -> Duration {
    (waited / 4).clamp(Duration::from_millis(2), Duration::from_secs(2))
}

fn timed_out(id: &str, after: Duration, last: Option<&v1::Distribution>) -> Error {
    let doing = format!("wait for distribution {id} to be deployed");
    let status = last.and_then(|d| d.status.as_ref());
    let error = |why: String| {
        Error::new(ErrorKind::WaitTimeout, format!("{doing}: after {} s {why}", after.as_secs_f64()))
    };
    match status {
        None => error("the control plane still had not answered".into())
            .with_hint("try again, or allow more time: headland distribution wait ID --timeout 10m"),
        Some(status) if status.live_edges == 0 => error("no edge is live".into())
            .with_hint("start an edge agent that knows this control plane, and look at headland edge list"),
        Some(status) => {
            let error = error(format!(
                "{} of {} live edges have applied its current revision, {} refused it",
                status.applied_edges,
                status.live_edges,
                status.refusals.len()
            ));
            if status.refusals.is_empty() {
                error.with_hint("headland edge list says which edges are behind; the wait can be repeated")
            } else {
                error.with_hint("an edge that refused keeps serving the revision before: correct the distribution, or update that edge")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(state: State, revision: u64, (applied, live): (u32, u32)) -> v1::Distribution {
        v1::Distribution {
            revision,
            status: Some(v1::DistributionStatus {
                state: state.into(),
                live_edges: live,
                applied_edges: applied,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn deployed_counts_from_the_revision_waited_for() {
        let options = WaitOptions { revision_min: 7, ..WaitOptions::default() };
        let check = |distribution, deployed| assert_eq!(is_deployed(&distribution, options), deployed);
        check(seen(State::Deployed, 7, (1, 1)), true);
        check(seen(State::Deployed, 6, (1, 1)), false);
        check(seen(State::InProgress, 7, (0, 1)), false);
        check(seen(State::InProgress, 7, (0, 0)), false);
        check(v1::Distribution::default(), false);
    }

    #[test]
    fn an_empty_fleet_counts_only_on_request() {
        let options = WaitOptions { empty_fleet_counts: true, ..WaitOptions::default() };
        assert!(is_deployed(&seen(State::InProgress, 7, (0, 0)), options));
        assert!(!is_deployed(&seen(State::InProgress, 7, (0, 1)), options));
    }

    #[test]
    fn a_time_out_says_what_was_missing() {
        let after = Duration::from_secs(9);
        for (last, part) in [
            (None, "not answered"),
            (Some(seen(State::InProgress, 1, (0, 0))), "no edge is live"),
            (Some(seen(State::InProgress, 1, (2, 3))), "2 of 3 live edges"),
        ] {
            let error = timed_out("E1", after, last.as_ref());
            assert!(error.to_string().contains(part) && error.hint().is_some(), "{error}");
            assert_eq!(error.exit_code(), 6);
        }
    }
}
