//! Takes door events one after another and carries each swipe through its commit.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::assemble::{Assembled, Facts, assemble, live_delay};
use super::clips::{ClipDesk, ClipOrder};
use super::commit::{Committed, commit};
use super::conditions::Conditions;
use super::next_card::NextCards;
use super::placement::{Placement, SkewEstimate, SwipeTimes};
use super::shared::{LastSeen, SharedRule};
use crate::domain::access::{Decision, Outcome};
use crate::domain::alert::AlertKind;
use crate::domain::clip::ClipLength;
use crate::domain::id::{CameraId, DoorId, EntryId};
use crate::domain::place::{Door, Place};
use crate::domain::swipe::Swipe;
use crate::door::{Ack, DoorEvent, Doors};
use crate::outbox::Outbox;
use crate::roster::Roster;
use crate::store::{Store, StoreError};
use crate::supervise::crash_point;
use crate::telemetry::Registry;

/// Swipes between decision and commit at once: what one group commit can take.
const IN_FLIGHT_MAX: usize = 256;

/// What the pipeline knows of the site.
#[derive(Clone, Debug)]
pub struct EntryOptions {
    /// Every door by id.
    pub doors: BTreeMap<DoorId, Door>,
    /// Where every camera is.
    pub cameras: BTreeMap<CameraId, Place>,
    /// Doors that ask us for the decision.
    pub online_doors: BTreeSet<DoorId>,
    /// How much is kept around a swipe.
    pub length: ClipLength,
    /// Largest difference between a controller's clock and ours that is taken for none.
    pub clocks_agree_within: Duration,
    /// Longest time that a swipe is believed to have waited on its way: that of footage, since of what is
    /// older there is nothing to show.
    pub late_max: Duration,
    /// What raises `card-shared`.
    pub card_shared: SharedRule,
}

/// The pipeline's hands on the other parts.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// What it knows of the site; replaced when the configuration is read again.
    pub options: Arc<ArcSwap<EntryOptions>>,
    /// Where entries are kept.
    pub store: Store,
    /// Who may enter.
    pub roster: Roster,
    /// Where decisions go.
    pub doors: Doors,
    /// Who has clips made.
    pub clips: ClipDesk,
    /// Who sends alerts.
    pub outbox: Outbox,
    /// Who raises alerts on the state of devices.
    pub conditions: Conditions,
    /// Where cards were in the last moments.
    pub last_seen: LastSeen,
    /// Who waits for an unknown card.
    pub next_cards: NextCards,
    /// What it counts.
    pub metrics: EntryMetrics,
}

/// The pipeline's metrics.
#[derive(Clone, Debug)]
pub struct EntryMetrics {
    swipes: Family<SwipeLabels, Counter>,
    commit_seconds: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SwipeLabels {
    door: String,
    outcome: &'static str,
}

impl EntryMetrics {
    /// Registers `swipes_total{door,outcome}` and `swipe_commit_seconds`.
    pub fn register(registry: &mut Registry) -> EntryMetrics {
        let metrics = EntryMetrics {
            swipes: Family::default(),
            // 0.5 ms to 8 s.
            commit_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 15)),
        };
        registry.register(
            "swipes",
            "Swipes by door and outcome: granted, denied, duplicate, rejected",
            metrics.swipes.clone(),
        );
        registry.register(
            "swipe_commit_seconds",
            "From a swipe's arrival to its durable entry",
            metrics.commit_seconds.clone(),
        );
        metrics
    }

    fn count(&self, door: &DoorId, outcome: &'static str) {
        let labels = SwipeLabels {
            door: door.to_string(),
            outcome,
        };
        self.swipes.get_or_create(&labels).inc();
    }
}

