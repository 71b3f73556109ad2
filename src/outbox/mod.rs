//! Alerts that always arrive: a durable outbox with one courier for each linkage.
//!
//! An alert and a delivery for each linkage that wants it are written in the transaction of their
//! cause ([`raise`]). From then on the alert is delivered at least once to each, in the order of its
//! door, under a key by which the receiver recognises a repeat, until it is taken, refused for good,
//! or given up after days; then it is a dead letter that people see and can send again. One receiver
//! that is away delays no other.
//!
//! Not here: what is in a message and how it travels (`linkage`), who handles an alert (`case`).

mod aggregate;
mod attempt;
mod cases;
mod courier;
mod delivery;
mod feed;
mod link;
mod listing;
mod metrics;
mod queue;
mod raise;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tracing::{error, info_span, warn};

pub use aggregate::FloodOptions;
pub use cases::{move_case, remove_case};
pub use feed::{FEED_PAGE_MAX, FeedBounds, FeedPage, FeedRecord};
pub use listing::{
    DeliveryCursor, DeliveryCursorError, DeliveryFilter, DeliveryId, DeliveryIdError, DeliveryPage,
    PAGE_MAX, Retried,
};
pub use raise::{
    Change, GIVE_UP_AFTER, Kinds, LINKAGES_MAX, LinkagePolicy, ROWS_MAX, RaisePolicy, count_more,
    raise, revise,
};

use crate::domain::alert::DeliveryState;
use crate::domain::case::CaseRules;
use crate::domain::id::LinkageId;
use crate::error::chain;
use crate::linkage::{DeliveryError, Linkage, SiteFacts};
use crate::retry::Backoff;
use crate::store::{Store, StoreError};
use crate::supervise::Supervisor;
use crate::telemetry::{Health, HealthBoard, Registry, State};
use crate::time::Clock;
use courier::Duty;
use metrics::Metrics;

/// Changes of linkages that wait for who raises alerts on them.
const EVENTS_MAX: usize = 64;
/// Old rows are looked for so often.
const PRUNE_PERIOD: Duration = Duration::from_secs(6 * 3_600);
/// A courier whose store fails starts again after this, at first and at most.
const RESTART: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Couriers that are told to end have so long: their last attempts and a commit.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// How the outbox works. The defaults are the contract's.
#[derive(Clone, Copy, Debug)]
pub struct OutboxOptions {
    /// When alerts are counted together.
    pub flood: FloodOptions,
    /// Between attempts at one delivery, and between knocks at a receiver that is down.
    pub backoff: Backoff,
    /// A receiver is reported as down to the others when it has been so for this long.
    pub down_after: Duration,
    /// A receiver that nothing is sent to is asked this often whether it is there.
    pub probe_period: Duration,
    /// Attempts at one linkage at the same time, each at another door; at least 1.
    pub in_flight_max: usize,
    /// How long delivered rows, the feed and counted occurrences are kept.
    pub kept: Duration,
}

impl Default for OutboxOptions {
    fn default() -> OutboxOptions {
        OutboxOptions {
            flood: FloodOptions::default(),
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(60), 30)
                .expect("0 < 0.5 s <= 60 s, and 30 is a percentage"),
            down_after: Duration::from_secs(10),
            probe_period: Duration::from_secs(30),
            in_flight_max: 16,
            kept: Duration::from_secs(30 * 86_400),
        }
    }
}

/// Something the others should be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboxEvent {
    /// A receiver has been down for a while.
    LinkageDown {
        /// Which.
        linkage: LinkageId,
        /// What it met; for people.
        reason: String,
    },
    /// A receiver takes alerts: for the first time since the start, or again after it was reported as down.
    LinkageUp {
        /// Which.
        linkage: LinkageId,
    },
}

/// A linkage and what it gets.
#[derive(Clone, Debug)]
pub struct LinkageSetup {
    /// How to reach it.
    pub linkage: Arc<dyn Linkage>,
    /// What it gets; of the same id.
    pub policy: LinkagePolicy,
}

/// What the outbox stands on.
#[derive(Clone, Debug)]
pub struct OutboxBase {
    /// Where alerts and deliveries are.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Where its tasks run.
    pub supervisor: Supervisor,
    /// Where it says how it is, as `linkage/<id>` and `outbox`.
    pub board: HealthBoard,
}

/// The running outbox. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: OutboxBase,
    options: OutboxOptions,
    policy: ArcSwap<RaisePolicy>,
    case_rules: ArcSwap<CaseRules>,
    facts: Arc<ArcSwap<SiteFacts>>,
    metrics: Metrics,
    events: mpsc::Sender<OutboxEvent>,
    wake: watch::Sender<()>,
    couriers: Mutex<BTreeMap<LinkageId, Hand>>,
    health: Health,
}

/// What the outbox holds of one courier.
#[derive(Debug)]
struct Hand {
    linkage: Arc<dyn Linkage>,
    group: Supervisor,
    reload: Arc<AtomicBool>,
}

