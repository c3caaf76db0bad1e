//! A control plane of one's own, and the command as a process beside it.

use std::{path::PathBuf, process::Stdio, sync::Arc};

use headland::client::{Client, Options};
use headland_control_plane::{
    server::{ControlPlane, Handle, Listeners},
    settings::Settings,
    store::embedded::EmbeddedStore,
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

/// What a command wrote and exited with.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl Run {
    /// The same, if it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// The same, if it failed with this exit code and stable code, wrote nothing to stdout, and gave a hint.
    #[track_caller]
    pub(crate) fn failed(self, exit_code: i32, code: &str) -> Self {
        assert_eq!(self.code, Some(exit_code), "{self:#?}");
        let start = format!("error[{code}]: failed to ");
        assert!(self.stderr.lines().any(|l| l.starts_with(&start)), "no {start:?} in {self:#?}");
        assert!(self.stdout.is_empty(), "{self:#?}");
        assert!(self.stderr.lines().any(|l| l.starts_with("hint: ")), "no hint in {self:#?}");
        self
    }

    /// The same, if stderr has all of these.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {self:#?}");
        }
        self
    }

    /// What was written as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {self:#?}"))
    }

    /// A text field of what was written as JSON.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:#?}")).to_owned()
    }
}

/// Runs the command with a home of its own and nothing else from the environment of the test.
pub(crate) fn command(home: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headland"));
    command.args(args).env_clear().env("HOME", home.path()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

pub(crate) async fn run(mut command: Command) -> Run {
    let output = command.output().await.expect("the command starts");
    Run {
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        code: output.status.code(),
    }
}

/// A control plane on the embedded store, and a home for commands that talk to it.
pub(crate) struct Bench {
    pub(crate) home: TempDir,
    control_plane: Handle,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        let home = TempDir::new().expect("a directory");
        let store = EmbeddedStore::open(&home.path().join("store")).expect("a store");
        let any = "127.0.0.1:0".parse().expect("an address");
        let listeners = Listeners::bind(any, any, any).await.expect("listeners");
        let settings = Settings::new("cdn.localhost".parse().expect("a host name"));
        let control_plane =
            ControlPlane::start(settings, listeners, Arc::new(store)).expect("a control plane");
        control_plane.ready().await;
        Self { home, control_plane }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.control_plane.api_address())
    }

    /// Where edges connect.
    pub(crate) fn sync_endpoint(&self) -> String {
        format!("http://{}", self.control_plane.sync_address())
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.endpoint(), Options::default()).expect("a client")
    }

    /// The command, told where the control plane is.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = command(&self.home, args);
        command.env("HEADLAND_ENDPOINT", self.endpoint());
        command
    }

    /// Runs the command; its words are separated by spaces.
    pub(crate) async fn headland(&self, line: &str) -> Run {
        let args: Vec<_> = line.split_whitespace().collect();
        run(self.command(&args)).await
    }

    /// Runs the command with this on its stdin.
    pub(crate) async fn headland_with_stdin(&self, line: &str, stdin: &str) -> Run {
        let args: Vec<_> = line.split_whitespace().collect();
        let mut child = self
            .command(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut pipe = child.stdin.take().expect("piped");
        pipe.write_all(stdin.as_bytes()).await.expect("the command reads");
        drop(pipe);
        let output = child.wait_with_output().await.expect("the command ends");
        Run {
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
            code: output.status.code(),
        }
    }

    /// A file in the home.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Creates a distribution and returns its id.
    pub(crate) async fn create(&self, flags: &str) -> String {
        let line = format!("distribution create --origin http://origin.example.com {flags} -o json");
        self.headland(&line).await.ok().field("id")
    }
}
