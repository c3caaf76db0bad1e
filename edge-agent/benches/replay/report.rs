//! One tier beside the reference policies, at several sizes: the figures, and how far ours is from the best of the others.

use std::{fmt, io};

use super::{
    policy::{Policy, Ratios, replay},
    reference::{lru::Lru, s3_fifo::S3Fifo, w_tiny_lfu::WTinyLfu},
    trace::Trace,
};

/// Sizes, in percent of all objects' cost together.
const SIZES: [u64; 4] = [1, 5, 10, 20];
/// Points below the best that count as equal.
const EQUAL_POINTS: f64 = 0.5;

/// One trace at one size.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) trace: String,
    pub(crate) percent: u64,
    /// Of LRU, S3-FIFO and W-TinyLFU.
    pub(crate) others: [Ratios; 3],
    pub(crate) ours: Ratios,
}

/// Points (hundredths) that ours is above the best of the others; below it is negative.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Lead {
    requests: f64,
    bytes: f64,
}

impl Row {
    fn lead(&self) -> Lead {
        let best = |ratio: fn(&Ratios) -> f64| self.others.iter().map(ratio).fold(0.0, f64::max);
        Lead {
            requests: 100.0 * (self.ours.requests - best(|ratios| ratios.requests)),
            bytes: 100.0 * (self.ours.bytes - best(|ratios| ratios.bytes)),
        }
    }
}

/// Replays a trace at all sizes. `costs` is what each object takes; `ours` makes our policy with so much room.
pub(crate) fn rows<'p>(trace: &Trace, costs: &[u64], ours: impl Fn(u64) -> Box<dyn Policy + 'p>) -> Vec<Row> {
    let footprint = trace.footprint(costs);
    let mean = footprint / trace.sizes.len().max(1) as u64;
    let row = |percent| {
        let room = footprint * percent / 100;
        let run = |policy: &mut dyn Policy| replay(trace, costs, policy);
        let others = [
            run(&mut Lru::new(room)),
            run(&mut S3Fifo::new(room)),
            run(&mut WTinyLfu::new(room, room / mean.max(1))),
        ];
        Row { trace: trace.name.clone(), percent, others, ours: run(&mut *ours(room)) }
    };
    SIZES.into_iter().map(row).collect()
}

/// The table, and what it comes to.
pub(crate) fn print(what: &str, rows: &[Row], out: &mut impl io::Write) -> io::Result<()> {
    writeln!(
        out,
        "{what}: request / byte hit ratio in percent, of rooms that are so much of all objects together\n"
    )?;
    writeln!(out, "| trace | room | LRU | S3-FIFO | W-TinyLFU | ours | ours − best |")?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---:|")?;
    for row in rows {
        let [lru, s3_fifo, w_tiny_lfu] = row.others;
        let lead = row.lead();
        writeln!(
            out,
            "| {} | {} % | {lru} | {s3_fifo} | {w_tiny_lfu} | {} | {:+.1} / {:+.1} |",
            row.trace, row.percent, row.ours, lead.requests, lead.bytes
        )?;
    }
    writeln!(out, "\n{}\n", summary(rows))
}

fn summary(rows: &[Row]) -> String {
    let leads: Vec<f64> = rows.iter().map(Row::lead).flat_map(|lead| [lead.requests, lead.bytes]).collect();
    let equal = leads.iter().filter(|lead| **lead >= -EQUAL_POINTS).count();
    let least = leads.iter().copied().fold(f64::INFINITY, f64::min);
    format!(
        "{equal} of {} ratios are at most {EQUAL_POINTS} points below the best; the worst is {least:+.2}",
        leads.len()
    )
}

impl fmt::Display for Ratios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} / {:.1}", 100.0 * self.requests, 100.0 * self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_compared_with_the_best_in_each_column() {
        let ratios = |requests, bytes| Ratios { requests, bytes };
        let row = |ours| Row {
            trace: "t".into(),
            percent: 1,
            others: [ratios(0.25, 0.75), ratios(0.5, 0.5), ratios(0.0, 0.0)],
            ours,
        };
        assert_eq!(row(ratios(0.75, 0.5)).lead(), Lead { requests: 25.0, bytes: -25.0 });
        let rows = [row(ratios(0.75, 0.5)), row(ratios(0.496, 0.75))];
        let expected = "3 of 4 ratios are at most 0.5 points below the best; the worst is -25.00";
        assert_eq!(summary(&rows), expected);
    }

    /// The sample of a public trace's format, from the file to the figures.
    #[test]
    fn a_trace_from_a_file_comes_to_the_same_as_the_one_it_was_written_from() {
        use crate::replay::mix::{self, Scale};
        let made = mix::all(Scale { objects: 200, requests: 5000 }).pop().expect("there are some");
        let file = tempfile::NamedTempFile::new().unwrap();
        made.write_csv(&mut io::BufWriter::new(&file)).unwrap();
        let opened = io::BufReader::new(std::fs::File::open(file.path()).unwrap());
        let read = Trace::read_csv("from a file", opened).unwrap();
        let ours = |trace: &Trace| rows(trace, &trace.sizes, |room| Box::new(Lru::new(room)));
        for (of_made, of_read) in ours(&made).iter().zip(ours(&read)) {
            assert_eq!(of_made.others[0], of_read.others[0]);
            assert_eq!(of_read.ours, of_read.others[0], "ours is LRU here");
            assert!(of_read.ours.requests > 0.0 && of_read.ours.requests < 1.0, "{of_read:?}");
        }
    }
}
