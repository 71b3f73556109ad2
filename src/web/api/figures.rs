//! `GET /figures/hours`, `/figures/cameras` and `/figures/storage`: counts for charts. They are of the whole
//! compound and name nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::domain::access::Outcome;
use crate::domain::id::{AlertId, CameraId, EntryId};
use crate::domain::place::Place;
use crate::store::{Store, tables};
use crate::supervise::blocking;
use crate::time::{TimeZone, WallTime};
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Nothing};
use crate::web::page::Page;
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// Without `from`, hours are of the last day, and cameras of the last week.
const HOURS_DEFAULT: Duration = Duration::from_secs(86_400);
const CAMERAS_DEFAULT: Duration = Duration::from_secs(7 * 86_400);
/// Longest time that hours are counted over.
const HOURS_SPAN_MAX: Duration = Duration::from_secs(31 * 86_400);
/// Nanoseconds of an hour.
const HOUR_NS: i64 = 3_600_000_000_000;
/// Days over which growth is looked at.
const GROWTH_DAYS: usize = 7;

/// Over which time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpanQuery {
    from: Option<WallTime>,
    to: Option<WallTime>,
}

/// What happened in one hour.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Hour {
    from: WallTime,
    entries: u64,
    granted: u64,
    denied: u64,
    alerts: u64,
}

/// How one camera was.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CameraFigure {
    camera: CameraId,
    place: Place,
    /// 0 to 1; `None` when it was never looked at.
    up_ratio: Option<f64>,
    outages: u64,
    longest_outage_s: u32,
    /// Seconds that were looked at.
    seen_s: u64,
}

/// How much footage there is, and for how long there is room.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Storage {
    footage_bytes: u64,
    /// `None` while the disk is away.
    free_bytes: Option<u64>,
    capacity_bytes: Option<u64>,
    /// Of the last days; `None` before the first whole day.
    bytes_per_day: Option<u64>,
    retention_days: u64,
    /// Until footage has to go before its time; `None`: it never has to, or that is not known.
    days_until_floor: Option<u64>,
    history: Vec<Day>,
}

/// The footage that is kept of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Day {
    day: String,
    bytes: u64,
}

pub(crate) async fn hours(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<SpanQuery>,
) -> Result<Json<Page<Hour>>, Problem> {
    authorise(&principal, Action::SeeStatistics, None)?;
    let (from, to) = span(&api, &query, HOURS_DEFAULT)?;
    if to.since(from) > HOURS_SPAN_MAX {
        return Err(Problem::bad_request("from and to: at most 31 days apart"));
    }
    let zone = api.roster.time_zone().clone();
    let counted = move || count_hours(&api.store, &zone, from, to);
    let items = blocking("count hours", counted).await??;
    Ok(all(items))
}

pub(crate) async fn cameras(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<SpanQuery>,
) -> Result<Json<Page<CameraFigure>>, Problem> {
    authorise(&principal, Action::SeeHealth, None)?;
    let (from, to) = span(&api, &query, CAMERAS_DEFAULT)?;
    let (uptime, cameras) = (api.uptime.clone(), api.cameras.clone());
    let read = move || uptime.read(from, to);
    let found = blocking("read uptime", read).await??;
    let of = |camera: &CameraId| found.get(camera).cloned().unwrap_or_default();
    let feeds = cameras.feeds().into_iter();
    let figures = feeds.filter_map(|feed| {
        let camera = feed.camera();
        let (place, seen) = (cameras.place(camera)?, of(camera));
        principal.is_within(&place).then(|| CameraFigure {
            camera: camera.clone(),
            place,
            up_ratio: ratio(seen.up_s, seen.seen_s),
            outages: seen.n_outages,
            longest_outage_s: seen.longest_s,
            seen_s: seen.seen_s,
        })
    });
    Ok(all(figures.collect()))
}

pub(crate) async fn storage(
    State(api): State<Api>,
    principal: Principal,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Storage>, Problem> {
    authorise(&principal, Action::SeeHealth, None)?;
    let zone = api.roster.time_zone().clone();
    let room = api.footage.room().await;
    let retention = api.footage.retention();
    let now = api.video.clock().now();
    let today = zone.date_of(now).to_string();
    let read = move || history(&api.store, &zone);
    let history = blocking("read footage", read).await??;
    let footage_bytes = history.iter().map(|day| day.bytes).sum();
    let per_day = bytes_per_day(&history, &today);
    let retention_days = retention.as_secs() / 86_400;
    let days_until_floor = room.zip(per_day).and_then(|(room, per_day)| {
        let spare = room.free_bytes.saturating_sub(room.floor_bytes);
        days_until_floor(footage_bytes, spare, per_day, retention_days)
    });
    Ok(Json(Storage {
        footage_bytes,
        free_bytes: room.map(|room| room.free_bytes),
        capacity_bytes: room.map(|room| room.total_bytes),
        bytes_per_day: per_day,
        retention_days,
        days_until_floor,
        history,
    }))
}

/// Bounded, so one page holds all.
fn all<T>(items: Vec<T>) -> Json<Page<T>> {
    Json(Page {
        items,
        next_cursor: None,
    })
}

fn span(api: &Api, query: &SpanQuery, default: Duration) -> Result<(WallTime, WallTime), Problem> {
    let to = query.to.unwrap_or_else(|| api.video.clock().now());
    let from = query.from.unwrap_or_else(|| to.minus(default));
    if from >= to {
        return Err(Problem::bad_request("from is not before to"));
    }
    Ok((from, to))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of a year are far below 2^52"
)]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The beginnings of the hours that lie in `from` to `to`, by the clock on the wall of `zone`: whole hours
/// from the first midnight on, so a zone that is half an hour off is right, too.
fn hour_starts(zone: &TimeZone, from: WallTime, to: WallTime) -> Vec<WallTime> {
    let midnight = zone.midnight(zone.date_of(from));
    let n = from.ns_since(midnight).div_euclid(HOUR_NS);
    let first = midnight.unix_ns().saturating_add(n.saturating_mul(HOUR_NS));
    let at = |k: i64| WallTime::from_unix_ns(first.saturating_add(k.saturating_mul(HOUR_NS)));
    (0..).map(at).take_while(|at| *at < to).collect()
}

