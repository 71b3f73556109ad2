//! Removes entries and dedup keys that are past their time, in small steps.

use std::time::Duration;

use super::commit::remove_entry;
use crate::domain::id::EntryId;
use crate::store::{Store, StoreError, Table, tables};
use crate::time::WallTime;

/// Rows removed in one transaction, so that swipes are not kept waiting.
const BATCH_MAX: usize = 256;
/// Dedup keys outlive their entries by this factor, so that a replayed swipe makes no second entry.
const SEEN_FACTOR: u32 = 2;

/// Removes entries that arrived before `now - keep`, and dedup keys twice as old; returns how many
/// entries.
///
/// # Errors
/// [`StoreError`] of a transaction.
pub async fn remove_old(store: &Store, now: WallTime, keep: Duration) -> Result<usize, StoreError> {
    let mut n_removed = 0;
    loop {
        let old = older_than(store, tables::ENTRIES_BY_TIME, now.minus(keep))?;
        if old.is_empty() {
            break;
        }
        n_removed += old.len();
        store
            .write(move |txn| {
                old.into_iter()
                    .try_for_each(|(_, id)| remove_entry(txn, id))
            })
            .await?;
    }
    loop {
        let old = older_than(store, tables::SEEN_ALONE, now.minus(keep * SEEN_FACTOR))?;
        if old.is_empty() {
            return Ok(n_removed);
        }
        let remove = move |txn: &mut crate::store::Txn<'_>| {
            for row in old {
                txn.delete(tables::SEEN, &row.1);
                txn.delete(tables::SEEN_ALONE, &row);
            }
            Ok(())
        };
        store.write(remove).await?;
    }
}

fn older_than(
    store: &Store,
    table: Table<(WallTime, EntryId), ()>,
    limit: WallTime,
) -> Result<Vec<(WallTime, EntryId)>, StoreError> {
    let mut old = Vec::new();
    for row in store.scan(table, &()).take(BATCH_MAX) {
        let (key, ()) = row?;
        if key.0 >= limit {
            break;
        }
        old.push(key);
    }
    Ok(old)
}
