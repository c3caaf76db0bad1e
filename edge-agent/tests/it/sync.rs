//! The sync protocol from the edge's side: a real agent, and control planes that say what the test wants.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use headland_edge_agent::{
    agent::{self, Handle, Listeners, StartError},
    config::{Settings, layer::Layer, machine::Machine},
};
use headland_proto::v1;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    control_plane::{ControlPlane, Session, bad, delta, good, whole, within},
    mmdb,
};

const A: &str = "EAAAAAAAAAAAAA";
const B: &str = "EBBBBBBBBBBBBB";
/// An address where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";

/// An agent with these control planes; the error of its start otherwise.
fn try_start(data_dir: &Path, control_planes: &[String]) -> Result<Handle, StartError> {
    start_with(data_dir, control_planes, Layer::default())
}

/// The same, with what else is set.
fn start_with(data_dir: &Path, control_planes: &[String], else_set: Layer) -> Result<Handle, StartError> {
    let layer = Layer {
        data_dir: Some(data_dir.display().to_string()),
        location: Some("fra1".into()),
        http: Some(vec!["127.0.0.1:0".into()]),
        admin: Some("127.0.0.1:0".into()),
        control_planes: Some(control_planes.to_vec()),
        workers: Some("1".into()),
        ..else_set
    };
    let machine = Machine { memory_bytes: 64 << 20, parallelism: 1, host_name: String::new() };
    let settings = Settings::check(layer, &machine).unwrap();
    let listeners = Listeners::bind(&settings)?;
    agent::start(settings, listeners)
}

pub(crate) fn start(data_dir: &Path, control_planes: &[String]) -> Handle {
    try_start(data_dir, control_planes).unwrap()
}

pub(crate) async fn stop(agent: Handle) {
    within("the agent to stop", agent.shutdown(Duration::ZERO)).await;
}

/// Status line and body of a request to the admin port.
async fn get(address: SocketAddr, path: &str) -> (String, String) {
    get_from(address, "admin", path).await
}

