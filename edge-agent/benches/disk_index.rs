//! Measures the disk engine: memory and load time of the index, writing, and what a read from a warm page cache costs.
//!
//! `cargo bench --bench disk_index`; `HEADLAND_BENCH_DIR` is where the store goes (default: the target directory's file
//! system), `HEADLAND_BENCH_RECORDS` how many records (default 1,000,000, which take 1.2 GB), `HEADLAND_BENCH_ONLY` one of
//! `index`, `reads` and `blocks`.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    hint::black_box,
    os::fd::AsFd as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use headland_edge_agent::{
    cache::disk::{Disk, DiskConfig, Dropped, Located, Name, OpenError, Part, Record},
    clock::{Clock, Timestamp},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn name(n: u64) -> Name {
    let mixed = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Name([mixed ^ mixed >> 29, mixed.rotate_left(32).wrapping_mul(0xbf58_476d_1ce4_e5b9)])
}

/// CPU time of all threads of this process that still live.
fn cpu() -> Duration {
    let of_task = |task: fs::DirEntry| {
        let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(fs::read_dir("/proc/self/task").unwrap().map(|task| of_task(task.unwrap())).sum())
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn open(config: &DiskConfig) -> Arc<Disk> {
    loop {
        match Disk::open(config.clone(), Clock::system()) {
            // The store that was dropped a moment ago is just letting go.
            Err(OpenError::Locked(_)) => std::thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}

fn write(runtime: &tokio::runtime::Runtime, disk: &Disk, records: u64, meta_bytes: usize, body_bytes: usize) {
    let (meta, body) = (Bytes::from(vec![b'm'; meta_bytes]), Bytes::from(vec![b'b'; body_bytes]));
    for n in 0..records {
        let record = Record {
            name: name(n),
            tag: 0,
            kept_until: Timestamp::NEVER,
            meta: meta.clone(),
            body: body.clone(),
        };
        while let Err(dropped) = disk.write(record.clone()) {
            assert_eq!(dropped, Dropped::QueueFull);
            runtime.block_on(disk.settled());
        }
    }
    runtime.block_on(disk.settled());
}

fn index(runtime: &tokio::runtime::Runtime, dir: &Path, records: u64) {
    let config = DiskConfig {
        records_max: 2 * records,
        ..DiskConfig::new(dir.to_owned(), (records * 2048).max(64 << 20))
    };
    let disk = open(&config);
    runtime.block_on(disk.settled());
    let (before, started, cpu_before) = (resident_bytes(), Instant::now(), cpu());
    write(runtime, &disk, records, 200, 1000);
    let (took, used) = (started.elapsed(), cpu() - cpu_before);
    let figures = disk.figures();
    println!(
        "write {records} records of 200 + 1000 bytes  {:>9.2} s, {:.2} µs CPU each, {} MB/s",
        took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / records as f64,
        figures.write_bytes / 1_000_000 * 1000 / took.as_millis() as u64
    );
    println!("records in the index                          {:>9}", figures.records);
    println!(
        "index, bytes of memory per record             {:>9.1}",
        figures.index_bytes as f64 / figures.records as f64
    );
    println!(
        "process, bytes resident more, per record      {:>9.1}",
        resident_bytes().saturating_sub(before) as f64 / figures.records as f64
    );
    let started = Instant::now();
    assert!(disk.stop(Duration::from_secs(60)));
    println!("clean stop                                    {:>9.2} s", started.elapsed().as_secs_f64());
    drop(disk);
    let loaded = |what: &str| {
        let started = Instant::now();
        let disk = open(&config);
        runtime.block_on(disk.settled());
        // What it takes in memory is told above: here it finds what the one before has left.
        println!("{what:<46}{:>9.2} s, {} records", started.elapsed().as_secs_f64(), disk.figures().records);
        disk
    };
    // Dropped without a stop, a store leaves the directory as a kill would.
    drop(loaded("load from the snapshot"));
    drop(loaded("load after a kill, footers"));
    let disk = loaded("load again");
    // The last segment loses its footer: it is walked.
    let last = fs::read_dir(dir)
        .unwrap()
        .map(|f| f.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "probation" || e == "main"))
        .max()
        .unwrap();
    drop(disk);
    let length = fs::metadata(&last).unwrap().len();
    fs::OpenOptions::new().write(true).open(&last).unwrap().set_len(length - 8).unwrap();
    let disk = loaded("load after a kill, one segment without footer");
    let started = Instant::now();
    let found = (0..records).filter(|n| !disk.find(name(*n)).is_empty()).count();
    println!(
        "find, a random one of {found:<24}{:>9.0} ns",
        started.elapsed().as_nanos() as f64 / records as f64
    );
}

fn reads(runtime: &tokio::runtime::Runtime, dir: &Path, body_bytes: usize, records: u64, rounds: usize) {
    let config = DiskConfig::new(dir.to_owned(), 1 << 30);
    let disk = open(&config);
    write(runtime, &disk, records, 500, body_bytes);
    let all: Vec<Located> = (0..records).map(|n| disk.find(name(n))[0]).collect();
    let reads = (rounds * all.len()) as f64;
    let report = |what: &str, work: &mut dyn FnMut()| {
        work();
        let mut figures: Vec<(f64, f64)> = (0..5)
            .map(|_| {
                let (started, before) = (Instant::now(), cpu());
                (0..rounds).for_each(|_| work());
                (started.elapsed().as_secs_f64() * 1e6 / reads, (cpu() - before).as_secs_f64() * 1e6 / reads)
            })
            .collect();
        figures.sort_by(|a, b| a.1.total_cmp(&b.1));
        println!("{body_bytes:>8} bytes, {what:<44}{:>8.2} µs CPU {:>8.2} µs", figures[2].1, figures[2].0);
    };
    report("find", &mut || (0..records).for_each(|n| _ = black_box(disk.find(name(n)))));
    report("on the store's threads, one at a time", &mut || {
        for located in &all {
            black_box(runtime.block_on(disk.read(located, Part::Whole)).unwrap());
        }
    });
    report("on the store's threads, 16 at a time", &mut || {
        for some in all.chunks(16) {
            let reads: Vec<_> = some.iter().map(|located| disk.read(located, Part::Whole)).collect();
            let done = runtime.block_on(futures::future::join_all(reads));
            done.into_iter().for_each(|read| _ = black_box(read.unwrap()));
        }
    });
    report("on this thread, RWF_NOWAIT", &mut || {
        for located in &all {
            black_box(disk.read_resident(located, Part::Whole).unwrap());
        }
    });
    report("head on this thread, where the body is", &mut || {
        for located in &all {
            black_box(disk.read_resident(located, Part::Meta).unwrap());
            black_box(disk.body(located).unwrap());
        }
    });
    let mut buffer = vec![0; body_bytes];
    report("pread of the body into one buffer", &mut || {
        for located in &all {
            let body = disk.body(located).unwrap();
            black_box(rustix::io::pread(body.segment.as_fd(), &mut buffer[..], body.offset).unwrap());
        }
    });
}

/// An object of many blocks: written as fast as there is room, read one after the other, removed all at once.
fn blocks(runtime: &tokio::runtime::Runtime, dir: &Path, blocks: u64) {
    let disk = open(&DiskConfig::new(dir.to_owned(), 4 << 30));
    runtime.block_on(disk.settled());
    let (meta, body) = (Bytes::from(vec![b'm'; 60]), Bytes::from(vec![b'b'; 1 << 20]));
    let (started, before) = (Instant::now(), cpu());
    runtime.block_on(async {
        for n in 0..blocks {
            assert!(disk.room((meta.len() + body.len()) as u64).await);
            let (meta, body) = (meta.clone(), body.clone());
            let record = Record { name: name(n), tag: 0, kept_until: Timestamp::NEVER, meta, body };
            disk.write(record).unwrap();
        }
        disk.settled().await;
    });
    let (took, used) = (started.elapsed(), cpu() - before);
    println!(
        "{blocks} blocks of 1 MiB written: {:.2} s, {:.1} µs CPU each, {} dropped",
        took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / blocks as f64,
        disk.figures().dropped_queue_full
    );
    let (started, before) = (Instant::now(), cpu());
    for n in 0..blocks {
        let located = disk.find(name(n))[0];
        let read = disk.read_resident(&located, Part::Whole);
        black_box(read.or_else(|_| runtime.block_on(disk.read(&located, Part::Whole))).unwrap());
    }
    println!(
        "found and read one after the other: {:.1} µs CPU each, {:.1} µs",
        (cpu() - before).as_secs_f64() * 1e6 / blocks as f64,
        started.elapsed().as_secs_f64() * 1e6 / blocks as f64
    );
    let started = Instant::now();
    // As many as an object of 50 GiB has; most are not there, which costs as much.
    (0..51_200).for_each(|n| disk.remove(name(n), None));
    let ordered = started.elapsed();
    assert!(runtime.block_on(disk.settled()));
    println!(
        "51200 names removed: ordered after {:.1} ms, kept after {:.1} ms",
        ordered.as_secs_f64() * 1e3,
        started.elapsed().as_secs_f64() * 1e3
    );
}

fn main() {
    let base = std::env::var_os("HEADLAND_BENCH_DIR")
        .map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), std::path::PathBuf::from);
    let records =
        std::env::var("HEADLAND_BENCH_RECORDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    fs::create_dir_all(&base).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = || tempfile::tempdir_in(&base).unwrap();
    let only = std::env::var("HEADLAND_BENCH_ONLY").ok();
    let wanted = |what: &str| only.as_deref().is_none_or(|only| only == what);
    if wanted("index") {
        index(&runtime, store().path(), records);
    }
    if wanted("reads") {
        reads(&runtime, store().path(), 16 << 10, 1000, 10);
        reads(&runtime, store().path(), 1 << 20, 100, 5);
    }
    if wanted("blocks") {
        blocks(&runtime, store().path(), 2000);
    }
}
