//! Large objects: kept and fetched in blocks, never mixed, resumed where a fetch broke off, and in bounded memory.

pub(crate) mod origin;

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use headland_proto::v1::cache_policy_config::Semantics;

use self::origin::{Large, Manner, bytes};
use crate::support::{
    edge::{Edge, Options, config, policy},
    viewer::{Response, Viewer, get},
};

const MIB: u64 = 1 << 20;

fn start(large: &Large, options: Options) -> Edge {
    Edge::start_with(config(large.origin.address), options)
}

/// Room for the whole object in memory.
fn roomy() -> Options {
    Options { memory_bytes: 128 << 20, object_bytes_max: 50 << 30, ..Options::default() }
}

fn on_disk(dir: &Path) -> Options {
    Options {
        memory_bytes: 8 << 20,
        object_bytes_max: 50 << 30,
        disk: Some(dir.to_owned()),
        ..Options::default()
    }
}

fn range(edge: &Edge, from: u64, to: u64) -> Response {
    get(edge.address, "/large", &[&format!("range: bytes={from}-{to}")])
}

fn is_part(response: &Response, version: u8, from: u64, to: u64) -> bool {
    response.status == 206 && response.complete && response.body == bytes(version, from..to + 1)
}

fn is_whole(response: &Response, version: u8, length: u64) -> bool {
    response.status == 200 && response.complete && response.body == bytes(version, 0..length)
}

/// Waits for what others do; only a broken program takes so long.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A viewer who has asked for a whole object, and has its head.
fn begun(edge: &Edge, path: &str) -> Viewer {
    let mut viewer = Viewer::connect(edge.address);
    viewer.send("GET", path, &[], b"");
    viewer.head().expect("head");
    viewer
}

/// So many viewers, each of whom has read the first 1,000 bytes of something else.
fn paused(edge: &Edge, viewers: usize) -> Vec<Viewer> {
    let mut viewers: Vec<_> = (0..viewers).map(|i| begun(edge, &format!("/{i}"))).collect();
    for viewer in &mut viewers {
        assert_eq!(viewer.bytes(1000), bytes(1, 0..1000));
    }
    viewers
}

fn status_of(response: &Response) -> &str {
    response.header("cache-status").unwrap_or_default()
}

#[test]
fn a_range_of_a_cold_object_fetches_its_blocks_and_no_others() {
    for semantics in [Semantics::Cloudfront, Semantics::Rfc9111] {
        let large = Large::start(Manner { length: 1 << 30, ..Manner::default() });
        let mut config = config(large.origin.address);
        policy(&mut config).semantics = semantics.into();
        let edge = Edge::start_with(config, roomy());
        let (from, to) = (500 * MIB + 17, 501 * MIB + 3);
        let first = range(&edge, from, to);
        assert!(is_part(&first, 1, from, to), "{semantics:?}");
        assert_eq!(first.header("content-range"), Some("bytes 524288017-525336579/1073741824"));
        until("both blocks are stored", || status_of(&range(&edge, from, to)).contains("; hit"));
        assert_eq!(large.sent(), 2 * MIB);
        assert!(is_part(&range(&edge, from, from), 1, from, from));
        assert_eq!(large.origin.requests(), 1);
        // The last bytes, of which nobody knows where they are.
        let last = get(edge.address, "/large", &["range: bytes=-10"]);
        assert!(is_part(&last, 1, (1 << 30) - 10, (1 << 30) - 1));
        assert_eq!((last.header("age").is_some(), large.origin.requests()), (true, 2));
        until("the last block has arrived", || large.sent() == 3 * MIB);
        assert_eq!(edge.shared.cache.figures().objects, 1);
    }
}

#[test]
fn the_end_of_a_cold_object_is_asked_for_from_the_end() {
    let large = Large::start(Manner { length: (1 << 30) + 5, ..Manner::default() });
    let edge = start(&large, roomy());
    let last = get(edge.address, "/large", &["range: bytes=-10"]);
    assert!(is_part(&last, 1, (1 << 30) - 5, (1 << 30) + 4), "{} {}", last.status, last.body.len());
    assert_eq!(large.origin.requests(), 1);
    assert!(large.sent() <= MIB + 10);
    let beyond = range(&edge, 1 << 31, 1 << 32);
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */1073741829")));
}

