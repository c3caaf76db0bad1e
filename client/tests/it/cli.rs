//! The command against a control plane: what it does, says and exits with.

mod apply;
mod changes;
mod explain;
mod failures;
pub(crate) mod harness;
mod import;
mod lists;
mod local;
mod policies;
mod scripted_edge;
mod signing;
mod specs;
mod tags;
mod tls;
mod waiting;
