//! The contract between Headland's planes: wire types, ids, limits, and the checked model every plane parses them into.
//!
//! Nothing here does I/O, reads a clock or looks at the environment.

pub mod id;
pub mod limits;
pub mod model;
pub mod revision;

/// Wire types and gRPC stubs of package `headland.v1`, generated from `proto/headland/v1/*.proto`.
#[allow(missing_docs, clippy::all, unreachable_pub, clippy::large_futures)]
pub mod v1 {
    tonic::include_proto!("headland.v1");

    /// Every .proto file of the package, for gRPC reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/headland_descriptor.bin"));
}
