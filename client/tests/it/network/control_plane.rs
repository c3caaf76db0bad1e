//! `headland-control-plane` as a process, and the command told where it is.

use std::{net::SocketAddr, path::PathBuf};

use headland::client::{Client, Options};
use serde_json::Value;
use tempfile::TempDir;

use super::program::{Program, free_port, ours};
use crate::cli::harness::{Run, command, run};

/// Of edges, in seconds: an edge is late after two of them, gone after six.
pub(crate) const REPORT_INTERVAL: f64 = 0.5;

/// A control plane on ports and in a folder of its own, which it keeps over restarts.
pub(crate) struct ControlPlane {
    /// First, so that it ends before its folder does.
    program: Option<Program>,
    folder: TempDir,
    api: SocketAddr,
    sync: SocketAddr,
    admin: SocketAddr,
    store: [String; 2],
}

impl ControlPlane {
    /// Starts one on the embedded store.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("store.redb").display().to_string();
        Self::start_on(folder, ["--store-path".into(), store]).await
    }

    /// Starts one on etcd.
    pub(crate) async fn start_on_etcd(endpoints: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::start_on(folder, ["--etcd-endpoints".into(), endpoints.into()]).await
    }

    async fn start_on(folder: TempDir, store: [String; 2]) -> Self {
        let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (api, sync, admin) = (address(), address(), address());
        let mut control_plane = Self { folder, api, sync, admin, store, program: None };
        control_plane.run();
        control_plane.ready().await;
        control_plane
    }

    /// Starts it, on what it kept if it ran before.
    pub(crate) fn run(&mut self) {
        let mut args = self.store.to_vec();
        args.extend([
            format!("--api={}", self.api),
            format!("--sync={}", self.sync),
            format!("--admin={}", self.admin),
            format!("--report-interval-seconds={REPORT_INTERVAL}"),
        ]);
        self.program = Some(Program::start(&ours("headland-control-plane"), args, &[], self.folder.path()));
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&mut self) {
        self.program.as_mut().expect("it runs").ready(self.admin).await;
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.program.take().expect("it runs").kill();
    }

    /// Where edges connect.
    pub(crate) fn sync_endpoint(&self) -> String {
        format!("http://{}", self.sync)
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&format!("http://{}", self.api), Options::default()).expect("a client")
    }

    /// Runs the command; its words are separated by spaces.
    pub(crate) async fn headland(&self, line: &str) -> Run {
        let args: Vec<_> = line.split_whitespace().collect();
        let mut command = command(&self.folder, &args);
        command.env("HEADLAND_ENDPOINT", format!("http://{}", self.api));
        run(command).await
    }

    /// What the command prints as JSON.
    pub(crate) async fn json(&self, line: &str) -> Value {
        self.headland(&format!("{line} -o json")).await.ok().json()
    }

    /// Creates a distribution and waits until it is deployed. Returns what was printed.
    pub(crate) async fn deploy(&self, flags: &str) -> Distribution {
        let line = format!("distribution create {flags} --wait=60s -o json");
        let created = self.headland(&line).await.ok();
        assert_eq!(created.json()["status"]["state"], "Deployed", "{created:#?}");
        Distribution { id: created.field("id"), domain_name: created.field("domain_name") }
    }

    /// All edges as the command lists them.
    pub(crate) async fn edges(&self) -> Vec<Value> {
        self.json("edge list").await.as_array().expect("a list").clone()
    }

    /// A file that the command can be given.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

/// A distribution that was created.
#[derive(Debug, Clone)]
pub(crate) struct Distribution {
    pub(crate) id: String,
    pub(crate) domain_name: String,
}
