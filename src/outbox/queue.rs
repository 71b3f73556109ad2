//! Which delivery of a linkage goes next: the waiting rows in memory, in order, without I/O.
//!
//! - Alerts of one door (or camera) go one after the other in the order they were raised; doors do
//!   not wait for each other.
//! - An urgent alert never waits for a routine one: the two are lanes of their own.
//! - What is held (for its clip, for a pause) keeps nobody waiting.
//! - What failed and waits for its next try keeps the lane waiting, so that nothing overtakes it; but
//!   severity 1 goes past what is less severe, and nobody waits longer than [`ORDER_WAIT_MAX`].
//! - A revision of an alert that was delivered before keeps nobody waiting and waits for nobody.
//!
//! Across lanes urgent goes before routine, then what has failed least, then the oldest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::alert::Delivery;
use crate::domain::id::AlertId;
use crate::time::WallTime;

/// An alert that the receiver keeps refusing, while it takes others, holds up its lane for so long:
/// enough for a receiver that restarts, little enough for a duty room.
pub(super) const ORDER_WAIT_MAX: Duration = Duration::from_secs(60);
/// Severities from this one on are routine (as `AlertKind::is_urgent`).
const ROUTINE_SEVERITY_MIN: u8 = 3;

/// A waiting delivery.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) alert: AlertId,
    pub(super) severity: u8,
    pub(super) n_failed: u32,
    pub(super) waiting_since: WallTime,
    /// Not to be tried before.
    pub(super) due_at: Instant,
    /// It waits for its clip or a pause, not after a failure.
    pub(super) held: bool,
    seq: u64,
    lane: Lane,
    failing_since: Option<Instant>,
    in_flight: bool,
}

impl Item {
    /// The item of a waiting delivery that is not to be tried before `due_at`.
    pub(super) fn of(delivery: &Delivery, due_at: Instant, held: bool) -> Item {
        let in_order = delivery.delivered_revision == 0 && !delivery.lane.is_empty();
        let lane = if in_order {
            Lane::Ordered {
                subject: delivery.lane.clone(),
                urgent: delivery.severity < ROUTINE_SEVERITY_MIN,
            }
        } else {
            Lane::Alone(delivery.alert)
        };
        Item {
            alert: delivery.alert,
            severity: delivery.severity,
            n_failed: delivery.n_failed,
            waiting_since: delivery.waiting_since,
            due_at,
            held,
            seq: delivery.seq,
            lane,
            failing_since: None,
            in_flight: false,
        }
    }

    fn rank(&self) -> Rank {
        Rank {
            routine: self.severity >= ROUTINE_SEVERITY_MIN,
            n_failed: self.n_failed,
            seq: self.seq,
            alert: self.alert,
        }
    }

    /// Does it keep those behind it waiting?
    fn blocks(&self, now: Instant) -> bool {
        !self.held && now < self.blocks_until().unwrap_or(self.due_at)
    }

    fn blocks_until(&self) -> Option<Instant> {
        self.failing_since.map(|since| since + ORDER_WAIT_MAX)
    }

