//! What the gateway says of itself: logs, metrics, health.
//!
//! Each module registers its own metrics under its prefix in the one [`Registry`]; labels come only
//! from configuration-sized sets, never from cards, persons, dwellings or entries.

mod health;
mod log;
mod throttle;

pub use health::{Component, Health, HealthBoard, State};
pub use log::{LogFilterError, LogFormat, LogOptions, init_logs};
pub use throttle::Throttle;

pub use prometheus_client::registry::Registry;

/// The registry that `/metrics` shows: every name in it begins with `stairgate_`.
pub fn registry() -> Registry {
    Registry::with_prefix("stairgate")
}

/// The registry as Prometheus text.
pub fn scrape(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)
        .expect("writing to a string does not fail");
    text
}
