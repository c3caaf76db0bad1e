//! What the workers have done, in counters that no two workers share.

use headland_proto::v1;

/// Counters of all workers.
#[derive(Debug, Default)]
pub struct Metrics {}

impl Metrics {
    /// The sum over all workers since the start.
    #[must_use]
    pub fn traffic(&self) -> v1::TrafficFigures {
        v1::TrafficFigures::default()
    }
}
