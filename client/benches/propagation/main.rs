//! Measures how long a change takes from the call that makes it until every edge serves by it.

mod etcd;
mod figures;
mod network;

use std::{
    error::Error,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use headland_control_plane::store::{
    SharedStore,
    embedded::EmbeddedStore,
    etcd::{EtcdOptions, EtcdStore},
};
use headland_proto::revision::Revision;
use tempfile::TempDir;
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

use self::{
    etcd::Etcd,
    figures::{Figures, machine, table},
    network::{Network, spec},
};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Edges in the fleet, case by case.
const FLEETS: [usize; 2] = [1, 50];
/// Changes before the first that counts.
const WARM_UP: usize = 20;
/// Changes that count, in each case.
const CHANGES: usize = 200;
/// Runs of the command that count, in each case.
const COMMANDS: usize = 10;
/// Between two changes: an operator's changes do not come back to back, and the edges' reports of one should not be what
/// the next one waits for.
const PAUSE: Duration = Duration::from_millis(40);
/// Longest time for one change; one that takes longer is a failure of the benchmark, not a figure.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for one case.
const CASE_TIMEOUT: Duration = Duration::from_secs(60);

const METHOD: &str = "\
Each change is one UpdateDistribution (another default TTL) by headland::client over gRPC; control plane and edge agents run \
in this process as in production, each agent with its threads, data directory and gRPC stream, all on this machine over \
loopback. `committed`: the call has returned. `on every edge`: the last edge has the change in force. `command`: a \
`headland distribution update --wait` process from its start to its end. Times in milliseconds.";

fn main() -> Fallible<()> {
    // `cargo test --benches` runs this too, but without the flag: there is nothing to test.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let cases = runtime.block_on(all_cases());
    runtime.shutdown_timeout(Duration::from_secs(1));
    writeln!(std::io::stdout(), "\n{}\n\n{}\n\n{METHOD}", table(&cases?), machine())?;
    Ok(())
}

async fn all_cases() -> Fallible<Vec<Figures>> {
    let mut cases = Vec::new();
    for edges in FLEETS {
        let dir = TempDir::new()?;
        let store = Arc::new(EmbeddedStore::open(&dir.path().join("control-plane.redb"))?);
        cases.push(case("embedded", store, edges, dir.path()).await?);
    }
    if !Etcd::is_installed() {
        writeln!(std::io::stderr(), "etcd is not on PATH: not measured")?;
        return Ok(cases);
    }
    for edges in FLEETS {
        let dir = TempDir::new()?;
        let etcd = Etcd::start(&dir.path().join("etcd"))?;
        let options = EtcdOptions { endpoints: vec![etcd.endpoint()], ..EtcdOptions::default() };
        let store = Arc::new(EtcdStore::connect(options).await?);
        cases.push(case("etcd", store, edges, dir.path()).await?);
    }
    Ok(cases)
}

/// One case, from an empty store to a stopped network.
async fn case(name: &'static str, store: SharedStore, edges: usize, dir: &Path) -> Fallible<Figures> {
    writeln!(std::io::stderr(), "measuring {name} with {edges} edge(s)")?;
    let network = timeout(CASE_TIMEOUT, Network::start(store, edges, dir)).await??;
    let measured = timeout(CASE_TIMEOUT, measure(name, &network, dir)).await;
    network.stop().await;
    measured?
}

async fn measure(name: &'static str, network: &Network, home: &Path) -> Fallible<Figures> {
    let mut figures = Figures::new(name, network.edges.len())?;
    let created = network.client.create_distribution((&spec(0)).into()).await?;
    let (id, mut etag) = (created.id, created.etag);
    for n in 1..=WARM_UP + CHANGES {
        sleep(PAUSE).await;
        let began = Instant::now();
        let changed = network.client.update_distribution(&id, &etag, (&spec(n)).into()).await?;
        let committed = began.elapsed();
        timeout(CHANGE_TIMEOUT, network.applied(Revision(changed.revision))).await?;
        let everywhere = began.elapsed();
        etag = changed.etag;
        if n > WARM_UP {
            figures.committed(committed)?;
            figures.everywhere(everywhere)?;
        }
    }
    for n in 0..=COMMANDS {
        sleep(PAUSE).await;
        let began = Instant::now();
        command(network.client.endpoint(), home, &["distribution", "update", &id], n).await?;
        if n > 0 {
            figures.command(began.elapsed())?;
        }
    }
    Ok(figures)
}

/// Runs the command as an operator does.
async fn command(endpoint: &str, home: &Path, words: &[&str], n: usize) -> Fallible<()> {
    let ttl = format!("{}s", 10_000 + n);
    let output = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_headland")))
        .args(words)
        .args(["--default-ttl", &ttl, "--wait"])
        .env_clear()
        .env("HOME", home)
        .env("HEADLAND_ENDPOINT", endpoint)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(CHANGE_TIMEOUT, output).await??;
    if !output.status.success() {
        return Err(format!("the command failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}
