//! The policy: which log a record goes to, which segment is given up next, and which of its records are worth keeping.
//!
//! S3-FIFO (Yang et al., SOSP 2023) on segments. Two logs, each a queue of segments: what is new goes to *probation*, a small part
//! of the space; what was used there goes on to *main*. What comes back soon after it was dropped from probation (it is in
//! the *ghost* list) goes to main at once. Of main, too, the oldest segment is given up first, and what was used since is
//! written again with one use less, up to a share of the segment, so that writing has a bound. A scan passes through
//! probation and never touches main.
//!
//! To that, TinyLFU's question is added: has it been asked for at least as often as what main has to drop for it? A sketch
//! remembers about how often, for longer than ghosts and uses do. The figures are in docs/decisions/0011.
//!
//! All of it is a function of what it is told. The engine drives it with files, a replay can drive it with numbers.

mod sketch;

use std::collections::{HashMap, VecDeque};

use self::sketch::Sketch;
use super::entry::Name;

/// Share of the space that probation may have before it gives up segments, in percent.
pub const PROBATION_PERCENT: u64 = 2;
/// Uses in probation from which on a record goes to main.
pub const PROMOTE_USES: u8 = 1;
/// Share of a main segment that may be written again when it is given up, in percent. With `r` of it, every byte freed costs
/// `r / (1 - r)` written: three at 75, and a byte accepted is written at most five times (probation, main, three again).
pub const REWRITE_PERCENT: u64 = 75;
/// Segments that are kept free: one for the batch that is written next, and one for what is moved before its old place is free, which
/// leaves a quarter for footers.
pub const HEADROOM_SEGMENTS: u64 = 2;
/// Names in the ghost list, in percent of all records. More, and too much comes to main that is not as good as what is there; fewer,
/// and what becomes popular is found out too late.
pub const GHOSTS_PERCENT: u64 = 50;
/// Names in the ghost list at most, whatever the records; about 20 bytes each.
pub const GHOSTS_MAX: u64 = 1 << 22;
/// Share of the newest segment in the average that the bar is.
const BAR_SHARE: f64 = 0.2;

/// The two queues of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Log {
    /// What is new.
    Probation,
    /// What was worth keeping.
    Main,
}

/// A record of a segment that is given up.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its name, for the ghost list.
    pub name: Name,
    /// Bytes that it takes in a segment.
    pub bytes: u64,
    /// How often it was used since it was written to this segment, up to three.
    pub uses: u8,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is written to main, with this many uses left.
    Main {
        /// The counter it starts with.
        uses: u8,
    },
    /// It is dropped.
    Dropped,
}

/// The two logs as far as deciding needs them.
#[derive(Debug)]
pub struct Policy {
    capacity_bytes: u64,
    segment_bytes: u64,
    records_max: u64,
    probation: VecDeque<Held>,
    main: VecDeque<Held>,
    ghosts: Ghosts,
    sketch: Sketch,
    /// About how often what main drops was asked for.
    bar: f64,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    segment: u32,
    bytes: u64,
    /// It is still written to, and not given up.
    open: bool,
}

impl Policy {
    /// With nothing in it yet.
    #[must_use]
    pub fn new(capacity_bytes: u64, segment_bytes: u64, records_max: u64) -> Self {
        Self {
            capacity_bytes,
            segment_bytes,
            records_max,
            probation: VecDeque::new(),
            main: VecDeque::new(),
            ghosts: Ghosts::new(ghosts(records_max)),
            sketch: Sketch::new(),
            bar: 0.0,
        }
    }

    /// From now on this much room.
    pub fn set_capacity_bytes(&mut self, capacity_bytes: u64) {
        self.capacity_bytes = capacity_bytes;
    }

    /// Room there is.
    #[must_use]
    pub fn capacity_bytes(&self) -> u64 {
        self.capacity_bytes
    }

    fn log(&self, log: Log) -> &VecDeque<Held> {
        match log {
            Log::Probation => &self.probation,
            Log::Main => &self.main,
        }
    }

    fn log_mut(&mut self, log: Log) -> &mut VecDeque<Held> {
        match log {
            Log::Probation => &mut self.probation,
            Log::Main => &mut self.main,
        }
    }

    /// Bytes of all segments of a log.
    #[must_use]
    pub fn log_bytes(&self, log: Log) -> u64 {
        self.log(log).iter().map(|held| held.bytes).sum()
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.log_bytes(Log::Probation) + self.log_bytes(Log::Main)
    }

    /// The log that a new record goes to. What was dropped not long ago has shown that it comes back, and what was asked for more
    /// often than what main drops has a right to be there.
    pub fn admit(&mut self, name: Name) -> Log {
        let asked = f64::from(self.sketch.count(name));
        self.sketch.add(name);
        // As long as main drops nothing, there is nothing to be better than.
        let is_better = self.bar > 0.0 && asked > self.bar;
        if self.ghosts.take(name) || is_better { Log::Main } else { Log::Probation }
    }

    /// A segment is begun: the newest of its log.
    pub fn opened(&mut self, segment: u32, log: Log) {
        self.log_mut(log).push_back(Held { segment, bytes: 0, open: true });
    }

    /// Bytes were written to an open segment.
    pub fn wrote(&mut self, segment: u32, bytes: u64) {
        if let Some(held) = self.find(segment) {
            held.bytes += bytes;
        }
    }

    /// A segment is written to no more.
    pub fn sealed(&mut self, segment: u32) {
        if let Some(held) = self.find(segment) {
            held.open = false;
        }
    }

