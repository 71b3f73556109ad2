//! The invariants of cases: each alert of severity 1 to 3 has one, and its lists are in step with it.

use super::error::StoreError;
use super::table::tables;
use super::verify::Findings;
use super::writer::Store;
use crate::domain::case::{CASE_SEVERITY_MAX, Case, LISTED_DONE, LISTED_OPEN};

pub(super) fn verify(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    alerts_have_cases(store, findings)?;
    cases(store, findings)?;
    lists(store, findings)?;
    pictures(store, findings)
}

fn alerts_have_cases(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    // Alerts of a store from before there were cases have none.
    let Some(since) = store.get(tables::META, &"cases-since".to_owned())? else {
        return Ok(());
    };
    for row in store.scan(tables::ALERTS, &()) {
        let (id, alert) = row?;
        let is_due = alert.kind.severity() <= CASE_SEVERITY_MAX
            && u64::try_from(alert.raised_at.unix_ns()).is_ok_and(|ns| ns >= since);
        if is_due {
            findings.expect(store.get(tables::CASES, &id)?.is_some(), || {
                format!("alert {id} has no case")
            });
        }
    }
    Ok(())
}

fn cases(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    for row in store.scan(tables::CASES, &()) {
        let (id, case) = row?;
        let alert = store.get(tables::ALERTS, &id)?;
        findings.expect(
            case.alert == id && alert.is_some_and(|alert| alert.raised_at == case.raised_at),
            || format!("case of {id}: the alert does not exist or was raised at another time"),
        );
        let newest = case.moves.last();
        findings.expect(
            newest.is_some_and(|made| made.state == case.state && made.tier == case.tier),
            || {
                format!(
                    "case of {id} is {}, its newest move says otherwise",
                    case.state.as_str()
                )
            },
        );
        findings.expect(case.state.is_open() || case.due_at.is_none(), || {
            format!("case of {id} is done and has a deadline")
        });
        let listed = store.get(tables::CASES_BY_TIME, &list_row(&case, is_listed_as(&case)))?;
        findings.expect(listed == Some(case.listing()), || {
            format!("case of {id} is listed as {listed:?}")
        });
        if let Some(due_at) = case.due_at {
            findings.expect(
                store.get(tables::CASES_DUE, &(due_at, id))?.is_some(),
                || format!("case of {id} is missing from the list of deadlines"),
            );
        }
        for (idx, made) in (0u64..).zip(&case.moves) {
            let row = (made.at, id, idx);
            findings.expect(store.get(tables::CASE_MOVES, &row)?.is_some(), || {
                format!("case of {id}: move {idx} is missing from the list by time")
            });
        }
    }
    Ok(())
}

fn lists(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    for row in store.scan(tables::CASES_BY_TIME, &()) {
        let (key, _) = row?;
        let case = store.get(tables::CASES, &key.2)?;
        findings.expect(
            case.is_some_and(|case| list_row(&case, is_listed_as(&case)) == key),
            || format!("{} is listed as {}, which it is not", key.2, key.0),
        );
    }
    for row in store.scan(tables::CASES_DUE, &()) {
        let ((due_at, id), ()) = row?;
        let case = store.get(tables::CASES, &id)?;
        findings.expect(case.is_some_and(|case| case.due_at == Some(due_at)), || {
            format!("the list of deadlines has {id} at {due_at}, the case does not")
        });
    }
    for row in store.scan(tables::CASE_MOVES, &()) {
        let ((at, id, idx), ()) = row?;
        let case = store.get(tables::CASES, &id)?;
        let made = case.and_then(|case| case.moves.into_iter().nth(usize::try_from(idx).ok()?));
        findings.expect(made.is_some_and(|made| made.at == at), || {
            format!("the list of moves has {idx} of {id} at {at}, the case does not")
        });
    }
    Ok(())
}

fn pictures(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    for row in store.scan(tables::CASE_PICTURES, &()) {
        let ((id, sha256), picture) = row?;
        findings.expect(
            picture.sha256 == sha256 && store.get(tables::CASES, &id)?.is_some(),
            || format!("a picture belongs to the case of {id}, which does not exist"),
        );
    }
    Ok(())
}

const fn is_listed_as(case: &Case) -> &'static str {
    if case.state.is_open() {
        LISTED_OPEN
    } else {
        LISTED_DONE
    }
}

fn list_row(
    case: &Case,
    list: &str,
) -> (String, crate::time::WallTime, crate::domain::id::AlertId) {
    (list.to_owned(), case.raised_at, case.alert)
}
