//! Disks that are full, read-only, limited or gone: what is written is dropped, what is there is read, and it goes on by itself.

use std::{fs, path::Path, process::Output, time::Duration};

use headland_edge_agent::{
    cache::disk::{Disk, Dropped, State, Trouble},
    clock::Clock,
};
use tempfile::tempdir;

use super::support::{child, child_dir, clock, config, name, open, record, version};

const SEGMENT: u64 = 512 << 10;

/// Writes records of 50 kB until one is refused. Returns the number of the last that can be found.
async fn write_until_refused(disk: &Disk, from: u64, trouble: Trouble) -> u64 {
    let mut last = None;
    for n in from..from + 2000 {
        let accepted = disk.write(record(n, 0, 1, 50_000));
        disk.settled().await;
        if accepted == Err(Dropped::Degraded) {
            assert_eq!(disk.state(), State::Degraded(trouble));
            return last.expect("some were kept");
        }
        if version(disk, n, 0).await.is_some() {
            last = Some(n);
        }
    }
    panic!("the disk was never found {trouble:?}: {:?}", disk.figures());
}

/// After the pause, writing goes on.
async fn goes_on(disk: &Disk, clock: &Clock, n: u64) {
    clock.advance(Duration::from_secs(61));
    disk.write(record(n, 0, 1, 20_000)).expect("tried again");
    disk.settled().await;
    assert_eq!(disk.state(), State::Healthy);
    assert_eq!(version(disk, n, 0).await, Some(1));
}

/// Runs one of the ignored tests below by way of a shell script, in which `$DIR` is the directory. Whether it was possible.
#[expect(clippy::print_stderr, reason = "a test that was skipped says so")]
pub(crate) fn in_shell(test: &str, dir: &Path, wrapper: &[&str], script: &str) -> bool {
    let script = format!("{script}; exec \"$@\"");
    let prefix: Vec<&str> = wrapper.iter().copied().chain(["sh", "-ec", &script, "sh"]).collect();
    let Output { status, stdout, stderr } =
        child(test, dir, &prefix).env("DIR", dir).output().expect("start a shell");
    let said = String::from_utf8_lossy(&stdout);
    if !said.contains("running 1 test") {
        eprintln!("SKIPPED: {test}: this machine does not allow it: {}", String::from_utf8_lossy(&stderr));
        return false;
    }
    assert!(status.success(), "{said}\n{}", String::from_utf8_lossy(&stderr));
    true
}

pub(crate) const NAMESPACE: [&str; 4] = ["unshare", "--user", "--map-root-user", "--mount"];

#[test]
#[ignore = "run by the test below in a small file system"]
fn on_a_small_file_system() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let clock = clock();
        let disk = open(config(&child_dir(), 64, SEGMENT), &clock).await;
        let last = write_until_refused(&disk, 0, Trouble::Full).await;
        assert_eq!(version(&disk, last, 0).await, Some(1), "what is there is read");
        goes_on(&disk, &clock, 10_000).await;
        // From now on it makes do with what there is.
        for n in 20_000..20_400 {
            disk.write(record(n, 0, 1, 50_000)).expect("room was made");
            disk.settled().await;
        }
        let figures = disk.figures();
        assert_eq!(version(&disk, 20_399, 0).await, Some(1));
        assert!(figures.capacity_bytes <= 8 << 20 && figures.dropped_degraded > 0, "{figures:?}");
        assert!(disk.stop(Duration::from_secs(60)));
    });
}

#[test]
fn a_full_disk_is_made_do_with() {
    let dir = tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=8m none \"$DIR\"";
    in_shell("disk::faults::on_a_small_file_system", dir.path(), &NAMESPACE, mount);
}

#[test]
#[ignore = "run by the test below on a read-only file system"]
fn on_a_read_only_file_system() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let clock = clock();
        let disk = open(config(&child_dir(), 64, SEGMENT), &clock).await;
        assert_eq!(version(&disk, 1, 0).await, Some(1), "what is there is read");
        disk.write(record(2, 0, 1, 1000)).expect("not known yet");
        disk.settled().await;
        assert_eq!(disk.state(), State::Degraded(Trouble::ReadOnly));
        assert_eq!(disk.write(record(3, 0, 1, 1000)), Err(Dropped::Degraded));
        clock.advance(Duration::from_secs(2));
        disk.write(record(3, 0, 1, 1000)).expect("tried again");
        disk.settled().await;
        assert_eq!(disk.state(), State::Degraded(Trouble::ReadOnly));
        assert_eq!(version(&disk, 1, 0).await, Some(1));
        assert!(disk.stop(Duration::from_secs(60)), "it stops, without a snapshot");
    });
}

