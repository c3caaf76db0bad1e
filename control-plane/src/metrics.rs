//! Everything the control plane counts, under `headland_control_plane_*`.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Which call, and how it ended. Both come from fixed lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CallLabels {
    /// The method's name.
    pub(crate) method: &'static str,
    /// The gRPC code's name.
    pub(crate) code: &'static str,
}

/// How an edge is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LivenessLabels {
    /// `live`, `late` or `gone`.
    pub(crate) liveness: &'static str,
}

/// All counters and gauges of one control plane.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) api_calls: Family<CallLabels, Counter>,
    pub(crate) listings: Counter,
    pub(crate) follow_failures: Counter,
    pub(crate) healed_distributions: Counter,
    pub(crate) unreadable_values: Counter,
    pub(crate) rewinds: Counter,
    pub(crate) sync_streams: Gauge,
    pub(crate) sync_reports: Counter,
    pub(crate) sync_parts: Counter,
    pub(crate) snapshot_revision: Gauge<u64, AtomicU64>,
    pub(crate) snapshot_distributions: Gauge,
    pub(crate) edges: Family<LivenessLabels, Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("headland_control_plane"),
            api_calls: Family::default(),
            listings: Counter::default(),
            follow_failures: Counter::default(),
            healed_distributions: Counter::default(),
            unreadable_values: Counter::default(),
            rewinds: Counter::default(),
            sync_streams: Gauge::default(),
            sync_reports: Counter::default(),
            sync_parts: Counter::default(),
            snapshot_revision: Gauge::default(),
            snapshot_distributions: Gauge::default(),
            edges: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("api_calls", "Calls answered, by method and gRPC code", self.api_calls.clone());
        r.register("snapshot_listings", "Full listings of the store", self.listings.clone());
        r.register("snapshot_failures", "Listings and watches that failed", self.follow_failures.clone());
        r.register(
            "snapshot_healed_distributions",
            "Distributions that the watch withheld and a listing brought",
            self.healed_distributions.clone(),
        );
        r.register(
            "snapshot_unreadable_values",
            "Times a stored value could not be read",
            self.unreadable_values.clone(),
        );
        r.register("snapshot_rewinds", "Times the store had gone back", self.rewinds.clone());
        r.register(
            "snapshot_revision",
            "Revision up to which the snapshot is complete",
            self.snapshot_revision.clone(),
        );
        r.register(
            "snapshot_distributions",
            "Distributions in the snapshot",
            self.snapshot_distributions.clone(),
        );
        r.register("sync_streams", "Edges connected now", self.sync_streams.clone());
        r.register("sync_reports", "Reports received", self.sync_reports.clone());
        r.register("sync_parts", "Parts of updates sent", self.sync_parts.clone());
        r.register("edges", "Edges known, by liveness", self.edges.clone());
    }

    /// All of them in OpenMetrics text.
    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_after_plane_noun_and_unit() {
        let metrics = Metrics::new();
        metrics.healed_distributions.inc();
        metrics.api_calls.get_or_create(&CallLabels { method: "GetDistribution", code: "OK" }).inc();
        let text = metrics.encode().unwrap();
        assert!(text.contains("headland_control_plane_snapshot_healed_distributions_total 1\n"), "{text}");
        assert!(
            text.contains(
                "headland_control_plane_api_calls_total{method=\"GetDistribution\",code=\"OK\"} 1\n"
            ),
            "{text}"
        );
    }
}
