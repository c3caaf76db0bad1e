//! The gRPC services: they decode, call, encode, and decide nothing.

pub(crate) mod distributions;
pub(crate) mod edges;
pub(crate) mod policies;
pub(crate) mod status;
pub(crate) mod sync;
