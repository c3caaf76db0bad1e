//! What is served: viewers in front, a local cache, origins behind.

pub mod agent;
pub mod cache;
pub mod clock;
pub mod config;
pub mod end_to_end;
pub mod error_chain;
pub mod explain;
#[doc(hidden)]
pub mod fuzzing;
pub mod geo;
#[doc(hidden)]
pub mod measuring;
pub mod metrics;
pub mod origin;
pub mod origin_problems;
pub mod peers;
pub mod pipeline;
pub mod routing;
pub mod signing;
pub mod sync;
pub mod viewer;

mod admin;
mod closed;
mod durable;
mod origin_checks;
mod origin_health;
