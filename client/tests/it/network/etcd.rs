//! Real etcd members, each a process with its own folder and ports.

use std::net::SocketAddr;

use tempfile::TempDir;

use super::{
    program::{Program, free_port, installed},
    viewer,
    wait::until,
};

/// One member of a cluster.
pub(crate) struct Member {
    /// First, so that it ends before its folder does.
    program: Option<Program>,
    folder: TempDir,
    client: SocketAddr,
    args: Vec<String>,
}

/// Starts a cluster and waits until every member answers.
pub(crate) async fn start(members: usize) -> Vec<Member> {
    let peers: Vec<_> =
        (0..members).map(|n| (format!("m{n}"), format!("http://127.0.0.1:{}", free_port()))).collect();
    let cluster: Vec<_> = peers.iter().map(|(name, peer)| format!("{name}={peer}")).collect();
    let mut members: Vec<_> =
        peers.iter().map(|(name, peer)| Member::new(name, peer, &cluster.join(","))).collect();
    members.iter_mut().for_each(Member::run);
    for member in &mut members {
        member.healthy().await;
    }
    members
}

/// The endpoints of all members, as a control plane takes them.
pub(crate) fn endpoints(members: &[Member]) -> String {
    let endpoints: Vec<_> = members.iter().map(|member| format!("http://{}", member.client)).collect();
    endpoints.join(",")
}

impl Member {
    fn new(name: &str, peer: &str, cluster: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let client = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let url = format!("http://{client}");
        let data = folder.path().join("data").display().to_string();
        let args = [
            ["--name", name],
            ["--data-dir", &data],
            ["--listen-client-urls", &url],
            ["--advertise-client-urls", &url],
            ["--listen-peer-urls", peer],
            ["--initial-advertise-peer-urls", peer],
            ["--initial-cluster", cluster],
        ];
        let args = args.concat().into_iter().map(str::to_owned).collect();
        Self { folder, client, args, program: None }
    }

    /// Starts it, on what it kept if it ran before.
    pub(crate) fn run(&mut self) {
        let etcd =
            installed("etcd", "run scripts/bootstrap.sh test, which installs it, or apt install etcd-server");
        self.program = Some(Program::start(&etcd, &self.args, &[], self.folder.path()));
    }

    /// Waits until it answers, which takes a leader.
    pub(crate) async fn healthy(&mut self) {
        let program = self.program.as_mut().expect("it runs");
        let client = self.client;
        until("etcd is healthy", || {
            program.assert_runs();
            async move {
                let answer = viewer::try_get(client, "127.0.0.1", "/health").await.ok()?;
                answer.status.is_success().then_some(())
            }
        })
        .await;
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.program.take().expect("it runs").kill();
    }
}
