//! S3-FIFO (Yang et al., SOSP 2023): a small queue, a main queue, and the names of what the small one has dropped.

use std::collections::{HashMap, VecDeque};

use lru::LruCache;

use crate::replay::policy::Policy;

/// Share of the small queue, in percent.
const SMALL_PERCENT: u64 = 10;
/// Uses in the small queue that are needed to go to the main one: more than one, as in the paper's algorithm 1.
const PROMOTE_USES: u8 = 2;
/// Two bits.
const USES_MAX: u8 = 3;

type Hasher = foldhash::fast::FixedState;

#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<(u32, u64)>,
    used: u64,
}

impl Queue {
    fn push(&mut self, object: u32, cost: u64) {
        self.order.push_back((object, cost));
        self.used += cost;
    }

    fn pop(&mut self) -> Option<(u32, u64)> {
        let (object, cost) = self.order.pop_front()?;
        self.used -= cost;
        Some((object, cost))
    }
}

#[derive(Debug)]
pub(crate) struct S3Fifo {
    capacity: u64,
    small: Queue,
    main: Queue,
    /// Uses of what is in one of the two.
    uses: HashMap<u32, u8, Hasher>,
    /// As many as the main queue has room for. A queue here: nothing in it is used without being taken out.
    ghosts: LruCache<u32, u64, Hasher>,
    ghosts_used: u64,
}

impl S3Fifo {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            small: Queue::default(),
            main: Queue::default(),
            uses: HashMap::default(),
            ghosts: LruCache::unbounded_with_hasher(Hasher::default()),
            ghosts_used: 0,
        }
    }

    fn small_room(&self) -> u64 {
        self.capacity * SMALL_PERCENT / 100
    }

    fn evict(&mut self) {
        let is_small_full = self.small.used > 0 && self.small.used >= self.small_room();
        if is_small_full || self.main.used == 0 { self.evict_small() } else { self.evict_main() }
    }

    /// Moves what was used to main, until something is dropped.
    fn evict_small(&mut self) {
        while let Some((object, cost)) = self.small.pop() {
            if self.uses.get(&object).is_some_and(|uses| *uses >= PROMOTE_USES) {
                self.uses.insert(object, 0);
                self.main.push(object, cost);
                continue;
            }
            self.uses.remove(&object);
            self.add_ghost(object, cost);
            return;
        }
    }

    /// Gives what was used another turn for one use, until something is dropped.
    fn evict_main(&mut self) {
        while let Some((object, cost)) = self.main.pop() {
            if let Some(uses) = self.uses.get_mut(&object).filter(|uses| **uses > 0) {
                *uses -= 1;
                self.main.push(object, cost);
                continue;
            }
            self.uses.remove(&object);
            return;
        }
    }

    fn add_ghost(&mut self, object: u32, cost: u64) {
        self.ghosts_used += cost;
        self.ghosts.put(object, cost);
        while self.ghosts_used > self.capacity - self.small_room()
            && let Some((_, cost)) = self.ghosts.pop_lru()
        {
            self.ghosts_used -= cost;
        }
    }
}

impl Policy for S3Fifo {
    fn request(&mut self, object: u32, cost: u64) -> bool {
        if let Some(uses) = self.uses.get_mut(&object) {
            *uses = (*uses + 1).min(USES_MAX);
            return true;
        }
        if cost > self.capacity {
            return false;
        }
        while self.small.used + self.main.used + cost > self.capacity {
            self.evict();
        }
        self.uses.insert(object, 0);
        if let Some(cost) = self.ghosts.pop(&object) {
            self.ghosts_used -= cost;
            self.main.push(object, cost);
        } else {
            self.small.push(object, cost);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::policy::tests::told;

    /// Ten of cost 1, of which nine are more than the small queue should have.
    fn full() -> S3Fifo {
        let mut policy = S3Fifo::new(10);
        assert_eq!(told(&mut policy, &(0..10).map(|n| (n, 1)).collect::<Vec<_>>()), "----------");
        policy
    }

    #[test]
    fn what_was_used_once_or_never_leaves_the_small_queue_as_a_ghost_and_returns_to_main() {
        let mut policy = full();
        assert_eq!(told(&mut policy, &[(0, 1), (10, 1), (0, 1)]), "+--", "one use of 0 is too few");
        assert_eq!(policy.main.order, [(0, 1)], "it was a ghost");
        assert!(!policy.ghosts.contains(&0) && policy.ghosts.contains(&1));
    }

    #[test]
    fn what_was_used_twice_goes_to_main() {
        let mut policy = full();
        assert_eq!(told(&mut policy, &[(0, 1), (0, 1), (10, 1)]), "++-");
        assert_eq!(policy.main.order, [(0, 1)]);
        assert_eq!(policy.small.order.front(), Some(&(2, 1)), "1 was dropped instead");
        assert_eq!(policy.uses[&0], 0, "it starts in main without a use");
    }

    #[test]
    fn main_is_a_clock_of_two_bits() {
        let mut policy = S3Fifo::new(10);
        for (object, uses) in [(1, 1), (2, 0), (3, 9)] {
            policy.main.push(object, 3);
            policy.uses.insert(object, 0);
            (0..uses).for_each(|_| assert!(policy.request(object, 3)));
        }
        assert_eq!(policy.uses[&3], 3, "at most");
        // The small queue is empty: main makes room. 1 has another turn, 2 goes.
        assert_eq!(told(&mut policy, &[(4, 2), (2, 1)]), "--");
        assert_eq!(policy.main.order, [(3, 3), (1, 3)]);
        assert_eq!((policy.uses[&1], policy.uses.get(&2)), (0, Some(&0)), "2 is back, in the small queue");
    }

    #[test]
    fn a_scan_leaves_main_alone_and_ghosts_are_as_many_as_main_has_room_for() {
        let mut policy = full();
        told(&mut policy, &[(0, 1), (0, 1), (10, 1)]);
        told(&mut policy, &(100..200).map(|n| (n, 1)).collect::<Vec<_>>());
        assert!(policy.request(0, 1));
        assert_eq!((policy.ghosts.len(), policy.ghosts_used), (9, 9));
        assert!(!policy.request(999, 11), "more than there is room for");
        assert!(policy.request(0, 1));
    }
}
