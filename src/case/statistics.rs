//! Figures on alerts and their cases: how many, how fast, how late.
//!
//! Definitions, which docs/cases.md repeats for people: a *time to a step* is from the opening of the
//! case to the first time the step was taken; a percentile is the smallest time that at least so many
//! percent of the times do not exceed (nearest rank: always one that occurred); the *closure rate* is
//! the share of closed cases among those that were no false alarm; *overdue* are cases of which any
//! deadline passed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::sheet::SheetError;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::case::{Case, CaseState, MoveKind, StepKind, Tier};
use crate::domain::place::Place;
use crate::domain::right::Places;
use crate::store::{Store, StoreError, tables};
use crate::supervise::BlockingError;
use crate::time::{TimeZone, WallTime};

/// Alerts looked at for one answer: more want a shorter period.
pub const ALERTS_MAX: usize = 100_000;

/// Which alerts are counted.
#[derive(Clone, Debug)]
pub struct StatisticsQuery {
    /// Raised at this moment or later.
    pub from: WallTime,
    /// Raised before.
    pub to: WallTime,
    /// Only of this kind.
    pub kind: Option<AlertKind>,
    /// Only of this place.
    pub place: Option<Place>,
    /// Only of these places.
    pub places: Places,
    /// Only those whose case is, or was last, on this tier.
    pub tier: Option<Tier>,
    /// How the time is cut into periods.
    pub period: Period,
}

/// How the time is cut, by the compound's calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    /// By days, `2026-11-25`.
    #[default]
    Day,
    /// By ISO weeks, `2026-W48`.
    Week,
    /// By months, `2026-11`.
    Month,
}

/// The figures of some alerts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Alerts, with those of severity 4, which open no case.
    pub alerts: u64,
    /// Cases.
    pub cases: u64,
    /// Still open.
    pub open: u64,
    /// Closed.
    pub closed: u64,
    /// Cancelled as false alarms.
    pub cancelled: u64,
    /// `closed / (cases - cancelled)`, 0 to 1; `None` when there are none.
    pub closure_rate: Option<f64>,
    /// Cases of which any deadline passed.
    pub overdue: u64,
    /// Open cases whose next step is overdue now.
    pub overdue_now: u64,
    /// Cases that were escalated at least once.
    pub escalated: u64,
    /// Time to each regular step.
    pub steps: BTreeMap<&'static str, StepTimes>,
}

/// How long it took from the opening to a step, of the cases in which it was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StepTimes {
    /// Cases in which it was taken.
    pub n: u64,
    /// Half of them took no longer, in milliseconds.
    pub p50_ms: Option<u64>,
    /// 95 % of them took no longer, in milliseconds.
    pub p95_ms: Option<u64>,
}

