//! Members that are dead, not started yet, frozen, or killed one after the other under load.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use etcd_client::ConnectOptions;
use futures::StreamExt;
use headland_control_plane::store::{Change, Committed, SharedStore, StoreError};
use headland_proto::revision::Revision;
use tokio::time::{Instant, sleep};

use super::{absent, modified_at, put};
use crate::{
    store::contract::watches::next_change,
    support::{
        etcd::{Etcd, free_port, start_three},
        places::open_etcd,
        wait::{CEILING, within},
    },
};

#[tokio::test]
async fn calls_go_on_while_a_member_is_dead() {
    let etcd = Etcd::start().await;
    let dead = format!("http://127.0.0.1:{}", free_port());
    for endpoints in [vec![dead.clone(), etcd.endpoint()], vec![etcd.endpoint(), dead]] {
        let store = open_etcd(endpoints).await;
        for i in 0..100 {
            let committed = store.commit(vec![], vec![put("a", i.to_string())]).await;
            assert!(matches!(committed, Ok(Committed::Applied(_))), "commit {i}: {committed:?}");
            assert_eq!(store.get("a").await.unwrap().unwrap().value, i.to_string());
        }
        let mut watch = store.watch("", Revision::ZERO).await.unwrap();
        assert!(matches!(next_change(&mut watch).await, Change::Put(_)));
    }
}

