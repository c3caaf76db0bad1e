//! Watches: nothing is missed, nothing comes twice, and whoever asks too late is told.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::join_all, stream::BoxStream};
use headland_control_plane::store::{Change, Entry, SharedStore, StoreError};
use headland_proto::revision::Revision;

use super::{commit, delete, put};
use crate::support::{places::Place, wait::within};

pub(crate) type Watch = BoxStream<'static, Result<Change, StoreError>>;

/// The next change of a watch, past all signs of life.
pub(crate) async fn next_change(watch: &mut Watch) -> Change {
    loop {
        match within("the next change", watch.next()).await {
            Some(Ok(Change::Progress(_))) => {}
            Some(Ok(change)) => return change,
            other => panic!("the watch ended with {other:?}"),
        }
    }
}

fn was_put(key: &str, value: &'static str, modified: Revision) -> Change {
    Change::Put(Entry { key: key.to_owned(), value: value.into(), modified })
}

fn was_deleted(key: &str, revision: Revision) -> Change {
    Change::Deleted { key: key.to_owned(), revision }
}

pub(crate) async fn a_watch_from_the_past_sees_every_change_in_order<P: Place>(place: &P) {
    let store = place.open().await;
    let first = commit(&store, vec![put("a", "1"), put("b", "1")]).await;
    let second = commit(&store, vec![delete("a"), delete("missing")]).await;
    let third = commit(&store, vec![put("a", "3")]).await;
    let past = [
        was_put("a", "1", first),
        was_put("b", "1", first),
        was_deleted("a", second),
        was_put("a", "3", third),
    ];
    let mut from_zero = within("a watch", store.watch("", Revision::ZERO)).await.unwrap();
    let mut from_first = within("a watch", store.watch("", first)).await.unwrap();
    let mut from_second = within("a watch", store.watch("", second)).await.unwrap();
    for (i, expected) in past.iter().enumerate() {
        assert_eq!(next_change(&mut from_zero).await, *expected);
        assert_eq!(next_change(&mut from_first).await, *expected);
        if i >= 2 {
            assert_eq!(next_change(&mut from_second).await, *expected);
        }
    }
    let fourth = commit(&store, vec![put("c", "4"), delete("b")]).await;
    for watch in [&mut from_zero, &mut from_first, &mut from_second] {
        assert_eq!(next_change(watch).await, was_put("c", "4", fourth));
        assert_eq!(next_change(watch).await, was_deleted("b", fourth));
    }
}

pub(crate) async fn a_watch_keeps_to_its_prefix<P: Place>(place: &P) {
    let store = place.open().await;
    let first = commit(&store, vec![put("p", ""), put("p/1", "1"), put("p0", ""), put("o/1", "")]).await;
    let mut watch = within("a watch", store.watch("p/", first)).await.unwrap();
    let second = commit(&store, vec![put("p/2", "2"), delete("p"), put("q/", "")]).await;
    commit(&store, vec![delete("o/1")]).await;
    let third = commit(&store, vec![delete("p/1")]).await;
    assert_eq!(next_change(&mut watch).await, was_put("p/1", "1", first));
    assert_eq!(next_change(&mut watch).await, was_put("p/2", "2", second));
    assert_eq!(next_change(&mut watch).await, was_deleted("p/1", third));
}

/// Changes keys without pause: some come, some change, some go.
async fn write_much(store: SharedStore, writer: usize, commits: usize) {
    for i in 0..commits {
        let (this, other) = (format!("{writer}/{}", i % 7), format!("{writer}/{}", (i + 3) % 7));
        let other = if i % 3 == 0 { delete(&other) } else { put(&other, format!("other {i}")) };
        commit(&store, vec![put(&this, format!("this {i}")), other]).await;
    }
}

fn apply(copy: &mut BTreeMap<String, (Bytes, Revision)>, change: Change) -> Revision {
    match change {
        Change::Put(entry) => {
            copy.insert(entry.key, (entry.value, entry.modified));
            entry.modified
        }
        Change::Deleted { key, revision } => {
            assert!(copy.remove(&key).is_some(), "{key} was deleted but had never been put");
            revision
        }
        Change::Progress(revision) => revision,
    }
}

