//! Commits: preconditions, atomicity, revisions, limits, and many at once.

use futures::future::join_all;
use headland_control_plane::store::{COMMIT_BYTES_MAX, COMMIT_WRITES_MAX, Change, Committed, StoreError};
use headland_proto::revision::Revision;

use super::{absent, commit, delete, modified_at, put, value, watches::next_change};
use crate::support::{places::Place, wait::within};

pub(crate) async fn preconditions_decide_over_the_whole_commit<P: Place>(place: &P) {
    let store = place.open().await;
    let old = commit(&store, vec![put("there", "old")]).await;
    let present = commit(&store, vec![put("there", "present")]).await;
    let refused = [
        ("absent, but it is there", vec![absent("there")]),
        ("modified since", vec![modified_at("there", old)]),
        ("never modified", vec![modified_at("missing", present)]),
        ("at no revision", vec![modified_at("missing", Revision::ZERO)]),
        ("one of two", vec![modified_at("there", present), absent("there")]),
        ("the other of two", vec![absent("there"), modified_at("there", present)]),
    ];
    for (name, preconditions) in refused {
        let writes = vec![put("new", "x"), put("there", "x"), delete("there/2")];
        assert_eq!(store.commit(preconditions, writes).await.unwrap(), Committed::Refused, "{name}");
    }
    assert_eq!(value(&store, "new").await, None);
    assert_eq!(value(&store, "there").await.as_deref(), Some("present"));
    assert_eq!(
        store.list("", None, None).await.unwrap().revision,
        present,
        "a refused commit took a revision"
    );

    let preconditions = vec![modified_at("there", present), absent("new")];
    let committed = store.commit(preconditions, vec![put("new", "1"), delete("there")]).await.unwrap();
    assert!(matches!(committed, Committed::Applied(revision) if revision > present), "{committed:?}");
    assert_eq!(value(&store, "new").await.as_deref(), Some("1"));
    assert_eq!(value(&store, "there").await, None);
    // A key that was deleted is absent again.
    let again = store.commit(vec![absent("there")], vec![put("there", "again")]).await.unwrap();
    assert!(matches!(again, Committed::Applied(_)));
}

pub(crate) async fn revisions_grow_and_entries_name_their_last_write<P: Place>(place: &P) {
    let store = place.open().await;
    let first = commit(&store, vec![put("a", "1"), put("b", "1")]).await;
    let second = commit(&store, vec![put("a", "2")]).await;
    let third = commit(&store, vec![delete("b"), put("c", "3")]).await;
    let fourth = commit(&store, vec![put("b", "4")]).await;
    assert_eq!([second, third, fourth], [first.next(), first.next().next(), third.next()]);
    let listing = store.list("", None, None).await.unwrap();
    let modified: Vec<_> = listing.entries.iter().map(|entry| (entry.key.as_str(), entry.modified)).collect();
    assert_eq!(modified, [("a", second), ("b", fourth), ("c", third)]);
    assert_eq!(listing.revision, fourth);
    assert_eq!(store.get("c").await.unwrap().unwrap().modified, third);
}

pub(crate) async fn a_commit_that_changes_nothing_takes_no_revision<P: Place>(place: &P) {
    let store = place.open().await;
    let present = commit(&store, vec![put("a", "1")]).await;
    assert_eq!(commit(&store, vec![]).await, present);
    assert_eq!(commit(&store, vec![delete("missing")]).await, present);
    let checked = store.commit(vec![modified_at("a", present)], vec![]).await.unwrap();
    assert_eq!(checked, Committed::Applied(present));
    // The same value again is a change.
    assert_eq!(commit(&store, vec![put("a", "1")]).await, present.next());
}

pub(crate) async fn a_commit_beyond_the_limits_is_refused_whole<P: Place>(place: &P) {
    let store = place.open().await;
    let many = (0..=COMMIT_WRITES_MAX).map(|i| put(&format!("k/{i}"), "")).collect();
    let large = vec![put("k/1", ""), put("k/2", vec![0; COMMIT_BYTES_MAX])];
    let twice = vec![put("k/1", "1"), put("k/1", "2")];
    let put_and_delete = vec![put("k/1", "1"), delete("k/1")];
    for (name, writes) in
        [("many", many), ("large", large), ("twice", twice), ("put and delete", put_and_delete)]
    {
        let result = store.commit(vec![], writes).await;
        assert!(matches!(result, Err(StoreError::Failed { .. })), "{name}: {result:?}");
    }
    assert!(store.list("", None, None).await.unwrap().entries.is_empty());
}

