//! What the doors and the carrier count, for `/metrics`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::telemetry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SwipeLabels {
    /// A configured door, or empty for a message of none of them.
    door: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Counters of this module; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    swipes: Family<SwipeLabels, Counter>,
    published: Family<KindLabels, Counter>,
    dropped: Family<KindLabels, Counter>,
    refused: Family<ReasonLabels, Counter>,
    pub(super) reconnects: Counter,
    /// To the broker: 0 or 1; at the embedded endpoint: how many controllers.
    pub(super) connections: Gauge,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let registry = registry.sub_registry_with_prefix("mqtt");
        registry.register(
            "swipe_messages",
            "Swipe messages received",
            metrics.swipes.clone(),
        );
        registry.register(
            "published",
            "Messages to doors that the other side acknowledged",
            metrics.published.clone(),
        );
        registry.register(
            "dropped",
            "Decisions not sent because nobody waits for them any more",
            metrics.dropped.clone(),
        );
        registry.register(
            "refused",
            "Connections and messages that the embedded endpoint refused",
            metrics.refused.clone(),
        );
        registry.register(
            "reconnects",
            "Sessions at the broker after the first",
            metrics.reconnects.clone(),
        );
        registry.register(
            "connections",
            "Connections that are up",
            metrics.connections.clone(),
        );
        metrics
    }

    pub(super) fn swipe(&self, door: &str, outcome: &'static str) {
        let door = door.to_owned();
        self.swipes
            .get_or_create(&SwipeLabels { door, outcome })
            .inc();
    }

    pub(super) fn published(&self, kind: &'static str) {
        self.published.get_or_create(&KindLabels { kind }).inc();
    }

    pub(super) fn dropped(&self, n: u64) {
        if n > 0 {
            let kind = "decision";
            self.dropped.get_or_create(&KindLabels { kind }).inc_by(n);
        }
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabels { reason }).inc();
    }
}
