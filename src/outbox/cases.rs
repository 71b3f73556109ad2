//! The rows of a case, written with its alert: every alert of severity 1 to 3 has a case from the
//! transaction of its raise on, and every move of a case is a revision of its alert.
//!
//! Here and not in `case`, since that is below this module: the raise must open the case, or a crash
//! between the two would leave an alert for which nobody is answerable. What a case may do is
//! `domain::case`; who calls, and when a deadline passes, is `case`.

use super::raise::{RaisePolicy, Reach, publish};
use crate::domain::alert::Alert;
use crate::domain::case::{Case, LISTED_DONE, LISTED_OPEN};
use crate::domain::id::AlertId;
use crate::store::{StoreError, Txn, tables};
use crate::time::WallTime;

use super::delivery::Release;

/// Under this name `META` has the moment from which on alerts have cases (ns since 1970): a store of an
/// older version has alerts without.
pub(super) const CASES_SINCE: &str = "cases-since";
/// Pictures of one case that a removal looks for: more than a case may have.
const PICTURES_SCANNED: usize = 1_000;

/// Opens the case of `alert`, which was just raised.
pub(super) fn open(
    txn: &mut Txn<'_>,
    alert: &Alert,
    policy: &RaisePolicy,
    now: WallTime,
) -> Result<(), StoreError> {
    let Some(case) = Case::open(alert, &policy.cases, now) else {
        return Ok(());
    };
    let since = CASES_SINCE.to_owned();
    if !txn.contains(tables::META, &since)? {
        let ns = u64::try_from(alert.raised_at.unix_ns()).unwrap_or(0);
        txn.put(tables::META, &since, &ns)?;
    }
    put(txn, None, &case)
}

/// Writes `case`, which was `old` so far, as a revision of its alert, in this transaction. Receivers
/// that want changes of cases are told. Once the transaction is durable, call [`super::Outbox::wake`].
///
/// # Errors
/// [`StoreError`] of the transaction.
pub fn move_case(
    txn: &mut Txn<'_>,
    old: &Case,
    case: &Case,
    policy: &RaisePolicy,
    now: WallTime,
) -> Result<(), StoreError> {
    debug_assert!(
        case.alert == old.alert && case.moves.len() > old.moves.len(),
        "a case only moves on"
    );
    put(txn, Some(old), case)?;
    // An alert is never removed before its case.
    if let Some(mut alert) = txn.get(tables::ALERTS, &case.alert)? {
        let wants = |linkage: &_| policy.wants_case_changes(linkage);
        publish(
            txn,
            &mut alert,
            Release::AfterHold,
            Reach::Only(&wants),
            now,
        )?;
    }
    Ok(())
}

/// Notes in the case of `alert`, if it has one that is open, that the condition has ended by itself. The
/// alert's own revision tells it.
pub(super) fn note_end(txn: &mut Txn<'_>, alert: AlertId, now: WallTime) -> Result<(), StoreError> {
    let old = txn.get(tables::CASES, &alert)?;
    if let Some(old) = old
        && let Some(case) = old.condition_ended(now)
    {
        put(txn, Some(&old), &case)?;
    }
    Ok(())
}

/// Is the case of `alert` done? An alert without one is not.
pub(super) fn is_done(txn: &Txn<'_>, alert: AlertId) -> Result<bool, StoreError> {
    let case = txn.get(tables::CASES, &alert)?;
    Ok(case.is_some_and(|case| !case.state.is_open()))
}

/// Removes the case of `alert` with all its rows; the files of its pictures are swept later.
///
/// # Errors
/// [`StoreError`] of the transaction.
pub fn remove_case(txn: &mut Txn<'_>, alert: AlertId) -> Result<(), StoreError> {
    let Some(case) = txn.get(tables::CASES, &alert)? else {
        return Ok(());
    };
    txn.delete(tables::CASES_BY_TIME, &list_key(&case));
    if let Some(due_at) = case.due_at {
        txn.delete(tables::CASES_DUE, &(due_at, alert));
    }
    for (idx, made) in (0u64..).zip(&case.moves) {
        txn.delete(tables::CASE_MOVES, &(made.at, alert, idx));
    }
    for (key, _) in txn.scan(tables::CASE_PICTURES, &alert, PICTURES_SCANNED)? {
        txn.delete(tables::CASE_PICTURES, &key);
    }
    txn.delete(tables::CASES, &alert);
    Ok(())
}

fn list_key(case: &Case) -> (String, WallTime, AlertId) {
    let list = if case.state.is_open() {
        LISTED_OPEN
    } else {
        LISTED_DONE
    };
    (list.to_owned(), case.raised_at, case.alert)
}

/// Puts a case and keeps its lists in step with it.
fn put(txn: &mut Txn<'_>, old: Option<&Case>, case: &Case) -> Result<(), StoreError> {
    let key = list_key(case);
    if let Some(old) = old {
        let was = list_key(old);
        if was != key {
            txn.delete(tables::CASES_BY_TIME, &was);
        }
        if let Some(due_at) = old.due_at.filter(|_| old.due_at != case.due_at) {
            txn.delete(tables::CASES_DUE, &(due_at, case.alert));
        }
    }
    txn.put(tables::CASES_BY_TIME, &key, &case.listing())?;
    if let Some(due_at) = case.due_at {
        txn.put(tables::CASES_DUE, &(due_at, case.alert), &())?;
    }
    let n_known = old.map_or(0, |old| old.moves.len());
    for (idx, made) in (0u64..).zip(&case.moves).skip(n_known) {
        txn.put(tables::CASE_MOVES, &(made.at, case.alert, idx), &())?;
    }
    txn.put(tables::CASES, &case.alert, case)
}