#[tokio::test]
async fn a_read_only_disk_is_read() {
    let dir = tempdir().unwrap();
    let disk = open(config(dir.path(), 64, SEGMENT), &clock()).await;
    disk.write(record(1, 0, 1, 1000)).unwrap();
    assert!(disk.stop(Duration::from_secs(60)));
    drop(disk);
    let mount = "mount --bind \"$DIR\" \"$DIR\"; mount -o remount,bind,ro \"$DIR\"";
    in_shell("disk::faults::on_a_read_only_file_system", dir.path(), &NAMESPACE, mount);
}

#[test]
#[ignore = "run by the test below with small files"]
fn with_small_files() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let clock = clock();
        let disk = open(config(&child_dir(), 64, SEGMENT), &clock).await;
        let last = write_until_refused(&disk, 0, Trouble::FileTooLarge).await;
        assert_eq!(version(&disk, last, 0).await, Some(1));
        goes_on(&disk, &clock, 10_000).await;
    });
}

#[test]
fn a_limit_on_files_ends_nothing() {
    let dir = tempdir().unwrap();
    // Blocks of 512 bytes: less than a segment.
    let limit = "trap '' XFSZ; ulimit -f 400";
    assert!(in_shell("disk::faults::with_small_files", dir.path(), &[], limit));
}

#[tokio::test]
async fn a_directory_that_vanishes_is_made_again() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let path = dir.path().join("cache");
    let disk = open(config(&path, 64, SEGMENT), &clock).await;
    for n in 0..30 {
        disk.write(record(n, 0, 1, 50_000)).unwrap();
    }
    disk.settled().await;
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(version(&disk, 3, 0).await, Some(1), "the open files are still there");
    for n in 30..60 {
        disk.write(record(n, 0, 1, 50_000)).unwrap();
        disk.settled().await;
    }
    assert_eq!(version(&disk, 59, 0).await, Some(1));
    assert_eq!(disk.state(), State::Healthy);
    assert!(disk.stop(Duration::from_secs(60)));
    drop(disk);
    let disk = open(config(&path, 64, SEGMENT), &clock).await;
    assert_eq!(version(&disk, 59, 0).await, Some(1));
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_tried_again() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let path = dir.path().join("cache");
    let disk = open(config(&path, 64, SEGMENT), &clock).await;
    disk.write(record(1, 0, 1, 1000)).unwrap();
    disk.settled().await;
    // Something else is in its place.
    fs::rename(&path, dir.path().join("away")).unwrap();
    fs::write(&path, "a file").unwrap();
    let last = write_until_refused(&disk, 10, Trouble::Missing).await;
    assert_eq!(version(&disk, last, 0).await, Some(1));
    fs::remove_file(&path).unwrap();
    goes_on(&disk, &clock, 10_000).await;
}

#[tokio::test]
async fn removals_that_cannot_be_kept_are_told_and_do_not_come_back() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 64, SEGMENT), &clock).await;
    for n in 0..30 {
        disk.write(record(n, 0, 1, 50_000)).unwrap();
    }
    assert!(disk.settled().await);
    // Nothing can be written there.
    let graves = dir.path().join("graves");
    fs::create_dir(&graves).unwrap();
    disk.remove(name(1), None);
    assert!(!disk.settled().await, "it would come back after a crash");
    assert!(version(&disk, 1, 0).await.is_none());
    fs::remove_dir(&graves).unwrap();
    clock.advance(Duration::from_secs(61));
    assert!(disk.settled().await, "tried again");
}

#[tokio::test]
async fn what_cannot_be_buried_at_a_stop_goes_with_its_segment() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let disk = open(config(dir.path(), 64, SEGMENT), &clock).await;
    for n in 0..30 {
        disk.write(record(n, 0, 1, 50_000)).unwrap();
    }
    let graves = dir.path().join("graves");
    fs::create_dir(&graves).unwrap();
    disk.remove(name(1), None);
    assert!(disk.stop(Duration::from_secs(60)));
    drop(disk);
    fs::remove_dir(&graves).unwrap();
    let disk = open(config(dir.path(), 64, SEGMENT), &clock).await;
    assert!(version(&disk, 1, 0).await.is_none(), "removed");
    assert_eq!(version(&disk, 29, 0).await, Some(1), "of another segment");
}
