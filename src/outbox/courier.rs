//! One worker for each linkage: takes what waits, delivers it, records what came of it.
//!
//! It starts from the rows in the store and follows the feed of alert changes from there, so a
//! restart, a missed wake-up and the usual case run through the same code. At least once: a crash
//! between receipt and commit delivers again under the same key.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _, OptionFuture};
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, debug_span, error, info, warn};

use super::OutboxEvent;
use super::attempt::{Attempts, Settled, Verdict};
use super::link::{Link, Turn};
use super::metrics::LinkageMetrics;
use super::queue::{Item, Queue};
use super::raise::{self, LinkagePolicy};
use super::{OutboxOptions, delivery};
use crate::domain::alert::{CLIP_HOLD_MAX, Delivery, DeliveryState};
use crate::domain::id::AlertId;
use crate::error::chain;
use crate::linkage::{DeliveryError, Linkage, SiteFacts};
use crate::store::{Store, StoreError, tables};
use crate::telemetry::{Health, State};
use crate::time::Clock;

/// The feed is read so often even when nobody rings.
const FEED_POLL: Duration = Duration::from_secs(1);
/// Steps of the feed taken at once.
const FEED_CHUNK: usize = 1_024;
/// Deliveries given up in one transaction.
const GIVE_UP_CHUNK: usize = 256;
/// While the receiver is down, what waited too long is looked for so often.
const GIVE_UP_PERIOD: Duration = Duration::from_secs(60);
/// Nothing is given up sooner after the start: a wall clock that was wrong until now would otherwise
/// make everything look old.
const GIVE_UP_UPTIME: Duration = Duration::from_secs(600);
/// At shutdown, attempts on their way have so long.
const LAST_ATTEMPTS: Duration = Duration::from_secs(5);

/// What a courier works with; the same for each of its lives.
pub(super) struct Duty {
    pub(super) linkage: Arc<dyn Linkage>,
    pub(super) policy: LinkagePolicy,
    pub(super) options: OutboxOptions,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) facts: Arc<ArcSwap<SiteFacts>>,
    pub(super) health: Health,
    pub(super) metrics: LinkageMetrics,
    pub(super) events: mpsc::Sender<OutboxEvent>,
    pub(super) wake: watch::Receiver<()>,
    /// Set when rows changed without a step in the feed (retried by hand): all are read again.
    pub(super) reload: Arc<AtomicBool>,
}

struct Courier {
    duty: Arc<Duty>,
    attempts: Arc<Attempts>,
    queue: Queue,
    link: Link,
    feed_step: u64,
    /// Those in the dead letters.
    dead: HashSet<AlertId>,
    /// Were the others told that the receiver is down? `None`: nothing yet in this life; what an earlier
    /// one said is not known here, so the first state that is sure is told in any case.
    told_down: Option<bool>,
    /// How many wait, as who raises was told last.
    n_told: usize,
    looked_at: Instant,
    swept_at: Instant,
    started_at: Instant,
}

/// Delivers until `token` is cancelled.
///
/// # Errors
/// [`StoreError`] when the store cannot be read or written; it is started again.
pub(super) async fn run(duty: Arc<Duty>, token: CancellationToken) -> Result<(), StoreError> {
    let mut courier = Courier::new(duty);
    courier.load()?;
    match courier.work(token).await {
        Err(StoreError::Closed) => Ok(()),
        other => other,
    }
}

impl Courier {
    fn new(duty: Arc<Duty>) -> Courier {
        let now = Instant::now();
        let options = &duty.options;
        let link = Link::new(options.backoff, options.probe_period, now);
        let attempts = Arc::new(Attempts {
            linkage: Arc::clone(&duty.linkage),
            include: duty.policy.include.clone(),
            rules: delivery::RetryRules {
                backoff: options.backoff,
                give_up_after: duty.policy.give_up_after,
            },
            store: duty.store.clone(),
            clock: duty.clock.clone(),
            facts: Arc::clone(&duty.facts),
        });
        Courier {
            duty,
            attempts,
            queue: Queue::default(),
            link,
            feed_step: 0,
            dead: HashSet::new(),
            told_down: None,
            n_told: 0,
            looked_at: now,
            swept_at: now,
            started_at: now,
        }
    }