/// The same, of any host.
pub(crate) async fn get_from(address: SocketAddr, host: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    within("an answer", stream.read_to_string(&mut response)).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// A figure of `/metrics`, by the beginning of its line.
pub(crate) async fn figure(agent: &Handle, name: &str) -> f64 {
    let (_, body) = get(agent.admin_address(), "/metrics").await;
    let line = body.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {body}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn a_database_of_addresses_is_read_while_the_agent_runs() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("geo.mmdb");
    let layer = Layer { geo_database: Some(file.display().to_string()), ..Layer::default() };
    let agent = start_with(dir.path(), &[NOBODY.to_owned()], layer).unwrap();
    let (loaded, failures) = (
        "headland_edge_agent_geo_database_loaded{database=\"location\"}",
        "headland_edge_agent_geo_database_load_failures_total{database=\"location\"}",
    );
    assert_eq!((figure(&agent, loaded).await, figure(&agent, failures).await), (0.0, 1.0));
    let write = |bytes: &[u8]| {
        let next = dir.path().join("next");
        fs::write(&next, bytes).unwrap();
        fs::rename(&next, &file).unwrap();
    };
    write(&mmdb::database(&[("192.0.2.0/24", mmdb::maxmind("DE", "Germany"))]));
    figure_becomes(&agent, loaded, |loaded| loaded == 1.0).await;
    write(b"no database");
    figure_becomes(&agent, failures, |failures| failures == 2.0).await;
    assert_eq!(figure(&agent, loaded).await, 1.0, "the last good one counts");
    stop(agent).await;
}

/// Waits until a figure is what it should be.
async fn figure_becomes(agent: &Handle, name: &str, wanted: impl Fn(f64) -> bool) {
    within(name, async { while !wanted(figure(agent, name).await) {} }).await;
}

/// The last-good files, oldest first.
fn last_good(dir: &TempDir) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(dir.path().join("last-good")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn refused(report: &v1::Report) -> Vec<(&str, u64)> {
    report.refusals.iter().map(|r| (r.distribution_id.as_str(), r.revision)).collect()
}

/// An agent, its control plane, and their first session after A and B were applied at revision 10.
struct Ten {
    dir: TempDir,
    agent: Handle,
    control_plane: ControlPlane,
    session: Session,
}

async fn ten() -> Ten {
    let dir = tempfile::tempdir().unwrap();
    let mut control_plane = ControlPlane::start().await;
    let agent = start(dir.path(), &[control_plane.url()]);
    let mut session = control_plane.welcomed("c").await;
    session.update(whole(10, vec![good(A, 3), good(B, 10)])).await;
    session.applied(10).await;
    Ten { dir, agent, control_plane, session }
}

#[tokio::test]
async fn a_new_edge_introduces_itself_and_applies_everything() {
    let dir = tempfile::tempdir().unwrap();
    let mut control_plane = ControlPlane::start().await;
    let agent = start(dir.path(), &[control_plane.url()]);
    let mut session = control_plane.session().await;
    assert_eq!(session.hello.edge_id, agent.edge_id().to_string());
    assert_eq!(session.hello.location, "fra1");
    assert_eq!(session.hello.viewer_url, format!("http://{}", agent.viewer_addresses()[0]));
    assert_eq!((session.hello.cluster_id.as_str(), session.hello.applied_revision), ("", 0));
    session.welcome("c").await;

    let first = session.report().await.unwrap();
    assert!(!first.serving && !first.leaving);
    assert!(get(agent.admin_address(), "/readyz").await.0.contains("503"));
    assert!(get(agent.admin_address(), "/livez").await.0.contains("200"));

    // In parts, which count only together.
    session.update(v1::Update { last: false, ..whole(10, vec![good(A, 3)]) }).await;
    session.update(whole(10, vec![good(B, 10)])).await;
    let report = session.applied(10).await;
    assert!(report.serving && report.distributions == 2 && report.cluster_id == "c");
    within("ready", agent.ready()).await;
    assert!(get(agent.admin_address(), "/readyz").await.0.contains("200"));
    assert!(get(agent.admin_address(), "/elsewhere").await.0.contains("404"));
    figure_becomes(&agent, "headland_edge_agent_applied_revision", |revision| revision == 10.0).await;
    figure_becomes(&agent, "headland_edge_agent_control_plane_connected{", |connected| connected == 1.0)
        .await;
    figure_becomes(&agent, "headland_edge_agent_updates_applied_total", |applied| applied == 1.0).await;
    for label in
        [r#"cache_results_total{result="stale-while-revalidate"}"#, r#"not_stored_total{reason="no-store"}"#]
    {
        figure_becomes(&agent, &format!("headland_edge_agent_{label}"), |count| count == 0.0).await;
    }
    stop(agent).await;
}

#[tokio::test]
async fn a_disk_cache_that_cannot_be_opened_is_seen_in_the_figures() {
    let dir = tempfile::tempdir().unwrap();
    let healthy = "headland_edge_agent_disk_healthy";
    let (_, body) = {
        let agent = start(dir.path(), &[NOBODY.to_owned()]);
        let answer = get(agent.admin_address(), "/metrics").await;
        stop(agent).await;
        answer
    };
    assert!(!body.contains(healthy), "there is to be none: {body}");
    let with_disk = |path: PathBuf| Layer {
        cache_disk_path: Some(path.display().to_string()),
        cache_disk_bytes: Some("64MiB".into()),
        ..Layer::default()
    };
    let agent = start_with(dir.path(), &[NOBODY.to_owned()], with_disk(dir.path().join("cache"))).unwrap();
    figure_becomes(&agent, healthy, |healthy| healthy == 1.0).await;
    stop(agent).await;
    fs::write(dir.path().join("file"), "in the way").unwrap();
    let agent =
        start_with(dir.path(), &[NOBODY.to_owned()], with_disk(dir.path().join("file/cache"))).unwrap();
    figure_becomes(&agent, healthy, |healthy| healthy == 0.0).await;
    stop(agent).await;
}

#[tokio::test]
async fn a_delta_changes_what_it_names() {
    let mut ten = ten().await;
    let gone = v1::Update { deleted_distribution_ids: vec![A.into()], ..delta(10, 12, vec![good(B, 11)]) };
    ten.session.update(gone).await;
    assert_eq!(ten.session.applied(12).await.distributions, 1);
    stop(ten.agent).await;
}

#[tokio::test]
async fn a_refused_distribution_keeps_its_previous_version_and_is_reported() {
    let mut ten = ten().await;
    ten.session.update(delta(10, 12, vec![good(A, 11), bad(B, 12)])).await;
    let report = ten.session.applied(12).await;
    assert_eq!((report.distributions, refused(&report)), (2, vec![(B, 12)]));
    assert!(report.refusals[0].reason.contains("origins"), "{report:?}");
    assert_eq!(report.refusals[0].edge_id, ten.agent.edge_id().to_string());

    // A newer program might accept it, so a restarted one asks again.
    stop(ten.agent).await;
    let agent = start(ten.dir.path(), &[ten.control_plane.url()]);
    let mut session = ten.control_plane.welcomed("c").await;
    assert_eq!(session.hello.resend_distribution_ids, [B]);
    assert_eq!(session.hello.applied_revision, 12);
    let report = session.report().await.unwrap();
    assert_eq!((report.distributions, report.refusals.len()), (2, 1), "still served, still refused");
    session.update(delta(12, 12, vec![good(B, 12)])).await;
    let report = loop {
        let report = session.report().await.unwrap();
        if report.refusals.is_empty() {
            break report;
        }
    };
    assert_eq!(report.distributions, 2);
    stop(agent).await;
}

#[tokio::test]
async fn a_gap_makes_the_edge_start_over() {
    let mut ten = ten().await;
    ten.session.update(delta(11, 12, vec![good(A, 12)])).await;
    ten.session.closed().await;
    let mut session = ten.control_plane.welcomed("c").await;
    assert_eq!((session.hello.cluster_id.as_str(), session.hello.applied_revision), ("c", 10));
    session.update(delta(10, 12, vec![good(A, 12)])).await;
    session.applied(12).await;
    assert_eq!(figure(&ten.agent, "headland_edge_agent_update_gaps_total").await, 1.0);
    stop(ten.agent).await;
}

#[tokio::test]
async fn what_is_not_newer_is_ignored() {
    let mut ten = ten().await;
    ten.session.update(whole(9, vec![])).await;
    ten.session.update(delta(5, 10, vec![bad(A, 9)])).await;
    ten.session.update(delta(10, 11, vec![])).await;
    let report = ten.session.applied(11).await;
    assert_eq!((report.distributions, report.refusals.len()), (2, 0));
    assert_eq!(figure(&ten.agent, "headland_edge_agent_updates_ignored_total").await, 2.0);
    stop(ten.agent).await;
}

#[tokio::test]
async fn a_rewind_takes_the_edge_back() {
    let mut ten = ten().await;
    ten.session.update(v1::Update { rewind: true, ..whole(4, vec![good(A, 3)]) }).await;
    assert_eq!(ten.session.applied(4).await.distributions, 1);
    ten.session.update(delta(4, 5, vec![good(B, 5)])).await;
    assert_eq!(ten.session.applied(5).await.distributions, 2);
    stop(ten.agent).await;
}

#[tokio::test]
async fn another_cluster_replaces_everything() {
    let mut ten = ten().await;
    let address = ten.control_plane.kill();
    ten.session.closed().await;
    let mut control_plane = ControlPlane::start_at(address).await;
    let mut session = control_plane.welcomed("other").await;
    assert_eq!(session.hello.cluster_id, "c");
    session.update(whole(2, vec![good(A, 2)])).await;
    let report = session.applied(2).await;
    assert_eq!((report.cluster_id.as_str(), report.distributions), ("other", 1));
    stop(ten.agent).await;
}

#[tokio::test]
async fn an_edge_returns_when_its_control_plane_does() {
    let mut ten = ten().await;
    let address = ten.control_plane.kill();
    ten.session.closed().await;
    let connected = "headland_edge_agent_control_plane_connected{";
    figure_becomes(&ten.agent, connected, |connected| connected == 0.0).await;
    figure_becomes(&ten.agent, "headland_edge_agent_control_plane_silence_seconds{", |s| s > 0.0).await;
    assert!(get(ten.agent.admin_address(), "/readyz").await.0.contains("200"), "it serves what it has");

    let mut control_plane = ControlPlane::start_at(address).await;
    let mut session = control_plane.welcomed("c").await;
    assert_eq!(session.hello.applied_revision, 10);
    session.update(delta(10, 11, vec![good(A, 11)])).await;
    session.applied(11).await;
    stop(ten.agent).await;
}

#[tokio::test]
async fn nonsense_ends_the_stream_and_nothing_else() {
    let mut ten = ten().await;
    ten.session.welcome("c").await;
    ten.session.closed().await;
    let mut session = ten.control_plane.session().await;
    session.update(delta(10, 11, vec![])).await; // before any Welcome
    session.closed().await;
    let mut session = ten.control_plane.welcomed("").await;
    session.closed().await;
    let mut session = ten.control_plane.welcomed("c").await;
    session.update(v1::Update { last: false, ..delta(10, 11, vec![]) }).await;
    session.update(delta(10, 12, vec![])).await; // parts of different spans
    session.closed().await;
    let mut session = ten.control_plane.welcomed("c").await;
    session.update(delta(10, 13, vec![good("no id", 13), v1::DesiredDistribution::default()])).await;
    let report = session.applied(13).await;
    assert_eq!((report.distributions, refused(&report)), (2, vec![("", 0), ("no id", 13)]));
    stop(ten.agent).await;
}

#[tokio::test]
async fn two_control_planes_make_one_configuration_and_both_hear_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (ControlPlane::start().await, ControlPlane::start().await);
    let agent = start(dir.path(), &[one.url(), two.url()]);
    let (mut first, mut second) = (one.welcomed("c").await, two.welcomed("c").await);
    first.update(whole(10, vec![good(A, 3)])).await;
    first.applied(10).await;
    second.applied(10).await;
    second.update(whole(10, vec![good(A, 3)])).await;
    second.update(delta(10, 11, vec![good(B, 11)])).await;
    assert_eq!(second.applied(11).await.distributions, 2);
    assert_eq!(first.applied(11).await.distributions, 2);
    first.update(delta(10, 11, vec![good(B, 11)])).await;
    figure_becomes(&agent, "headland_edge_agent_updates_ignored_total", |ignored| ignored == 2.0).await;

    // One takes the edge back; the other speaks of revisions that are no more, and has to be told.
    first.update(v1::Update { rewind: true, ..whole(5, vec![good(A, 3)]) }).await;
    second.applied(5).await;
    second.update(delta(5, 12, vec![good(B, 12)])).await;
    second.closed().await;
    let again = two.session().await;
    assert_eq!(again.hello.applied_revision, 5);
    stop(agent).await;
}

#[tokio::test]
async fn a_question_is_answered_beside_updates_and_reports() {
    let mut ten = ten().await;
    let host = good(A, 3).domain_name;
    ten.session.ask(7, &host).await;
    let explained = ten.session.explained().await;
    let told = explained.explanation.unwrap();
    assert_eq!((explained.id, told.verdict()), (7, v1::explanation::Verdict::Miss), "{told:?}");
    assert_eq!((told.reason.as_str(), told.applied_revision), ("uri-miss", 10));
    let distribution = told.distribution.unwrap();
    assert_eq!((distribution.id.as_str(), distribution.revision), (A, 3));
    assert!(told.key.is_some() && told.time.is_some());

    // Between the parts of an update it is answered by what is in force.
    let first = v1::Update { last: false, ..delta(10, 12, vec![good(A, 11)]) };
    ten.session.update(first).await;
    ten.session.ask(8, &host).await;
    let explained = ten.session.explained().await;
    assert_eq!((explained.id, explained.explanation.unwrap().applied_revision), (8, 10));
    ten.session.update(delta(10, 12, vec![good(B, 12)])).await;
    assert_eq!(ten.session.applied(12).await.distributions, 2);
    ten.session.ask(9, &host).await;
    let told = ten.session.explained().await.explanation.unwrap();
    assert_eq!((told.applied_revision, told.distribution.unwrap().revision), (12, 11));
    stop(ten.agent).await;
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_answered_so() {
    let mut ten = ten().await;
    ten.session.ask(1, "").await;
    ten.session.say(v1::control_message::Message::Explain(v1::Explain::default())).await;
    ten.session.ask(2, "elsewhere.example").await;
    for (id, reason) in [(1, "question-not-understood"), (0, "question-not-understood"), (2, "unknown-host")]
    {
        let explained = ten.session.explained().await;
        assert_eq!((explained.id, explained.explanation.unwrap().reason.as_str()), (id, reason));
    }
    stop(ten.agent).await;
}

#[tokio::test]
async fn an_edge_says_when_it_leaves() {
    let mut ten = ten().await;
    let (_, ()) = tokio::join!(
        async {
            loop {
                let report = ten.session.report().await.expect("a last report before the end");
                if report.leaving {
                    break;
                }
            }
            ten.session.closed().await;
            // The control plane's half of the stream ends, too.
            drop(ten.session);
        },
        stop(ten.agent)
    );
}

#[tokio::test]
async fn reports_come_at_the_interval_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut control_plane = ControlPlane::start().await;
    let agent = start(dir.path(), &[control_plane.url()]);
    let mut session = control_plane.session().await;
    let report_interval = Some(prost_types::Duration { seconds: 0, nanos: 100_000_000 });
    let welcome = v1::Welcome { cluster_id: "c".into(), report_interval };
    session.say(v1::control_message::Message::Welcome(welcome)).await;
    let began = std::time::Instant::now();
    for _ in 0..4 {
        session.report().await.unwrap();
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(250), "three intervals in {took:?}");
    stop(agent).await;
}

#[tokio::test]
async fn an_edge_starts_from_disk_without_any_control_plane() {
    let ten = ten().await;
    let id = ten.agent.edge_id();
    stop(ten.agent).await;
    ten.control_plane.kill();

    let agent = start(ten.dir.path(), &[NOBODY.into()]);
    within("ready", agent.ready()).await;
    assert_eq!(agent.edge_id(), id);
    assert!(get(agent.admin_address(), "/readyz").await.0.contains("200"));
    assert_eq!(figure(&agent, "headland_edge_agent_distributions").await, 2.0);
    assert_eq!(figure(&agent, "headland_edge_agent_applied_revision").await, 10.0);
    stop(agent).await;
}

#[tokio::test]
async fn a_change_is_on_disk_soon_and_survives_a_crash() {
    let ten = ten().await;
    figure_becomes(&ten.agent, "headland_edge_agent_last_good_saves_total", |saves| saves >= 1.0).await;
    // As a crash would leave it: copied while the agent runs, whatever it does at its end.
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("last-good")).unwrap();
    for file in last_good(&ten.dir) {
        fs::copy(&file, copy.path().join("last-good").join(file.file_name().unwrap())).unwrap();
    }
    let agent = start(copy.path(), &[NOBODY.into()]);
    assert_eq!(figure(&agent, "headland_edge_agent_applied_revision").await, 10.0);
    stop(agent).await;
    stop(ten.agent).await;
}

#[tokio::test]
async fn damaged_files_are_skipped_for_older_ones_and_then_for_none() {
    let mut ten = ten().await;
    figure_becomes(&ten.agent, "headland_edge_agent_last_good_saves_total", |saves| saves >= 1.0).await;
    ten.session.update(delta(10, 11, vec![good(A, 11)])).await;
    ten.session.applied(11).await;
    stop(ten.agent).await;
    let files = last_good(&ten.dir);
    assert_eq!(files.len(), 2);

    // What has changed, and what it has changed.
    let newest = fs::read(&files[0]).unwrap();
    fs::write(&files[0], &newest[..newest.len() / 2]).unwrap();
    let agent = start(ten.dir.path(), &[ten.control_plane.url()]);
    let mut session = ten.control_plane.welcomed("c").await;
    assert_eq!(session.hello.applied_revision, 10);
    session.report().await.unwrap();
    stop(agent).await;

    fs::write(&files[1], b"not even the beginning").unwrap();
    let agent = start(ten.dir.path(), &[ten.control_plane.url()]);
    let mut session = ten.control_plane.welcomed("c").await;
    assert_eq!((session.hello.cluster_id.as_str(), session.hello.applied_revision), ("", 0));
    session.update(whole(11, vec![good(A, 11), good(B, 10)])).await;
    assert_eq!(session.applied(11).await.distributions, 2);
    stop(agent).await;
    let agent = start(ten.dir.path(), &[NOBODY.into()]);
    assert_eq!(figure(&agent, "headland_edge_agent_applied_revision").await, 11.0);
    stop(agent).await;
}

#[tokio::test]
async fn a_disk_that_takes_nothing_stops_nothing() {
    let mut control_plane = ControlPlane::start().await;
    // The kernel lets nobody create files there, not even root.
    let agent = start(Path::new("/proc/headland"), &[control_plane.url()]);
    let mut session = control_plane.welcomed("c").await;
    session.update(whole(10, vec![good(A, 3)])).await;
    session.applied(10).await;
    figure_becomes(&agent, "headland_edge_agent_last_good_save_failures_total", |n| n >= 1.0).await;
    session.update(delta(10, 11, vec![good(A, 11)])).await;
    session.applied(11).await;
    stop(agent).await;
}

#[tokio::test]
async fn what_must_not_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let agent = start(dir.path(), &[NOBODY.into()]);
    let error = try_start(dir.path(), &[NOBODY.into()]).unwrap_err().to_string();
    assert!(error.contains("another edge agent"), "{error}");
    stop(agent).await;

    fs::write(dir.path().join("edge-id"), "fra1").unwrap();
    let error = try_start(dir.path(), &[NOBODY.into()]).unwrap_err().to_string();
    assert!(error.contains("edge-id") && error.contains("not a UUID"), "{error}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _held = TcpListener::bind(taken).unwrap();
    let mut settings = Settings::check(
        Layer::default(),
        &Machine { memory_bytes: 1, parallelism: 1, host_name: String::new() },
    )
    .unwrap();
    settings.http = vec![taken];
    let error = Listeners::bind(&settings).unwrap_err().to_string();
    assert!(error.contains(&taken.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_whose_certificate_is_refused_is_a_problem_until_it_is_trusted() {
    use crate::support::tls_origin::{self, Authority, Like, over_tls};
    let told = tls_origin::log();
    let Ten { dir: _dir, agent, control_plane: _control_plane, session } = ten().await;
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let shows = ours.issue("localhost", 2100);
    let address = tls_origin::start(&Like { shows: &shows, demands: Some(&ours), only_1_2: false });
    let trusting = |authority: &Authority, revision| {
        let mut desired = good(A, revision);
        let tls = v1::OriginTls { ca_certificates: authority.pem(), ..Default::default() };
        over_tls(desired.config.as_mut().unwrap(), "localhost", address, tls);
        desired
    };
    session.update(delta(10, 11, vec![trusting(&theirs, 11)])).await;
    figure_becomes(&agent, "headland_edge_agent_origin_problems ", |problems| problems == 1.0).await;
    // It demands a certificate of the edge as well, which is known only after the handshake.
    session.update(delta(11, 12, vec![trusting(&ours, 12)])).await;
    within("the reason", async {
        while told.lines_with("CertificateRequired").is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(figure(&agent, "headland_edge_agent_origin_problems ").await, 1.0);
    session.update(delta(12, 13, vec![good(A, 13)])).await;
    figure_becomes(&agent, "headland_edge_agent_origin_problems ", |problems| problems == 0.0).await;
    stop(agent).await;
}
