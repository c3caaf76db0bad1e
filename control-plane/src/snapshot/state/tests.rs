//! What edges are told after listings, changes, gaps, faults and restores.

use bytes::Bytes;
use headland_proto::v1::DistributionConfig;
use proptest::prelude::*;

use super::*;

fn id(n: u32) -> DistributionId {
    let digits: String = format!("{n:013}").chars().map(|c| char::from(b'A' + (c as u8 - b'0'))).collect();
    format!("E{digits}").parse().unwrap()
}

fn entry(n: u32, revision: u64, comment: &str) -> Entry {
    let record = DistributionRecord {
        id: id(n).to_string(),
        config: Some(DistributionConfig { comment: comment.into(), ..Default::default() }),
        ..Default::default()
    };
    Entry {
        key: Key::Distribution(id(n)).to_string(),
        value: record.to_value(),
        modified: Revision(revision),
    }
}

fn put(n: u32, revision: u64) -> Change {
    Change::Put(entry(n, revision, "put"))
}

fn deleted(n: u32, revision: u64) -> Change {
    Change::Deleted { key: Key::Distribution(id(n)).to_string(), revision: Revision(revision) }
}

fn listing(revision: u64, entries: &[(u32, u64)]) -> Listing {
    Listing {
        entries: entries.iter().map(|(n, r)| entry(*n, *r, "put")).collect(),
        revision: Revision(revision),
        more: false,
    }
}

fn state(revision: u64, entries: &[(u32, u64)]) -> State {
    let mut state = State::default();
    state.reconcile("c", &listing(revision, entries));
    state
}

/// The changes since a revision as (to, changed, deleted).
fn check(state: &State, from: u64, to: u64, changed: &[u32], deleted: &[u32]) {
    assert!(state.can_count_from(Revision(from)), "from {from}");
    let span = state.changes_since(Revision(from));
    let ids: Vec<&str> = span.distributions.iter().map(|d| d.id.as_str()).collect();
    let changed: Vec<String> = changed.iter().map(|n| id(*n).to_string()).collect();
    let deleted: Vec<DistributionId> = deleted.iter().map(|n| id(*n)).collect();
    assert_eq!((span.from.0, span.to.0, span.whole), (from, to, false));
    assert_eq!(ids, changed, "changed since {from}");
    assert_eq!(span.deleted, deleted, "deleted since {from}");
}

#[test]
fn a_change_is_told_to_those_before_it_only() {
    let mut state = state(10, &[(1, 3), (2, 7)]);
    assert_eq!(state.apply(&put(3, 12)), Applied::Changed);
    assert_eq!(state.apply(&put(1, 15)), Applied::Changed);
    check(&state, 10, 15, &[3, 1], &[]);
    check(&state, 12, 15, &[1], &[]);
    check(&state, 15, 15, &[], &[]);
    assert_eq!(state.get(&id(1)).unwrap().revision, 15);
}

#[test]
fn a_deletion_is_told_until_the_id_returns() {
    let mut state = state(10, &[(1, 3), (2, 7)]);
    assert_eq!(state.apply(&deleted(1, 11)), Applied::Changed);
    check(&state, 10, 11, &[], &[1]);
    assert_eq!(state.apply(&deleted(9, 12)), Applied::Nothing, "unknown here, so unknown to edges");
    assert_eq!(state.apply(&put(1, 13)), Applied::Changed);
    check(&state, 10, 13, &[1], &[]);
}

#[test]
fn before_the_first_listing_nothing_can_be_counted_from() {
    let state = state(10, &[(1, 3)]);
    assert!(!state.can_count_from(Revision(9)), "a deletion at 10 would be missed");
    assert!(state.can_count_from(Revision(10)));
    assert!(!state.can_count_from(Revision(11)), "the edge is ahead");
    let whole = state.everything();
    assert_eq!((whole.from.0, whole.to.0, whole.whole, whole.distributions.len()), (0, 10, true, 1));
}

#[test]
fn progress_moves_the_revision_without_a_change() {
    let mut state = state(10, &[]);
    assert_eq!(state.apply(&Change::Progress(Revision(14))), Applied::Nothing);
    assert_eq!(state.apply(&Change::Progress(Revision(12))), Applied::Nothing);
    assert_eq!(state.revision(), Revision(14));
    check(&state, 10, 14, &[], &[]);
}

#[test]
fn a_change_out_of_order_is_a_fault() {
    let mut state = state(10, &[(1, 3)]);
    assert_eq!(state.apply(&put(2, 10)), Applied::OutOfOrder);
    assert_eq!(state.apply(&deleted(1, 4)), Applied::OutOfOrder);
    check(&state, 10, 10, &[], &[]);
}

#[test]
fn an_unreadable_value_leaves_the_version_before_it() {
    let mut state = state(10, &[(1, 3)]);
    let mut damaged = entry(1, 11, "x");
    damaged.value = Bytes::from_static(&[0xff; 4]);
    assert_eq!(state.apply(&Change::Put(damaged.clone())), Applied::Unreadable);
    let mut swapped = entry(2, 12, "x");
    swapped.key = Key::Distribution(id(1)).to_string();
    assert_eq!(state.apply(&Change::Put(swapped)), Applied::Unreadable, "names another distribution");
    assert_eq!(state.get(&id(1)).unwrap().revision, 3);
    let listed = Listing { entries: vec![damaged], revision: Revision(13), more: false };
    assert_eq!(state.reconcile("c", &listed), Reconciled { unreadable: 1, ..Default::default() });
    assert_eq!(state.get(&id(1)).unwrap().revision, 3);
}

