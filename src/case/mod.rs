//! The closed loop over alerts, running: steps that people take, deadlines that pass.
//!
//! A case is opened in the transaction that raises its alert (`outbox::raise`), and every move of it
//! is a revision of that alert, in one transaction with its rows (`outbox::move_case`). What may be done
//! and by whom is `domain::case`. The deadlines are rows of the store, looked at from there each time:
//! a restart forgets none and a missed wake-up costs a second.
//!
//! Not here: who asks (`account`, `web`), and who else is told (`outbox`).

mod handover;
mod metrics;
mod pictures;
mod sheet;
mod statistics;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, info_span};

pub use handover::{DoneBy, Handover, NAMED_MAX, OpenCase};
pub use pictures::{PICTURE_BYTES_MAX, PICTURES_MAX, PictureAnswer, PictureError};
pub use sheet::SheetError;
pub use statistics::{
    ALERTS_MAX, Figures, Period, Statistics, StatisticsError, StatisticsQuery, StepTimes,
};

use crate::domain::case::{Case, LISTED_OPEN, MoveKind, Refusal, Step, Taken};
use crate::domain::id::AlertId;
use crate::domain::right::Places;
use crate::domain::role::Actor;
use crate::error::chain;
use crate::outbox::{self, Outbox};
use crate::retry::Backoff;
use crate::store::{Store, StoreError, tables};
use crate::supervise::{BlockingError, Supervisor, blocking, crash_point};
use crate::telemetry::Registry;
use crate::time::{Clock, TimeZone, WallTime};
use metrics::{Metrics, StepOutcome};
use pictures::Pictures;

/// Deadlines are looked at so often even when nobody rings: the wall clock may have been set.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// Cases whose deadline has passed, moved in one transaction.
const EXPIRED_CHUNK: usize = 64;
/// Open cases are counted for the metrics so often.
const COUNT_PERIOD: Duration = Duration::from_secs(10);
/// Summaries reckoned at the same time; more wait.
const RECKONINGS_MAX: usize = 2;
/// Pictures that no case has are looked for so often.
const SWEEP_PERIOD: Duration = Duration::from_secs(24 * 3_600);
/// The timer starts again after this when the store fails, at first and at most.
const RESTART: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepAnswer {
    /// Taken: the case after it. It is on the disk.
    Taken(Box<Case>),
    /// The same actor took the same step just before: the case as it is.
    Repeated(Box<Case>),
    /// Not taken, and why; the case as it is.
    Refused(Refusal, Box<Case>),
    /// The alert has no case: it is of severity 4, or older than cases are.
    NoCase,
    /// There is no such alert.
    NoAlert,
}

/// The cases of the site. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct Cases(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    outbox: Outbox,
    pictures: Pictures,
    zone: TimeZone,
    reckoning: Semaphore,
    metrics: Metrics,
}

/// What cases stand on.
#[derive(Clone, Debug)]
pub struct CasesBase {
    /// Where alerts and cases are.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// What tells receivers of moves, and knows the rules.
    pub outbox: Outbox,
    /// The folder of pictures; made when the first is added.
    pub pictures: PathBuf,
    /// By whose calendar periods are cut.
    pub zone: TimeZone,
}

impl Cases {
    /// The cases of `base`. [`Cases::watch_deadlines`] starts what must run.
    pub fn new(base: CasesBase, registry: &mut Registry) -> Cases {
        Cases(Arc::new(Inner {
            store: base.store,
            clock: base.clock,
            outbox: base.outbox,
            pictures: Pictures::new(base.pictures),
            zone: base.zone,
            reckoning: Semaphore::new(RECKONINGS_MAX),
            metrics: Metrics::register(registry),
        }))
    }

    /// Escalates cases when their deadlines pass, until `supervisor` ends.
    pub fn watch_deadlines(&self, supervisor: &Supervisor) {
        let cases = self.clone();
        let restart = Backoff::new(RESTART.0, RESTART.1, 30)
            .expect("0 < 1 s <= 60 s, and 30 is a percentage");
        let span = info_span!("case-deadlines");
        supervisor.keep("case-deadlines", span, restart, move |token| {
            let cases = cases.clone();
            async move { cases.run(token).await }
        });
    }

