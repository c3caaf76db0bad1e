//! A store that can be told to fail in the ways real ones do.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use headland_control_plane::store::{
    Change, Committed, Entry, Listing, Precondition, SharedStore, Store, StoreError, Write,
};
use headland_proto::revision::Revision;

/// The store behind it, with faults that can be switched on and off.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: SharedStore,
    /// Nothing answers.
    pub(crate) down: AtomicBool,
    /// Commits are applied, but their answers are lost.
    pub(crate) answers_lost: AtomicBool,
    /// New watches bring nothing.
    pub(crate) watches_silent: AtomicBool,
}

impl FaultyStore {
    pub(crate) fn new(inner: SharedStore) -> Arc<Self> {
        Arc::new(Self {
            inner,
            down: AtomicBool::new(false),
            answers_lost: AtomicBool::new(false),
            watches_silent: AtomicBool::new(false),
        })
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { reason: "switched off".into() });
        }
        Ok(())
    }
}

impl Store for FaultyStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        async move {
            self.check()?;
            self.inner.get(key).await
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Listing, StoreError>> {
        async move {
            self.check()?;
            self.inner.list(prefix, after, limit).await
        }
        .boxed()
    }

    fn commit(
        &self,
        preconditions: Vec<Precondition>,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Committed, StoreError>> {
        async move {
            self.check()?;
            let committed = self.inner.commit(preconditions, writes).await?;
            if self.answers_lost.load(Ordering::SeqCst) {
                return Err(StoreError::OutcomeUnknown { reason: "the answer was lost".into() });
            }
            Ok(committed)
        }
        .boxed()
    }

    fn watch<'a>(
        &'a self,
        prefix: &'a str,
        from: Revision,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Change, StoreError>>, StoreError>> {
        async move {
            self.check()?;
            if self.watches_silent.load(Ordering::SeqCst) {
                return Ok(stream::pending().boxed());
            }
            self.inner.watch(prefix, from).await
        }
        .boxed()
    }
}
