//! CloudFront's own rules, one file per topic, from its developer guide.

mod custom_errors;
mod errors;
mod failover;
mod forwarding;
mod options;
mod signing;
mod stale;
mod ttl;
