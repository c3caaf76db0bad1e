//! Reading one key, and listing many.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use headland_control_plane::store::{Entry, Listing};
use headland_proto::revision::Revision;

use super::{commit, delete, put, value};
use crate::support::{places::Place, wait::within};

fn keys(listing: &Listing) -> Vec<&str> {
    listing.entries.iter().map(|entry| entry.key.as_str()).collect()
}

pub(crate) async fn what_was_put_is_there_until_it_is_deleted<P: Place>(place: &P) {
    let store = place.open().await;
    assert_eq!(store.get("a").await.unwrap(), None);
    let first = commit(&store, vec![put("a", "1"), put("b", "")]).await;
    let expected = Entry { key: "a".to_owned(), value: "1".into(), modified: first };
    assert_eq!(store.get("a").await.unwrap(), Some(expected));
    assert_eq!(value(&store, "b").await.as_deref(), Some(""));
    commit(&store, vec![put("a", "2"), delete("b")]).await;
    assert_eq!(value(&store, "a").await.as_deref(), Some("2"));
    assert_eq!(store.get("b").await.unwrap(), None);
    commit(&store, vec![delete("a")]).await;
    assert_eq!(store.get("a").await.unwrap(), None);
}

pub(crate) async fn a_listing_is_in_order_and_keeps_to_its_prefix<P: Place>(place: &P) {
    let store = place.open().await;
    let empty = store.list("", None, None).await.unwrap();
    assert!(empty.entries.is_empty() && !empty.more);
    assert!(empty.revision > Revision::ZERO, "no store is ever at revision zero");

    let last_of_all = "d/\u{10FFFF}";
    let all = ["a", "d", "d/", "d/1", "d/10", "d/2", "d/é", last_of_all, "d0", "e"];
    let revision = commit(&store, all.iter().rev().map(|key| put(key, *key)).collect()).await;
    let check = async |prefix: &str, expected: &[&str]| {
        let listing = store.list(prefix, None, None).await.unwrap();
        assert_eq!(keys(&listing), expected, "below {prefix:?}");
        assert_eq!((listing.revision, listing.more), (revision, false), "below {prefix:?}");
        assert!(listing.entries.iter().all(|entry| entry.value == entry.key.as_bytes()));
    };
    check("", &all).await;
    check("d/", &["d/", "d/1", "d/10", "d/2", "d/é", last_of_all]).await;
    check("d/1", &["d/1", "d/10"]).await;
    check(last_of_all, &[last_of_all]).await;
    check("x", &[]).await;
}

pub(crate) async fn a_listing_can_be_read_page_by_page<P: Place>(place: &P) {
    let store = place.open().await;
    let written = ["a", "p/1", "p/2", "p/3", "p/4", "q"];
    commit(&store, written.iter().map(|key| put(key, "")).collect()).await;
    let check = async |after: Option<&str>, limit: Option<usize>, expected: &[&str], more: bool| {
        let page = store.list("p/", after, limit).await.unwrap();
        assert_eq!((keys(&page), page.more), (expected.to_vec(), more), "after {after:?}, limit {limit:?}");
    };
    check(None, Some(2), &["p/1", "p/2"], true).await;
    check(Some("p/2"), Some(2), &["p/3", "p/4"], false).await;
    check(Some("p/2"), Some(1), &["p/3"], true).await;
    check(Some("p/2"), None, &["p/3", "p/4"], false).await;
    check(Some("p/4"), Some(2), &[], false).await;
    // Keys that do not exist, or stand outside the prefix, mark a place all the same.
    check(Some("p/25"), None, &["p/3", "p/4"], false).await;
    check(Some("a"), Some(1), &["p/1"], true).await;
    check(Some("z"), None, &[], false).await;
    check(None, Some(4), &["p/1", "p/2", "p/3", "p/4"], false).await;
    check(None, Some(0), &[], true).await;
    check(Some("p/4"), Some(0), &[], false).await;
}

pub(crate) async fn a_long_listing_is_of_one_revision<P: Place>(place: &P) {
    const BETWEEN: usize = 1500;
    let store = place.open().await;
    for chunk in (0..BETWEEN).collect::<Vec<_>>().chunks(100) {
        commit(&store, chunk.iter().map(|i| put(&format!("k/m/{i:05}"), "x")).collect()).await;
    }
    commit(&store, vec![put("k/a", "0"), put("k/z", "0")]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                let both = vec![put("k/a", round.to_string()), put("k/z", round.to_string())];
                commit(&store, both).await;
            }
            round
        }
    });
    let mut seen_moving = 0;
    let mut before = None;
    for _ in 0..30 {
        let listing = within("a listing", store.list("k/", None, None)).await.unwrap();
        assert_eq!(listing.entries.len(), BETWEEN + 2);
        assert!(!listing.more);
        let (first, last) = (&listing.entries[0], &listing.entries[BETWEEN + 1]);
        assert_eq!(first.value, last.value, "the ends of one listing are of two revisions");
        assert!(first.modified <= listing.revision);
        seen_moving += usize::from(before.replace(first.modified) != Some(first.modified));
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 1);
    assert!(seen_moving > 1, "the writer never wrote while listings were taken");
}

pub(crate) async fn reopening_keeps_everything_and_the_revision_never_goes_back<P: Place>(place: &P) {
    let mut newest = Revision::ZERO;
    for round in 0..4_u32 {
        let store = place.open().await;
        let listing = store.list("", None, None).await.unwrap();
        assert!(listing.revision >= newest, "{} came after {newest}", listing.revision);
        let expected: Vec<String> = (0..round).map(|i| format!("kept/{i}")).collect();
        assert_eq!(keys(&listing), expected);
        for (i, entry) in listing.entries.iter().enumerate() {
            assert_eq!(entry.value, i.to_string().as_bytes());
            assert!(entry.modified > Revision::ZERO && entry.modified <= newest);
        }
        commit(&store, vec![put("gone", "x")]).await;
        commit(&store, vec![put(&format!("kept/{round}"), round.to_string())]).await;
        // The last commit leaves no key behind that carries its revision.
        let deleted = commit(&store, vec![delete("gone")]).await;
        assert!(deleted > newest);
        newest = deleted;
    }
}
