//! What is kept, for how long, and what gives way.

use std::{
    collections::HashSet,
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use headland_edge_agent::cache::disk::{
    BODY_BYTES_MAX, Disk, DiskConfig, Dropped, META_BYTES_MAX, OpenError, Part, ReadError, Record,
};
use tempfile::tempdir;

use super::support::{clock, config, located, name, open, record, segments, version, version_of};

const SEGMENT: u64 = 256 << 10;
const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_is_written_is_read_in_every_way() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 64, 2 << 20), &clock).await;
    for (n, body_bytes) in [0, 1, 15, 16, 17, 5000, BODY_BYTES_MAX].into_iter().enumerate() {
        let n = n as u64;
        disk.write(record(n, 1, 1, body_bytes)).unwrap();
        disk.settled().await;
        let found = located(&disk, n, 1).expect("found");
        assert_eq!(found.body_bytes(), body_bytes);
        let body = disk.body(&found).expect("verified, because it was written by this process");
        let mut bytes = vec![0; body.length];
        rustix::io::pread(body.segment.as_fd(), &mut bytes[..], body.offset).unwrap();
        assert_eq!(bytes, record(n, 1, 1, body_bytes).body);
        assert_eq!(version_of(&disk.read(&found, Part::Whole).await.unwrap(), n, 1), 1);
        // The temporary directory's file system may not be able to tell what is resident.
        match disk.read_resident(&found, Part::Whole) {
            Ok(read) => assert_eq!(version_of(&read, n, 1), 1),
            Err(error) => assert!(matches!(error, ReadError::WouldBlock), "{error}"),
        }
        let head = disk.read(&found, Part::Meta).await.unwrap();
        assert_eq!((head.meta, head.body.len()), (record(n, 1, 1, body_bytes).meta, 0));
    }
}

#[tokio::test]
async fn records_of_a_name_are_told_apart_replaced_and_removed_by_tag() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 16, SEGMENT), &clock).await;
    for tag in 0..3 {
        disk.write(record(1, tag, 1, 100)).unwrap();
    }
    disk.write(record(1, 1, 2, 200)).unwrap();
    disk.write(record(2, 0, 1, 100)).unwrap();
    disk.settled().await;
    assert_eq!(disk.find(name(1)).len(), 3);
    assert_eq!(version(&disk, 1, 1).await, Some(2));
    disk.remove(name(1), Some(0));
    assert!(located(&disk, 1, 0).is_none(), "at once");
    disk.remove(name(2), None);
    assert!(disk.find(name(2)).is_empty());
    disk.write(record(2, 7, 2, 100)).unwrap();
    disk.settled().await;
    assert_eq!(disk.find(name(2)).len(), 1, "written after the removal");
    assert_eq!(disk.figures().records, 3);
}

#[tokio::test]
async fn a_stop_keeps_everything_and_a_restart_trusts_no_body() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 64, SEGMENT), &clock).await;
    for n in 0..300 {
        disk.write(record(n, n % 3, 1, 3000)).unwrap();
    }
    disk.remove(name(7), None);
    assert!(disk.stop(SOON));
    assert_eq!(disk.write(record(1, 1, 1, 1)), Err(Dropped::Stopped));
    drop(disk);
    assert!(dir.path().join("snapshot").exists());
    let disk = open(config(dir.path(), 64, SEGMENT), &clock).await;
    assert!(!dir.path().join("snapshot").exists(), "used up");
    assert_eq!(disk.figures().records, 299);
    for n in (0..300).filter(|n| *n != 7) {
        let found = located(&disk, n, n % 3).expect("found");
        assert!(disk.body(&found).is_none(), "not verified by this process");
        assert_eq!(version(&disk, n, n % 3).await, Some(1));
        assert!(disk.body(&found).is_some(), "read and found right");
    }
}

#[tokio::test]
async fn the_oldest_unused_give_way_and_the_used_survive_a_scan() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 24, SEGMENT), &clock).await;
    // A tenth of the space is used again and again, while three times the space goes by once.
    let hot = 0..30u64;
    for n in hot.clone() {
        disk.write(record(n, 0, 1, 10_000)).unwrap();
    }
    disk.settled().await;
    for n in 1000..3000 {
        disk.write(record(n, 0, 1, 10_000)).unwrap();
        disk.settled().await;
        let used = n % 30;
        if let Some(found) = located(&disk, used, 0) {
            disk.touch(&found);
        }
    }
    let figures = disk.figures();
    assert!(figures.bytes <= 24 * SEGMENT, "{figures:?}");
    assert!(figures.evicted > 1000 && figures.rewrites >= 30, "{figures:?}");
    for n in hot {
        assert_eq!(version(&disk, n, 0).await, Some(1), "{n} was used and is gone");
    }
    assert!(located(&disk, 1000, 0).is_none());
    assert_eq!(version(&disk, 2999, 0).await, Some(1));
    assert!(segments(dir.path()).len() <= 26);
}

