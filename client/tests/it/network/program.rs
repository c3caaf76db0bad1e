//! Programs as processes of their own: started with nothing from our environment, heard, signalled, killed at the end.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
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

    /// Most memory it ever had, in bytes.
    pub(crate) fn memory_max(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
        kilobytes << 10
    }

    /// The end of what it wrote.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
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
