//! What should be: keeps distributions in a store and pushes them to edges.

pub mod store;
