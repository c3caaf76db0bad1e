//! Many viewers at once, and bodies too large to keep.

use std::{
    io::Write,
    sync::{Arc, Barrier, Mutex, mpsc},
    thread,
    time::Duration,
};

use crate::support::{
    edge::{Edge, Options, config},
    origin::{Origin, response},
    viewer::{Viewer, get},
};

/// A gate that the origin waits at until the test opens it.
fn gate() -> (impl Fn() + Send + Sync + Clone, mpsc::Sender<()>) {
    let (open, closed) = mpsc::channel::<()>();
    let closed = Arc::new(Mutex::new(closed));
    (move || _ = closed.lock().expect("lock").recv_timeout(Duration::from_secs(30)), open)
}

#[test]
fn a_hundred_first_requests_are_one_fetch_and_each_gets_bytes_as_they_arrive() {
    const VIEWERS: usize = 100;
    let (wait, open) = gate();
    let origin = Origin::start(move |_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 10\r\n\r\nfirst";
        let first = stream.write_all(head.as_bytes()).is_ok();
        wait();
        first && stream.write_all(b"later").is_ok()
    });
    let edge = Edge::start(config(origin.address));
    let address = edge.address;
    let half_way = Arc::new(Barrier::new(VIEWERS + 1));
    let viewers: Vec<_> = (0..VIEWERS)
        .map(|_| {
            let half_way = Arc::clone(&half_way);
            thread::spawn(move || {
                let mut viewer = Viewer::connect(address);
                viewer.send("GET", "/a", &[], b"");
                viewer.head().expect("head");
                let first = viewer.bytes(5);
                half_way.wait();
                (first, viewer.bytes(5))
            })
        })
        .collect();
    // Everybody has the first half while the origin still holds back the second.
    half_way.wait();
    open.send(()).expect("origin waits");
    for viewer in viewers {
        assert_eq!(viewer.join().expect("viewer"), (b"first".to_vec(), b"later".to_vec()));
    }
    assert_eq!(origin.requests(), 1);
}

#[test]
fn those_who_wait_for_a_private_response_each_get_their_own() {
    let (wait, open) = gate();
    let origin = Origin::start(move |request, stream| {
        wait();
        let body = request.header("x-viewer").unwrap_or_default().to_owned();
        stream.write_all(response("200 OK", "cache-control: private", &body).as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    let viewers: Vec<_> = (0..10)
        .map(|i| {
            let address = edge.address;
            thread::spawn(move || {
                let name = format!("viewer-{i}");
                let response = get(address, "/a", &[&format!("x-viewer: {name}")]);
                assert_eq!(response.text(), name);
            })
        })
        .collect();
    (0..10).for_each(|_| open.send(()).expect("origin waits"));
    viewers.into_iter().for_each(|v| v.join().expect("viewer"));
    assert_eq!(origin.requests(), 10);
}

#[test]
fn the_fill_goes_on_when_its_viewer_leaves() {
    let (wait, open) = gate();
    let origin = Origin::start(move |_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 10\r\n\r\nfirst";
        let first = stream.write_all(head.as_bytes()).is_ok();
        wait();
        first && stream.write_all(b"later").is_ok()
    });
    let edge = Edge::start(config(origin.address));
    let mut viewer = Viewer::connect(edge.address);
    viewer.send("GET", "/a", &[], b"");
    assert_eq!(viewer.head().expect("head").0, 200);
    drop(viewer);
    open.send(()).expect("origin waits");
    let next = get(edge.address, "/a", &[]);
    assert_eq!((next.text(), next.header("x-cache")), ("firstlater", Some("Hit from headland")));
    assert_eq!(origin.requests(), 1);
}

/// An origin with one large object of a known pattern, sent with or without its length.
fn large_origin(bytes: usize, with_length: bool) -> Origin {
    Origin::start(move |_, stream| {
        let length = if with_length {
            format!("content-length: {bytes}\r\n")
        } else {
            "transfer-encoding: chunked\r\n".to_owned()
        };
        let head = format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n{length}\r\n");
        if stream.write_all(head.as_bytes()).is_err() {
            return false;
        }
        let chunk: Vec<u8> = (0..64u32 << 10).map(|i| (i % 251) as u8).collect();
        for start in (0..bytes).step_by(chunk.len()) {
            let piece = &chunk[..chunk.len().min(bytes - start)];
            let framed = if with_length {
                stream.write_all(piece)
            } else {
                write!(stream, "{:x}\r\n", piece.len())
                    .and_then(|()| stream.write_all(piece))
                    .and_then(|()| stream.write_all(b"\r\n"))
            };
            if framed.is_err() {
                return false;
            }
        }
        with_length || stream.write_all(b"0\r\n\r\n").is_ok()
    })
}

fn is_the_pattern(body: &[u8]) -> bool {
    body.chunks(64 << 10).all(|chunk| chunk.iter().zip(0u32..).all(|(&b, i)| b == (i % 251) as u8))
}

#[test]
fn an_object_too_large_to_keep_passes_through_whole() {
    const BYTES: usize = 40 << 20;
    for with_length in [true, false] {
        let origin = large_origin(BYTES, with_length);
        let edge = Edge::start_with(
            config(origin.address),
            Options { object_bytes_max: 1 << 20, ..Options::default() },
        );
        for _ in 0..2 {
            let response = get(edge.address, "/large", &[]);
            assert!(response.complete && response.body.len() == BYTES && is_the_pattern(&response.body));
        }
        assert_eq!(edge.shared.cache.figures().objects, 0);
        assert_eq!(edge.shared.fills.held_bytes(), 0);
        assert_eq!(origin.requests(), 2);
    }
}

#[test]
fn the_largest_object_allowed_is_kept() {
    const BYTES: usize = 6 << 20;
    let origin = large_origin(BYTES, false);
    let edge = Edge::start(config(origin.address));
    for _ in 0..3 {
        let response = get(edge.address, "/large", &[]);
        assert!(response.complete && response.body.len() == BYTES && is_the_pattern(&response.body));
    }
    let part = get(edge.address, "/large", &[&format!("range: bytes={}-{}", BYTES - 3, BYTES + 3)]);
    assert_eq!((part.status, part.body.len()), (206, 3));
    assert_eq!(origin.requests(), 1);
}

#[test]
fn those_who_wait_get_a_large_object_even_if_the_first_has_left() {
    const BYTES: usize = 20 << 20;
    let (wait, open) = gate();
    let large = large_response(BYTES);
    let origin = Origin::start(move |_, stream| {
        wait();
        stream.write_all(&large).is_ok()
    });
    let edge =
        Edge::start_with(config(origin.address), Options { object_bytes_max: 1 << 20, ..Options::default() });
    let mut first = Viewer::connect(edge.address);
    first.send("GET", "/a", &[], b"");
    while origin.requests() == 0 {
        thread::yield_now();
    }
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let address = edge.address;
            thread::spawn(move || get(address, "/a", &[]))
        })
        .collect();
    while edge.shared.metrics.traffic().misses < 5 {
        thread::yield_now();
    }
    drop(first);
    // Enough for whoever must go again.
    (0..10).for_each(|_| open.send(()).expect("origin waits"));
    for waiter in waiters {
        let response = waiter.join().expect("waiter");
        assert!(response.complete && response.body.len() == BYTES, "{} bytes", response.body.len());
    }
    assert_eq!(edge.shared.fills.held_bytes(), 0);
}

