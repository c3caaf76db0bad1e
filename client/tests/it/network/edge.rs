//! `headland-edge-agent` as a process.

use std::{net::SocketAddr, path::PathBuf, process::ExitStatus};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    control_plane::ControlPlane,
    program::{Program, free_port, ours},
    viewer::{self, Answer},
    wait::until,
};

/// An edge on ports and in a folder of its own, which it keeps over restarts.
pub(crate) struct Edge {
    /// First, so that it ends before its folder does.
    program: Option<Program>,
    folder: TempDir,
    location: String,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Edge {
    /// An edge that is not started yet.
    pub(crate) fn prepare(location: &str, control_planes: &[&ControlPlane]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (http, admin) = (address(), address());
        let mut args = vec![
            format!("--data-dir={}", folder.path().join("data").display()),
            format!("--location={location}"),
            format!("--http={http}"),
            format!("--admin={admin}"),
            "--cache-memory-bytes=64MiB".to_owned(),
        ];
        args.extend(control_planes.iter().map(|c| format!("--control-plane={}", c.sync_endpoint())));
        Self { folder, location: location.into(), http, admin, args, env: Vec::new(), program: None }
    }

    /// An edge that is live at the first of these control planes.
    pub(crate) async fn start(location: &str, control_planes: &[&ControlPlane]) -> Self {
        let mut edge = Self::prepare(location, control_planes);
        edge.run();
        edge.live(control_planes[0]).await;
        edge
    }

    /// The same with a variable in its environment.
    pub(crate) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts it, on what it kept if it ran before.
    pub(crate) fn run(&mut self) {
        let program = ours("headland-edge-agent");
        self.program = Some(Program::start(&program, &self.args, &self.env, self.folder.path()));
    }

    pub(crate) fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("it runs")
    }

    /// Waits until a control plane sees it live. Returns how it sees it.
    pub(crate) async fn live(&mut self, control_plane: &ControlPlane) -> Value {
        self.seen(control_plane, "live").await
    }

    /// Waits until a control plane sees it so. Returns how it sees it.
    pub(crate) async fn seen(&mut self, control_plane: &ControlPlane, liveness: &str) -> Value {
        let location = self.location.clone();
        until(&format!("{location} is {liveness}"), || async {
            let edges = control_plane.edges().await;
            edges.into_iter().find(|e| e["location"] == location.as_str() && e["liveness"] == liveness)
        })
        .await
    }

    /// Waits until it serves, from whatever configuration.
    pub(crate) async fn ready(&mut self) {
        let admin = self.admin;
        self.program().ready(admin).await;
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.program.take().expect("it runs").kill();
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut program = self.program.take().expect("it runs");
        program.ended().await
    }

    /// What a viewer gets here.
    pub(crate) async fn get(&self, host: &str, path: &str) -> Answer {
        viewer::get(self.http, host, path).await
    }

    /// Its last-good files, each followed by what has changed since; oldest first.
    pub(crate) fn last_good(&self) -> Vec<PathBuf> {
        let folder = self.folder.path().join("data").join("last-good");
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.retain(|file| file.extension().is_some_and(|e| e == "lastgood" || e == "changes"));
        files.sort_by_key(|file| {
            (file.file_stem().map(ToOwned::to_owned), file.extension().is_some_and(|e| e == "changes"))
        });
        files
    }
}