pub(crate) async fn the_largest_commit_is_accepted_read_and_watched<P: Place>(place: &P) {
    let store = place.open().await;
    let begin = store.list("", None, None).await.unwrap().revision;
    // As many writes and as many bytes as there may be, and the largest values, several times: more than one message
    // of many protocols.
    let (key_bytes, rounds) = ("00/000".len(), 10);
    let value = vec![7; COMMIT_BYTES_MAX - key_bytes];
    let share = vec![7; COMMIT_BYTES_MAX / COMMIT_WRITES_MAX - key_bytes];
    for round in 0..rounds {
        let writes = (0..COMMIT_WRITES_MAX).map(|i| put(&format!("{round:02}/{i:03}"), share.clone()));
        assert!(matches!(store.commit(vec![], writes.collect()).await.unwrap(), Committed::Applied(_)));
    }
    for round in 0..rounds {
        let whole = vec![put(&format!("whole{round}"), value.clone())];
        assert!(matches!(store.commit(vec![], whole).await.unwrap(), Committed::Applied(_)));
    }
    let preconditions = (0..COMMIT_WRITES_MAX).map(|i| absent(&format!("no/{i}"))).collect();
    assert!(matches!(store.commit(preconditions, vec![]).await.unwrap(), Committed::Applied(_)));
    let listing = within("the listing", store.list("", None, None)).await.unwrap();
    assert_eq!(listing.entries.len(), rounds * (COMMIT_WRITES_MAX + 1));
    assert!(listing.entries.iter().all(|entry| entry.value == share || entry.value == value));
    let mut watch = store.watch("", begin.next()).await.unwrap();
    for expected in listing.entries {
        // Written in order of key.
        assert_eq!(next_change(&mut watch).await, Change::Put(expected));
    }
}

pub(crate) async fn of_many_commits_on_one_key_exactly_one_wins<P: Place>(place: &P) {
    const RIVALS: usize = 40;
    let store = place.open().await;
    for round in 0..5 {
        let before = store.get("prize").await.unwrap().map(|entry| entry.modified);
        let precondition = before.map_or_else(|| absent("prize"), |revision| modified_at("prize", revision));
        let rivals = (0..RIVALS).map(|rival| {
            let (store, precondition) = (store.clone(), precondition.clone());
            tokio::spawn(async move {
                let value = format!("{round}/{rival}");
                let committed = store.commit(vec![precondition], vec![put("prize", value.clone())]).await;
                (value, committed.unwrap())
            })
        });
        let mut winners = Vec::new();
        for outcome in within("the rivals", join_all(rivals)).await {
            let (value, committed) = outcome.unwrap();
            if let Committed::Applied(revision) = committed {
                winners.push((value, revision));
            }
        }
        let [(winner, revision)] = &winners[..] else { panic!("round {round} had winners {winners:?}") };
        let entry = store.get("prize").await.unwrap().unwrap();
        assert_eq!((entry.value.as_ref(), entry.modified), (winner.as_bytes(), *revision));
    }
}

pub(crate) async fn counting_with_preconditions_loses_nothing<P: Place>(place: &P) {
    const COUNTERS: usize = 4;
    const EACH: usize = 15;
    let store = place.open().await;
    commit(&store, vec![put("count", "0")]).await;
    let counters = (0..COUNTERS).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut applied = 0;
            let mut newest = Revision::ZERO;
            while applied < EACH {
                let entry = store.get("count").await.unwrap().unwrap();
                assert!(entry.modified >= newest, "a read went back in time");
                let count: usize = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
                let next = vec![put("count", (count + 1).to_string())];
                if let Committed::Applied(revision) =
                    store.commit(vec![modified_at("count", entry.modified)], next).await.unwrap()
                {
                    applied += 1;
                    newest = revision;
                }
            }
        })
    });
    for counter in within("the counters", join_all(counters)).await {
        counter.unwrap();
    }
    assert_eq!(value(&store, "count").await, Some((COUNTERS * EACH).to_string()));
}
