//! Waiting for the thing itself, with a ceiling that only a broken program reaches.

use std::{future::Future, time::Duration};

/// Longer than anything here takes on a busy machine.
pub(crate) const CEILING: Duration = Duration::from_secs(60);

/// Waits for a future.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(CEILING, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {CEILING:?} for {what}"),
    }
}
