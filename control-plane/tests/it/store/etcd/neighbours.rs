//! Others in the same etcd: other prefixes, keys put there by hand, a quota that is used up.

use std::sync::Arc;

use futures::future::join_all;
use headland_control_plane::store::{
    COMMIT_BYTES_MAX, Committed, SharedStore, StoreError,
    etcd::{EtcdOptions, EtcdStore},
};
use headland_proto::revision::Revision;

use super::put;
use crate::support::{etcd::Etcd, places::open_etcd};

#[tokio::test]
async fn stores_with_different_prefixes_do_not_meet() {
    let etcd = Etcd::start().await;
    let mut stores: Vec<SharedStore> = Vec::new();
    for prefix in ["/headland/a/", "/headland/a/b/", "/headland/a0/"] {
        let options = EtcdOptions {
            endpoints: vec![etcd.endpoint()],
            prefix: prefix.to_owned(),
            ..EtcdOptions::default()
        };
        stores.push(Arc::new(EtcdStore::connect(options).await.unwrap()));
    }
    for (i, store) in stores.iter().enumerate().skip(1) {
        store.commit(vec![], vec![put("key", i.to_string())]).await.unwrap();
    }
    for (i, store) in stores.iter().enumerate().skip(1) {
        let listing = store.list("", None, None).await.unwrap();
        assert_eq!(listing.entries.len(), 1);
        assert_eq!(listing.entries[0].value, i.to_string());
        // The revision is the cluster's, so it counts the neighbours' commits too.
        assert_eq!(listing.revision, Revision(3));
    }
    // One within the other is the operator's doing; it shows as such.
    assert_eq!(stores[0].list("", None, None).await.unwrap().entries[0].key, "b/key");
}

#[tokio::test]
async fn a_key_that_was_put_by_hand_is_an_error_and_not_a_value() {
    let etcd = Etcd::start().await;
    let store = open_etcd(vec![etcd.endpoint()]).await;
    store.commit(vec![], vec![put("distributions/1", "one")]).await.unwrap();
    etcd.client().await.put("/headland/v1/distributions/2", "by hand", None).await.unwrap();
    for result in [
        store.get("distributions/2").await.map(|_| ()),
        store.list("distributions/", None, None).await.map(|_| ()),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("/headland/v1/distributions/2") && error.contains("not written by headland"),
            "{error}"
        );
    }
    assert!(store.get("distributions/1").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_quota_used_up_every_commit_says_truly_whether_it_was_applied() {
    const AT_ONCE: usize = 32;
    let etcd = Etcd::start_with(&["--quota-backend-bytes", "60000000"]).await;
    let store = open_etcd(vec![etcd.endpoint()]).await;
    let (mut applied, mut refused) = (0, 0);
    // Far more than fits, and several at once: etcd then refuses some that it has already applied.
    for round in 0..12 {
        let commits = (0..AT_ONCE).map(|i| {
            let (store, key) = (store.clone(), format!("large/{round}/{i}"));
            async move {
                let committed = store.commit(vec![], vec![put(&key, vec![1; COMMIT_BYTES_MAX / 2])]).await;
                (committed, store.get(&key).await.unwrap().map(|entry| entry.modified))
            }
        });
        for (committed, there) in join_all(commits).await {
            match committed {
                Ok(Committed::Applied(revision)) => {
                    assert_eq!(there, Some(revision));
                    applied += 1;
                }
                Err(StoreError::Failed { reason }) => {
                    assert!(reason.contains("space exceeded"), "{reason}");
                    assert_eq!(there, None, "it was said to have failed");
                    refused += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(applied > 5 && refused > 5, "{applied} applied, {refused} refused");
}