#[test]
fn a_whole_object_is_one_fetch_and_then_comes_from_memory() {
    let large = Large::start(Manner { length: 10 * MIB + 3, ..Manner::default() });
    let edge = start(&large, roomy());
    let first = get(edge.address, "/large", &[]);
    assert!(is_whole(&first, 1, 10 * MIB + 3));
    assert!(!status_of(&first).contains("; hit"), "{}", status_of(&first));
    until("the last block is stored", || status_of(&get(edge.address, "/large", &[])).contains("; hit"));
    for _ in 0..3 {
        let again = get(edge.address, "/large", &[]);
        assert!(is_whole(&again, 1, 10 * MIB + 3));
        assert_eq!(again.header("content-length"), Some("10485763"));
    }
    assert!(is_part(&range(&edge, 3 * MIB - 1, 3 * MIB), 1, 3 * MIB - 1, 3 * MIB));
    let several = get(edge.address, "/large", &["range: bytes=0-1,5242879-5242880,-2"]);
    assert_eq!(several.status, 206);
    let wanted = [bytes(1, 0..2), bytes(1, 5 * MIB - 1..5 * MIB + 1), bytes(1, 10 * MIB + 1..10 * MIB + 3)];
    let has = |part: &Vec<u8>| several.body.windows(part.len()).any(|window| window == &part[..]);
    assert!(several.complete && wanted.iter().all(has));
    let not_modified = get(edge.address, "/large", &["if-none-match: \"v1\""]);
    assert_eq!((not_modified.status, not_modified.body.len()), (304, 0));
    let mut viewer = Viewer::connect(edge.address);
    let head = viewer.request("HEAD", "/large", &[]);
    assert_eq!((head.status, head.header("content-length")), (200, Some("10485763")));
    assert_eq!((large.origin.requests(), edge.shared.cache.figures().objects), (1, 1));
}

#[test]
fn many_who_ask_at_once_are_one_fetch() {
    let large = Large::start(Manner::default());
    let edge = start(&large, roomy());
    let viewers: Vec<_> = (0..8)
        .map(|_| {
            let address = edge.address;
            thread::spawn(move || get(address, "/large", &[]))
        })
        .collect();
    for viewer in viewers {
        assert!(is_whole(&viewer.join().expect("viewer"), 1, 10 * MIB));
    }
    assert_eq!((large.origin.requests(), large.sent()), (1, 10 * MIB));
    assert_eq!(edge.shared.fills.held_bytes(), 0);
}

#[test]
fn a_range_is_served_while_the_object_fills() {
    let large = Large::start(Manner { length: 200 * MIB, ..Manner::default() });
    let edge = start(&large, roomy());
    let mut slow = begun(&edge, "/large");
    assert_eq!(slow.bytes(1000), bytes(1, 0..1000));
    assert!(is_part(&range(&edge, 150 * MIB, 150 * MIB + 9), 1, 150 * MIB, 150 * MIB + 9));
    assert!(is_part(&range(&edge, 5, 9), 1, 5, 9));
    assert_eq!(large.ranges(), [None, Some("bytes=157286400-158334975".to_owned())]);
    // Whoever reads slowly holds the origin back, and nothing is fetched that nobody waits for.
    assert!(large.sent() < 40 * MIB, "{}", large.sent());
    assert_eq!(slow.bytes(5 << 20), bytes(1, 1000..1000 + 5 * MIB));
}

#[test]
fn a_fetch_that_breaks_off_is_taken_up_where_it_was() {
    let large = Large::start(Manner { breaks_after: Some(3 * MIB + 500), ..Manner::default() });
    let edge = start(&large, roomy());
    let whole = get(edge.address, "/large", &[]);
    assert!(is_whole(&whole, 1, 10 * MIB), "{} of {}", whole.body.len(), 10 * MIB);
    assert_eq!(large.breaks(), 3);
    // What was sent arrived: no byte came twice.
    assert_eq!(large.sent(), 10 * MIB);
    let requests = large.origin.received();
    assert!(requests[1..].iter().all(|request| request.header("if-range") == Some("\"v1\"")));
    assert_eq!(requests[1].header("range"), Some("bytes=3146228-10485759"));
}

