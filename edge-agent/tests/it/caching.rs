//! Hits, misses and expiry; what is forwarded and what comes back.

use std::{io::Write, time::Duration};

use headland_proto::v1;

use crate::support::{
    edge::{ALL_METHODS, Edge, HOST, behavior, config, policy, seconds},
    origin::{Origin, response},
    viewer::{Viewer, get},
};

#[test]
fn a_miss_is_stored_and_the_next_request_is_a_hit() {
    let origin = Origin::fixed("cache-control: max-age=60\netag: \"e\"", "hello");
    let edge = Edge::start(config(origin.address));
    let miss = get(edge.address, "/a", &[]);
    assert_eq!((miss.status, miss.text()), (200, "hello"));
    assert_eq!(miss.header("x-cache"), Some("Miss from headland"));
    assert_eq!(miss.header("age"), None);
    edge.clock.advance(Duration::from_secs(20));
    let hit = get(edge.address, "/a", &[]);
    assert_eq!((hit.status, hit.text()), (200, "hello"));
    assert_eq!(hit.header("x-cache"), Some("Hit from headland"));
    assert_eq!(hit.header("age"), Some("20"));
    assert_eq!(hit.header("via"), Some("1.1 headland-test"));
    assert_ne!(hit.header("x-headland-id"), miss.header("x-headland-id"));
    assert_eq!(origin.requests(), 1);
    let traffic = edge.shared.metrics.traffic();
    assert_eq!((traffic.requests, traffic.hits, traffic.misses, traffic.origin_fetches), (2, 1, 1, 1));
    assert_eq!(traffic.viewer_bytes_sent, 10);
}

#[test]
fn an_expired_object_is_dropped_and_nothing_is_fetched_until_a_viewer_asks() {
    let origin = Origin::fixed("cache-control: max-age=60", "hello");
    let edge = Edge::start(config(origin.address));
    get(edge.address, "/a", &[]);
    edge.clock.advance(Duration::from_secs(59));
    assert_eq!(edge.shared.cache.sweep(edge.clock.now()), 0);
    // For as long again it may stand in for an origin that cannot be reached.
    edge.clock.advance(Duration::from_secs(60));
    assert_eq!(edge.shared.cache.sweep(edge.clock.now()), 0);
    edge.clock.advance(Duration::from_secs(2));
    assert_eq!(edge.shared.cache.sweep(edge.clock.now()), 1);
    assert_eq!(edge.shared.cache.figures().objects, 0);
    assert_eq!(origin.requests(), 1);
    assert_eq!(get(edge.address, "/a", &[]).header("x-cache"), Some("Miss from headland"));
    assert_eq!(origin.requests(), 2);
}

#[test]
fn an_expired_object_is_not_served_even_before_the_sweep() {
    let origin = Origin::fixed("cache-control: max-age=60", "hello");
    let edge = Edge::start(config(origin.address));
    get(edge.address, "/a", &[]);
    edge.clock.advance(Duration::from_secs(61));
    assert_eq!(get(edge.address, "/a", &[]).header("x-cache"), Some("Miss from headland"));
    assert_eq!(origin.requests(), 2);
}

