//! Who looked at what, who changed what, who came and went: one record for each, appended, chained by
//! hashes, and never changed.
//!
//! Records are numbered without a gap, and `store::verify` checks that none was changed or is missing.
//! What is past its retention leaves at the front, which a record tells in its turn. Not here: who may
//! look (`feed`, `web`), and the changes themselves (a case's moves, the ledger's history).

use std::time::Duration;

use tracing::info;

use crate::domain::audit::{AuditAct, AuditEvent, AuditRecord, Hash};
use crate::store::{Store, StoreError, Txn, tables};
use crate::time::WallTime;

/// The name in `META` of the last record's number.
const LAST: &str = "audit";
/// The name in `META` of the first kept record's number, once any was removed.
const FIRST: &str = "audit-first";
/// Old records taken over, or removed, in one transaction.
const CHUNK: usize = 500;

/// Appends what happened; durable when this returns. Returns the record's number, from 1.
///
/// # Errors
/// [`StoreError`] of the transaction: then nothing was recorded, and nothing may be shown.
pub async fn append(store: &Store, event: AuditEvent) -> Result<u64, StoreError> {
    take_over(store).await?;
    store.write(move |txn: &mut Txn<'_>| add(txn, event)).await
}

fn add(txn: &mut Txn<'_>, event: AuditEvent) -> Result<u64, StoreError> {
    let name = LAST.to_owned();
    let last = txn.get(tables::META, &name)?.unwrap_or(0);
    let previous = match last {
        0 => Hash::default(),
        last => txn
            .get(tables::AUDIT_LOG, &last)?
            .map_or_else(Hash::default, |record| record.hash),
    };
    let number = last + 1;
    let record = AuditRecord::new(number, event, previous);
    txn.put(tables::META, &name, &number)?;
    put(txn, number, &record)?;
    Ok(number)
}

fn put(txn: &mut Txn<'_>, number: u64, record: &AuditRecord) -> Result<(), StoreError> {
    let (at, who) = (record.event.at, who(record));
    txn.put(tables::AUDIT_BY_TIME, &(at, number), &())?;
    if let Some(who) = who {
        txn.put(tables::AUDIT_BY_WHO, &(who, at, number), &())?;
    }
    txn.put(tables::AUDIT_LOG, &number, record)
}

fn who(record: &AuditRecord) -> Option<String> {
    let by = record.event.by.as_ref()?;
    Some(by.name.as_str().to_owned())
}

/// Takes the records of a store from before the chain into it, under their numbers. Does nothing to any
/// other store.
///
/// # Errors
/// [`StoreError`]; what was taken over stays so.
pub async fn take_over(store: &Store) -> Result<(), StoreError> {
    while store.scan(tables::AUDIT, &()).next().is_some() {
        let rows = store.scan(tables::AUDIT, &()).take(CHUNK);
        let numbers = rows
            .map(|row| Ok(row?.0))
            .collect::<Result<Vec<u64>, StoreError>>()?;
        let n_taken = numbers.len();
        let work = move |txn: &mut Txn<'_>| {
            for number in numbers {
                let Some(old) = txn.get(tables::AUDIT, &number)? else {
                    continue;
                };
                let before = txn.get(tables::AUDIT_LOG, &number.saturating_sub(1))?;
                let previous = before.map_or_else(Hash::default, |record| record.hash);
                put(txn, number, &AuditRecord::new(number, old.into(), previous))?;
                txn.delete(tables::AUDIT, &number);
            }
            Ok(())
        };
        store.write(work).await?;
        info!(
            n_taken,
            "audit records of an older store taken into the chain"
        );
    }
    Ok(())
}