#[test]
fn an_origin_that_always_breaks_off_is_given_up() {
    let large = Large::start(Manner { breaks_after: Some(1000), ..Manner::default() });
    let edge = start(&large, roomy());
    let whole = get(edge.address, "/large", &[]);
    assert!(!whole.complete && whole.body == bytes(1, 0..whole.body.len() as u64));
    assert!(large.origin.requests() < 10, "{}", large.origin.requests());
    // It is not for ever.
    large.change(|manner| manner.breaks_after = None);
    until("the object is whole", || is_whole(&get(edge.address, "/large", &[]), 1, 10 * MIB));
}

#[test]
fn an_origin_that_gives_little_at_once_is_asked_again() {
    let large = Large::start(Manner { gives: Some(100_000), ..Manner::default() });
    let edge = start(&large, roomy());
    let part = range(&edge, 3 * MIB, 6 * MIB - 1);
    assert!(is_part(&part, 1, 3 * MIB, 6 * MIB - 1), "{}", part.body.len());
    // The first answer shows that blocks will do, and is less than one.
    let sent = large.sent();
    assert!(sent <= 3 * MIB + 100_000, "{sent}");
    assert!(range(&edge, 3 * MIB, 6 * MIB - 1).complete);
    assert_eq!(large.sent(), sent, "all of it is kept");
}

#[test]
fn for_one_who_wants_nothing_stored_no_block_is() {
    let large = Large::start(Manner::default());
    let edge = start(&large, roomy());
    assert!(is_part(&range(&edge, 0, 99), 1, 0, 99));
    let ask = || get(edge.address, "/large", &["range: bytes=5242880-5242979", "cache-control: no-store"]);
    // A viewer has its bytes before the block has come whole.
    let sent = || {
        let (mut before, mut since) = (u64::MAX, Instant::now());
        until("the origin has sent all", || {
            if std::mem::replace(&mut before, large.sent()) != large.sent() {
                since = Instant::now();
            }
            since.elapsed() > Duration::from_millis(300)
        });
        large.sent()
    };
    let first = sent();
    assert!(is_part(&ask(), 1, 5 * MIB, 5 * MIB + 99));
    let second = sent();
    assert!(is_part(&ask(), 1, 5 * MIB, 5 * MIB + 99));
    let third = sent();
    assert!(first < second && second < third, "it was stored");
    assert!(is_part(&range(&edge, 5 * MIB, 5 * MIB + 99), 1, 5 * MIB, 5 * MIB + 99));
    let stored = sent();
    assert!(is_part(&ask(), 1, 5 * MIB, 5 * MIB + 99));
    assert_eq!(sent(), stored, "what others had stored may be used");
}

#[test]
fn versions_are_never_mixed() {
    let large = Large::start(Manner { breaks_after: Some(4 * MIB + 9), ..Manner::default() });
    let edge = start(&large, roomy());
    large.change(|manner| manner.breaks_after = Some(2 * MIB));
    assert!(is_part(&range(&edge, 0, 1), 1, 0, 1));
    until("the first block is there", || status_of(&range(&edge, 0, 1)).contains("; hit"));
    // Some blocks of the first version are stored; the rest is of the second.
    large.change(|manner| *manner = Manner { version: 2, validator: "etag: \"v2\"", ..Manner::default() });
    let mixed = get(edge.address, "/large", &[]);
    assert!(!mixed.complete && mixed.body == bytes(1, 0..mixed.body.len() as u64), "{}", mixed.body.len());
    let after = get(edge.address, "/large", &[]);
    assert!(is_whole(&after, 2, 10 * MIB), "{} bytes", after.body.len());
    assert!(is_part(&range(&edge, 9 * MIB, 9 * MIB + 1), 2, 9 * MIB, 9 * MIB + 1));
    assert_eq!(edge.shared.cache.figures().objects, 1);
}

