//! Checks every invariant between the tables; run by `stairgate verify-store` and after each crash
//! test.

use std::fmt;

use super::error::StoreError;
use super::table::tables;
use super::verify_ledger::ledger;
use super::writer::Store;
use crate::domain::alert::DeliveryState;
use crate::domain::clip::ClipState;
use crate::domain::uptime::HOUR_S;

/// Findings listed, at most; the rest are only counted.
const FINDINGS_MAX: usize = 1_000;

/// One broken invariant, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding(String);

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads every record and compares the tables; empty when all is well, at most 1,000 findings.
///
/// # Errors
/// [`StoreError`] when a table cannot be read at all.
pub fn verify(store: &Store) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Findings(Vec::new());
    entry_rows(store, &mut findings)?;
    entries(store, &mut findings)?;
    alerts(store, &mut findings)?;
    deliveries(store, &mut findings)?;
    super::verify_cases::verify(store, &mut findings)?;
    footage(store, &mut findings)?;
    super::verify_audit::verify(store, &mut findings)?;
    ledger(store, &mut findings)?;
    camera_hours(store, &mut findings)?;
    Ok(findings.0)
}

pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.0.len() < FINDINGS_MAX {
            self.0.push(Finding(what()));
        }
    }
}

fn entries(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    for row in store.scan(tables::ENTRIES, &()) {
        let ((at, id), entry) = row?;
        findings.expect(entry.id == id && entry.received_at == at, || {
            format!(
                "entry {id} of {at} carries the id {} and arrived at {}",
                entry.id, entry.received_at
            )
        });
        findings.expect(!entry.clips.is_empty(), || {
            format!("entry {id} has no clip record")
        });
        let door_row = (entry.door.clone(), entry.received_at, id);
        findings.expect(
            store.get(tables::ENTRIES_BY_DOOR, &door_row)?.is_some(),
            || format!("entry {id} is missing from the list by door"),
        );
        if let Some(dwelling) = &entry.dwelling {
            let row = (dwelling.clone(), entry.received_at, id);
            findings.expect(
                store.get(tables::ENTRIES_BY_DWELLING, &row)?.is_some(),
                || format!("entry {id} is missing from the list by dwelling"),
            );
        }
        findings.expect(store.get(tables::SEEN, &id)? == Some(at), || {
            format!("entry {id} has no dedup key of {at}")
        });
        let pending = entry
            .clips
            .iter()
            .any(|clip| clip.state == ClipState::Pending);
        let listed = store.get(tables::PENDING_CLIPS, &id)?.is_some();
        findings.expect(pending == listed, || {
            format!("entry {id}: clip pending is {pending}, listed as pending is {listed}")
        });
        for alert in &entry.alerts {
            findings.expect(store.get(tables::ALERTS, alert)?.is_some(), || {
                format!("entry {id} names alert {alert}, which does not exist")
            });
        }
        for span in entry.clips.iter().flat_map(|clip| &clip.spans) {
            let row = (span.file.clone(), id);
            findings.expect(store.get(tables::FOOTAGE_USES, &row)?.is_some(), || {
                format!(
                    "entry {id} shows {}, which does not count it as a use",
                    span.file
                )
            });
        }
    }
    Ok(())
}

fn entry_rows(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    let is_old = store.scan(tables::OLD_ENTRIES, &()).next().is_some();
    findings.expect(!is_old, || {
        "the store is of an older program (start the gateway once, which takes it over)".to_owned()
    });
    for row in store.scan(tables::ENTRIES_BY_DOOR, &()) {
        let ((door, at, id), ()) = row?;
        let entry = store.get(tables::ENTRIES, &(at, id))?;
        findings.expect(entry.is_some_and(|entry| entry.door == door), || {
            format!("the list by door has {id} at {door}, the entry does not")
        });
    }
    for row in store.scan(tables::PENDING_CLIPS, &()) {
        let (id, ()) = row?;
        findings.expect(store.entry(&id)?.is_some(), || {
            format!("a clip of {id} is pending, the entry does not exist")
        });
    }
    Ok(())
}

