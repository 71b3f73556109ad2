//! What the benches share: processes measured from outside, a site's configuration, quantiles.
pub(crate) mod cameras;
pub(crate) mod process;
pub(crate) mod site;

use std::time::Duration;

/// The value below which `percent` of `sorted` lie; `sorted` is in rising order and not empty.
pub(crate) fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let idx = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(idx).copied().unwrap_or_default()
}

/// Milliseconds with two digits behind the point.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1_000.0)
}

/// A runtime for the bench's own side.
pub(crate) fn runtime(n_threads: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(n_threads)
        .enable_all()
        .build()
        .expect("a runtime starts")
}
