//! Programs as processes of their own: started with nothing from our environment, heard, signalled, killed at the end.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use super::{viewer, wait::until};

/// Lines of a log that are shown when a test fails.
const LOG_LINES: usize = 25;

/// A running program.
pub(crate) struct Program {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Program {
    /// Starts a program, whose home and log are in this folder. A log that is there already is continued.
    pub(crate) fn start(
        path: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        env: &[(String, String)],
        folder: &Path,
    ) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("a log");
        let child = Command::new(path)
            .args(args)
            .env_clear()
            .env("HOME", folder)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a log"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { child, name, log }
    }

    /// Fails the test if it has ended by itself.
    pub(crate) fn assert_runs(&mut self) {
        let ended = self.child.try_wait().expect("its state");
        assert!(ended.is_none(), "{} ended by itself: {ended:?}\n{}", self.name, self.log());
    }

    /// Waits until its admin port says that it is ready.
    pub(crate) async fn ready(&mut self, admin: SocketAddr) {
        let what = format!("{} is ready", self.name);
        until(&what, || {
            self.assert_runs();
            async move {
                let answer = viewer::try_get(admin, "127.0.0.1", "/readyz").await.ok()?;
                answer.status.is_success().then_some(())
            }
        })
        .await;
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Sends a signal by its name: `TERM`, `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        // The shell's own: a small Debian has no program of this name.
        let sent = Command::new("sh")
            .args(["-c", r#"kill "$@""#, "sh"])
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.expect("a shell").success());
    }

    /// Waits until it ends.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        until(&what, || std::future::ready(self.child.try_wait().expect("its state"))).await
    }

    /// Watches how much memory it has, until it ends.
    pub(crate) fn watch_memory(&self) -> MemoryWatch {
        let (most, process) = (Arc::new(AtomicU64::new(0)), format!("/proc/{}", self.child.id()));
        let seen = Arc::clone(&most);
        thread::spawn(move || {
            while let Some(now) = memory(&process) {
                seen.fetch_max(now, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
        });
        MemoryWatch(most)
    }

    /// The end of what it wrote.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

/// The most memory that a program was seen to have.
pub(crate) struct MemoryWatch(Arc<AtomicU64>);

impl MemoryWatch {
    /// In bytes.
    pub(crate) fn most(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes that a process has now: of its own, and in files without a name in memory. Nothing when it has ended.
fn memory(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("{process}/status")).ok()?;
    let kilobytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches("kB").trim().parse().ok()
    };
    let own = (kilobytes("RssAnon:")? + kilobytes("RssFile:")?) << 10;
    let in_memory = fs::read_dir(format!("{process}/fd")).ok()?.filter_map(|file| {
        let path = file.ok()?.path();
        let is_in_memory = fs::read_link(&path).ok()?.to_str()?.starts_with("/memfd:");
        is_in_memory.then(|| fs::metadata(&path).ok()).flatten()
    });
    Some(own + in_memory.map(|file| file.blocks() * 512).sum::<u64>())
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = writeln!(io::stderr(), "--- log of {}:\n{}\n---", self.name, self.log());
        }
    }
}

/// One of our programs, as it was built beside the command.
pub(crate) fn ours(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_headland")).with_file_name(name);
    assert!(path.is_file(), "{} is missing: run cargo build --workspace --bins first", path.display());
    path
}

/// A program of the machine, or what to do if there is none.
pub(crate) fn installed(name: &str, advice: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/venv/bin");
    let folders = std::iter::once(local).chain(std::env::split_paths(&path));
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("these tests need {name}: {advice}"))
}

/// A port that nobody listens on now, below those that the kernel gives to connections, so that it is still free when a
/// program is started on it again.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let offset = std::process::id().wrapping_mul(61).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(15_000 + offset % 17_000).expect("below 32,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
