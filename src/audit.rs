//! Who looked at what: one record for each, appended and never changed.
//!
//! So far the looks at clips through `feed`, and rosters taken away as files. Records are numbered without a gap, and `store::verify`
//! checks that none is missing. Not here: who may look (`feed`, `web`), and changes that people make
//! (the moves of a case carry who made them).

use crate::domain::audit::AuditRecord;
use crate::store::{Store, StoreError, Txn, tables};

/// The name in `META` of the last record's number.
const LAST: &str = "audit";

/// Appends `record`; durable when this returns. Returns its number, from 1.
///
/// # Errors
/// [`StoreError`] of the transaction: then nothing was recorded, and nothing may be shown.
pub async fn append(store: &Store, record: AuditRecord) -> Result<u64, StoreError> {
    let work = move |txn: &mut Txn<'_>| {
        let last = LAST.to_owned();
        let number = txn.get(tables::META, &last)?.unwrap_or(0) + 1;
        txn.put(tables::META, &last, &number)?;
        txn.put(tables::AUDIT, &number, &record)?;
        Ok(number)
    };
    store.write(work).await
}
