//! Synthetic traces: popularity by Zipf's law, alone and with what disturbs a cache.

use super::{
    random::{Random, Zipf},
    trace::Trace,
};

/// How many objects and requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Objects that are asked for again and again.
    pub(crate) objects: usize,
    pub(crate) requests: usize,
}

/// Bytes of every object, where they are of one size: an ordinary picture.
const BYTES: u64 = 16 << 10;
/// Where they are not: the median, the spread (sigma of the logarithm), and the largest.
const MEDIAN_BYTES: f64 = 8_000.0;
const SIGMA: f64 = 1.3;
const BYTES_MAX: u64 = 256 << 10;
const BYTES_MIN: u64 = 64;

/// What a request is for.
enum Ask {
    /// One of the objects, by its popularity.
    Rank(usize),
    /// An object that nobody asked for, and nobody will again.
    Once,
}

/// All of them.
pub(crate) fn all(scale: Scale) -> Vec<Trace> {
    vec![
        zipf("zipf 0.7", scale, 0.7),
        zipf("zipf 0.9", scale, 0.9),
        zipf("zipf 1.1", scale, 1.1),
        sizes("zipf 0.9, sizes vary", scale),
        once("zipf 0.9, a third once", scale),
        scans("zipf 0.9, scans", scale),
        shifting("zipf 0.9, shifting", scale, 2),
        shifting("zipf 0.9, shifting fast", scale, 20),
        everything("all of it", scale),
    ]
}

/// Popularity that never changes.
fn zipf(name: &str, scale: Scale, alpha: f64) -> Trace {
    let zipf = Zipf::new(scale.objects, alpha);
    make(name, scale, equal, |_, random| Ask::Rank(zipf.draw(random)))
}

/// The same with objects of all sizes, however popular.
fn sizes(name: &str, scale: Scale) -> Trace {
    let zipf = Zipf::new(scale.objects, 0.9);
    make(name, scale, varied, |_, random| Ask::Rank(zipf.draw(random)))
}

/// Every third request is for something that is asked for once.
fn once(name: &str, scale: Scale) -> Trace {
    let zipf = Zipf::new(scale.objects, 0.9);
    make(name, scale, equal, |_, random| match random.below(3) {
        0 => Ask::Once,
        _ => Ask::Rank(zipf.draw(random)),
    })
}

/// Twenty times a crawler comes along: for a while, nine of ten requests are for what is asked for once.
fn scans(name: &str, scale: Scale) -> Trace {
    let zipf = Zipf::new(scale.objects, 0.9);
    let (every, length) = (scale.requests / 20, scale.requests / 100);
    make(name, scale, equal, |at, random| match at % every < length && random.below(10) > 0 {
        true => Ask::Once,
        false => Ask::Rank(zipf.draw(random)),
    })
}

/// Objects become popular all at once, and others are forgotten: while the trace lasts, each rank has other objects so many times.
fn shifting(name: &str, scale: Scale, times: usize) -> Trace {
    let (zipf, mut ranks) = (Zipf::new(scale.objects, 0.9), Ranks::new(scale, times));
    make(name, scale, equal, move |_, random| Ask::Rank(ranks.shifted(random)[zipf.draw(random)]))
}

/// Objects of all sizes, shifting, some scans, and a tenth asked for once.
fn everything(name: &str, scale: Scale) -> Trace {
    let (zipf, mut ranks) = (Zipf::new(scale.objects, 0.8), Ranks::new(scale, 2));
    let (every, length) = (scale.requests / 10, scale.requests / 100);
    make(name, scale, varied, move |at, random| {
        let once_of_ten = if at % every < length { 9 } else { 1 };
        match random.below(10) < once_of_ten {
            true => Ask::Once,
            false => Ask::Rank(ranks.shifted(random)[zipf.draw(random)]),
        }
    })
}

/// Which object has which rank.
struct Ranks {
    objects: Vec<usize>,
    /// Swaps of two ranks that are due with each request.
    swaps: f64,
    due: f64,
}

impl Ranks {
    fn new(scale: Scale, times: usize) -> Self {
        // A swap changes two.
        let swaps = (times * scale.objects) as f64 / 2.0 / scale.requests as f64;
        Self { objects: (0..scale.objects).collect(), swaps, due: 0.0 }
    }

