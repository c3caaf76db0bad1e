//! Connections to origins: kept for the next request, never for too long, and never at the cost of an answer.

use std::{
    collections::HashSet,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{
    edge::{ALL_METHODS, Edge, behavior, config, seconds},
    origin::{Origin, response},
    viewer::Viewer,
};

/// Where requests came from, and the streams they came by.
type Seen = Arc<Mutex<Vec<(SocketAddr, TcpStream)>>>;

/// An origin that notes by which connection it was asked, and goes on with it or not.
fn noting(goes_on: bool) -> (Origin, Seen) {
    let seen = Seen::default();
    let origin = Origin::start({
        let seen = Arc::clone(&seen);
        move |request, stream| {
            let peer = stream.peer_addr().expect("peer");
            seen.lock().expect("lock").push((peer, stream.try_clone().expect("clone")));
            let body = request.path().repeat(request.path()[1..].parse().unwrap_or(1));
            stream.write_all(response("200 OK", "cache-control: max-age=60", &body).as_bytes()).is_ok()
                && goes_on
        }
    });
    (origin, seen)
}

fn connections(seen: &Seen) -> usize {
    seen.lock().expect("lock").iter().map(|(peer, _)| *peer).collect::<HashSet<_>>().len()
}

#[test]
fn a_connection_is_used_again() {
    let (origin, seen) = noting(true);
    let edge = Edge::start(config(origin.address));
    let mut viewer = Viewer::connect(edge.address);
    // Bodies that come with the head, and some that do not.
    for path in ["/1", "/2", "/0", "/90000", "/3", "/4"] {
        let answer = viewer.request("GET", path, &[]);
        let times: usize = path[1..].parse().expect("number");
        assert!(answer.status == 200 && answer.text() == path.repeat(times), "{path}");
    }
    assert_eq!((origin.requests(), connections(&seen)), (6, 1));
}

#[test]
fn a_connection_that_the_origin_closes_costs_nobody_an_answer() {
    let (origin, seen) = noting(false);
    let mut config = config(origin.address);
    behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    let edge = Edge::start(config);
    let mut viewer = Viewer::connect(edge.address);
    for (path, method) in [("/1", "GET"), ("/2", "GET"), ("/3", "DELETE"), ("/4", "GET")] {
        let answer = viewer.request(method, path, &[]);
        assert_eq!(answer.status, 200, "{method} {path}");
        // Not "soon", but known to have been: the origin shuts the connection before its thread ends.
        let mut stream = seen.lock().expect("lock").last().expect("seen").1.try_clone().expect("clone");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
        assert_eq!(stream.read(&mut [0; 1]).expect("end"), 0);
    }
    assert_eq!((origin.requests(), connections(&seen)), (4, 4));
}

#[test]
fn a_connection_that_has_waited_too_long_is_closed() {
    let (origin, seen) = noting(true);
    let mut config = config(origin.address);
    config.origins[0].keepalive_timeout = seconds(1);
    let edge = Edge::start(config);
    assert_eq!(Viewer::connect(edge.address).request("GET", "/1", &[]).status, 200);
    let mut stream = seen.lock().expect("lock")[0].1.try_clone().expect("clone");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
    assert_eq!(stream.read(&mut [0; 1]).expect("end"), 0);
    assert_eq!(connections(&seen), 1);
}
