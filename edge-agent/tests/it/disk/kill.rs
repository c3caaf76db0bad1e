//! A process that writes and removes without a pause is killed, again and again, on one directory.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use headland_edge_agent::cache::disk::{Disk, State};
use tempfile::tempdir;

use super::support::{child, child_dir, clock, config, located, name, open, record, version};

const SEGMENT: u64 = 256 << 10;
const SEGMENTS: u64 = 256;
const NAMES: u64 = 40;
const KILLS: usize = 5;

/// What happens to a name in a round: every fifth time it is removed, otherwise written.
fn is_removed(n: u64, round: u64) -> bool {
    (n + round).is_multiple_of(5)
}

fn order(disk: &Disk, n: u64, round: u64) {
    if is_removed(n, round) {
        disk.remove(name(n), None);
    } else {
        disk.write(record(n, 0, round, 500 + (n * 700 % 20_000) as usize)).expect("accepted");
    }
}

#[test]
#[ignore = "the process that another test kills"]
fn writer_that_is_killed() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let disk = open(config(&child_dir(), SEGMENTS, SEGMENT), &clock()).await;
        // Rounds go on where the last process was.
        let mut round = 0;
        for n in 0..NAMES {
            round = round.max(version(&disk, n, 0).await.unwrap_or(0));
        }
        loop {
            round += 1;
            for n in 0..NAMES {
                order(&disk, n, round);
            }
            disk.settled().await;
            writeln!(std::io::stdout(), "settled {round}").expect("the parent reads");
        }
    });
}

/// Whether a name can be in this state: that of the last round that was settled, or of one that came after it.
fn may_be(n: u64, found: Option<u64>, settled: u64) -> bool {
    let after = |round| if is_removed(n, round) { None } else { Some(round) };
    // All lines were read: it was in the next round at most.
    (settled..=settled + 1).any(|round| after(round) == found)
}

/// Killed even if the test fails before.
struct Writer(std::process::Child);

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A store that is dropped leaves the directory as a kill would, and frees it as soon as its writer has seen that.
fn wait_for_the_directory(dir: &std::path::Path) {
    let lock = std::fs::File::open(dir.join("lock")).expect("lock");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("free");
}

#[tokio::test]
async fn a_killed_process_loses_only_what_it_was_doing() {
    let dir = tempdir().unwrap();
    let mut settled = 0;
    for kill in 0..KILLS {
        let test = "disk::kill::writer_that_is_killed";
        let mut writer = Writer(child(test, dir.path(), &[]).stdout(Stdio::piped()).spawn().expect("start"));
        let mut lines = BufReader::new(writer.0.stdout.take().expect("stdout")).lines();
        let mut rounds = 0;
        while rounds < 3 + 7 * kill {
            let line = lines.next().expect("it writes until it is killed").expect("line");
            if let Some(round) = line.strip_prefix("settled ").and_then(|round| round.parse::<u64>().ok()) {
                assert!(round > settled, "rounds go on");
                settled = round;
                rounds += 1;
            }
        }
        writer.0.kill().expect("SIGKILL");
        writer.0.wait().expect("gone");
        // What it said before it died.
        for line in lines.map_while(Result::ok) {
            settled = line.strip_prefix("settled ").and_then(|r| r.parse().ok()).unwrap_or(settled);
        }
        let disk = open(config(dir.path(), SEGMENTS, SEGMENT), &clock()).await;
        let mut present = 0;
        for n in 0..NAMES {
            // Wrong bytes are a panic in here.
            let found = version(&disk, n, 0).await;
            assert!(may_be(n, found, settled), "{n} is {found:?} after round {settled}");
            assert!(found.is_some() || located(&disk, n, 0).is_none(), "found, and not readable");
            present += usize::from(found.is_some());
        }
        assert!(present > NAMES as usize / 2);
        assert_eq!((disk.state(), disk.figures().corrupt), (State::Healthy, 0));
        drop(disk);
        wait_for_the_directory(dir.path());
    }
}
