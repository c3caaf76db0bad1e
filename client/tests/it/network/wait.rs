//! Waiting for the thing itself, with a ceiling that only a fault reaches.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};

/// Far beyond what anything takes on a slow machine.
pub(crate) const CEILING: Duration = Duration::from_secs(60);
/// How often is looked.
const POLL: Duration = Duration::from_millis(20);

/// Looks until there is something to see.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = within(what, look()).await {
            return seen;
        }
        assert!(begin.elapsed() < CEILING, "{what}: not within {CEILING:?}");
        sleep(POLL).await;
    }
}

/// What a future yields, unless it never ends.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(CEILING, future).await.unwrap_or_else(|_| panic!("{what}: not within {CEILING:?}"))
}
