//! The store in an etcd cluster, for several control planes that share one.
//!
//! A revision is etcd's own. Calls go on while a member is away, and a commit whose answer was lost is resolved where
//! that is safe; see `commit`. What an older etcd is known to do wrong with watches (several faults up to 3.4 and 3.5) is
//! caught here as far as one watch can tell, which is why the snapshot also lists anew from time to time.

mod commit;
mod members;
mod options;
mod trouble;
mod watch;
mod wire;

use std::fmt;

use etcd_client::{GetOptions, GetResponse, ResponseHeader};
use futures::{FutureExt, future::BoxFuture, stream::BoxStream};
use headland_proto::revision::Revision;

pub use self::options::{EtcdOptions, EtcdTls};
use self::{
    members::Members,
    trouble::Trouble,
    wire::{Keys, etcd_revision, revision},
};
use super::{COMMIT_BYTES_MAX, Change, Committed, Entry, Listing, Precondition, Store, StoreError, Write};

/// How many keys are read at once; a longer listing takes several calls at one revision.
const PAGE_ENTRIES_MAX: usize = 256;

/// The largest message from etcd: a page of the largest values, with room for keys and framing.
const REPLY_BYTES_MAX: usize = PAGE_ENTRIES_MAX * 2 * COMMIT_BYTES_MAX;

/// How often a listing begins anew because its revision was compacted meanwhile.
const LISTING_ATTEMPTS_MAX: usize = 3;

/// A store in etcd.
pub struct EtcdStore {
    members: Members,
    keys: Keys,
    options: EtcdOptions,
}

impl EtcdStore {
    /// Prepares to use etcd. Connects only when it is used, so etcd need not be up yet: calls say `Unavailable` until it is.
    ///
    /// # Errors
    ///
    /// `Failed` if the options contradict each other or a certificate cannot be read.
    pub async fn connect(options: EtcdOptions) -> Result<Self, StoreError> {
        let members = Members::new(&options)?;
        Ok(Self { members, keys: Keys::new(options.prefix.clone()), options })
    }

    async fn read_one(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let key = self.keys.in_etcd(key);
        let answer = self.range(key, GetOptions::new()).await.map_err(Trouble::of_a_read)?;
        answer.1.into_iter().next().map(|found| self.keys.entry(found)).transpose()
    }

    async fn read_listing(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Listing, StoreError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.read_pages(prefix, after, limit).await? {
                Some(listing) => return Ok(listing),
                None if attempts < LISTING_ATTEMPTS_MAX => {}
                None => return Err(Trouble::Compacted.of_a_read()),
            }
        }
    }

    /// Reads pages at the revision of the first; `None` if that revision was compacted on the way.
    async fn read_pages(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Option<Listing>, StoreError> {
        let (mut start, end) = self.keys.range(prefix, after);
        let mut entries = Vec::new();
        let mut at = None;
        loop {
            let missing = limit.map_or(usize::MAX, |limit| limit - entries.len());
            // To etcd, a limit of zero is none.
            let page = missing.clamp(1, PAGE_ENTRIES_MAX);
            let mut options =
                GetOptions::new().with_range(end.clone()).with_limit(i64::try_from(page).unwrap_or(i64::MAX));
            if let Some(at) = at {
                options = options.with_revision(etcd_revision(at));
            }
            let (answer, found) = match self.range(start.clone(), options).await {
                Ok(page) => page,
                Err(Trouble::Compacted) => return Ok(None),
                Err(trouble) => return Err(trouble.of_a_read()),
            };
            let revision = *at.get_or_insert_with(|| answered_at(answer.header()));
            if missing == 0 {
                return Ok(Some(Listing { entries, revision, more: !found.is_empty() }));
            }
            if let Some(last) = found.last() {
                start = [last.key(), &[0]].concat();
            }
            for stored in found {
                entries.push(self.keys.entry(stored)?);
            }
            if !answer.more() || limit.is_some_and(|limit| entries.len() >= limit) {
                return Ok(Some(Listing { entries, revision, more: answer.more() }));
            }
        }
    }

    async fn range(
        &self,
        key: Vec<u8>,
        options: GetOptions,
    ) -> Result<(GetResponse, Vec<etcd_client::KeyValue>), Trouble> {
        let ask = |client: etcd_client::Client| {
            let (key, options) = (key.clone(), options.clone());
            async move {
                client.kv_client().max_decoding_message_size(REPLY_BYTES_MAX).get(key, Some(options)).await
            }
            .boxed()
        };
        let mut answer = self.members.read(self.members.budget(), ask).await?;
        let found = answer.take_kvs();
        Ok((answer, found))
    }
}

fn answered_at(header: Option<&ResponseHeader>) -> Revision {
    revision(header.map_or(0, ResponseHeader::revision))
}

impl fmt::Debug for EtcdStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdStore").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Store for EtcdStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        self.read_one(key).boxed()
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Listing, StoreError>> {
        self.read_listing(prefix, after, limit).boxed()
    }

    fn commit(
        &self,
        preconditions: Vec<Precondition>,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Committed, StoreError>> {
        commit::commit(&self.members, &self.keys, preconditions, writes).boxed()
    }

    fn watch<'a>(
        &'a self,
        prefix: &'a str,
        from: Revision,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Change, StoreError>>, StoreError>> {
        watch::watch(&self.members, &self.keys, prefix, from).boxed()
    }
}
