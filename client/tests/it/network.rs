//! Whole networks of real processes: control planes, edges, etcd, origins, and the command that asks them.

pub(crate) mod bucket;
pub(crate) mod control_plane;
pub(crate) mod edge;
pub(crate) mod etcd;
pub(crate) mod origin;
pub(crate) mod program;
pub(crate) mod rclone;
pub(crate) mod server;
pub(crate) mod viewer;
pub(crate) mod wait;
