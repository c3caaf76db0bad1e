//! CloudFront's own rules, one file per topic, from its developer guide.

mod custom_errors;
mod edge_headers;
mod errors;
mod failover;
mod forwarding;
mod geo;
mod options;
mod response_headers;
mod signed;
mod signing;
mod stale;
mod ttl;
mod viewer_protocol;
