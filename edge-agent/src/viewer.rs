//! Viewers: accepting their connections, reading their requests, writing their responses.
//!
//! `listener` runs the workers, `connection` keeps each connection's time, `request` admits, `response`, `conditional` and `range` make
//! heads, `body` sends, `error_page` explains.

pub mod body;
pub mod conditional;
pub mod connection;
pub mod error_page;
pub mod listener;
pub mod range;
pub mod request;
pub mod response;