#[test]
fn catching_up_after_a_gap_is_not_a_fault() {
    let mut state = state(10, &[(1, 3), (2, 7)]);
    let result = state.reconcile("c", &listing(20, &[(2, 15), (3, 18)]));
    assert_eq!(result, Reconciled { changed: 3, ..Default::default() });
    assert_eq!(state.epoch(), 0);
    check(&state, 10, 20, &[2, 3], &[1]);
    check(&state, 18, 20, &[], &[1]);
}

#[test]
fn a_listing_that_agrees_changes_nothing() {
    let mut state = state(10, &[(1, 3)]);
    state.apply(&put(2, 12));
    assert_eq!(state.reconcile("c", &listing(14, &[(1, 3), (2, 12)])), Reconciled::default());
    check(&state, 10, 14, &[2], &[]);
}

#[test]
fn what_the_watch_withheld_is_told_under_a_later_revision() {
    let mut state = state(10, &[]);
    state.apply(&put(2, 12));
    // 1 was written at 11, but the watch never said so; edges have applied 12.
    let result = state.reconcile("c", &listing(13, &[(1, 11), (2, 12)]));
    assert_eq!(result, Reconciled { changed: 1, healed: 1, ..Default::default() });
    check(&state, 12, 13, &[1], &[]);
    assert_eq!(state.get(&id(1)).unwrap().revision, 11);
}

#[test]
fn what_cannot_be_told_under_a_later_revision_is_told_anew() {
    let mut withheld_put = state(10, &[]);
    withheld_put.apply(&put(2, 12));
    let result = withheld_put.reconcile("c", &listing(12, &[(1, 11), (2, 12)]));
    assert_eq!((result.healed, withheld_put.epoch()), (1, 1));

    let mut withheld_deletion = state(10, &[(1, 3)]);
    withheld_deletion.apply(&put(2, 12));
    let result = withheld_deletion.reconcile("c", &listing(12, &[(2, 12)]));
    assert_eq!((result.healed, withheld_deletion.epoch()), (1, 1));
    assert_eq!(withheld_deletion.len(), 1);
}

#[test]
fn a_store_that_went_back_starts_a_new_epoch() {
    let mut state = state(10, &[(1, 3), (2, 7)]);
    state.apply(&deleted(2, 11));
    let result = state.reconcile("c", &listing(5, &[(1, 4)]));
    assert!(result.rewound);
    assert_eq!((state.epoch(), state.revision(), state.len()), (1, Revision(5), 1));
    assert!(!state.can_count_from(Revision(4)));
    assert_eq!(state.get(&id(1)).unwrap().revision, 4);
}

#[test]
fn another_cluster_starts_a_new_epoch_even_at_a_later_revision() {
    let mut state = state(10, &[(1, 3)]);
    assert!(state.reconcile("other", &listing(50, &[(2, 40)])).rewound);
    assert_eq!((state.epoch(), &**state.cluster_id(), state.len()), (1, "other", 1));
}

#[test]
fn the_oldest_deletions_are_forgotten_and_nobody_counts_from_before_them() {
    let mut state = state(1, &[]);
    let n = u32::try_from(TOMBSTONES_MAX).unwrap() + 2;
    for i in 0..n {
        state.apply(&put(i, u64::from(i) + 2));
    }
    let base = u64::from(n) + 2;
    for i in 0..n {
        state.apply(&deleted(i, base + u64::from(i)));
    }
    assert!(!state.can_count_from(Revision(base)));
    assert!(state.can_count_from(Revision(base + 1)), "only those at {base} and the next are forgotten");
    let span = state.changes_since(Revision(base + 1));
    assert_eq!(span.deleted.len(), TOMBSTONES_MAX);
}

proptest! {
    /// An edge that starts anywhere and applies the changes since then holds what the state holds.
    #[test]
    fn changes_since_any_revision_lead_to_the_same_place(
        ops in proptest::collection::vec((0u32..6, any::<bool>()), 1..40), cut in 0usize..40,
    ) {
        let mut state = state(1, &[]);
        let mut edge: Option<(Revision, BTreeMap<String, u64>)> = None;
        for (i, (n, is_put)) in ops.iter().enumerate() {
            if i == cut.min(ops.len() - 1) {
                let held = state.everything().distributions;
                let held = held.iter().map(|d| (d.id.clone(), d.revision)).collect();
                edge = Some((state.revision(), held));
            }
            let revision = i as u64 + 2;
            state.apply(&if *is_put { put(*n, revision) } else { deleted(*n, revision) });
        }
        let (from, mut held) = edge.unwrap();
        let span = state.changes_since(from);
        span.distributions.iter().for_each(|d| { held.insert(d.id.clone(), d.revision); });
        span.deleted.iter().for_each(|id| { held.remove(id.as_str()); });
        let expected: BTreeMap<String, u64> =
            state.everything().distributions.iter().map(|d| (d.id.clone(), d.revision)).collect();
        prop_assert_eq!(held, expected);
    }
}
