//! What the store counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::telemetry::Registry;

/// The store's metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) writes: Counter,
    /// Of one group of writes.
    pub(super) flush_seconds: Histogram,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics {
            writes: Counter::default(),
            // 0.1 ms to 1.6 s.
            flush_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 15)),
        };
        let registry = registry.sub_registry_with_prefix("store");
        registry.register("writes", "Writes answered", metrics.writes.clone());
        registry.register(
            "flush_seconds",
            "Time to make a group of writes durable",
            metrics.flush_seconds.clone(),
        );
        metrics
    }
}
