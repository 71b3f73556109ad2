//! Deliveries for people: listed page by page, tried again one by one or all at once, and the old
//! ones forgotten.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tracing::info;

use super::feed;
use super::raise::{self, LINKAGES_MAX};
use crate::domain::alert::{Delivery, DeliveryState};
use crate::domain::id::{AlertId, LinkageId};
use crate::store::{Store, StoreError, Txn, tables};
use crate::time::WallTime;

/// Rows of a page, at most (contract, section 4).
pub const PAGE_MAX: usize = 500;
/// Alerts looked at for one page of all deliveries: a filter that fits few does not stall the caller.
const ALERTS_PER_PAGE_MAX: usize = 5_000;
/// Rows changed in one transaction.
const CHUNK: usize = 256;

/// The name of a delivery: `<alert>.<linkage>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryId {
    /// Which alert.
    pub alert: AlertId,
    /// To whom.
    pub linkage: LinkageId,
}

/// Text that is not the name of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery's id is <alert>.<linkage>")]
pub struct DeliveryIdError;

impl DeliveryId {
    /// The name of `delivery`.
    pub fn of(delivery: &Delivery) -> DeliveryId {
        DeliveryId {
            alert: delivery.alert,
            linkage: delivery.linkage.clone(),
        }
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.alert, self.linkage)
    }
}

impl FromStr for DeliveryId {
    type Err = DeliveryIdError;

    fn from_str(text: &str) -> Result<DeliveryId, DeliveryIdError> {
        let (alert, linkage) = text.split_once('.').ok_or(DeliveryIdError)?;
        match (alert.parse(), linkage.parse()) {
            (Ok(alert), Ok(linkage)) => Ok(DeliveryId { alert, linkage }),
            _ => Err(DeliveryIdError),
        }
    }
}

/// Which deliveries are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Only those to this linkage.
    pub linkage: Option<LinkageId>,
}

/// Where a listing goes on: opaque to callers, which only hand it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryCursor {
    raised_at: WallTime,
    id: DeliveryId,
}

/// Text that is not a cursor of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of a list of deliveries")]
pub struct DeliveryCursorError;

impl fmt::Display for DeliveryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.raised_at.unix_ns(), self.id)
    }
}

impl FromStr for DeliveryCursor {
    type Err = DeliveryCursorError;

    fn from_str(text: &str) -> Result<DeliveryCursor, DeliveryCursorError> {
        let (ns, id) = text.split_once('.').ok_or(DeliveryCursorError)?;
        match (ns.parse(), id.parse()) {
            (Ok(ns), Ok(id)) => Ok(DeliveryCursor {
                raised_at: WallTime::from_unix_ns(ns),
                id,
            }),
            _ => Err(DeliveryCursorError),
        }
    }
}

/// One page of deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryPage {
    /// The rows. Waiting and dead ones: by linkage, then oldest first; others: newest alert first.
    pub items: Vec<Delivery>,
    /// Where the next page begins; `None` after the last. A page may be short, even empty, and not
    /// the last.
    pub next: Option<DeliveryCursor>,
}

/// A page of the deliveries that fit `filter`, after `cursor`, at most `limit` (clamped to 1 to 500).
pub(super) fn list(
    store: &Store,
    filter: &DeliveryFilter,
    cursor: Option<&DeliveryCursor>,
    limit: usize,
) -> Result<DeliveryPage, StoreError> {
    let limit = limit.clamp(1, PAGE_MAX);
    match filter.state {
        Some(DeliveryState::Waiting | DeliveryState::Dead) => {
            list_unfinished(store, filter, cursor, limit)
        }
        Some(DeliveryState::Delivered) | None => list_by_time(store, filter, cursor, limit),
    }
}

/// From the lists that exist for just this: what waits, what is dead.
fn list_unfinished(
    store: &Store,
    filter: &DeliveryFilter,
    cursor: Option<&DeliveryCursor>,
    limit: usize,
) -> Result<DeliveryPage, StoreError> {
    let table = match filter.state {
        Some(DeliveryState::Dead) => tables::DEAD_LETTERS,
        Some(DeliveryState::Waiting | DeliveryState::Delivered) | None => tables::OUTBOX,
    };
    let from = cursor.map(|at| (at.id.linkage.clone(), at.raised_at, at.id.alert));
    let mut page = DeliveryPage::default();
    let mut rows: Box<dyn Iterator<Item = _>> = match &filter.linkage {
        Some(linkage) => Box::new(store.range(table, linkage, from.as_ref(), None)),
        None => Box::new(store.range(table, &(), from.as_ref(), None)),
    };
    // The row at the cursor was the last of the page before.
    let after = |row: &(LinkageId, WallTime, AlertId)| from.as_ref() != Some(row);
    for row in rows.by_ref() {
        let (key, ()) = row?;
        if !after(&key) {
            continue;
        }
        if let Some(last) = page.items.last()
            && page.items.len() == limit
        {
            page.next = Some(cursor_at(last));
            break;
        }
        let (linkage, _, alert) = key;
        // It may have moved on between the two reads.
        if let Some(delivery) = store.get(tables::DELIVERIES, &(alert, linkage))? {
            page.items.push(delivery);
        }
    }
    Ok(page)
}

