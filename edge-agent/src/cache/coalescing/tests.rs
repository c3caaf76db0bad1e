//! One fetch, many waiters, bounded memory.

use std::{future::poll_fn, time::Duration};

use bytes::Bytes;
use futures::FutureExt;

use super::{
    body::{Demand, ReadError, Reader},
    *,
};
use crate::clock::Timestamp;

type TestFills = Arc<Fills<&'static str>>;

fn fills() -> TestFills {
    Arc::new(Fills::new(u64::MAX))
}

fn leader(fills: &TestFills, key: &[u8]) -> Leader<&'static str> {
    match fills.join(&key.into()) {
        Role::Leader(leader) => leader,
        Role::Waiter(_) => panic!("somebody else leads"),
    }
}

fn waiter(fills: &TestFills, key: &[u8]) -> Arc<Fill<&'static str>> {
    match fills.join(&key.into()) {
        Role::Waiter(fill) => fill,
        Role::Leader(_) => panic!("nobody leads"),
    }
}

/// What is stored in the end.
fn stored(chunks: &[Bytes], bytes: u64) -> Arc<Object> {
    Arc::new(Object::new(Head::sample(Timestamp::default(), Duration::ZERO), chunks, bytes))
}

async fn next(reader: &mut Reader) -> Option<Result<Bytes, ReadError>> {
    poll_fn(|cx| reader.poll_next(cx)).await
}

fn body(retained: bool) -> Arc<FillBody> {
    FillBody::new(retained, Arc::new(Held::up_to(u64::MAX)))
}

#[tokio::test]
async fn the_first_leads_and_the_others_wait() {
    let fills = fills();
    let lead = leader(&fills, b"k");
    let waiting = waiter(&fills, b"k");
    let _other_key = leader(&fills, b"other");
    let outcome = tokio::spawn(async move { waiting.outcome().await });
    lead.decide(Outcome::Failed("down"));
    assert!(matches!(outcome.await.expect("task"), Outcome::Failed("down")));
    drop(lead);
    let _next = leader(&fills, b"k");
}

#[tokio::test]
async fn a_leader_that_vanishes_releases_the_waiters() {
    let fills = fills();
    let lead = leader(&fills, b"k");
    let waiting = waiter(&fills, b"k");
    drop(lead);
    assert!(matches!(waiting.outcome().await, Outcome::Alone));
}

#[tokio::test]
async fn readers_get_bytes_as_they_arrive() {
    let body = body(true);
    let mut early = body.reader().expect("reader");
    assert_eq!(body.push(Bytes::from_static(b"ab")).await, Demand::Wanted);
    assert_eq!(next(&mut early).await, Some(Ok(Bytes::from_static(b"ab"))));
    assert_eq!(body.push(Bytes::from_static(b"cd")).await, Demand::Wanted);
    let mut late = body.reader().expect("reader");
    assert_eq!(next(&mut late).await, Some(Ok(Bytes::from_static(b"ab"))));
    assert_eq!(next(&mut late).await, Some(Ok(Bytes::from_static(b"cd"))));
    let waiting = tokio::spawn(async move { next(&mut late).await });
    let (chunks, bytes) = body.complete().expect("retained");
    assert_eq!((chunks.concat().as_slice(), bytes), (&b"abcd"[..], 4));
    assert_eq!(waiting.await.expect("task"), None);
    assert_eq!(next(&mut early).await, Some(Ok(Bytes::from_static(b"cd"))));
    assert_eq!(next(&mut early).await, None);
}

#[tokio::test]
async fn a_broken_body_ends_in_an_error() {
    let body = body(true);
    let mut reader = body.reader().expect("reader");
    body.push(Bytes::from_static(b"ab")).await;
    body.break_off();
    assert_eq!(next(&mut reader).await, Some(Ok(Bytes::from_static(b"ab"))));
    assert_eq!(next(&mut reader).await, Some(Err(ReadError::Broken)));
}

#[tokio::test]
async fn a_window_waits_for_its_reader_and_forgets_what_was_read() {
    let body = body(false);
    let mut reader = body.reader().expect("reader");
    let writer = tokio::spawn({
        let body = Arc::clone(&body);
        async move {
            for i in 0..64u8 {
                assert_eq!(body.push(Bytes::from(vec![i; 100_000])).await, Demand::Wanted);
            }
            body.complete()
        }
    });
    tokio::task::yield_now().await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(body.len() < 1_300_000, "the writer runs ahead: {}", body.len());
    let mut received = 0;
    while let Some(chunk) = next(&mut reader).await {
        let chunk = chunk.expect("chunk");
        assert!(chunk.iter().all(|&b| usize::from(b) == received / 100_000));
        received += chunk.len();
    }
    assert_eq!(received, 6_400_000);
    assert!(writer.await.expect("task").is_none(), "a window is never stored");
    assert!(body.reader().is_none(), "its beginning is gone");
}

