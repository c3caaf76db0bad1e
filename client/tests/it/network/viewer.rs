//! A viewer: asks an address for an object under a host name, one connection each time.

use std::{fmt, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::wait::within;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of a body that are shown when a test fails.
const SHOWN: usize = 300;

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(SHOWN)]);
        write!(f, "{} {:?} {body:?}", self.status, self.headers)
    }
}

impl Answer {
    /// A header's text; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The same, if it is this object from the origin.
    #[track_caller]
    pub(crate) fn miss(self, body: &[u8]) -> Self {
        self.found("Miss from headland", body)
    }

    /// The same, if it is this object from the cache.
    #[track_caller]
    pub(crate) fn hit(self, body: &[u8]) -> Self {
        let answer = self.found("Hit from headland", body);
        assert!(answer.header("age").parse::<u64>().is_ok(), "no age: {answer:?}");
        answer
    }

    #[track_caller]
    fn found(self, x_cache: &str, body: &[u8]) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert_eq!(self.header("x-cache"), x_cache, "{self:?}");
        assert!(self.body == body, "another body: {self:?}");
        self
    }
}

/// Sends a request and waits for the head of the answer.
pub(crate) async fn send(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failure> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// The head of the answer to a GET; the body is still to come.
pub(crate) async fn open(address: SocketAddr, host: &str, path: &str) -> Result<Response<Incoming>, Failure> {
    send(address, request(Method::GET, host, path, "")).await
}

/// The whole answer to a GET.
pub(crate) async fn try_get(address: SocketAddr, host: &str, path: &str) -> Result<Answer, Failure> {
    whole(open(address, host, path).await?).await
}

/// The same where nothing may go wrong.
pub(crate) async fn get(address: SocketAddr, host: &str, path: &str) -> Answer {
    let answer = within("an answer", try_get(address, host, path)).await;
    answer.unwrap_or_else(|error| panic!("GET {path} of {host} at {address}: {error}"))
}

/// The whole of an answer.
pub(crate) async fn whole(response: Response<Incoming>) -> Result<Answer, Failure> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Answer { status: head.status, headers: head.headers, body })
}

pub(crate) fn request(method: Method, host: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
    let body = Full::from(body.to_owned());
    Request::builder().method(method).uri(path).header(header::HOST, host).body(body).expect("a request")
}
