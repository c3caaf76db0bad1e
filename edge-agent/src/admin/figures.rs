//! What `/metrics` shows: read when asked, from the counters where they are kept.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet},
    metrics::MetricType,
};

use super::Observed;
use crate::cache::disk::{Disk, State};

const DISK_HEALTHY: &str =
    "Whether the disk takes what is written; the only figure of a disk cache that could not be opened";

/// Collects all figures of the agent.
#[derive(Debug)]
pub(super) struct Figures(pub(super) Arc<Observed>);

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.traffic(&mut out)?;
        self.cache(&mut out)?;
        self.sync(&mut out)?;
        self.locations(&mut out)?;
        self.control_planes(&mut out)
    }
}

impl Figures {
    fn traffic(&self, out: &mut Out<'_>) -> fmt::Result {
        let traffic = self.0.serving.metrics.traffic();
        out.counter("viewer_requests", "Requests from viewers", traffic.requests)?;
        out.counter("viewer_sent_bytes", "Bytes sent to viewers", traffic.viewer_bytes_sent)?;
        out.counter("cache_hits", "Requests answered from the cache", traffic.hits)?;
        out.counter("cache_misses", "Requests that needed the origin", traffic.misses)?;
        out.counter("cache_evictions", "Objects dropped to make room", traffic.evictions)?;
        out.counter("cache_expirations", "Objects dropped because they expired", traffic.expirations)?;
        out.counter("origin_fetches", "Requests to origins", traffic.origin_fetches)?;
        out.counter("origin_errors", "Requests to origins that failed", traffic.origin_errors)?;
        let metrics = &self.0.serving.metrics;
        out.counters("cache_results", "Requests by what the cache did", "result", metrics.results())?;
        let help = "Requests to origins that have a shield elsewhere, by what became of them there";
        out.counters("shield_fetches", help, "result", metrics.shield().into_iter())?;
        let help = "Hits answered at once, without going through the HTTP library";
        out.counter("quick_hits", help, metrics.quick_hits())?;
        let help = "Connections refused for want of a PROXY protocol header from a trusted proxy";
        out.counter("unproxied_connections", help, metrics.unproxied())?;
        let help = "Responses of origins that were not stored, by the reason";
        out.counters("not_stored", help, "reason", metrics.not_stored())?;
        let help = "Responses of origins that were compressed, by the coding";
        out.counters("compressed", help, "coding", metrics.compressed())?;
        let help = "Responses of origins that were not compressed where that was wished, by the reason";
        out.counters("not_compressed", help, "reason", metrics.not_compressed())?;
        let help = "Requests answered by the response to another request";
        out.counter("collapsed_requests", help, metrics.collapsed())?;
        let (opened, open) = metrics.tunnels();
        out.counter("tunnels", "WebSockets that were opened", opened)?;
        out.gauge("tunnels_open", "WebSockets that are open", open)?;
        let help = "URIs and groups invalidated by unsafe requests";
        out.counter("invalidations", help, metrics.invalidations())
    }

    fn cache(&self, out: &mut Out<'_>) -> fmt::Result {
        let cache = self.0.serving.cache.figures();
        out.gauge("cache_objects", "Objects in the cache", cache.objects)?;
        out.gauge("cache_bytes", "Bytes in the cache", cache.bytes)?;
        let pinned = self.0.serving.cache.pinned_bytes();
        out.gauge("pinned_bytes", "Bytes of large bodies that only viewers still hold", pinned)?;
        out.gauge("cache_capacity_bytes", "Bytes the cache may hold", cache.capacity_bytes)?;
        match &self.0.serving.cache.disk {
            Some(disk) => disk_figures(disk, out),
            None if self.0.disk_is_missing => out.gauge("disk_healthy", DISK_HEALTHY, 0u64),
            None => Ok(()),
        }
    }

    fn sync(&self, out: &mut Out<'_>) -> fmt::Result {
        let view = &self.0.view;
        let state = Arc::clone(&view.state.borrow());
        out.gauge("uptime_seconds", "Time since the start", self.0.started.elapsed().as_secs_f64())?;
        out.gauge("ready", "Whether viewers should be sent here", u64::from(self.0.unready().is_none()))?;
        out.gauge("applied_revision", "Revision up to which every update is applied", state.applied().0)?;
        out.gauge("distributions", "Distributions served", state.len())?;
        out.gauge("refusals", "Distributions not served in their newest revision", state.refused().len())?;
        let problems = self.0.serving.origin_problems.list().len();
        out.gauge("origin_problems", "Origins that cannot be used as configured", problems)?;
        let unwell = self.0.breakers.unwell_count();
        out.gauge("origins_unwell", "Origins that do not pass their health checks", unwell)?;
        let (owner, saver) = (&view.owner, &view.saver);
        out.counter("updates_applied", "Updates applied", owner.applied.load(Relaxed))?;
        out.counter("updates_ignored", "Updates that said nothing new", owner.ignored.load(Relaxed))?;
        out.counter("update_gaps", "Updates that did not join on", owner.gaps.load(Relaxed))?;
        out.counter("last_good_saves", "Last-good files written", saver.saves.load(Relaxed))?;
        out.counter("last_good_save_failures", "Last-good files not written", saver.failures.load(Relaxed))
    }

