//! LRU: what was not used for the longest time goes first.

use lru::LruCache;

use crate::replay::policy::Policy;

#[derive(Debug)]
pub(crate) struct Lru {
    capacity: u64,
    used: u64,
    objects: LruCache<u32, u64, foldhash::fast::FixedState>,
}

impl Lru {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            used: 0,
            objects: LruCache::unbounded_with_hasher(foldhash::fast::FixedState::default()),
        }
    }
}

impl Policy for Lru {
    fn request(&mut self, object: u32, cost: u64) -> bool {
        if self.objects.get(&object).is_some() {
            return true;
        }
        if cost > self.capacity {
            return false;
        }
        while self.used + cost > self.capacity
            && let Some((_, gone)) = self.objects.pop_lru()
        {
            self.used -= gone;
        }
        self.used += cost;
        self.objects.put(object, cost);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::policy::tests::told;

    #[test]
    fn the_least_recently_used_makes_room() {
        // The third request makes 1 the more recent of two, so that 3 drives out 2.
        let requests = [(1, 1), (2, 1), (1, 1), (3, 1), (1, 1), (2, 1), (3, 1)];
        assert_eq!(told(&mut Lru::new(2), &requests), "--+-+--");
    }

    #[test]
    fn a_large_one_takes_the_room_of_several_and_one_too_large_takes_none() {
        // 4 takes the room of 1 and 2, then 1 that of 4, which was used before 3.
        let requests = [(1, 1), (2, 1), (3, 1), (4, 2), (3, 1), (1, 1), (9, 4), (3, 1), (4, 2)];
        assert_eq!(told(&mut Lru::new(3), &requests), "----+--+-");
    }
}
