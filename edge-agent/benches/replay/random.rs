//! Numbers that look random and are the same in every run.

/// SplitMix64 (Steele et al., 2014): short, and good enough to choose objects by.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From 0 up to and without 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 up to and without `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.fraction() * end as f64) as usize
    }

    /// Standard normal (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.fraction()).cos()
    }

    /// Log-normal with this median.
    pub(crate) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }
}

/// Ranks by Zipf's law: the one of rank `r` (from 0) comes in proportion to `(r + 1) ^ -alpha`.
#[derive(Debug)]
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    pub(crate) fn new(ranks: usize, alpha: f64) -> Self {
        let mut sum = 0.0;
        let weight = |rank: usize| ((rank + 1) as f64).powf(-alpha);
        Self(
            (0..ranks)
                .map(|rank| {
                    sum += weight(rank);
                    sum
                })
                .collect(),
        )
    }

    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let Some(sum) = self.0.last() else { return 0 };
        let at = random.fraction() * sum;
        self.0.partition_point(|&upto| upto <= at).min(self.0.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_come_as_often_as_zipf_says() {
        let (zipf, mut random, draws) = (Zipf::new(4, 1.0), Random(1), 120_000);
        let mut counts = [0_u32; 4];
        (0..draws).for_each(|_| counts[zipf.draw(&mut random)] += 1);
        // 1 + 1/2 + 1/3 + 1/4 is 25/12.
        for (count, share) in counts.iter().zip([12.0, 6.0, 4.0, 3.0]) {
            let expected = f64::from(draws) * share / 25.0;
            assert!((f64::from(*count) - expected).abs() < 0.02 * expected, "{counts:?}");
        }
    }

    #[test]
    fn log_normal_sizes_have_their_median() {
        let mut random = Random(7);
        let mut drawn: Vec<f64> = (0..10_001).map(|_| random.log_normal(100.0, 1.5)).collect();
        drawn.sort_by(f64::total_cmp);
        assert!((drawn[5000] - 100.0).abs() < 5.0, "{}", drawn[5000]);
        assert!(drawn[10_000] > 1000.0 && drawn[0] < 10.0);
    }
}
