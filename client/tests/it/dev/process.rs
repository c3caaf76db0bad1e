//! A running `headland dev`, and what it said about itself.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

use crate::{
    cli::harness::{Run, command, run},
    network::wait::within,
};

/// So that tests do not meet.
pub(crate) const ANY_PORTS: &[&str] = &["--http", "127.0.0.1:0", "--api", "127.0.0.1:0"];

/// A running network.
pub(crate) struct Dev {
    child: Child,
    home: TempDir,
    /// Where each edge serves, in order.
    pub(crate) edges: Vec<SocketAddr>,
    pub(crate) id: String,
    pub(crate) domain_name: String,
    /// Everything it wrote when it was ready.
    pub(crate) greeting: String,
    api: String,
    /// Kept, so that it can go on writing.
    _stdout: BufReader<ChildStdout>,
}

/// `headland dev` with these flags, its temporary folders in this one.
pub(crate) fn dev_command(home: &TempDir, flags: &[&str]) -> Command {
    let mut command = command(home, &[&["dev"], flags].concat());
    command.env("TMPDIR", home.path());
    command
}

impl Dev {
    /// Starts it and waits until it is ready.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let home = TempDir::new().expect("a folder");
        let mut child = dev_command(&home, flags).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let greeting = within("headland dev is ready", greeting(&mut stdout)).await;
        let ready = greeting.lines().next().expect("a line");
        let (name, addresses) = ready.split_once(" on ").unwrap_or_else(|| panic!("{greeting}"));
        let (id, domain_name) = name
            .strip_prefix("ready: distribution ")
            .and_then(|name| name.strip_suffix(')')?.split_once(" ("))
            .unwrap_or_else(|| panic!("{greeting}"));
        let address = |url: &str| url.strip_prefix("http://")?.parse().ok();
        let edges = addresses.split(' ').map(|url| address(url).unwrap_or_else(|| panic!("{greeting}")));
        let edges = edges.collect();
        let api = greeting.split("--endpoint ").nth(1).and_then(|rest| rest.split(' ').next());
        let api = api.unwrap_or_else(|| panic!("{greeting}")).to_owned();
        let (id, domain_name) = (id.to_owned(), domain_name.to_owned());
        Self { child, home, edges, id, domain_name, greeting, api, _stdout: stdout }
    }

    /// Runs the command against it.
    pub(crate) async fn headland(&self, line: &str) -> Run {
        let args: Vec<_> = line.split_whitespace().collect();
        let mut command = command(&self.home, &args);
        command.env("HEADLAND_ENDPOINT", &self.api);
        run(command).await
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        // The shell's own: a small Debian has no program of this name.
        let sent = std::process::Command::new("sh")
            .args(["-c", r#"kill "$@""#, "sh"])
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.expect("a shell").success());
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        within("the end of headland dev", self.child.wait()).await.expect("its status")
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// What it keeps in the folder for temporary things.
    pub(crate) fn temporary_folders(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.home.path()).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.to_string_lossy().contains("headland-dev-")).collect()
    }
}

/// What it writes, up to the last of its suggestions.
async fn greeting(stdout: &mut BufReader<ChildStdout>) -> String {
    let mut text = String::new();
    loop {
        let read = stdout.read_line(&mut text).await.expect("it writes");
        assert!(read > 0, "headland dev ended: {text:?}");
        if text.contains("--default-ttl 10s") {
            break;
        }
    }
    text
}
