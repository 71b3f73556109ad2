//! The only spawner: every task is named, spanned, cancellable, and what happens when it ends is
//! written where it starts.
//!
//! Three kinds: `spawn` runs once, `keep` starts again after a failure with backoff, `vital` ends
//! the gateway when it fails. A panic is never swallowed: it is logged, and treated as a failure.

mod lane;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, error, info, warn};

use crate::error::chain;
use crate::retry::Backoff;
use lane::Lane;

/// Starts tasks and ends them in order. Cheap to clone; clones share one set of tasks.
#[derive(Clone, Debug)]
pub struct Supervisor {
    token: CancellationToken,
    tracker: TaskTracker,
    fatal: Arc<watch::Sender<Option<String>>>,
    /// Where tasks run; `None`: on the runtime of who starts them.
    lane: Option<Arc<Lane>>,
}

/// Tasks did not end within their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{n_left} tasks did not end within {}s", .within.as_secs())]
pub struct ShutdownTimeout {
    /// How many were still running.
    pub n_left: usize,
    /// How long we waited.
    pub within: Duration,
}

/// Work on the blocking pool panicked, or the runtime is going away.
#[derive(Debug, thiserror::Error)]
#[error("run {name} on the blocking pool")]
pub struct BlockingError {
    name: &'static str,
    #[source]
    source: tokio::task::JoinError,
}

impl Default for Supervisor {
    fn default() -> Supervisor {
        Supervisor::new()
    }
}

impl Supervisor {
    /// A supervisor with no tasks.
    pub fn new() -> Supervisor {
        Supervisor {
            token: CancellationToken::new(),
            tracker: TaskTracker::new(),
            fatal: Arc::new(watch::Sender::new(None)),
            lane: None,
        }
    }

    /// A group of its own that can be ended alone; it ends with its parent, and a failed vital task
    /// in it is the parent's failure too.
    pub fn group(&self) -> Supervisor {
        Supervisor {
            token: self.token.child_token(),
            tracker: TaskTracker::new(),
            fatal: Arc::clone(&self.fatal),
            lane: self.lane.clone(),
        }
    }

