//! What is counted of live viewers. No label names a camera's viewer.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::telemetry::Registry;

/// The metrics of live video. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct LiveMetrics {
    /// Open viewers (WebSockets).
    pub viewers: Gauge,
    /// Cameras that viewers look at, each viewer's counted.
    pub watches: Gauge,
    /// Fragments and pictures that slow viewers were not sent.
    pub skipped: Counter,
    /// Bytes sent.
    pub sent_bytes: Counter,
    /// From the arrival of the last frame in a fragment to its sending, what a viewer begins with not
    /// counted.
    pub latency_seconds: Histogram,
    /// Sessions with sub streams.
    pub(super) sub_sessions: Gauge,
    /// Streams that are cut into fragments or drawn.
    pub(super) streams: Gauge,
}

impl LiveMetrics {
    pub(super) fn register(registry: &mut Registry) -> LiveMetrics {
        let metrics = LiveMetrics {
            viewers: Gauge::default(),
            watches: Gauge::default(),
            skipped: Counter::default(),
            sent_bytes: Counter::default(),
            // 5 ms to 10 s.
            latency_seconds: Histogram::new(exponential_buckets(0.005, 2.0, 12)),
            sub_sessions: Gauge::default(),
            streams: Gauge::default(),
        };
        let m = metrics.clone();
        registry.register("live_viewers", "Open viewers of live video", m.viewers);
        registry.register("live_watches", "Cameras that viewers look at", m.watches);
        registry.register(
            "live_skipped",
            "Fragments and pictures that slow viewers were not sent",
            m.skipped,
        );
        registry.register("live_sent_bytes", "Bytes of live video sent", m.sent_bytes);
        registry.register(
            "live_latency_seconds",
            "From the arrival of a frame to its sending",
            m.latency_seconds,
        );
        registry.register(
            "live_sub_sessions",
            "Sessions with sub streams of cameras",
            m.sub_sessions,
        );
        registry.register("live_streams", "Streams made ready for viewers", m.streams);
        metrics
    }
}

/// Counts one more of something for as long as it lives.
#[derive(Debug)]
pub(super) struct Counted(Gauge);

impl Counted {
    pub(super) fn one(gauge: &Gauge) -> Counted {
        gauge.inc();
        Counted(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
