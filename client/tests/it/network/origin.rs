//! Scripted HTTP origins: what they answer is a function of the request, bodies come when the test lets them.

use std::{convert::Infallible, future::Future, io};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

use super::server::Server;

pub(crate) type OriginBody = UnsyncBoxBody<Bytes, io::Error>;

/// An origin that answers as the script says.
pub(crate) async fn scripted<F>(
    script: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> Server
where
    F: Future<Output = Response<OriginBody>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = script(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    Server::start(service).await
}

/// An origin that answers every request with this body, without saying for how long it may be kept.
pub(crate) async fn fixed(body: &'static str) -> Server {
    scripted(move |_| std::future::ready(Response::new(full(body)))).await
}

/// A body that is there at once.
pub(crate) fn full(body: impl Into<Bytes>) -> OriginBody {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body whose parts come through a channel.
pub(crate) fn streamed(parts: mpsc::Receiver<Bytes>) -> OriginBody {
    let frames = ReceiverStream::new(parts).map(|part| Ok(Frame::data(part)));
    BodyExt::boxed_unsync(StreamBody::new(frames))
}