/// Who sends from a file keeps its place on the disk, though it has lost its name: there may not be many of them.
#[tokio::test]
async fn what_is_held_stays_readable_and_is_bounded() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 64, SEGMENT), &clock).await;
    let mut held = Vec::new();
    for n in 0..4000 {
        disk.write(record(n, 0, 1, 10_000)).unwrap();
        disk.settled().await;
        if n % 10 == 0 && n < 1000 {
            let body = disk.body(&located(&disk, n, 0).expect("found")).expect("verified");
            held.push((n, body));
        }
    }
    assert!(held.iter().all(|(n, _)| located(&disk, *n, 0).is_none()), "all are given up");
    for (n, body) in &held {
        let mut bytes = vec![0; body.length];
        rustix::io::pread(body.segment.as_fd(), &mut bytes[..], body.offset).unwrap();
        assert!(bytes == record(*n, 0, 1, 10_000).body, "{n}");
    }
    let found = located(&disk, 3999, 0).expect("found");
    assert!(disk.body(&found).is_none(), "too much is held");
    assert_eq!(version(&disk, 3999, 0).await, Some(1), "but it can be read");
    drop(held);
    assert!(disk.body(&found).is_some());
}

#[tokio::test]
async fn what_is_used_above_survives_a_scan_without_being_touched() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 24, SEGMENT), &clock).await;
    let used: HashSet<_> = (0..30).map(name).collect();
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    disk.ask_above(move |names| {
        count.fetch_add(1, Ordering::Relaxed);
        names.intersection(&used).copied().collect()
    });
    for n in 0..40 {
        disk.write(record(n, 0, 1, 10_000)).unwrap();
    }
    for n in 1000..3000 {
        disk.write(record(n, 0, 1, 10_000)).unwrap();
        disk.settled().await;
    }
    for n in 0..30 {
        assert_eq!(version(&disk, n, 0).await, Some(1), "{n} was used and is gone");
    }
    assert!((30..40).all(|n| located(&disk, n, 0).is_none()), "not used");
    let reclaimed = disk.figures().segments_reclaimed;
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked > 0 && asked <= reclaimed, "{asked} times for {reclaimed} segments");
}

#[tokio::test]
async fn who_waits_for_room_loses_nothing() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let config = DiskConfig { queue_bytes: 200_000, ..config(dir.path(), 64, SEGMENT) };
    let disk = open(config, &clock).await;
    assert!(!disk.has_room(200_000), "it is never that empty");
    for n in 0..200 {
        let record = record(n, 0, 1, 50_000);
        let bytes = (record.meta.len() + record.body.len()) as u64;
        if !disk.has_room(bytes) {
            assert!(disk.queue_bytes() + bytes > 199_000);
        }
        assert!(disk.room(bytes).await);
        disk.write(record).expect("there was room");
    }
    assert!(!disk.room(200_000).await, "never");
    disk.settled().await;
    assert_eq!(disk.queue_bytes(), 0);
    assert_eq!((disk.figures().writes, disk.figures().dropped_queue_full), (200, 0));
    let waiting = disk.room(200_000 - 256);
    assert!(disk.stop(SOON));
    assert!(!waiting.await, "not any more");
}

#[tokio::test]
async fn a_body_stays_readable_after_its_segment_is_given_up() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 16, SEGMENT), &clock).await;
    disk.write(record(1, 0, 1, 50_000)).unwrap();
    disk.settled().await;
    let found = located(&disk, 1, 0).unwrap();
    let body = disk.body(&found).unwrap();
    for n in 100..400 {
        disk.write(record(n, 0, 1, 50_000)).unwrap();
        disk.settled().await;
    }
    assert!(located(&disk, 1, 0).is_none(), "given up");
    assert!(matches!(disk.read(&found, Part::Whole).await, Err(ReadError::Gone)));
    let mut bytes = vec![0; body.length];
    rustix::io::pread(body.segment.as_fd(), &mut bytes[..], body.offset).unwrap();
    assert_eq!(bytes, record(1, 0, 1, 50_000).body);
}

#[tokio::test]
async fn expired_records_are_not_found_and_are_swept() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 16, SEGMENT), &clock).await;
    for n in 0..10 {
        let kept_until = clock.now().after(Duration::from_secs(if n < 4 { 10 } else { 1000 }));
        disk.write(Record { kept_until, ..record(n, 0, 1, 10) }).unwrap();
    }
    disk.settled().await;
    assert_eq!(disk.find(name(0)).len(), 1);
    clock.advance(Duration::from_secs(10));
    assert!(disk.find(name(0)).is_empty());
    disk.sweep();
    disk.settled().await;
    assert_eq!((disk.figures().records, disk.figures().expired), (6, 4));
}

