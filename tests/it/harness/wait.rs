//! Level-triggered waiting: look until it is so, or fail with what was seen last.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until `is_so` says yes; fails the test with `what` after `within`.
#[track_caller]
pub(crate) fn eventually(
    what: &str,
    within: Duration,
    mut is_so: impl FnMut() -> bool,
) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let until = Instant::now() + within;
        while !is_so() {
            assert!(
                Instant::now() < until,
                "{place}: not within {within:?}: {what}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Waits until `look` gives `Ok`; fails the test with `what` and the last `Err` after `within`.
#[track_caller]
pub(crate) fn eventually_ok<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let until = Instant::now() + within;
        let mut last = None;
        loop {
            match tokio::time::timeout_at(until + LOOK_EVERY, look()).await {
                Ok(Ok(value)) => return value,
                Ok(Err(err)) => {
                    assert!(
                        Instant::now() < until,
                        "{place}: not within {within:?}: {what}: {err:?}"
                    );
                    last = Some(err);
                }
                Err(_) => {
                    panic!("{place}: not within {within:?}: {what}: still looking, last: {last:?}")
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
