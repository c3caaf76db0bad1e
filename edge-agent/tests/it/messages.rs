//! What stands around bodies, from end to end: `Expect: 100-continue` before them, trailers after them (RFC 9110 sections 10.1.1 and
//! 6.5).

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

use crate::support::{
    edge::{ALL_METHODS, Edge, behavior, config},
    viewer::Viewer,
};

/// An origin for one request, which gets the head, and what is needed to go on reading and to write.
fn origin<T: Send + 'static>(
    script: impl FnOnce(String, &mut BufReader<TcpStream>, &mut TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let running = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        let mut reader = BufReader::new(stream.try_clone().expect("clone"));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).expect("read") > 0, "a whole head");
        }
        script(head.to_ascii_lowercase(), &mut reader, &mut stream)
    });
    (address, running)
}

fn read_body(reader: &mut BufReader<TcpStream>) -> [u8; 5] {
    let mut body = [0; 5];
    reader.read_exact(&mut body).expect("body");
    body
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A viewer who has sent the head of a POST to an edge in front of this origin.
fn ask(origin: SocketAddr, expectation: &str) -> (Edge, Viewer) {
    let mut config = config(origin);
    behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    let edge = Edge::start(config);
    let mut viewer = Viewer::connect(edge.address);
    viewer.raw(
        format!("POST /a HTTP/1.1\r\nhost: cdn.test\r\ncontent-length: 5\r\n{expectation}\r\n").as_bytes(),
    );
    (edge, viewer)
}

#[test]
fn a_viewer_is_asked_for_its_body_when_the_origin_asks() {
    let (address, origin) = origin(|head, reader, stream| {
        // Other interim responses are not for the viewer.
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").expect("write");
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").expect("write");
        let body = read_body(reader);
        stream.write_all(OK).expect("write");
        (head, body)
    });
    let (_edge, mut viewer) = ask(address, "Expect: 100-Continue\r\n");
    assert_eq!(viewer.head().expect("an interim response").0, 100);
    viewer.raw(b"hello");
    let response = viewer.response(false);
    assert_eq!((response.status, response.text()), (200, "ok"));
    let (head, body) = origin.join().expect("origin");
    assert!(head.contains("\r\nexpect: 100-continue\r\n"), "{head}");
    assert_eq!(&body, b"hello");
}

#[test]
fn a_viewer_is_not_asked_for_a_body_that_the_origin_refuses() {
    let (address, origin) = origin(|_, reader, stream| {
        let refusal = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nno\n";
        stream.write_all(refusal).expect("write");
        // The edge has no more use for the connection.
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).expect("the end");
        rest
    });
    let (_edge, mut viewer) = ask(address, "expect: 100-continue\r\n");
    // The first head that comes: no 100 before it.
    let response = viewer.response(false);
    assert_eq!((response.status, response.text(), response.complete), (413, "no\n", true));
    assert_eq!(origin.join().expect("origin"), b"");
}

#[test]
fn an_origin_that_does_not_know_the_question_gets_the_body() {
    let (address, origin) = origin(|_, reader, stream| {
        let body = read_body(reader);
        stream.write_all(OK).expect("write");
        body
    });
    let (_edge, mut viewer) = ask(address, "expect: 100-continue\r\n");
    assert_eq!(viewer.head().expect("an interim response").0, 100);
    viewer.raw(b"hello");
    assert_eq!(viewer.response(false).text(), "ok");
    assert_eq!(&origin.join().expect("origin"), b"hello");
}

#[test]
fn nobody_is_asked_unasked() {
    let (address, origin) = origin(|head, reader, stream| {
        read_body(reader);
        stream.write_all(OK).expect("write");
        head
    });
    let (_edge, mut viewer) = ask(address, "");
    viewer.raw(b"hello");
    assert_eq!(viewer.response(false).status, 200);
    assert!(!origin.join().expect("origin").contains("expect"));
}

/// What the origin sees and the viewer gets of an exchange with trailers, the viewer having sent this beside the request.
fn trailers(te: &str) -> (String, Vec<u8>) {
    let (address, origin) = origin(|head, reader, stream| {
        read_body(reader);
        let response = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum, set-cookie\r\n\r\n\
            2\r\nok\r\n0\r\nx-sum: 1\r\nset-cookie: a=1\r\nx-unannounced: 1\r\n\r\n";
        stream.write_all(response).expect("write");
        head
    });
    let (_edge, mut viewer) = ask(address, &format!("connection: close\r\n{te}"));
    viewer.raw(b"hello");
    let (status, _) = viewer.head().expect("a response");
    assert_eq!(status, 200);
    (origin.join().expect("origin"), viewer.bytes(usize::MAX))
}

#[test]
fn trailers_are_passed_on_to_a_viewer_who_asks_for_them() {
    let (asked, body) = trailers("te: trailers\r\n");
    assert!(asked.contains("\r\nte: trailers\r\n") && asked.contains("\r\nconnection: te\r\n"), "{asked}");
    assert_eq!(std::str::from_utf8(&body), Ok("2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n"));
}

#[test]
fn trailers_are_kept_from_a_viewer_who_does_not() {
    let (asked, body) = trailers("");
    assert!(!asked.contains("\r\nte:"), "{asked}");
    assert_eq!(std::str::from_utf8(&body), Ok("2\r\nok\r\n0\r\n\r\n"));
}