/// The figures of all alerts that fit, and of their parts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Raised at this moment or later.
    pub from: WallTime,
    /// Raised before.
    pub to: WallTime,
    /// Of all.
    pub total: Figures,
    /// By kind of alert.
    pub by_kind: BTreeMap<String, Figures>,
    /// By place: a stairwell's id, or `compound`.
    pub by_place: BTreeMap<String, Figures>,
    /// By the tier that is, or was last, answerable.
    pub by_tier: BTreeMap<String, Figures>,
    /// By the period in which the alert was raised.
    pub by_period: BTreeMap<String, Figures>,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum StatisticsError {
    /// The store.
    #[error("read alerts and cases")]
    Store(#[from] StoreError),
    /// More alerts than one answer looks at.
    #[error("more than {ALERTS_MAX} alerts in this period (ask for a shorter one)")]
    TooMany,
    /// The spreadsheet.
    #[error("make a spreadsheet")]
    Sheet(#[from] SheetError),
    /// The work could not be done.
    #[error("reckon figures")]
    Blocking(#[from] BlockingError),
}

/// What the figures need of one alert.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    kind: AlertKind,
    place: Place,
    raised_at: WallTime,
    case: Option<CaseFacts>,
}

#[derive(Clone, Debug)]
struct CaseFacts {
    state: CaseState,
    tier: Tier,
    was_late: bool,
    is_overdue: bool,
    was_escalated: bool,
    /// In the order of `StepKind::REGULAR`.
    to_step_ms: [Option<u64>; StepKind::REGULAR.len()],
}

impl Facts {
    pub(super) fn new(alert: &Alert, case: Option<&Case>, now: WallTime) -> Facts {
        Facts {
            kind: alert.kind,
            place: alert.place.clone(),
            raised_at: alert.raised_at,
            case: case.map(|case| CaseFacts {
                state: case.state,
                tier: case.tier,
                was_late: case.was_late(now),
                is_overdue: case.is_overdue(now),
                was_escalated: case
                    .moves
                    .iter()
                    .any(|made| made.kind == MoveKind::Escalated),
                to_step_ms: StepKind::REGULAR.map(|step| to_step_ms(case, step)),
            }),
        }
    }
}

fn to_step_ms(case: &Case, step: StepKind) -> Option<u64> {
    let first = case
        .moves
        .iter()
        .find(|made| made.kind.step() == Some(step))?;
    let took: Duration = first.at.since(case.opened_at());
    u64::try_from(took.as_millis()).ok()
}

/// Reads what fits from the store and reckons. Blocks for the disk.
pub(super) fn read(
    store: &Store,
    query: &StatisticsQuery,
    zone: &TimeZone,
    now: WallTime,
) -> Result<Statistics, StatisticsError> {
    let least = crate::domain::id::AlertId::from_bytes([0; 16]);
    let (from, to) = ((query.from, least), (query.to, least));
    let mut facts = Vec::new();
    let rows = store.range(tables::ALERTS_BY_TIME, &(), Some(&from), Some(&to));
    for (n_read, row) in rows.enumerate() {
        if n_read == ALERTS_MAX {
            return Err(StatisticsError::TooMany);
        }
        let ((_, id), ()) = row?;
        let Some(alert) = store.get(tables::ALERTS, &id)? else {
            continue;
        };
        let fits = query.places.has(&alert.place)
            && query.kind.is_none_or(|kind| kind == alert.kind)
            && query
                .place
                .as_ref()
                .is_none_or(|place| *place == alert.place);
        if !fits {
            continue;
        }
        let case = store.get(tables::CASES, &id)?;
        let tier = case.as_ref().map(|case| case.tier);
        if query.tier.is_none() || query.tier == tier {
            facts.push(Facts::new(&alert, case.as_ref(), now));
        }
    }
    Ok(reckon(&facts, query, zone))
}

/// The figures of `facts`. Pure.
pub(super) fn reckon(facts: &[Facts], query: &StatisticsQuery, zone: &TimeZone) -> Statistics {
    let all = |_: &Facts| Some(String::new());
    let total = grouped(facts, all)
        .remove("")
        .unwrap_or_else(|| figures(&[]));
    Statistics {
        from: query.from,
        to: query.to,
        total,
        by_kind: grouped(facts, |one| Some(one.kind.as_str().to_owned())),
        by_place: grouped(facts, |one| Some(one.place.to_string())),
        by_tier: grouped(facts, |one| {
            Some(one.case.as_ref()?.tier.as_str().to_owned())
        }),
        by_period: grouped(facts, |one| {
            Some(period_of(one.raised_at, query.period, zone))
        }),
    }
}

fn grouped(facts: &[Facts], key: impl Fn(&Facts) -> Option<String>) -> BTreeMap<String, Figures> {
    let mut groups: BTreeMap<String, Vec<&Facts>> = BTreeMap::new();
    for one in facts {
        if let Some(key) = key(one) {
            groups.entry(key).or_default().push(one);
        }
    }
    let groups = groups.into_iter();
    groups.map(|(key, group)| (key, figures(&group))).collect()
}

fn figures(facts: &[&Facts]) -> Figures {
    let cases: Vec<&CaseFacts> = facts.iter().filter_map(|one| one.case.as_ref()).collect();
    let count = |fits: &dyn Fn(&CaseFacts) -> bool| -> u64 {
        cases.iter().filter(|case| fits(case)).count() as u64
    };
    let n_cases = cases.len() as u64;
    let closed = count(&|case| case.state == CaseState::Closed);
    let cancelled = count(&|case| case.state == CaseState::Cancelled);
    let steps = StepKind::REGULAR
        .into_iter()
        .enumerate()
        .map(|(idx, step)| {
            let times = cases.iter().filter_map(|case| *case.to_step_ms.get(idx)?);
            (step.as_str(), StepTimes::of(times.collect()))
        });
    Figures {
        alerts: facts.len() as u64,
        cases: n_cases,
        open: count(&|case| case.state.is_open()),
        closed,
        cancelled,
        closure_rate: share(closed, n_cases - cancelled),
        overdue: count(&|case| case.was_late),
        overdue_now: count(&|case| case.state.is_open() && case.is_overdue),
        escalated: count(&|case| case.was_escalated),
        steps: steps.collect(),
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    // At most `ALERTS_MAX` of either, far below 2^53.
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl StepTimes {
    /// Of `times`, in milliseconds and any order.
    fn of(mut times: Vec<u64>) -> StepTimes {
        times.sort_unstable();
        StepTimes {
            n: times.len() as u64,
            p50_ms: nearest_rank(&times, 50),
            p95_ms: nearest_rank(&times, 95),
        }
    }
}

/// The smallest of `sorted` that at least `percent` percent of them do not exceed.
fn nearest_rank(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

fn period_of(at: WallTime, period: Period, zone: &TimeZone) -> String {
    let date = zone.date_of(at);
    match period {
        Period::Day => date.to_string(),
        Period::Week => {
            let week = date.iso_week_date();
            format!("{:04}-W{:02}", week.year(), week.week())
        }
        Period::Month => format!("{:04}-{:02}", date.year(), date.month()),
    }
}

#[cfg(test)]
#[path = "statistics_tests.rs"]
mod tests;
