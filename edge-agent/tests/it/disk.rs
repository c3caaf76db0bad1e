//! The disk engine on real files: what it keeps, what it must never say, and what happens when the disk or the process fails.

mod damage;
pub(crate) mod faults;
mod keeping;
mod kill;
mod loading;
mod model;
pub(crate) mod support;
