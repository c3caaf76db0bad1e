//! The embedded store: one redb file on the control plane's own disk, the default for a single control plane.
//!
//! One thread writes: it takes whatever commits have queued up, applies them in one transaction with one fsync and then
//! answers them all. The recent history is kept in memory for watches; it begins anew when the file is opened.

mod file;
mod history;
mod tables;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use futures::{FutureExt, future::BoxFuture, stream::BoxStream};
use headland_proto::revision::Revision;
use redb::Database;
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};

use self::{
    history::Watches,
    writer::{COMMIT_QUEUE_MAX, Request, Writer},
};
use super::{Change, Committed, Entry, Listing, Precondition, Store, StoreError, Write, check::check_commit};

/// A store in one file. Only one process can have the file open.
pub struct EmbeddedStore {
    path: PathBuf,
    database: Arc<Database>,
    watches: Watches,
    /// `None` only while the store is being dropped.
    commits: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
}

impl EmbeddedStore {
    /// Opens the file, or creates it if there is none (its folder must exist). Reads and checks the whole file, so it
    /// blocks for a moment; after a crash it also repairs it.
    ///
    /// # Errors
    ///
    /// `Failed` if the file is held by another process, is damaged, is not a store of Headland's, or cannot be read
    /// and written. An empty file counts as damaged: it once held something, or somebody else made it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Arc::new(file::open_or_create(path)?);
        let revision = tables::revision(&database).map_err(|error| file::unusable(path, &error))?;
        let (recorder, watches) = history::begin_at(revision);
        let (commits, requests) = mpsc::channel(COMMIT_QUEUE_MAX);
        let writer = Writer::new(path.to_owned(), Arc::clone(&database), recorder);
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(requests))
            .map_err(|error| StoreError::Failed { reason: format!("start the writer thread: {error}") })?;
        tracing::info!(path = %path.display(), %revision, "opened the embedded store");
        Ok(Self { path: path.to_owned(), database, watches, commits: Some(commits), writer: Some(writer) })
    }

    /// Runs a read where blocking is allowed.
    async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Database) -> Result<T, redb::Error> + Send + 'static,
    {
        let database = Arc::clone(&self.database);
        match spawn_blocking(move || read(&database)).await {
            Ok(result) => result.map_err(|error| file::unusable(&self.path, &error)),
            Err(panicked) if panicked.is_panic() => {
                Err(StoreError::Failed { reason: format!("{} could not be read", self.path.display()) })
            }
            Err(_) => Err(StoreError::Unavailable { reason: "the process is shutting down".to_owned() }),
        }
    }

    async fn send_commit(
        &self,
        preconditions: Vec<Precondition>,
        writes: Vec<Write>,
    ) -> Result<Committed, StoreError> {
        check_commit(&preconditions, &writes)?;
        let writer_ended = || StoreError::Failed {
            reason: format!(
                "{} accepts no more commits after an earlier disk error; restart the control plane once the disk is in order",
                self.path.display()
            ),
        };
        let (answer, answered) = oneshot::channel();
        let commits = self.commits.as_ref().ok_or_else(writer_ended)?;
        commits.send(Request { preconditions, writes, answer }).await.map_err(|_| writer_ended())?;
        match answered.await {
            Ok(result) => result,
            Err(_) => Err(StoreError::OutcomeUnknown {
                reason: format!("the writer of {} ended before it answered", self.path.display()),
            }),
        }
    }
}

impl Drop for EmbeddedStore {
    /// Waits for the commits under way, so that the file can be opened again as soon as the store is gone.
    fn drop(&mut self) {
        self.commits = None;
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!(path = %self.path.display(), "the writer of the embedded store had panicked");
        }
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store for EmbeddedStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        let key = key.to_owned();
        self.read(move |database| tables::get(database, &key)).boxed()
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Listing, StoreError>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.read(move |database| tables::list(database, &prefix, after.as_deref(), limit)).boxed()
    }

    fn commit(
        &self,
        preconditions: Vec<Precondition>,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Committed, StoreError>> {
        self.send_commit(preconditions, writes).boxed()
    }

    fn watch<'a>(
        &'a self,
        prefix: &'a str,
        from: Revision,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Change, StoreError>>, StoreError>> {
        let watch = self.watches.watch(prefix.to_owned(), from);
        async move { watch }.boxed()
    }
}
