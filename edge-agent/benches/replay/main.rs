//! Replays traces against the policies of the memory and the disk tier, as shipped, beside LRU, S3-FIFO and W-TinyLFU.
//!
//! `cargo bench -p headland-edge-agent --bench replay` runs the synthetic ones; with `-- FILE.csv…` (or `HEADLAND_TRACE=FILE.csv`)
//! traces in libCacheSim's CSV: `time,obj_id,obj_size` and what follows. `-- --write-sample FILE.csv` writes one of that format.

#[path = "replay.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "its tests run elsewhere; lints that build this one for tests see them without a runner"
)]
mod replay;

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    path::Path,
};

use replay::{
    mix::{self, Scale},
    ours::{disk::Disk, memory::Stored},
    report,
    trace::Trace,
};

type Fallible<T> = Result<T, Box<dyn Error>>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SCALE: Scale = Scale { objects: 100_000, requests: 1_000_000 };
/// What a record on disk has beside the body: its header, key and head, and its place in a footer.
const RECORD_BYTES: u64 = 512;

fn main() -> Fallible<()> {
    let mut files: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    files.extend(env::var("HEADLAND_TRACE").ok());
    if files.first().is_some_and(|arg| arg == "--write-sample") {
        let path = files.get(1).ok_or("--write-sample needs a path")?;
        let sample = mix::all(Scale { objects: 1000, requests: 20_000 }).pop().ok_or("there is no mix")?;
        return Ok(sample.write_csv(&mut BufWriter::new(File::create(path)?))?);
    }
    let traces = match files.is_empty() {
        true => mix::all(SCALE),
        false => files.iter().map(|file| read(Path::new(file))).collect::<Fallible<_>>()?,
    };
    let mut out = io::stdout();
    let (mut memory, mut disk) = (Vec::new(), Vec::new());
    for trace in &traces {
        let costs: Vec<u64> = trace.sizes.iter().map(|bytes| bytes + RECORD_BYTES).collect();
        writeln!(
            out,
            "{}: {} requests for {} objects, {} MB",
            trace.name,
            trace.requests.len(),
            trace.sizes.len(),
            trace.footprint(&trace.sizes) / 1_000_000
        )?;
        let stored = Stored::of(trace);
        memory.extend(report::rows(trace, &stored.weights, |room| Box::new(stored.tier(room))));
        disk.extend(report::rows(trace, &costs, |room| Box::new(Disk::new(room))));
    }
    writeln!(out)?;
    report::print("Memory tier", &memory, &mut out)?;
    report::print("Disk tier", &disk, &mut out)?;
    Ok(())
}

fn read(file: &Path) -> Fallible<Trace> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let opened = File::open(file).map_err(|error| format!("failed to open {}: {error}", file.display()))?;
    Ok(Trace::read_csv(&name, BufReader::new(opened))
        .map_err(|error| format!("failed to read {}: {error}", file.display()))?)
}