    /// A group like [`Supervisor::group`] whose tasks, and those of its groups, run on a thread `name` of
    /// their own that rests for `rest` before it looks for work: for many sockets whose bytes may gather.
    /// Whatever wakes a task there, it runs up to `rest` later. The thread ends with the last clone.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn on_resting_thread(&self, name: &str, rest: Duration) -> std::io::Result<Supervisor> {
        let lane = Lane::start(self, name, rest)?;
        Ok(Supervisor {
            lane: Some(Arc::new(lane)),
            ..self.group()
        })
    }

    /// Cancelled when this supervisor's tasks are asked to end.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Runs `task` once. It must end soon after [`Supervisor::token`] is cancelled.
    pub fn spawn<F>(&self, name: &str, span: Span, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name: Arc<str> = Arc::from(name);
        let guarded = async move {
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                error!(task = %name, panic = panic_text(&*panic), "task panicked");
            }
        };
        self.start(guarded.instrument(span));
    }

    /// Runs what `make` makes; when that fails or panics, again after a delay of `backoff`, until it
    /// returns `Ok` or the supervisor is told to stop. `make` gets the token to watch.
    pub fn keep<M, F, E>(&self, name: &str, span: Span, backoff: Backoff, mut make: M)
    where
        M: FnMut(CancellationToken) -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let name: Arc<str> = Arc::from(name);
        let token = self.token.clone();
        let task = async move {
            let mut delays = backoff.delays();
            while !token.is_cancelled() {
                match AssertUnwindSafe(make(token.clone())).catch_unwind().await {
                    Ok(Ok(())) => return,
                    Ok(Err(err)) => warn!(task = %name, error = %chain(&err), "task failed"),
                    Err(panic) => {
                        error!(task = %name, panic = panic_text(&*panic), "task panicked");
                    }
                }
                tokio::select! {
                    biased;
                    () = token.cancelled() => return,
                    () = tokio::time::sleep(delays.next_delay()) => {}
                }
            }
        };
        self.start(task.instrument(span));
    }

    /// Runs `task`, without which the gateway is no use: when it fails, panics, or ends although nobody
    /// cancelled [`Supervisor::token`], [`Supervisor::failed`] tells, and the process ends non-zero.
    pub fn vital<F, E>(&self, name: &str, span: Span, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let name: Arc<str> = Arc::from(name);
        let fatal = Arc::clone(&self.fatal);
        let token = self.token.clone();
        let guarded = async move {
            let why = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) if token.is_cancelled() => return,
                Ok(Ok(())) => "it ended before it was asked to".to_owned(),
                Ok(Err(err)) => chain(&err).to_string(),
                Err(panic) => format!("panic: {}", panic_text(&*panic)),
            };
            error!(task = %name, error = %why, "vital task ended");
            first(&fatal, format!("{name}: {why}"));
        };
        self.start(guarded.instrument(span));
    }

    /// Says from outside a task that the gateway cannot go on (for example from the store's thread). The
    /// first failure is the one that is told: the others follow from it.
    pub fn fail(&self, why: String) {
        first(&self.fatal, why);
    }

    /// Waits until a vital task has failed; says which and why.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost when it is dropped.
    pub async fn failed(&self) -> String {
        let mut receiver = self.fatal.subscribe();
        match receiver.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // The sender lives as long as `self`.
            Err(_) => std::future::pending().await,
        }
    }

    /// Asks every task to end and waits for them.
    ///
    /// # Errors
    /// [`ShutdownTimeout`] when some still run after `within`.
    pub async fn shutdown(&self, within: Duration) -> Result<(), ShutdownTimeout> {
        self.token.cancel();
        self.tracker.close();
        match tokio::time::timeout(within, self.tracker.wait()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(ShutdownTimeout {
                n_left: self.tracker.len(),
                within,
            }),
        }
    }

    fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.lane {
            Some(lane) => self.tracker.spawn_on(task, &lane.handle),
            None => self.tracker.spawn(task),
        };
    }
}

fn first(fatal: &watch::Sender<Option<String>>, why: String) {
    fatal.send_if_modified(|told| {
        let is_first = told.is_none();
        told.get_or_insert(why);
        is_first
    });
}

/// Runs `work`, which may block for long (disk, FFmpeg, hashing), on the blocking pool.
///
/// # Errors
/// [`BlockingError`] when `work` panicked or the runtime is shutting down.
///
/// # Cancel safety
/// Dropping the future does not stop `work`, it only drops its result.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts blocking work"
)]
pub async fn blocking<T, W>(name: &'static str, work: W) -> Result<T, BlockingError>
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
        .await
        .map_err(|source| BlockingError { name, source })
}

/// Starts an operating-system thread for work that blocks for the life of the process (the store's
/// writer, a foreign runtime). A panic in it ends the gateway through `supervisor`.
///
/// # Errors
/// When the system cannot start a thread.
pub fn thread<W>(
    supervisor: &Supervisor,
    name: &str,
    work: W,
) -> std::io::Result<std::thread::JoinHandle<()>>
where
    W: FnOnce() + Send + 'static,
{
    let supervisor = supervisor.clone();
    let task: Arc<str> = Arc::from(name);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(work)) {
                let why = panic_text(&*panic).to_owned();
                error!(%task, panic = why, "thread panicked");
                supervisor.fail(format!("{task}: panic: {why}"));
            } else {
                info!(%task, "thread ended");
            }
        })
}

/// The environment variable that arms a crash point in a build with debug assertions.
const CRASH_AT: &str = "STAIRGATE_CRASH_AT";

/// The armed crash point: its name and how many passes of it are left.
static ARMED: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();

