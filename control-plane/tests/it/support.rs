//! What several tests start or wait for.

pub(crate) mod certificates;
pub(crate) mod etcd;
pub(crate) mod places;
pub(crate) mod relay;
pub(crate) mod wait;
