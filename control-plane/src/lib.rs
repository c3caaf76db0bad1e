//! What should be: keeps distributions in a store and pushes them to edges.
//!
//! Start one with [`server::ControlPlane::start`], on listeners and a store from outside.

mod api;
pub mod config;
mod distributions;
mod fleet;
mod metrics;
pub mod server;
pub mod settings;
mod snapshot;
pub mod store;
