//! Bodies that are compressed on their way: to many at once, in pieces, and from origins that break off.

use std::{
    io::Write,
    sync::{Arc, Barrier, Mutex, mpsc},
    thread,
};

use super::{FRESH, STRONG, compressing, decompressed, is_compressed, page};
use crate::support::{
    edge::{Edge, config, seconds},
    origin::{Origin, response},
    viewer::{Viewer, get},
};

const BROTLI: &str = "accept-encoding: br";

fn edge(origin: &Origin) -> Edge {
    let mut wanted = config(origin.address);
    compressing(&mut wanted);
    wanted.origins[0].response_timeout = seconds(30);
    Edge::start(wanted)
}

/// An origin that sends the first part of a body, and the rest when it is told to.
fn halting(body: String, first: usize) -> (Origin, mpsc::Sender<()>) {
    let (open, closed) = mpsc::channel::<()>();
    let closed = Mutex::new(closed);
    let origin = Origin::start(move |_, stream| {
        let answer = response("200 OK", FRESH, &body);
        let (first, last) = answer.as_bytes().split_at(answer.len() - body.len() + first);
        let sent = stream.write_all(first).is_ok();
        let goes_on = closed.lock().expect("lock").recv().is_ok();
        sent && goes_on && stream.write_all(last).is_ok()
    });
    (origin, open)
}

/// The body that came in these chunks (RFC 9112 section 7.1).
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n").expect("a line");
        let size =
            std::str::from_utf8(&bytes[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let (data, rest) = bytes[end + 2..].split_at(size.expect("a size"));
        if data.is_empty() {
            return body;
        }
        body.extend_from_slice(data);
        bytes = &rest[2..];
    }
}

#[test]
fn all_who_wait_get_the_same_as_it_comes() {
    const VIEWERS: usize = 20;
    let text = page(900_000);
    let (origin, open) = halting(text.clone(), 700_000);
    let edge = edge(&origin);
    let address = edge.address;
    let half_way = Arc::new(Barrier::new(VIEWERS + 1));
    let viewers: Vec<_> = (0..VIEWERS)
        .map(|_| {
            let half_way = Arc::clone(&half_way);
            thread::spawn(move || {
                let mut viewer = Viewer::connect(address);
                viewer.send("GET", "/a", &[BROTLI, "connection: close"], b"");
                let (status, headers) = viewer.head().expect("head");
                assert_eq!(status, 200);
                assert!(headers.contains(&("content-encoding".into(), "br".into())), "{headers:?}");
                // Something of it comes before the origin has sent all.
                let mut body = viewer.bytes(1000);
                half_way.wait();
                body.extend(viewer.bytes(usize::MAX));
                unchunked(&body)
            })
        })
        .collect();
    half_way.wait();
    open.send(()).expect("the origin waits");
    let bodies: Vec<_> = viewers.into_iter().map(|viewer| viewer.join().expect("viewer")).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    assert!(decompressed("br", &bodies[0]).expect("brotli") == text.as_bytes());
    assert_eq!(origin.requests(), 1);
    let hit = get(address, "/a", &[BROTLI]);
    assert!(is_compressed(&hit, "br", &text));
    assert_eq!(hit.header("x-cache"), Some("Hit from headland"));
}

#[test]
fn a_body_that_breaks_off_is_not_stored_and_does_not_look_whole() {
    for bytes in [5000, 500_000] {
        let (text, broken) = (page(bytes), Mutex::new(true));
        let body = text.clone();
        let origin = Origin::start(move |_, stream| {
            let answer = response("200 OK", FRESH, &body);
            let breaks = std::mem::take(&mut *broken.lock().expect("lock"));
            let sent = if breaks { answer.len() - bytes / 3 } else { answer.len() };
            stream.write_all(&answer.as_bytes()[..sent]).is_ok() && !breaks
        });
        let edge = edge(&origin);
        // Broken off before anything could be said, it is an error page.
        let first = Viewer::connect(edge.address).try_request(&[BROTLI]);
        assert!(first.is_none_or(|response| !response.complete || response.status == 502), "{bytes}");
        for (requests, x_cache) in [(2, "Miss from headland"), (2, "Hit from headland")] {
            let response = get(edge.address, "/a", &[BROTLI]);
            assert!(is_compressed(&response, "br", &text), "{bytes}");
            assert_eq!((origin.requests(), response.header("x-cache")), (requests, Some(x_cache)));
        }
    }
}

#[test]
fn bodies_of_every_size_come_whole_in_every_coding() {
    let origin = Origin::start(|request, stream| {
        let bytes = request.path()[1..].parse().expect("a size");
        stream.write_all(response("200 OK", STRONG, &page(bytes)).as_bytes()).is_ok()
    });
    let edge = edge(&origin);
    let mut viewer = Viewer::connect(edge.address);
    for bytes in [1000, 16 << 10, (16 << 10) + 1, 65_537, 300_000, (1 << 20) + 1, 3_000_000] {
        let text = page(bytes);
        for coding in ["br", "zstd", "gzip"] {
            let accept = format!("accept-encoding: {coding}");
            let mut ask = || viewer.request("GET", &format!("/{bytes}"), &[&accept]);
            let (miss, hit) = (ask(), ask());
            assert!(is_compressed(&miss, coding, &text), "{coding}, {bytes}");
            assert_eq!(hit.header("content-length"), Some(hit.body.len().to_string().as_str()));
            assert!(miss.body == hit.body, "{coding}, {bytes}");
            assert_eq!(hit.header("x-cache"), Some("Hit from headland"), "{coding}, {bytes}");
        }
    }
}

/// A part is never compressed, and what is kept in blocks stays so.
#[test]
fn what_is_asked_for_in_parts_is_kept_as_it_is() {
    let text = page(3_000_000);
    let body = text.clone();
    let origin = Origin::start(move |request, stream| {
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let answer = match range {
            Some((first, last)) => {
                let first: usize = first.parse().expect("a position");
                let end = last.parse::<usize>().map_or(body.len(), |last| body.len().min(last + 1));
                let range = format!("content-range: bytes {first}-{}/{}", end - 1, body.len());
                response("206 Partial Content", &format!("{STRONG}\n{range}"), &body[first..end])
            }
            None => response("200 OK", STRONG, &body),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let edge = edge(&origin);
    let part = get(edge.address, "/a", &[BROTLI, "range: bytes=10-19"]);
    assert_eq!((part.status, part.text()), (206, &text[10..20]));
    let whole = get(edge.address, "/a", &[BROTLI]);
    assert_eq!((whole.header("content-encoding"), whole.header("vary")), (None, Some("Accept-Encoding")));
    assert!(whole.text() == text);
    // Asked for as a whole first, it is compressed, and a part is one of the compressed bytes.
    let other = get(edge.address, "/b", &[BROTLI]);
    assert!(is_compressed(&other, "br", &text));
    let part = get(edge.address, "/b", &[BROTLI, "range: bytes=10-19"]);
    assert_eq!((part.status, part.body.as_slice()), (206, &other.body[10..20]));
}