    fn shifted(&mut self, random: &mut Random) -> &[usize] {
        self.due += self.swaps;
        while self.due >= 1.0 {
            self.due -= 1.0;
            let ranks = self.objects.len();
            self.objects.swap(random.below(ranks), random.below(ranks));
        }
        &self.objects
    }
}

fn equal(_: &mut Random) -> u64 {
    BYTES
}

fn varied(random: &mut Random) -> u64 {
    (random.log_normal(MEDIAN_BYTES, SIGMA) as u64).clamp(BYTES_MIN, BYTES_MAX)
}

fn make(
    name: &str,
    scale: Scale,
    bytes: impl Fn(&mut Random) -> u64,
    mut ask: impl FnMut(usize, &mut Random) -> Ask,
) -> Trace {
    let mut random = Random(42);
    // Neighbours in rank are no neighbours in anything else.
    let mut places: Vec<u32> = (0..scale.objects as u32).collect();
    (1..places.len()).rev().for_each(|at| places.swap(at, random.below(at + 1)));
    let mut sizes: Vec<u64> = (0..scale.objects).map(|_| bytes(&mut random)).collect();
    let requests = (0..scale.requests).map(|at| match ask(at, &mut random) {
        Ask::Rank(rank) => places[rank],
        Ask::Once => {
            sizes.push(bytes(&mut random));
            sizes.len() as u32 - 1
        }
    });
    let requests = requests.collect();
    Trace { name: name.to_owned(), sizes, requests }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale { objects: 100, requests: 10_000 };

    fn asked(trace: &Trace, range: std::ops::Range<usize>) -> Vec<usize> {
        let mut counts = vec![0; trace.sizes.len()];
        trace.requests[range].iter().for_each(|object| counts[*object as usize] += 1);
        counts
    }

    #[test]
    fn they_are_the_same_in_every_run_and_as_long_as_told() {
        let traces = all(SCALE);
        assert_eq!(traces, all(SCALE));
        for trace in &traces {
            assert_eq!(trace.requests.len(), SCALE.requests, "{}", trace.name);
            assert!(trace.requests.iter().all(|object| (*object as usize) < trace.sizes.len()));
        }
    }

    #[test]
    fn what_is_asked_for_once_is() {
        let trace = once("", SCALE);
        let counts = asked(&trace, 0..SCALE.requests);
        assert!(counts[SCALE.objects..].iter().all(|count| *count == 1));
        let once = counts.len() - SCALE.objects;
        assert!((3100..3600).contains(&once), "a third: {once}");
    }

    #[test]
    fn scans_come_and_go() {
        let trace = scans("", SCALE);
        let first_once = SCALE.objects as u32;
        let is_once = |range: std::ops::Range<usize>| {
            trace.requests[range].iter().filter(|object| **object >= first_once).count()
        };
        assert!(is_once(0..100) > 80);
        assert_eq!(is_once(100..500), 0);
        assert!(is_once(500..600) > 80);
    }

    /// A tenth of the ranks, by how often their objects are asked for in a range.
    fn top(trace: &Trace, range: std::ops::Range<usize>) -> Vec<usize> {
        let counts = asked(trace, range);
        let mut objects: Vec<_> = (0..SCALE.objects).collect();
        objects.sort_by_key(|object| std::cmp::Reverse(counts[*object]));
        objects.truncate(SCALE.objects / 10);
        objects
    }

    #[test]
    fn popularity_shifts_as_often_as_told() {
        let kept = |trace: &Trace| {
            let (before, after) = (top(trace, 0..2000), top(trace, 8000..10_000));
            before.iter().filter(|object| after.contains(object)).count()
        };
        let (still, slow) = (kept(&zipf("", SCALE, 0.9)), kept(&shifting("", SCALE, 2)));
        assert!(still >= 8, "{still}");
        assert!((1..still).contains(&slow), "e^-1.6 of them, about: {slow}");
        let fast = shifting("", SCALE, 40);
        assert!(kept(&fast) <= 3);
    }
}
