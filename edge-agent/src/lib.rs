//! What is served: viewers in front, a local cache, origins behind.

pub mod cache;
pub mod metrics;
pub mod routing;
