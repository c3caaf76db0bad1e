//! Real etcd processes, each with its own folder and ports, gone when they are dropped.

use std::{
    env, fs,
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use etcd_client::{Client, ConnectOptions};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::wait::{CEILING, within};

/// How often a starting etcd is asked whether it is there.
const POLL: Duration = Duration::from_millis(20);

/// One member of a cluster, perhaps the only one.
pub(crate) struct Etcd {
    name: String,
    folder: TempDir,
    client_port: u16,
    scheme: &'static str,
    args: Vec<String>,
    process: Option<Child>,
}

impl Etcd {
    /// Starts a cluster of one and waits until it answers.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with more arguments.
    pub(crate) async fn start_with(more: &[&str]) -> Self {
        let mut etcd = Self::prepare("http", more);
        etcd.run();
        etcd.ready(ConnectOptions::new()).await;
        etcd
    }

    /// A cluster of one that is not started yet.
    pub(crate) fn prepare(scheme: &'static str, more: &[&str]) -> Self {
        let peer = format!("http://127.0.0.1:{}", free_port());
        Self::member("single", &peer, &format!("single={peer}"), scheme, more)
    }

    fn member(name: &str, peer: &str, cluster: &str, scheme: &'static str, more: &[&str]) -> Self {
        let client_port = free_port();
        let client = format!("{scheme}://127.0.0.1:{client_port}");
        let mut args: Vec<String> = [
            ["--name", name],
            ["--listen-client-urls", &client],
            ["--advertise-client-urls", &client],
            ["--listen-peer-urls", peer],
            ["--initial-advertise-peer-urls", peer],
            ["--initial-cluster", cluster],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        let folder = tempfile::tempdir().unwrap();
        Self { name: name.to_owned(), folder, client_port, scheme, args, process: None }
    }

    /// Where clients find it.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.client_port)
    }

    pub(crate) fn client_port(&self) -> u16 {
        self.client_port
    }

    /// Starts the process, on the same folder and ports as before.
    pub(crate) fn run(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let child = Command::new(program())
            .arg("--data-dir")
            .arg(self.folder.path().join("data"))
            .args(&self.args)
            .env_clear()
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
    }

    /// Waits until it answers, which takes a leader.
    pub(crate) async fn ready(&mut self, options: ConnectOptions) {
        let endpoint = self.endpoint();
        let asking = async {
            loop {
                let answer = timeout(Duration::from_secs(2), async {
                    let client = Client::connect([&endpoint], Some(options.clone())).await?;
                    client.kv_client().get("ready", None).await
                });
                match answer.await {
                    Ok(Ok(_)) => return,
                    // It knows its users, so it is there: who asks here has no rights.
                    Ok(Err(etcd_client::Error::GRpcStatus(status)))
                        if ["user name is empty", "permission denied"]
                            .iter()
                            .any(|no| status.message().contains(no)) =>
                    {
                        return;
                    }
                    _ => {}
                }
                let ended = self.process.as_mut().and_then(|process| process.try_wait().unwrap());
                assert!(ended.is_none(), "etcd ended by itself with {ended:?}: {}", self.log());
                sleep(POLL).await;
            }
        };
        if timeout(CEILING, asking).await.is_err() {
            panic!("etcd does not answer: {}", self.log());
        }
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Makes the process stand still, its connections open.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// A plain client, to do what no store does.
    pub(crate) async fn client(&self) -> Client {
        within("a connection to etcd", Client::connect([self.endpoint()], None)).await.unwrap()
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        // The shell's own: a small Debian has no program of this name.
        assert!(
            Command::new("sh")
                .args(["-c", r#"kill "$@""#, "sh"])
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Nobody to tell if it has ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Starts a cluster of three and waits until each member answers.
pub(crate) async fn start_three() -> Vec<Etcd> {
    let peers: Vec<_> =
        (0..3).map(|i| (format!("m{i}"), format!("http://127.0.0.1:{}", free_port()))).collect();
    let cluster: Vec<_> = peers.iter().map(|(name, peer)| format!("{name}={peer}")).collect();
    let cluster = cluster.join(",");
    let mut members: Vec<_> =
        peers.iter().map(|(name, peer)| Etcd::member(name, peer, &cluster, "http", &[])).collect();
    for member in &mut members {
        member.run();
    }
    for member in &mut members {
        member.ready(ConnectOptions::new()).await;
    }
    members
}

/// A port that nobody listens on now, outside of the range that the kernel takes ports from for connections, so that
/// it is still free when a member is started on it again.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let offset = std::process::id() * 61 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(15_000 + offset % 17_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn program() -> PathBuf {
    if let Some(named) = env::var_os("HEADLAND_ETCD") {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "HEADLAND_ETCD names {}, which is no file", named.display());
        return named;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("etcd")).find(|program| is_program(program));
    found.expect(
        "these tests need a real etcd: `apt-get install etcd-server`, or set HEADLAND_ETCD to an etcd program",
    )
}

fn is_program(path: &Path) -> bool {
    path.is_file()
}
