//! What is counted of cases.

use std::collections::BTreeMap;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::domain::case::{CaseListing, CaseState, StepKind, Tier};
use crate::telemetry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStep {
    step: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByTier {
    tier: &'static str,
}

/// How a step ended, for the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepOutcome {
    Taken,
    Repeated,
    Refused,
}

/// The metrics of all cases.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    open: Family<ByState, Gauge>,
    overdue: Gauge,
    steps: Family<ByStep, Counter>,
    escalations: Family<ByTier, Counter>,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics {
            open: Family::default(),
            overdue: Gauge::default(),
            steps: Family::default(),
            escalations: Family::default(),
        };
        let registry = registry.sub_registry_with_prefix("cases");
        registry.register("open", "Open cases by state", metrics.open.clone());
        registry.register(
            "overdue",
            "Open cases whose next step is overdue",
            metrics.overdue.clone(),
        );
        registry.register(
            "steps",
            "Steps asked for, by step and outcome: taken, repeated, refused",
            metrics.steps.clone(),
        );
        registry.register(
            "escalations",
            "Deadlines that passed, by the tier that is answerable since",
            metrics.escalations.clone(),
        );
        // Zeros are there from the start, so that an alert rule has something to compare.
        for tier in Tier::ALL {
            metrics.escalated(tier, 0);
        }
        metrics.show(&BTreeMap::new());
        metrics
    }

    /// Shows how many open cases there are of each kind of listing.
    pub(super) fn show(&self, n_open: &BTreeMap<(CaseState, bool), i64>) {
        for state in CaseState::ALL.into_iter().filter(|state| state.is_open()) {
            let of_state = n_open.iter().filter(|((of, _), _)| *of == state);
            let labels = ByState {
                state: state.as_str(),
            };
            let n: i64 = of_state.map(|(_, n)| n).sum();
            self.open.get_or_create(&labels).set(n);
        }
        let overdue = n_open.iter().filter(|((_, overdue), _)| *overdue);
        self.overdue.set(overdue.map(|(_, n)| n).sum());
    }

    pub(super) fn step(&self, step: StepKind, outcome: StepOutcome) {
        let labels = ByStep {
            step: step.as_str(),
            outcome: match outcome {
                StepOutcome::Taken => "taken",
                StepOutcome::Repeated => "repeated",
                StepOutcome::Refused => "refused",
            },
        };
        self.steps.get_or_create(&labels).inc();
    }

    pub(super) fn escalated(&self, tier: Tier, n: u64) {
        let labels = ByTier {
            tier: tier.as_str(),
        };
        self.escalations.get_or_create(&labels).inc_by(n);
    }
}

/// Counts a listing.
pub(super) fn count(n_open: &mut BTreeMap<(CaseState, bool), i64>, listing: CaseListing) {
    *n_open.entry((listing.state, listing.overdue)).or_default() += 1;
}
