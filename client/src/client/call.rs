//! One call: its deadline, and whether and when it is repeated.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::Client;
use crate::error::{Error, is_transient, was_not_done};

/// Tries of one call, the first included.
const ATTEMPTS_MAX: u32 = 4;
/// Longest pause before the first repetition; doubles with each.
const BACKOFF: Duration = Duration::from_millis(50);

/// When a call that failed may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Doing it twice is the same as doing it once: whenever it may help.
    WhenTransient,
    /// Only if the first certainly changed nothing.
    WhenNotDone,
}

impl Repeat {
    fn allows(self, status: &Status) -> bool {
        match self {
            Self::WhenTransient => is_transient(status),
            Self::WhenNotDone => was_not_done(status),
        }
    }
}

impl Client {
    /// Makes a call within the client's deadline. `doing` is a fragment that fits after "failed to".
    pub(super) async fn call<Q, A, F>(
        &self,
        doing: &str,
        repeat: Repeat,
        message: Q,
        send: impl Fn(Request<Q>) -> F,
    ) -> Result<A, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let deadline = Instant::now() + self.call_timeout;
        let mut attempt = 1;
        loop {
            let mut request = Request::new(message.clone());
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
            let status = match send(request).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            let pause = backoff(attempt, random_unit());
            if attempt == ATTEMPTS_MAX || !repeat.allows(&status) || Instant::now() + pause >= deadline {
                return Err(Error::from_status(doing, &self.endpoint, &status));
            }
            sleep(pause).await;
            attempt += 1;
        }
    }
}

/// Full jitter: anywhere between nothing and a bound that doubles. `random` is in 0..1.
fn backoff(attempt: u32, random: f64) -> Duration {
    (BACKOFF * 2u32.saturating_pow(attempt - 1)).mul_f64(random)
}

fn random_unit() -> f64 {
    f64::from((Uuid::new_v4().as_u128() & 0xffff_ffff) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tonic::ConnectError;

    use super::*;

    #[test]
    fn only_what_is_safe_is_repeated() {
        let mut unsent = Status::unavailable("refused");
        unsent.set_source(Arc::new(ConnectError("refused".into())));
        let sent = Status::unavailable("store is away");
        let refused = Status::aborted("stale");
        for (status, transient, not_sent) in
            [(&unsent, true, true), (&sent, true, false), (&refused, false, false)]
        {
            assert_eq!(Repeat::WhenTransient.allows(status), transient, "{status}");
            assert_eq!(Repeat::WhenNotDone.allows(status), not_sent, "{status}");
        }
    }

    #[test]
    fn pauses_grow_and_stay_below_their_bound() {
        assert_eq!(backoff(1, 1.0), BACKOFF);
        assert_eq!(backoff(3, 1.0), BACKOFF * 4);
        assert_eq!(backoff(3, 0.0), Duration::ZERO);
        assert!((0.0..=1.0).contains(&random_unit()));
    }
}