fn list_by_time(
    store: &Store,
    filter: &DeliveryFilter,
    cursor: Option<&DeliveryCursor>,
    limit: usize,
) -> Result<DeliveryPage, StoreError> {
    let until = cursor.map(|at| (at.raised_at, at.id.alert));
    let mut page = DeliveryPage::default();
    let fits = |delivery: &Delivery| {
        filter.state.is_none_or(|state| delivery.state == state)
            && filter
                .linkage
                .as_ref()
                .is_none_or(|id| delivery.linkage == *id)
    };
    // The rest of the cursor's own alert, then those raised before it.
    if let Some(at) = cursor {
        let rows = deliveries_of(store, at.id.alert)?;
        let rest = rows.into_iter().filter(|row| row.linkage > at.id.linkage);
        page.items.extend(rest.filter(fits));
    }
    let alerts = store.range(tables::ALERTS_BY_TIME, &(), None, until.as_ref());
    for (n_looked_at, row) in alerts.rev().enumerate() {
        if page.items.len() > limit || n_looked_at == ALERTS_PER_PAGE_MAX {
            break;
        }
        let ((raised_at, alert), ()) = row?;
        let rows = deliveries_of(store, alert)?;
        if n_looked_at + 1 == ALERTS_PER_PAGE_MAX
            && let Some(last) = rows.last()
        {
            page.next = Some(DeliveryCursor {
                raised_at,
                id: DeliveryId::of(last),
            });
        }
        page.items.extend(rows.into_iter().filter(fits));
    }
    if page.items.len() > limit {
        page.items.truncate(limit);
        page.next = page.items.last().map(cursor_at);
    }
    Ok(page)
}

fn deliveries_of(store: &Store, alert: AlertId) -> Result<Vec<Delivery>, StoreError> {
    let rows = store.scan(tables::DELIVERIES, &alert);
    rows.map(|row| row.map(|(_, delivery)| delivery)).collect()
}

fn cursor_at(delivery: &Delivery) -> DeliveryCursor {
    DeliveryCursor {
        raised_at: delivery.raised_at,
        id: DeliveryId::of(delivery),
    }
}

/// What became of the wish to try a delivery again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It waits for its next attempt.
    TakenUp,
    /// It was not given up: it waits or has been delivered.
    NotDead,
    /// Its linkage is no longer configured; it stays where it is.
    LinkageGone,
    /// There is no such delivery.
    Unknown,
}

/// Tries a dead delivery again, if its linkage `is_configured`.
pub(super) async fn retry(
    store: &Store,
    id: DeliveryId,
    is_configured: bool,
    now: WallTime,
) -> Result<Retried, StoreError> {
    let key = (id.alert, id.linkage);
    if !is_configured {
        let is_there = store.get(tables::DELIVERIES, &key)?.is_some();
        return Ok(if is_there {
            Retried::LinkageGone
        } else {
            Retried::Unknown
        });
    }
    let work = move |txn: &mut Txn<'_>| retry_row(txn, &key, now);
    store.write(work).await
}

/// Tries all dead deliveries of `linkage` again; returns how many. Each once: what the receiver refuses
/// again meanwhile stays dead.
pub(super) async fn retry_all(
    store: &Store,
    linkage: &LinkageId,
    now: WallTime,
) -> Result<usize, StoreError> {
    let mut n_retried = 0;
    let mut last: Option<DeadRow> = None;
    loop {
        let (reading, linkage, from) = (store.clone(), linkage.clone(), last.clone());
        let find = move || dead_after(&reading, &linkage, from.as_ref());
        let rows = match crate::supervise::blocking("dead-letters", find).await {
            Ok(found) => found?,
            Err(_) => return Err(StoreError::Closed),
        };
        let Some(newest) = rows.last() else {
            return Ok(n_retried);
        };
        last = Some(newest.clone());
        let work = move |txn: &mut Txn<'_>| {
            let mut n_changed = 0;
            for (linkage, _, alert) in rows {
                let changed = retry_row(txn, &(alert, linkage), now)?;
                n_changed += usize::from(changed == Retried::TakenUp);
            }
            Ok(n_changed)
        };
        n_retried += store.write(work).await?;
    }
}

