//! The start: what happens to orders while the index is still being read, and to segments that cannot be opened at once.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
    time::Duration,
};

use headland_edge_agent::cache::disk::Disk;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::tempdir;

use super::support::{clock, config, copy_dir, located, name, open, record, segments, version};

const SEGMENT: u64 = 512 << 10;
const SOON: Duration = Duration::from_secs(60);
/// Entries of a block of the snapshot, and bytes of one.
const BLOCK: (u64, usize) = (4096, 4096 * 44 + 8);

/// A snapshot that is handed over block by block, and the numbers of the names in its last block.
struct Snapshot {
    bytes: Vec<u8>,
    blocks_at: usize,
    last: Vec<u64>,
}

/// Puts a pipe in the place of the snapshot of a store that holds these numbers.
fn hold_back(dir: &Path, numbers: u64) -> Snapshot {
    let path = dir.join("snapshot");
    let bytes = fs::read(&path).expect("a clean stop");
    let blocks_at = 32 + 16 * segments(dir).len() + 8;
    let last_at = blocks_at + BLOCK.1 * (numbers / BLOCK.0) as usize;
    let first_half = |entry: &[u8]| u64::from_le_bytes(entry[..8].try_into().expect("eight"));
    let halves: Vec<u64> = bytes[last_at..bytes.len() - 8].chunks(44).map(first_half).collect();
    let last = (0..numbers).filter(|n| halves.contains(&name(*n).0[0])).collect();
    fs::remove_file(&path).expect("remove");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    Snapshot { bytes, blocks_at, last }
}

fn wait_for(what: impl Fn() -> bool) {
    while !what() {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn orders_are_done_while_the_index_is_read_and_win_over_what_is_read_later() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let records = 3 * BLOCK.0 + 100;
    let disk = open(config(dir.path(), 64, SEGMENT), &clock).await;
    for n in 0..records {
        disk.write(record(n, 0, 1, 20)).unwrap();
    }
    assert!(disk.stop(SOON));
    drop(disk);
    let snapshot = hold_back(dir.path(), records);
    let disk = Disk::open(config(dir.path(), 64, SEGMENT), clock.clone()).unwrap();
    let (removed, replaced, left) = (snapshot.last[0], snapshot.last[1], snapshot.last[2]);
    let new = records + 1;
    disk.write(record(replaced, 0, 2, 300)).unwrap();
    disk.remove(name(removed), None);
    disk.write(record(new, 0, 1, 300)).unwrap();
    let settled = disk.settled();
    let mut pipe = OpenOptions::new().write(true).open(dir.path().join("snapshot")).unwrap();
    let first = snapshot.blocks_at + BLOCK.1;
    pipe.write_all(&snapshot.bytes[..first]).unwrap();
    // The rest is still on its way.
    wait_for(|| located(&disk, new, 0).is_some());
    assert!(disk.is_loading() && disk.figures().writes == 2);
    assert!(located(&disk, left, 0).is_none() && located(&disk, removed, 0).is_none());
    assert_eq!(version(&disk, replaced, 0).await, Some(2));
    pipe.write_all(&snapshot.bytes[first..]).unwrap();
    drop(pipe);
    assert!(settled.await);
    let right = async |disk: &Disk| {
        assert!(!disk.is_loading());
        assert_eq!(disk.figures().records, records);
        assert!(located(disk, removed, 0).is_none());
        assert_eq!(version(disk, replaced, 0).await, Some(2));
        assert_eq!(version(disk, new, 0).await, Some(1));
        assert_eq!(version(disk, left, 0).await, Some(1));
    };
    right(&disk).await;
    let crashed = tempdir().unwrap();
    copy_dir(dir.path(), crashed.path());
    right(&*open(config(crashed.path(), 64, SEGMENT), &clock).await).await;
}

/// A store of some segments, the first of which has a link to itself in its place: opening it is an error of the system.
async fn with_a_segment_that_cannot_be_opened(dir: &Path, aside: &Path) -> std::path::PathBuf {
    let disk = open(config(dir, 64, SEGMENT), &clock()).await;
    for n in 0..200 {
        disk.write(record(n, 0, 1, 10_000)).expect("it works");
    }
    assert!(disk.stop(SOON));
    let first = segments(dir).remove(0);
    fs::rename(&first, aside).expect("it works");
    symlink(&first, &first).expect("it works");
    first
}

#[tokio::test]
async fn a_segment_that_cannot_be_opened_at_once_is_opened_later() {
    let (dir, other, clock) = (tempdir().unwrap(), tempdir().unwrap(), clock());
    let aside = other.path().join("aside");
    let first = with_a_segment_that_cannot_be_opened(dir.path(), &aside).await;
    let disk = Disk::open(config(dir.path(), 64, SEGMENT), clock.clone()).unwrap();
    wait_for(|| located(&disk, 199, 0).is_some());
    disk.write(record(0, 0, 2, 1000)).unwrap();
    disk.remove(name(1), None);
    wait_for(|| located(&disk, 0, 0).is_some());
    assert!(disk.is_loading() && located(&disk, 2, 0).is_none());
    let settled = disk.settled();
    fs::rename(&aside, &first).unwrap();
    clock.advance(Duration::from_secs(2));
    assert!(settled.await);
    assert!(!disk.is_loading());
    let right = async |disk: &Disk| {
        assert_eq!(version(disk, 0, 0).await, Some(2), "written meanwhile");
        assert!(located(disk, 1, 0).is_none(), "removed meanwhile");
        assert_eq!(version(disk, 2, 0).await, Some(1));
        assert_eq!(disk.figures().records, 199);
    };
    right(&disk).await;
    let crashed = tempdir().unwrap();
    copy_dir(dir.path(), crashed.path());
    right(&*open(config(crashed.path(), 64, SEGMENT), &clock).await).await;
}

#[tokio::test]
async fn a_segment_that_cannot_be_opened_for_a_minute_is_given_up() {
    let (dir, other, clock) = (tempdir().unwrap(), tempdir().unwrap(), clock());
    let first = with_a_segment_that_cannot_be_opened(dir.path(), &other.path().join("aside")).await;
    let disk = Disk::open(config(dir.path(), 64, SEGMENT), clock.clone()).unwrap();
    wait_for(|| located(&disk, 199, 0).is_some());
    let settled = disk.settled();
    clock.advance(Duration::from_secs(61));
    assert!(settled.await && !disk.is_loading());
    assert!(fs::symlink_metadata(&first).is_err(), "nobody may believe it any more");
    assert!(located(&disk, 0, 0).is_none());
    assert_eq!(version(&disk, 199, 0).await, Some(1));
}