    /// Reads every waiting row. What changes while it reads comes again through the feed.
    fn load(&mut self) -> Result<(), StoreError> {
        self.feed_step = raise::newest_step(&self.duty.store)?;
        let store = self.duty.store.clone();
        let linkage = self.duty.policy.id.clone();
        for row in store.scan(tables::OUTBOX, &linkage) {
            let ((_, _, alert), ()) = row?;
            self.refresh(alert)?;
        }
        self.dead.clear();
        for row in store.scan(tables::DEAD_LETTERS, &linkage) {
            let ((_, _, alert), ()) = row?;
            self.dead.insert(alert);
        }
        self.look_after(true);
        Ok(())
    }

    async fn work(&mut self, token: CancellationToken) -> Result<(), StoreError> {
        let mut wake = self.duty.wake.clone();
        let mut on_the_way = FuturesUnordered::new();
        let mut probing: Option<BoxFuture<'static, Result<(), DeliveryError>>> = None;
        while !token.is_cancelled() {
            if self.duty.reload.swap(false, Ordering::AcqRel) {
                self.load()?;
            }
            self.follow_feed()?;
            self.send_what_may_go(&mut on_the_way);
            if probing.is_none() && on_the_way.is_empty() && self.link.probe_due(Instant::now()) {
                self.link.probing(Instant::now());
                probing = Some(probe(Arc::clone(&self.duty.linkage)));
            }
            self.sweep().await?;
            self.look_after(false);
            let next_at = self.next_at(probing.is_some() || !on_the_way.is_empty());
            tokio::select! {
                biased;
                () = token.cancelled() => {}
                Some(settled) = on_the_way.next() => self.take(settled)?,
                Some(outcome) = OptionFuture::from(probing.as_mut()) => {
                    probing = None;
                    self.take_probe(outcome);
                }
                // The sender lives as long as the outbox, which ends us first.
                Ok(()) = wake.changed() => {}
                () = sleep_until(next_at) => {}
            }
        }
        // What the receiver takes in these seconds need not be sent again after the restart.
        let last = async {
            while let Some(settled) = on_the_way.next().await {
                self.take(settled)?;
            }
            Ok(())
        };
        timeout(LAST_ATTEMPTS, last).await.unwrap_or(Ok(()))
    }

    fn send_what_may_go(
        &mut self,
        on_the_way: &mut FuturesUnordered<BoxFuture<'static, Result<Settled, StoreError>>>,
    ) {
        loop {
            let now = Instant::now();
            if on_the_way.len() >= self.duty.options.in_flight_max {
                return;
            }
            let Some((severity, fresh)) = self.queue.next_up(now) else {
                return;
            };
            let fresh_urgent = fresh && severity <= 2;
            if !self.link.may_send(on_the_way.len(), fresh_urgent, now) {
                return;
            }
            let Some(alert) = self.queue.start(now) else {
                return;
            };
            let span = debug_span!("delivery", linkage = %self.duty.policy.id, %alert);
            let attempt = Arc::clone(&self.attempts).make(alert);
            on_the_way.push(attempt.instrument(span).boxed());
        }
    }

    /// Takes in the steps of the feed since the last look.
    fn follow_feed(&mut self) -> Result<(), StoreError> {
        loop {
            let from = self.feed_step + 1;
            let rows = self
                .duty
                .store
                .range(tables::ALERT_FEED, &(), Some(&from), None);
            let mut changed = BTreeSet::new();
            let mut n_read = 0;
            for row in rows.take(FEED_CHUNK) {
                let (step, change) = row?;
                self.feed_step = step;
                changed.insert(change.alert);
                n_read += 1;
            }
            for alert in changed {
                self.refresh(alert)?;
            }
            if n_read < FEED_CHUNK {
                return Ok(());
            }
        }
    }

    /// Takes in how a delivery stands in the store.
    fn refresh(&mut self, alert: AlertId) -> Result<(), StoreError> {
        let now = Instant::now();
        match self.waiting(alert)? {
            Some(row) => self.queue.put(self.item(&row), now),
            None => self.queue.remove(&alert, now),
        }
        Ok(())
    }

