//! What should be: keeps distributions, and what they refer to, in a store and pushes them to edges.
//!
//! Start one with [`server::ControlPlane::start`], on listeners and a store from outside.

mod api;
pub mod config;
mod distributions;
mod etag;
mod fleet;
mod metrics;
mod page;
mod resources;
pub mod server;
pub mod settings;
mod snapshot;
pub mod store;
