//! The rules of the sync protocol, one test each.

use super::*;

const A: &str = "EAAAAAAAAAAAAA";
const B: &str = "EBBBBBBBBBBBBB";
const C: &str = "ECCCCCCCCCCCCC";

/// A distribution that compiles.
fn good(id: &str, revision: u64) -> v1::DesiredDistribution {
    let origin = v1::Origin {
        id: "o".into(),
        kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
            domain_name: "origin.example".into(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let behavior = v1::CacheBehavior {
        target_origin_id: "o".into(),
        cache_policy: Some(v1::CachePolicyConfig::default()),
        ..Default::default()
    };
    v1::DesiredDistribution {
        id: id.into(),
        domain_name: format!("d{}.cdn.localhost", id[1..].to_lowercase()),
        revision,
        config: Some(v1::DistributionConfig {
            caller_reference: id.into(),
            comment: format!("revision {revision}"),
            enabled: true,
            origins: vec![origin],
            default_cache_behavior: Some(behavior),
            ..Default::default()
        }),
    }
}

/// A distribution that does not: it has no origin.
fn bad(id: &str, revision: u64) -> v1::DesiredDistribution {
    let mut desired = good(id, revision);
    desired.config.as_mut().unwrap().origins.clear();
    desired
}

fn whole(to: u64, distributions: Vec<v1::DesiredDistribution>) -> WholeUpdate {
    WholeUpdate { to: Revision(to), whole: true, distributions, ..WholeUpdate::default() }
}

fn delta(from: u64, to: u64, distributions: Vec<v1::DesiredDistribution>) -> WholeUpdate {
    WholeUpdate { from: Revision(from), to: Revision(to), distributions, ..WholeUpdate::default() }
}

/// Offers an update of the cluster "c" in the state's own history.
fn offer(state: &State, update: WholeUpdate) -> Outcome {
    state.apply(Offer { cluster_id: "c".into(), history: state.history(), update })
}

fn applied(outcome: Outcome) -> Applied {
    match outcome {
        Outcome::Applied(applied) => *applied,
        other => panic!("expected to be applied: {other:?}"),
    }
}

/// Ids and revisions of what is served.
fn served(state: &State) -> Vec<(&str, u64)> {
    state.held.iter().map(|(id, held)| (&**id, held.compiled.revision.0)).collect()
}

/// A state at revision 10 with A, B and C.
fn ten() -> State {
    let state = State::default();
    assert!(!state.is_serving());
    applied(offer(&state, whole(10, vec![good(A, 3), good(B, 4), good(C, 10)]))).state
}

#[test]
fn a_whole_update_is_all_there_is() {
    let state = ten();
    assert!(state.is_serving());
    assert_eq!((state.applied(), state.cluster_id()), (Revision(10), "c"));
    let next = applied(offer(&state, whole(12, vec![good(B, 12)])));
    assert_eq!(served(&next.state), [(B, 12)]);
    assert!(matches!(next.served, Served::Anew));
    assert_eq!(next.state.history(), state.history(), "the revisions still mean the same");
}

#[test]
fn a_first_update_may_be_empty() {
    let next = applied(offer(&State::default(), whole(0, vec![])));
    assert!(next.state.is_serving(), "nothing to serve is a configuration too");
}

#[test]
fn a_delta_changes_what_it_names() {
    let state = ten();
    let update = WholeUpdate { deleted: vec![C.into()], ..delta(10, 14, vec![good(B, 13)]) };
    let next = applied(offer(&state, update));
    assert_eq!(served(&next.state), [(A, 3), (B, 13)]);
    assert_eq!(next.state.applied(), Revision(14));
    assert!(Arc::ptr_eq(&state.held[A], &next.state.held[A]), "what did not change is not compiled again");
}

#[test]
fn a_delta_may_reach_back_before_what_is_applied() {
    let state = applied(offer(&ten(), delta(10, 12, vec![good(A, 12)]))).state;
    let next = applied(offer(&state, delta(5, 13, vec![good(A, 11), good(C, 10), good(B, 13)])));
    assert_eq!(served(&next.state), [(A, 12), (B, 13), (C, 10)], "nothing goes back");
    assert!(Arc::ptr_eq(&state.held[C], &next.state.held[C]));
}

#[test]
fn a_whole_update_compiles_only_what_differs() {
    let state = ten();
    let next = applied(offer(&state, whole(11, vec![good(A, 3), good(B, 11), good(C, 10)]))).state;
    assert!(Arc::ptr_eq(&state.held[A], &next.held[A]) && Arc::ptr_eq(&state.held[C], &next.held[C]));
    let same = applied(offer(&next, whole(12, vec![good(A, 3), good(B, 11), good(C, 10)])));
    assert!(matches!(same.served, Served::Same), "the table in force stays");
    assert_eq!(same.state.applied(), Revision(12));
}

#[test]
fn what_is_not_newer_is_ignored() {
    let state = ten();
    for update in [
        whole(9, vec![]),
        whole(10, vec![]),
        delta(5, 9, vec![good(A, 9)]),
        delta(5, 10, vec![good(A, 9)]),
        delta(10, 10, vec![bad(A, 10)]),
    ] {
        let text = format!("{update:?}");
        assert!(matches!(offer(&state, update), Outcome::Ignored), "{text}");
    }
}

#[test]
fn an_update_that_begins_too_late_is_a_gap() {
    assert!(matches!(offer(&ten(), delta(11, 12, vec![good(A, 12)])), Outcome::Gap(_)));
    assert!(matches!(offer(&State::default(), delta(1, 2, vec![good(A, 2)])), Outcome::Gap(_)));
}

#[test]
fn a_store_that_went_back_takes_the_edge_with_it() {
    let state = ten();
    let back = |to| WholeUpdate { rewind: true, ..whole(to, vec![good(A, 3), good(C, 5)]) };
    let next = applied(offer(&state, back(6))).state;
    assert_eq!((served(&next), next.applied()), (vec![(A, 3), (C, 5)], Revision(6)));
    assert!(Arc::ptr_eq(&state.held[A], &next.held[A]));

    // A session that said Hello before speaks of the lost revisions: whatever it brings, it must start over.
    for update in [back(4), whole(11, vec![]), delta(6, 7, vec![good(A, 7)])] {
        let stale = Offer { cluster_id: "c".into(), history: state.history(), update };
        assert!(matches!(next.apply(stale), Outcome::Gap(_)));
    }
    let next = applied(offer(&next, delta(6, 7, vec![good(A, 7)]))).state;
    assert_eq!(served(&next), [(A, 7), (C, 5)]);
}

#[test]
fn restored_content_under_a_used_revision_is_taken() {
    let mut restored = good(A, 3);
    restored.config.as_mut().unwrap().comment = "another life".into();
    let next = applied(offer(&ten(), WholeUpdate { rewind: true, ..whole(3, vec![restored.clone()]) })).state;
    assert_eq!(*next.held[A].desired, restored);
}

#[test]
fn another_cluster_replaces_everything() {
    let state = ten();
    let from = |update| Offer { cluster_id: "other".into(), history: state.history(), update };
    assert!(matches!(state.apply(from(delta(10, 11, vec![good(A, 11)]))), Outcome::Gap(_)));
    let next = applied(state.apply(from(whole(2, vec![good(A, 2), bad(B, 1)])))).state;
    assert_eq!((next.cluster_id(), next.applied()), ("other", Revision(2)));
    assert_eq!(served(&next), [(A, 2)], "another cluster's distribution is no previous version");
    assert_ne!(next.history(), state.history());
}

#[test]
fn an_empty_cluster_does_not_end_what_another_gave() {
    let of = |state: &State, update| {
        state.apply(Offer { cluster_id: "lost".into(), history: state.history, update })
    };
    let state = ten();
    assert!(matches!(of(&state, whole(1, vec![])), Outcome::Ignored));
    assert!(matches!(of(&state, delta(1, 2, vec![good(A, 2)])), Outcome::Gap(_)), "it asks for the whole");
    assert_eq!(served(&applied(of(&state, whole(2, vec![good(A, 2)]))).state), [(A, 2)]);
}

#[test]
fn a_refused_distribution_keeps_its_previous_version_and_stops_no_other() {
    for update in [
        delta(10, 12, vec![good(A, 11), bad(B, 12), bad("no id", 12)]),
        whole(12, vec![good(A, 11), bad(B, 12), good(C, 10), bad("no id", 12)]),
    ] {
        let next = applied(offer(&ten(), update));
        assert_eq!(served(&next.state), [(A, 11), (B, 4), (C, 10)]);
        assert_eq!(next.state.applied(), Revision(12));
        let refused: Vec<_> = next.state.refused().map(|(id, r)| (id, r.revision.0)).collect();
        assert_eq!(refused, [(B, 12), ("no id", 12)]);
        let (_, refusal) = next.state.refused().next().unwrap();
        assert!(refusal.reason.contains("origins"), "{}", refusal.reason);

        let mended = applied(offer(&next.state, delta(12, 13, vec![good(B, 13)]))).state;
        assert_eq!(served(&mended), [(A, 11), (B, 13), (C, 10)]);
        assert_eq!(mended.refused().count(), 1);
    }
}

#[test]
fn a_refusal_ends_with_its_distribution() {
    let state = applied(offer(&ten(), delta(10, 12, vec![bad(B, 12)]))).state;
    let deleted = WholeUpdate { deleted: vec![B.into()], ..delta(12, 13, vec![]) };
    for update in [deleted, whole(13, vec![good(A, 3)])] {
        let next = applied(offer(&state, update)).state;
        assert_eq!(next.refused().count(), 0);
        assert!(!next.held.contains_key(B));
    }
}

#[test]
fn what_was_saved_is_what_was_held() {
    let state = applied(offer(&ten(), delta(10, 12, vec![bad(B, 12), bad("no id", 12)]))).state;
    let loaded = State::from_record(state.to_record());
    assert_eq!(loaded.refused().len(), 1, "what is no id cannot be asked for again");
    assert_eq!(served(&loaded), served(&state));
    assert_eq!((loaded.cluster_id(), loaded.applied()), ("c", Revision(12)));
    let (id, refused) = loaded.refused().next().unwrap();
    assert!(id == B && refused.resend);
}

#[test]
fn a_resent_distribution_is_taken_although_nothing_is_newer() {
    let state = applied(offer(&ten(), delta(10, 12, vec![bad(B, 12)]))).state;
    let loaded = State::from_record(state.to_record());
    // Only what was asked for counts, whatever else comes along.
    let resent = |b| WholeUpdate { deleted: vec![C.into()], ..delta(12, 12, vec![b, bad(A, 12)]) };
    let next = applied(offer(&loaded, resent(good(B, 12)))).state;
    assert_eq!(served(&next), [(A, 3), (B, 12), (C, 10)]);
    assert_eq!(next.refused().count(), 0);
    let still = applied(offer(&loaded, resent(bad(B, 12)))).state;
    let (_, refused) = still.refused().next().unwrap();
    assert!(!refused.resend && refused.revision == Revision(12));
    assert!(matches!(offer(&still, resent(good(B, 12))), Outcome::Ignored), "asked once, answered once");
}

#[test]
fn a_saved_distribution_that_no_longer_compiles_is_asked_for_again() {
    let mut record = ten().to_record();
    record.distributions[1] = bad(B, 4);
    let loaded = State::from_record(record);
    assert_eq!(served(&loaded), [(A, 3), (C, 10)]);
    let (id, refused) = loaded.refused().next().unwrap();
    assert!(id == B && refused.resend);
}

#[test]
fn a_long_reason_is_cut() {
    let mut desired = good(A, 1);
    desired.config.as_mut().unwrap().aliases = vec!["ä/".repeat(300); 50];
    let next = applied(offer(&State::default(), whole(1, vec![desired]))).state;
    let (_, refused) = next.refused().next().unwrap();
    assert_eq!(refused.reason.chars().count(), REASON_CHARS_MAX);
}

const POLICY: &str = "11111111-2222-4333-8444-555555555555";

/// A cache policy that keeps for `seconds`, if that is possible.
fn policy(revision: u64, seconds: i64) -> v1::DesiredResource {
    let min_ttl = Some(prost_types::Duration { seconds, nanos: 0 });
    let config = v1::CachePolicyConfig { name: "p".into(), min_ttl, ..Default::default() };
    let kind = Some(v1::resource_config::Kind::CachePolicy(config));
    v1::DesiredResource { id: POLICY.into(), revision, config: Some(v1::ResourceConfig { kind }) }
}

/// A distribution that refers to it.
fn using(id: &str, revision: u64) -> v1::DesiredDistribution {
    let mut desired = good(id, revision);
    let behavior = desired.config.as_mut().unwrap().default_cache_behavior.as_mut().unwrap();
    (behavior.cache_policy, behavior.cache_policy_id) = (None, POLICY.into());
    desired
}

fn with(resources: Vec<v1::DesiredResource>, update: WholeUpdate) -> WholeUpdate {
    WholeUpdate { resources, ..update }
}

/// The minimum TTL that each distribution obeys.
fn obeyed(state: &State) -> Vec<(&str, u64)> {
    let min = |held: &Held| held.compiled.behavior("/").rules.cache_policy.ttl.min.as_secs();
    state.held.iter().map(|(id, held)| (&**id, min(held))).collect()
}

#[test]
fn a_change_of_a_policy_reaches_those_who_refer_to_it_and_no_others() {
    let state = applied(offer(&ten(), with(vec![policy(11, 60)], delta(10, 12, vec![using(A, 12)])))).state;
    assert_eq!(obeyed(&state), [(A, 60), (B, 0), (C, 0)]);
    let next = applied(offer(&state, with(vec![policy(13, 90)], delta(12, 13, vec![]))));
    assert_eq!(obeyed(&next.state), [(A, 90), (B, 0), (C, 0)]);
    assert!(matches!(next.served, Served::Changed { .. }));
    assert!(Arc::ptr_eq(&state.held[B], &next.state.held[B]));
    let same = applied(offer(&next.state, with(vec![policy(13, 90)], delta(12, 14, vec![]))));
    assert!(matches!(same.served, Served::Same), "nothing has changed");
    let older = applied(offer(&same.state, with(vec![policy(11, 60)], delta(10, 15, vec![]))));
    assert_eq!(obeyed(&older.state)[0], (A, 90), "nothing goes back");
}

#[test]
fn a_policy_that_cannot_be_used_leaves_the_one_before_it_and_is_named() {
    let state = applied(offer(&ten(), with(vec![policy(11, 60)], delta(10, 12, vec![using(A, 12)])))).state;
    let next = applied(offer(&state, with(vec![policy(13, -1)], delta(12, 13, vec![]))));
    assert_eq!(obeyed(&next.state), [(A, 60), (B, 0), (C, 0)]);
    let refusal = next.state.refusal(A).expect("refused");
    assert_eq!(refusal.revision, Revision(13));
    assert!(refusal.reason.contains(POLICY) && refusal.reason.contains("min_ttl"), "{}", refusal.reason);
    // A change of the distribution itself does not hide it.
    let next = applied(offer(&next.state, delta(13, 14, vec![using(A, 14)])));
    assert_eq!((obeyed(&next.state)[0], next.refused.len()), ((A, 60), 1));
    let mended = applied(offer(&next.state, with(vec![policy(15, 30)], delta(14, 15, vec![]))));
    assert_eq!(obeyed(&mended.state)[0], (A, 30));
    assert_eq!(served(&mended.state)[0], (A, 14), "what was refused meanwhile is served now");
    assert_eq!(mended.state.refused().len(), 0);
}

#[test]
fn a_distribution_waits_for_what_it_refers_to() {
    let next = applied(offer(&ten(), delta(10, 12, vec![using(A, 12)])));
    assert_eq!(served(&next.state)[0], (A, 3));
    assert!(next.state.refusal(A).unwrap().reason.contains("cache_policy_id"));
    let next = applied(offer(&next.state, with(vec![policy(13, 60)], delta(12, 13, vec![]))));
    assert_eq!((served(&next.state)[0], obeyed(&next.state)[0]), ((A, 12), (A, 60)));
}

#[test]
fn resources_outlive_a_restart() {
    let state = applied(offer(&ten(), with(vec![policy(11, 60)], delta(10, 12, vec![using(A, 12)])))).state;
    let saved = State::from_record(state.to_record());
    assert_eq!(obeyed(&saved), obeyed(&state));
    let next = applied(offer(&saved, with(vec![policy(13, 90)], delta(12, 13, vec![]))));
    assert_eq!(obeyed(&next.state)[0], (A, 90));
}

#[test]
fn what_is_added_to_what_was_saved_makes_it_what_is_held() {
    use crate::sync::unsaved::apply;

    let mut state = ten();
    let first = state.to_record();
    let (mut changes, mut at_once) = (Vec::new(), Unsaved::default());
    for update in [
        delta(10, 11, vec![good(B, 11)]),
        delta(11, 12, vec![bad(C, 12)]),
        with(vec![policy(13, 60)], delta(12, 14, vec![using(A, 14)])),
        with(vec![policy(15, 90)], delta(14, 15, vec![])),
        delta(15, 16, vec![]),
        WholeUpdate { deleted: vec![B.into()], ..delta(16, 17, vec![good(C, 17)]) },
        with(vec![policy(18, -1)], delta(17, 18, vec![])),
        WholeUpdate { deleted_resources: vec![POLICY.into()], ..delta(18, 19, vec![good(A, 19)]) },
    ] {
        let next = applied(offer(&state, update));
        state = next.state;
        changes.push(next.unsaved.to_record(&state).expect("no more than can be named"));
        at_once.add(next.unsaved);
        assert_eq!(apply(first.clone(), changes.clone()), state.to_record(), "at {}", state.applied());
        let together = at_once.to_record(&state).expect("no more than can be named");
        assert_eq!(apply(first.clone(), vec![together]), state.to_record());
    }
    let all = applied(offer(&state, whole(20, vec![good(B, 20)])));
    at_once.add(all.unsaved);
    assert_eq!(at_once, Unsaved::everything());
    assert_eq!(at_once.to_record(&all.state), None);
}

fn key(n: u8, revision: u64, name: &str) -> v1::DesiredResource {
    // Other keys than these cannot be told apart here, and need not be.
    let public_key_pem = include_str!("../../../../proto/src/model/public_key/p256.pem").to_owned();
    let config = v1::PublicKeyConfig { name: name.into(), public_key_pem, ..Default::default() };
    resource(n, revision, v1::resource_config::Kind::PublicKey(config))
}

fn group(n: u8, revision: u64, keys: &[u8]) -> v1::DesiredResource {
    let public_key_ids = keys.iter().map(|n| id(*n)).collect();
    let config = v1::KeyGroupConfig { name: "g".into(), public_key_ids, ..Default::default() };
    resource(n, revision, v1::resource_config::Kind::KeyGroup(config))
}

fn id(n: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{n:02}")
}

fn resource(n: u8, revision: u64, kind: v1::resource_config::Kind) -> v1::DesiredResource {
    v1::DesiredResource { id: id(n), revision, config: Some(v1::ResourceConfig { kind: Some(kind) }) }
}

fn trusting(distribution: &str, revision: u64, group: u8) -> v1::DesiredDistribution {
    let mut desired = good(distribution, revision);
    let behavior = desired.config.as_mut().unwrap().default_cache_behavior.as_mut().unwrap();
    behavior.trusted_key_group_ids = vec![id(group)];
    desired
}

/// How many keys each distribution that is served trusts; 0 for one that needs no signature.
fn trusted(state: &State) -> Vec<(&str, usize)> {
    let keys = |held: &Held| {
        let behavior = held.compiled.behavior("/");
        behavior.rules.trusted_keys.as_ref().map_or(0, |trusted| trusted.keys.len())
    };
    state.held.iter().map(|(id, held)| (&**id, keys(held))).collect()
}

#[test]
fn a_change_of_a_key_group_or_of_its_key_reaches_those_who_trust_it_and_no_others() {
    let update = whole(10, vec![trusting(A, 9, 3), good(B, 4)]);
    let state = applied(offer(
        &State::default(),
        with(vec![key(1, 1, "k"), key(2, 2, "l"), group(3, 3, &[1, 2])], update),
    ));
    assert_eq!(trusted(&state.state), [(A, 2), (B, 0)]);
    let next = applied(offer(&state.state, with(vec![group(3, 11, &[1])], delta(10, 11, vec![]))));
    assert_eq!(trusted(&next.state), [(A, 1), (B, 0)]);
    assert!(Arc::ptr_eq(&state.state.held[B], &next.state.held[B]));
    // The key is changed, the group is not sent again.
    let renamed = applied(offer(&next.state, with(vec![key(1, 12, "m")], delta(11, 12, vec![]))));
    assert!(!Arc::ptr_eq(&next.state.held[A], &renamed.state.held[A]));
    assert!(Arc::ptr_eq(&next.state.held[B], &renamed.state.held[B]));
    assert_eq!(State::from_record(renamed.state.to_record()).to_record(), renamed.state.to_record());
    assert_eq!(trusted(&State::from_record(renamed.state.to_record())), [(A, 1), (B, 0)]);
}

#[test]
fn a_key_that_cannot_be_used_keeps_what_trusts_it_from_being_served_without_it() {
    let mut broken = key(1, 1, "k");
    if let Some(v1::resource_config::Kind::PublicKey(key)) = broken.config.as_mut().unwrap().kind.as_mut() {
        key.public_key_pem = "of a kind that is not known here".into();
    }
    let update = with(vec![broken, group(3, 3, &[1])], whole(10, vec![trusting(A, 9, 3), good(B, 4)]));
    let state = applied(offer(&State::default(), update));
    assert_eq!(trusted(&state.state), [(B, 0)]);
    let reason = &state.state.refused[A].reason;
    assert!(reason.contains("public key 00000000-0000-4000-8000-000000000001"), "{reason}");
    let mended = applied(offer(&state.state, with(vec![key(1, 11, "k")], delta(10, 11, vec![]))));
    assert_eq!(trusted(&mended.state), [(A, 1), (B, 0)]);
    // One that is gone, as no control plane would have it, is no leave to serve without.
    let gone = WholeUpdate { deleted_resources: vec![id(1)], ..delta(11, 12, vec![]) };
    let gone = applied(offer(&mended.state, gone));
    assert_eq!(trusted(&gone.state), [(A, 1), (B, 0)], "the version before it stays");
    assert!(gone.state.refused.contains_key(A));
}