type DeadRow = (LinkageId, WallTime, AlertId);

/// The next dead letters of `linkage` after the row `from`, in the order of the table.
fn dead_after(
    store: &Store,
    linkage: &LinkageId,
    from: Option<&DeadRow>,
) -> Result<Vec<DeadRow>, StoreError> {
    let rows = store.range(tables::DEAD_LETTERS, linkage, from, None);
    rows.map(|row| row.map(|(key, ())| key))
        .filter(|row| row.as_ref().map_or(true, |key| Some(key) != from))
        .take(CHUNK)
        .collect()
}

fn retry_row(
    txn: &mut Txn<'_>,
    key: &(AlertId, LinkageId),
    now: WallTime,
) -> Result<Retried, StoreError> {
    let Some(old) = txn.get(tables::DELIVERIES, key)? else {
        return Ok(Retried::Unknown);
    };
    let mut row = old.clone();
    if !row.retried(now) {
        return Ok(Retried::NotDead);
    }
    raise::put(txn, Some(&old), &row)?;
    Ok(Retried::TakenUp)
}

/// Forgets delivered rows, steps of the feed and counted occurrences that are older than `kept`.
/// Waiting rows and dead letters stay, and so do the alerts. Returns how many rows went.
pub(super) async fn prune(
    store: &Store,
    kept: Duration,
    now: WallTime,
) -> Result<usize, StoreError> {
    let before = now.minus(kept);
    let reading = store.clone();
    let find = move || find_old(&reading, before);
    let old = match crate::supervise::blocking("outbox-prune", find).await {
        Ok(found) => found?,
        Err(_) => return Err(StoreError::Closed),
    };
    let n_old = old.deliveries.len() + old.steps.len() + old.counted.len();
    for chunk in old.deliveries.chunks(CHUNK) {
        let chunk = chunk.to_vec();
        let work = move |txn: &mut Txn<'_>| {
            for key in &chunk {
                // It may have been revised since it was found.
                let row = txn.get(tables::DELIVERIES, key)?;
                if row.is_some_and(|row| is_old(&row, before)) {
                    txn.delete(tables::DELIVERIES, key);
                }
            }
            Ok(())
        };
        store.write(work).await?;
    }
    for chunk in old.steps.chunks(CHUNK) {
        let chunk = chunk.to_vec();
        let work = move |txn: &mut Txn<'_>| {
            for step in &chunk {
                txn.delete(tables::ALERT_FEED, step);
            }
            // Found in order, so the last of them is the highest.
            match chunk.last() {
                Some(step) => feed::note_pruned(txn, *step),
                None => Ok(()),
            }
        };
        store.write(work).await?;
    }
    for chunk in old.counted.chunks(CHUNK) {
        let chunk = chunk.to_vec();
        let work = move |txn: &mut Txn<'_>| {
            chunk.iter().for_each(|id| txn.delete(tables::COUNTED, id));
            Ok(())
        };
        store.write(work).await?;
    }
    if n_old > 0 {
        info!(n_old, "old rows of the outbox forgotten");
    }
    Ok(n_old)
}

#[derive(Default)]
struct Old {
    deliveries: Vec<(AlertId, LinkageId)>,
    steps: Vec<u64>,
    counted: Vec<AlertId>,
}

fn find_old(store: &Store, before: WallTime) -> Result<Old, StoreError> {
    let mut old = Old::default();
    let until = (before, AlertId::from_bytes([0; 16]));
    for row in store.range(tables::ALERTS_BY_TIME, &(), None, Some(&until)) {
        let ((_, alert), ()) = row?;
        for row in store.scan(tables::DELIVERIES, &alert).take(LINKAGES_MAX) {
            let (key, delivery) = row?;
            if is_old(&delivery, before) {
                old.deliveries.push(key);
            }
        }
    }
    for row in store.scan(tables::ALERT_FEED, &()) {
        let (step, change) = row?;
        if change.at >= before {
            break;
        }
        old.steps.push(step);
    }
    for row in store.scan(tables::COUNTED, &()) {
        let (id, counted) = row?;
        if counted.at < before {
            old.counted.push(id);
        }
    }
    Ok(old)
}

fn is_old(delivery: &Delivery, before: WallTime) -> bool {
    let taken_before = delivery.delivered_at.is_some_and(|at| at < before);
    delivery.state == DeliveryState::Delivered && taken_before
}