    /// When something about it changes by time alone.
    fn timers(&self) -> impl Iterator<Item = (Instant, AlertId)> + use<> {
        let alert = self.alert;
        let until = self.blocks_until().filter(|until| *until < self.due_at);
        std::iter::once(self.due_at)
            .chain(until)
            .map(move |at| (at, alert))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Lane {
    Ordered { subject: String, urgent: bool },
    Alone(AlertId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    routine: bool,
    n_failed: u32,
    seq: u64,
    alert: AlertId,
}

#[derive(Debug, Default)]
struct LaneState {
    /// By the order of their raise.
    items: BTreeMap<u64, AlertId>,
    /// How many are being tried: one, except where a lane was changed during an attempt.
    n_in_flight: usize,
    /// Its place among those that may go.
    ready: Option<Rank>,
}

/// The waiting deliveries of one linkage.
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: HashMap<AlertId, Item>,
    lanes: HashMap<Lane, LaneState>,
    /// The next of each lane that may go now.
    ready: BTreeSet<Rank>,
    /// When items come due, and when they stop keeping their lane waiting.
    timers: BTreeSet<(Instant, AlertId)>,
}

impl Queue {
    /// How many wait, those on their way included.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Every item, in no order.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    /// Is there an item that is not held?
    pub(super) fn has_unheld(&self) -> bool {
        self.items.values().any(|item| !item.held)
    }

    /// Takes in a new or changed item. One that is on its way stays so.
    pub(super) fn put(&mut self, mut item: Item, now: Instant) {
        if let Some(old) = self.unlink(&item.alert) {
            item.in_flight = old.in_flight;
            item.failing_since = old.failing_since;
            if old.lane != item.lane {
                // Who waited behind it may go.
                self.refresh(&old.lane, now);
            }
        }
        item.failing_since = (item.n_failed > 0).then(|| item.failing_since.unwrap_or(now));
        self.link(item, now);
    }

    /// It waits no more.
    pub(super) fn remove(&mut self, alert: &AlertId, now: Instant) {
        if let Some(item) = self.unlink(alert) {
            self.refresh(&item.lane, now);
        }
    }

    /// Takes the next that may go and marks it as on its way.
    pub(super) fn start(&mut self, now: Instant) -> Option<AlertId> {
        self.advance(now);
        let alert = self.ready.first()?.alert;
        let mut item = self.unlink(&alert)?;
        item.in_flight = true;
        self.link(item, now);
        Some(alert)
    }

    /// The attempt is over; `next` when it waits again.
    pub(super) fn finish(&mut self, alert: &AlertId, next: Option<Item>, now: Instant) {
        let Some(mut old) = self.unlink(alert) else {
            return;
        };
        match next {
            Some(item) => {
                old.in_flight = false;
                self.items.insert(*alert, old);
                self.put(item, now);
            }
            None => self.refresh(&old.lane, now),
        }
    }

    /// The severity of what would go next, and whether it was never tried.
    pub(super) fn next_up(&mut self, now: Instant) -> Option<(u8, bool)> {
        self.advance(now);
        let item = self.items.get(&self.ready.first()?.alert)?;
        Some((item.severity, item.n_failed == 0))
    }

    /// The receiver is back: what waits after a failure may go at once.
    pub(super) fn link_is_up(&mut self, now: Instant) {
        let backing_off = |item: &&Item| !item.held && item.due_at > now;
        let alerts: Vec<AlertId> = self
            .items
            .values()
            .filter(backing_off)
            .map(|item| item.alert)
            .collect();
        for alert in alerts {
            if let Some(mut item) = self.unlink(&alert) {
                item.due_at = now;
                self.link(item, now);
            }
        }
    }

    /// When [`Queue::start`] should be asked again, if nothing else happens before.
    pub(super) fn next_due_at(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Since when the one has waited that waits longest and is not held; `None` when none does.
    pub(super) fn oldest(&self) -> Option<WallTime> {
        let unheld = self.items.values().filter(|item| !item.held);
        unheld.map(|item| item.waiting_since).min()
    }

    fn advance(&mut self, now: Instant) {
        while let Some((at, alert)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.remove(&(at, alert));
            if let Some(item) = self.items.get_mut(&alert) {
                // Once its time has come it counts as waiting.
                item.held &= item.due_at > now;
                let lane = item.lane.clone();
                self.refresh(&lane, now);
            }
        }
    }

    fn unlink(&mut self, alert: &AlertId) -> Option<Item> {
        let item = self.items.remove(alert)?;
        for timer in item.timers() {
            self.timers.remove(&timer);
        }
        if let Some(lane) = self.lanes.get_mut(&item.lane) {
            lane.items.remove(&item.seq);
            lane.n_in_flight -= usize::from(item.in_flight);
            if let Some(rank) = lane.ready.take() {
                self.ready.remove(&rank);
            }
            if lane.items.is_empty() {
                self.lanes.remove(&item.lane);
            }
        }
        Some(item)
    }

    fn link(&mut self, item: Item, now: Instant) {
        if !item.in_flight {
            self.timers
                .extend(item.timers().filter(|(at, _)| *at > now));
        }
        let lane = self.lanes.entry(item.lane.clone()).or_default();
        lane.items.insert(item.seq, item.alert);
        lane.n_in_flight += usize::from(item.in_flight);
        let name = item.lane.clone();
        self.items.insert(item.alert, item);
        self.refresh(&name, now);
    }

    /// Finds anew which of the lane may go.
    fn refresh(&mut self, name: &Lane, now: Instant) {
        let next = self.candidate(name, now);
        let Some(lane) = self.lanes.get_mut(name) else {
            return;
        };
        if let Some(old) = lane.ready.take() {
            self.ready.remove(&old);
        }
        lane.ready = next;
        self.ready.extend(next);
    }

    fn candidate(&self, name: &Lane, now: Instant) -> Option<Rank> {
        let lane = self.lanes.get(name)?;
        if lane.n_in_flight > 0 {
            return None;
        }
        // The gravest of those that fail: only what is graver goes past it, which is severity 1 alone.
        let mut blocked_by: Option<u8> = None;
        for alert in lane.items.values() {
            let item = self.items.get(alert)?;
            let goes_past = item.severity == 1 && blocked_by != Some(1);
            if item.due_at <= now && (blocked_by.is_none() || goes_past) {
                return Some(item.rank());
            }
            if item.due_at > now && item.blocks(now) {
                blocked_by = Some(blocked_by.map_or(item.severity, |by| by.min(item.severity)));
            }
            // Only among urgent ones may there be one that goes past.
            let urgent = matches!(name, Lane::Ordered { urgent: true, .. });
            if blocked_by == Some(1) || (blocked_by.is_some() && !urgent) {
                return None;
            }
        }
        None
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
