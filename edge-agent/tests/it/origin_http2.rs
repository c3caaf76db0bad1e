//! HTTP/2 toward origins: many requests on one connection, none of which holds up the others.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bytes::Bytes;
use headland_proto::v1::{self, origin::Http2};
use http::{HeaderValue, Request, Response, Version};
use http_body_util::{Full, combinators::BoxBody};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, sync::Barrier};

use crate::support::{
    edge::{ALL_METHODS, Edge, WORKERS, behavior, config, seconds},
    tls_origin::{self, Authority, Like, over_tls},
    viewer::{Viewer, get},
};

/// Bytes of `/large`: more than may wait on a connection for one viewer.
const LARGE_BYTES: usize = 8 << 20;
/// Requests for `/together/`, none of which is answered before all have come.
const TOGETHER: usize = 8;

/// An origin that speaks HTTP/2, or else HTTP/1.1.
struct Origin {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Answers {
    together: Arc<Barrier>,
}

impl Answers {
    async fn to(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
        let version = if request.version() == Version::HTTP_2 { "2" } else { "1.1" };
        let body = match request.uri().path() {
            "/hang" => std::future::pending().await,
            "/large" => Bytes::from(vec![b'x'; LARGE_BYTES]),
            path if path.starts_with("/together/") => {
                self.together.wait().await;
                Bytes::from(version)
            }
            _ if request.method() == http::Method::POST => {
                http_body_util::BodyExt::collect(request.into_body()).await.expect("body").to_bytes()
            }
            _ => Bytes::from(version),
        };
        let mut response = Response::new(BoxBody::new(Full::new(body)));
        response.headers_mut().insert("cache-control", HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

/// Starts one. With `tls`, it offers these protocols; without, it speaks HTTP/2 in clear. Connections end after `requests_max`.
fn start(tls: Option<(rustls::ServerConfig, &[&str])>, requests_max: usize) -> Origin {
    let acceptor = tls.map(|(mut config, protocols)| {
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    });
    let connections = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&connections);
    let (told, address) = std::sync::mpsc::channel();
    let answers = Answers { together: Arc::new(Barrier::new(TOGETHER)) };
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
            told.send(listener.local_addr().expect("address")).expect("send");
            loop {
                let (stream, _) = listener.accept().await.expect("accept");
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, answers) = (acceptor.clone(), answers.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(TokioIo::new(stream), true, answers, requests_max).await,
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                            serve(TokioIo::new(stream), http2, answers, requests_max).await;
                        }
                    }
                });
            }
        });
    });
    Origin { address: address.recv().expect("address"), connections }
}

async fn serve<I>(io: I, http2: bool, answers: Answers, requests_max: usize)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let requests = Arc::new(AtomicUsize::default());
    let seen = Arc::clone(&requests);
    let service = service_fn(move |request| {
        seen.fetch_add(1, Ordering::SeqCst);
        answers.clone().to(request)
    });
    if !http2 {
        let _ = http1::Builder::new().serve_connection(io, service).await;
        return;
    }
    let mut connection = http2::Builder::new(TokioExecutor::new()).serve_connection(io, service);
    std::future::poll_fn(|cx| {
        if requests.load(Ordering::SeqCst) >= requests_max {
            Pin::new(&mut connection).graceful_shutdown();
        }
        std::future::Future::poll(Pin::new(&mut connection), cx).map(drop)
    })
    .await;
}

/// An edge whose origin offers these protocols over TLS.
fn over(protocols: &[&str], http2: Http2) -> (Edge, Origin) {
    let authority = Authority::new("ours");
    let shows = authority.issue("localhost", 2100);
    let server = tls_origin::server_config(&Like { shows: &shows, demands: None, only_1_2: false });
    let origin = start(Some((server, protocols)), usize::MAX);
    let mut config = config(origin.address);
    let tls = v1::OriginTls { ca_certificates: authority.pem(), ..Default::default() };
    over_tls(&mut config, "localhost", origin.address, tls);
    config.origins[0].response_timeout = seconds(30);
    (Edge::start(with(config, http2)), origin)
}

