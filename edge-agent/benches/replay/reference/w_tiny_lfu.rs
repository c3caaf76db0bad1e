//! W-TinyLFU (Einziger et al., 2017): a window of 1 %, a segmented LRU behind it, and a sketch of how often everything is asked for,
//! which decides who gets from the one to the other.

use lru::LruCache;

use crate::replay::{policy::Policy, random::Random};

/// Share of the window, in percent.
const WINDOW_PERCENT: u64 = 1;
/// Share of the protected part in what is not the window, in percent.
const PROTECTED_PERCENT: u64 = 80;
/// Counts are halved after this many requests for each object that there is room for.
const SAMPLE: u64 = 10;
/// Counters of each row of the sketch for each object that there is room for.
const COUNTERS: u64 = 4;
/// Four bits.
const COUNT_MAX: u8 = 15;
const ROWS: usize = 4;

type Hasher = foldhash::fast::FixedState;

/// An LRU list that knows what its entries cost together.
#[derive(Debug)]
struct List {
    objects: LruCache<u32, u64, Hasher>,
    used: u64,
}

impl List {
    fn new() -> Self {
        Self { objects: LruCache::unbounded_with_hasher(Hasher::default()), used: 0 }
    }

    fn push(&mut self, object: u32, cost: u64) {
        self.objects.put(object, cost);
        self.used += cost;
    }

    fn pop(&mut self) -> Option<(u32, u64)> {
        let (object, cost) = self.objects.pop_lru()?;
        self.used -= cost;
        Some((object, cost))
    }

    fn take(&mut self, object: u32) -> Option<u64> {
        let cost = self.objects.pop(&object)?;
        self.used -= cost;
        Some(cost)
    }
}

/// A count-min sketch that forgets: how often each object was asked for, lately and about.
#[derive(Debug)]
struct Sketch {
    rows: [Vec<u8>; ROWS],
    added: u64,
    sample: u64,
}

impl Sketch {
    fn new(objects: u64) -> Self {
        let width = (objects * COUNTERS).next_power_of_two().max(16);
        let width = usize::try_from(width).unwrap_or(usize::MAX);
        Self { rows: std::array::from_fn(|_| vec![0; width]), added: 0, sample: SAMPLE * objects.max(1) }
    }

    fn places(&self, object: u32) -> [usize; ROWS] {
        let mut random = Random(u64::from(object) << 20);
        std::array::from_fn(|row| random.next() as usize & (self.rows[row].len() - 1))
    }

    fn count(&self, object: u32) -> u8 {
        let places = self.places(object);
        self.rows.iter().zip(places).map(|(row, place)| row[place]).min().unwrap_or(0)
    }

    /// Only the least of its counters are wrong by nobody else, so only they are raised.
    fn add(&mut self, object: u32) {
        let (places, least) = (self.places(object), self.count(object));
        for (row, place) in self.rows.iter_mut().zip(places) {
            if row[place] == least && least < COUNT_MAX {
                row[place] += 1;
            }
        }
        self.added += 1;
        if self.added >= self.sample {
            self.rows.iter_mut().flatten().for_each(|count| *count /= 2);
            self.added /= 2;
        }
    }
}

#[derive(Debug)]
pub(crate) struct WTinyLfu {
    capacity: u64,
    window: List,
    probation: List,
    protected: List,
    sketch: Sketch,
}

impl WTinyLfu {
    /// With room for about so many objects.
    pub(crate) fn new(capacity: u64, objects: u64) -> Self {
        Self {
            capacity,
            window: List::new(),
            probation: List::new(),
            protected: List::new(),
            sketch: Sketch::new(objects),
        }
    }

    fn window_room(&self) -> u64 {
        self.capacity * WINDOW_PERCENT / 100
    }

    fn main_room(&self) -> u64 {
        self.capacity - self.window_room()
    }