#[test]
fn an_object_of_another_length_with_the_same_tag_is_another() {
    let large = Large::start(Manner::default());
    let edge = start(&large, roomy());
    assert!(is_part(&range(&edge, 0, 1), 1, 0, 1));
    large.change(|manner| (manner.version, manner.length) = (2, 11 * MIB));
    assert!(is_part(&range(&edge, 8 * MIB, 8 * MIB + 1), 2, 8 * MIB, 8 * MIB + 1));
}

#[test]
fn an_origin_that_changes_between_two_requests_is_noticed_when_asked() {
    let large = Large::start(Manner { cache_control: "max-age=5", ..Manner::default() });
    let edge = start(&large, roomy());
    assert!(is_part(&range(&edge, MIB, MIB + 1), 1, MIB, MIB + 1));
    edge.clock.advance(Duration::from_secs(6));
    // It has not changed: the blocks stay what they are.
    until("the block is stored", || is_part(&range(&edge, MIB, MIB + 1), 1, MIB, MIB + 1));
    until("the block has arrived", || large.sent() == MIB);
    edge.clock.advance(Duration::from_secs(6));
    large.change(|manner| *manner = Manner { version: 2, validator: "etag: \"v2\"", ..Manner::default() });
    assert!(is_part(&range(&edge, MIB, MIB + 1), 2, MIB, MIB + 1));
    until("a block of the other has arrived", || large.sent() == 2 * MIB);
}

#[test]
fn without_a_strong_validator_nothing_is_kept_in_blocks() {
    for validator in ["etag: W/\"v1\"", "x-nothing: 1", "accept-ranges: none\r\netag: \"v1\""] {
        let large = Large::start(Manner { validator, ..Manner::default() });
        let edge = start(&large, roomy());
        assert!(is_part(&range(&edge, MIB, MIB + 9), 1, MIB, MIB + 9), "{validator}");
        assert!(is_part(&range(&edge, MIB, MIB + 9), 1, MIB, MIB + 9), "{validator}");
        assert!(is_whole(&get(edge.address, "/large", &[]), 1, 10 * MIB), "{validator}");
        until("it is stored in one piece", || edge.shared.cache.figures().objects == 1);
        assert!(is_part(&range(&edge, 7, 9), 1, 7, 9), "{validator}");
    }
}

#[test]
fn an_origin_that_takes_no_notice_of_range_is_served_all_the_same() {
    let large = Large::start(Manner { ranges: false, ..Manner::default() });
    let edge = start(&large, roomy());
    let part = range(&edge, 3 * MIB, 3 * MIB + 9);
    assert!(is_part(&part, 1, 3 * MIB, 3 * MIB + 9), "{} {}", part.status, part.body.len());
    assert!(is_whole(&get(edge.address, "/large", &[]), 1, 10 * MIB));
    // One that does not say so before a block is lacking.
    let edge = start(&large, Options { memory_bytes: 8 << 20, ..roomy() });
    for _ in 0..2 {
        assert!(is_whole(&get(edge.address, "/large", &[]), 1, 10 * MIB));
        // Where memory had to let go of it, the origin's answer is passed on.
        let part = range(&edge, 9 * MIB, 9 * MIB + 9);
        assert!(is_part(&part, 1, 9 * MIB, 9 * MIB + 9) || is_whole(&part, 1, 10 * MIB), "{}", part.status);
    }
}

#[test]
fn an_abandoned_fill_goes_on_only_past_the_fraction() {
    let length = 60 * MIB;
    let leave_after = |read: u64, percent: u8| {
        let large = Large::start(Manner { length, ..Manner::default() });
        let edge = start(&large, Options { background_fill_percent: percent, ..roomy() });
        let mut viewer = begun(&edge, "/large");
        viewer.bytes(usize::try_from(read).expect("fits"));
        drop(viewer);
        (edge, large)
    };
    let (_edge, large) = leave_after(45 * MIB, 50);
    until("the whole was fetched", || large.sent() == length);
    let (edge, large) = leave_after(5 * MIB, 50);
    // Others are not held up by it, and find what is there.
    assert!(is_part(&range(&edge, 3 * MIB, 3 * MIB + 9), 1, 3 * MIB, 3 * MIB + 9));
    until("nothing is under way", || edge.shared.fills.held_bytes() == 0);
    assert!(large.sent() < length / 2, "{}", large.sent());
    let (_edge, large) = leave_after(5 * MIB, 0);
    until("the whole was fetched", || large.sent() == length);
}

