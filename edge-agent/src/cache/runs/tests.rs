//! Who joins which run, what followers get, and when a run goes on.

use bytes::Bytes;
use futures::FutureExt;

use super::*;
use crate::cache::coalescing::body::Held;

const ID: u64 = 7;

fn begun(runs: &Arc<Runs>, index: u64, end: u64) -> (Follower, Conductor) {
    match runs.join(ID, index, end) {
        Joined::Begun(follower, conductor) => (follower, conductor),
        Joined::Along(_) => panic!("there is a run already"),
    }
}

fn along(runs: &Arc<Runs>, index: u64) -> Option<Follower> {
    match runs.join(ID, index, index + 1) {
        Joined::Along(follower) => Some(follower),
        Joined::Begun(..) => None,
    }
}

fn body() -> Arc<FillBody> {
    FillBody::new(true, Arc::new(Held::up_to(u64::MAX)))
}

#[test]
fn a_run_is_joined_where_it_is_or_will_soon_be() {
    let runs = Arc::new(Runs::default());
    let (_follower, conductor) = begun(&runs, 10, 40);
    assert!(along(&runs, 10).is_some());
    assert!(along(&runs, 10 + NEAR_BLOCKS).is_some());
    assert!(along(&runs, 11 + NEAR_BLOCKS).is_none(), "too far ahead");
    assert!(along(&runs, 9).is_none(), "gone by");
    conductor.done();
    assert!(along(&runs, 10).is_none(), "done");
    assert!(matches!(runs.join(ID + 1, 11, 12), Joined::Begun(..)), "another object's");
    drop(conductor);
    assert!(along(&runs, 11).is_none(), "over");
    assert!(runs.0.lock().is_empty());
}

#[tokio::test]
async fn followers_read_what_comes_and_are_told_when_nothing_more_will() {
    let runs = Arc::new(Runs::default());
    let (first, conductor) = begun(&runs, 0, 2);
    let second = along(&runs, 1).expect("the same run");
    assert!(first.next(0).now_or_never().is_none(), "nothing has come yet");
    assert!(second.next(1).now_or_never().is_none());
    let block = body();
    conductor.begin(&block);
    assert!(matches!(first.next(0).await, Next::Body(_)));
    assert!(second.next(1).now_or_never().is_none(), "the one before it is under way");
    block.push(Bytes::from_static(b"x")).await;
    conductor.done();
    assert!(matches!(first.next(0).await, Next::Body(_)), "it has only just come");
    conductor.begin(&body());
    assert!(matches!(first.next(0).await, Next::Passed), "it is in the cache, or nowhere");
    assert!(matches!(second.next(1).await, Next::Body(_)));
    assert!(matches!(second.next(2).await, Next::Passed), "beyond the end");
    conductor.fail();
    assert!(matches!(second.next(1).await, Next::Failed));
}

#[tokio::test]
async fn a_broken_run_breaks_the_block_that_is_under_way() {
    let runs = Arc::new(Runs::default());
    let (follower, conductor) = begun(&runs, 0, 2);
    conductor.begin(&body());
    let Next::Body(mut reader) = follower.next(0).await else { panic!("a block is under way") };
    drop(conductor);
    let read = std::future::poll_fn(|cx| reader.poll_next(cx)).await;
    assert!(matches!(read, Some(Err(_))), "{read:?}");
    assert!(matches!(follower.next(1).await, Next::Passed));
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_as_far_as_it_is_wanted() {
    let runs = Arc::new(Runs::default());
    let (follower, conductor) = begun(&runs, 0, 9);
    assert!(conductor.is_wanted().now_or_never().is_none(), "nobody has asked for the first");
    assert!(follower.next(0).now_or_never().is_none());
    assert!(conductor.is_wanted().await);
    conductor.begin(&body());
    conductor.done();
    assert!(conductor.is_wanted().now_or_never().is_none());
    assert!(follower.next(1).now_or_never().is_none());
    assert!(conductor.is_wanted().await);
    assert!(conductor.is_followed());
    drop(follower);
    conductor.begin(&body());
    conductor.done();
    assert!(!conductor.is_wanted().await, "everybody has left");
    // One that nobody has followed yet waits for somebody, but not for ever.
    let conductor = runs.begin(ID + 1, 0..9);
    assert!(!conductor.is_wanted().await);
}
