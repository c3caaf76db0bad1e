//! What was measured, and how it is printed.

use std::{fmt::Write, fs, num::NonZero, thread, time::Duration};

use hdrhistogram::Histogram;

use crate::Fallible;

/// Digits that a recorded time keeps.
const DIGITS: u8 = 3;
/// Longest time that can be recorded, in microseconds: above every time-out of the benchmark.
const MICROS_MAX: u64 = 60_000_000;

/// The times of one case, in microseconds.
pub(crate) struct Figures {
    store: &'static str,
    edges: usize,
    committed: Histogram<u64>,
    everywhere: Histogram<u64>,
    command: Histogram<u64>,
}

impl Figures {
    pub(crate) fn new(store: &'static str, edges: usize) -> Fallible<Self> {
        let empty = Histogram::new_with_max(MICROS_MAX, DIGITS)?;
        Ok(Self { store, edges, committed: empty.clone(), everywhere: empty.clone(), command: empty })
    }

    /// The call has returned.
    pub(crate) fn committed(&mut self, time: Duration) -> Fallible<()> {
        record(&mut self.committed, time)
    }

    /// Every edge has it in force.
    pub(crate) fn everywhere(&mut self, time: Duration) -> Fallible<()> {
        record(&mut self.everywhere, time)
    }

    /// The command has ended.
    pub(crate) fn command(&mut self, time: Duration) -> Fallible<()> {
        record(&mut self.command, time)
    }
}

/// A time outside the range is an error, not a figure.
fn record(histogram: &mut Histogram<u64>, time: Duration) -> Fallible<()> {
    Ok(histogram.record(u64::try_from(time.as_micros())?)?)
}

/// One line for each case, as Markdown.
pub(crate) fn table(cases: &[Figures]) -> String {
    let mut text = String::from(
        "| store    | edges | changes | committed median | on every edge median |    p99 |    max | command median |    max |\n\
         |----------|------:|--------:|-----------------:|---------------------:|-------:|-------:|---------------:|-------:|\n",
    );
    for case in cases {
        let at = |histogram: &Histogram<u64>, quantile| ms(histogram.value_at_quantile(quantile));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {:<8} | {:>5} | {:>7} | {:>16} | {:>20} | {:>6} | {:>6} | {:>14} | {:>6} |",
            case.store,
            case.edges,
            case.everywhere.len(),
            at(&case.committed, 0.5),
            at(&case.everywhere, 0.5),
            at(&case.everywhere, 0.99),
            ms(case.everywhere.max()),
            at(&case.command, 0.5),
            ms(case.command.max()),
        );
    }
    text.truncate(text.trim_end().len());
    text
}

/// The machine, as far as it matters here.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let cpu = read("/proc/cpuinfo");
    let cpu =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("?", |of| of.1);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or("?");
    format!("{cores} cores ({cpu}), kernel {}, load {load} at the end.", kernel.trim())
}

fn ms(micros: u64) -> String {
    format!("{:.1}", micros as f64 / 1000.0)
}
