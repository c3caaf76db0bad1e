//! What is kept, what is forgotten, and what a watch sees of it.

use bytes::Bytes;
use futures::FutureExt;

use super::*;
use crate::store::Entry;

fn put(key: &str, revision: u64) -> Change {
    Change::Put(Entry {
        key: key.to_owned(),
        value: Bytes::from_static(b"1234"),
        modified: Revision(revision),
    })
}

fn history(limits: Limits, commits: &[(u64, &[&str])]) -> History {
    let mut history = History::begin_at(Revision(10), limits);
    for (revision, keys) in commits {
        history.push(Revision(*revision), keys.iter().map(|key| put(key, *revision)).collect());
    }
    history
}

const WIDE: Limits = Limits { changes: 100, bytes: 1000, per_read: 100 };

fn keys(read: Result<(VecDeque<Change>, Revision), StoreError>) -> (Vec<String>, u64) {
    let (changes, next) = read.unwrap();
    (changes.iter().map(|change| key_of(change).to_owned()).collect(), next.0)
}

#[test]
fn a_read_begins_at_its_revision_and_keeps_to_its_prefix() {
    let history = history(WIDE, &[(11, &["a/1", "b/1"]), (12, &["b/2"]), (13, &["a/2"])]);
    let check = |from, prefix, expected: &[&str]| {
        let expected = (expected.iter().map(|key| (*key).to_owned()).collect(), 14);
        assert_eq!(keys(history.read(Revision(from), prefix)), expected, "{prefix} from {from}");
    };
    check(11, "", &["a/1", "b/1", "b/2", "a/2"]);
    check(12, "", &["b/2", "a/2"]);
    check(11, "a/", &["a/1", "a/2"]);
    check(14, "", &[]);
}

#[test]
fn a_watch_from_the_future_stays_there() {
    let history = history(WIDE, &[(11, &["a"])]);
    assert_eq!(keys(history.read(Revision(20), "")), (vec![], 20));
}

#[test]
fn a_read_ends_after_a_whole_commit() {
    let limits = Limits { per_read: 1, ..WIDE };
    let history = history(limits, &[(11, &["a", "b"]), (12, &["c"])]);
    assert_eq!(keys(history.read(Revision(11), "")), (vec!["a".to_owned(), "b".to_owned()], 12));
}

#[test]
fn what_was_before_the_beginning_is_compacted() {
    let history = history(WIDE, &[]);
    let error = history.read(Revision(10), "").unwrap_err();
    assert!(matches!(error, StoreError::Compacted { asked: Revision(10), oldest: Revision(11) }), "{error}");
    assert!(history.read(Revision(11), "").is_ok());
}

#[test]
fn a_store_that_was_never_written_can_be_watched_from_its_first_revision() {
    let history = History::begin_at(FIRST_REVISION, WIDE);
    assert!(history.read(FIRST_REVISION, "").is_ok());
}

#[test]
fn the_oldest_commits_are_forgotten_first() {
    let commits: &[(u64, &[&str])] = &[(11, &["a"]), (12, &["b", "c"]), (13, &["d"])];
    let by_changes = history(Limits { changes: 3, ..WIDE }, commits);
    let by_bytes = history(Limits { bytes: 15, ..WIDE }, commits);
    for history in [by_changes, by_bytes] {
        let error = history.read(Revision(11), "").unwrap_err();
        assert!(matches!(error, StoreError::Compacted { oldest: Revision(12), .. }), "{error}");
        assert_eq!(keys(history.read(Revision(12), "")).0, ["b", "c", "d"]);
    }
}

#[test]
fn a_commit_larger_than_the_limit_leaves_an_empty_history() {
    let history = history(Limits { bytes: 4, ..WIDE }, &[(11, &["a"])]);
    assert!(history.read(Revision(11), "").is_err());
    assert_eq!(keys(history.read(Revision(12), "")), (vec![], 12));
}

#[tokio::test]
async fn a_watch_that_falls_behind_ends_with_an_error() {
    let (recorder, watches) = begin_at(Revision(10));
    let mut watch = watches.watch(String::new(), Revision(11)).unwrap();
    for revision in 0..=HISTORY_CHANGES_MAX as u64 {
        recorder.record(vec![(Revision(11 + revision), vec![put("a", 11 + revision)])]);
    }
    let error = watch.next().await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Compacted { asked: Revision(11), oldest: Revision(12) }), "{error}");
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn an_idle_watch_gives_signs_of_life_and_a_closed_store_ends_it() {
    let (recorder, watches) = begin_at(Revision(10));
    let mut watch = watches.watch("a".to_owned(), Revision(11)).unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap(), Change::Progress(Revision(10)));
    recorder.record(vec![(Revision(11), vec![put("b", 11)])]);
    assert_eq!(watch.next().await.unwrap().unwrap(), Change::Progress(Revision(11)));
    assert!(watch.next().now_or_never().is_none());
    drop(recorder);
    assert!(matches!(watch.next().await, Some(Err(StoreError::Unavailable { .. }))));
}
