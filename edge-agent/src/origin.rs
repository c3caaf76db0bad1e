//! Origins: fetching what the cache does not have.
//!
//! `breaker` remembers which origins are down; `request` decides what of a viewer's request reaches the origin; `s3` addresses and
//! signs; `http` sends, within the origin's timeouts, the viewer's `body` with it, over one of the `connections` that are kept: what is
//! `plain` goes over a `wire` and needs no hyper, unless the `response` is not plain: then the connection is handed over (`handover`).
//! `credentials` and `check` work off the serving threads.

pub mod body;
pub mod breaker;
pub mod check;
mod connections;
pub mod credentials;
mod dial;
mod handover;
pub(crate) mod health;
pub mod http;
mod http2;
mod plain;
pub mod request;
pub mod response;
pub mod s3;
pub mod tls;
mod wire;

/// Why an origin gave no response, or not the whole of it. The pipeline knows which origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No connection was made: refused, unreachable, name not found, TLS refused.
    #[error("connect to the origin: {0}")]
    Connect(String),
    /// No connection was made, because one side's certificate did not do, or there is none to show.
    #[error("connect to the origin: {0}")]
    Tls(String),
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

impl Fault {
    /// Whether the origin, or the way to it, is to blame: something stale may stand in for that.
    #[must_use]
    pub fn is_the_origins(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Tls(_)
            | Self::ConnectTimeout
            | Self::ResponseTimeout
            | Self::Response(_)
            | Self::Credentials(_)
            | Self::Overloaded => true,
            Self::Request(_) | Self::NoObject => false,
        }
    }

    /// A stable label, for logs and fields.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Connect(_) => "origin-unreachable",
            Self::Tls(_) => "origin-tls",
            Self::ConnectTimeout => "origin-connect-timeout",
            Self::ResponseTimeout => "origin-response-timeout",
            Self::Response(_) => "origin-response-unusable",
            Self::Credentials(_) => "origin-credentials",
            Self::Request(_) => "origin-request",
            Self::NoObject => "origin-no-object",
            Self::Overloaded => "origin-overloaded",
        }
    }
}
