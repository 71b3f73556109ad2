//! What streams of alerts read from: the newest steps of the feed, rendered once for all of them, and
//! the store for those who come back from further away.
//!
//! No stream has a queue: each has only its cursor, the number of the last step it was sent. A slow
//! reader holds nothing up and costs nothing but its connection.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::json;
use tokio::sync::{Mutex as Gate, Semaphore, watch};

use super::api::alerts;
use super::problem::Problem;
use crate::domain::alert::Alert;
use crate::domain::case::LISTED_OPEN;
use crate::domain::id::AlertId;
use crate::domain::place::Place;
use crate::domain::right::Places;
use crate::outbox::{FeedBounds, Outbox};
use crate::store::{Store, tables};
use crate::supervise::blocking;
use crate::telemetry::Registry;

/// Steps kept rendered, at most: after a restart most readers are no further behind.
const RING_EVENTS_MAX: usize = 8_192;
/// Bytes kept rendered, at most; an event has about 1 KiB.
const RING_BYTES_MAX: usize = 16 << 20;
/// Bytes sent to one reader at a time, but at least one event.
const CHUNK_BYTES: usize = 64 << 10;
/// Readers that read the store at the same time; more wait their turn.
const FROM_STORE_MAX: usize = 4;
/// Alerts in one part of a snapshot.
const SNAPSHOT_PART: usize = 100;

/// The feed as streams read it. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct LiveFeed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    outbox: Outbox,
    ring: Mutex<Ring>,
    /// Held while new steps are read: one reads, the others wait and find them there.
    gate: Gate<()>,
    from_store: Semaphore,
    n_streams: Gauge,
}

/// All events of the steps after `from`, up to `to`.
#[derive(Debug, Default)]
struct Ring {
    from: u64,
    to: u64,
    bytes: usize,
    events: VecDeque<Rendered>,
    is_filled: bool,
}

/// One step as it is sent.
#[derive(Debug)]
struct Rendered {
    step: u64,
    /// Where the alert is: not every reader may see every place.
    place: Place,
    event: Bytes,
}

/// What a reader gets next.
#[derive(Debug)]
pub(super) struct Batch {
    /// Whole events; may be empty although there are more to come.
    pub(super) events: Bytes,
    /// The reader's cursor after them.
    pub(super) cursor: u64,
    /// Is there nothing more just now?
    pub(super) is_end: bool,
}

/// What a reader's cursor leads to.
#[derive(Debug)]
pub(super) enum Next {
    /// Some events, or none.
    Batch(Batch),
    /// Steps that it has not seen are not kept any more, or it comes from another store.
    Lost(FeedBounds),
}

/// Counts a stream for as long as it lives.
#[derive(Debug)]
pub(super) struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl LiveFeed {
    /// The feed of `outbox`, whose records are in `store`.
    pub fn new(store: Store, outbox: Outbox, registry: &mut Registry) -> LiveFeed {
        let n_streams = Gauge::default();
        registry.register("alert_streams", "Open streams of alerts", n_streams.clone());
        LiveFeed(Arc::new(Inner {
            store,
            outbox,
            ring: Mutex::default(),
            gate: Gate::default(),
            from_store: Semaphore::new(FROM_STORE_MAX),
            n_streams,
        }))
    }

    /// Counts one more stream.
    pub(super) fn count(&self) -> Counted {
        self.0.n_streams.inc();
        Counted(self.0.n_streams.clone())
    }

    /// Changes whenever there may be something new.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.0.outbox.changes()
    }

    /// The number of the newest step; 0 before the first.
    pub(super) fn newest(&self) -> Result<u64, Problem> {
        Ok(self.0.outbox.feed_bounds()?.newest)
    }

    /// What comes after `cursor`, as far as it is at `places`.
    ///
    /// # Cancel safety
    /// Nothing is lost: the caller's cursor is what counts.
    pub(super) async fn after(&self, cursor: u64, places: &Places) -> Result<Next, Problem> {
        self.look_for_new_steps().await?;
        if let Some(batch) = self.0.ring.lock().after(cursor, places) {
            return Ok(Next::Batch(batch));
        }
        let _turn = self.0.from_store.acquire().await;
        let (inner, places) = (Arc::clone(&self.0), places.clone());
        blocking("read feed", move || inner.read_store(cursor, &places)).await?
    }

    async fn look_for_new_steps(&self) -> Result<(), Problem> {
        let newest = self.newest()?;
        let is_there = |ring: &Ring| ring.is_filled && ring.to >= newest;
        if is_there(&self.0.ring.lock()) {
            return Ok(());
        }
        let _alone = self.0.gate.lock().await;
        if is_there(&self.0.ring.lock()) {
            return Ok(());
        }
        let inner = Arc::clone(&self.0);
        blocking("follow feed", move || inner.follow()).await?
    }

    /// The alerts that are open or stand, and that no kept step of the feed tells of, oldest first: what
    /// a reader that was away for too long has to know before it goes on with the feed.
    pub(super) async fn open_alerts(&self) -> Result<VecDeque<AlertId>, Problem> {
        let _turn = self.0.from_store.acquire().await;
        let inner = Arc::clone(&self.0);
        blocking("snapshot", move || inner.open_alerts()).await?
    }

    /// The next part of a snapshot, with its alerts at `places` as they are now, as an event; `last_id` is
    /// given to the last part.
    pub(super) async fn snapshot_part(
        &self,
        left: &mut VecDeque<AlertId>,
        (reason, last_id): (&'static str, u64),
        places: &Places,
    ) -> Result<Bytes, Problem> {
        let part: Vec<AlertId> = left.drain(..left.len().min(SNAPSHOT_PART)).collect();
        let n_left = left.len();
        let (inner, places) = (Arc::clone(&self.0), places.clone());
        let rendered = move || {
            let mut items = Vec::new();
            for id in part {
                let alert = inner.store.get(tables::ALERTS, &id)?;
                if let Some(alert) = alert.filter(|alert| places.has(&alert.place)) {
                    items.push(alerts::event(&inner.store, alert)?);
                }
            }
            let told = json!({
                "reason": reason, "alerts": items, "left": n_left, "resumes_after": last_id,
            });
            let id = (n_left == 0).then_some(last_id);
            Ok(event("snapshot", id, &told.to_string()))
        };
        blocking("snapshot", rendered).await?
    }
}

