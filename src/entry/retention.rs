//! Removes entries and dedup keys that are past their time, in small steps.

use std::collections::BTreeSet;
use std::time::Duration;

use super::commit::remove_entry;
use crate::domain::alert::{Delivery, DeliveryState};
use crate::domain::id::{AlertId, EntryId, LinkageId};
use crate::outbox::{self, LINKAGES_MAX};
use crate::store::{Record, Store, StoreError, Table, Txn, tables};
use crate::time::WallTime;

/// Rows removed in one transaction, so that swipes are not kept waiting.
const BATCH_MAX: usize = 256;
/// Dedup keys outlive their entries by this factor, so that a replayed swipe makes no second entry.
const SEEN_FACTOR: u32 = 2;

/// Alerts are kept at least this long, since the outbox keeps steps of its feed for so long.
const ALERTS_KEPT_MIN: Duration = Duration::from_secs(31 * 86_400);
/// Alerts outlive entries of their time by so long: one that counts a flood is named by entries of a day,
/// and steps that tell of it are looked for every six hours.
const ALERTS_LINGER: Duration = Duration::from_secs(2 * 86_400);

/// Removes entries that arrived before `now - keep`, their alerts when none is still under way, and
/// dedup keys twice as old; returns how many entries. `now` must be a wall clock that is trusted.
///
/// # Errors
/// [`StoreError`] of a transaction.
pub async fn remove_old(store: &Store, now: WallTime, keep: Duration) -> Result<usize, StoreError> {
    let mut n_removed = 0;
    loop {
        let old = older_than(store, tables::ENTRIES, now.minus(keep))?;
        if old.is_empty() {
            break;
        }
        n_removed += old.len();
        store
            .write(move |txn| {
                for row in old {
                    remove_entry(txn, row.1)?;
                    // Also when it has no dedup key any more, so that this ends.
                    txn.delete(tables::ENTRIES, &row);
                }
                Ok(())
            })
            .await?;
    }
    let alerts_kept = keep.max(ALERTS_KEPT_MIN) + ALERTS_LINGER;
    remove_old_alerts(store, now.minus(alerts_kept)).await?;
    loop {
        let old = older_than(store, tables::SEEN_ALONE, now.minus(keep * SEEN_FACTOR))?;
        if old.is_empty() {
            return Ok(n_removed);
        }
        let remove = move |txn: &mut Txn<'_>| {
            for row in old {
                txn.delete(tables::SEEN, &row.1);
                txn.delete(tables::SEEN_ALONE, &row);
            }
            Ok(())
        };
        store.write(remove).await?;
    }
}

/// Removes alerts raised before `limit` with their deliveries and their case, but none that is still
/// under way, none whose case is open, none that stands or stood after `limit`, and none whose entry is
/// kept.
async fn remove_old_alerts(store: &Store, limit: WallTime) -> Result<(), StoreError> {
    let standing: BTreeSet<AlertId> = store
        .scan(tables::CONDITIONS, &())
        .map(|row| row.map(|(_, alert)| alert))
        .collect::<Result<_, _>>()?;
    let mut from = None;
    loop {
        // Those that stay are passed over, however many they are.
        let until = (limit, AlertId::from_bytes([0; 16]));
        let rows = store.range(tables::ALERTS_BY_TIME, &(), from.as_ref(), Some(&until));
        let found: Vec<(WallTime, AlertId)> = rows
            .take(BATCH_MAX)
            .map(|row| row.map(|(key, ())| key))
            .collect::<Result<_, _>>()?;
        let Some(last) = found.last().copied() else {
            return Ok(());
        };
        let n_found = found.len();
        let mut old = found;
        old.retain(|key| !standing.contains(&key.1));
        let remove = move |txn: &mut Txn<'_>| {
            old.iter()
                .try_for_each(|key| remove_alert(txn, key.0, key.1, limit))
        };
        store.write(remove).await?;
        if n_found < BATCH_MAX {
            return Ok(());
        }
        from = Some(last);
    }
}

fn remove_alert(
    txn: &mut Txn<'_>,
    raised_at: WallTime,
    id: AlertId,
    limit: WallTime,
) -> Result<(), StoreError> {
    let deliveries = txn.scan(tables::DELIVERIES, &id, LINKAGES_MAX)?;
    let Some(alert) = txn.get(tables::ALERTS, &id)? else {
        txn.delete(tables::ALERTS_BY_TIME, &(raised_at, id));
        return Ok(());
    };
    let under_way = |row: &((AlertId, LinkageId), Delivery)| row.1.state == DeliveryState::Waiting;
    let entry_kept = match alert.entry {
        Some(entry) => txn.entry(&entry)?.is_some(),
        None => false,
    };
    let case = txn.get(tables::CASES, &id)?;
    let is_open = case.is_some_and(|case| case.state.is_open());
    let has_ended_since = alert.ended_at.is_some_and(|at| at >= limit);
    let is_waiting = deliveries.iter().any(under_way);
    if entry_kept || is_open || has_ended_since || is_waiting {
        return Ok(());
    }
    outbox::remove_case(txn, id)?;
    for (key, delivery) in deliveries {
        txn.delete(tables::DELIVERIES, &key);
        txn.delete(tables::DEAD_LETTERS, &(key.1, delivery.raised_at, id));
    }
    if let Some(entry) = alert.entry {
        txn.delete(tables::ALERTS_BY_ENTRY, &(entry, id));
    }
    txn.delete(tables::ALERTS_BY_TIME, &(raised_at, id));
    txn.delete(tables::ALERTS, &id);
    Ok(())
}

fn older_than<V: Record>(
    store: &Store,
    table: Table<(WallTime, EntryId), V>,
    limit: WallTime,
) -> Result<Vec<(WallTime, EntryId)>, StoreError> {
    let mut old = Vec::new();
    for row in store.scan(table, &()).take(BATCH_MAX) {
        let (key, _) = row?;
        if key.0 >= limit {
            break;
        }
        old.push(key);
    }
    Ok(old)
}

#[cfg(test)]
#[path = "retention_tests.rs"]
pub(super) mod tests;