    /// A segment is not there any more.
    pub fn gone(&mut self, segment: u32) {
        self.probation.retain(|held| held.segment != segment);
        self.main.retain(|held| held.segment != segment);
    }

    /// Nearly always one of the newest.
    fn find(&mut self, segment: u32) -> Option<&mut Held> {
        self.main.iter_mut().rev().chain(self.probation.iter_mut().rev()).find(|held| held.segment == segment)
    }

    /// The segment that must be given up before another is begun, if any. `records` is how many there are in all.
    #[must_use]
    pub fn reclaim(&mut self, records: u64) -> Option<(u32, Log)> {
        self.ghosts.max = ghosts(records);
        self.sketch.fit(records);
        let room = self.capacity_bytes.saturating_sub(HEADROOM_SEGMENTS * self.segment_bytes);
        if self.bytes() <= room && records <= self.records_max {
            return None;
        }
        let oldest = |log| self.log(log).iter().find(|held| !held.open).map(|held| (held.segment, log));
        if self.log_bytes(Log::Probation) * 100 >= room * PROBATION_PERCENT {
            oldest(Log::Probation).or_else(|| oldest(Log::Main))
        } else {
            oldest(Log::Main).or_else(|| oldest(Log::Probation))
        }
    }

    /// What becomes of the records of a segment that is given up, in their order. Expired and replaced ones are not asked about.
    pub fn fates(&mut self, log: Log, candidates: &[Candidate]) -> Vec<Fate> {
        for candidate in candidates {
            (0..candidate.uses).for_each(|_| self.sketch.add(candidate.name));
        }
        match log {
            Log::Probation => candidates.iter().map(|candidate| self.promoted(candidate)).collect(),
            Log::Main => self.rewritten(candidates),
        }
    }

    fn promoted(&mut self, candidate: &Candidate) -> Fate {
        if candidate.uses >= PROMOTE_USES && f64::from(self.sketch.count(candidate.name)) >= self.bar {
            // It starts in main without a use: what it did before has been rewarded.
            return Fate::Main { uses: 0 };
        }
        self.ghosts.add(candidate.name);
        Fate::Dropped
    }

    /// The most asked for first, of what was used, as far as the share allows. What is dropped sets the bar. Four times the bytes must be
    /// asked for twice as often: more for each byte would answer more requests, less would answer more bytes.
    fn rewritten(&mut self, candidates: &[Candidate]) -> Vec<Fate> {
        let asked: Vec<u8> = candidates.iter().map(|candidate| self.sketch.count(candidate.name)).collect();
        let mut order: Vec<_> = (0..candidates.len()).filter(|&at| candidates[at].uses > 0).collect();
        let worth = |at: usize| f64::from(asked[at]) / (candidates[at].bytes.max(1) as f64).sqrt();
        order.sort_by(|&a, &b| {
            worth(b).total_cmp(&worth(a)).then(candidates[b].uses.cmp(&candidates[a].uses))
        });
        let mut left = self.segment_bytes * REWRITE_PERCENT / 100;
        let mut fates = vec![Fate::Dropped; candidates.len()];
        for at in order {
            let Candidate { bytes, uses, .. } = candidates[at];
            if let Some(rest) = left.checked_sub(bytes) {
                left = rest;
                fates[at] = Fate::Main { uses: uses - 1 };
            }
        }
        let dropped = asked.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Dropped);
        let dropped: Vec<f64> = dropped.map(|(asked, _)| f64::from(*asked)).collect();
        if !dropped.is_empty() {
            let mean = dropped.iter().sum::<f64>() / dropped.len() as f64;
            self.bar += BAR_SHARE * (mean - self.bar);
        }
        fates
    }
}

/// Names in the ghost list, beside so many records.
fn ghosts(records: u64) -> usize {
    usize::try_from((records.saturating_mul(GHOSTS_PERCENT) / 100).min(GHOSTS_MAX)).unwrap_or(usize::MAX)
}

/// Names dropped lately, the oldest forgotten first. A quarter of each name is kept: with as many as there may be, one in a
/// thousand new names is taken for one of them, which does no harm.
#[derive(Debug)]
struct Ghosts {
    order: VecDeque<u32>,
    /// Number of the first place in `order`. Numbers begin anew after the last: there are never so many at once.
    first: u32,
    /// The place of each name. Names are hashes already, so any quick hasher will do.
    places: HashMap<u32, u32, foldhash::fast::FixedState>,
    max: usize,
}

impl Ghosts {
    fn new(max: usize) -> Self {
        Self { order: VecDeque::new(), first: 0, places: HashMap::default(), max }
    }

    fn add(&mut self, name: Name) {
        let quarter = Self::quarter(name);
        self.places.insert(quarter, self.first.wrapping_add(self.order.len() as u32));
        self.order.push_back(quarter);
        while self.order.len() > self.max {
            let oldest = self.order.pop_front();
            // It may have been taken meanwhile, or have a later place.
            if let Some(oldest) = oldest.filter(|oldest| self.places.get(oldest) == Some(&self.first)) {
                self.places.remove(&oldest);
            }
            self.first = self.first.wrapping_add(1);
        }
    }

    /// Whether it is there; afterwards it is not.
    fn take(&mut self, name: Name) -> bool {
        self.places.remove(&Self::quarter(name)).is_some()
    }

    fn quarter(name: Name) -> u32 {
        name.0[0] as u32
    }
}

#[cfg(test)]
mod tests;
