//! WebSockets through the edge (RFC 6455): bytes both ways once the origin has agreed, and nothing of the kind before.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::support::{
    edge::{Edge, HOST, config},
    origin::Origin,
    viewer::Viewer,
};

const WANTED: &str = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                      sec-websocket-version: 13\r\nsec-websocket-protocol: chat\r\norigin: http://page.test\r\n";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                      sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: chat\r\n\r\n";

/// An origin that agrees to one WebSocket; what it then does is up to the test, which gets the head of the request first.
fn agreeing(talk: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, mpsc::Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let (heads, head) = mpsc::channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("accept");
        let mut reader = BufReader::new(stream.try_clone().expect("clone"));
        let lines = (&mut reader).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let lines: Vec<String> = lines.map(|line| line.to_ascii_lowercase()).collect();
        assert!(reader.buffer().is_empty(), "nothing comes before the origin has agreed");
        heads.send(lines).expect("send");
        (&stream).write_all(AGREED.as_bytes()).expect("write");
        talk(stream);
    });
    (address, head)
}

fn connect(edge: &Edge) -> (TcpStream, BufReader<TcpStream>) {
    let stream = TcpStream::connect(edge.address).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
    let reader = BufReader::new(stream.try_clone().expect("clone"));
    (stream, reader)
}

fn head(reader: &mut BufReader<TcpStream>) -> Vec<String> {
    let lines = reader.lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    lines.map(|line| line.to_ascii_lowercase()).collect()
}

#[test]
fn bytes_go_both_ways_once_the_origin_has_agreed() {
    let (origin, asked) = agreeing(|mut stream| {
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).expect("read");
        assert_eq!(&bytes, b"early");
        stream.write_all(b"hello").expect("write");
        stream.read_exact(&mut bytes).expect("read");
        assert_eq!(&bytes, b"later");
        stream.write_all(b"bye").expect("write");
    });
    let edge = Edge::start(config(origin));
    let (mut viewer, mut reader) = connect(&edge);
    // What comes with the request waits until the origin has agreed.
    write!(viewer, "GET /chat?room=1 HTTP/1.1\r\nhost: {HOST}\r\n{WANTED}\r\nearly").expect("write");
    let answer = head(&mut reader);
    assert_eq!(answer[0], "http/1.1 101 switching protocols");
    for field in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
        "sec-websocket-protocol: chat",
    ] {
        assert!(answer.iter().any(|line| line == field), "{field} in {answer:?}");
    }
    let asked = asked.recv().expect("head");
    assert_eq!(asked[0], "get /chat?room=1 http/1.1");
    for field in WANTED.to_ascii_lowercase().lines() {
        assert!(asked.iter().any(|line| line == field), "{field} in {asked:?}");
    }
    let mut bytes = [0; 5];
    reader.read_exact(&mut bytes).expect("read");
    assert_eq!(&bytes, b"hello");
    assert_eq!(edge.shared.metrics.tunnels(), (1, 1));
    viewer.write_all(b"later").expect("write");
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("read");
    assert_eq!(rest, "bye");
    while edge.shared.metrics.tunnels() != (1, 0) {
        thread::yield_now();
    }
}

#[test]
fn what_the_origin_does_not_agree_to_is_an_answer_like_any_other() {
    let origin = Origin::fixed("cache-control: max-age=60", "no");
    let edge = Edge::start(config(origin.address));
    let mut viewer = Viewer::connect(edge.address);
    for _ in 0..2 {
        viewer.raw(format!("GET /a HTTP/1.1\r\nhost: {HOST}\r\n{WANTED}\r\n").as_bytes());
        let answer = viewer.response(false);
        assert_eq!((answer.status, answer.text()), (200, "no"));
    }
    // None of them was answered from the cache.
    assert_eq!(origin.requests(), 2);
    assert_eq!(edge.shared.metrics.tunnels(), (0, 0));
}

#[test]
fn nothing_but_a_websocket_is_tunnelled() {
    let origin = Origin::start(|request, stream| {
        assert_eq!(request.header("upgrade"), None);
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
            .is_ok()
    });
    let edge = Edge::start(config(origin.address));
    let smuggled = format!(
        "GET /a HTTP/1.1\r\nhost: {HOST}\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n"
    );
    let mut viewer = Viewer::connect(edge.address);
    viewer.raw(smuggled.as_bytes());
    assert_eq!(viewer.response(false).status, 502);
    // Nor does an origin that agrees to something else get a tunnel.
    let origin = Origin::start(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
            .is_ok()
    });
    let edge = Edge::start(config(origin.address));
    let mut viewer = Viewer::connect(edge.address);
    viewer.raw(format!("GET /a HTTP/1.1\r\nhost: {HOST}\r\n{WANTED}\r\n").as_bytes());
    assert_eq!(viewer.response(false).status, 502);
    assert_eq!(edge.shared.metrics.tunnels(), (0, 0));
}

#[test]
fn a_stop_ends_what_would_never_end() {
    let (origin, _asked) = agreeing(|mut stream| {
        stream.write_all(b"hello").expect("write");
        let mut rest = Vec::new();
        // Until the edge ends it.
        let _ = stream.read_to_end(&mut rest);
    });
    let mut edge = Edge::start(config(origin));
    let (mut viewer, mut reader) = connect(&edge);
    write!(viewer, "GET /chat HTTP/1.1\r\nhost: {HOST}\r\n{WANTED}\r\n").expect("write");
    assert_eq!(head(&mut reader)[0], "http/1.1 101 switching protocols");
    let mut bytes = [0; 5];
    reader.read_exact(&mut bytes).expect("read");
    edge.stop();
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest);
    assert_eq!(rest, b"");
    assert_eq!(edge.shared.metrics.tunnels(), (1, 0));
}

#[test]
fn a_viewer_that_leaves_ends_its_tunnel() {
    let (ended, end) = mpsc::channel();
    let (origin, _asked) = agreeing(move |mut stream| {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        ended.send(rest).expect("send");
    });
    let edge = Edge::start(config(origin));
    let (mut viewer, mut reader) = connect(&edge);
    write!(viewer, "GET /chat HTTP/1.1\r\nhost: {HOST}\r\n{WANTED}\r\n").expect("write");
    assert_eq!(head(&mut reader)[0], "http/1.1 101 switching protocols");
    viewer.write_all(b"bye").expect("write");
    drop((viewer, reader));
    assert_eq!(end.recv().expect("end"), b"bye");
    while edge.shared.metrics.tunnels() != (1, 0) {
        thread::yield_now();
    }
}