/// Arms the crash point `spec`: its name, or `name:n` for its n-th pass. The first call in a process
/// wins; for the hidden option of `run` that crash tests of a release build use.
pub fn arm_crash_point(spec: &str) {
    ARMED.get_or_init(|| Some(read_crash_point(spec)));
}

/// A named place between two steps that must be atomic in effect. Does nothing, unless a crash test
/// armed it (by `STAIRGATE_CRASH_AT=name` or `name:n`, read only with debug assertions): then the
/// process ends at once, as it would by `kill -9`, with nothing flushed and nothing dropped.
pub fn crash_point(name: &'static str) {
    let armed = ARMED.get_or_init(|| {
        let spec = cfg!(debug_assertions).then(|| std::env::var(CRASH_AT).ok());
        spec.flatten().map(|spec| read_crash_point(&spec))
    });
    if let Some((at, n_left)) = armed
        && at == name
        && n_left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        error!(crash_point = name, "ending at an armed crash point");
        std::process::abort();
    }
}

fn read_crash_point(spec: &str) -> (String, AtomicU64) {
    let (name, n) = spec.split_once(':').unwrap_or((spec, "1"));
    (name.to_owned(), AtomicU64::new(n.parse().unwrap_or(1)))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "a panic without text"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Debug, thiserror::Error)]
    #[error("no luck")]
    struct NoLuck;

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(1), Duration::from_millis(4), 0).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_task_starts_again_after_failure_and_panic() {
        let supervisor = Supervisor::new();
        let n_started = Arc::new(AtomicU32::new(0));
        let (done_tx, done_rx) = tokio::sync::oneshot::channel();
        let mut done_tx = Some(done_tx);
        let seen = Arc::clone(&n_started);
        supervisor.keep("test", Span::none(), backoff(), move |_| {
            let n = seen.fetch_add(1, Ordering::Relaxed);
            let done = if n == 2 { done_tx.take() } else { None };
            async move {
                match n {
                    0 => Err(NoLuck),
                    1 => panic!("worse"),
                    _ => {
                        done.unwrap().send(()).unwrap();
                        Ok(())
                    }
                }
            }
        });
        done_rx.await.unwrap();
        assert_eq!(n_started.load(Ordering::Relaxed), 3);
        supervisor.shutdown(Duration::from_secs(1)).await.unwrap();
    }

    #[tokio::test]
    async fn a_vital_failure_is_told() {
        let supervisor = Supervisor::new();
        supervisor
            .group()
            .vital("store", Span::none(), async { Err(NoLuck) });
        assert_eq!(supervisor.failed().await, "store: no luck");
        supervisor.fail("swipes: the store is closed".to_owned());
        assert_eq!(supervisor.failed().await, "store: no luck", "the cause");
    }

    #[tokio::test(start_paused = true)]
    async fn a_vital_task_that_ends_unasked_is_a_failure_and_one_that_is_asked_is_none() {
        let supervisor = Supervisor::new();
        let group = supervisor.group();
        let asked = group.token();
        group.vital("asked", Span::none(), async move {
            asked.cancelled().await;
            Ok::<(), NoLuck>(())
        });
        group.shutdown(Duration::from_secs(1)).await.unwrap();
        let failed = tokio::time::timeout(Duration::from_secs(1), supervisor.failed()).await;
        assert!(
            failed.is_err(),
            "an end that was asked for is none: {failed:?}"
        );
        supervisor.vital("unasked", Span::none(), async { Ok::<(), NoLuck>(()) });
        let why = supervisor.failed().await;
        assert_eq!(why, "unasked: it ended before it was asked to");
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_says_when_a_task_hangs() {
        let supervisor = Supervisor::new();
        supervisor.spawn("stuck", Span::none(), std::future::pending());
        let err = supervisor
            .shutdown(Duration::from_secs(3))
            .await
            .unwrap_err();
        assert_eq!(err.n_left, 1);
    }
}