/// Removes the records older than `retention`, at most `CHUNK` at a time, and records that. Returns how
/// many.
///
/// # Errors
/// [`StoreError`] of the transaction.
pub async fn remove_old(
    store: &Store,
    now: WallTime,
    retention: Duration,
) -> Result<usize, StoreError> {
    let until = now.minus(retention);
    let work = move |txn: &mut Txn<'_>| {
        let name = FIRST.to_owned();
        let first = txn.get(tables::META, &name)?.unwrap_or(1);
        let mut removed: Option<AuditRecord> = None;
        let mut next = first;
        while next - first < CHUNK as u64 {
            let Some(record) = txn.get(tables::AUDIT_LOG, &next)? else {
                break;
            };
            if record.event.at >= until {
                break;
            }
            let at = record.event.at;
            if let Some(who) = who(&record) {
                txn.delete(tables::AUDIT_BY_WHO, &(who, at, next));
            }
            txn.delete(tables::AUDIT_BY_TIME, &(at, next));
            txn.delete(tables::AUDIT_LOG, &next);
            removed = Some(record);
            next += 1;
        }
        let Some(last) = removed else {
            return Ok(0);
        };
        txn.put(tables::META, &name, &next)?;
        let gone = AuditEvent {
            at: now,
            by: None,
            from: None,
            act: AuditAct::Prune,
            target: format!("{first} to {}", next - 1),
            place: None,
            detail: format!("past their retention; the last had hash {}", last.hash),
            reason: None,
            case: None,
        };
        add(txn, gone)?;
        Ok(usize::try_from(next - first).unwrap_or(CHUNK))
    };
    // Nothing is written, and no disk asked, when the oldest is young enough.
    let oldest = store.scan(tables::AUDIT_BY_TIME, &()).next().transpose()?;
    match oldest {
        Some(((at, _), ())) if at < until => store.write(work).await,
        Some(_) | None => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::{OldAuditAct, OldAuditRecord};
    use crate::domain::role::{Actor, ActorName, Role};
    use crate::store::{self, StoreOptions};
    use crate::supervise::Supervisor;
    use crate::telemetry::registry;

    const START: WallTime = WallTime::from_unix_ms(1_800_000_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn open(folder: &std::path::Path) -> (Store, Supervisor) {
        let supervisor = Supervisor::new();
        let options = StoreOptions {
            path: folder.to_owned(),
        };
        let store = Store::open(&options, &supervisor, &mut registry()).unwrap();
        (store, supervisor)
    }

    fn li() -> Actor {
        Actor {
            name: ActorName::new("li").unwrap(),
            role: Role::DutyOfficer,
        }
    }

    fn event(n: u64) -> AuditEvent {
        AuditEvent {
            at: START.plus(DAY * u32::try_from(n).unwrap()),
            by: n.is_multiple_of(2).then(li),
            from: None,
            act: AuditAct::Clip,
            target: format!("e{n}"),
            place: None,
            detail: String::new(),
            reason: None,
            case: None,
        }
    }

    fn findings(store: &Store) -> Vec<String> {
        let findings = store::verify(store).unwrap();
        findings.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_changed_or_missing_record_is_the_first_one_that_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _tasks) = open(folder.path());
        for n in 1..=6 {
            assert_eq!(append(&store, event(n)).await.unwrap(), n);
        }
        assert_eq!(findings(&store), Vec::<String>::new());
        let third = store.get(tables::AUDIT_LOG, &3).unwrap().unwrap();
        let mut changed = third.clone();
        changed.event.target = "e33".to_owned();
        let put = |record: AuditRecord| {
            store.write(move |txn: &mut Txn<'_>| txn.put(tables::AUDIT_LOG, &3, &record))
        };
        put(changed.clone()).await.unwrap();
        let found = findings(&store);
        assert!(found[0].contains("audit record 3"), "{found:?}");
        assert_eq!(found.len(), 1, "the first bad one is named: {found:?}");
        // Who reckons its hash anew breaks the chain at the next.
        put(AuditRecord::new(3, changed.event, third.previous))
            .await
            .unwrap();
        let found = findings(&store);
        assert!(found[0].contains("audit record 4"), "{found:?}");
        put(third).await.unwrap();
        assert_eq!(findings(&store), Vec::<String>::new());
        let cut = |txn: &mut Txn<'_>| {
            txn.delete(tables::AUDIT_LOG, &4);
            Ok(())
        };
        store.write(cut).await.unwrap();
        let found = findings(&store);
        assert!(found[0].contains("audit record 4 is missing"), "{found:?}");
    }

    #[tokio::test]
    async fn records_of_an_older_store_begin_the_chain_under_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _tasks) = open(folder.path());
        let old = |n: usize| OldAuditRecord {
            at: START,
            by: li(),
            from: Some("192.0.2.7:9".parse().unwrap()),
            act: OldAuditAct::ReportTaken { n_dwellings: n },
        };
        let work = move |txn: &mut Txn<'_>| {
            for n in 1..=3_u64 {
                txn.put(tables::AUDIT, &n, &old(usize::try_from(n).unwrap()))?;
            }
            txn.put(tables::META, &LAST.to_owned(), &3)
        };
        store.write(work).await.unwrap();
        assert_eq!(findings(&store), Vec::<String>::new(), "before");
        assert_eq!(append(&store, event(4)).await.unwrap(), 4);
        assert_eq!(findings(&store), Vec::<String>::new(), "after");
        let second = store.get(tables::AUDIT_LOG, &2).unwrap().unwrap();
        assert_eq!(second.event.detail, "2 dwellings");
        assert_eq!(second.event.from, Some("192.0.2.7".parse().unwrap()));
    }

    #[tokio::test]
    async fn what_is_past_its_retention_leaves_at_the_front_and_the_chain_holds() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _tasks) = open(folder.path());
        for n in 1..=6 {
            append(&store, event(n)).await.unwrap();
        }
        let now = START.plus(DAY * 7);
        assert_eq!(remove_old(&store, now, DAY * 10).await.unwrap(), 0);
        assert_eq!(remove_old(&store, now, DAY * 3).await.unwrap(), 3);
        assert_eq!(findings(&store), Vec::<String>::new());
        let told = store.get(tables::AUDIT_LOG, &7).unwrap().unwrap();
        assert_eq!(
            (told.event.act, told.event.target.as_str()),
            (AuditAct::Prune, "1 to 3")
        );
        // Who takes one more away without a word is found out.
        let cut = |txn: &mut Txn<'_>| {
            txn.delete(tables::AUDIT_LOG, &4);
            txn.put(tables::META, &FIRST.to_owned(), &5)
        };
        store.write(cut).await.unwrap();
        assert!(findings(&store)[0].contains("audit record 5"));
    }
}