    /// The delivery's row if it waits; keeps count of the dead ones.
    fn waiting(&mut self, alert: AlertId) -> Result<Option<Delivery>, StoreError> {
        let key = (alert, self.duty.policy.id.clone());
        let row = self.duty.store.get(tables::DELIVERIES, &key)?;
        if row
            .as_ref()
            .is_some_and(|row| row.state == DeliveryState::Dead)
        {
            self.dead.insert(alert);
        } else {
            self.dead.remove(&alert);
        }
        Ok(row.filter(|row| row.state == DeliveryState::Waiting))
    }

    fn item(&self, row: &Delivery) -> Item {
        let wall = self.duty.clock.now();
        // Bounded, so that a wall clock that was set back holds nothing up for hours.
        let wait = row.not_before.since(wall).min(CLIP_HOLD_MAX * 2);
        Item::of(row, Instant::now() + wait, row.is_held(wall))
    }

    /// Takes in what came of an attempt.
    fn take(&mut self, settled: Result<Settled, StoreError>) -> Result<(), StoreError> {
        let settled = settled?;
        let now = Instant::now();
        // Read again: a revision may have been committed after the attempt's own commit.
        let next = self.waiting(settled.alert)?.map(|row| self.item(&row));
        self.queue.finish(&settled.alert, next, now);
        let metrics = &self.duty.metrics;
        let turn = match settled.verdict {
            Verdict::Taken { first_after } => {
                metrics.taken.inc();
                metrics.delivered.inc();
                if let Some(after) = first_after {
                    metrics.delivery_seconds.observe(after.as_secs_f64());
                }
                self.link.answered(now)
            }
            Verdict::Refused => {
                metrics.refused.inc();
                self.link.answered(now)
            }
            Verdict::Failed {
                reason,
                unreachable,
                retry_after,
            } => {
                metrics.failed.inc();
                self.link.failed(&reason, unreachable, retry_after, now)
            }
            Verdict::Gone => None,
        };
        self.turn(turn);
        Ok(())
    }

    fn take_probe(&mut self, outcome: Result<(), DeliveryError>) {
        let now = Instant::now();
        let turn = match outcome {
            Ok(()) if self.link.is_down() && self.queue.has_unheld() => {
                self.queue.link_is_up(now);
                self.link.invite(now);
                None
            }
            Ok(()) => self.link.answered(now),
            Err(err) => {
                let reason = chain(&err).to_string();
                self.link.failed(&reason, true, err.retry_after(), now)
            }
        };
        self.turn(turn);
    }

    fn turn(&mut self, turn: Option<Turn>) {
        match turn {
            Some(Turn::Up) => {
                info!(n_waiting = self.queue.len(), "linkage is up");
                self.queue.link_is_up(Instant::now());
            }
            Some(Turn::Down) => {
                let reason = self.link.down().map_or("", |(_, reason)| reason);
                warn!(reason, n_waiting = self.queue.len(), "linkage is down");
            }
            None => return,
        }
        self.look_after(true);
    }

    /// When there is something to do without being called.
    fn next_at(&self, busy: bool) -> Instant {
        let poll = Instant::now() + FEED_POLL;
        let mut next_at = self.queue.next_due_at().map_or(poll, |at| at.min(poll));
        if !busy {
            next_at = next_at.min(self.link.next_at());
        }
        next_at
    }

    /// Gives up what waited too long while the receiver is down; up, every attempt sees to that.
    async fn sweep(&mut self) -> Result<(), StoreError> {
        let now = Instant::now();
        let Some((_, reason)) = self.link.down() else {
            return Ok(());
        };
        if now - self.swept_at < GIVE_UP_PERIOD || now - self.started_at < GIVE_UP_UPTIME {
            return Ok(());
        }
        let (wall, patience) = (self.duty.clock.now(), self.duty.policy.give_up_after);
        let too_long = |item: &&Item| wall.since(item.waiting_since) >= patience;
        let old: Vec<AlertId> = self
            .queue
            .items()
            .filter(too_long)
            .map(|item| item.alert)
            .take(GIVE_UP_CHUNK)
            .collect();
        if old.len() < GIVE_UP_CHUNK {
            self.swept_at = now;
        }
        if old.is_empty() {
            return Ok(());
        }
        let n_given_up = self
            .attempts
            .give_up(old.clone(), reason.to_owned())
            .await?;
        error!(n_given_up, "alerts given up; they are in the dead letters");
        for alert in old {
            self.refresh(alert)?;
        }
        Ok(())
    }

