//! The disk tier behind a real edge: what is served after memory forgot it, after a restart, and what must not be.

use std::{io::Write, path::Path, time::Duration};

use headland_proto::v1;

use crate::disk::faults::{NAMESPACE, in_shell};
use crate::support::{
    edge::{ALL_METHODS, Edge, Options, behavior, config, policy},
    origin::{Origin, response},
    viewer::{Response, Viewer, get},
};

fn options(dir: &Path) -> Options {
    Options { disk: Some(dir.to_owned()), ..Options::default() }
}

/// An edge on this directory whose disk tier has read its index.
fn start(config: v1::DistributionConfig, options: Options) -> Edge {
    let edge = Edge::start_with(config, options);
    let disk = edge.shared.cache.disk.clone().expect("a disk tier");
    while disk.is_loading() {
        std::thread::yield_now();
    }
    edge
}

/// Waits until what was to be written is in the file.
fn settled(edge: &Edge) {
    let disk = edge.shared.cache.disk.clone().expect("a disk tier");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    runtime.block_on(disk.settled());
}

/// Answers with a body that names the path and how often it was asked for.
fn counting(headers: &'static str) -> Origin {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Origin::start(move |request, stream| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let body = format!("{} {n} {}", request.path(), request.header("x-kind").unwrap_or_default());
        stream.write_all(response("200 OK", headers, &body).as_bytes()).is_ok()
    })
}

fn is_hit(response: &Response) -> bool {
    response.header("x-cache") == Some("Hit from headland")
}

#[test]
fn objects_outlive_a_restart_with_their_age() {
    let dir = tempfile::tempdir().expect("directory");
    let origin = counting("cache-control: max-age=600\r\netag: \"a\"");
    let edge = start(config(origin.address), options(dir.path()));
    let bodies: Vec<_> =
        (0..50).map(|i| get(edge.address, &format!("/{i}"), &[]).text().to_owned()).collect();
    let at = edge.clock.now();
    drop(edge);
    let edge = start(config(origin.address), options(dir.path()));
    // Clocks held by hand begin at the time of the machine.
    let age = edge.clock.now().since(at).as_secs();
    for (i, body) in bodies.iter().enumerate() {
        let again = get(edge.address, &format!("/{i}"), &[]);
        assert!(is_hit(&again), "{i}: {:?}", again.header("cache-status"));
        assert_eq!(again.text(), body);
        let said: u64 = again.header("age").expect("age").parse().expect("number");
        assert!(said.abs_diff(age) <= 1, "{said} {age}");
    }
    assert_eq!(origin.requests(), 50);
    edge.clock.advance(Duration::from_secs(601));
    let later = get(edge.address, "/0", &[]);
    assert!(!is_hit(&later) && origin.requests() == 51);
    let validated = origin.received().pop().expect("a request");
    assert_eq!(validated.header("if-none-match"), Some("\"a\""));
}

#[test]
fn what_memory_has_no_room_for_comes_from_disk() {
    let dir = tempfile::tempdir().expect("directory");
    let body = "x".repeat(100_000);
    let whole = response("200 OK", "cache-control: max-age=600", &body);
    let origin = Origin::start(move |_, stream| stream.write_all(whole.as_bytes()).is_ok());
    let options = Options { memory_bytes: 2 << 20, object_bytes_max: 200_000, ..options(dir.path()) };
    let edge = start(config(origin.address), options);
    for i in 0..100 {
        assert_eq!(get(edge.address, &format!("/{i}"), &[]).body.len(), body.len());
        settled(&edge);
    }
    assert!(edge.shared.cache.memory.objects() < 30, "{}", edge.shared.cache.memory.objects());
    for i in 0..100 {
        let again = get(edge.address, &format!("/{i}"), &[]);
        assert!(is_hit(&again) && again.text() == body, "{i}: {:?}", again.header("cache-status"));
    }
    assert_eq!(origin.requests(), 100);
}

/// Every byte says where in which object it is.
fn numbered(bytes: usize) -> String {
    (0..bytes).map(|at| char::from(b'a' + ((at * 7 + at / 251 + bytes) % 26) as u8)).collect()
}

