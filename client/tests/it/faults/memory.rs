//! An edge whose viewers do all they can to make it hold more than it may.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::task::JoinSet;

use crate::network::{
    control_plane::ControlPlane,
    edge::Edge,
    origin::{self, OriginBody},
    viewer,
    wait::{until, within},
};

/// What the edge of these tests has for its cache.
const CACHE: u64 = 64 << 20;
/// Bodies under way come on top.
const UNDER_WAY: u64 = CACHE / 4;
/// The program itself, which is not optimised, its threads and tables.
const PROGRAM: u64 = 80 << 20;
/// For each viewer who does not read: what hyper and the sockets' owners hold of a body before they wait, on both sides.
const VIEWER: u64 = 512 << 10;
const VIEWERS: usize = 200;
const LENGTH: usize = 12 << 20;
const PART: usize = 64 << 10;

/// So much of the object in parts, made while they are sent.
fn zeros(bytes: usize) -> OriginBody {
    let part = Bytes::from_static(&[0; PART]);
    let parts = (0..bytes.div_ceil(PART)).map(move |i| {
        let bytes = (bytes - i * PART).min(PART);
        Ok::<_, io::Error>(Frame::data(part.slice(..bytes)))
    });
    StreamBody::new(tokio_stream::iter(parts)).boxed_unsync()
}

/// `/blocks/…` can be had in blocks, `/piece/…` has neither length nor validator, `/small/…` is small.
async fn answer(request: Request<Incoming>) -> Response<OriginBody> {
    let response = Response::builder().header(header::CACHE_CONTROL, "max-age=600");
    let path = request.uri().path();
    if path.starts_with("/small/") {
        return response.body(zeros(PART)).expect("a response");
    }
    if path.starts_with("/piece/") {
        return response.body(zeros(LENGTH)).expect("a response");
    }
    let response = response.header(header::ETAG, "\"v\"");
    let range = request.headers().get(header::RANGE).and_then(|value| value.to_str().ok());
    let range = range.and_then(|text| text.strip_prefix("bytes=")?.split_once('-'));
    let Some((first, last)) = range else {
        return response.header(header::CONTENT_LENGTH, LENGTH).body(zeros(LENGTH)).expect("a response");
    };
    let (first, last): (usize, usize) =
        (first.parse().expect("a number"), last.parse().unwrap_or(LENGTH - 1).min(LENGTH - 1));
    response
        .status(StatusCode::PARTIAL_CONTENT)
        .header(header::CONTENT_RANGE, format!("bytes {first}-{last}/{LENGTH}"))
        .header(header::CONTENT_LENGTH, last + 1 - first)
        .body(zeros(last + 1 - first))
        .expect("a response")
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_has_a_ceiling_whatever_viewers_do() {
    let origin = origin::scripted(answer).await;
    let control_plane = ControlPlane::start().await;
    let mut edge = Edge::start("fra1", &[&control_plane]).await;
    let host = control_plane.deploy(&format!("--origin http://{}", origin.address())).await.domain_name;
    let watch = edge.program().watch_memory();
    let at_rest = until("it is looked at", || async { Some(watch.most()).filter(|most| *most > 0) }).await;

    // The cache is full of what is small.
    for i in 0..2 * CACHE / PART as u64 {
        viewer::get(edge.http, &host, &format!("/small/{i}")).await;
    }
    // Everybody asks for something else, reads a bit of it, and stops.
    let read = Arc::new(AtomicUsize::new(0));
    let mut viewers = JoinSet::new();
    for i in 0..VIEWERS {
        let (http, host, read) = (edge.http, host.clone(), Arc::clone(&read));
        let kind = ["blocks", "piece"][i % 2];
        viewers.spawn(async move {
            let mut response =
                within("the head", viewer::open(http, &host, &format!("/{kind}/{i}"))).await.unwrap();
            for _ in 0..4 {
                let frame = within("a bit", response.body_mut().frame()).await.unwrap().unwrap();
                read.fetch_add(frame.into_data().unwrap().len(), Relaxed);
            }
            response
        });
    }
    let paused = viewers.join_all().await;
    // Others come and go meanwhile, and have what is stored exchanged under the hands of those who stopped.
    for i in 0..20 {
        let whole = viewer::get(edge.http, &host, &format!("/blocks/other-{i}")).await;
        assert_eq!(whole.body.len(), LENGTH);
        viewer::get(edge.http, &host, &format!("/small/other-{i}")).await;
    }
    let most = watch.most();
    let ceiling = CACHE + UNDER_WAY + PROGRAM + VIEWERS as u64 * VIEWER;
    eprintln!(
        "{VIEWERS} paused viewers: at most {} MiB, at rest {}, ceiling {}",
        most >> 20,
        at_rest >> 20,
        ceiling >> 20
    );
    assert!(most < ceiling, "{} MiB", most >> 20);
    // Nobody was forgotten: they get the rest.
    let mut rest = JoinSet::new();
    for response in paused {
        rest.spawn(async move { response.into_body().collect().await.map(|body| body.to_bytes().len()) });
    }
    let rest = rest.join_all().await.into_iter().map(|rest| rest.expect("the rest")).sum::<usize>();
    assert_eq!(read.load(Relaxed) + rest, VIEWERS * LENGTH);
    assert!(watch.most() < ceiling, "{} MiB", watch.most() >> 20);
}
