//! What the scenarios are made of: an edge without a control plane, a control plane without a mind, an origin that does as it is told, and viewers.

pub(crate) mod control_plane;
pub(crate) mod dates;
pub(crate) mod edge;
pub(crate) mod mmdb;
pub(crate) mod origin;
pub(crate) mod scenario;
pub(crate) mod tls_origin;
pub(crate) mod viewer;
