//! What the scenarios are made of: an edge without a control plane, an origin that does as it is told, and viewers.

pub mod edge;
pub mod origin;
pub mod viewer;
