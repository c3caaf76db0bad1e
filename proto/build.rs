//! Compiles the .proto files into `OUT_DIR` with a compiler written in Rust, so that no `protoc` is needed,
//! and keeps the descriptors for gRPC reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const FILES: &[&str] = &[
    "headland/v1/cache_policy.proto",
    "headland/v1/distribution.proto",
    "headland/v1/distribution_service.proto",
    "headland/v1/edge.proto",
    "headland/v1/edge_service.proto",
    "headland/v1/explain.proto",
    "headland/v1/key_group.proto",
    "headland/v1/origin_request_policy.proto",
    "headland/v1/public_key.proto",
    "headland/v1/response_headers_policy.proto",
    "headland/v1/record.proto",
    "headland/v1/selection.proto",
    "headland/v1/sync.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo:rerun-if-changed={}", root.join("headland").display());
    let descriptors = protox::compile(FILES.iter().map(|f| root.join(f)), [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("headland_descriptor.bin"), descriptors.encode_to_vec())?;
    // Maps in order, so that the same config always has the same bytes: digests are made of them.
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
