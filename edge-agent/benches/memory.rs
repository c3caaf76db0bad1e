//! Measures what stored objects cost: how far the process grows for each, over the object's own bytes, and what the accounting says.
//! Then how long a hit takes. Every case runs in a process of its own, so that none finds the memory of another.

use std::{env, error::Error, fs, hint::black_box, io::Write, process::Command, time::Instant};

use bytes::Bytes;
use headland_edge_agent::{clock::Timestamp, measuring};
use http::{HeaderMap, HeaderValue};

type Fallible<T> = Result<T, Box<dyn Error>>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);
/// Objects, and bytes of the body of each.
const CASES: [(usize, Size); 6] = [
    (1_000_000, Size::Exactly(1024)),
    (1_000_000, Size::Exactly(1000)),
    (1_000_000, Size::UpTo(2048)),
    (100_000, Size::Exactly(10_000)),
    (60_000, Size::Exactly(16 << 10)),
    (1_000, Size::Exactly(1 << 20)),
];
/// Hits that are timed.
const HITS: u32 = 2_000_000;

#[derive(Debug, Clone, Copy)]
enum Size {
    Exactly(usize),
    UpTo(usize),
}

impl Size {
    fn of(self, index: usize) -> usize {
        match self {
            Self::Exactly(bytes) => bytes,
            // Spread evenly, and the same in every run.
            Self::UpTo(bytes) => index.wrapping_mul(2_654_435_761) % bytes,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Exactly(bytes) => bytes.to_string(),
            Self::UpTo(bytes) => format!("0-{bytes}"),
        }
    }
}

fn main() -> Fallible<()> {
    let mut out = std::io::stdout();
    if let Ok(case) = env::var("HEADLAND_MEMORY_CASE") {
        let (objects, size) = *CASES.get(case.parse::<usize>()?).ok_or("no such case")?;
        return measure(objects, size, &mut out);
    }
    writeln!(
        out,
        "bytes for each object; \"over\" is what the process grew by beyond the object's own bytes\n"
    )?;
    writeln!(
        out,
        "{:>9} {:>8} {:>10} {:>10} {:>8} {:>10} {:>9}",
        "objects", "body", "own", "grew", "over", "accounted", "honest"
    )?;
    for case in 0..CASES.len() {
        let mut child = Command::new(env::current_exe()?);
        let run = child.env("HEADLAND_MEMORY_CASE", case.to_string()).status()?;
        if !run.success() {
            return Err(format!("case {case} ended with {run}").into());
        }
    }
    writeln!(out, "\n{:>24} {:>8}", "hit, made ready to send", "ns")?;
    for (name, headers) in [("whole", &[][..]), ("304", &[("if-none-match", "\"5e1c-6123456789abc-0\"")])] {
        writeln!(out, "{name:>24} {:>8.0}", hits(headers)?)?;
    }
    Ok(())
}

/// What an ordinary origin sends.
fn head(length: usize, index: usize) -> Fallible<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("server", HeaderValue::from_static("nginx/1.26.2"));
    headers.insert("date", HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT"));
    headers.insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert("content-length", length.into());
    headers.insert("last-modified", HeaderValue::from_static("Mon, 01 Dec 2025 10:20:30 GMT"));
    headers.insert("etag", format!("\"5e1c-6123456789abc-{index:x}\"").parse()?);
    headers.insert("cache-control", HeaderValue::from_static("public, max-age=86400"));
    Ok(headers)
}

/// Stores so many objects and tells how far the process has grown.
fn measure(objects: usize, size: Size, out: &mut impl Write) -> Fallible<()> {
    let policy = measuring::policy();
    let (mut own, mut accounted) = (0, 0);
    let before = resident_bytes()?;
    let cache = measuring::cache(4 << 30, 4 << 20);
    for index in 0..objects {
        let length = size.of(index);
        let key = measuring::key(&policy, &format!("/assets/images/{index:08}.html"));
        let body = Bytes::from(vec![b'x'; length]);
        // As time passes; 1000 a second.
        let now = NOW.after(std::time::Duration::from_millis(index as u64));
        let object = measuring::object(&policy, &head(length, index)?, &body, now);
        own += (key.len() + object.head.text().len() + length) as u64;
        accounted += object.weight(&key);
        cache.insert(key, object, now);
    }
    let grew = resident_bytes()?.saturating_sub(before);
    if cache.memory.objects() != objects as u64 {
        return Err("not all objects were kept".into());
    }
    let each = |bytes: u64| bytes as f64 / objects as f64;
    let honest = 100.0 * accounted as f64 / grew as f64;
    writeln!(
        out,
        "{objects:>9} {:>8} {:>10.0} {:>10.0} {:>8.0} {:>10.0} {honest:>8.1}%",
        size.name(),
        each(own),
        each(grew),
        each(grew) - each(own),
        each(accounted),
    )?;
    Ok(())
}

/// Nanoseconds that making a hit ready takes, at best of some rounds: what disturbs only adds.
fn hits(request: &[(&'static str, &'static str)]) -> Fallible<f64> {
    let policy = measuring::policy();
    let object = measuring::object(&policy, &head(1024, 0)?, &Bytes::from(vec![b'x'; 1024]), NOW);
    let mut table = HeaderMap::new();
    request.iter().for_each(|&(name, value)| _ = table.insert(name, HeaderValue::from_static(value)));
    let mut best = f64::MAX;
    for _ in 0..10 {
        let begun = Instant::now();
        for _ in 0..HITS / 10 {
            black_box(measuring::hit(black_box(&object), black_box(&table), NOW));
        }
        best = best.min(begun.elapsed().as_secs_f64() * 1e9 / f64::from(HITS / 10));
    }
    Ok(best)
}

/// Bytes of memory that the process has.
fn resident_bytes() -> Fallible<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}
