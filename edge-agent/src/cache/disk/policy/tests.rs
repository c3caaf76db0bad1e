use proptest::prelude::*;

use super::*;

const SEGMENT: u64 = 100;

fn name(n: u64) -> Name {
    Name([n, 0])
}

fn candidate(n: u64, uses: u8) -> Candidate {
    Candidate { name: name(n), bytes: 10, uses }
}

/// Segments 0.. of these logs, all full and closed.
fn policy(logs: &[Log]) -> Policy {
    let mut policy = Policy::new(20 * SEGMENT, SEGMENT, 1000);
    for (segment, log) in logs.iter().enumerate() {
        policy.opened(segment as u32, *log);
        policy.wrote(segment as u32, SEGMENT);
        policy.sealed(segment as u32);
    }
    policy
}

#[test]
fn nothing_is_given_up_while_there_is_room() {
    assert_eq!(policy(&[Log::Probation; 18]).reclaim(1000), None);
    assert_eq!(policy(&[Log::Probation; 19]).reclaim(1000), Some((0, Log::Probation)));
    assert_eq!(policy(&[Log::Probation; 2]).reclaim(1001), Some((0, Log::Probation)), "too many records");
}

#[test]
fn probation_gives_way_while_it_has_more_than_its_share() {
    let mut logs = [Log::Main; 19];
    assert_eq!(policy(&logs).reclaim(0), Some((0, Log::Main)));
    logs[18] = Log::Probation;
    assert_eq!(policy(&logs).reclaim(0), Some((18, Log::Probation)), "one of 18 is more than its share");
    let mut policy = policy(&logs[..18]);
    policy.opened(18, Log::Probation);
    policy.wrote(18, SEGMENT / 4);
    policy.sealed(18);
    policy.opened(19, Log::Main);
    policy.wrote(19, SEGMENT);
    assert_eq!(policy.reclaim(0), Some((0, Log::Main)), "a quarter of a segment is less");
}

#[test]
fn an_open_segment_is_never_given_up() {
    let mut policy = Policy::new(0, SEGMENT, 0);
    policy.opened(7, Log::Main);
    policy.wrote(7, 50);
    assert_eq!(policy.reclaim(5), None);
    policy.sealed(7);
    assert_eq!(policy.reclaim(5), Some((7, Log::Main)));
    policy.gone(7);
    assert_eq!((policy.reclaim(5), policy.bytes()), (None, 0));
}

#[test]
fn what_was_used_on_probation_goes_to_main_and_the_rest_may_come_back_there() {
    let mut policy = policy(&[]);
    let fates = policy.fates(Log::Probation, &[candidate(1, 0), candidate(2, 1), candidate(3, 3)]);
    assert_eq!(fates, [Fate::Dropped, Fate::Main { uses: 0 }, Fate::Main { uses: 0 }]);
    raise_the_bar(&mut policy, 3);
    assert_eq!(policy.admit(name(1)), Log::Main, "a ghost");
    assert_eq!(policy.admit(name(1)), Log::Probation, "only once");
    assert_eq!(policy.admit(name(2)), Log::Probation, "never dropped");
}

/// Main drops things that were asked for so often, until the bar is nearly there.
fn raise_the_bar(policy: &mut Policy, asked: u8) {
    const OTHERS: u64 = 500;
    // More than may be written again, each used as often.
    let used: Vec<_> = (0..100).map(|n| candidate(OTHERS + n, asked)).collect();
    policy.fates(Log::Main, &used);
    let unused: Vec<_> = (0..100).map(|n| candidate(OTHERS + n, 0)).collect();
    (0..20).for_each(|_| _ = policy.fates(Log::Main, &unused));
}

#[test]
fn what_is_asked_for_less_often_than_what_main_drops_stays_on_probation() {
    let mut policy = policy(&[]);
    assert_eq!(policy.fates(Log::Probation, &[candidate(1, 1)]), [Fate::Main { uses: 0 }], "no bar yet");
    raise_the_bar(&mut policy, 3);
    assert_eq!(policy.fates(Log::Probation, &[candidate(2, 2)]), [Fate::Dropped], "a ghost now");
    assert_eq!(policy.fates(Log::Probation, &[candidate(3, 3)]), [Fate::Main { uses: 0 }]);
}

