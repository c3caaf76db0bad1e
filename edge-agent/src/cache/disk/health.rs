//! Health: whether the disk takes what is written, why not, and when it is tried again.

use std::{io, time::Duration};

use parking_lot::Mutex;
use rustix::io::Errno;

use crate::clock::Timestamp;

/// After the first failure.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// After many.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// What is wrong with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No space, or no quota, is left.
    Full,
    /// The file system takes no changes.
    ReadOnly,
    /// The directory, or its medium, is not there.
    Missing,
    /// A file may not become that large (RLIMIT_FSIZE, or the file system).
    FileTooLarge,
    /// Any other error.
    Io,
}

impl Trouble {
    pub(super) fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::Full,
            Some(Errno::ROFS | Errno::ACCESS | Errno::PERM) => Self::ReadOnly,
            Some(Errno::NOENT | Errno::NODEV | Errno::NXIO | Errno::NOTDIR) => Self::Missing,
            Some(Errno::FBIG) => Self::FileTooLarge,
            _ => Self::Io,
        }
    }
}

/// Whether what is written is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All is well.
    Healthy,
    /// What is written is dropped until the disk is tried again; what can be read is.
    Degraded(Trouble),
}

/// The state, and the time of the next try.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Option<Failing>>);

#[derive(Debug, Clone, Copy)]
struct Failing {
    trouble: Trouble,
    retry_at: Timestamp,
    pause: Duration,
}

impl Health {
    pub(super) fn state(&self) -> State {
        self.0.lock().map_or(State::Healthy, |failing| State::Degraded(failing.trouble))
    }

    /// Whether to write now.
    pub(super) fn may_try(&self, now: Timestamp) -> bool {
        self.0.lock().is_none_or(|failing| failing.retry_at <= now)
    }

    /// Tells whether this is news.
    pub(super) fn failed(&self, trouble: Trouble, now: Timestamp) -> bool {
        let mut state = self.0.lock();
        let before = *state;
        let pause = before.map_or(RETRY_FIRST, |failing| (failing.pause * 2).min(RETRY_MAX));
        *state = Some(Failing { trouble, retry_at: now.after(pause), pause });
        before.is_none_or(|failing| failing.trouble != trouble)
    }

    /// Tells whether this is news.
    pub(super) fn worked(&self) -> bool {
        self.0.lock().take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_end_with_success() {
        let health = Health::default();
        let mut now = Timestamp::from_unix_seconds(1000);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            health.failed(Trouble::Full, now);
            assert!(!health.may_try(now.after(Duration::from_millis(seconds * 1000 - 1))));
            now = now.after(Duration::from_secs(seconds));
            assert!(health.may_try(now));
        }
        assert_eq!(health.state(), State::Degraded(Trouble::Full));
        assert!(health.worked() && !health.worked());
        assert!(health.failed(Trouble::Io, now) && !health.failed(Trouble::Io, now));
        assert!(health.may_try(now.after(Duration::from_secs(2))), "it starts again at a second");
    }

    #[test]
    fn errors_are_named() {
        let of = |errno: Errno| Trouble::of(&errno.into());
        assert_eq!(of(Errno::NOSPC), Trouble::Full);
        assert_eq!(of(Errno::ROFS), Trouble::ReadOnly);
        assert_eq!(of(Errno::NOENT), Trouble::Missing);
        assert_eq!(of(Errno::FBIG), Trouble::FileTooLarge);
        assert_eq!(of(Errno::IO), Trouble::Io);
        assert_eq!(Trouble::of(&io::ErrorKind::WriteZero.into()), Trouble::Io);
    }
}