/// Small ones are read, and large ones are sent by the kernel; neither drives out what memory has.
#[test]
fn what_goes_round_is_sent_from_disk_and_what_comes_again_soon_from_memory() {
    let dir = tempfile::tempdir().expect("directory");
    let origin = Origin::start(|request, stream| {
        let bytes = request.path()[1..].parse().unwrap_or(0);
        let fresh = "cache-control: max-age=600\r\netag: \"a\"";
        stream.write_all(response("200 OK", fresh, &numbered(bytes)).as_bytes()).is_ok()
    });
    let mut config = config(origin.address);
    behavior(&mut config).allowed_methods = ALL_METHODS.map(String::from).to_vec();
    let options = Options { memory_bytes: 8 << 20, object_bytes_max: 4 << 20, ..options(dir.path()) };
    let edge = start(config, options);
    let disk = edge.shared.cache.disk.clone().expect("a disk tier");
    let mut viewer = Viewer::connect(edge.address);
    let sizes: Vec<usize> =
        (0..150).map(|i| [70_000, 20_000, 300_000][i % 3] + i).chain([1 << 20, 1]).collect();
    for bytes in &sizes {
        assert_eq!(viewer.request("GET", &format!("/{bytes}"), &[]).text(), numbered(*bytes));
        settled(&edge);
    }
    // A viewer has its answer before it is stored.
    while disk.figures().records < sizes.len() as u64 {
        std::thread::yield_now();
    }
    let in_memory = edge.shared.cache.memory.objects();
    assert!(in_memory < 100, "{in_memory}");
    for round in 1..=3 {
        for bytes in &sizes {
            let again = viewer.request("GET", &format!("/{bytes}"), &[]);
            assert!(is_hit(&again) && again.text() == numbered(*bytes), "{bytes} in round {round}");
            assert_eq!(again.header("content-length"), Some(&*bytes.to_string()));
        }
    }
    assert_eq!(origin.requests(), sizes.len());
    // Otherwise everything is read by the threads for that, and brought to memory.
    if tells_what_is_resident(dir.path()) {
        // The system may have needed a page for something else.
        let quick = edge.shared.metrics.quick_hits();
        assert!(quick > 3 * sizes.len() as u64 - 20, "{quick}");
        assert!(edge.shared.cache.memory.objects() < in_memory + 20, "little has come to memory");
        assert!(disk.figures().hits > 100, "{:?}", disk.figures());
    }
    // Again and again: memory has it soon, and the disk is not asked any more.
    let (path, whole) = (format!("/{}", sizes[2]), numbered(sizes[2]));
    (0..3).for_each(|_| assert_eq!(viewer.request("GET", &path, &[]).text(), whole));
    let asked = disk.figures().hits;
    (0..3).for_each(|_| assert_eq!(viewer.request("GET", &path, &[]).text(), whole));
    assert_eq!(disk.figures().hits, asked);

    // What an unsafe request has changed is not sent from there, and neither is what has expired.
    let before = origin.requests();
    viewer.send("POST", &format!("/{}", sizes[5]), &[], b"");
    assert_eq!(viewer.response(false).status, 200);
    assert!(!is_hit(&viewer.request("GET", &format!("/{}", sizes[5]), &[])));
    assert_eq!(origin.requests(), before + 2);
    edge.clock.advance(Duration::from_secs(601));
    assert!(!is_hit(&viewer.request("GET", &format!("/{}", sizes[8]), &[])));
    assert_eq!(origin.requests(), before + 3);
}

/// Whether the file system can tell what is in the page cache.
fn tells_what_is_resident(dir: &Path) -> bool {
    let path = dir.join("probe");
    std::fs::write(&path, "x").expect("write");
    let file = std::fs::File::open(path).expect("open");
    let mut byte = [0];
    let parts = &mut [std::io::IoSliceMut::new(&mut byte)];
    rustix::io::preadv2(file, parts, 0, rustix::io::ReadWriteFlags::NOWAIT).is_ok()
}

#[test]
fn variants_come_back_all_together() {
    let dir = tempfile::tempdir().expect("directory");
    let origin = counting("cache-control: max-age=600\r\nvary: x-kind");
    let edge = start(config(origin.address), options(dir.path()));
    let of =
        |edge: &Edge, kind: &str| get(edge.address, "/a", &[&format!("x-kind: {kind}")]).text().to_owned();
    let bodies = ["a", "b", "c"].map(|kind| of(&edge, kind));
    drop(edge);
    let edge = start(config(origin.address), options(dir.path()));
    assert_eq!(["a", "b", "c"].map(|kind| of(&edge, kind)), bodies);
    assert_eq!(origin.requests(), 3);
    assert_eq!(of(&edge, "d"), "/a 3 d");
}