/// Lists, then follows the watch until a key called `end` comes by; returns the copy of the store it then has.
async fn follow(store: SharedStore) -> BTreeMap<String, (Bytes, Revision)> {
    let listing = store.list("", None, None).await.unwrap();
    let mut copy = BTreeMap::new();
    for entry in listing.entries {
        copy.insert(entry.key, (entry.value, entry.modified));
    }
    let mut watch = store.watch("", listing.revision.next()).await.unwrap();
    let mut last = listing.revision;
    while !copy.contains_key("end") {
        let revision = apply(&mut copy, next_change(&mut watch).await);
        assert!(revision >= last, "{revision} came after {last}");
        last = revision;
    }
    copy
}

pub(crate) async fn listing_and_watching_misses_nothing_under_writers<P: Place>(place: &P) {
    const WRITERS: usize = 4;
    const COMMITS: usize = 40;
    const FOLLOWERS: usize = 6;
    let store = place.open().await;
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write_much(store.clone(), writer, COMMITS))).collect();
    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS {
        followers.push(tokio::spawn(follow(store.clone())));
        // Each begins at another moment of the writing.
        commit(&store, vec![put("a moment", "later")]).await;
    }
    for writer in within("the writers", join_all(writers)).await {
        writer.unwrap();
    }
    commit(&store, vec![put("end", "")]).await;
    let listing = store.list("", None, None).await.unwrap();
    let truth: BTreeMap<_, _> =
        listing.entries.into_iter().map(|entry| (entry.key, (entry.value, entry.modified))).collect();
    for copy in within("the followers", join_all(followers)).await {
        assert_eq!(copy.unwrap(), truth);
    }
}

pub(crate) async fn a_watch_of_what_was_forgotten_is_compacted<P: Place>(place: &P) {
    let store = place.open().await;
    let first = commit(&store, vec![put("a", "1")]).await;
    commit(&store, vec![put("a", "2")]).await;
    let third = commit(&store, vec![put("a", "3")]).await;
    place.forget_before(&store, third).await;
    let error = match within("a watch", store.watch("", first)).await {
        Ok(mut watch) => loop {
            match within("the end of the watch", watch.next()).await {
                Some(Ok(Change::Progress(_))) => {}
                Some(Ok(change)) => panic!("a change from a gap: {change:?}"),
                Some(Err(error)) => break error,
                None => panic!("the watch ended without an error"),
            }
        },
        Err(error) => error,
    };
    let StoreError::Compacted { asked, oldest } = error else { panic!("{error}") };
    assert_eq!(asked, first);
    assert!(oldest >= third, "everything before {third} should have been forgotten, not before {oldest}");
    // What it names can indeed be watched, and so can everything after a listing.
    let listing = store.list("", None, None).await.unwrap();
    for (key, from) in [("last/1", oldest), ("last/2", listing.revision.next())] {
        let mut watch = within("a watch", store.watch(key, from)).await.unwrap();
        let revision = commit(&store, vec![put(key, "x")]).await;
        assert_eq!(next_change(&mut watch).await, was_put(key, "x", revision), "from {from}");
    }
}

pub(crate) async fn a_watch_from_the_future_waits_for_it<P: Place>(place: &P) {
    let store = place.open().await;
    let now = commit(&store, vec![put("a", "now")]).await;
    let later = now.next().next();
    let mut watch = within("a watch", store.watch("", later)).await.unwrap();
    commit(&store, vec![put("a", "too early")]).await;
    let revision = commit(&store, vec![put("a", "then")]).await;
    assert_eq!(revision, later);
    assert_eq!(next_change(&mut watch).await, was_put("a", "then", later));
    assert!(watch.next().now_or_never().is_none());
}

pub(crate) async fn an_idle_watch_gives_signs_of_life<P: Place>(place: &P) {
    let store = place.open().await;
    let first = commit(&store, vec![put("a", "1")]).await;
    let mut watch = within("a watch", store.watch("", first)).await.unwrap();
    assert_eq!(next_change(&mut watch).await, was_put("a", "1", first));
    for _ in 0..2 {
        let sign = within("a sign of life", watch.next()).await.unwrap().unwrap();
        assert_eq!(sign, Change::Progress(first));
    }
    let second = commit(&store, vec![put("a", "2")]).await;
    assert_eq!(next_change(&mut watch).await, was_put("a", "2", second));
    let sign = within("a sign of life", watch.next()).await.unwrap().unwrap();
    assert_eq!(sign, Change::Progress(second));
}
