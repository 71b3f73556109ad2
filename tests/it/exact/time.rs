//! A clock that only the test moves, while disk and store work in real time.

use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt as _;
use stairgate::store::Store;
use stairgate::supervise;
use tokio::time::Instant;

/// Passes after which whatever can happen now has happened: a keeper that starts to write has some
/// dozens of GOPs to append, each a step.
const PASSES_MAX: usize = 100_000;

/// Runs `test` with the clock stopped. Time passes in [`to`] alone; what waits for a disk or for the
/// store's thread waits in real time, however long that takes.
pub(super) fn simulate<T>(test: impl Future<Output = T>) -> T {
    // Two threads for blocking work, one of which holds the clock: jobs run one after the other.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .max_blocking_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (release, held) = std::sync::mpsc::channel::<()>();
        // While blocking work is under way, tokio does not move a stopped clock by itself.
        let hold = supervise::blocking("hold the clock", move || held.recv().is_ok());
        let mut hold = Box::pin(hold);
        assert!(hold.as_mut().now_or_never().is_none());
        let result = test.await;
        drop(release);
        hold.await.unwrap();
        result
    })
}

/// It is `instant` now; timers up to then have gone off.
pub(super) async fn to(instant: Instant) {
    let ahead = instant.saturating_duration_since(Instant::now());
    if ahead > Duration::ZERO {
        tokio::time::advance(ahead).await;
    }
}

/// Lets the tasks run, and whoever waits for a disk job or for the store go one step on.
pub(super) async fn pass(store: &Store) {
    yields().await;
    supervise::blocking("pass", || ()).await.unwrap();
    yields().await;
    store.write(|_| Ok(())).await.unwrap();
    yields().await;
}

/// The same `n` times.
pub(super) async fn passes(store: &Store, n: usize) {
    for _ in 0..n {
        pass(store).await;
    }
}

/// Passes until `holds`, without time passing.
pub(super) async fn until(store: &Store, what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..PASSES_MAX {
        if holds() {
            return;
        }
        pass(store).await;
    }
    panic!("{what}: not after {PASSES_MAX} passes");
}

async fn yields() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}
