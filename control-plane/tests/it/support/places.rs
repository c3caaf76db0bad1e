//! Places where a store of either backend is kept, so that it can be opened, closed and opened again.

use std::{future::Future, path::PathBuf, sync::Arc};

use headland_control_plane::store::{
    SharedStore, Write,
    embedded::EmbeddedStore,
    etcd::{EtcdOptions, EtcdStore},
};
use headland_proto::revision::Revision;
use tempfile::TempDir;

use super::etcd::Etcd;

/// Where one backend keeps one store.
pub(crate) trait Place {
    /// Opens the store. What it was before is still there.
    fn open(&self) -> impl Future<Output = SharedStore>;

    /// Makes the store forget the history before the given revision, and perhaps some after it.
    fn forget_before(&self, store: &SharedStore, revision: Revision) -> impl Future<Output = ()>;
}

/// A file in its own folder.
pub(crate) struct EmbeddedPlace {
    folder: TempDir,
}

impl EmbeddedPlace {
    pub(crate) async fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("store.redb")
    }
}

impl Place for EmbeddedPlace {
    async fn open(&self) -> SharedStore {
        Arc::new(EmbeddedStore::open(&self.path()).unwrap())
    }

    async fn forget_before(&self, store: &SharedStore, _: Revision) {
        // More changes than are kept in memory.
        for _ in 0..100 {
            let writes =
                (0..128).map(|i| Write::Put { key: format!("filler/{i}"), value: "filler".into() }).collect();
            store.commit(vec![], writes).await.unwrap();
        }
    }
}

/// A cluster of one.
pub(crate) struct EtcdPlace {
    etcd: Etcd,
}

impl EtcdPlace {
    pub(crate) async fn new() -> Self {
        Self { etcd: Etcd::start().await }
    }
}

impl Place for EtcdPlace {
    async fn open(&self) -> SharedStore {
        open_etcd(vec![self.etcd.endpoint()]).await
    }

    async fn forget_before(&self, _: &SharedStore, revision: Revision) {
        let revision = i64::try_from(revision.0).unwrap();
        self.etcd.client().await.compact(revision, None).await.unwrap();
    }
}

/// A store in etcd with the usual options.
pub(crate) async fn open_etcd(endpoints: Vec<String>) -> SharedStore {
    let options = EtcdOptions { endpoints, ..EtcdOptions::default() };
    Arc::new(EtcdStore::connect(options).await.unwrap())
}
