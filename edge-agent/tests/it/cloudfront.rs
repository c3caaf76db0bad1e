//! CloudFront's own rules, one file per topic, from its developer guide.

mod errors;
mod stale;
mod ttl;