impl Pipeline {
    /// Works until `events` ends or `stop` is cancelled; commits in hand are finished.
    ///
    /// # Errors
    /// [`StoreError`] when a commit fails: the swipe stays unacknowledged and comes again.
    pub async fn run(
        self,
        mut events: mpsc::Receiver<DoorEvent>,
        stop: CancellationToken,
    ) -> Result<(), StoreError> {
        let mut skews: HashMap<DoorId, SkewEstimate> = HashMap::new();
        let mut in_flight = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(done) = in_flight.next(), if !in_flight.is_empty() => done?,
                event = events.recv(), if in_flight.len() < IN_FLIGHT_MAX => match event {
                    Some(event) => in_flight.push(self.clone().take(self.place(event, &mut skews))),
                    None => break,
                },
            }
        }
        while let Some(done) = in_flight.next().await {
            done?;
        }
        Ok(())
    }

    /// Decides when a swipe happened, in arrival order, before commits run side by side.
    fn place(&self, event: DoorEvent, skews: &mut HashMap<DoorId, SkewEstimate>) -> Placed {
        let DoorEvent::Swipe { swipe, ack } = event else {
            return Placed::Other(event);
        };
        let skew = skews.entry(swipe.door.clone()).or_default();
        let options = self.options.load();
        let placement = skew.place(&SwipeTimes {
            key: &swipe.key,
            arrived: swipe.arrived,
            received: swipe.received_at,
            said: swipe.controller_at,
            agree_within: options.clocks_agree_within,
            late_max: options.late_max,
            may_have_waited: swipe.may_have_waited,
            link_is_known: self.doors.knows_link_of(&swipe.door),
        });
        self.doors.set_skew(&swipe.door, skew.skew_ns());
        Placed::Swipe {
            swipe,
            ack,
            placement,
        }
    }

    async fn take(self, placed: Placed) -> Result<(), StoreError> {
        match placed {
            Placed::Swipe {
                swipe,
                ack,
                placement,
            } => self.take_swipe(swipe, ack, placement).await,
            Placed::Other(event) => {
                if let DoorEvent::Reject { reject, .. } = &event
                    && let Some(door) = &reject.door
                {
                    self.metrics.count(door, "rejected");
                }
                self.conditions.take_door_event(event).await
            }
        }
    }

    async fn take_swipe(
        &self,
        swipe: Swipe,
        ack: Ack,
        placement: Placement,
    ) -> Result<(), StoreError> {
        let options = self.options.load_full();
        let Some(door) = options.doors.get(&swipe.door) else {
            // The door module hands over swipes of configured doors only; after a reload one may be
            // in flight for a door that is gone. It is not acknowledged, so it is not lost.
            warn!(door = %swipe.door, "swipe of a door that was removed");
            return Ok(());
        };
        let view = self.roster.view();
        let mut assembled = assemble(
            &swipe,
            &Facts {
                door,
                view: &view,
                hasher: self.roster.card_hasher(),
                length: options.length,
                placement,
            },
        );
        if self.is_shared(&swipe, &assembled, &options.card_shared) {
            assembled.raise(AlertKind::CardShared);
        }
        let (id, decision) = (assembled.entry.id, assembled.entry.decision);
        let order = self.clip_order(&swipe, &assembled, placement);
        let is_unknown = assembled.entry.holder.is_none() && live_delay(placement).is_some();
        let alerts = !assembled.alerts.is_empty();
        let policy = self.outbox.raise_policy();
        crash_point("after_decide_before_commit");
        let committed = self
            .store
            .write(move |txn| commit(txn, assembled, &policy))
            .await?;
        crash_point("after_commit_before_ack");
        ack.done();
        crash_point("after_ack_before_clip");
        self.metrics
            .commit_seconds
            .observe(swipe.arrived.elapsed().as_secs_f64());
        match committed {
            Committed::New => {
                self.answer(&swipe, &decision);
                self.count_decision(&swipe.door, &decision);
                info!(door = %swipe.door, entry = %id, outcome = decision.reason.as_str(), "entry");
                if let Some(card) = swipe.card.as_ref().filter(|_| is_unknown)
                    && self.next_cards.offer(&swipe.door, card)
                {
                    info!(door = %swipe.door, entry = %id, "unknown card captured");
                }
                self.clips.order(order).await?;
                if alerts {
                    self.outbox.wake();
                }
            }
            Committed::Duplicate => {
                debug!(door = %swipe.door, entry = %id, "swipe seen before");
                self.metrics.count(&swipe.door, "duplicate");
                self.answer_again(&swipe, id)?;
            }
        }
        Ok(())
    }

    /// Was the card of a known holder far away just before?
    fn is_shared(&self, swipe: &Swipe, assembled: &Assembled, rule: &SharedRule) -> bool {
        let entry = &assembled.entry;
        let (Some(card), Some(_)) = (&entry.card, &entry.holder) else {
            return false;
        };
        let when = (entry.at, swipe.arrived);
        self.last_seen.note(card.key, &entry.place, when, rule)
    }

    fn answer(&self, swipe: &Swipe, decision: &Decision) {
        if self.options.load().online_doors.contains(&swipe.door) {
            self.doors.decide(&swipe.door, &swipe.key, decision);
        }
    }

    /// A repeated swipe may mean that our first answer was lost.
    fn answer_again(&self, swipe: &Swipe, id: EntryId) -> Result<(), StoreError> {
        if self.options.load().online_doors.contains(&swipe.door)
            && let Some(entry) = self.store.entry(&id)?
        {
            self.doors.decide(&swipe.door, &swipe.key, &entry.decision);
        }
        Ok(())
    }

    fn count_decision(&self, door: &DoorId, decision: &Decision) {
        let outcome = match decision.outcome {
            Outcome::Granted => "granted",
            Outcome::Denied => "denied",
        };
        self.metrics.count(door, outcome);
    }

    fn clip_order(&self, swipe: &Swipe, assembled: &Assembled, placement: Placement) -> ClipOrder {
        let entry = &assembled.entry;
        let cameras = entry
            .clips
            .iter()
            .filter_map(|clip| clip.camera.clone())
            .collect();
        let happened = live_delay(placement).and_then(|delay| swipe.arrived.checked_sub(delay));
        ClipOrder {
            entry: entry.id,
            cameras,
            window: entry.clip().window,
            happened,
        }
    }
}

enum Placed {
    Swipe {
        swipe: Swipe,
        ack: Ack,
        placement: Placement,
    },
    Other(DoorEvent),
}
