//! When to try again: full-jitter back-off, so that a fleet does not return all at once.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Upper end of the wait after the first failure.
pub(crate) const BASE: Duration = Duration::from_millis(100);
/// Upper end of any wait.
pub(crate) const CAP: Duration = Duration::from_secs(30);
/// A session that lived this long was a good one: the next failure counts as the first.
pub(crate) const STABLE: Duration = Duration::from_secs(60);

/// The wait before try number `attempt` (from 0): anything between nothing and twice the upper end of the try before, as
/// `random` says, which is uniform over all of `u64`.
pub(crate) fn backoff(attempt: u32, random: u64) -> Duration {
    let ceiling = BASE.saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(CAP);
    // 53 bits: every value is exact as a float and below 1.
    ceiling.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64)
}

/// A random number for [`backoff`].
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// How a session ended, as far as the next one is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The control plane could not be reached, closed the stream or broke the protocol.
    Failed,
    /// This edge has to say Hello again; `progressed` if an update came through before.
    StartOver {
        /// Whether this session got anywhere, so that starting over is not all that happens.
        progressed: bool,
    },
}

/// What happened to the sessions so far.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    failures: u32,
    gaps: u32,
}

impl Retry {
    /// How long to wait after a session that lived for `lived`.
    pub(crate) fn wait(&mut self, ended: Ended, lived: Duration, random: u64) -> Duration {
        if lived >= STABLE {
            *self = Self::default();
        }
        match ended {
            Ended::Failed => {
                self.failures = self.failures.saturating_add(1);
                backoff(self.failures - 1, random)
            }
            Ended::StartOver { progressed } => {
                self.gaps = if progressed { 1 } else { self.gaps.saturating_add(1) };
                match self.gaps {
                    1 => Duration::ZERO,
                    gaps => backoff(gaps - 2, random),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_end_doubles_up_to_the_cap() {
        for (attempt, ceiling_ms) in [(0, 100), (1, 200), (4, 1600), (8, 25_600), (9, 30_000), (31, 30_000)] {
            let longest = backoff(attempt, u64::MAX);
            let ceiling = Duration::from_millis(ceiling_ms);
            assert!(longest <= ceiling && longest > ceiling.mul_f64(0.999), "{attempt}: {longest:?}");
        }
        assert!(backoff(32, u64::MAX) <= CAP && backoff(u32::MAX, u64::MAX) > CAP.mul_f64(0.999));
    }

    #[test]
    fn the_jitter_is_full() {
        assert_eq!(backoff(5, 0), Duration::ZERO);
        let half = backoff(5, u64::MAX / 2);
        assert!(half > Duration::from_millis(1590) && half < Duration::from_millis(1610), "{half:?}");
        let drawn: std::collections::BTreeSet<_> = (0..100).map(|_| random()).collect();
        assert!(drawn.len() > 90);
    }

    #[test]
    fn failures_wait_longer_and_a_stable_session_forgives_them() {
        let short = Duration::from_secs(1);
        let mut retry = Retry::default();
        let waits: Vec<_> = (0..3).map(|_| retry.wait(Ended::Failed, short, u64::MAX).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400]);
        assert!(retry.wait(Ended::Failed, STABLE, u64::MAX) <= BASE);
    }

    #[test]
    fn starting_over_is_immediate_unless_it_is_all_that_happens() {
        let short = Duration::from_secs(1);
        let mut retry = Retry::default();
        let gap = |progressed| Ended::StartOver { progressed };
        assert_eq!(retry.wait(gap(false), short, u64::MAX), Duration::ZERO);
        assert_eq!(retry.wait(gap(true), short, u64::MAX), Duration::ZERO);
        let waits: Vec<_> = (0..3).map(|_| retry.wait(gap(false), short, u64::MAX).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400]);
    }
}
