//! Several control planes on one etcd act as one, also across its restart.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use headland_control_plane::store::etcd::{EtcdOptions, EtcdStore};
use headland_proto::v1::distribution_status::State;
use tempfile::TempDir;
use tonic::Code;

use crate::plane::{
    Plane, assert_refused, config,
    edge::{TestEdge, hello, ids},
    within,
};

/// One etcd member with a folder and ports of its own.
struct Etcd {
    dir: TempDir,
    client_port: u16,
    peer_port: u16,
    child: Child,
}

impl Etcd {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (client_port, peer_port) = (free(), free());
        let child = Self::run(&dir, client_port, peer_port);
        Self { dir, client_port, peer_port, child }
    }

    fn run(dir: &TempDir, client_port: u16, peer_port: u16) -> Child {
        let client = format!("http://127.0.0.1:{client_port}");
        let peer = format!("http://127.0.0.1:{peer_port}");
        Command::new("etcd")
            .arg("--data-dir")
            .arg(dir.path())
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd is installed")
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn run_again(&mut self) {
        self.child = Self::run(&self.dir, self.client_port, self.peer_port);
    }

    async fn plane(&self) -> Plane {
        let endpoints = vec![format!("http://127.0.0.1:{}", self.client_port)];
        let store = EtcdStore::connect(EtcdOptions { endpoints, ..Default::default() }).await.unwrap();
        let plane = Plane::start_on(Arc::new(store)).await;
        within(plane.handle.ready()).await;
        plane
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn what_one_is_told_the_other_tells_its_edges() {
    let etcd = Etcd::start();
    let (one, other) = (etcd.plane().await, etcd.plane().await);
    let mut edge = TestEdge::connect(&other, hello()).await.unwrap();
    assert!(edge.update().await.whole);
    let at_one = TestEdge::connect(&one, hello()).await.unwrap();
    assert_eq!(edge.welcome.cluster_id, at_one.welcome.cluster_id);

    let a = one.create(config("a", &["a.example.com"])).await.unwrap();
    let delta = edge.update().await;
    assert_eq!((delta.whole, ids(&delta), delta.to_revision), (false, vec![a.id.as_str()], a.revision));
    edge.applied(a.revision).await;
    within(async { while other.get(&a.id).await.unwrap().status.unwrap().state() != State::Deployed {} })
        .await;

    let refused = other.create(config("b", &["a.example.com"])).await;
    assert_refused(refused, Code::AlreadyExists, "HOST_NAME_TAKEN");
    let again = other.create(config("a", &["a.example.com"])).await.unwrap();
    assert_eq!((again.id, again.etag), (a.id, a.etag));
}

#[tokio::test]
async fn of_two_racing_for_one_alias_one_gets_it() {
    let etcd = Etcd::start();
    let (one, other) = (etcd.plane().await, etcd.plane().await);
    for round in 0..10 {
        let alias = format!("race{round}.example.com");
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let (a, b) = tokio::join!(one.create(config(&a, &[&alias])), other.create(config(&b, &[&alias])));
        let (won, lost) = if a.is_ok() { (a, b) } else { (b, a) };
        won.unwrap();
        assert_refused(lost, Code::AlreadyExists, "HOST_NAME_TAKEN");
    }
}

#[tokio::test]
async fn a_restart_of_etcd_is_got_over_without_a_break_for_edges() {
    let mut etcd = Etcd::start();
    let plane = etcd.plane().await;
    let a = plane.create(config("a", &[])).await.unwrap();
    let mut edge = TestEdge::connect(&plane, hello()).await.unwrap();
    let mut told = 0;
    while told < a.revision {
        told = edge.update().await.to_revision;
    }
    etcd.kill();
    assert_refused(plane.get(&a.id).await, Code::Unavailable, "STORE_UNAVAILABLE");
    assert!(TestEdge::connect(&plane, hello()).await.unwrap().update().await.whole, "others can still join");
    etcd.run_again();
    let updated = within(Box::pin(async {
        loop {
            match plane.update(&a, |c| c.comment = "new".into()).await {
                Ok(updated) => return updated,
                // An earlier try may have been applied though nobody could say so.
                Err(status) if status.code() == Code::Aborted => return plane.get(&a.id).await.unwrap(),
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }))
    .await;
    let delta = edge.update().await;
    assert_eq!((delta.whole, ids(&delta), delta.to_revision), (false, vec![a.id.as_str()], updated.revision));
}
