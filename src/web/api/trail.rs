//! `GET /alerts/{id}/trail`: what happened at the door of an alert and at its neighbours around that time.
//!
//! The neighbours are the doors of the same building, and the compound's gates. It follows places, not
//! persons: no entry shows who it was, and it spans minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::alerts::{self, AlertEvent};
use super::cases::alert_id;
use super::entries::EntryView;
use crate::domain::alert::Alert;
use crate::domain::id::{AlertId, DoorId, EntryId};
use crate::domain::place::Place;
use crate::store::{Store, tables};
use crate::supervise::blocking;
use crate::time::WallTime;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Id};
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// Minutes before and after, when the client does not say.
const MINUTES_DEFAULT: u64 = 5;
/// Most minutes before and after: a trail shows what surrounds one case, not a day.
const MINUTES_MAX: u64 = 30;
/// Items of one trail, at most; the nearest in time stay.
const ITEMS_MAX: usize = 500;
/// Rows of one door looked at, at most.
const ROWS_MAX: usize = 5_000;

/// How far around.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrailQuery {
    minutes: Option<u64>,
}

/// What happened, oldest first.
#[derive(Debug, Serialize)]
pub(crate) struct Trail {
    items: Vec<TrailItem>,
    from: WallTime,
    to: WallTime,
    /// The doors that were looked at.
    doors: Vec<DoorId>,
    /// Is something left out, because there was too much?
    is_cut: bool,
}

/// An entry or an alert.
#[derive(Debug, Serialize)]
struct TrailItem {
    at: WallTime,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<EntryView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<AlertEvent>,
}

pub(crate) async fn trail(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Asked(query): Asked<TrailQuery>,
) -> Result<Json<Trail>, Problem> {
    let id = alert_id(&id)?;
    let minutes = query.minutes.unwrap_or(MINUTES_DEFAULT);
    if !(1..=MINUTES_MAX).contains(&minutes) {
        let detail = format!("minutes: 1 to {MINUTES_MAX}");
        return Err(Problem::bad_request(detail));
    }
    let around = Duration::from_secs(minutes * 60);
    let found = move || {
        let alert = api.store.get(tables::ALERTS, &id)?;
        let alert = alert.ok_or_else(|| Problem::not_found("no such alert"))?;
        authorise(&principal, Action::SeeAlerts, Some(&alert.place))?;
        authorise(&principal, Action::SeeEntries, Some(&alert.place))?;
        follow(&api, &principal, &alert, around)
    };
    blocking("follow a trail", found).await?.map(Json)
}

/// Where an alert's door and its neighbours are.
fn places(api: &Api, principal: &Principal, alert: &Alert) -> BTreeSet<Place> {
    let building = |place: &Place| match place {
        Place::Compound => None,
        Place::Stairwell(id) => api.roster.stairwell(id).map(|it| it.building),
    };
    let own = building(&alert.place);
    let site = api.site.load();
    let all = site.doors.values().map(|door| &door.place);
    let near = all.filter(|place| {
        **place == alert.place
            || **place == Place::Compound
            || (own.is_some() && building(place) == own)
    });
    // Neighbours that the account may not see stay unseen.
    near.filter(|place| principal.is_within(place))
        .cloned()
        .collect()
}

fn follow(
    api: &Api,
    principal: &Principal,
    alert: &Alert,
    around: Duration,
) -> Result<Trail, Problem> {
    let store = &api.store;
    let middle = match &alert.entry {
        Some(entry) => store
            .entry(entry)?
            .map_or(alert.raised_at, |entry| entry.received_at),
        None => alert.raised_at,
    };
    let (from, to) = (middle.minus(around), middle.plus(around));
    let places = places(api, principal, alert);
    let site = api.site.load();
    let near = site.doors.values();
    let doors: Vec<DoorId> = near
        .filter(|door| places.contains(&door.place))
        .map(|door| door.id.clone())
        .collect();
    let mut found = Found::new();
    let mut is_cut = false;
    for door in &doors {
        is_cut |= entries(store, door, (from, to), &mut found)?;
    }
    is_cut |= alerts_near(store, &places, (from, to), &mut found)?;
    let mut items: Vec<TrailItem> = found.into_values().collect();
    if items.len() > ITEMS_MAX {
        is_cut = true;
        items.sort_by_key(|item| item.at.ns_since(middle).unsigned_abs());
        items.truncate(ITEMS_MAX);
        items.sort_by_key(|item| item.at);
    }
    Ok(Trail {
        items,
        from,
        to,
        doors,
        is_cut,
    })
}

type Found = BTreeMap<(WallTime, &'static str, String), TrailItem>;

/// The entries of a door; is something left out?
fn entries(
    store: &Store,
    door: &DoorId,
    (from, to): (WallTime, WallTime),
    found: &mut Found,
) -> Result<bool, Problem> {
    let least = EntryId::from_bytes([0; 16]);
    let (low, high) = ((door.clone(), from, least), (door.clone(), to, least));
    let table = tables::ENTRIES_BY_DOOR;
    let rows = store.range(table, door, Some(&low), Some(&high));
    for (n, row) in rows.enumerate() {
        if n == ROWS_MAX {
            return Ok(true);
        }
        let ((_, at, id), ()) = row?;
        let Some(entry) = store.get(tables::ENTRIES, &(at, id))? else {
            continue;
        };
        let item = TrailItem {
            at,
            kind: "entry",
            entry: Some(entry.into()),
            alert: None,
        };
        found.insert((at, item.kind, id.to_string()), item);
    }
    Ok(false)
}

/// The alerts of those places; is something left out?
fn alerts_near(
    store: &Store,
    places: &BTreeSet<Place>,
    (from, to): (WallTime, WallTime),
    found: &mut Found,
) -> Result<bool, Problem> {
    let least = AlertId::from_bytes([0; 16]);
    let (low, high) = ((from, least), (to, least));
    let rows = store.range(tables::ALERTS_BY_TIME, &(), Some(&low), Some(&high));
    for (n, row) in rows.enumerate() {
        if n == ROWS_MAX {
            return Ok(true);
        }
        let ((at, id), ()) = row?;
        let alert = store.get(tables::ALERTS, &id)?;
        let Some(alert) = alert.filter(|alert| places.contains(&alert.place)) else {
            continue;
        };
        let item = TrailItem {
            at,
            kind: "alert",
            entry: None,
            alert: Some(alerts::event(store, alert)?),
        };
        found.insert((at, item.kind, id.to_string()), item);
    }
    Ok(false)
}
