//! Whether an edge is live, late or gone: pure.

use std::time::Duration;

/// Report intervals after which a silent edge is late.
const LATE_AFTER_INTERVALS: u32 = 2;
/// Report intervals after which a silent edge no longer counts.
const GONE_AFTER_INTERVALS: u32 = 6;

/// How an edge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Liveness {
    /// Connected, and reporting on time.
    Live,
    /// A report is overdue.
    Late,
    /// Disconnected, leaving, or silent for so long that it no longer counts.
    Gone,
}

/// What is known of an edge at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signs {
    /// Whether it has a stream.
    pub(crate) connected: bool,
    /// Whether it said that it is about to stop.
    pub(crate) leaving: bool,
    /// Time since its last report, or since it connected if it has not reported yet.
    pub(crate) silence: Duration,
}

impl Signs {
    /// What the signs mean when reports are due at this interval.
    #[must_use]
    pub(crate) fn liveness(self, report_interval: Duration) -> Liveness {
        if !self.connected || self.leaving || self.silence > report_interval * GONE_AFTER_INTERVALS {
            Liveness::Gone
        } else if self.silence > report_interval * LATE_AFTER_INTERVALS {
            Liveness::Late
        } else {
            Liveness::Live
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(connected: bool, leaving: bool, silence_millis: u64, expected: Liveness) {
        let signs = Signs { connected, leaving, silence: Duration::from_millis(silence_millis) };
        assert_eq!(signs.liveness(Duration::from_secs(5)), expected, "{signs:?}");
    }

    #[test]
    fn silence_makes_an_edge_late_and_then_gone() {
        check(true, false, 0, Liveness::Live);
        check(true, false, 10_000, Liveness::Live);
        check(true, false, 10_001, Liveness::Late);
        check(true, false, 30_000, Liveness::Late);
        check(true, false, 30_001, Liveness::Gone);
    }

    #[test]
    fn without_a_stream_or_on_its_way_out_it_is_gone_at_once() {
        check(false, false, 0, Liveness::Gone);
        check(true, true, 0, Liveness::Gone);
    }
}
