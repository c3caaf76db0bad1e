//! The parts of the replay. Tests include them as well (`tests/it/main.rs`): a bench has no test runner.

pub(crate) mod mix;
pub(crate) mod ours;
pub(crate) mod policy;
pub(crate) mod random;
pub(crate) mod reference;
pub(crate) mod report;
pub(crate) mod trace;