#[test]
fn an_unsafe_request_counts_after_a_crash() {
    let dir = tempfile::tempdir().expect("directory");
    let origin = counting("cache-control: max-age=600");
    let mut config = config(origin.address);
    behavior(&mut config).allowed_methods = ALL_METHODS.map(String::from).to_vec();
    let edge = start(config.clone(), options(dir.path()));
    assert_eq!(get(edge.address, "/a", &[]).text(), "/a 0 ");
    assert_eq!(get(edge.address, "/b", &[]).text(), "/b 1 ");
    settled(&edge);
    let mut viewer = crate::support::viewer::Viewer::connect(edge.address);
    viewer.send("POST", "/a", &[], b"x");
    assert_eq!(viewer.response(false).status, 200);
    edge.crash();
    let edge = start(config, options(dir.path()));
    assert!(is_hit(&get(edge.address, "/b", &[])));
    assert_eq!(get(edge.address, "/a", &[]).text(), "/a 3 ");
}

#[test]
fn what_was_replaced_does_not_come_back() {
    let dir = tempfile::tempdir().expect("directory");
    let origin = counting("cache-control: max-age=10");
    let edge = start(config(origin.address), options(dir.path()));
    assert_eq!(get(edge.address, "/a", &[]).text(), "/a 0 ");
    edge.clock.advance(Duration::from_secs(15));
    assert_eq!(get(edge.address, "/a", &[]).text(), "/a 1 ");
    settled(&edge);
    edge.crash();
    let edge = start(config(origin.address), options(dir.path()));
    let again = get(edge.address, "/a", &[]);
    assert_eq!(again.text(), "/a 1 ", "{:?}", again.header("cache-status"));
}

/// What replaces an object and is itself too large for the disk leaves nothing of it there.
#[test]
fn what_outgrew_the_disk_does_not_come_back_small() {
    let dir = tempfile::tempdir().expect("directory");
    let large = "x".repeat(2 << 20);
    let origin = Origin::start(move |request, stream| {
        let body = if request.header("cache-control").is_some() { &large } else { "small" };
        stream.write_all(response("200 OK", "cache-control: max-age=600", body).as_bytes()).is_ok()
    });
    let edge = start(config(origin.address), options(dir.path()));
    assert_eq!(get(edge.address, "/a", &[]).text(), "small");
    settled(&edge);
    assert_eq!(get(edge.address, "/a", &["cache-control: no-cache"]).body.len(), 2 << 20);
    assert_eq!(get(edge.address, "/a", &[]).body.len(), 2 << 20);
    settled(&edge);
    edge.crash();
    let edge = start(config(origin.address), options(dir.path()));
    let asked = origin.requests();
    get(edge.address, "/a", &[]);
    assert_eq!(origin.requests(), asked + 1);
}

#[test]
fn only_if_cached_and_explain_know_what_is_on_disk() {
    let dir = tempfile::tempdir().expect("directory");
    let origin = counting("cache-control: max-age=600");
    let edge = start(config(origin.address), options(dir.path()));
    let body = get(edge.address, "/a", &[]).text().to_owned();
    get(edge.address, "/b", &[]);
    drop(edge);
    let edge = start(config(origin.address), options(dir.path()));
    assert_eq!(get(edge.address, "/a", &["cache-control: only-if-cached"]).text(), body);
    assert_eq!(get(edge.address, "/c", &["cache-control: only-if-cached"]).status, 504);
    let request = v1::ExplainRequest {
        host: crate::support::edge::HOST.into(),
        path: "/b".into(),
        ..Default::default()
    };
    let told = loop {
        let told = headland_edge_agent::explain::explain(&edge.shared, &request);
        // Where its pages are not in memory it takes a moment.
        if told.reason != "on-disk" {
            break told;
        }
        std::thread::yield_now();
    };
    assert_eq!(told.verdict(), v1::explanation::Verdict::Hit, "{told:?}");
    assert_eq!(origin.requests(), 2);
}

