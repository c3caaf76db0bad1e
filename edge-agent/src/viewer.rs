//! Viewers: accepting their connections, reading their requests, writing their responses.
//!
//! `listener` runs the workers, `reception` says who is believed, `who` tells who a viewer is, `proxy_protocol` reads what load balancers say first, `connection` keeps each connection's time, `http1` speaks HTTP/1.1, `request` admits, `response`, `conditional`, `range` and
//! `multipart` make heads, `alphabet` checks texts, `cache_status` says what the cache did, `body` sends, `error_page` explains, `redirect` sends to https,
//! `response_headers` changes heads as policies say.

pub mod accept_encoding;
mod alphabet;
pub mod body;
pub mod cache_status;
pub mod conditional;
pub mod connection;
pub mod error_page;
pub(crate) mod http1;
pub mod listener;
pub mod max_forwards;
pub mod multipart;
pub(crate) mod proxy_protocol;
pub mod range;
pub mod reception;
pub mod redirect;
pub mod request;
pub mod response;
pub(crate) mod response_headers;
pub mod who;
