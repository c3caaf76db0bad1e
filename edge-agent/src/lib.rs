//! What is served: viewers in front, a local cache, origins behind.

pub mod cache;
pub mod clock;
pub mod end_to_end;
pub mod metrics;
pub mod origin;
pub mod pipeline;
pub mod routing;
pub mod viewer;