    fn locations(&self, out: &mut Out<'_>) -> fmt::Result {
        let databases: Vec<_> = self.0.locations.figures().collect();
        if databases.is_empty() {
            return Ok(());
        }
        let loaded = databases.iter().map(|(name, figures)| (*name, u64::from(figures.loaded)));
        out.gauges("geo_database_loaded", "Whether a database of addresses is in force", "database", loaded)?;
        let built = databases.iter().map(|(name, figures)| (*name, figures.built));
        let help = "When it was built, since 1970; 0 if none is in force";
        out.gauges("geo_database_build_time_seconds", help, "database", built)?;
        let failures = databases.iter().map(|(name, figures)| (*name, figures.failures));
        let help = "Times that its file could not be read, or was no database";
        out.counters("geo_database_load_failures", help, "database", failures)
    }

    fn control_planes(&self, out: &mut Out<'_>) -> fmt::Result {
        let contacts = self.0.view.contacts.list();
        let labels: Vec<_> = contacts
            .iter()
            .map(|c| [("control_plane", c.control_plane.as_str()), ("address", c.address.as_str())])
            .collect();
        let help = "Whether the stream to a control plane is open";
        let mut family = out.0.encode_descriptor("control_plane_connected", help, None, MetricType::Gauge)?;
        for (contact, labels) in contacts.iter().zip(&labels) {
            family.encode_family(labels)?.encode_gauge(&u64::from(contact.is_connected()))?;
        }
        let help = "Time since the stream to a control plane was open; 0 while it is";
        let name = "control_plane_silence_seconds";
        let mut family = out.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (contact, labels) in contacts.iter().zip(&labels) {
            family.encode_family(labels)?.encode_gauge(&contact.silence().as_secs_f64())?;
        }
        Ok(())
    }
}

fn disk_figures(disk: &Disk, out: &mut Out<'_>) -> fmt::Result {
    let figures = disk.figures();
    out.gauge("disk_records", "Objects in the disk cache", figures.records)?;
    out.gauge("disk_bytes", "Bytes of the disk cache's files", figures.bytes)?;
    out.gauge("disk_capacity_bytes", "Bytes the disk cache may take", figures.capacity_bytes)?;
    out.gauge("disk_index_bytes", "Memory of the disk cache's index", figures.index_bytes)?;
    out.gauge("disk_queue_bytes", "Bytes that wait to be written to the disk cache", figures.queue_bytes)?;
    out.gauge("disk_healthy", DISK_HEALTHY, u64::from(disk.state() == State::Healthy))?;
    out.gauge("disk_loading", "Whether the index is still being read", u64::from(disk.is_loading()))?;
    out.counter("disk_hits", "Lookups for viewers that the disk cache had something for", figures.hits)?;
    out.counter("disk_misses", "Lookups for viewers that it had nothing for", figures.misses)?;
    out.counter("disk_reads", "Objects read from disk", figures.reads)?;
    out.counter("disk_read_bytes", "Bytes of them", figures.read_bytes)?;
    out.counter("disk_writes", "Objects written to disk", figures.writes)?;
    out.counter("disk_write_bytes", "Bytes of them", figures.write_bytes)?;
    out.counter("disk_rewrite_bytes", "Bytes moved within the disk cache", figures.rewrite_bytes)?;
    out.counter("disk_corrupt", "Objects dropped because they were not as written", figures.corrupt)?;
    out.counter("disk_evictions", "Objects that gave way to others", figures.evicted)?;
    out.counter("disk_expirations", "Objects that had their time", figures.expired)?;
    let errors = [("read", figures.read_errors), ("write", figures.write_errors)];
    out.counters("disk_errors", "Errors of the disk", "operation", errors.into_iter())?;
    let dropped = [
        ("too-large", figures.dropped_too_large),
        ("queue-full", figures.dropped_queue_full),
        ("degraded", figures.dropped_degraded),
        ("stopped", figures.dropped_stopped),
    ];
    out.counters("disk_not_written", "Objects not written, by the reason", "reason", dropped.into_iter())
}

/// Writes figures that have no label, or one.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (name, value) in values {
            family.encode_family(&[(label, name)])?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (name, value) in values {
            family.encode_family(&[(label, name)])?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }
}