impl Inner {
    /// Reads the new steps into the ring, or begins it anew with the newest when it is not to be
    /// continued: the first time, and when nobody read for so long that it is far behind.
    fn follow(&self) -> Result<(), Problem> {
        loop {
            let bounds = self.outbox.feed_bounds()?;
            let to = self.ring.lock().continue_within(bounds);
            let page = self.outbox.feed_after(to)?;
            let mut rendered = Vec::with_capacity(page.records.len());
            for record in page.records {
                rendered.push(Rendered {
                    step: record.step,
                    place: record.alert.place.clone(),
                    event: self.render(record.step, record.alert)?,
                });
            }
            // What was pruned while it was read may be missing from the page.
            if self.outbox.feed_bounds()?.pruned_to > to {
                continue;
            }
            self.ring.lock().push(rendered, page.read_to);
            if page.is_end {
                return Ok(());
            }
        }
    }

    fn read_store(&self, cursor: u64, places: &Places) -> Result<Next, Problem> {
        let page = self.outbox.feed_after(cursor)?;
        // After the page was read: what is pruned meanwhile is noticed.
        let bounds = self.outbox.feed_bounds()?;
        if !bounds.has_all_after(cursor) {
            return Ok(Next::Lost(bounds));
        }
        let mut batch = Batch {
            events: Bytes::new(),
            cursor: page.read_to,
            is_end: page.is_end,
        };
        let mut bytes = BytesMut::new();
        for record in page.records {
            if bytes.len() >= CHUNK_BYTES {
                batch.is_end = false;
                break;
            }
            if places.has(&record.alert.place) {
                bytes.extend_from_slice(&self.render(record.step, record.alert)?);
            }
            batch.cursor = record.step;
        }
        if batch.is_end {
            batch.cursor = page.read_to;
        }
        batch.events = bytes.freeze();
        Ok(Next::Batch(batch))
    }

    fn render(&self, step: u64, alert: Alert) -> Result<Bytes, Problem> {
        let shown = alerts::event(&self.store, alert)?;
        let json = serde_json::to_string(&shown).map_err(|err| Problem::internal(&err))?;
        Ok(event("alert", Some(step), &json))
    }

    fn open_alerts(&self) -> Result<VecDeque<AlertId>, Problem> {
        let mut open = Vec::new();
        for row in self
            .store
            .scan(tables::CASES_BY_TIME, &LISTED_OPEN.to_owned())
        {
            open.push(row?.0.2);
        }
        for row in self.store.scan(tables::CONDITIONS, &()) {
            open.push(row?.1);
        }
        let mut untold: HashSet<AlertId> = open.iter().copied().collect();
        for row in self.store.scan(tables::ALERT_FEED, &()) {
            untold.remove(&row?.1.alert);
        }
        // Each once: a standing condition may have an open case, too.
        Ok(open.into_iter().filter(|id| untold.remove(id)).collect())
    }
}

impl Ring {
    /// Begins anew unless all steps after its last are kept and not too many; the step to go on after.
    fn continue_within(&mut self, bounds: FeedBounds) -> u64 {
        let begin = bounds.newest.saturating_sub(RING_EVENTS_MAX as u64);
        let begin = begin.max(bounds.pruned_to);
        if !self.is_filled || self.to < begin {
            *self = Ring {
                from: begin,
                to: begin,
                is_filled: true,
                ..Ring::default()
            };
        }
        self.to
    }

