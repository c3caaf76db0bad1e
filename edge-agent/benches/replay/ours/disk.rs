//! The disk tier's policy, driven with numbers as the engine drives it with files (`cache/disk/writer.rs`, `reclaim.rs`).

use std::collections::HashMap;

use headland_edge_agent::cache::disk::{
    DiskConfig, Name, USES_MAX,
    policy::{Candidate, Fate, Log, Policy as Shipped},
};

use crate::replay::{policy::Policy, random::Random};

/// The segments are to be as many as a disk has that is this many times as large, with objects larger in proportion: the least of
/// stores has 64 MiB, which would be most of a replay.
const SCALE: u64 = 64;

/// A segment that is being written.
#[derive(Debug, Clone, Copy)]
struct Open {
    segment: u32,
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    segment: u32,
    cost: u64,
    uses: u8,
}

#[derive(Debug)]
pub(crate) struct Disk {
    policy: Shipped,
    segment_bytes: u64,
    index: HashMap<u32, Entry, foldhash::fast::FixedState>,
    /// Objects in the order in which they were written.
    segments: HashMap<u32, Vec<u32>>,
    open: [Option<Open>; 2],
    next_segment: u32,
}

impl Disk {
    pub(crate) fn new(capacity: u64) -> Self {
        let config = DiskConfig::new(std::path::PathBuf::new(), capacity * SCALE);
        let segment_bytes = config.segment_bytes / SCALE;
        Self {
            policy: Shipped::new(capacity, segment_bytes, config.records_max),
            segment_bytes,
            index: HashMap::default(),
            segments: HashMap::default(),
            open: [None; 2],
            next_segment: 0,
        }
    }

    fn make_room(&mut self) {
        while let Some((segment, log)) = self.policy.reclaim(self.index.len() as u64) {
            self.reclaim(segment, log);
        }
    }

    fn reclaim(&mut self, segment: u32, log: Log) {
        let mut objects = self.segments.remove(&segment).unwrap_or_default();
        objects.retain(|object| self.index.get(object).is_some_and(|entry| entry.segment == segment));
        let entries: Vec<Entry> = objects.iter().map(|object| self.index[object]).collect();
        let candidate = |(object, entry): (&u32, &Entry)| Candidate {
            name: name(*object),
            bytes: entry.cost,
            uses: entry.uses,
        };
        let candidates: Vec<Candidate> = objects.iter().zip(&entries).map(candidate).collect();
        let fates = self.policy.fates(log, &candidates);
        for ((object, entry), fate) in objects.iter().zip(entries).zip(fates) {
            match fate {
                Fate::Main { uses } => self.append(Log::Main, *object, entry.cost, uses),
                Fate::Dropped => _ = self.index.remove(object),
            }
        }
        self.policy.gone(segment);
    }

    fn append(&mut self, log: Log, object: u32, cost: u64, uses: u8) {
        let slot = usize::from(log == Log::Main);
        if let Some(full) = self.open[slot].filter(|open| open.bytes + cost > self.segment_bytes) {
            self.policy.sealed(full.segment);
            self.open[slot] = None;
        }
        let policy = &mut self.policy;
        let open = self.open[slot].get_or_insert_with(|| {
            let segment = self.next_segment;
            self.next_segment += 1;
            policy.opened(segment, log);
            Open { segment, bytes: 0 }
        });
        open.bytes += cost;
        policy.wrote(open.segment, cost);
        self.segments.entry(open.segment).or_default().push(object);
        self.index.insert(object, Entry { segment: open.segment, cost, uses });
    }
}

/// As a hash of a key would be.
fn name(object: u32) -> Name {
    let mut random = Random(u64::from(object) << 20);
    Name([random.next(), random.next()])
}

impl Policy for Disk {
    fn request(&mut self, object: u32, cost: u64) -> bool {
        if let Some(entry) = self.index.get_mut(&object) {
            entry.uses = (entry.uses + 1).min(USES_MAX);
            return true;
        }
        if cost > self.segment_bytes {
            return false;
        }
        self.make_room();
        let log = self.policy.admit(name(object));
        self.append(log, object, cost, 0);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many objects as fill it twice.
    #[test]
    fn it_stays_within_its_room_and_says_what_it_has() {
        let capacity = 4 << 20;
        let mut disk = Disk::new(capacity);
        let mut random = Random(3);
        for _ in 0..20_000 {
            let object = random.below(2000) as u32;
            let had = disk.index.contains_key(&object);
            assert_eq!(disk.request(object, 4096), had);
            assert!(disk.request(object, 4096), "it was written a moment ago");
            let held: u64 = disk.index.values().map(|entry| entry.cost).sum();
            assert!(
                held <= disk.policy.bytes() && disk.policy.bytes() <= capacity,
                "{}",
                disk.policy.bytes()
            );
        }
        assert!(disk.index.len() > 800, "most of the room is used: {}", disk.index.len());
    }
}