fn count_hours(
    store: &Store,
    zone: &TimeZone,
    from: WallTime,
    to: WallTime,
) -> Result<Vec<Hour>, Problem> {
    let starts = hour_starts(zone, from, to);
    let empty = |from: &WallTime| Hour {
        from: *from,
        entries: 0,
        granted: 0,
        denied: 0,
        alerts: 0,
    };
    let mut hours: Vec<Hour> = starts.iter().map(empty).collect();
    let idx_of = |at: WallTime| starts.partition_point(|start| *start <= at).checked_sub(1);
    let least = EntryId::from_bytes([0; 16]);
    let (low, high) = ((from, least), (to, least));
    for row in store.range(tables::ENTRIES, &(), Some(&low), Some(&high)) {
        let ((at, _), entry) = row?;
        if let Some(hour) = idx_of(at).and_then(|idx| hours.get_mut(idx)) {
            hour.entries += 1;
            match entry.decision.outcome {
                Outcome::Granted => hour.granted += 1,
                Outcome::Denied => hour.denied += 1,
            }
        }
    }
    let least = AlertId::from_bytes([0; 16]);
    let (low, high) = ((from, least), (to, least));
    for row in store.range(tables::ALERTS_BY_TIME, &(), Some(&low), Some(&high)) {
        let ((at, _), ()) = row?;
        if let Some(hour) = idx_of(at).and_then(|idx| hours.get_mut(idx)) {
            hour.alerts += 1;
        }
    }
    Ok(hours)
}

/// The footage that is kept, by the day on which it begins.
fn history(store: &Store, zone: &TimeZone) -> Result<Vec<Day>, Problem> {
    let mut days: BTreeMap<String, u64> = BTreeMap::new();
    for row in store.scan(tables::FOOTAGE, &()) {
        let (_, record) = row?;
        let day = zone.date_of(record.starts_at).to_string();
        *days.entry(day).or_default() += record.bytes;
    }
    let days = days.into_iter();
    Ok(days.map(|(day, bytes)| Day { day, bytes }).collect())
}

/// The mean of the last whole days; today is not whole, and neither is the first, of which a part may
/// have been before the gateway was there or past its time.
fn bytes_per_day(history: &[Day], today: &str) -> Option<u64> {
    let whole = history.iter().skip(1).filter(|day| day.day != today);
    let last: Vec<u64> = whole.rev().take(GROWTH_DAYS).map(|day| day.bytes).collect();
    let n = u64::try_from(last.len()).ok().filter(|n| *n > 0)?;
    Some(last.iter().sum::<u64>() / n)
}

/// Days until `spare` bytes are used up; `None` when footage goes by its age before that.
fn days_until_floor(footage: u64, spare: u64, per_day: u64, retention_days: u64) -> Option<u64> {
    let in_the_end = per_day.saturating_mul(retention_days);
    if in_the_end <= footage.saturating_add(spare) {
        return None;
    }
    spare.checked_div(per_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> WallTime {
        text.parse().unwrap()
    }

    #[test]
    fn hours_begin_by_the_clock_on_the_wall() {
        let starts = |zone: &str, from: &str, to: &str| {
            let zone = TimeZone::named(zone).unwrap();
            let starts = hour_starts(&zone, at(from), at(to));
            let texts = starts.iter().map(ToString::to_string);
            texts.collect::<Vec<_>>()
        };
        assert_eq!(
            starts(
                "Asia/Shanghai",
                "2026-11-25T22:20:00Z",
                "2026-11-26T00:00:00Z"
            ),
            ["2026-11-25T22:00:00.000Z", "2026-11-25T23:00:00.000Z"]
        );
        assert_eq!(
            starts(
                "Asia/Kolkata",
                "2026-11-25T22:20:00Z",
                "2026-11-25T22:31:00Z"
            ),
            ["2026-11-25T21:30:00.000Z", "2026-11-25T22:30:00.000Z"]
        );
    }

    fn days(bytes: &[u64]) -> Vec<Day> {
        let days = bytes.iter().enumerate();
        days.map(|(n, bytes)| Day {
            day: format!("2026-11-{:02}", n + 1),
            bytes: *bytes,
        })
        .collect()
    }

    #[test]
    fn growth_is_that_of_whole_days() {
        assert_eq!(bytes_per_day(&days(&[5, 90]), "2026-11-02"), None);
        assert_eq!(
            bytes_per_day(&days(&[5, 90, 110, 1]), "2026-11-04"),
            Some(100)
        );
        let long = days(&[5, 9_000, 10, 10, 10, 10, 10, 10, 10, 1]);
        assert_eq!(bytes_per_day(&long, "2026-11-10"), Some(10));
    }

    #[test]
    fn a_disk_that_holds_all_that_is_kept_never_fills_up() {
        // 100 a day for 30 days are 3,000.
        assert_eq!(days_until_floor(1_000, 2_000, 100, 30), None);
        assert_eq!(days_until_floor(1_000, 1_999, 100, 30), Some(19));
        assert_eq!(days_until_floor(0, 0, 0, 30), None);
    }
}