impl Outbox {
    /// Starts a courier for each of `linkages` (at most [`LINKAGES_MAX`], each id once), which go on
    /// with what waits for them in the store. Take the events, and raise `linkage-down` to the others;
    /// the first event of a life tells how the receiver is, whatever an earlier life has said of it.
    ///
    /// # Errors
    /// [`StoreError`] when the waiting rows cannot be read.
    pub fn start(
        base: OutboxBase,
        options: OutboxOptions,
        linkages: Vec<LinkageSetup>,
        facts: SiteFacts,
        registry: &mut Registry,
    ) -> Result<(Outbox, mpsc::Receiver<OutboxEvent>), StoreError> {
        let (events, events_rx) = mpsc::channel(EVENTS_MAX);
        let outbox = Outbox(Arc::new(Inner {
            health: base.board.component("outbox"),
            options,
            policy: ArcSwap::default(),
            case_rules: ArcSwap::default(),
            facts: Arc::new(ArcSwap::from_pointee(facts)),
            metrics: Metrics::register(registry),
            events,
            wake: watch::Sender::new(()),
            couriers: Mutex::default(),
            base,
        }));
        outbox.employ(linkages)?;
        outbox.prune_from_time_to_time();
        Ok((outbox, events_rx))
    }

    /// How alerts are raised and to whom they go; for [`raise`].
    pub fn raise_policy(&self) -> Arc<RaisePolicy> {
        self.0.policy.load_full()
    }

    /// What cases that are opened or moved from now on are held to. What stands keeps its deadline.
    pub fn set_case_rules(&self, rules: CaseRules) {
        let rules = Arc::new(rules);
        self.0.case_rules.store(Arc::clone(&rules));
        self.0.policy.rcu(|policy| {
            let mut policy = RaisePolicy::clone(policy);
            policy.cases = Arc::clone(&rules);
            policy
        });
    }