#[test]
fn what_was_asked_for_more_often_than_what_main_drops_is_admitted_to_main() {
    let mut policy = policy(&[]);
    assert!((0..9).all(|_| policy.admit(name(2)) == Log::Probation), "nothing was dropped yet");
    raise_the_bar(&mut policy, 2);
    let logs: Vec<_> = (0..4).map(|_| policy.admit(name(1))).collect();
    assert_eq!(logs, [Log::Probation, Log::Probation, Log::Main, Log::Main], "after it was asked for twice");
}

#[test]
fn ghosts_are_half_as_many_as_the_records() {
    let mut policy = policy(&[]);
    assert_eq!(policy.reclaim(20), None);
    policy.fates(Log::Probation, &(0..30).map(|n| candidate(n, 0)).collect::<Vec<_>>());
    let ghosts = (0..30).filter(|n| policy.admit(name(*n)) == Log::Main).count();
    assert_eq!(ghosts, 10, "the newest of them");
    assert_eq!(super::ghosts(u64::MAX), GHOSTS_MAX as usize);
}

#[test]
fn what_main_drops_is_not_a_ghost() {
    let mut policy = policy(&[]);
    assert_eq!(policy.fates(Log::Main, &[candidate(1, 0)]), [Fate::Dropped]);
    assert_eq!(policy.admit(name(1)), Log::Probation);
}

#[test]
fn main_writes_the_most_used_again_up_to_its_share() {
    let mut policy = policy(&[]);
    let candidates: Vec<_> = (0..10).map(|n| candidate(n, if n < 5 { 1 } else { 2 })).collect();
    let fates = policy.fates(Log::Main, &candidates);
    assert_eq!(fates[5..], [Fate::Main { uses: 1 }; 5]);
    assert_eq!(fates.iter().filter(|fate| **fate == Fate::Main { uses: 0 }).count(), 2, "70 of 75 bytes");
}

#[test]
fn of_what_is_asked_for_as_often_main_writes_the_small_again_first() {
    let mut policy = policy(&[]);
    let of = |n, uses, bytes| Candidate { name: name(n), bytes, uses };
    let fates = policy.fates(Log::Main, &[of(1, 1, 40), of(2, 1, 10), of(3, 3, 40), of(4, 1, 25)]);
    assert_eq!(fates[0], Fate::Dropped, "40 and 10 and 25 bytes fill 75");
    assert_eq!(fates[1..], [Fate::Main { uses: 0 }, Fate::Main { uses: 2 }, Fate::Main { uses: 0 }]);
}

proptest! {
    #[test]
    fn giving_up_a_segment_of_main_always_frees_a_quarter(
        uses in prop::collection::vec((0..=3u8, 1..50u64), 0..40)
    ) {
        let candidates: Vec<_> = uses.iter().enumerate()
            .map(|(n, &(uses, bytes))| Candidate { name: name(n as u64), bytes, uses }).collect();
        let fates = policy(&[]).fates(Log::Main, &candidates);
        prop_assert_eq!(fates.len(), candidates.len());
        let kept = candidates.iter().zip(&fates).filter(|(_, fate)| **fate != Fate::Dropped);
        prop_assert!(kept.clone().all(|(candidate, _)| candidate.uses > 0));
        prop_assert!(kept.map(|(candidate, _)| candidate.bytes).sum::<u64>() <= SEGMENT * 3 / 4);
    }

    #[test]
    fn ghosts_are_bounded_and_the_newest_are_known(names in prop::collection::vec(0..50u64, 1..200)) {
        let mut ghosts = Ghosts::new(8);
        for &n in &names {
            ghosts.add(name(n));
            if n % 7 == 0 {
                ghosts.take(name(n));
                ghosts.add(name(n));
            }
            prop_assert!(ghosts.order.len() <= 8 && ghosts.places.len() <= 8);
        }
        prop_assert!(ghosts.take(name(names[names.len() - 1])));
    }
}