#[test]
fn head_is_answered_from_the_object_and_goes_to_the_origin_as_it_is_when_there_is_none() {
    let origin = Origin::start(|request, stream| {
        let body = if request.line.starts_with("HEAD") { "" } else { "hello" };
        let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 5\r\n\r\n";
        stream.write_all(format!("{head}{body}").as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    let mut viewer = Viewer::connect(edge.address);
    let miss = viewer.request("HEAD", "/a", &[]);
    assert_eq!((miss.status, miss.header("content-length")), (200, Some("5")));
    assert_eq!(origin.received()[0].line, "HEAD /a HTTP/1.1");
    let get = viewer.request("GET", "/a", &[]);
    assert_eq!(get.text(), "hello");
    let hit = viewer.request("HEAD", "/a", &[]);
    assert_eq!((hit.header("x-cache"), hit.header("content-length")), (Some("Hit from headland"), Some("5")));
    assert_eq!(origin.requests(), 2);
}

#[test]
fn with_cloudfront_semantics_head_fetches_the_object() {
    let origin = Origin::fixed("cache-control: max-age=60", "hello");
    let mut config = config(origin.address);
    policy(&mut config).semantics = v1::cache_policy_config::Semantics::Cloudfront.into();
    let edge = Edge::start(config);
    let mut viewer = Viewer::connect(edge.address);
    let miss = viewer.request("HEAD", "/a", &[]);
    assert_eq!((miss.status, miss.header("content-length")), (200, Some("5")));
    assert_eq!(origin.received()[0].line, "GET /a HTTP/1.1");
    assert_eq!(viewer.request("GET", "/a", &[]).text(), "hello");
    assert_eq!(origin.requests(), 1);
}

#[test]
fn a_body_of_unknown_length_is_stored_with_its_length() {
    let origin = Origin::start(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n").as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    let miss = get(edge.address, "/a", &[]);
    assert_eq!((miss.text(), miss.header("transfer-encoding")), ("hello", Some("chunked")));
    let hit = get(edge.address, "/a", &[]);
    assert_eq!((hit.text(), hit.header("content-length")), ("hello", Some("5")));
    assert_eq!(origin.requests(), 1);
}

#[test]
fn the_head_of_a_body_of_unknown_length_claims_no_length() {
    for headers in ["cache-control: max-age=60", "cache-control: no-store"] {
        let origin = Origin::start(move |request, stream| {
            let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\ntransfer-encoding: chunked\r\n\r\n");
            let body = if request.line.starts_with("HEAD") { "" } else { "5\r\nhello\r\n0\r\n\r\n" };
            stream.write_all(format!("{head}{body}").as_bytes()).is_ok()
        });
        let edge = Edge::start(config(origin.address));
        let mut viewer = Viewer::connect(edge.address);
        for _ in 0..2 {
            let head = viewer.request("HEAD", "/a", &[]);
            assert_eq!(head.status, 200);
            assert!(matches!(head.header("content-length"), None | Some("5")), "{:?}", head.headers);
        }
        assert_eq!(viewer.request("GET", "/a", &[]).text(), "hello");
    }
}

#[test]
fn an_old_viewer_gets_a_body_that_ends_with_the_connection() {
    let origin = Origin::start(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}5\r\nhello\r\n0\r\n\r\n").as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    for _ in 0..2 {
        let mut viewer = Viewer::connect(edge.address);
        viewer.raw(format!("GET /a HTTP/1.0\r\nhost: {HOST}\r\n\r\n").as_bytes());
        let response = viewer.response(false);
        assert_eq!((response.text(), response.header("transfer-encoding")), ("hello", None));
        assert!(viewer.is_closed());
    }
}

#[test]
fn a_length_said_twice_is_said_once() {
    for (kept, twice) in
        [("max-age=60", "5\r\ncontent-length: 5"), ("max-age=60", "5, 5"), ("no-store", "5,5")]
    {
        let origin = Origin::start(move |_, stream| {
            let head = format!("HTTP/1.1 200 OK\r\ncache-control: {kept}\r\ncontent-length: {twice}\r\n\r\n");
            stream.write_all(format!("{head}hello").as_bytes()).is_ok()
        });
        let edge = Edge::start(config(origin.address));
        for _ in 0..2 {
            let response = get(edge.address, "/a", &[]);
            assert_eq!((response.status, response.text()), (200, "hello"));
            let lengths: Vec<_> = response.headers.iter().filter(|(n, _)| n == "content-length").collect();
            assert!(matches!(lengths[..], [(_, length)] if length == "5"), "{lengths:?}");
        }
    }
}

#[test]
fn what_may_not_be_stored_is_fetched_each_time_and_keeps_its_conditions() {
    let origin = Origin::fixed("cache-control: no-store", "hello");
    let edge = Edge::start(config(origin.address));
    for _ in 0..3 {
        let response = get(edge.address, "/a", &["range: bytes=0-1"]);
        assert_eq!((response.text(), response.header("x-cache")), ("hello", Some("Miss from headland")));
    }
    let ranges: Vec<_> = origin.received().iter().map(|r| r.header("range").map(str::to_owned)).collect();
    // A block is asked for, to be stored; once it is known that it cannot be, what the viewer wants.
    let expected = ["bytes=0-1048575", "bytes=0-1", "bytes=0-1"].map(|range| Some(range.to_owned()));
    assert_eq!(ranges, expected);
}

#[test]
fn a_range_is_cut_from_the_object_on_a_miss_and_on_a_hit() {
    let origin = Origin::fixed("cache-control: max-age=60", "0123456789");
    let edge = Edge::start(config(origin.address));
    for expected in ["Miss from headland", "Hit from headland"] {
        let part = get(edge.address, "/a", &["range: bytes=3-5"]);
        assert_eq!((part.status, part.text(), part.header("x-cache")), (206, "345", Some(expected)));
        assert_eq!(part.header("content-range"), Some("bytes 3-5/10"));
    }
    let head = Viewer::connect(edge.address).request("HEAD", "/a", &["range: bytes=3-5"]);
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
    assert_eq!(origin.requests(), 1);
    assert_eq!(get(edge.address, "/a", &[]).text(), "0123456789");
}

#[test]
fn a_viewer_that_has_the_object_is_told_so() {
    let origin = Origin::fixed("cache-control: max-age=60\netag: \"e\"", "hello");
    let edge = Edge::start(config(origin.address));
    get(edge.address, "/a", &[]);
    let mut viewer = Viewer::connect(edge.address);
    let same = viewer.request("GET", "/a", &["if-none-match: \"e\""]);
    assert_eq!((same.status, same.header("etag")), (304, Some("\"e\"")));
    assert_eq!(viewer.request("GET", "/a", &["if-none-match: \"x\""]).status, 200);
    assert_eq!(origin.requests(), 1);
}

#[test]
fn variants_are_told_apart() {
    let origin = Origin::start(|request, stream| {
        let language = request.header("accept-language").unwrap_or("none").to_owned();
        let headers = "cache-control: max-age=60\nvary: accept-language";
        stream.write_all(response("200 OK", headers, &language).as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    assert_eq!(get(edge.address, "/a", &["accept-language: de"]).text(), "de");
    assert_eq!(get(edge.address, "/a", &["accept-language: de"]).text(), "de");
    assert_eq!(origin.requests(), 1);
    assert_eq!(get(edge.address, "/a", &["accept-language: fr"]).text(), "fr");
    assert_eq!(origin.requests(), 2);
}

#[test]
fn cloudfront_keeps_for_the_default_ttl_and_forwards_only_the_key() {
    let origin = Origin::fixed("set-cookie: a=1", "hello");
    let mut config = config(origin.address);
    *policy(&mut config) = v1::CachePolicyConfig {
        default_ttl: seconds(100),
        headers: Some(v1::HeaderSelection { names: vec!["x-key".into()] }),
        query_strings: Some(v1::NameSelection {
            mode: v1::name_selection::Mode::Whitelist.into(),
            names: vec!["v".into()],
        }),
        ..Default::default()
    };
    let edge = Edge::start(config);
    let viewer_headers =
        ["x-key: 1", "x-other: 2", "cookie: c=1", "authorization: Basic x", "accept: text/html"];
    let miss = get(edge.address, "/a?v=1&w=2", &viewer_headers);
    assert_eq!(miss.header("set-cookie"), None);
    let received = &origin.received()[0];
    assert_eq!(received.path(), "/a?v=1");
    assert_eq!(received.header("host").map(str::to_owned), Some(origin.address.to_string()));
    assert_eq!((received.header("x-key"), received.header("user-agent")), (Some("1"), Some("Headland")));
    for absent in ["x-other", "cookie", "authorization", "accept"] {
        assert_eq!(received.header(absent), None, "{absent}");
    }
    assert_eq!(get(edge.address, "/a?w=3&v=1", &["x-key: 1"]).header("x-cache"), Some("Hit from headland"));
    assert_eq!(get(edge.address, "/a?v=1", &["x-key: 2"]).header("x-cache"), Some("Miss from headland"));
    assert_eq!(get(edge.address, "/a?v=2", &["x-key: 1"]).header("x-cache"), Some("Miss from headland"));
    edge.clock.advance(Duration::from_secs(101));
    assert_eq!(get(edge.address, "/a?v=1", &["x-key: 1"]).header("x-cache"), Some("Miss from headland"));
}

#[test]
fn a_minimum_ttl_overrides_the_origin() {
    let origin = Origin::fixed("cache-control: no-store", "hello");
    let mut config = config(origin.address);
    *policy(&mut config) = v1::CachePolicyConfig { min_ttl: seconds(50), ..Default::default() };
    let edge = Edge::start(config);
    get(edge.address, "/a", &[]);
    assert_eq!(get(edge.address, "/a", &[]).header("x-cache"), Some("Hit from headland"));
}

#[test]
fn other_methods_are_refused_or_passed_on_with_their_bodies() {
    let origin = Origin::start(|request, stream| {
        let body = format!("{} {}", request.line, String::from_utf8_lossy(&request.body));
        stream.write_all(response("200 OK", "cache-control: max-age=60", &body).as_bytes()).is_ok()
    });
    let mut config = config(origin.address);
    let edge = Edge::start(config.clone());
    let mut viewer = Viewer::connect(edge.address);
    viewer.send("POST", "/a", &[], b"data");
    assert_eq!(viewer.response(false).status, 403);
    assert_eq!(origin.requests(), 0);

    behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    edge.update(config);
    for _ in 0..2 {
        let mut viewer = Viewer::connect(edge.address);
        viewer.send("POST", "/a", &["content-type: text/plain"], b"data");
        let response = viewer.response(false);
        assert_eq!(
            (response.text(), response.header("x-cache")),
            ("POST /a HTTP/1.1 data", Some("Miss from headland"))
        );
    }
    let mut viewer = Viewer::connect(edge.address);
    viewer.send("PUT", "/a", &["transfer-encoding: chunked"], b"");
    viewer.raw(b"4\r\ndata\r\n0\r\n\r\n");
    assert_eq!(viewer.response(false).text(), "PUT /a HTTP/1.1 data");
    assert_eq!(origin.requests(), 3);
}

#[test]
fn the_default_root_object_stands_in_for_the_root_only() {
    let origin = Origin::start(|request, stream| {
        stream.write_all(response("200 OK", "cache-control: max-age=60", request.path()).as_bytes()).is_ok()
    });
    let mut config = config(origin.address);
    config.default_root_object = "index.html".into();
    config.origins[0].origin_path = "/site".into();
    let edge = Edge::start(config);
    assert_eq!(get(edge.address, "/", &[]).text(), "/site/index.html");
    assert_eq!(get(edge.address, "/sub/", &[]).text(), "/site/sub/");
    assert_eq!(get(edge.address, "/index.html", &[]).header("x-cache"), Some("Hit from headland"));
}

#[test]
fn the_default_root_object_is_served_by_its_own_behavior() {
    let page = |text: &'static str| Origin::fixed("cache-control: max-age=60", text);
    let (default, html) = (page("default"), page("html"));
    let mut config = config(default.address);
    config.default_root_object = "index.html".into();
    let mut second = config.origins[0].clone();
    second.id = "html".into();
    second.kind = Some(v1::origin::Kind::Custom(v1::CustomOrigin {
        domain_name: html.address.ip().to_string(),
        http_port: html.address.port().into(),
        ..Default::default()
    }));
    config.origins.push(second);
    config.cache_behaviors = vec![v1::CacheBehavior {
        path_pattern: "*.html".into(),
        target_origin_id: "html".into(),
        ..behavior(&mut config).clone()
    }];
    let edge = Edge::start(config);
    assert_eq!(get(edge.address, "/", &[]).text(), "html");
    assert_eq!(get(edge.address, "/index.html", &[]).text(), "html");
    assert_eq!(default.requests(), 0);
}

#[test]
fn a_keyed_host_is_what_the_request_was_understood_to_be_for() {
    let origin = Origin::start(|request, stream| {
        let host = request.header("host").unwrap_or_default().to_owned();
        stream.write_all(response("200 OK", "cache-control: max-age=60", &host).as_bytes()).is_ok()
    });
    let mut config = config(origin.address);
    config.aliases.push("other.test".into());
    policy(&mut config).headers = Some(v1::HeaderSelection { names: vec!["host".into()] });
    let edge = Edge::start(config);
    let ask = |request: &str| {
        let mut viewer = Viewer::connect(edge.address);
        viewer.raw(request.as_bytes());
        viewer.response(false).text().to_owned()
    };
    assert_eq!(ask("GET http://other.test/a HTTP/1.1\r\nhost: forged.test\r\n\r\n"), "other.test");
    assert_eq!(ask("GET /a HTTP/1.1\r\nhost: CDN.test:80\r\n\r\n"), HOST);
    assert_eq!(ask("GET /a HTTP/1.1\r\nhost: other.test\r\n\r\n"), "other.test");
    assert_eq!(origin.requests(), 2);
}

#[test]
fn a_range_of_an_object_too_large_to_keep_is_fetched_as_that_part() {
    let origin = Origin::start(|request, stream| {
        let answer = match request.header("range") {
            Some(range) => response("206 Partial Content", "content-range: bytes 0-1/9999999999", range),
            None => "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 9999999999\r\n\r\nbegin"
                .to_owned(),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let edge = Edge::start(config(origin.address));
    assert_eq!(Viewer::connect(edge.address).request("HEAD", "/a", &[]).status, 200);
    let part = get(edge.address, "/a", &["range: bytes=0-1"]);
    assert_eq!((part.status, part.text()), (206, "bytes=0-1"));
}

#[test]
fn custom_headers_reach_the_origin_in_place_of_the_viewers() {
    let origin = Origin::fixed("", "hello");
    let mut config = config(origin.address);
    config.origins[0].custom_headers = vec![v1::CustomHeader { name: "X-Secret".into(), value: "s".into() }];
    let edge = Edge::start(config);
    get(edge.address, "/a", &["x-secret: forged"]);
    let received = &origin.received()[0];
    assert_eq!(received.headers.iter().filter(|(n, _)| n == "x-secret").count(), 1);
    assert_eq!(received.header("x-secret"), Some("s"));
    assert_eq!(received.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(received.header("cdn-loop"), Some("headland-test"));
}

#[test]
fn http2_viewers_are_served_too() {
    let origin = Origin::fixed("cache-control: max-age=60", "hello");
    let edge = Edge::start(config(origin.address));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        use http_body_util::{BodyExt, Empty};
        use hyper_util::rt::{TokioExecutor, TokioIo};
        let stream = tokio::net::TcpStream::connect(edge.address).await.expect("connect");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("h2");
        tokio::spawn(connection);
        for expected in ["Miss from headland", "Hit from headland"] {
            let request = http::Request::get(format!("http://{HOST}/a"))
                .body(Empty::<bytes::Bytes>::new())
                .expect("request");
            let response = sender.send_request(request).await.expect("response");
            assert_eq!(response.headers()["x-cache"], expected);
            assert_eq!(response.into_body().collect().await.expect("body").to_bytes(), "hello");
        }
    });
    assert_eq!(origin.requests(), 1);
}
