//! The audit's chain: no record changed, moved, or missing, and its lists complete. The first that breaks
//! it is named; what comes after it says nothing by itself.

use super::error::StoreError;
use super::table::tables;
use super::verify::Findings;
use super::writer::Store;
use crate::domain::audit::{AuditAct, AuditRecord, Hash};

pub(super) fn verify(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    if let Some(broken) = first_break(store)? {
        findings.expect(false, || broken);
        return Ok(());
    }
    lists(store, findings)
}

/// What is wrong with the first record that does not follow from the one before it.
fn first_break(store: &Store) -> Result<Option<String>, StoreError> {
    let meta = |name: &str| store.get(tables::META, &name.to_owned());
    let (first, last) = (
        meta("audit-first")?.unwrap_or(1),
        meta("audit")?.unwrap_or(0),
    );
    let mut expected = first;
    let mut previous: Option<Hash> = (first == 1).then(Hash::default);
    // What the first kept record says of the one before it, until a record tells of its removal.
    let mut untold: Option<Hash> = None;
    for row in store.scan(tables::AUDIT_LOG, &()) {
        let (number, record) = row?;
        if number != expected {
            return Ok(Some(format!("audit record {expected} is missing")));
        }
        if !record.is_sound(number) {
            return Ok(Some(format!(
                "audit record {number} does not say what it said when it was written"
            )));
        }
        match previous {
            Some(previous) if record.previous != previous => {
                return Ok(Some(format!(
                    "audit record {number} does not follow from the one before it"
                )));
            }
            Some(_) => {}
            None => untold = Some(record.previous),
        }
        if untold.is_some_and(|hash| tells_of(&record, hash)) {
            untold = None;
        }
        previous = Some(record.hash);
        expected = number + 1;
    }
    if untold.is_some() {
        return Ok(Some(format!(
            "audit record {first} is the first, and no record tells where those before it went"
        )));
    }
    // Of a store from before the chain, whose records are taken into it at the next start.
    for row in store.scan(tables::AUDIT, &()) {
        let (number, _) = row?;
        if number != expected {
            return Ok(Some(format!("audit record {expected} is missing")));
        }
        expected = number + 1;
    }
    Ok((expected != last + 1).then(|| {
        format!(
            "the last audit record is {last}, but there is none after {}",
            expected - 1
        )
    }))
}

fn tells_of(record: &AuditRecord, hash: Hash) -> bool {
    record.event.act == AuditAct::Prune && record.event.detail.ends_with(&hash.to_string())
}

/// Every record is in the list by time, and in that of its account; neither has more.
fn lists(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    let (mut n_records, mut n_with_who) = (0_u64, 0_u64);
    for row in store.scan(tables::AUDIT_LOG, &()) {
        let (number, record) = row?;
        let at = record.event.at;
        n_records += 1;
        let by_time = store.get(tables::AUDIT_BY_TIME, &(at, number))?;
        findings.expect(by_time.is_some(), || {
            format!("audit record {number} is missing from the list by time")
        });
        if let Some(by) = &record.event.by {
            n_with_who += 1;
            let row = (by.name.as_str().to_owned(), at, number);
            let by_who = store.get(tables::AUDIT_BY_WHO, &row)?;
            findings.expect(by_who.is_some(), || {
                format!("audit record {number} is missing from the list by account")
            });
        }
    }
    let n_by_time = store.scan(tables::AUDIT_BY_TIME, &()).count() as u64;
    let n_by_who = store.scan(tables::AUDIT_BY_WHO, &()).count() as u64;
    findings.expect(n_by_time == n_records && n_by_who == n_with_who, || {
        "the lists of audit records have rows of records that are not there".to_owned()
    });
    Ok(())
}