#[test]
fn blocks_outlive_a_restart() {
    let dir = tempfile::tempdir().expect("directory");
    let large = Large::start(Manner { length: 20 * MIB, ..Manner::default() });
    let edge = start(&large, on_disk(dir.path()));
    let disk = edge.shared.cache.disk.clone().expect("a disk tier");
    // Memory has room for less than half of it, and what comes faster than a busy disk can take it is fetched once more.
    let mut asked = 0;
    until("all is on disk", || {
        assert!(is_whole(&get(edge.address, "/large", &[]), 1, 20 * MIB));
        until("all is written", || disk.figures().queue_bytes == 0);
        std::mem::replace(&mut asked, large.origin.requests()) == asked
    });
    drop(disk);
    drop(edge);
    let edge = start(&large, on_disk(dir.path()));
    let disk = edge.shared.cache.disk.clone().expect("a disk tier");
    until("the index is there", || !disk.is_loading());
    let again = get(edge.address, "/large", &[]);
    assert!(is_whole(&again, 1, 20 * MIB) && status_of(&again).contains("; hit"), "{}", status_of(&again));
    assert!(is_part(&range(&edge, 19 * MIB, 19 * MIB + 9), 1, 19 * MIB, 19 * MIB + 9));
    assert_eq!(large.origin.requests(), asked);
}

#[test]
fn what_is_larger_than_the_cache_passes_in_bounded_memory() {
    let large = Large::start(Manner { length: 300 * MIB, ..Manner::default() });
    let edge = start(&large, Options { memory_bytes: 8 << 20, ..roomy() });
    let mut viewers = [begun(&edge, "/large"), begun(&edge, "/large")];
    let mut position = 0;
    while position < 300 * MIB {
        let next = (position + 5 * MIB).min(300 * MIB);
        let expected = bytes(1, position..next);
        for viewer in &mut viewers {
            assert!(viewer.bytes(expected.len()) == expected, "at {position}");
        }
        assert!(edge.shared.fills.held_bytes() <= 4 << 20);
        position = next;
    }
    assert!(edge.shared.cache.figures().bytes <= 8 << 20);
}

#[test]
fn when_much_is_under_way_blocks_pass_without_being_kept() {
    let large = Large::start(Manner { length: 30 * MIB, ..Manner::default() });
    let edge = start(&large, Options { memory_bytes: 16 << 20, ..roomy() });
    // As many as would hold twice what may be under way, if each held a block.
    let mut paused = paused(&edge, 8);
    assert!(is_whole(&get(edge.address, "/another", &[]), 1, 30 * MIB));
    assert!(edge.shared.fills.held_bytes() <= 6 << 20, "{}", edge.shared.fills.held_bytes());
    for viewer in &mut paused {
        assert!(viewer.bytes(20 << 20) == bytes(1, 1000..1000 + 20 * MIB));
    }
}

/// Every refusal of the origin is the business of the one who caused it.
#[test]
fn what_the_origin_refuses_one_viewer_costs_the_others_nothing() {
    let large = Large::start(Manner { cache_control: "public, max-age=600", ..Manner::default() });
    let edge = start(&large, roomy());
    assert!(is_part(&range(&edge, 0, 9), 1, 0, 9));
    large.change(|manner| manner.refuses = Some("401 Unauthorized"));
    let refused = get(edge.address, "/large", &["range: bytes=5242880-5242889", "authorization: Basic x"]);
    assert_eq!(refused.status, 502);
    assert!(is_part(&range(&edge, 5, 9), 1, 5, 9), "it is still there");
    large.change(|manner| manner.refuses = None);
    assert!(is_part(&range(&edge, 5 * MIB, 5 * MIB + 9), 1, 5 * MIB, 5 * MIB + 9));
    large.change(|manner| manner.refuses = Some("404 Not Found"));
    assert_eq!(range(&edge, 7 * MIB, 7 * MIB + 9).status, 404);
    assert_eq!(range(&edge, 5, 9).status, 404, "now it is no more");
}

