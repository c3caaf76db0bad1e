//! CloudFront's own rules, one file per topic, from its developer guide.

mod custom_errors;
mod errors;
mod failover;
mod forwarding;
mod signed;
mod stale;
mod ttl;
