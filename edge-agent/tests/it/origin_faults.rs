//! Origins that are down, slow, lying or speaking garbage: the viewer is told, and nothing wrong is ever stored.

use std::{
    io::Write,
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use headland_proto::v1;

use crate::support::{
    edge::{Edge, config},
    origin::{Origin, response},
    viewer::get,
};

#[test]
fn an_origin_that_is_down_is_a_502() {
    let address = TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address");
    let edge = Edge::start(config(address));
    let answer = get(edge.address, "/a", &[]);
    assert_eq!((answer.status, answer.header("x-cache")), (502, Some("Error from headland")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.text().contains("could not be reached"));
}

#[test]
fn an_origin_that_never_ends_its_tls_handshake_is_a_504() {
    // Accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = silent.local_addr().expect("address");
    let mut config = config(address);
    config.origins[0].connection_attempts = 1;
    config.origins[0].kind = Some(v1::origin::Kind::Custom(v1::CustomOrigin {
        domain_name: "127.0.0.1".into(),
        https_port: address.port().into(),
        protocol_policy: v1::custom_origin::ProtocolPolicy::HttpsOnly.into(),
        ..Default::default()
    }));
    let edge = Edge::start(config);
    assert_eq!(get(edge.address, "/a", &[]).status, 504);
}

#[test]
fn an_origin_that_says_nothing_is_a_504() {
    let origin = Origin::start(|_, _| {
        thread::sleep(Duration::from_secs(5));
        false
    });
    let edge = Edge::start(config(origin.address));
    assert_eq!(get(edge.address, "/a", &[]).status, 504);
    assert_eq!(edge.shared.metrics.traffic().origin_errors, 1);
}

#[test]
fn an_origin_that_falls_silent_breaks_off_the_viewer_and_nothing_is_stored() {
    for (headers, storable) in [("cache-control: max-age=60", true), ("cache-control: no-store", false)] {
        let origin = Origin::start(move |_, stream| {
            let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\ncontent-length: 10\r\n\r\nhalf");
            let _ = stream.write_all(head.as_bytes());
            thread::sleep(Duration::from_secs(5));
            false
        });
        let edge = Edge::start(config(origin.address));
        let answer = get(edge.address, "/a", &[]);
        assert!(!answer.complete && answer.body == b"half", "storable: {storable}");
        assert_eq!(edge.shared.cache.figures().objects, 0);
    }
}

#[test]
fn a_body_cut_short_is_never_stored_and_never_looks_complete() {
    for framing in ["content-length: 10\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        for headers in ["cache-control: max-age=60", "cache-control: no-store"] {
            let origin = Origin::start(move |_, stream| {
                let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{headers}\r\n{framing}").as_bytes());
                false
            });
            let edge = Edge::start(config(origin.address));
            for _ in 0..2 {
                let answer = get(edge.address, "/a", &[]);
                assert!(!answer.complete, "{framing:?} {headers}");
            }
            assert_eq!(edge.shared.cache.figures().objects, 0);
        }
    }
}

#[test]
fn a_body_that_ends_with_the_connection_is_passed_on_but_not_stored() {
    let origin = Origin::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n\r\nperhaps all");
        false
    });
    let edge = Edge::start(config(origin.address));
    for _ in 0..2 {
        assert_eq!(get(edge.address, "/a", &[]).text(), "perhaps all");
    }
    assert_eq!(edge.shared.cache.figures().objects, 0);
    assert_eq!(origin.requests(), 2);
}

#[test]
fn garbage_is_a_502() {
    for garbage in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 999999 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: identity\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: gzip\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        "",
    ] {
        let origin = Origin::start(move |_, stream| {
            let _ = stream.write_all(garbage.as_bytes());
            false
        });
        let edge = Edge::start(config(origin.address));
        assert_eq!(get(edge.address, "/a", &[]).status, 502, "{garbage:?}");
        assert_eq!(edge.shared.cache.figures().objects, 0);
    }
}

#[test]
fn bytes_beyond_the_announced_length_go_nowhere() {
    let origin = Origin::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nbodyHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged");
        true
    });
    let edge = Edge::start(config(origin.address));
    for path in ["/a", "/b", "/a", "/b"] {
        assert_eq!(get(edge.address, path, &[]).text(), "body");
    }
}

#[test]
fn a_kept_connection_that_the_origin_has_closed_is_not_the_viewers_trouble() {
    let served = AtomicUsize::new(0);
    let origin = Origin::start(move |_, stream| {
        // Every second request on a kept connection finds it closing.
        let n = served.fetch_add(1, Ordering::Relaxed);
        n % 3 != 1
            && stream.write_all(response("200 OK", "cache-control: no-store", "hello").as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    for i in 0..6 {
        assert_eq!(get(edge.address, &format!("/{i}"), &[]).status, 200);
    }
}

#[test]
fn an_error_status_does_not_make_a_key_uncacheable() {
    let served = AtomicUsize::new(0);
    let origin = Origin::start(move |_, stream| {
        let (status, headers) = match served.fetch_add(1, Ordering::SeqCst) {
            0 => ("503 Service Unavailable", ""),
            _ => ("200 OK", "cache-control: max-age=60"),
        };
        stream.write_all(response(status, headers, "hello").as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    assert_eq!(get(edge.address, "/a", &[]).status, 503);
    assert_eq!(get(edge.address, "/a", &[]).header("x-cache"), Some("Miss from headland"));
    assert_eq!(get(edge.address, "/a", &[]).header("x-cache"), Some("Hit from headland"));
}

#[test]
fn a_failure_is_not_remembered() {
    let healthy = std::sync::Arc::new(AtomicUsize::new(0));
    let origin = Origin::start({
        let healthy = healthy.clone();
        move |_, stream| {
            healthy.load(Ordering::SeqCst) == 1
                && stream
                    .write_all(response("200 OK", "cache-control: max-age=60", "hello").as_bytes())
                    .is_ok()
        }
    });
    let edge = Edge::start(config(origin.address));
    assert_eq!(get(edge.address, "/a", &[]).status, 502);
    healthy.store(1, Ordering::SeqCst);
    assert_eq!(get(edge.address, "/a", &[]).text(), "hello");
    assert_eq!(get(edge.address, "/a", &[]).header("x-cache"), Some("Hit from headland"));
}

#[test]
fn a_response_has_to_be_complete_in_time() {
    // Never silent for long, and never done.
    let origin = Origin::start(|request, stream| {
        if request.path() == "/quick" {
            return stream
                .write_all(crate::support::origin::response("200 OK", "", "quick").as_bytes())
                .is_ok();
        }
        let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 1000000\r\n\r\n";
        let mut going = stream.write_all(head.as_bytes()).is_ok();
        while going {
            std::thread::sleep(std::time::Duration::from_millis(50));
            going = stream.write_all(b"x").is_ok();
        }
        false
    });
    let mut config = config(origin.address);
    config.origins[0].response_completion_timeout = crate::support::edge::seconds(1);
    let edge = Edge::start(config);
    assert_eq!(get(edge.address, "/quick", &[]).text(), "quick");
    for _ in 0..2 {
        let answer = get(edge.address, "/endless", &[]);
        assert!(answer.status == 200 && !answer.complete);
    }
    // Nothing of it was stored.
    assert_eq!(origin.requests(), 3);
}
