//! What one shift hands over to the next: what is open and overdue, what was done and by whom.

use std::collections::BTreeMap;

use serde::Serialize;

use super::statistics::StatisticsError;
use crate::domain::alert::AlertKind;
use crate::domain::case::{Case, CaseState, LISTED_OPEN, MoveKind, Party, StepKind, Tier};
use crate::domain::id::AlertId;
use crate::domain::place::Place;
use crate::domain::right::Places;
use crate::domain::role::Actor;
use crate::store::{Store, tables};
use crate::time::WallTime;

/// Moves looked at for one answer.
const MOVES_MAX: usize = 100_000;
/// Cases named of each list, at most; all are counted.
pub const NAMED_MAX: usize = 500;

/// A shift's summary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Handover {
    /// First moment of the shift.
    pub from: Option<WallTime>,
    /// First moment after it.
    pub to: Option<WallTime>,
    /// Cases opened in the shift.
    pub opened: u64,
    /// Cases closed in it.
    pub closed: u64,
    /// Cases cancelled in it as false alarms.
    pub cancelled: u64,
    /// Deadlines that passed in it.
    pub deadlines_passed: u64,
    /// Steps taken in it, by whom.
    pub done_by: Vec<DoneBy>,
    /// Cases that are open now, whenever they were opened.
    pub open: u64,
    /// How many of them in each state.
    pub open_by_state: BTreeMap<&'static str, u64>,
    /// How many of them are overdue.
    pub overdue: u64,
    /// The open cases: overdue ones first, then the oldest; at most [`NAMED_MAX`].
    pub open_cases: Vec<OpenCase>,
}

/// What one person did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoneBy {
    /// Who.
    pub actor: Actor,
    /// How many of each step.
    pub steps: BTreeMap<&'static str, u64>,
    /// How many of these came after their deadline.
    pub late: u64,
}

/// An open case in a summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenCase {
    /// The alert.
    pub alert: AlertId,
    /// Its kind.
    pub kind: AlertKind,
    /// Its severity.
    pub severity: u8,
    /// Its place.
    pub place: Place,
    /// When it was raised.
    pub raised_at: WallTime,
    /// Where the case stands.
    pub state: CaseState,
    /// Which step is next.
    pub due_step: Option<StepKind>,
    /// By when; `None` when the last deadline has passed.
    pub due_at: Option<WallTime>,
    /// The next step is overdue.
    pub overdue: bool,
    /// The tier that is answerable.
    pub tier: Tier,
    /// Who is.
    pub party: Option<Party>,
}

impl OpenCase {
    fn new(case: &Case, now: WallTime) -> OpenCase {
        OpenCase {
            alert: case.alert,
            kind: case.kind,
            severity: case.kind.severity(),
            place: case.place.clone(),
            raised_at: case.raised_at,
            state: case.state,
            due_step: case.state.due_step(),
            due_at: case.due_at,
            overdue: case.is_overdue(now),
            tier: case.tier,
            party: case.party.clone(),
        }
    }
}

/// The summary of the shift from `from` to `to`, of the cases at `places`. Blocks for the disk.
pub(super) fn read(
    store: &Store,
    (from, to): (WallTime, WallTime),
    places: &Places,
    now: WallTime,
) -> Result<Handover, StatisticsError> {
    let mut handover = Handover {
        from: Some(from),
        to: Some(to),
        ..Handover::default()
    };
    what_was_done(store, (from, to), places, &mut handover)?;
    what_is_open(store, now, places, &mut handover)?;
    Ok(handover)
}

fn what_was_done(
    store: &Store,
    (from, to): (WallTime, WallTime),
    places: &Places,
    handover: &mut Handover,
) -> Result<(), StatisticsError> {
    let least = AlertId::from_bytes([0; 16]);
    let mut done: BTreeMap<Actor, DoneBy> = BTreeMap::new();
    let rows = store.range(
        tables::CASE_MOVES,
        &(),
        Some(&(from, least, 0)),
        Some(&(to, least, 0)),
    );
    for (n_read, row) in rows.enumerate() {
        if n_read == MOVES_MAX {
            return Err(StatisticsError::TooMany);
        }
        let ((_, alert, idx), ()) = row?;
        let Some(case) = store.get(tables::CASES, &alert)? else {
            continue;
        };
        if !places.has(&case.place) {
            continue;
        }
        let idx = usize::try_from(idx).unwrap_or(usize::MAX);
        let Some(made) = case.moves.get(idx) else {
            continue;
        };
        match made.kind {
            MoveKind::Opened => handover.opened += 1,
            MoveKind::Close => handover.closed += 1,
            MoveKind::Cancel => handover.cancelled += 1,
            MoveKind::Escalated | MoveKind::Overdue => handover.deadlines_passed += 1,
            MoveKind::Acknowledge
            | MoveKind::Dispatch
            | MoveKind::Accept
            | MoveKind::Resolve
            | MoveKind::Verify
            | MoveKind::Reopen
            | MoveKind::ConditionEnded => {}
        }
        if let (Some(step), Some(actor)) = (made.kind.step(), &made.by) {
            let by = done.entry(actor.clone()).or_insert_with(|| DoneBy {
                actor: actor.clone(),
                steps: BTreeMap::new(),
                late: 0,
            });
            *by.steps.entry(step.as_str()).or_default() += 1;
            by.late += u64::from(made.late);
        }
    }
    handover.done_by = done.into_values().collect();
    Ok(())
}

fn what_is_open(
    store: &Store,
    now: WallTime,
    places: &Places,
    handover: &mut Handover,
) -> Result<(), StatisticsError> {
    let mut others = Vec::new();
    for row in store.scan(tables::CASES_BY_TIME, &LISTED_OPEN.to_owned()) {
        let ((_, _, alert), listing) = row?;
        let list = if listing.overdue {
            &mut handover.open_cases
        } else {
            &mut others
        };
        // Of a limited account every case is read: its place is not in the listing.
        let is_named = list.len() < NAMED_MAX;
        if is_named || *places != Places::ALL {
            let Some(case) = store.get(tables::CASES, &alert)? else {
                continue;
            };
            if !places.has(&case.place) {
                continue;
            }
            if is_named {
                list.push(OpenCase::new(&case, now));
            }
        }
        handover.open += 1;
        *handover
            .open_by_state
            .entry(listing.state.as_str())
            .or_default() += 1;
        handover.overdue += u64::from(listing.overdue);
    }
    handover.open_cases.append(&mut others);
    handover.open_cases.truncate(NAMED_MAX);
    Ok(())
}
