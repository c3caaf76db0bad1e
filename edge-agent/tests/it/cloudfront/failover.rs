//! Origin groups: which origin is asked, and when the next one is.

use std::{io::Write, net::SocketAddr, time::Duration};

use headland_proto::v1;

use crate::support::{
    edge::{ALL_METHODS, Edge, behavior, config, policy, seconds},
    origin::{Origin, response},
    viewer::{Viewer, get},
};

/// An origin that answers everything with this status, and its name.
fn answers(status: &'static str, name: &'static str) -> Origin {
    Origin::start(move |_, stream| {
        stream.write_all(response(status, "cache-control: max-age=60", name).as_bytes()).is_ok()
    })
}

/// Nobody listens there.
fn nobody() -> SocketAddr {
    "127.0.0.1:1".parse().expect("an address")
}

/// An edge whose only behavior has a group of these, in this order.
fn edge(members: &[SocketAddr], codes: &[u32]) -> Edge {
    let mut config = config(members[0]);
    policy(&mut config).semantics = v1::cache_policy_config::Semantics::Cloudfront.into();
    let template = config.origins[0].clone();
    config.origins = members
        .iter()
        .enumerate()
        .map(|(i, address)| {
            let mut origin = v1::Origin { id: format!("o{i}"), connection_attempts: 1, ..template.clone() };
            if let Some(v1::origin::Kind::Custom(custom)) = &mut origin.kind {
                custom.http_port = address.port().into();
            }
            origin
        })
        .collect();
    config.origin_groups = vec![v1::OriginGroup {
        id: "group".into(),
        member_origin_ids: config.origins.iter().map(|origin| origin.id.clone()).collect(),
        failover_status_codes: codes.to_vec(),
    }];
    let behavior = behavior(&mut config);
    behavior.target_origin_id = "group".into();
    behavior.allowed_methods = ALL_METHODS.map(Into::into).to_vec();
    // What is an error is asked for again at once.
    config.custom_error_responses = [404, 500, 502, 503, 504]
        .map(|code| v1::CustomErrorResponse {
            error_code: code,
            error_caching_min_ttl: seconds(0),
            ..Default::default()
        })
        .to_vec();
    Edge::start(config)
}

#[test]
fn the_next_origin_is_asked_for_what_the_first_cannot_answer() {
    let (broken, missing, good) =
        (answers("503 Busy", "busy"), answers("404 No", "none"), answers("200 OK", "good"));
    let check = |members: &[SocketAddr], codes: &[u32], status: u16, text: &str| {
        let answer = get(edge(members, codes).address, "/a", &[]);
        assert_eq!((answer.status, answer.text()), (status, text), "{members:?} {codes:?}");
    };
    let (broken_at, missing_at, good_at) = (broken.address, missing.address, good.address);
    check(&[good_at, broken_at], &[503], 200, "good");
    check(&[broken_at, good_at], &[503], 200, "good");
    check(&[broken_at, good_at], &[500, 404], 503, "busy");
    check(&[missing_at, good_at], &[403, 404], 200, "good");
    check(&[nobody(), good_at], &[], 200, "good");
    check(&[broken_at, nobody(), missing_at, good_at], &[503, 404], 200, "good");
    check(&[broken_at, missing_at], &[503, 404], 404, "none");
    let edge = edge(&[broken.address, nobody()], &[503]);
    assert_eq!(get(edge.address, "/a", &[]).status, 502, "the last one's failure is what the viewer gets");
}

#[test]
fn what_the_next_origin_answers_is_stored() {
    let (broken, good) = (answers("503 Busy", "busy"), answers("200 OK", "good"));
    let edge = edge(&[broken.address, good.address], &[503]);
    assert_eq!(get(edge.address, "/a", &[]).header("x-cache"), Some("Miss from headland"));
    assert_eq!(get(edge.address, "/a", &[]).header("x-cache"), Some("Hit from headland"));
    assert_eq!((broken.requests(), good.requests()), (1, 1));
}

#[test]
fn only_what_changes_nothing_goes_on_to_the_next() {
    let (broken, good) = (answers("503 Busy", "busy"), answers("200 OK", "good"));
    let edge = edge(&[broken.address, good.address], &[503]);
    let mut viewer = Viewer::connect(edge.address);
    assert_eq!(viewer.request("HEAD", "/h", &[]).status, 200);
    assert_eq!(viewer.request("OPTIONS", "/o", &[]).text(), "good");
    let asked = good.requests();
    let posted = viewer.request("POST", "/p", &["content-length: 0"]);
    assert_eq!((posted.status, posted.text()), (503, "busy"));
    assert_eq!(good.requests(), asked, "the second origin hears nothing of it");
}

#[test]
fn an_origin_that_is_down_is_passed_over_until_it_may_be_back() {
    let silent = Origin::start(|_, _| {
        std::thread::sleep(Duration::from_secs(2));
        false
    });
    let good = answers("200 OK", "good");
    let edge = edge(&[silent.address, good.address], &[]);
    for path in ["/a", "/b", "/c"] {
        assert_eq!(get(edge.address, path, &[]).text(), "good");
    }
    assert_eq!(silent.requests(), 1, "one viewer has waited for it");
    assert_eq!(edge.shared.metrics.traffic().origin_fetches, 4, "each request to an origin counts once");
    edge.clock.advance(Duration::from_secs(20));
    assert_eq!(get(edge.address, "/d", &[]).text(), "good");
    assert_eq!(silent.requests(), 2, "one has found out whether it is back");
}
