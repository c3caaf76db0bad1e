//! Health checks: an origin that does not pass them is not asked for viewers, as long as another can stand in for it.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
};

use headland_edge_agent::agent::Handle;
use headland_proto::v1;
use tempfile::TempDir;

use crate::{
    support::{
        control_plane::{ControlPlane, Session, good, whole, within},
        edge::{config, seconds},
        origin::{Origin, response},
    },
    sync::{figure, get_from, start, stop},
};

/// An agent that serves this, and what it needs for as long as it runs.
async fn serving(distribution: v1::DesiredDistribution) -> (Handle, (TempDir, ControlPlane, Session)) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut control_plane = ControlPlane::start().await;
    let agent = start(dir.path(), &[control_plane.url()]);
    let mut session = control_plane.welcomed("c").await;
    session.update(whole(1, vec![distribution])).await;
    session.applied(1).await;
    (agent, (dir, control_plane, session))
}

#[tokio::test]
async fn an_origin_that_does_not_pass_its_health_check_is_passed_over() {
    const CHECK: &str = "GET /site/healthz?deep HTTP/1.1";
    const UNWELL: &str = "headland_edge_agent_origins_unwell";
    let status = Arc::new(Mutex::new("200 OK"));
    let first = Origin::start({
        let status = Arc::clone(&status);
        move |request, stream| {
            if request.line == CHECK {
                // As simple servers do it: with the head and then the body the connection is over.
                let status = *status.lock().expect("status");
                let _ = write!(stream, "HTTP/1.0 {status}\r\ncontent-length: 2\r\n\r\n");
                let _ = stream.write_all(b"ok");
                return false;
            }
            // Of what viewers ask it, it answers everything, all the time.
            stream.write_all(response("200 OK", "cache-control: no-store", "first").as_bytes()).is_ok()
        }
    });
    let second = Origin::fixed("cache-control: no-store", "second");
    let checked = v1::Origin {
        id: "first".into(),
        origin_path: "/site".into(),
        custom_headers: vec![v1::CustomHeader { name: "x-key".into(), value: "k".into() }],
        health_check: Some(v1::HealthCheck { path: "/healthz?deep".into(), interval: seconds(1) }),
        ..config(first.address).origins.remove(0)
    };
    let other = v1::Origin { id: "second".into(), ..config(second.address).origins.remove(0) };
    let mut distribution = good("EAAAAAAAAAAAAA", 1);
    let host = distribution.domain_name.clone();
    let of_group = distribution.config.as_mut().expect("a configuration");
    of_group.origins = vec![checked, other];
    of_group.origin_groups = vec![v1::OriginGroup {
        id: "group".into(),
        member_origin_ids: vec!["first".into(), "second".into()],
        failover_status_codes: vec![500],
    }];
    of_group.default_cache_behavior.as_mut().expect("a behavior").target_origin_id = "group".into();

    let (agent, _network) = serving(distribution).await;
    let viewer = agent.viewer_addresses()[0];
    let answers = async |by: &str| {
        within(by, async { while get_from(viewer, &host, "/").await.1 != by {} }).await;
    };
    answers("first").await;
    let checks = || first.received().iter().filter(|request| request.line == CHECK).count();
    within("some checks", async {
        while checks() < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(figure(&agent, UNWELL).await, 0.0);
    *status.lock().expect("status") = "503 Going";
    answers("second").await;
    assert_eq!(figure(&agent, UNWELL).await, 1.0);
    *status.lock().expect("status") = "302 Found";
    answers("first").await;
    assert_eq!(figure(&agent, UNWELL).await, 0.0);
    let received = first.received();
    let check = received.iter().find(|request| request.line == CHECK).expect("a check");
    let headers = ["host", "x-key", "user-agent"].map(|name| check.header(name));
    assert_eq!(headers, [Some(first.address.to_string().as_str()), Some("k"), Some("Headland")]);
    stop(agent).await;
}

#[tokio::test]
async fn an_origin_alone_is_asked_whatever_its_health_check_says() {
    let origin = Origin::start(|request, stream| {
        let status = if request.path() == "/" { "200 OK" } else { "500 Broken" };
        stream.write_all(response(status, "cache-control: no-store", "here").as_bytes()).is_ok()
    });
    let mut distribution = good("EAAAAAAAAAAAAA", 1);
    let host = distribution.domain_name.clone();
    let of_one = distribution.config.as_mut().expect("a configuration");
    let check = v1::HealthCheck { path: "/healthz".into(), interval: seconds(1) };
    let template = config(origin.address).origins.remove(0);
    of_one.origins = vec![v1::Origin { id: "o".into(), health_check: Some(check), ..template }];

    let (agent, _network) = serving(distribution).await;
    let unwell = async { while figure(&agent, "headland_edge_agent_origins_unwell").await != 1.0 {} };
    within("the check to fail", unwell).await;
    assert_eq!(get_from(agent.viewer_addresses()[0], &host, "/").await.1, "here");
    stop(agent).await;
}
