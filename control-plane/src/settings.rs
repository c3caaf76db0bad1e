//! What a control plane must be told, apart from its listeners and its store.

use std::time::Duration;

use headland_proto::model::HostName;

/// How often edges report unless told otherwise.
pub const REPORT_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
/// The shortest and the longest report interval.
pub const REPORT_INTERVAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(300));
/// The domain under which distributions get their own host names unless told otherwise.
pub const CDN_DOMAIN_DEFAULT: &str = "cdn.localhost";

/// The settings of one control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The domain under which distributions get their own host names.
    pub cdn_domain: HostName,
    /// How often edges are to report when nothing changes, within [`REPORT_INTERVAL`]. An edge is late after 2 of them
    /// and gone after 6.
    pub report_interval: Duration,
}

impl Settings {
    /// The settings for distributions under this domain, with the usual report interval.
    #[must_use]
    pub fn new(cdn_domain: HostName) -> Self {
        Self { cdn_domain, report_interval: REPORT_INTERVAL_DEFAULT }
    }
}