#[test]
fn a_weak_tag_in_a_304_does_not_make_the_blocks_weak() {
    let large = Large::start(Manner { cache_control: "max-age=5", ..Manner::default() });
    let edge = start(&large, roomy());
    assert!(is_part(&range(&edge, 0, 9), 1, 0, 9));
    edge.clock.advance(Duration::from_secs(6));
    large.change(|manner| manner.not_modified = Some("etag: W/\"v1\""));
    assert!(is_part(&range(&edge, 0, 9), 1, 0, 9));
    let other = range(&edge, 5 * MIB, 5 * MIB + 9);
    assert!(is_part(&other, 1, 5 * MIB, 5 * MIB + 9));
    assert_eq!(large.origin.received().pop().expect("a request").header("if-range"), Some("\"v1\""));
}

#[test]
fn two_who_read_one_block_while_memory_is_short_both_get_it() {
    let large = Large::start(Manner { length: 30 * MIB, ..Manner::default() });
    let edge = start(&large, Options { memory_bytes: 4 << 20, ..roomy() });
    // Enough to hold what may be under way.
    let mut paused = paused(&edge, 6);
    let mut first = begun(&edge, "/large");
    first.bytes(600_000);
    assert!(is_part(&range(&edge, 100, 900_000), 1, 100, 900_000));
    assert!(is_part(&range(&edge, 3 * MIB, 3 * MIB + 9), 1, 3 * MIB, 3 * MIB + 9));
    assert!(first.bytes(20 << 20) == bytes(1, 600_000..600_000 + 20 * MIB));
    for viewer in &mut paused {
        assert!(viewer.bytes(5 << 20) == bytes(1, 1000..1000 + 5 * MIB));
    }
}

#[test]
fn a_head_of_a_large_object_fetches_none_of_it() {
    let large = Large::start(Manner { length: 200 * MIB, ..Manner::default() });
    let mut config = config(large.origin.address);
    policy(&mut config).semantics = Semantics::Cloudfront.into();
    let edge = Edge::start_with(config, Options { background_fill_percent: 0, ..roomy() });
    let mut viewer = Viewer::connect(edge.address);
    let head = viewer.request("HEAD", "/large", &[]);
    assert_eq!((head.status, head.header("content-length")), (200, Some("209715200")));
    let again = viewer.request("HEAD", "/large", &[]);
    assert!(status_of(&again).contains("; hit"), "{}", status_of(&again));
    assert!(is_part(&range(&edge, 9, 99), 1, 9, 99));
    assert_eq!(large.ranges(), [None, Some("bytes=0-1048575".to_owned())]);
    assert!(large.sent() < 50 * MIB, "{}", large.sent());
}

#[test]
fn nothing_is_said_before_the_first_block_comes() {
    let large =
        Large::start(Manner { cache_control: "max-age=600, stale-if-error=600", ..Manner::default() });
    let edge = start(&large, roomy());
    assert!(is_part(&range(&edge, 0, 9), 1, 0, 9));
    until("the block is there", || status_of(&range(&edge, 0, 9)).contains("; hit"));
    large.change(|manner| manner.refuses = Some("503 Service Unavailable"));
    assert_eq!(range(&edge, 5 * MIB, 5 * MIB + 9).status, 502);
    let only_if_cached =
        get(edge.address, "/large", &["range: bytes=5242880-5242889", "cache-control: only-if-cached"]);
    assert_eq!(only_if_cached.status, 504);
    // What is there may stand in for the origin; what is not may not.
    edge.clock.advance(Duration::from_secs(700));
    let stands_in = range(&edge, 0, 9);
    assert!(is_part(&stands_in, 1, 0, 9), "{} {}", stands_in.status, status_of(&stands_in));
    assert!(range(&edge, 5 * MIB, 5 * MIB + 9).status >= 500);
}