    fn is_hit(&mut self, object: u32) -> bool {
        if self.window.objects.get(&object).is_some() || self.protected.objects.get(&object).is_some() {
            return true;
        }
        let Some(cost) = self.probation.take(object) else { return false };
        self.protected.push(object, cost);
        while self.protected.used > self.main_room() * PROTECTED_PERCENT / 100
            && let Some((object, cost)) = self.protected.pop()
        {
            self.probation.push(object, cost);
        }
        true
    }

    /// What leaves the window stays if it is asked for more often than each of those that would have to go.
    fn admit(&mut self, object: u32, cost: u64) {
        while self.probation.used + self.protected.used + cost > self.main_room() {
            let from = if self.probation.used > 0 { &mut self.probation } else { &mut self.protected };
            let Some((&victim, _)) = from.objects.peek_lru() else { return };
            if self.sketch.count(object) <= self.sketch.count(victim) {
                return;
            }
            from.pop();
        }
        self.probation.push(object, cost);
    }
}

impl Policy for WTinyLfu {
    fn request(&mut self, object: u32, cost: u64) -> bool {
        self.sketch.add(object);
        if self.is_hit(object) {
            return true;
        }
        self.window.push(object, cost);
        while self.window.used > self.window_room()
            && let Some((object, cost)) = self.window.pop()
        {
            self.admit(object, cost);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::policy::tests::told;

    #[test]
    fn a_sketch_counts_to_fifteen_and_forgets_half() {
        let mut sketch = Sketch::new(4);
        (0..30).for_each(|_| sketch.add(7));
        assert_eq!((sketch.count(7), sketch.count(8)), (15, 0));
        (0..10).for_each(|_| sketch.add(8));
        assert_eq!((sketch.count(7), sketch.count(8)), (7, 5), "after 40");
    }

    /// A window without room, so that everything is a candidate at once; main has room for four.
    fn small() -> WTinyLfu {
        WTinyLfu::new(4, 100)
    }

    #[test]
    fn who_is_asked_for_more_often_stays() {
        let mut policy = small();
        assert_eq!(told(&mut policy, &[(1, 1), (2, 1), (3, 1), (4, 1)]), "----");
        // 1 and 2 are protected then. 3 is the next to go, but has been asked for as often as 5; then it is protected as well.
        assert_eq!(told(&mut policy, &[(1, 1), (2, 1), (5, 1), (3, 1)]), "++-+");
        assert_eq!(told(&mut policy, &[(5, 1), (5, 1), (4, 1)]), "-+-", "5 came the second time, for 4");
    }

    #[test]
    fn probation_that_is_used_is_protected_and_the_protected_are_four_of_five() {
        let mut policy = small();
        told(&mut policy, &[(1, 1), (2, 1), (3, 1), (4, 1)]);
        told(&mut policy, &[(1, 1), (2, 1), (3, 1), (4, 1)]);
        let order: Vec<_> = policy.protected.objects.iter().map(|(object, _)| *object).collect();
        assert_eq!(order, [4, 3, 2], "three of four, the most recent first");
        assert_eq!(policy.probation.objects.peek_lru(), Some((&1, &1)));
    }

    #[test]
    fn the_window_is_an_lru_of_one_percent() {
        let mut policy = WTinyLfu::new(200, 200);
        told(&mut policy, &[(1, 1), (2, 1), (1, 1), (3, 1)]);
        let window: Vec<_> = policy.window.objects.iter().map(|(object, _)| *object).collect();
        assert_eq!((window, policy.probation.used), (vec![3, 1], 1), "2 went on to main, which has room");
    }

    #[test]
    fn what_costs_more_has_to_win_against_all_that_would_go_for_it() {
        let mut policy = small();
        told(&mut policy, &[(1, 2), (2, 2), (2, 2), (2, 2)]);
        // 3 needs the room of both, and comes more often than 1 only.
        assert_eq!(told(&mut policy, &[(3, 4), (3, 4), (3, 4), (2, 2)]), "---+");
        // Now it comes as often as 2, and then more often.
        assert_eq!(told(&mut policy, &[(3, 4), (3, 4), (3, 4), (2, 2)]), "--+-");
    }
}
