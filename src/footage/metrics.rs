//! The metrics of footage and clips.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::domain::clip::{ClipOutcome, ClipState};
use crate::telemetry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Counters, shared by all keepers.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    clips: Family<Outcome, Counter>,
    /// Window end to settled.
    pub(super) ready_seconds: Histogram,
    /// Set by the disk watch.
    pub(super) disk_free_bytes: Gauge<u64, AtomicU64>,
    /// 1 while the disk is there and ours, else 0; set by the disk watch.
    pub(super) disk_up: Gauge<u64, AtomicU64>,
    pub(super) written_bytes: Counter,
    pub(super) write_errors: Counter,
    pub(super) gops_lost: Counter,
    pub(super) early_deletions: Counter,
    pub(super) files_recovered: Counter,
    pub(super) files_adopted: Counter,
    pub(super) files_unknown: Gauge<u64, AtomicU64>,
    pub(super) files_missing: Gauge<u64, AtomicU64>,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics {
            clips: Family::default(),
            // 10 ms to 20 s: the aim is under 1 s.
            ready_seconds: Histogram::new(exponential_buckets(0.01, 2.0, 12)),
            disk_free_bytes: Gauge::default(),
            disk_up: Gauge::default(),
            written_bytes: Counter::default(),
            write_errors: Counter::default(),
            gops_lost: Counter::default(),
            early_deletions: Counter::default(),
            files_recovered: Counter::default(),
            files_adopted: Counter::default(),
            files_unknown: Gauge::default(),
            files_missing: Gauge::default(),
        };
        // From the start, so that a rate sees the very first one that is missed.
        for state in [ClipState::Whole, ClipState::Partial, ClipState::Missed] {
            let outcome = state.as_str();
            drop(metrics.clips.get_or_create(&Outcome { outcome }));
        }
        registry.register("clips", "Clips settled", metrics.clips.clone());
        registry.register(
            "clip_ready_seconds",
            "End of a clip's window to the clip being settled",
            metrics.ready_seconds.clone(),
        );
        registry.register(
            "disk_free_bytes",
            "Bytes free on the footage disk",
            metrics.disk_free_bytes.clone(),
        );
        let registry = registry.sub_registry_with_prefix("footage");
        registry.register(
            "disk_up",
            "Is the footage disk there and ours",
            metrics.disk_up.clone(),
        );
        for (name, help, counter) in metrics.counters() {
            registry.register(name, help, counter.clone());
        }
        registry.register(
            "files_unknown",
            "Files on the disk that are no footage of ours",
            metrics.files_unknown.clone(),
        );
        registry.register(
            "files_missing",
            "Files of the index that are not on the disk",
            metrics.files_missing.clone(),
        );
        metrics
    }

    pub(super) fn settled(&self, outcome: &ClipOutcome) {
        let state = match outcome {
            ClipOutcome::Whole(_) => ClipState::Whole,
            ClipOutcome::Partial { .. } => ClipState::Partial,
            ClipOutcome::Missed(_) => ClipState::Missed,
        };
        let outcome = state.as_str();
        self.clips.get_or_create(&Outcome { outcome }).inc();
    }

    fn counters(&self) -> [(&'static str, &'static str, &Counter); 6] {
        [
            (
                "written_bytes",
                "Bytes of footage written",
                &self.written_bytes,
            ),
            (
                "write_errors",
                "Writes of footage that the disk refused",
                &self.write_errors,
            ),
            (
                "gops_lost",
                "Groups of pictures that a clip needed and that never reached the disk",
                &self.gops_lost,
            ),
            (
                "early_deletions",
                "Files deleted before their time, for space",
                &self.early_deletions,
            ),
            (
                "files_recovered",
                "Files that a crash had left open and that were finished at start",
                &self.files_recovered,
            ),
            (
                "files_adopted",
                "Files of ours that the index did not know and now does",
                &self.files_adopted,
            ),
        ]
    }
}
