//! `GET /entries` and `GET /entries/{id}`.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::domain::access::{Decision, Outcome};
use crate::domain::audit::AuditAct;
use crate::domain::clip::{ClipRecord, ClipState, Gap, MissedReason};
use crate::domain::entry::Entry;
use crate::domain::id::{AlertId, CameraId, CardholderId, DoorId, DwellingId, EntryId};
use crate::domain::place::Place;
use crate::domain::right::Places;
use crate::domain::swipe::{ControllerResult, Direction, Method};
use crate::store::{Store, tables};
use crate::supervise::blocking;
use crate::time::WallTime;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Id};
use crate::web::looks::{self, Grounds, Look, Why};
use crate::web::page::{Page, Paging, gather};
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// Longest time that one person's entries are shown over: a case, not a habit.
const PERSON_SPAN_MAX: Duration = Duration::from_secs(31 * 86_400);

/// What to list; all given conditions must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntriesQuery {
    door: Option<DoorId>,
    dwelling: Option<DwellingId>,
    decision: Option<Outcome>,
    /// Only those of this building's stairwells, by the name on its wall.
    building: Option<String>,
    place: Option<Place>,
    /// Only those of this person; needs a reason or a case, and is recorded.
    holder: Option<CardholderId>,
    reason: Option<String>,
    case: Option<String>,
    /// First moment, inclusive (arrival).
    from: Option<WallTime>,
    /// First moment after, exclusive (arrival).
    to: Option<WallTime>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// An entry as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct EntryView {
    id: EntryId,
    door: DoorId,
    place: Place,
    at: WallTime,
    received_at: WallTime,
    controller_at: Option<WallTime>,
    card_ref: Option<String>,
    dwelling: Option<DwellingId>,
    direction: Direction,
    method: Method,
    controller_result: ControllerResult,
    decision: Decision,
    clip: ClipView,
    /// One for each camera of the door; the first is `clip`.
    clips: Vec<ClipView>,
    alerts: Vec<AlertId>,
}

/// A clip as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct ClipView {
    state: ClipState,
    /// What was asked for.
    from: WallTime,
    to: WallTime,
    camera: Option<CameraId>,
    gaps: Vec<Gap>,
    reason: Option<MissedReason>,
    sha256: Option<String>,
    settled_at: Option<WallTime>,
}

impl From<ClipRecord> for ClipView {
    fn from(clip: ClipRecord) -> ClipView {
        ClipView {
            state: clip.state,
            from: clip.window.from,
            to: clip.window.to,
            camera: clip.camera,
            gaps: clip.gaps,
            reason: clip.reason,
            sha256: clip.sha256,
            settled_at: clip.settled_at,
        }
    }
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> EntryView {
        EntryView {
            clip: entry.clip().clone().into(),
            id: entry.id,
            door: entry.door,
            place: entry.place,
            at: entry.at,
            received_at: entry.received_at,
            controller_at: entry.controller_at,
            card_ref: entry.card.map(|card| card.tail),
            dwelling: entry.dwelling,
            direction: entry.direction,
            method: entry.method,
            controller_result: entry.controller_result,
            decision: entry.decision,
            clips: entry.clips.into_iter().map(ClipView::from).collect(),
            alerts: entry.alerts,
        }
    }
}

pub(crate) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<EntriesQuery>,
) -> Result<Json<Page<EntryView>>, Problem> {
    authorise(&principal, Action::SeeEntries, None)?;
    let mut query = query;
    if let Some(holder) = query.holder.clone() {
        search_person(&api, &principal, &mut query, holder).await?;
    }
    let places = principal.places();
    if let Some(place) = &query.place {
        authorise(&principal, Action::SeeEntries, Some(place))?;
    }
    let stairwells = query.building.as_ref().map(|building| {
        let all = api.roster.stairwells().into_iter();
        let of_it = all.filter(|stairwell| stairwell.building == *building);
        of_it
            .map(|stairwell| Place::Stairwell(stairwell.id))
            .collect()
    });
    let store = api.store.clone();
    let wanted = Wanted { places, stairwells };
    blocking("list entries", move || page(&store, &query, &wanted))
        .await?
        .map(Json)
}

pub(crate) async fn one(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
) -> Result<Json<EntryView>, Problem> {
    find(&api, &principal, Action::SeeEntries, &id).map(|entry| Json(entry.into()))
}

/// The entry of `id` for who may do `action` where it is, or the problem that says why not.
pub(crate) fn find(
    api: &Api,
    principal: &Principal,
    action: Action,
    id: &str,
) -> Result<Entry, Problem> {
    authorise(principal, action, None)?;
    let id: EntryId = id
        .parse()
        .map_err(|err| Problem::bad_request(format!("entry id: {err}")))?;
    let entry = api.store.entry(&id)?;
    let entry =
        entry.ok_or_else(|| Problem::not_found("no such entry; it may be past its retention"))?;
    authorise(principal, action, Some(&entry.place))?;
    Ok(entry)
}

