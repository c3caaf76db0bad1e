//! An object far larger than the memory of the edge it passes through.

use std::{
    future::ready,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{Response, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};

use crate::network::{control_plane::ControlPlane, edge::Edge, origin, viewer, wait::within};

const LENGTH: u64 = 2 << 30;
const MEMORY_MAX: u64 = 256 << 20;
/// The object repeats with this period. It is prime, so that nothing that is cut or moved by a buffer's size looks alike.
const PERIOD: usize = 1_048_573;
const PART: usize = 256 << 10;

/// Two periods, so that what begins anywhere in the first is one slice.
fn pattern() -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut period = Vec::with_capacity(PERIOD);
    while period.len() < PERIOD {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        period.extend_from_slice(&state.to_be_bytes()[..4]);
    }
    period.truncate(PERIOD);
    period.repeat(2).into()
}

/// What the object has from this place on.
fn part(pattern: &Bytes, offset: u64, length: usize) -> Bytes {
    let start = usize::try_from(offset % PERIOD as u64).expect("below the period");
    pattern.slice(start..start + length)
}

/// The object, made while it is sent.
struct Large {
    pattern: Bytes,
    sent: u64,
}

impl Body for Large {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let length = (LENGTH - self.sent).min(PART as u64);
        if length == 0 {
            return Poll::Ready(None);
        }
        let next = part(&self.pattern, self.sent, usize::try_from(length).expect("a part"));
        self.sent += length;
        Poll::Ready(Some(Ok(Frame::data(next))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(LENGTH - self.sent)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gibibytes_pass_through_an_edge_whose_memory_stays_below_256_mebibytes() {
    let pattern = Arc::new(pattern());
    let origin = origin::scripted({
        let pattern = Arc::clone(&pattern);
        move |_| {
            let body = Large { pattern: (*pattern).clone(), sent: 0 };
            ready(Response::new(body.boxed_unsync()))
        }
    })
    .await;
    let control_plane = ControlPlane::start().await;
    let mut edge = Edge::start("fra1", &[&control_plane]).await;
    let host = control_plane.deploy(&format!("--origin http://{}", origin.address())).await.domain_name;

    let watch = edge.program().watch_memory();
    let begin = Instant::now();
    let mut response = within("the head", viewer::open(edge.http, &host, "/film.mp4")).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_LENGTH], LENGTH.to_string());
    let mut got = 0;
    while let Some(frame) = within("the next part", response.body_mut().frame()).await {
        let data = frame.unwrap().into_data().unwrap();
        for chunk in data.chunks(PERIOD) {
            assert!(part(&pattern, got, chunk.len()) == *chunk, "other bytes after {got}");
            got += chunk.len() as u64;
        }
    }
    assert_eq!(got, LENGTH);
    let memory = watch.most();
    eprintln!("2 GiB in {:?}; the edge had at most {} MiB", begin.elapsed(), memory >> 20);
    assert!((1..MEMORY_MAX).contains(&memory), "{} MiB", memory >> 20);
    assert_eq!(origin.gets("/film.mp4"), 1);
}