#[tokio::test]
async fn etcd_may_come_up_after_the_store() {
    let mut etcd = Etcd::prepare("http", &[]);
    let store = open_etcd(vec![etcd.endpoint()]).await;
    let failures = [
        store.get("a").await.map(|_| ()).unwrap_err(),
        store.list("", None, None).await.map(|_| ()).unwrap_err(),
        store.watch("", Revision::ZERO).await.map(|_| ()).unwrap_err(),
        // Nothing was ever sent, so the outcome is known.
        store.commit(vec![], vec![put("a", "1")]).await.map(|_| ()).unwrap_err(),
    ];
    for error in failures {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(error.to_string().contains(&etcd.endpoint()), "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
    }
    etcd.run();
    etcd.ready(ConnectOptions::new()).await;
    store.commit(vec![], vec![put("a", "1")]).await.unwrap();
}

#[tokio::test]
async fn a_frozen_etcd_is_noticed_by_every_call_and_by_watches() {
    let etcd = Etcd::start().await;
    let store = open_etcd(vec![etcd.endpoint()]).await;
    let Committed::Applied(first) = store.commit(vec![], vec![put("a", "1")]).await.unwrap() else {
        panic!()
    };
    let mut watch = store.watch("", first.next()).await.unwrap();
    etcd.freeze();
    let begin = Instant::now();
    let (read, free, guarded) = tokio::join!(
        store.get("a"),
        store.commit(vec![], vec![put("b", "1")]),
        store.commit(modified_at("a", first), vec![put("a", "2")]),
    );
    // The callers' own patience is five seconds.
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    assert!(matches!(free, Err(StoreError::OutcomeUnknown { .. })), "{free:?}");
    assert!(matches!(guarded, Err(StoreError::OutcomeUnknown { .. })), "{guarded:?}");
    let end = within("the end of the watch", async {
        loop {
            match watch.next().await {
                Some(Ok(Change::Progress(_))) => {}
                other => return other,
            }
        }
    });
    let end = end.await;
    assert!(matches!(end, Some(Err(StoreError::Unavailable { .. }))), "{end:?}");
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
    etcd.thaw();
    within("etcd to answer again", async {
        while store.get("a").await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_that_lost_the_others_does_not_answer_from_memory() {
    let mut members = start_three().await;
    let store = open_etcd(vec![members[0].endpoint()]).await;
    let Committed::Applied(first) = store.commit(vec![], vec![put("a", "1")]).await.unwrap() else {
        panic!()
    };
    let mut watch = store.watch("", first.next()).await.unwrap();
    members[1].kill();
    members[2].kill();
    let end = within("the end of the watch", async {
        loop {
            match watch.next().await {
                Some(Ok(Change::Progress(_))) => {}
                other => return other,
            }
        }
    });
    let end = end.await;
    assert!(matches!(end, Some(Err(StoreError::Unavailable { .. }))), "{end:?}");
    let failures = [
        store.get("a").await.map(|_| ()).unwrap_err(),
        store.list("", None, None).await.map(|_| ()).unwrap_err(),
        store.watch("", first).await.map(|_| ()).unwrap_err(),
    ];
    for error in failures {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    let free = store.commit(vec![], vec![put("b", "1")]).await;
    assert!(
        matches!(free, Err(StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. })),
        "{free:?}"
    );
    members[1].run();
    members[1].ready(ConnectOptions::new()).await;
    within("a commit to succeed", async {
        while store.commit(vec![], vec![put("c", "1")]).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let mut watch = store.watch("", first.next()).await.unwrap();
    assert!(matches!(next_change(&mut watch).await, Change::Put(_)));
}

/// What the writers were told, to be compared with what is there in the end.
#[derive(Default)]
struct Told {
    applied: AtomicU64,
    unknown: AtomicU64,
    unavailable: AtomicU64,
    stop: AtomicBool,
}

impl Told {
    /// Counts an error; only these two kinds may come from a member that is away.
    fn note(&self, error: &StoreError) {
        match error {
            StoreError::OutcomeUnknown { .. } => self.unknown.fetch_add(1, Ordering::Relaxed),
            StoreError::Unavailable { .. } => self.unavailable.fetch_add(1, Ordering::Relaxed),
            other => panic!("{other}"),
        };
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Creates keys of its own. Returns the acknowledged ones with their revisions.
async fn create_keys(store: SharedStore, told: Arc<Told>, writer: usize) -> Vec<(String, Revision)> {
    let mut acknowledged = Vec::new();
    for i in 0.. {
        if told.stopped() {
            break;
        }
        let key = format!("created/{writer}/{i}");
        match store.commit(absent(&key), vec![put(&key, "x")]).await {
            Ok(Committed::Applied(revision)) => {
                told.applied.fetch_add(1, Ordering::Relaxed);
                acknowledged.push((key, revision));
            }
            Ok(Committed::Refused) => panic!("{key} was refused, but nobody else writes it"),
            Err(error) => told.note(&error),
        }
    }
    acknowledged
}

/// Counts up a key of its own. Returns how often it was told that it had.
async fn count_up(store: SharedStore, told: Arc<Told>, writer: usize) -> (u64, u64) {
    let key = format!("counted/{writer}");
    let (mut acknowledged, mut unknown) = (0, 0);
    while !told.stopped() {
        let entry = match store.get(&key).await {
            Ok(entry) => entry,
            Err(error) => {
                told.note(&error);
                continue;
            }
        };
        let count: u64 =
            entry.as_ref().map_or(0, |entry| std::str::from_utf8(&entry.value).unwrap().parse().unwrap());
        let condition = entry.map_or_else(|| absent(&key), |entry| modified_at(&key, entry.modified));
        match store.commit(condition, vec![put(&key, (count + 1).to_string())]).await {
            Ok(Committed::Applied(_)) => {
                told.applied.fetch_add(1, Ordering::Relaxed);
                acknowledged += 1;
            }
            // Refused by a commit of its own that it was not told about.
            Ok(Committed::Refused) => assert!(unknown > 0, "{key} was refused, but nobody else writes it"),
            Err(error) => {
                told.note(&error);
                unknown += u64::from(matches!(error, StoreError::OutcomeUnknown { .. }));
            }
        }
    }
    (acknowledged, unknown)
}

/// Keeps a copy of the store as the snapshot does, listing anew after every error, until `end` comes by.
async fn follow(store: SharedStore) -> (BTreeMap<String, (Bytes, Revision)>, u32) {
    let mut listings = 0;
    loop {
        let Ok(listing) = store.list("", None, None).await else { continue };
        listings += 1;
        let entries = listing.entries.into_iter();
        let mut copy: BTreeMap<_, _> =
            entries.map(|entry| (entry.key, (entry.value, entry.modified))).collect();
        let Ok(mut watch) = store.watch("", listing.revision.next()).await else { continue };
        while !copy.contains_key("end") {
            match watch.next().await {
                Some(Ok(Change::Put(entry))) => {
                    copy.insert(entry.key, (entry.value, entry.modified));
                }
                Some(Ok(Change::Deleted { key, .. })) => {
                    copy.remove(&key);
                }
                Some(Ok(Change::Progress(_))) => {}
                Some(Err(_)) => break,
                None => panic!("a watch ended without an error"),
            }
        }
        if copy.contains_key("end") {
            return (copy, listings);
        }
    }
}

async fn applied_more(told: &Told, than: u64) {
    within("commits to succeed", async {
        while told.applied.load(Ordering::Relaxed) <= than {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_killed_one_after_the_other_lose_nothing_that_was_acknowledged() {
    let mut members = start_three().await;
    let endpoints: Vec<_> = members.iter().map(Etcd::endpoint).collect();
    let told = Arc::new(Told::default());
    let mut creators = Vec::new();
    let mut counters = Vec::new();
    let mut followers = Vec::new();
    for i in 0..3 {
        // Each prefers another member, as several control planes would.
        let mut order = endpoints.clone();
        order.rotate_left(i);
        let store = open_etcd(order).await;
        creators.push(tokio::spawn(create_keys(store.clone(), told.clone(), i)));
        counters.push(tokio::spawn(count_up(store.clone(), told.clone(), i)));
        followers.push(tokio::spawn(follow(store)));
    }
    applied_more(&told, 20).await;
    // All three in turn, so one of them is the leader.
    for member in &mut members {
        member.kill();
        let before = told.applied.load(Ordering::Relaxed);
        applied_more(&told, before + 50).await;
        member.run();
        member.ready(ConnectOptions::new()).await;
        let before = told.applied.load(Ordering::Relaxed);
        applied_more(&told, before + 20).await;
    }
    told.stop.store(true, Ordering::Relaxed);
    let mut created = Vec::new();
    for creator in creators {
        created.extend(within("a writer", creator).await.unwrap());
    }
    let store = open_etcd(endpoints).await;
    for (writer, counter) in counters.into_iter().enumerate() {
        let (acknowledged, unknown) = within("a writer", counter).await.unwrap();
        let entry = store.get(&format!("counted/{writer}")).await.unwrap().unwrap();
        let count: u64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
        assert!(
            (acknowledged..=acknowledged + unknown).contains(&count),
            "counted to {count}, told of {acknowledged} and perhaps {unknown} more"
        );
    }
    store.commit(vec![], vec![put("end", "")]).await.unwrap();
    let listing = store.list("", None, None).await.unwrap();
    let truth: BTreeMap<_, _> =
        listing.entries.into_iter().map(|entry| (entry.key, (entry.value, entry.modified))).collect();
    for (key, revision) in created {
        assert_eq!(truth.get(&key).map(|(_, modified)| *modified), Some(revision), "{key}");
    }
    let mut listings = 0;
    for follower in followers {
        let (copy, times) =
            tokio::time::timeout(CEILING, follower).await.expect("a follower never saw the end").unwrap();
        assert!(copy == truth, "a follower's copy differs from the store");
        listings += times;
    }
    assert!(listings > 3, "no watch ever ended, so none was resumed");
}
