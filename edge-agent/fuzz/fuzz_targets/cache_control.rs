//! See `headland_edge_agent::fuzzing::cache_control`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headland_edge_agent::fuzzing::cache_control(bytes));
