//! Interim responses (RFC 9110 section 15.2) and the expectation of one (section 10.1.1).

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
};

use crate::support::{
    edge::{ALL_METHODS, Edge, HOST, behavior, config},
    origin::{Origin, response},
    scenario::{cached, check, get, scenario},
    viewer::Viewer,
};

const FINAL: &str =
    "HTTP/1.1 200 OK\r\ndate: {now}\r\ncache-control: max-age=60\r\ncontent-length: 3\r\n\r\none";

#[test]
fn interim_responses_come_before_the_final_one() {
    check(
        [
            "HTTP/1.1 103 Early Hints\r\nlink: </s.css>; rel=preload\r\n\r\n",
            "HTTP/1.1 102 Processing\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 199 Whatever\r\nx: y\r\n\r\n",
            "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </b>\r\n\r\n",
        ]
        .map(|interim| {
            scenario(
                format!("9110 15.2: {interim:?}"),
                [
                    get().origin_bytes(&format!("{interim}{FINAL}")).gives(200, "one").lacks("link"),
                    cached("one").lacks("link").has("cache-control: max-age=60"),
                ],
            )
        }),
    );
}

fn upload(edge: &Edge) -> Viewer {
    let mut viewer = Viewer::connect(edge.address);
    let head =
        format!("PUT /a HTTP/1.1\r\nhost: {HOST}\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    viewer.raw(head.as_bytes());
    viewer
}

fn edge(origin: SocketAddr) -> Edge {
    let mut config = config(origin);
    behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    Edge::start(config)
}

#[test]
fn an_expectation_goes_to_the_origin_and_its_100_comes_back() {
    let origin = Origin::start(|request, stream| {
        stream.write_all(response("200 OK", "", &String::from_utf8_lossy(&request.body)).as_bytes()).is_ok()
    });
    let edge = edge(origin.address);
    let mut viewer = upload(&edge);
    assert_eq!(viewer.head().expect("an interim response").0, 100);
    viewer.raw(b"data");
    let response = viewer.final_response(false).expect("a response");
    assert_eq!((response.status, response.text()), (200, "data"));
    let received = &origin.received()[0];
    assert_eq!((received.header("expect"), received.body.as_slice()), (Some("100-continue"), &b"data"[..]));
}

#[test]
fn an_origin_that_refuses_spares_the_viewer_the_upload() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                }
                let _ = stream.write_all(response("403 Forbidden", "connection: close", "no").as_bytes());
                // Until the edge hangs up.
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    let edge = edge(address);
    let mut viewer = upload(&edge);
    assert_eq!(viewer.head().expect("a response").0, 403, "a 100 that the origin never sent");
}

#[test]
fn an_expectation_of_http_1_0_is_ignored() {
    let origin = Origin::start(|request, stream| {
        stream.write_all(response("200 OK", "", &String::from_utf8_lossy(&request.body)).as_bytes()).is_ok()
    });
    let edge = edge(origin.address);
    let mut viewer = Viewer::connect(edge.address);
    let head =
        format!("PUT /a HTTP/1.0\r\nhost: {HOST}\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    viewer.raw(format!("{head}data").as_bytes());
    assert_eq!(viewer.head().expect("a response").0, 200, "an interim response");
    let received = &origin.received()[0];
    assert_eq!((received.header("expect"), received.body.as_slice()), (None, &b"data"[..]));
}

#[test]
fn an_expectation_without_content_does_no_harm() {
    check([scenario(
        "9110 10.1.1: a request without content",
        [
            get().header("expect: 100-continue").origin("cache-control: max-age=60", "one").gives(200, "one"),
            cached("one"),
        ],
    )]);
}