#[tokio::test]
async fn a_window_that_nobody_reads_is_unwanted() {
    let body = body(false);
    let reader = body.reader().expect("reader");
    assert_eq!(body.push(Bytes::from_static(b"a")).await, Demand::Wanted);
    drop(reader);
    assert_eq!(body.push(Bytes::from_static(b"b")).await, Demand::Unwanted);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_holds_up_others_is_cut_off() {
    let body = body(false);
    let mut slow = body.reader().expect("reader");
    let mut fast = body.reader().expect("reader");
    let writer = tokio::spawn({
        let body = Arc::clone(&body);
        async move {
            for _ in 0..40 {
                body.push(Bytes::from(vec![0; 100_000])).await;
            }
            let _ = body.complete();
        }
    });
    let mut received = 0;
    while let Some(chunk) = next(&mut fast).await {
        received += chunk.expect("chunk").len();
    }
    assert_eq!(received, 4_000_000);
    writer.await.expect("task");
    assert_eq!(next(&mut slow).await, Some(Err(ReadError::TooSlow)));
}

#[tokio::test]
async fn windows_are_narrow_once_too_much_is_held() {
    let chunk = || Bytes::from(vec![0; 100 << 10]);
    let held = Arc::new(Held::up_to(1));
    let body = FillBody::new(false, Arc::clone(&held));
    let mut reader = body.reader().expect("it has just begun");
    assert!(body.push(chunk()).now_or_never().is_none(), "it waits until that is read");
    assert!(poll_fn(|cx| reader.poll_next(cx)).await.is_some());
    assert_eq!(body.push(Bytes::new()).await, Demand::Wanted);
    let wide = FillBody::new(false, Arc::new(Held::up_to(u64::MAX)));
    let _reader = wide.reader().expect("it has just begun");
    assert_eq!(wide.push(chunk()).now_or_never(), Some(Demand::Wanted));
}

#[tokio::test]
async fn held_bytes_are_counted_and_given_back() {
    let fills = fills();
    let body = FillBody::new(true, Arc::clone(&fills.held));
    body.push(Bytes::from_static(b"abc")).await;
    assert_eq!(fills.held_bytes(), 3);
    body.release();
    assert_eq!(fills.held_bytes(), 3, "they are still there");
    drop(body);
    assert_eq!(fills.held_bytes(), 0);
}

#[tokio::test]
async fn a_reader_in_the_middle_goes_on_from_what_is_stored() {
    let fills = fills();
    let body = FillBody::new(true, Arc::clone(&fills.held));
    for i in 0..100u8 {
        body.push(Bytes::from(vec![i; 100_000])).await;
    }
    let mut reader = body.reader().expect("reader");
    let mut received = Vec::new();
    for _ in 0..7 {
        received.extend_from_slice(&next(&mut reader).await.expect("chunk").expect("bytes"));
    }
    let (chunks, bytes) = body.complete().expect("retained");
    body.settle(stored(&chunks, bytes));
    assert_eq!(fills.held_bytes(), 0, "what is stored is the cache's to count");
    while let Some(chunk) = next(&mut reader).await {
        received.extend_from_slice(&chunk.expect("bytes"));
    }
    assert_eq!(received.len(), 10_000_000);
    assert!(received.chunks(100_000).zip(0u8..).all(|(chunk, i)| chunk.iter().all(|&b| b == i)));
}

#[tokio::test]
async fn a_body_that_is_stored_already_may_still_be_begun() {
    let body = body(true);
    body.push(Bytes::from_static(b"ab")).await;
    let (chunks, bytes) = body.complete().expect("retained");
    body.settle(stored(&chunks, bytes));
    let mut reader = body.reader().expect("reader");
    assert_eq!(next(&mut reader).await, Some(Ok(Bytes::from_static(b"ab"))));
    assert_eq!(next(&mut reader).await, None);
}

#[tokio::test]
async fn nobody_begins_a_body_that_broke_off() {
    let body = body(true);
    body.push(Bytes::from_static(b"a")).await;
    body.break_off();
    assert!(body.reader().is_none());
}

#[tokio::test]
async fn a_leader_knows_of_those_who_still_wait() {
    let fills = fills();
    let lead = leader(&fills, b"k");
    assert!(!lead.has_waiters());
    let waiting = waiter(&fills, b"k");
    assert!(lead.has_waiters());
    drop(waiting);
    assert!(!lead.has_waiters());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_creeps_is_cut_off_too() {
    let body = body(false);
    let mut creeping = body.reader().expect("reader");
    let mut fast = body.reader().expect("reader");
    let writer = tokio::spawn({
        let body = Arc::clone(&body);
        async move {
            for _ in 0..60 {
                body.push(Bytes::from(vec![0; 100_000])).await;
            }
            let _ = body.complete();
        }
    });
    let creeping = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(4)).await;
            match next(&mut creeping).await {
                Some(Ok(_)) => {}
                end => return end,
            }
        }
    });
    let mut received = 0;
    while let Some(chunk) = next(&mut fast).await {
        received += chunk.expect("chunk").len();
    }
    assert_eq!(received, 6_000_000);
    writer.await.expect("task");
    assert_eq!(creeping.await.expect("task"), Some(Err(ReadError::TooSlow)));
}

#[tokio::test]
async fn a_release_in_mid_body_lets_the_writer_wait_for_readers() {
    let body = body(true);
    body.push(Bytes::from(vec![0; 3 << 20])).await;
    let mut reader = body.reader().expect("everything is still there");
    body.release();
    let push = tokio::spawn({
        let body = Arc::clone(&body);
        async move { body.push(Bytes::from_static(b"z")).await }
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(20), async {
            while !push.is_finished() {
                tokio::task::yield_now().await
            }
        })
        .await
        .is_err()
    );
    assert_eq!(next(&mut reader).await.expect("chunk").expect("bytes").len(), 3 << 20);
    assert_eq!(push.await.expect("task"), Demand::Wanted);
}
