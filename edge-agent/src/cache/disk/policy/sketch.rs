//! About how often names were asked for lately: a count-min sketch that forgets (TinyLFU, Einziger et al., 2017).

use crate::cache::disk::entry::Name;

/// Counters of a name, one in each row; the least of them is wrong the least.
const ROWS: usize = 4;
/// Counters of a row for each record, a byte each: many more names are asked for than there are records.
const COUNTERS: usize = 4;
/// Counters of a row at least and at most.
const WIDTH_MIN: usize = 1 << 12;
const WIDTH_MAX: usize = 1 << 25;
/// Requests for each record, after which every count is halved.
const SAMPLE: u64 = 10;
/// What is asked for more often is as good as this.
const COUNT_MAX: u8 = 15;

#[derive(Debug)]
pub(super) struct Sketch {
    rows: [Vec<u8>; ROWS],
    added: u64,
    sample: u64,
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self {
            rows: std::array::from_fn(|_| vec![0; WIDTH_MIN]),
            added: 0,
            sample: SAMPLE * WIDTH_MIN as u64,
        }
    }

    /// Has the size that suits so many records.
    pub(super) fn fit(&mut self, records: u64) {
        let counters = usize::try_from(records).unwrap_or(usize::MAX).saturating_mul(COUNTERS);
        let counters = counters.clamp(WIDTH_MIN, WIDTH_MAX);
        self.sample = SAMPLE * (counters / COUNTERS) as u64;
        // A name's place in a table twice as large is one of two, and both say what the one did.
        while self.rows[0].len() < counters {
            self.rows.iter_mut().for_each(|row| row.extend_from_within(..));
        }
    }

    /// How often a name was added, or more, if others share all of its counters.
    pub(super) fn count(&self, name: Name) -> u8 {
        let places = self.places(name);
        self.rows.iter().zip(places).map(|(row, place)| row[place]).min().unwrap_or(0)
    }

    /// Only the least of its counters are raised: the others are too high already.
    pub(super) fn add(&mut self, name: Name) {
        let (places, least) = (self.places(name), self.count(name));
        if least < COUNT_MAX {
            for (row, place) in self.rows.iter_mut().zip(places) {
                row[place] += u8::from(row[place] == least);
            }
        }
        self.added += 1;
        if self.added >= self.sample {
            self.rows.iter_mut().flatten().for_each(|count| *count /= 2);
            self.added /= 2;
        }
    }

    /// Names are hashes, spread evenly: each row looks at other bits.
    fn places(&self, name: Name) -> [usize; ROWS] {
        let mask = self.rows[0].len() - 1;
        let [a, b] = name.0;
        [a, a >> 32, b, b >> 32].map(|bits| bits as usize & mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: u64) -> Name {
        let mixed = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Name([mixed ^ mixed >> 29, mixed.rotate_left(32).wrapping_mul(0xbf58_476d_1ce4_e5b9)])
    }

    #[test]
    fn counts_are_those_of_each_name_up_to_fifteen() {
        let mut sketch = Sketch::new();
        for n in 0..30 {
            (0..n).for_each(|_| sketch.add(name(n)));
        }
        for n in 0..30 {
            assert_eq!(u64::from(sketch.count(name(n))), n.min(15), "{n}");
        }
        assert_eq!(sketch.count(name(1000)), 0);
    }

    #[test]
    fn counts_are_halved_after_ten_requests_a_record() {
        let mut sketch = Sketch::new();
        sketch.fit(5);
        (0..9).for_each(|_| sketch.add(name(1)));
        for n in 0..10 * 1024 - 10 {
            sketch.add(name(2 + n % 100));
        }
        assert_eq!(sketch.count(name(1)), 9);
        sketch.add(name(2));
        assert_eq!((sketch.count(name(1)), sketch.count(name(2))), (4, 7));
    }

    #[test]
    fn it_grows_with_the_records_and_forgets_nothing() {
        let mut sketch = Sketch::new();
        (0..100).for_each(|n| (0..n % 7).for_each(|_| sketch.add(name(n))));
        let before: Vec<u8> = (0..100).map(|n| sketch.count(name(n))).collect();
        sketch.fit(100_000);
        assert_eq!(sketch.rows[3].len(), 1 << 19);
        assert_eq!((0..100).map(|n| sketch.count(name(n))).collect::<Vec<_>>(), before);
        sketch.fit(u64::MAX);
        assert_eq!(sketch.rows[0].len(), WIDTH_MAX);
    }
}
