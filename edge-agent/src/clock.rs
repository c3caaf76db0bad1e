//! The clock: the one place where this program learns what time it is, so that a test can hold it by hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};

/// A moment, in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Later than anything.
    pub const NEVER: Self = Self(u64::MAX);

    /// A moment given in whole seconds since 1970.
    #[must_use]
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// A moment given in milliseconds since 1970.
    #[must_use]
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment and a while; [`Timestamp::NEVER`] if that is too far.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This moment less a while; 1970 if that is too far.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl From<SystemTime> for Timestamp {
    /// Moments before 1970 become 1970.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Where the time comes from. Cheap to clone; clones agree.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    /// The wall clock at the start, carried on by the monotonic clock: it never jumps, so neither do ages.
    System {
        started: Timestamp,
        origin: Duration,
    },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System { started: SystemTime::now().into(), origin: monotonic() })
    }

    /// A clock that stands at `start` until it is told to go on.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(start.0))))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { started, origin } => started.after(monotonic().saturating_sub(*origin)),
            Source::Manual(millis) => Timestamp(millis.load(Ordering::Acquire)),
        }
    }

    /// Moves a manual clock, and all its clones, forward. Does nothing to the machine's.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(millis) = &self.0 {
            millis.store(self.now().after(by).0, Ordering::Release);
        }
    }
}

/// The monotonic clock as of the kernel's last tick, some milliseconds ago at most: no rule asks for more, and it is read with every
/// request.
fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_clock_agrees_with_it_and_goes_on() {
        let clock = Clock::system();
        let start = clock.now();
        let real = Timestamp::from(SystemTime::now());
        assert!(real.since(start) < Duration::from_secs(10) && start.since(real) < Duration::from_secs(1));
        while clock.now() == start {
            std::thread::yield_now();
        }
        assert!(clock.now() > start);
    }

    #[test]
    fn a_manual_clock_stands_still_until_moved() {
        let clock = Clock::manual(Timestamp::from_unix_seconds(100));
        let seen_by_another = clock.clone();
        assert_eq!(clock.now().unix_seconds(), 100);
        clock.advance(Duration::from_secs(5));
        assert_eq!(seen_by_another.now().unix_seconds(), 105);
        assert_eq!(clock.now().since(Timestamp::from_unix_seconds(200)), Duration::ZERO);
        assert_eq!(clock.now().after(Duration::MAX), Timestamp::NEVER);
    }
}
