//! The control plane against the real thing: real gRPC over real sockets, real files, real etcd, real
//! processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should end where it is")]

mod api;
mod explain;
mod health;
mod keys;
mod plane;
mod policies;
mod process;
mod several;
mod store;
mod support;
mod sync;