    /// Takes `step` on the case of `alert` in the name of `actor`; durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`] of the transaction.
    ///
    /// # Cancel safety
    /// When dropped, the step may or may not be taken; asking again tells (a repeat changes nothing).
    pub async fn take(
        &self,
        alert: AlertId,
        actor: Actor,
        step: Step,
    ) -> Result<StepAnswer, StoreError> {
        let inner = &self.0;
        let (policy, now) = (inner.outbox.raise_policy(), inner.clock.now());
        let kind = step.action.kind();
        let work = move |txn: &mut crate::store::Txn<'_>| {
            let Some(case) = txn.get(tables::CASES, &alert)? else {
                let known = txn.contains(tables::ALERTS, &alert)?;
                return Ok(if known {
                    StepAnswer::NoCase
                } else {
                    StepAnswer::NoAlert
                });
            };
            match case.take(&step, &actor, &policy.cases, now) {
                Ok(Taken::Moved(moved)) => {
                    outbox::move_case(txn, &case, &moved, &policy, now)?;
                    Ok(StepAnswer::Taken(moved))
                }
                Ok(Taken::Repeated) => Ok(StepAnswer::Repeated(Box::new(case))),
                Err(refusal) => Ok(StepAnswer::Refused(refusal, Box::new(case))),
            }
        };
        crash_point("before_case_step");
        let answer = inner.store.write(work).await?;
        crash_point("after_case_step_before_answer");
        match &answer {
            StepAnswer::Taken(case) => {
                info!(%alert, step = kind.as_str(), state = case.state.as_str(), "case moved");
                inner.metrics.step(kind, StepOutcome::Taken);
                inner.outbox.wake();
            }
            StepAnswer::Repeated(_) => inner.metrics.step(kind, StepOutcome::Repeated),
            StepAnswer::Refused(..) => inner.metrics.step(kind, StepOutcome::Refused),
            StepAnswer::NoCase | StepAnswer::NoAlert => {}
        }
        Ok(answer)
    }

    /// The case of `alert`; `None` when it has none.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn of(&self, alert: AlertId) -> Result<Option<Case>, StoreError> {
        self.0.store.get(tables::CASES, &alert)
    }

    /// The time by the clock that cases go by.
    pub fn now(&self) -> WallTime {
        self.0.clock.now()
    }

    /// The figures of the alerts that fit `query`.
    ///
    /// # Errors
    /// [`StatisticsError`]: the store, or too many alerts for one answer.
    pub async fn statistics(&self, query: StatisticsQuery) -> Result<Statistics, StatisticsError> {
        let _turn = self.0.reckoning.acquire().await;
        let (store, zone, now) = (self.0.store.clone(), self.0.zone.clone(), self.now());
        let work = move || statistics::read(&store, &query, &zone, now);
        blocking("statistics", work).await?
    }

    /// The same as a spreadsheet (XLSX).
    ///
    /// # Errors
    /// [`StatisticsError`], as for the figures, or of the spreadsheet.
    pub async fn spreadsheet(&self, query: StatisticsQuery) -> Result<Vec<u8>, StatisticsError> {
        let statistics = self.statistics(query).await?;
        let zone = self.0.zone.clone();
        let bytes = blocking("spreadsheet", move || sheet::write(&statistics, &zone)).await??;
        Ok(bytes)
    }

    /// What the shift from `from` (inclusive) to `to` (exclusive) hands over: what was done in it, and
    /// what is open now, as far as it is at `places`.
    ///
    /// # Errors
    /// [`StatisticsError`]: the store, or too many moves for one answer.
    pub async fn handover(
        &self,
        from: WallTime,
        to: WallTime,
        places: Places,
    ) -> Result<Handover, StatisticsError> {
        let _turn = self.0.reckoning.acquire().await;
        let (store, now) = (self.0.store.clone(), self.now());
        blocking("handover", move || {
            handover::read(&store, (from, to), &places, now)
        })
        .await?
    }

    async fn run(&self, token: CancellationToken) -> Result<(), TimerError> {
        let mut changes = self.0.outbox.changes();
        let (mut counted_at, mut swept_at): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            changes.mark_unchanged();
            let next_due = self.escalate().await.map_err(TimerError::Store)?;
            if counted_at.is_none_or(|at| at.elapsed() >= COUNT_PERIOD) {
                self.count().await?;
                counted_at = Some(Instant::now());
            }
            if swept_at.is_none_or(|at| at.elapsed() >= SWEEP_PERIOD) {
                // Files that stay cost room, nothing else: no reason to let deadlines pass unseen.
                if let Err(err) = self.sweep_pictures().await {
                    error!(error = %chain(&err), "pictures cannot be swept");
                }
                swept_at = Some(Instant::now());
            }
            let poll = Instant::now() + LOOK_PERIOD;
            let next_at = next_due.map_or(poll, |due| self.0.clock.instant_of(due).min(poll));
            tokio::select! {
                biased;
                () = token.cancelled() => return Ok(()),
                // The sender lives as long as the outbox, which we hold.
                Ok(()) = changes.changed() => {}
                () = sleep_until(next_at) => {}
            }
        }
    }

    /// Moves every case whose deadline has passed; returns the next deadline.
    async fn escalate(&self) -> Result<Option<WallTime>, StoreError> {
        let inner = &self.0;
        loop {
            let now = inner.clock.now();
            let mut expired = Vec::new();
            let mut next_due = None;
            for row in inner.store.scan(tables::CASES_DUE, &()).take(EXPIRED_CHUNK) {
                let ((due_at, alert), ()) = row?;
                if due_at > now {
                    next_due = Some(due_at);
                    break;
                }
                expired.push(alert);
            }
            if expired.is_empty() {
                return Ok(next_due);
            }
            let moved = self.expire(expired, now).await?;
            if moved.is_empty() {
                // Others took all their steps in between; the next look, a second from now, sees it.
                return Ok(None);
            }
            crash_point("after_case_escalation");
            for case in &moved {
                let overdue = case.moves.last().map(|made| made.kind) == Some(MoveKind::Overdue);
                info!(
                    alert = %case.alert,
                    tier = case.tier.as_str(),
                    state = case.state.as_str(),
                    overdue,
                    "deadline of a case passed"
                );
                inner.metrics.escalated(case.tier, u64::from(!overdue));
            }
            inner.outbox.wake();
        }
    }

    async fn expire(&self, alerts: Vec<AlertId>, now: WallTime) -> Result<Vec<Case>, StoreError> {
        let policy = self.0.outbox.raise_policy();
        let work = move |txn: &mut crate::store::Txn<'_>| {
            let mut moved = Vec::new();
            for alert in alerts {
                // Someone may have taken the step since the row was read.
                let Some(case) = txn.get(tables::CASES, &alert)? else {
                    continue;
                };
                if let Some(expired) = case.expire(&policy.cases, now) {
                    outbox::move_case(txn, &case, &expired, &policy, now)?;
                    moved.push(expired);
                }
            }
            Ok(moved)
        };
        self.0.store.write(work).await
    }

    /// Counts the open cases for the metrics.
    async fn count(&self) -> Result<(), TimerError> {
        let store = self.0.store.clone();
        let counted = move || {
            let mut n_open = BTreeMap::new();
            for row in store.scan(tables::CASES_BY_TIME, &LISTED_OPEN.to_owned()) {
                metrics::count(&mut n_open, row?.1);
            }
            Ok(n_open)
        };
        let n_open = blocking("count cases", counted)
            .await
            .map_err(TimerError::Blocking)?
            .map_err(TimerError::Store)?;
        self.0.metrics.show(&n_open);
        Ok(())
    }
}

/// Why the timer ended; it is started again.
#[derive(Debug, thiserror::Error)]
enum TimerError {
    #[error("read or write cases")]
    Store(#[source] StoreError),
    #[error("count cases")]
    Blocking(#[source] BlockingError),
}