/// An edge whose origin speaks HTTP/2 in clear.
fn in_clear(requests_max: usize) -> (Edge, Origin) {
    let origin = start(None, requests_max);
    (Edge::start(with(config(origin.address), Http2::Always)), origin)
}

fn with(mut config: v1::DistributionConfig, http2: Http2) -> v1::DistributionConfig {
    config.origins[0].http2 = http2.into();
    behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
    config
}

#[test]
fn http2_is_spoken_where_it_is_offered_and_wished() {
    for (protocols, http2, expected) in [
        (&["h2", "http/1.1"][..], Http2::WhereOffered, "2"),
        (&["http/1.1"], Http2::WhereOffered, "1.1"),
        (&[], Http2::WhereOffered, "1.1"),
        (&["h2", "http/1.1"], Http2::Off, "1.1"),
        (&["h2", "http/1.1"], Http2::Unspecified, "1.1"),
        (&["h2"], Http2::Always, "2"),
    ] {
        let (edge, _origin) = over(protocols, http2);
        let mut viewer = Viewer::connect(edge.address);
        for _ in 0..2 {
            assert_eq!(viewer.request("GET", "/a", &[]).text(), expected, "{protocols:?} {http2:?}");
        }
        viewer.send("POST", "/a", &[], b"body");
        assert_eq!(viewer.response(false).text(), "body", "{protocols:?} {http2:?}");
    }
    let (edge, _origin) = over(&["http/1.1"], Http2::Always);
    assert_eq!(get(edge.address, "/a", &[]).status, 502);
    let (edge, _origin) = in_clear(usize::MAX);
    assert_eq!(get(edge.address, "/a", &[]).text(), "2");
}

#[test]
fn requests_share_a_connection() {
    let (edge, origin) = over(&["h2", "http/1.1"], Http2::WhereOffered);
    let address = edge.address;
    // Different ones, or they would have one answer.
    let viewers: Vec<_> = (0..TOGETHER)
        .map(|i| thread::spawn(move || get(address, &format!("/together/{i}"), &[]).text().to_owned()))
        .collect();
    for viewer in viewers {
        assert_eq!(viewer.join().expect("viewer"), "2");
    }
    let connections = origin.connections.load(Ordering::SeqCst);
    assert!(connections <= WORKERS, "{connections} connections");
}

#[test]
fn an_origin_that_ends_its_connections_costs_nobody_an_answer() {
    let (edge, origin) = in_clear(3);
    let mut viewer = Viewer::connect(edge.address);
    for i in 0..20 {
        let answer = viewer.request("GET", &format!("/{i}"), &[]);
        assert_eq!((answer.status, answer.text()), (200, "2"), "{i}");
    }
    assert!(origin.connections.load(Ordering::SeqCst) > 1);
}

#[test]
fn a_request_that_is_not_answered_ends_and_its_connection_goes_on() {
    let (edge, origin) = in_clear(usize::MAX);
    let mut viewer = Viewer::connect(edge.address);
    assert_eq!(viewer.request("GET", "/a", &[]).status, 200);
    assert_eq!(viewer.request("GET", "/hang", &[]).status, 504);
    assert_eq!(viewer.request("GET", "/b", &[]).status, 200);
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn viewers_that_stop_reading_hold_up_no_others() {
    let origin = start(None, usize::MAX);
    let mut config = with(config(origin.address), Http2::Always);
    config.origins[0].response_timeout = seconds(30);
    let edge = Edge::start(config);
    let stalled: Vec<_> = (0..8)
        .map(|_| {
            let mut viewer = Viewer::connect(edge.address);
            viewer.send("GET", "/large", &[], b"");
            viewer
        })
        .collect();
    for _ in 0..4 {
        let answer = get(edge.address, "/large", &[]);
        assert!(answer.complete && answer.body.len() == LARGE_BYTES);
    }
    assert!(origin.connections.load(Ordering::SeqCst) <= WORKERS);
    drop(stalled);
}
