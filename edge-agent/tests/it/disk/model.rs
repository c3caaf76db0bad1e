//! Any sequence of writes, removals, restarts and crashes against a model: never a wrong byte, never an old one, and only recent losses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    sync::Arc,
    time::Duration,
};

use headland_edge_agent::cache::disk::Disk;
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use super::support::{clock, config, copy_dir, located, name, open, record, segments, version};

const NAMES: u64 = 8;
const TAGS: u64 = 3;
const SEGMENT: u64 = 96 << 10;

#[derive(Debug, Clone)]
enum Step {
    Write {
        n: u64,
        tag: u64,
        body_bytes: usize,
    },
    Remove {
        n: u64,
        tag: Option<u64>,
    },
    Use {
        n: u64,
    },
    Stop,
    /// The end of the file written last is cut off or garbled, by so many bytes.
    Crash {
        bytes: u64,
        garbled: bool,
    },
}

fn step(body_bytes_max: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..NAMES, 0..TAGS, 0..body_bytes_max)
            .prop_map(|(n, tag, body_bytes)| Step::Write { n, tag, body_bytes }),
        3 => (0..NAMES, prop::option::of(0..TAGS)).prop_map(|(n, tag)| Step::Remove { n, tag }),
        3 => (0..NAMES).prop_map(|n| Step::Use { n }),
        1 => Just(Step::Stop),
        1 => (prop_oneof![Just(0), 0..6000u64], any::<bool>())
            .prop_map(|(bytes, garbled)| Step::Crash { bytes, garbled }),
    ]
}

struct World {
    dir: TempDir,
    disk: Arc<Disk>,
    number_of_segments: u64,
    version: u64,
    /// What must be found.
    model: BTreeMap<(u64, u64), u64>,
    /// What was written since the start, with the bytes it takes.
    recent: Vec<((u64, u64), u64)>,
    /// Space is short, so that anything may have given way.
    may_lose: bool,
}

impl World {
    async fn new(number_of_segments: u64, may_lose: bool) -> Self {
        let dir = tempdir().expect("it works");
        let disk = open(config(dir.path(), number_of_segments, SEGMENT), &clock()).await;
        let (model, recent) = (BTreeMap::new(), Vec::new());
        Self { dir, disk, number_of_segments, version: 0, model, recent, may_lose }
    }

    async fn go(&mut self, step: &Step) {
        match *step {
            Step::Write { n, tag, body_bytes } => {
                self.version += 1;
                let record = record(n, tag, self.version, body_bytes);
                let bytes = (80 + record.meta.len() + record.body.len()).next_multiple_of(16) as u64;
                self.disk.write(record).expect("accepted");
                self.model.insert((n, tag), self.version);
                self.recent.push(((n, tag), bytes));
            }
            Step::Remove { n, tag } => {
                self.disk.remove(name(n), tag);
                self.model.retain(|key, _| key.0 != n || tag.is_some_and(|tag| tag != key.1));
                let found = self.disk.find(name(n));
                assert!(found.iter().all(|f| tag.is_some_and(|tag| tag != f.tag())), "removed and found");
            }
            Step::Use { n } => self.disk.find(name(n)).iter().for_each(|found| _ = self.disk.touch(found)),
            Step::Stop => {
                assert!(self.disk.stop(Duration::from_secs(60)));
                self.reopen(BTreeSet::new()).await;
            }
            Step::Crash { bytes, garbled } => {
                self.disk.settled().await;
                let copy = tempdir().expect("it works");
                copy_dir(self.dir.path(), copy.path());
                self.dir = copy;
                self.damage(bytes, garbled);
                let mut left = bytes;
                let touched = self.recent.iter().rev().take_while(|(_, bytes)| {
                    let is_touched = left > 0;
                    left = left.saturating_sub(*bytes);
                    is_touched
                });
                let lost = touched.map(|(key, _)| *key).collect();
                self.reopen(lost).await;
            }
        }
    }

    fn damage(&self, bytes: u64, garbled: bool) {
        let Some(last) = segments(self.dir.path()).pop().filter(|_| !self.recent.is_empty()) else {
            return;
        };
        let length = fs::metadata(&last).expect("it works").len();
        let bytes = bytes.min(length);
        let file = OpenOptions::new().write(true).open(last).expect("it works");
        if garbled {
            file.write_all_at(&vec![0x5a; bytes as usize], length - bytes).expect("it works");
        } else {
            file.set_len(length - bytes).expect("it works");
        }
    }

    /// Opens the directory again, where these may have been lost.
    async fn reopen(&mut self, lost: BTreeSet<(u64, u64)>) {
        self.disk = open(config(self.dir.path(), self.number_of_segments, SEGMENT), &clock()).await;
        self.recent.clear();
        for n in 0..NAMES {
            for tag in 0..TAGS {
                self.check(n, tag, &lost).await;
            }
        }
    }

    async fn check(&mut self, n: u64, tag: u64, lost: &BTreeSet<(u64, u64)>) {
        let wanted = self.model.get(&(n, tag)).copied();
        match version(&self.disk, n, tag).await {
            None => {
                let excused = wanted.is_none() || self.may_lose || lost.contains(&(n, tag));
                assert!(excused, "{n} {tag} was lost");
                assert!(located(&self.disk, n, tag).is_none(), "found, and not readable");
                self.model.remove(&(n, tag));
            }
            found => assert_eq!(found, wanted, "{n} {tag} is not what was written last"),
        }
    }

    async fn end(&mut self) {
        self.disk.settled().await;
        for n in 0..NAMES {
            for tag in 0..TAGS {
                self.check(n, tag, &BTreeSet::new()).await;
            }
        }
        let figures = self.disk.figures();
        assert!(figures.bytes <= self.number_of_segments * SEGMENT, "{figures:?}");
    }
}

fn run(segments: u64, may_lose: bool, steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it works");
    runtime.block_on(async {
        let mut world = World::new(segments, may_lose).await;
        for step in steps {
            world.go(step).await;
        }
        world.end().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn with_room_only_what_was_being_written_is_lost(steps in prop::collection::vec(step(1500), 1..60)) {
        run(400, false, &steps);
    }

    #[test]
    fn without_room_what_is_found_is_what_was_written_last(steps in prop::collection::vec(step(60_000), 1..150)) {
        run(12, true, &steps);
    }
}