#[test]
fn with_cloudfront_semantics_the_disk_serves_as_well() {
    let dir = tempfile::tempdir().expect("directory");
    let origin = counting("");
    let mut config = config(origin.address);
    policy(&mut config).semantics = v1::cache_policy_config::Semantics::Cloudfront.into();
    let edge = start(config.clone(), options(dir.path()));
    let body = get(edge.address, "/a", &[]).text().to_owned();
    drop(edge);
    let edge = start(config, options(dir.path()));
    assert_eq!(get(edge.address, "/a", &[]).text(), body);
    assert_eq!(origin.requests(), 1);
}

/// What memory has answers everybody, so that the disk never sees it used.
#[test]
fn what_is_hottest_in_memory_is_not_lost_on_disk() {
    let dir = tempfile::tempdir().expect("directory");
    let body = "x".repeat(100_000);
    let whole = response("200 OK", "cache-control: max-age=600", &body);
    let origin = Origin::start(move |_, stream| stream.write_all(whole.as_bytes()).is_ok());
    let options = || Options { memory_bytes: 4 << 20, object_bytes_max: 200_000, ..options(dir.path()) };
    let edge = start(config(origin.address), options());
    // Nearly twice what the disk holds goes by.
    for i in 0..1200 {
        assert_eq!(get(edge.address, "/hot", &[]).body.len(), body.len());
        get(edge.address, &format!("/{i}"), &[]);
        settled(&edge);
    }
    let figures = edge.shared.cache.disk.as_ref().expect("a disk tier").figures();
    assert!(figures.evicted > 300, "{figures:?}");
    assert_eq!((origin.requests(), figures.reads), (1201, 0), "memory had it all the time");
    edge.crash();
    let edge = start(config(origin.address), options());
    assert!(is_hit(&get(edge.address, "/hot", &[])));
    assert_eq!(origin.requests(), 1201);
}

#[test]
fn the_disks_hits_and_misses_are_those_of_viewers() {
    let dir = tempfile::tempdir().expect("directory");
    let origin = counting("cache-control: max-age=600\r\nvary: x-kind");
    let counts = |edge: &Edge| {
        let figures = edge.shared.cache.disk.as_ref().expect("a disk tier").figures();
        (figures.hits, figures.misses)
    };
    let edge = start(config(origin.address), options(dir.path()));
    get(edge.address, "/a", &[]);
    assert_eq!(counts(&edge), (0, 1));
    get(edge.address, "/a", &[]);
    assert_eq!(counts(&edge), (0, 1), "memory had it");
    drop(edge);
    let edge = start(config(origin.address), options(dir.path()));
    get(edge.address, "/a", &[]);
    get(edge.address, "/a", &[]);
    assert_eq!(counts(&edge), (1, 0));
}

#[test]
#[ignore = "run by the tests below on disks that fail"]
fn on_a_disk_that_fails() {
    let dir = crate::disk::support::child_dir();
    let origin = Origin::start(|request, stream| {
        let body = request.path().repeat(100_000 / request.path().len());
        stream.write_all(response("200 OK", "cache-control: max-age=600", &body).as_bytes()).is_ok()
    });
    let options = Options { memory_bytes: 2 << 20, object_bytes_max: 200_000, ..options(&dir) };
    let edge = start(config(origin.address), options);
    let disk = edge.shared.cache.disk.clone().expect("a disk tier");
    for round in 0..3 {
        for i in 0..150 {
            let path = format!("/{i:03}");
            let response = get(edge.address, &path, &[]);
            assert_eq!((response.status, response.text()), (200, &*path.repeat(25_000)), "{round} {path}");
            settled(&edge);
        }
        // The disk is tried again now and then.
        edge.clock.advance(Duration::from_secs(61));
    }
    let figures = disk.figures();
    assert!(figures.write_errors > 0 && figures.dropped_degraded > 0, "the disk did not fail: {figures:?}");
}

#[test]
fn no_request_fails_because_the_disk_is_full() {
    let dir = tempfile::tempdir().expect("directory");
    in_shell(
        "disk_tier::on_a_disk_that_fails",
        dir.path(),
        &NAMESPACE,
        "mount -t tmpfs -o size=8m none \"$DIR\"",
    );
}

#[test]
fn no_request_fails_because_files_may_not_grow() {
    let dir = tempfile::tempdir().expect("directory");
    // Blocks of 512 bytes: less than a segment.
    let limit = "trap '' XFSZ; ulimit -f 400";
    assert!(in_shell("disk_tier::on_a_disk_that_fails", dir.path(), &[], limit));
}