#[tokio::test]
async fn expired_records_are_swept_however_busy_the_writer_is() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 64, SEGMENT), &clock).await;
    let kept_until = clock.now().after(Duration::from_secs(10));
    for n in 0..1000 {
        disk.write(Record { kept_until, ..record(n, 0, 1, 10) }).unwrap();
    }
    disk.settled().await;
    clock.advance(Duration::from_secs(10));
    // Each is one order; there is never a second without any.
    while disk.figures().expired == 0 {
        disk.write(record(5000, 0, 1, 10)).unwrap();
        disk.settled().await;
    }
    assert_eq!(disk.figures().evicted, 0, "not because room was needed");
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_and_takes_its_predecessor_along() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let config = DiskConfig { queue_bytes: 4096, ..config(dir.path(), 16, SEGMENT) };
    let disk = open(config, &clock).await;
    let with_meta = |bytes: usize| Record { meta: vec![0; bytes].into(), ..record(1, 0, 1, 0) };
    assert_eq!(disk.write(with_meta(META_BYTES_MAX + 1)), Err(Dropped::TooLarge));
    assert_eq!(disk.write(record(1, 0, 1, BODY_BYTES_MAX + 1)), Err(Dropped::TooLarge));
    assert_eq!(disk.write(record(1, 0, 1, 200_000)), Err(Dropped::QueueFull));
    disk.write(record(1, 0, 1, 1000)).unwrap();
    disk.settled().await;
    assert_eq!(version(&disk, 1, 0).await, Some(1));
    assert_eq!(disk.write(record(1, 0, 2, 10_000)), Err(Dropped::QueueFull));
    assert!(located(&disk, 1, 0).is_none(), "out of date");
    let figures = disk.figures();
    assert_eq!((figures.dropped_too_large, figures.dropped_queue_full), (2, 2));
}

#[tokio::test]
async fn a_larger_or_smaller_store_keeps_what_fits() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 32, SEGMENT), &clock).await;
    for n in 0..600 {
        disk.write(record(n, 0, 1, 10_000)).unwrap();
        disk.settled().await;
    }
    assert!(disk.stop(SOON));
    let before = disk.figures().records;
    drop(disk);
    let disk = open(config(dir.path(), 64, SEGMENT), &clock).await;
    assert_eq!(disk.figures().records, before);
    assert!(disk.stop(SOON));
    drop(disk);
    let disk = open(config(dir.path(), 12, SEGMENT), &clock).await;
    let figures = disk.figures();
    assert!(figures.bytes <= 12 * SEGMENT && figures.bytes >= 7 * SEGMENT, "{figures:?}");
    assert!(figures.records > 150, "{figures:?}");
    assert_eq!(version(&disk, 599, 0).await, Some(1), "the newest");
    assert!(located(&disk, 0, 0).is_none());
}

/// The size of a store's segments follows from its own.
#[tokio::test]
async fn segments_of_another_size_are_read_and_given_up_like_the_others() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let mut written = 0;
    for (segments, segment_bytes) in [(32, SEGMENT), (16, 4 * SEGMENT), (64, SEGMENT / 2), (32, SEGMENT)] {
        let disk = open(config(dir.path(), segments, segment_bytes), &clock).await;
        let before = disk.figures().records;
        for n in (0..written).rev() {
            // Those that are there are right.
            version(&disk, n, 0).await;
        }
        assert_eq!(disk.figures().records, before, "nothing is found that cannot be read");
        assert!(written == 0 || version(&disk, written - 1, 0).await == Some(1), "the newest");
        for n in written..written + 1500 {
            disk.write(record(n, 0, 1, 10_000)).unwrap();
            disk.settled().await;
            assert_eq!(version(&disk, n, 0).await, Some(1));
        }
        written += 1500;
        let figures = disk.figures();
        assert!(figures.bytes <= segments * segment_bytes, "{figures:?}");
        assert!(figures.evicted > 0 && figures.write_errors + figures.corrupt == 0, "{figures:?}");
        assert!(disk.stop(SOON));
    }
}

#[tokio::test]
async fn one_directory_is_one_stores() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 16, SEGMENT), &clock).await;
    let again = Disk::open(config(dir.path(), 16, SEGMENT), clock.clone());
    assert!(matches!(again, Err(OpenError::Locked(_))));
    assert!(disk.stop(SOON));
    assert!(Disk::open(config(dir.path(), 16, SEGMENT), clock.clone()).is_ok());
    let small = Disk::open(DiskConfig::new(dir.path().to_owned(), 1 << 20), clock);
    assert!(matches!(small, Err(OpenError::TooSmall { .. })));
}