fn large_response(bytes: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: {bytes}\r\n\r\n");
    let mut response = head.into_bytes();
    response.resize(response.len() + bytes, 7);
    response
}

#[test]
fn paused_downloads_do_not_keep_others_from_being_stored() {
    const BYTES: usize = 7 << 20;
    let large = large_response(BYTES);
    let origin = Origin::start(move |_, stream| stream.write_all(&large).is_ok());
    // A quarter of this is what may be under way.
    let edge =
        Edge::start_with(config(origin.address), Options { memory_bytes: 128 << 20, ..Options::default() });
    let mut paused: Vec<_> = (0..4)
        .map(|i| {
            let mut viewer = Viewer::connect(edge.address);
            viewer.send("GET", &format!("/{i}"), &[], b"");
            viewer.head().expect("head");
            viewer
        })
        .collect();
    while edge.shared.cache.figures().objects < 4 {
        thread::yield_now();
    }
    assert_eq!(get(edge.address, "/another", &[]).body.len(), BYTES);
    assert_eq!(get(edge.address, "/another", &[]).header("x-cache"), Some("Hit from headland"));
    for viewer in &mut paused {
        assert!(viewer.bytes(BYTES) == vec![7; BYTES]);
    }
}

#[test]
fn nobody_reading_means_nothing_fetched_of_what_cannot_be_kept() {
    let (sent, all_sent) = mpsc::channel();
    let sent = Mutex::new(sent);
    let origin = Origin::start(move |_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 1000000000\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        let mut bytes = 0u64;
        while bytes < 1_000_000_000 && stream.write_all(&[7; 65_536]).is_ok() {
            bytes += 65_536;
        }
        sent.lock().expect("lock").send(bytes).expect("test listens");
        false
    });
    let edge = Edge::start(config(origin.address));
    let head = Viewer::connect(edge.address).request("HEAD", "/a", &[]);
    assert_eq!(head.header("content-length"), Some("1000000000"));
    let bytes = all_sent.recv_timeout(Duration::from_secs(30)).expect("the edge hangs up");
    assert!(bytes < 100_000_000, "the origin sent {bytes} bytes for a HEAD");
}
