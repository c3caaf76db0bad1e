//! About how often names were asked for lately: a count-min sketch that forgets (TinyLFU, Einziger et al., 2017).

use crate::cache::disk::entry::Name;

/// Counters of a name, one in each row; the least of them is wrong the least.
const ROWS: usize = 4;
/// Counters of a row for each record, or up to twice as many: many more names are asked for than there are records.
const COUNTERS: usize = 8;
/// Two counters to a byte: what a name is compared by is never more than [`COUNT_MAX`].
const BITS: u32 = 4;
/// Counters of a row at least and at most.
const WIDTH_MIN: usize = 1 << 12;
const WIDTH_MAX: usize = 1 << 26;
/// Requests for each record, after which every count is halved.
const SAMPLE: u64 = 10;
/// What is asked for more often is as good as this.
const COUNT_MAX: u8 = (1 << BITS) - 1;
/// Halves both counters of a byte, with what the upper one would lend the lower one taken away.
const HALVED: u8 = 0b0111_0111;

#[derive(Debug)]
pub(super) struct Sketch {
    rows: [Row; ROWS],
    added: u64,
    sample: u64,
}

/// Counters of four bits: the first half of them in the lower bits of each byte, the others in the upper.
#[derive(Debug)]
struct Row(Vec<u8>);

impl Row {
    fn new(width: usize) -> Self {
        Self(vec![0; width / 2])
    }

    fn width(&self) -> usize {
        self.0.len() * 2
    }

    fn place(&self, at: usize) -> (usize, u32) {
        let half = self.0.len();
        if at < half { (at, 0) } else { (at - half, BITS) }
    }

    fn count(&self, at: usize) -> u8 {
        let (byte, shift) = self.place(at);
        self.0[byte] >> shift & COUNT_MAX
    }

    /// The counter must be less than [`COUNT_MAX`].
    fn raise(&mut self, at: usize) {
        let (byte, shift) = self.place(at);
        self.0[byte] += 1 << shift;
    }

    fn halve(&mut self) {
        self.0.iter_mut().for_each(|both| *both = *both >> 1 & HALVED);
    }

    /// A counter's place in a table twice as large is one of two, and both say what the one did.
    fn double(&mut self) {
        let half = self.0.len();
        self.0.resize(2 * half, 0);
        for at in 0..half {
            let both = self.0[at];
            let (lower, upper) = (both & COUNT_MAX, both >> BITS);
            self.0[at] = lower << BITS | lower;
            self.0[half + at] = upper << BITS | upper;
        }
    }
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self {
            rows: std::array::from_fn(|_| Row::new(WIDTH_MIN)),
            added: 0,
            sample: SAMPLE * (WIDTH_MIN / COUNTERS) as u64,
        }
    }

    /// Has the size that suits so many records.
    pub(super) fn fit(&mut self, records: u64) {
        let counters = usize::try_from(records).unwrap_or(usize::MAX).saturating_mul(COUNTERS);
        let counters = counters.clamp(WIDTH_MIN, WIDTH_MAX);
        self.sample = SAMPLE * (counters / COUNTERS) as u64;
        while self.rows[0].width() < counters {
            self.rows.iter_mut().for_each(Row::double);
        }
    }

    /// How often a name was added, or more, if others share all of its counters.
    pub(super) fn count(&self, name: Name) -> u8 {
        let places = self.places(name);
        self.rows.iter().zip(places).map(|(row, place)| row.count(place)).min().unwrap_or(0)
    }

    /// Only the least of its counters are raised: the others are too high already.
    pub(super) fn add(&mut self, name: Name) {
        let (places, least) = (self.places(name), self.count(name));
        if least < COUNT_MAX {
            for (row, place) in self.rows.iter_mut().zip(places) {
                if row.count(place) == least {
                    row.raise(place);
                }
            }
        }
        self.added += 1;
        if self.added >= self.sample {
            self.rows.iter_mut().for_each(Row::halve);
            self.added /= 2;
        }
    }

    /// Names are hashes, spread evenly: each row looks at other bits.
    fn places(&self, name: Name) -> [usize; ROWS] {
        let mask = self.rows[0].width() - 1;
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
        for n in 0..10 * 512 - 10 {
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
        assert_eq!(sketch.rows[3].width(), 1 << 20);
        assert_eq!((0..100).map(|n| sketch.count(name(n))).collect::<Vec<_>>(), before);
        sketch.fit(u64::MAX);
        assert_eq!(sketch.rows[0].width(), WIDTH_MAX);
    }
}
