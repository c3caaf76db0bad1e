//! See `headland_edge_agent::fuzzing::stored_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headland_edge_agent::fuzzing::stored_head(bytes));
