//! The real program as a process: killed in mid-write, stopped politely, misconfigured.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use headland_proto::v1::{self, Distribution, distribution_service_client::DistributionServiceClient};
use tonic::transport::Channel;

use crate::plane::{channel, config, within};

const PROGRAM: &str = env!("CARGO_BIN_EXE_headland-control-plane");

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    // The settings of whoever runs the tests are not ours.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEADLAND_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// A running program, killed when the test is over.
struct Program {
    child: Child,
    api: SocketAddr,
}

impl Program {
    /// Starts it and waits until it says where it listens.
    fn start(store: &Path) -> Self {
        let any = "127.0.0.1:0";
        let store = store.to_str().unwrap();
        let args = ["--store-path", store, "--api", any, "--sync", any, "--admin", any];
        let mut child = command(&args).args(["--log-format", "json"]).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (found, address) = mpsc::channel();
        std::thread::spawn(move || {
            // Read on to the end, or the program would wait for somebody to read its log.
            for line in log.lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("\"api\":\"") {
                    let _ = found.send(rest.split('"').next().unwrap().parse().unwrap());
                }
            }
        });
        let api = address.recv_timeout(Duration::from_secs(30)).expect("it listens");
        Self { child, api }
    }

    async fn client(&self) -> DistributionServiceClient<Channel> {
        DistributionServiceClient::new(channel(self.api).await)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn get(program: &Program, id: &str) -> Distribution {
    let request = v1::GetDistributionRequest { id: id.into() };
    within(program.client().await.get_distribution(request)).await.unwrap().into_inner()
}

/// Creates distributions one after another until the program no longer answers.
async fn create_until_it_dies(
    mut client: DistributionServiceClient<Channel>,
    writer: usize,
    acknowledged: Arc<Mutex<Vec<Distribution>>>,
) {
    for i in 0.. {
        let alias = format!("w{writer}-{i}.example.com");
        let request = v1::CreateDistributionRequest { config: Some(config(&alias, &[&alias])) };
        match client.create_distribution(request).await {
            Ok(created) => acknowledged.lock().unwrap().push(created.into_inner()),
            Err(_) => return,
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_it_is_killed_in_mid_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("new").join("store.redb");
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for round in 0..3 {
        let mut program = Program::start(&store);
        let wanted = acknowledged.lock().unwrap().len() + 20;
        let mut writers = Vec::new();
        for writer in 0..4 {
            let client = program.client().await;
            writers.push(tokio::spawn(create_until_it_dies(
                client,
                round * 4 + writer,
                acknowledged.clone(),
            )));
        }
        within(async {
            while acknowledged.lock().unwrap().len() < wanted {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // SIGKILL, while four writers are at it.
        program.child.kill().unwrap();
        program.child.wait().unwrap();
        for writer in writers {
            within(writer).await.unwrap();
        }
    }
    let program = Program::start(&store);
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    for created in &acknowledged {
        assert_eq!(&get(&program, &created.id).await, created);
    }
    // The claims are as safe as the distributions.
    let taken = acknowledged[0].config.clone().unwrap().aliases[0].clone();
    let request = v1::CreateDistributionRequest { config: Some(config("thief", &[&taken])) };
    let refused = within(program.client().await.create_distribution(request)).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::AlreadyExists);
}

#[tokio::test]
async fn a_polite_signal_ends_it_well() {
    let dir = tempfile::tempdir().unwrap();
    for signal in ["TERM", "INT"] {
        let mut program = Program::start(&dir.path().join("store.redb"));
        drop(program.client().await);
        let pid = program.child.id().to_string();
        // The shell's own: a small Debian has no program of this name.
        assert!(
            Command::new("sh")
                .args(["-c", r#"kill "$@""#, "sh"])
                .args(["-s", signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let status = within(tokio::task::spawn_blocking(move || program.child.wait().unwrap())).await;
        assert_eq!(status.unwrap().code(), Some(0), "after SIG{signal}");
    }
}

fn output(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

#[test]
fn a_wrong_configuration_is_told_whole_and_ends_it() {
    let wrong = output(&["--api", "here", "--report-interval-seconds", "0"]);
    let told = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{told}");
    assert!(told.contains("api") && told.contains("report_interval_seconds"), "{told}");
    assert_eq!(output(&["--no-such-flag"]).status.code(), Some(2));
}

#[test]
fn a_store_that_cannot_be_opened_and_an_address_in_use_end_it() {
    let dir = tempfile::tempdir().unwrap();
    let any = "127.0.0.1:0";
    let listen = ["--api", any, "--sync", any, "--admin", any];
    let folder = dir.path().to_str().unwrap();
    let args: Vec<&str> = listen.iter().copied().chain(["--store-path", folder]).collect();
    assert_eq!(output(&args).status.code(), Some(3));

    let taken = std::net::TcpListener::bind(any).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = dir.path().join("store.redb");
    let args = ["--api", &address, "--sync", any, "--admin", any];
    let args: Vec<&str> = args.into_iter().chain(["--store-path", file.to_str().unwrap()]).collect();
    let refused = output(&args);
    assert_eq!(refused.status.code(), Some(4));
    assert!(String::from_utf8(refused.stderr).unwrap().contains(&address));
}

#[test]
fn the_settings_in_effect_can_be_printed() {
    let printed = output(&["--print-config", "--cdn-domain", "cdn.example.com"]);
    assert_eq!(printed.status.code(), Some(0));
    let yaml = String::from_utf8(printed.stdout).unwrap();
    assert!(yaml.contains("cdn_domain: cdn.example.com\n"), "{yaml}");
    assert!(yaml.contains("api: 127.0.0.1:7070\n"), "{yaml}");
}
