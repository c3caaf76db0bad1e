//! Measures what many distributions cost: memory of control plane and edge for each, and the time and work of changing one of them.
//! Every case runs in a process of its own, so that none finds the memory of another.

#[path = "../propagation/network.rs"]
mod network;

use std::{
    env,
    error::Error,
    fs,
    io::Write as _,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use headland_control_plane::store::{
    Committed, SharedStore, Write,
    embedded::EmbeddedStore,
    keys::{Key, Record as _},
};
use headland_proto::{id::DistributionId, revision::Revision, v1};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use self::network::{Network, spec};

type Fallible<T> = Result<T, Box<dyn Error>>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Distributions that there are, case by case.
const CASES: [usize; 4] = [100, 1_000, 10_000, 100_000];
/// Names the number of distributions to the process that measures one case.
const CASE: &str = "HEADLAND_SCALE_CASE";
/// Distributions written in one commit.
const IN_ONE_COMMIT: usize = 100;
/// Changes before the first that counts.
const WARM_UP: usize = 20;
/// Changes that count.
const CHANGES: usize = 200;
/// Between two changes.
const PAUSE: Duration = Duration::from_millis(40);
/// Longest time for one step; one that takes longer is a failure of the benchmark, not a figure.
const STEP_TIMEOUT: Duration = Duration::from_secs(120);
/// For what was read once to be given back, before memory is looked at.
const SETTLE: Duration = Duration::from_secs(3);

const METHOD: &str = "\
Each distribution has two origins, three behaviors that refer to policies, two aliases. They are written to the embedded store as the \
API writes them; then a control plane is started on it, then an edge agent, in one process. `bytes`: by how much the process had grown \
3 s after each of them had all of it, for each distribution. `first`: from the start of an edge \
with an empty data directory until it serves all. A change is one UpdateDistribution of one distribution over gRPC; `on the edge`: until \
it is in force there. `work`: processor time of the whole process for each change, the saving of the last-good state included.";

fn main() -> Fallible<()> {
    // `cargo test --benches` runs this too, but without the flag: there is nothing to test.
    if !env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    if let Ok(case) = env::var(CASE) {
        let runtime = tokio::runtime::Runtime::new()?;
        let measured = runtime.block_on(case_of(case.parse()?));
        runtime.shutdown_timeout(Duration::from_secs(1));
        return measured;
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| distributions | control plane bytes | edge bytes | first s | on the edge median ms | p99 | work ms |\n\
         |--------------:|--------------------:|-----------:|--------:|----------------------:|----:|--------:|"
    )?;
    for case in CASES {
        let run = Command::new(env::current_exe()?).arg("--bench").env(CASE, case.to_string()).status()?;
        if !run.success() {
            return Err(format!("the case with {case} distributions ended with {run}").into());
        }
    }
    writeln!(out, "\n{METHOD}")?;
    Ok(())
}

/// One case, from an empty store to a line of the table.
async fn case_of(distributions: usize) -> Fallible<()> {
    let dir = TempDir::new()?;
    let store: SharedStore = Arc::new(EmbeddedStore::open(&dir.path().join("control-plane.redb"))?);
    let last = fill(&store, distributions).await?;
    let before = resident()?;
    let mut network = Network::start(Arc::clone(&store), 0, dir.path()).await?;
    sleep(SETTLE).await;
    let with_control_plane = resident()?;
    let began = Instant::now();
    network.add_edge(dir.path())?;
    timeout(STEP_TIMEOUT, network.applied(last)).await?;
    let first = began.elapsed();
    sleep(SETTLE).await;
    let with_edge = resident()?;
    let each = |bytes: u64| bytes / distributions as u64;

    let created = network.client.create_distribution((&spec(0)).into()).await?;
    let (id, mut etag) = (created.id, created.etag);
    let (mut times, mut worked) = (Vec::with_capacity(CHANGES), Duration::ZERO);
    for n in 1..=WARM_UP + CHANGES {
        sleep(PAUSE).await;
        if n == WARM_UP + 1 {
            worked = processor_time()?;
        }
        let began = Instant::now();
        let changed = network.client.update_distribution(&id, &etag, (&spec(n)).into()).await?;
        timeout(STEP_TIMEOUT, network.applied(Revision(changed.revision))).await?;
        if n > WARM_UP {
            times.push(began.elapsed());
        }
        etag = changed.etag;
    }
    // What a change leaves to be done later is its work, too.
    sleep(SETTLE).await;
    let work = (processor_time()? - worked).as_secs_f64() * 1000.0 / CHANGES as f64;
    network.stop().await;
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    writeln!(
        std::io::stdout(),
        "| {distributions:>13} | {:>19} | {:>10} | {:>7.2} | {:>21.1} | {:>4.1} | {work:>7.1} |",
        each(with_control_plane.saturating_sub(before)),
        each(with_edge.saturating_sub(with_control_plane)),
        first.as_secs_f64(),
        ms(times[CHANGES / 2]),
        ms(times[CHANGES * 99 / 100]),
    )?;
    Ok(())
}

/// Writes so many distributions, and returns the revision of the last of them.
async fn fill(store: &SharedStore, distributions: usize) -> Fallible<Revision> {
    let mut last = Revision(0);
    let all: Vec<usize> = (0..distributions).collect();
    for some in all.chunks(IN_ONE_COMMIT) {
        let writes = some.iter().map(|&n| {
            let (id, record) = record(n);
            Write::Put { key: Key::Distribution(id).to_string(), value: record.to_value() }
        });
        match store.commit(Vec::new(), writes.collect()).await? {
            Committed::Applied(revision) => last = revision,
            Committed::Refused => return Err("a commit without preconditions was refused".into()),
        }
    }
    Ok(last)
}

/// The nth distribution, as the control plane writes it.
fn record(n: usize) -> (DistributionId, v1::DistributionRecord) {
    let mixed = (n as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let id = DistributionId::from_random(uuid::Uuid::from_u128(mixed));
    let origin = |id: &str| v1::Origin {
        id: id.into(),
        kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
            domain_name: format!("{id}.customer-{n}.example.com"),
            ..Default::default()
        })),
        ..Default::default()
    };
    let behavior = |pattern: &str, origin: &str| v1::CacheBehavior {
        path_pattern: pattern.into(),
        target_origin_id: origin.into(),
        cache_policy_id: "658327ea-f89d-4fab-a63d-7e88639e58f6".into(),
        response_headers_policy_id: "67f7725c-6f97-4210-82d7-5512b31e9d03".into(),
        compress: true,
        ..Default::default()
    };
    let config = v1::DistributionConfig {
        caller_reference: format!("customer-{n}"),
        enabled: true,
        aliases: vec![format!("www.customer-{n}.example"), format!("img.customer-{n}.example")],
        default_root_object: "index.html".into(),
        origins: vec![origin("site"), origin("api")],
        default_cache_behavior: Some(behavior("", "site")),
        cache_behaviors: vec![behavior("/api/*", "api"), behavior("*.jpg", "site")],
        ..Default::default()
    };
    let domain_name = format!("d{n}.cdn.localhost");
    let id_text = id.to_string();
    (id, v1::DistributionRecord { id: id_text, domain_name, config: Some(config), ..Default::default() })
}

/// Memory of this process, in bytes.
fn resident() -> Fallible<u64> {
    let status = fs::read_to_string(Path::new("/proc/self/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

/// Processor time of this process so far.
fn processor_time() -> Fallible<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(") ").ok_or("no name in stat")?.1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // Clock ticks are hundredths of a second on every Linux.
    Ok(Duration::from_millis(ticks * 10))
}