    /// Says how it is: health, gauges, and to the others when the receiver is down for long.
    fn look_after(&mut self, at_once: bool) {
        let now = Instant::now();
        if !at_once && now - self.looked_at < FEED_POLL {
            return;
        }
        self.looked_at = now;
        let n_waiting = self.queue.len();
        self.tell_backlog(n_waiting);
        let metrics = &self.duty.metrics;
        metrics.waiting.set(gauge(n_waiting));
        metrics.dead.set(gauge(self.dead.len()));
        metrics.up.set(i64::from(self.link.is_up()));
        let wall = self.duty.clock.now();
        let age = self.queue.oldest().map(|since| wall.since(since));
        let age_s = age.unwrap_or_default().as_secs();
        metrics
            .oldest_age_seconds
            .set(i64::try_from(age_s).unwrap_or(i64::MAX));
        let (state, reason) = self.condition(n_waiting, age_s);
        self.duty.health.set(state, &reason);
        self.tell(now);
    }

    /// Tells who raises how many wait. What was raised since the last look is added, in the queue or not:
    /// a bound that is met a little early is better than one that is passed.
    fn tell_backlog(&mut self, n_waiting: usize) {
        let n_told = self.n_told;
        let with_raised = |now: usize| n_waiting + now.saturating_sub(n_told);
        let backlog = &self.duty.policy.backlog;
        let before = backlog.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            Some(with_raised(now))
        });
        self.n_told = with_raised(before.unwrap_or(n_told));
    }

    fn condition(&self, n_waiting: usize, age_s: u64) -> (State, String) {
        if n_waiting >= self.duty.policy.rows_max {
            let reason = format!(
                "{n_waiting} alerts wait, as many as may: new ones of severity 2 to 4 go to the dead \
                 letters until the receiver takes some"
            );
            return (State::Failed, reason);
        }
        if let Some((_, reason)) = self.link.down() {
            let reason = format!("{reason}; {n_waiting} alerts wait, the oldest for {age_s} s");
            return (State::Degraded, reason);
        }
        if !self.dead.is_empty() {
            let reason = format!(
                "{} alerts are in the dead letters: see why, then retry them",
                self.dead.len()
            );
            return (State::Degraded, reason);
        }
        if self.link.is_up() {
            (State::Ok, String::new())
        } else {
            (State::Starting, "not heard of yet".to_owned())
        }
    }

    fn tell(&mut self, now: Instant) {
        let linkage = self.duty.policy.id.clone();
        let event = match self.link.down() {
            Some((since, reason)) if self.told_down != Some(true) => {
                if now - since < self.duty.options.down_after {
                    return;
                }
                let reason = reason.to_owned();
                OutboxEvent::LinkageDown { linkage, reason }
            }
            None if self.link.is_up() && self.told_down != Some(false) => {
                OutboxEvent::LinkageUp { linkage }
            }
            Some(_) | None => return,
        };
        // A full channel is tried again at the next look; what counts is the newest state.
        match self.duty.events.try_send(event) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {
                self.told_down = Some(self.link.is_down());
            }
            Err(mpsc::error::TrySendError::Full(_)) => debug!("nobody takes linkage events"),
        }
    }
}

/// Asks a receiver whether it is there, within a bound.
pub(super) fn probe(linkage: Arc<dyn Linkage>) -> BoxFuture<'static, Result<(), DeliveryError>> {
    async move {
        let within = super::attempt::ATTEMPT_MAX;
        match timeout(within, linkage.probe()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(DeliveryError::TimedOut(within)),
        }
    }
    .boxed()
}

fn gauge(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
