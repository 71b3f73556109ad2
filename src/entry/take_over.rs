//! Entries of a store from before they lay by arrival.

use tracing::info;

use crate::domain::id::EntryId;
use crate::store::{Store, StoreError, Txn, tables};

/// Entries moved in one transaction.
const CHUNK: usize = 500;

/// Moves the entries of an older store to where they lie now; a start that was cut off goes on with it. Does
/// nothing to any other store.
///
/// # Errors
/// [`StoreError`]; what was moved stays so.
pub async fn take_over(store: &Store) -> Result<(), StoreError> {
    store.raise_format().await?;
    let mut n_moved = 0;
    loop {
        let rows = store.scan(tables::OLD_ENTRIES, &()).take(CHUNK);
        let ids = rows
            .map(|row| Ok(row?.0))
            .collect::<Result<Vec<EntryId>, StoreError>>()?;
        if ids.is_empty() {
            break;
        }
        n_moved += ids.len();
        let work = move |txn: &mut Txn<'_>| {
            for id in ids {
                let Some(entry) = txn.get(tables::OLD_ENTRIES, &id)? else {
                    continue;
                };
                txn.put_entry(&entry)?;
                txn.delete(tables::OLD_ENTRIES, &id);
                txn.delete(tables::OLD_ENTRIES_BY_TIME, &(entry.received_at, id));
            }
            Ok(())
        };
        store.write(work).await?;
        if n_moved.is_multiple_of(100 * CHUNK) {
            info!(n_moved, "entries of an older store are being moved");
        }
    }
    if n_moved > 0 {
        info!(
            n_moved,
            "entries of an older store moved to their new place"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::commit::{Committed, commit};
    use crate::entry::retention::tests::{Bed, assembled};
    use crate::outbox::RaisePolicy;
    use crate::store::verify;
    use crate::time::WallTime;

    #[tokio::test]
    async fn an_older_store_keeps_every_entry() {
        let bed = Bed::new();
        let store = &bed.store;
        let n_entries = CHUNK as u64 + 3;
        for seq in 0..n_entries {
            let at = WallTime::from_unix_ms(1_800_000_000_000 + i64::try_from(seq).unwrap());
            let work = move |txn: &mut Txn<'_>| {
                let assembled = assembled(seq, at);
                let id = assembled.entry.id;
                assert_eq!(
                    commit(txn, assembled, &RaisePolicy::default())?,
                    Committed::New
                );
                // As it was before.
                let entry = txn.entry(&id)?.unwrap();
                txn.delete(tables::ENTRIES, &(at, id));
                txn.put(tables::OLD_ENTRIES, &id, &entry)?;
                txn.put(tables::OLD_ENTRIES_BY_TIME, &(at, id), &())
            };
            store.write(work).await.unwrap();
        }
        let before: Vec<_> = store
            .scan(tables::OLD_ENTRIES, &())
            .map(Result::unwrap)
            .collect();
        let found = verify(store).unwrap();
        assert!(
            found[0].to_string().contains("start the gateway"),
            "{found:?}"
        );

        take_over(store).await.unwrap();
        assert_eq!(verify(store).unwrap(), Vec::new());
        for (id, entry) in before {
            assert_eq!(store.entry(&id).unwrap(), Some(entry));
        }
        assert_eq!(store.scan(tables::OLD_ENTRIES_BY_TIME, &()).count(), 0);
        take_over(store).await.unwrap();
    }
}