fn alerts(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    for row in store.scan(tables::ALERTS, &()) {
        let (id, alert) = row?;
        findings.expect(alert.id == id, || {
            format!("alert {id} carries the id {}", alert.id)
        });
        findings.expect(alert.revision >= 1, || format!("alert {id} has revision 0"));
        let time_row = (alert.raised_at, id);
        findings.expect(
            store.get(tables::ALERTS_BY_TIME, &time_row)?.is_some(),
            || format!("alert {id} is missing from the list by time"),
        );
    }
    let last_step = store.get(tables::META, &"alert-feed".to_owned())?;
    for row in store.scan(tables::ALERT_FEED, &()) {
        let (step, change) = row?;
        let alert = store.get(tables::ALERTS, &change.alert)?;
        findings.expect(
            alert.is_some_and(|alert| alert.revision >= change.revision)
                && last_step.is_some_and(|last| last >= step),
            || format!("step {step} tells of {}, which is not so far", change.alert),
        );
    }
    for row in store.scan(tables::COUNTED, &()) {
        let (occurrence, counted) = row?;
        findings.expect(store.get(tables::ALERTS, &counted.into)?.is_some(), || {
            format!(
                "{occurrence} is counted in {}, which does not exist",
                counted.into
            )
        });
    }
    for row in store.scan(tables::ALERTS_BY_ENTRY, &()) {
        let ((entry, id), ()) = row?;
        findings.expect(store.get(tables::ALERTS, &id)?.is_some(), || {
            format!("the list of alerts by entry has {id} of {entry}, the alert does not exist")
        });
    }
    for row in store.scan(tables::ALERTS_BY_TIME, &()) {
        let ((at, id), ()) = row?;
        let alert = store.get(tables::ALERTS, &id)?;
        findings.expect(alert.is_some_and(|alert| alert.raised_at == at), || {
            format!("the list of alerts by time has {id} at {at}, the alert does not")
        });
    }
    Ok(())
}

fn deliveries(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    for row in store.scan(tables::DELIVERIES, &()) {
        let ((alert, linkage), delivery) = row?;
        let found = store.get(tables::ALERTS, &alert)?;
        findings.expect(found.is_some(), || {
            format!("delivery of {alert} to {linkage}: the alert does not exist")
        });
        let place = (linkage.clone(), delivery.raised_at, alert);
        let waiting = store.get(tables::OUTBOX, &place)?.is_some();
        let dead = store.get(tables::DEAD_LETTERS, &place)?.is_some();
        let state = delivery.state;
        findings.expect(
            waiting == (state == DeliveryState::Waiting) && dead == (state == DeliveryState::Dead),
            || {
                format!(
                    "delivery of {alert} to {linkage} is {}, in the outbox: {waiting}, \
                     in the dead letters: {dead}",
                    state.as_str()
                )
            },
        );
    }
    for table in [tables::OUTBOX, tables::DEAD_LETTERS] {
        for row in store.scan(table, &()) {
            let ((linkage, at, alert), ()) = row?;
            let key = (alert, linkage);
            let delivery = store.get(tables::DELIVERIES, &key)?;
            findings.expect(
                delivery.is_some_and(|delivery| delivery.raised_at == at),
                || {
                    format!(
                        "{} lists {alert} for {}, which has no delivery",
                        table.name(),
                        key.1
                    )
                },
            );
        }
    }
    Ok(())
}

fn footage(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    for row in store.scan(tables::FOOTAGE_USES, &()) {
        let ((file, entry), ()) = row?;
        findings.expect(store.get(tables::FOOTAGE, &file)?.is_some(), || {
            format!("{file} is shown by {entry} but is not in the index of footage")
        });
        findings.expect(store.entry(&entry)?.is_some(), || {
            format!("{file} is counted as shown by {entry}, which does not exist")
        });
    }
    for row in store.scan(tables::FOOTAGE_DOOMED, &()) {
        let (file, ()) = row?;
        findings.expect(store.get(tables::FOOTAGE, &file)?.is_none(), || {
            format!("{file} is to be deleted but is in the index of footage")
        });
    }
    Ok(())
}

/// An hour begins on the hour, has its seconds and no more, and was up for no longer than it was looked at.
fn camera_hours(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    for row in store.scan(tables::CAMERA_HOURS, &()) {
        let ((at, camera), hour) = row?;
        let is_whole = at.unix_ns() % (i64::from(HOUR_S) * 1_000_000_000) == 0;
        findings.expect(
            is_whole && hour.seen_s <= HOUR_S && hour.up_s <= hour.seen_s,
            || {
                format!(
                    "camera {camera} was up for {} of {} s of the hour from {at}",
                    hour.up_s, hour.seen_s
                )
            },
        );
    }
    Ok(())
}
