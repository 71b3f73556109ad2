//! What the outbox counts, by linkage.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::domain::alert::DeliveryState;
use crate::domain::id::LinkageId;
use crate::telemetry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByLinkage {
    linkage: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    linkage: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    linkage: String,
    outcome: &'static str,
}

/// The metrics of all linkages.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    deliveries: Family<ByState, Gauge>,
    oldest_age_seconds: Family<ByLinkage, Gauge>,
    up: Family<ByLinkage, Gauge>,
    attempts: Family<ByOutcome, Counter>,
    delivery_seconds: Family<ByLinkage, Histogram>,
}

/// Those of one linkage; gone from the listing with the value.
#[derive(Debug)]
pub(super) struct LinkageMetrics {
    family: Metrics,
    linkage: String,
    pub(super) waiting: Gauge,
    pub(super) delivered: Gauge,
    pub(super) dead: Gauge,
    pub(super) oldest_age_seconds: Gauge,
    pub(super) up: Gauge,
    pub(super) taken: Counter,
    pub(super) failed: Counter,
    pub(super) refused: Counter,
    pub(super) delivery_seconds: Histogram,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics {
            deliveries: Family::default(),
            oldest_age_seconds: Family::default(),
            up: Family::default(),
            attempts: Family::default(),
            // 1 ms to 4.6 h: a receiver may be away for long.
            delivery_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 4.0, 13))
            }),
        };
        registry.register(
            "delivery_seconds",
            "Raised to receipt",
            metrics.delivery_seconds.clone(),
        );
        let outbox = registry.sub_registry_with_prefix("outbox");
        outbox.register(
            "deliveries",
            "Deliveries by state: waiting and dead now, delivered since the start",
            metrics.deliveries.clone(),
        );
        outbox.register(
            "oldest_age_seconds",
            "Age of the oldest delivery that waits and is not held for its clip",
            metrics.oldest_age_seconds.clone(),
        );
        outbox.register(
            "linkage_up",
            "The receiver takes alerts",
            metrics.up.clone(),
        );
        outbox.register("attempts", "Attempts by outcome", metrics.attempts.clone());
        metrics
    }

    pub(super) fn of(&self, linkage: &LinkageId) -> LinkageMetrics {
        let name = linkage.as_str();
        let state = |state: DeliveryState| {
            let labels = ByState {
                linkage: name.to_owned(),
                state: state.as_str(),
            };
            self.deliveries.get_or_create_owned(&labels)
        };
        let outcome = |outcome| {
            let labels = ByOutcome {
                linkage: name.to_owned(),
                outcome,
            };
            self.attempts.get_or_create_owned(&labels)
        };
        let labels = ByLinkage {
            linkage: name.to_owned(),
        };
        LinkageMetrics {
            family: self.clone(),
            linkage: name.to_owned(),
            waiting: state(DeliveryState::Waiting),
            delivered: state(DeliveryState::Delivered),
            dead: state(DeliveryState::Dead),
            oldest_age_seconds: self.oldest_age_seconds.get_or_create_owned(&labels),
            up: self.up.get_or_create_owned(&labels),
            taken: outcome("taken"),
            failed: outcome("failed"),
            refused: outcome("refused"),
            delivery_seconds: self.delivery_seconds.get_or_create_owned(&labels),
        }
    }
}

impl Drop for LinkageMetrics {
    fn drop(&mut self) {
        // Of a linkage that is gone from the configuration, what is now is gone too; counters stay.
        let linkage = self.linkage.clone();
        for state in [DeliveryState::Waiting, DeliveryState::Dead] {
            self.family.deliveries.remove(&ByState {
                linkage: linkage.clone(),
                state: state.as_str(),
            });
        }
        let labels = ByLinkage { linkage };
        self.family.oldest_age_seconds.remove(&labels);
        self.family.up.remove(&labels);
    }
}
