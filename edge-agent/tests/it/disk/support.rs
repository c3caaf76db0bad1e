//! Records that say themselves what they must be, and stores in directories of their own.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use headland_edge_agent::{
    cache::disk::{Disk, DiskConfig, Located, Name, Part, Record},
    clock::{Clock, Timestamp},
};

/// A number spread over a name's bits, as a hash would.
pub(super) fn name(n: u64) -> Name {
    let mixed = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Name([mixed ^ mixed >> 29, mixed.rotate_left(32).wrapping_mul(0xbf58_476d_1ce4_e5b9)])
}

/// What is written under this name and tag for the nth time: every byte of it follows from that.
pub(super) fn record(n: u64, tag: u64, version: u64, body_bytes: usize) -> Record {
    let meta = format!("{n} {tag} {version} {body_bytes}");
    let mut state = n ^ tag << 20 ^ version << 40 | 1;
    let mut body = Vec::with_capacity(body_bytes + 8);
    while body.len() < body_bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        body.extend_from_slice(&state.to_le_bytes());
    }
    body.truncate(body_bytes);
    Record { name: name(n), tag, kept_until: Timestamp::NEVER, meta: meta.into(), body: body.into() }
}

/// The version that a record says it is of; a panic if any byte of it is not as it was written.
pub(super) fn version_of(record_read: &Record, n: u64, tag: u64) -> u64 {
    let meta = str::from_utf8(&record_read.meta).expect("meta");
    let fields: Vec<u64> = meta.split(' ').map(|field| field.parse().expect("number")).collect();
    assert_eq!((fields[0], fields[1]), (n, tag), "another record");
    let wanted = record(n, tag, fields[2], fields[3] as usize);
    assert!(record_read.body == wanted.body && record_read.name == wanted.name, "wrong bytes");
    fields[2]
}

/// A store of this many segments, each of a size that lets a test fill many.
pub(super) fn config(path: &Path, segments: u64, segment_bytes: u64) -> DiskConfig {
    let bytes = segments * segment_bytes;
    DiskConfig { segment_bytes, ..DiskConfig::new(path.to_owned(), bytes) }
}

pub(super) fn clock() -> Clock {
    Clock::manual(Timestamp::from_unix_seconds(1_000_000))
}

/// A store in this directory, loaded.
pub(super) async fn open(config: DiskConfig, clock: &Clock) -> Arc<Disk> {
    let disk = Disk::open(config, clock.clone()).expect("open");
    disk.settled().await;
    assert!(!disk.is_loading());
    disk
}

/// The record of this name and tag, if it is found.
pub(super) fn located(disk: &Disk, n: u64, tag: u64) -> Option<Located> {
    let found: Vec<_> = disk.find(name(n)).into_iter().filter(|found| found.tag() == tag).collect();
    assert!(found.len() <= 1, "a record is there twice");
    found.into_iter().next()
}

/// The version of what is found and read.
pub(super) async fn version(disk: &Disk, n: u64, tag: u64) -> Option<u64> {
    let found = located(disk, n, tag)?;
    let read = disk.read(&found, Part::Whole).await.ok()?;
    Some(version_of(&read, n, tag))
}

/// What a kill would leave: a copy of everything in a directory as it is now.
pub(super) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("dir");
    for file in fs::read_dir(from).expect("dir") {
        let file = file.expect("file");
        // Gone meanwhile is as good as never seen.
        let _ = fs::copy(file.path(), to.join(file.file_name()));
    }
}

/// The segment files of a directory, the oldest first.
pub(super) fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let is_segment =
        |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "probation" || e == "main");
    let mut files: Vec<_> =
        fs::read_dir(dir).expect("dir").map(|f| f.expect("file").path()).filter(is_segment).collect();
    files.sort();
    files
}

/// The variable by which a test that starts itself again knows that it is the second.
pub(super) const CHILD_DIR: &str = "HEADLAND_TEST_DISK_DIR";

/// This test program, to run one of its ignored tests on a directory, by way of a shell command that ends in `exec "$@"`.
pub(super) fn child(test: &str, dir: &Path, prefix: &[&str]) -> Command {
    let exe = std::env::current_exe().expect("path of this program");
    let mut words: Vec<&std::ffi::OsStr> = prefix.iter().map(|word| word.as_ref()).collect();
    words.push(exe.as_os_str());
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args([test, "--exact", "--ignored", "--nocapture"]);
    command.env(CHILD_DIR, dir).stdin(Stdio::null());
    command
}

pub(crate) fn child_dir() -> std::path::PathBuf {
    std::env::var_os(CHILD_DIR).expect("only run by another test").into()
}