    /// What comes after `cursor` at `places`; `None` when that is further back than the ring, or ahead of it.
    fn after(&self, cursor: u64, places: &Places) -> Option<Batch> {
        if !self.is_filled || cursor < self.from || cursor > self.to {
            return None;
        }
        let first = self.events.partition_point(|one| one.step <= cursor);
        let mut batch = Batch {
            events: Bytes::new(),
            cursor: self.to,
            is_end: true,
        };
        let mut bytes = BytesMut::new();
        let mut last = cursor;
        for one in self.events.range(first..) {
            if bytes.len() >= CHUNK_BYTES {
                (batch.cursor, batch.is_end) = (last, false);
                break;
            }
            if places.has(&one.place) {
                bytes.extend_from_slice(&one.event);
            }
            last = one.step;
        }
        batch.events = bytes.freeze();
        Some(batch)
    }

    fn push(&mut self, events: Vec<Rendered>, to: u64) {
        for one in events {
            self.bytes += one.event.len();
            self.events.push_back(one);
        }
        self.to = to;
        while self.events.len() > RING_EVENTS_MAX || self.bytes > RING_BYTES_MAX {
            let Some(Rendered { step, event, .. }) = self.events.pop_front() else {
                return;
            };
            self.bytes -= event.len();
            self.from = step;
        }
    }
}

/// One event of a stream (WHATWG HTML, 9.2.6). `data` has no line breaks, as JSON has none.
pub(super) fn event(kind: &str, id: Option<u64>, data: &str) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("{id}event: {kind}\ndata: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(steps: std::ops::RangeInclusive<u64>, bytes: usize) -> Vec<Rendered> {
        let of = |step| Rendered {
            step,
            place: Place::Compound,
            event: Bytes::from(vec![b'x'; bytes]),
        };
        steps.map(of).collect()
    }

    fn read_all(ring: &Ring, mut cursor: u64) -> (usize, u64) {
        let mut n_bytes = 0;
        loop {
            let batch = ring.after(cursor, &Places::ALL).unwrap();
            assert!(batch.cursor > cursor || batch.is_end);
            n_bytes += batch.events.len();
            cursor = batch.cursor;
            if batch.is_end {
                return (n_bytes, cursor);
            }
        }
    }

    #[test]
    fn whoever_reads_in_chunks_reads_each_event_once() {
        let mut ring = Ring {
            from: 10,
            to: 10,
            is_filled: true,
            ..Ring::default()
        };
        ring.push(events(11..=300, 1_000), 305);
        assert_eq!(read_all(&ring, 10), (290_000, 305));
        assert_eq!(read_all(&ring, 299), (1_000, 305));
        assert_eq!(
            read_all(&ring, 303),
            (0, 305),
            "a step that was passed over"
        );
        assert!(ring.after(9, &Places::ALL).is_none() && ring.after(306, &Places::ALL).is_none());
    }

    #[test]
    fn who_may_not_see_a_place_passes_over_its_events() {
        let mut ring = Ring {
            is_filled: true,
            ..Ring::default()
        };
        let mut some = events(1..=4, 10);
        some[2].place = Place::new("b03-u2").unwrap();
        ring.push(some, 4);
        let places = Places::only([Place::new("b03-u2").unwrap()].into());
        let batch = ring.after(0, &places).unwrap();
        assert_eq!(
            (batch.events.len(), batch.cursor, batch.is_end),
            (10, 4, true)
        );
    }

    #[test]
    fn the_ring_is_bounded_and_knows_from_where_on_it_is_whole() {
        let mut ring = Ring {
            is_filled: true,
            ..Ring::default()
        };
        let n = RING_EVENTS_MAX as u64;
        ring.push(events(1..=n + 5, 1), n + 5);
        assert_eq!((ring.from, ring.events.len()), (5, RING_EVENTS_MAX));
        assert!(ring.after(4, &Places::ALL).is_none());
        assert_eq!(read_all(&ring, 5), (RING_EVENTS_MAX, n + 5));
        ring.push(events(n + 6..=n + 6, RING_BYTES_MAX), n + 6);
        assert_eq!((ring.from, ring.bytes), (n + 5, RING_BYTES_MAX));
    }

    #[test]
    fn a_ring_that_missed_pruned_steps_or_is_far_behind_begins_anew() {
        let mut ring = Ring::default();
        let bounds = |pruned_to, newest| FeedBounds { pruned_to, newest };
        assert_eq!(ring.continue_within(bounds(3, 10)), 3);
        ring.push(events(4..=10, 1), 10);
        assert_eq!(
            ring.continue_within(bounds(10, 12)),
            10,
            "nothing is missing"
        );
        assert_eq!(ring.continue_within(bounds(11, 12)), 11);
        assert!(ring.after(10, &Places::ALL).is_none() && ring.events.is_empty());
        let far = RING_EVENTS_MAX as u64 + 100;
        assert_eq!(ring.continue_within(bounds(11, far)), 100);
    }

    #[test]
    fn an_event_is_lines_and_an_empty_one() {
        assert_eq!(
            event("alert", Some(7), "{}"),
            "id: 7\nevent: alert\ndata: {}\n\n"
        );
        assert_eq!(
            event("snapshot", None, "{}"),
            "event: snapshot\ndata: {}\n\n"
        );
    }
}