    /// Changes whenever something may have been raised or revised; where to look is `ALERT_FEED`.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.wake.subscribe()
    }

    /// Tells the couriers that something was raised or revised and is durable by now.
    pub fn wake(&self) {
        self.0.wake.send_replace(());
    }

    /// Takes other linkages and facts: ends the couriers, which finish what they have in hand, and
    /// starts the new ones.
    ///
    /// # Errors
    /// [`StoreError`] when the waiting rows cannot be read.
    pub async fn reload(
        &self,
        linkages: Vec<LinkageSetup>,
        facts: SiteFacts,
    ) -> Result<(), StoreError> {
        self.stop().await;
        self.0.facts.store(Arc::new(facts));
        self.employ(linkages)
    }

    /// Tells receivers other facts of the site from now on; the couriers go on.
    pub fn set_facts(&self, facts: SiteFacts) {
        self.0.facts.store(Arc::new(facts));
    }

    /// Asks a receiver now whether it is there, and gives it nothing; `None`: there is no such linkage.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn probe(&self, linkage: &LinkageId) -> Option<Result<(), DeliveryError>> {
        let linkage = {
            let couriers = self.0.couriers.lock();
            Arc::clone(&couriers.get(linkage)?.linkage)
        };
        Some(courier::probe(linkage).await)
    }

    /// What receivers are told of the site.
    pub fn facts(&self) -> Arc<SiteFacts> {
        self.0.facts.load_full()
    }

    /// Ends the couriers; each may finish the attempts it has in hand, for 5 s at most. What waits stays
    /// in the store.
    pub async fn stop(&self) {
        let hands = std::mem::take(&mut *self.0.couriers.lock());
        for hand in hands.values() {
            hand.group.token().cancel();
        }
        for (linkage, hand) in hands {
            if let Err(err) = hand.group.shutdown(STOP_WITHIN).await {
                error!(%linkage, error = %chain(&err), "courier did not end");
            }
        }
    }

    /// A page of the deliveries that fit `filter`, after `cursor`, at most `limit` (1 to
    /// [`PAGE_MAX`]).
    ///
    /// # Errors
    /// [`StoreError`] when rows cannot be read.
    pub fn list(
        &self,
        filter: &DeliveryFilter,
        cursor: Option<&DeliveryCursor>,
        limit: usize,
    ) -> Result<DeliveryPage, StoreError> {
        listing::list(&self.0.base.store, filter, cursor, limit)
    }

    /// Sends a dead delivery again, if its linkage is configured: nobody would send it otherwise.
    ///
    /// # Errors
    /// [`StoreError`] of the transaction.
    pub async fn retry(&self, id: DeliveryId) -> Result<Retried, StoreError> {
        let now = self.0.base.clock.now();
        let is_configured = self.raise_policy().names(&id.linkage);
        let retried = listing::retry(&self.0.base.store, id, is_configured, now).await?;
        self.rows_changed();
        Ok(retried)
    }

    /// Sends all dead deliveries again, of one linkage or of all that are configured; returns how many.
    ///
    /// # Errors
    /// [`StoreError`] of a transaction.
    pub async fn retry_all(&self, linkage: Option<&LinkageId>) -> Result<usize, StoreError> {
        let now = self.0.base.clock.now();
        let policy = self.raise_policy();
        let mut n_retried = 0;
        for known in &policy.linkages {
            if linkage.is_none_or(|linkage| *linkage == known.id) {
                n_retried += listing::retry_all(&self.0.base.store, &known.id, now).await?;
            }
        }
        self.rows_changed();
        Ok(n_retried)
    }

    /// Forgets what is older than the options say: delivered rows, steps of the feed, counted
    /// occurrences. Never what waits, dead letters or alerts. Returns how many rows went. Runs by
    /// itself every few hours.
    ///
    /// # Errors
    /// [`StoreError`] of a transaction.
    pub async fn prune(&self) -> Result<usize, StoreError> {
        let now = self.0.base.clock.now();
        listing::prune(&self.0.base.store, self.0.options.kept, now).await
    }

    fn rows_changed(&self) {
        for hand in self.0.couriers.lock().values() {
            hand.reload.store(true, Ordering::Release);
        }
        self.wake();
    }

    fn employ(&self, linkages: Vec<LinkageSetup>) -> Result<(), StoreError> {
        let inner = &self.0;
        let policies: Vec<LinkagePolicy> =
            linkages.iter().map(|setup| setup.policy.clone()).collect();
        self.look_for_orphans(&policies)?;
        inner.policy.store(Arc::new(RaisePolicy {
            linkages: policies,
            flood: inner.options.flood,
            cases: inner.case_rules.load_full(),
        }));
        let mut couriers = inner.couriers.lock();
        for setup in linkages {
            let id = setup.policy.id.clone();
            couriers.insert(id, self.employ_one(setup));
        }
        Ok(())
    }

    fn employ_one(&self, setup: LinkageSetup) -> Hand {
        let (inner, base) = (&self.0, &self.0.base);
        let id = setup.policy.id.clone();
        let reload = Arc::new(AtomicBool::new(false));
        let linkage = Arc::clone(&setup.linkage);
        let duty = Arc::new(Duty {
            linkage: setup.linkage,
            policy: setup.policy,
            options: inner.options,
            store: base.store.clone(),
            clock: base.clock.clone(),
            facts: Arc::clone(&inner.facts),
            health: base.board.component(format!("linkage/{id}")),
            metrics: inner.metrics.of(&id),
            events: inner.events.clone(),
            wake: inner.wake.subscribe(),
            reload: Arc::clone(&reload),
        });
        let group = base.supervisor.group();
        let span = info_span!("courier", linkage = %id);
        let restart = Backoff::new(RESTART.0, RESTART.1, 30)
            .expect("0 < 1 s <= 60 s, and 30 is a percentage");
        group.keep(&format!("courier/{id}"), span, restart, move |token| {
            courier::run(Arc::clone(&duty), token)
        });
        Hand {
            linkage,
            group,
            reload,
        }
    }

    /// Alerts that wait for a linkage which is no longer configured wait on, and someone is told.
    fn look_for_orphans(&self, policies: &[LinkagePolicy]) -> Result<(), StoreError> {
        let mut n_orphans: BTreeMap<LinkageId, usize> = BTreeMap::new();
        let known = |id: &LinkageId| policies.iter().any(|policy| policy.id == *id);
        for row in self.0.base.store.scan(crate::store::tables::OUTBOX, &()) {
            let ((linkage, _, _), ()) = row?;
            if !known(&linkage) {
                *n_orphans.entry(linkage).or_default() += 1;
            }
        }
        if n_orphans.is_empty() {
            self.0.health.ok();
            return Ok(());
        }
        let mut reason = String::from("no longer configured, but alerts wait for it:");
        for (linkage, n_waiting) in &n_orphans {
            warn!(%linkage, n_waiting, state = DeliveryState::Waiting.as_str(), "linkage is no longer configured");
            reason.push_str(&format!(" {linkage} ({n_waiting})"));
        }
        self.0.health.set(State::Degraded, &reason);
        Ok(())
    }

    fn prune_from_time_to_time(&self) {
        let outbox = Arc::downgrade(&self.0);
        let token = self.0.base.supervisor.token();
        let task = async move {
            let mut timer = tokio::time::interval(PRUNE_PERIOD);
            loop {
                tokio::select! {
                    biased;
                    () = token.cancelled() => return,
                    _ = timer.tick() => {}
                }
                let Some(inner) = outbox.upgrade() else {
                    return;
                };
                if let Err(err) = Outbox(inner).prune().await {
                    error!(error = %chain(&err), "old rows of the outbox stay");
                }
            }
        };
        let span = info_span!("outbox-prune");
        self.0.base.supervisor.spawn("outbox-prune", span, task);
    }
}
