//! Files that are not as they were left: nothing in them is believed that is not right, and nothing in them ends the process.

use std::{fs, path::Path, time::Duration};

use headland_edge_agent::cache::disk::{Part, ReadError, State};
use proptest::prelude::*;
use tempfile::tempdir;

use super::support::{clock, config, located, name, open, record, segments, version};

const SEGMENT: u64 = 96 << 10;
const RECORDS: u64 = 60;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("it works").block_on(work)
}

/// A stopped store with this many records of one version, some replaced and some removed.
async fn fill(dir: &Path, clean: bool) {
    let disk = open(config(dir, 40, SEGMENT), &clock()).await;
    for version in 1..=2 {
        for n in 0..RECORDS {
            disk.write(record(n, 0, version, 2000)).expect("it works");
        }
    }
    disk.remove(name(3), None);
    disk.settled().await;
    if clean {
        assert!(disk.stop(Duration::from_secs(60)));
        return;
    }
    let crashed = tempdir().expect("it works");
    super::support::copy_dir(dir, crashed.path());
    drop(disk);
    fs::remove_dir_all(dir).expect("it works");
    super::support::copy_dir(crashed.path(), dir);
}

/// Opens what is there, and reads all of it. Returns how many were right.
async fn right(dir: &Path) -> usize {
    let (right, removed) = survivors(dir).await;
    assert!(!removed, "removed, and found");
    right
}

/// How many were right, and whether what was removed was found.
async fn survivors(dir: &Path) -> (usize, bool) {
    let disk = open(config(dir, 40, SEGMENT), &clock()).await;
    let (mut right, mut removed) = (0, false);
    for n in 0..RECORDS {
        // Any bytes but the right ones are a panic in there.
        let found = version(&disk, n, 0).await;
        removed |= found.is_some() && n == 3;
        right += usize::from(found.is_some());
    }
    disk.write(record(5, 0, 9, 100)).expect("it works");
    disk.settled().await;
    assert_eq!(version(&disk, 5, 0).await, Some(9), "it works on");
    (right, removed)
}

#[test]
fn a_changed_byte_is_a_miss_and_is_not_read_again() {
    block_on(async {
        let (dir, clock) = (tempdir().expect("it works"), clock());
        fill(dir.path(), true).await;
        for file in segments(dir.path()) {
            let mut bytes = fs::read(&file).expect("it works");
            bytes.iter_mut().skip(32).step_by(997).for_each(|byte| *byte ^= 0x10);
            fs::write(&file, bytes).expect("it works");
        }
        let disk = open(config(dir.path(), 40, SEGMENT), &clock).await;
        let found = located(&disk, 10, 0).expect("in the snapshot");
        assert!(matches!(disk.read(&found, Part::Whole).await, Err(ReadError::Corrupt)));
        assert!(disk.body(&found).is_none());
        assert!(located(&disk, 10, 0).is_none());
        assert_eq!((disk.figures().corrupt, disk.state()), (1, State::Healthy));
    });
}

#[test]
fn a_store_of_another_version_starts_empty() {
    block_on(async {
        let dir = tempdir().expect("it works");
        fill(dir.path(), true).await;
        fs::write(dir.path().join("mine.txt"), "not the store's").expect("it works");
        let superblock = dir.path().join("superblock");
        let mut bytes = fs::read(&superblock).expect("it works");
        bytes[8] += 1;
        fs::write(&superblock, bytes).expect("it works");
        assert_eq!(right(dir.path()).await, 0);
        assert!(dir.path().join("mine.txt").exists(), "only its own files are removed");
    });
}

#[test]
fn without_trustworthy_graves_nothing_is_brought_back() {
    block_on(async {
        let dir = tempdir().expect("it works");
        fill(dir.path(), false).await;
        let graves = dir.path().join("graves");
        let mut bytes = fs::read(&graves).expect("it works");
        bytes[8] ^= 1;
        fs::write(&graves, bytes).expect("it works");
        assert_eq!(right(dir.path()).await, 0);
    });
}

#[test]
fn a_wrong_snapshot_costs_only_time() {
    block_on(async {
        let dir = tempdir().expect("it works");
        fill(dir.path(), true).await;
        let snapshot = dir.path().join("snapshot");
        let mut bytes = fs::read(&snapshot).expect("it works");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&snapshot, bytes).expect("it works");
        assert_eq!(right(dir.path()).await, RECORDS as usize - 1);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn bit_flips_anywhere_never_make_a_wrong_byte(
        clean: bool,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..8u8), 1..12),
    ) {
        block_on(async {
            let dir = tempdir().expect("it works");
            fill(dir.path(), clean).await;
            let mut files: Vec<_> = fs::read_dir(dir.path()).expect("it works").map(|f| f.unwrap().path()).collect();
            files.retain(|file| fs::metadata(file).expect("it works").len() > 0);
            files.sort();
            for (file, at, bit) in &flips {
                let file = &files[file.index(files.len())];
                let mut bytes = fs::read(file).expect("it works");
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
                fs::write(file, bytes).expect("it works");
            }
            // Whatever is left is right.
            right(dir.path()).await;
        });
    }

    #[test]
    fn any_bytes_in_any_file_are_survived(
        clean: bool,
        which in 0..6usize,
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        at in prop::option::of(any::<prop::sample::Index>()),
    ) {
        block_on(async {
            let dir = tempdir().expect("it works");
            fill(dir.path(), clean).await;
            let (first, last) = {
                let all = segments(dir.path());
                (all[0].clone(), all[all.len() - 1].clone())
            };
            let path = |name| dir.path().join(name);
            let file = [first, last, path("snapshot"), path("superblock"), path("graves"), path("0000ffff.main")]
                [which].clone();
            let mut contents = fs::read(&file).unwrap_or_default();
            // In the place of all of it, or in the middle.
            let place = at.map_or(0, |at| at.index(contents.len().max(1)).min(contents.len()));
            let end = if at.is_some() { (place + bytes.len()).min(contents.len()) } else { contents.len() };
            contents.splice(place..end, bytes.iter().copied());
            fs::write(&file, contents).expect("it works");
            // Cutting off whole graves is the one thing that cannot be noticed.
            let (_, removed) = survivors(dir.path()).await;
            assert!(!removed || file.ends_with("graves"), "removed, and found");
        });
    }
}
