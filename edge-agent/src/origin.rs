//! Origins: fetching what the cache does not have.
//!
//! `request` decides what of a viewer's request reaches the origin; `s3` addresses and signs; `http` sends, within the
//! origin's timeouts; `credentials` and `check` work off the serving threads.

pub mod check;
pub mod credentials;
pub mod http;
pub mod request;
pub mod s3;

/// Why an origin gave no response, or not the whole of it. The pipeline knows which origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No connection was made: refused, unreachable, name not found, TLS refused.
    #[error("connect to the origin: {0}")]
    Connect(String),
    /// No connection was made in time.
    #[error("connect to the origin: timed out")]
    ConnectTimeout,
    /// The origin said nothing for its response timeout.
    #[error("hear from the origin: timed out")]
    ResponseTimeout,
    /// The connection broke, or what came was not HTTP.
    #[error("read the origin's response: {0}")]
    Response(String),
    /// No credentials were found, or they cannot be used.
    #[error("find credentials for the origin: {0}")]
    Credentials(String),
    /// The request cannot be put to this origin.
    #[error("build the request to the origin: {0}")]
    Request(String),
    /// The request names no object of the bucket, but the bucket itself.
    #[error("ask the origin: the path names no object")]
    NoObject,
    /// Too many fetches are under way on this worker.
    #[error("fetch from the origin: too many fetches are under way")]
    Overloaded,
}
