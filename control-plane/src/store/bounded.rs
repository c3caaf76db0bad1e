//! A store that answers in bounded time, whatever the backend does, and remembers when it last answered.

use std::{future::Future, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture, stream::BoxStream};
use headland_proto::revision::Revision;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::{Change, Committed, Entry, Listing, Precondition, SharedStore, Store, StoreError, Write};

/// Longest wait for a read or a commit. Below the API's own deadline, so that a caller learns what happened.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a listing of everything, which may be many calls of the backend.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);

/// The store behind it, with every call bounded by [`CALL_TIMEOUT`] or [`LIST_TIMEOUT`].
#[derive(Debug)]
pub(crate) struct BoundedStore {
    inner: SharedStore,
    call_timeout: Duration,
    list_timeout: Duration,
    last_answer: Mutex<Option<Instant>>,
}

impl BoundedStore {
    /// Bounds the calls of a store.
    #[must_use]
    pub(crate) fn new(inner: SharedStore) -> Arc<Self> {
        Arc::new(Self {
            inner,
            call_timeout: CALL_TIMEOUT,
            list_timeout: LIST_TIMEOUT,
            last_answer: Mutex::new(None),
        })
    }

    /// When the store last answered a read or a commit. A commit it refused is an answer.
    #[must_use]
    pub(crate) fn last_answer(&self) -> Option<Instant> {
        *self.last_answer.lock()
    }

    async fn bounded<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, StoreError>>,
        late: impl FnOnce(String) -> StoreError,
    ) -> Result<T, StoreError> {
        let answer = timeout(limit, call)
            .await
            .unwrap_or_else(|_| Err(late(format!("no answer within {} s", limit.as_secs()))));
        if answer.is_ok() {
            *self.last_answer.lock() = Some(Instant::now());
        }
        answer
    }
}

fn unavailable(reason: String) -> StoreError {
    StoreError::Unavailable { reason }
}

impl Store for BoundedStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        self.bounded(self.call_timeout, self.inner.get(key), unavailable).boxed()
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Listing, StoreError>> {
        let time = if limit.is_some() { self.call_timeout } else { self.list_timeout };
        self.bounded(time, self.inner.list(prefix, after, limit), unavailable).boxed()
    }

    fn commit(
        &self,
        preconditions: Vec<Precondition>,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Committed, StoreError>> {
        let commit = self.inner.commit(preconditions, writes);
        self.bounded(self.call_timeout, commit, |reason| StoreError::OutcomeUnknown { reason }).boxed()
    }

    fn watch<'a>(
        &'a self,
        prefix: &'a str,
        from: Revision,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Change, StoreError>>, StoreError>> {
        self.bounded(self.call_timeout, self.inner.watch(prefix, from), unavailable).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that never answers.
    #[derive(Debug)]
    struct Silent;

    impl Store for Silent {
        fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
            futures::future::pending().boxed()
        }
        fn list<'a>(
            &'a self,
            _: &'a str,
            _: Option<&'a str>,
            _: Option<usize>,
        ) -> BoxFuture<'a, Result<Listing, StoreError>> {
            futures::future::pending().boxed()
        }
        fn commit(
            &self,
            _: Vec<Precondition>,
            _: Vec<Write>,
        ) -> BoxFuture<'_, Result<Committed, StoreError>> {
            futures::future::pending().boxed()
        }
        fn watch<'a>(
            &'a self,
            _: &'a str,
            _: Revision,
        ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Change, StoreError>>, StoreError>> {
            futures::future::pending().boxed()
        }
    }

    #[tokio::test]
    async fn a_silent_store_is_given_up_on() {
        let limit = Duration::from_millis(20);
        let store = BoundedStore {
            inner: Arc::new(Silent),
            call_timeout: limit,
            list_timeout: limit,
            last_answer: Mutex::new(None),
        };
        assert!(matches!(store.get("k").await, Err(StoreError::Unavailable { .. })));
        assert!(matches!(store.list("k", None, Some(1)).await, Err(StoreError::Unavailable { .. })));
        assert!(matches!(store.watch("k", Revision(1)).await, Err(StoreError::Unavailable { .. })));
        let commit = store.commit(Vec::new(), Vec::new()).await;
        assert!(matches!(commit, Err(StoreError::OutcomeUnknown { .. })), "it may have been applied");
        assert_eq!(store.last_answer(), None);
    }
}