/// Before a person is searched: who may, for which reason, over which time. Leaves a record.
async fn search_person(
    api: &Api,
    principal: &Principal,
    query: &mut EntriesQuery,
    holder: CardholderId,
) -> Result<(), Problem> {
    authorise(principal, Action::SearchPerson, None)?;
    let why = Why {
        reason: query.reason.clone(),
        case: query.case.clone(),
    };
    let grounds = Grounds::of(api, principal, &why, true)?;
    let to = query.to.unwrap_or_else(|| api.video.clock().now());
    let from = query.from.unwrap_or_else(|| to.minus(PERSON_SPAN_MAX));
    if to.since(from) > PERSON_SPAN_MAX {
        let detail = "from and to: a person's entries are shown for 31 days at most";
        return Err(Problem::bad_request(detail));
    }
    (query.from, query.to) = (Some(from), Some(to));
    let (roster, id) = (api.roster.clone(), holder.clone());
    let found = blocking("read a cardholder", move || roster.holder(&id)).await??;
    let found = found.ok_or_else(|| Problem::not_found("no such cardholder"))?;
    let book = api.roster.book();
    let home = book.household(&found.dwelling);
    let look = Look {
        act: AuditAct::Person,
        target: holder.to_string(),
        place: home.map(|home| home.dwelling.place.clone()),
        detail: String::new(),
    };
    looks::look(api, principal, look, grounds).await?;
    query.dwelling = Some(query.dwelling.take().unwrap_or(found.dwelling));
    Ok(())
}

/// Where entries may be.
struct Wanted {
    /// That the account may see.
    places: Places,
    /// Of the building that was asked for.
    stairwells: Option<BTreeSet<Place>>,
}

impl Wanted {
    fn has(&self, query: &EntriesQuery, entry: &Entry) -> bool {
        self.places.has(&entry.place)
            && query.place.as_ref().is_none_or(|it| *it == entry.place)
            && query
                .holder
                .as_ref()
                .is_none_or(|it| entry.holder.as_ref() == Some(it))
            && self
                .stairwells
                .as_ref()
                .is_none_or(|stairwells| stairwells.contains(&entry.place))
    }
}

fn page(store: &Store, query: &EntriesQuery, places: &Wanted) -> Result<Page<EntryView>, Problem> {
    let paging = Paging {
        cursor: query.cursor.clone(),
        limit: query.limit,
    };
    let limit = paging.limit();
    let until = query.to.unwrap_or(WallTime::from_unix_ns(i64::MAX));
    let from = query.from.unwrap_or(WallTime::from_unix_ns(i64::MIN));
    let least = EntryId::from_bytes([0; 16]);
    let pick = |entry: Entry| -> Result<Option<EntryView>, Problem> {
        let wanted = places.has(query, &entry)
            && query
                .decision
                .is_none_or(|outcome| entry.decision.outcome == outcome)
            && query
                .dwelling
                .as_ref()
                .is_none_or(|d| entry.dwelling.as_ref() == Some(d));
        Ok(wanted.then(|| entry.into()))
    };
    // The row may go between reading the index and the record.
    let find = |at: WallTime, id: EntryId| match store.get(tables::ENTRIES, &(at, id))? {
        Some(entry) => pick(entry),
        None => Ok(None),
    };
    // Newest first: the cursor is the last key shown, exclusive like every upper end.
    if let Some(door) = &query.door {
        let high = paging.after()?.unwrap_or((door.clone(), until, least));
        let low = (door.clone(), from, least);
        let rows = store
            .range(tables::ENTRIES_BY_DOOR, door, Some(&low), Some(&high))
            .rev();
        return gather(rows.map(|row| Ok(row?)), limit, |key, ()| {
            find(key.1, key.2)
        });
    }
    if let Some(dwelling) = &query.dwelling {
        let high = paging.after()?.unwrap_or((dwelling.clone(), until, least));
        let low = (dwelling.clone(), from, least);
        let rows = store
            .range(
                tables::ENTRIES_BY_DWELLING,
                dwelling,
                Some(&low),
                Some(&high),
            )
            .rev();
        return gather(rows.map(|row| Ok(row?)), limit, |key, ()| {
            find(key.1, key.2)
        });
    }
    let high = paging.after()?.unwrap_or((until, least));
    let low = (from, least);
    let rows = store
        .range(tables::ENTRIES, &(), Some(&low), Some(&high))
        .rev();
    gather(rows.map(|row| Ok(row?)), limit, |_, entry| pick(entry))
}
