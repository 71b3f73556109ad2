//! `GET /dwellings`, `GET` and `PUT /dwellings/{id}`, `GET /dwellings/{id}/history`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ledger_views::{
    CardView, CardholderView, DwellingView, ReckoningView, done, dwelling_id,
};
use crate::domain::audit::AuditAct;
use crate::domain::dwelling::{Day, Dwelling, Tenure};
use crate::domain::id::DwellingId;
use crate::domain::ledger::Changed;
use crate::domain::limit::FloorArea;
use crate::domain::person::PersonName;
use crate::domain::place::Place;
use crate::domain::right::Places;
use crate::domain::role::Actor;
use crate::roster::{Batch, Change, HistoryItem, Household, LedgerError, Roster, Step};
use crate::supervise::blocking;
use crate::time::WallTime;
use crate::web::Api;
use crate::web::access::{Action, authorise, may};
use crate::web::extract::{Asked, Body, Id, IfRevision};
use crate::web::looks::{self, Grounds, Look, Why};
use crate::web::page::{Page, Paging, cursor_of, gather};
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// What to list; all given conditions must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DwellingsQuery {
    building: Option<String>,
    over_limit: Option<bool>,
    q: Option<String>,
    /// Why a person is looked for by name, in words; also `case`.
    reason: Option<String>,
    case: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// On which day it is to be shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OnQuery {
    pub(super) on: Option<Day>,
}

/// A dwelling to be put.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DwellingBody {
    place: Place,
    number: String,
    area_m2: FloorArea,
    tenure: Tenure,
    beds: Option<u32>,
    from: Option<Day>,
    to: Option<Day>,
    #[serde(default)]
    why: String,
}

/// Which part of a history.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryQuery {
    /// False: without names and reasons, which needs no reason.
    names: Option<bool>,
    reason: Option<String>,
    case: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// One change.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeView {
    seq: u64,
    at: WallTime,
    by: Actor,
    /// Only for who may see names: people write them into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    what: &'static str,
    before: Value,
    after: Value,
}

pub(crate) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<DwellingsQuery>,
) -> Result<Json<Page<DwellingView>>, Problem> {
    authorise(&principal, Action::SeeRoster, None)?;
    // A person at the console who has not said why finds no name, but still numbers and ids.
    let why = Why {
        reason: query.reason.clone(),
        case: query.case.clone(),
    };
    let grounds = match may(&principal, Action::SeeNames) && query.q.is_some() {
        true if why.is_said() || !principal.is_person() => {
            Some(Grounds::of(&api, &principal, &why, false)?)
        }
        _ => None,
    };
    let (roster, places, by_name) = (api.roster.clone(), principal.places(), grounds.is_some());
    let read = move || page(&roster, &query, by_name, &places);
    let (found, by_its_name) = blocking("list dwellings", read).await??;
    if let Some(grounds) = grounds
        && (!by_its_name.is_empty() || found.items.is_empty())
    {
        let look = Look {
            act: AuditAct::Person,
            target: "search by name".to_owned(),
            place: None,
            detail: format!("found: {}", named(&by_its_name)),
        };
        looks::record(&api, &principal, look, grounds).await?;
    }
    Ok(Json(found))
}

fn page(
    roster: &Roster,
    query: &DwellingsQuery,
    by_name: bool,
    places: &Places,
) -> Result<(Page<DwellingView>, Vec<DwellingId>), Problem> {
    let paging = Paging {
        cursor: query.cursor.clone(),
        limit: query.limit,
    };
    let after: Option<DwellingId> = paging.after()?;
    let (book, now) = (roster.book(), roster.moment());
    let wanted = Wanted::new(roster, query, by_name);
    let mut by_its_name = Vec::new();
    let rows = book.households(after.as_ref());
    let rows = rows.map(|home| Ok((home.dwelling.id.clone(), Arc::clone(home))));
    let found = gather(rows, paging.limit(), |_, home| {
        let fits = wanted.fits(&home);
        if !places.has(&home.dwelling.place) || fits == Fits::Not {
            return Ok(None);
        }
        if fits == Fits::ByName {
            by_its_name.push(home.dwelling.id.clone());
        }
        let reckoning = home.reckon(book.policy(), now);
        let fits = query
            .over_limit
            .is_none_or(|over| reckoning.is_over() == over);
        Ok(fits
            .then(|| DwellingView::new(roster, &home.dwelling, &reckoning, (home.revision, None))))
    })?;
    Ok((found, by_its_name))
}

/// The dwellings for the audit, or that there was none.
fn named(dwellings: &[DwellingId]) -> String {
    let ids: Vec<&str> = dwellings.iter().map(DwellingId::as_str).collect();
    match ids.is_empty() {
        true => "nobody".to_owned(),
        false => ids.join(", "),
    }
}

/// Is a household what is looked for?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fits {
    Not,
    Plainly,
    /// Only since somebody there has the name.
    ByName,
}

/// What a household must be like.
struct Wanted<'q> {
    roster: &'q Roster,
    building: Option<&'q str>,
    /// Part of a number or an id, in lower case.
    part: Option<String>,
    /// The keyed hash of exactly that name, for who may see names and says why.
    name: Option<crate::domain::person::NameKey>,
}

impl<'q> Wanted<'q> {
    fn new(roster: &'q Roster, query: &'q DwellingsQuery, by_name: bool) -> Wanted<'q> {
        let q = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty());
        let name = q.filter(|_| by_name).and_then(|q| PersonName::new(q).ok());
        Wanted {
            roster,
            building: query.building.as_deref(),
            part: q.map(str::to_lowercase),
            name: name.map(|name| roster.card_hasher().name_of(&name)),
        }
    }

    fn fits(&self, home: &Household) -> Fits {
        if let Some(building) = self.building {
            let Place::Stairwell(id) = &home.dwelling.place else {
                return Fits::Not;
            };
            let stairwell = self.roster.stairwell(id);
            if stairwell.is_none_or(|at| at.building != building) {
                return Fits::Not;
            }
        }
        let Some(part) = &self.part else {
            return Fits::Plainly;
        };
        let dwelling = &home.dwelling;
        let is_it = |name| home.residents.iter().any(|one| one.name_key == name);
        if dwelling.number.to_lowercase().contains(part)
            || dwelling.id.as_str().to_lowercase().contains(part)
        {
            Fits::Plainly
        } else if self.name.is_some_and(is_it) {
            Fits::ByName
        } else {
            Fits::Not
        }
    }
}

pub(crate) async fn one(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Asked(query): Asked<OnQuery>,
) -> Result<impl IntoResponse, Problem> {
    let id = known_dwelling(&api.roster, &principal, Action::SeeRoster, &id)?;
    let view = blocking("read a dwelling", move || view(&api.roster, &id, query.on)).await??;
    Ok(tagged(StatusCode::OK, view))
}

/// The id of the path, for who may do `action` in that dwelling. One that is not there is for its
/// handler to miss.
pub(super) fn known_dwelling(
    roster: &Roster,
    principal: &Principal,
    action: Action,
    id: &str,
) -> Result<DwellingId, Problem> {
    authorise(principal, action, None)?;
    let id = dwelling_id(id)?;
    let book = roster.book();
    if let Some(home) = book.household(&id) {
        authorise(principal, action, Some(&home.dwelling.place))?;
    }
    Ok(id)
}

/// The dwelling now, or at the end of a day.
fn view(roster: &Roster, id: &DwellingId, on: Option<Day>) -> Result<(u64, DwellingView), Problem> {
    let found = roster.dwelling(id, on)?;
    let found = found.ok_or_else(|| match on {
        Some(day) => Problem::not_found(format!("there was no such dwelling on {day}")),
        None => Problem::not_found("no such dwelling"),
    })?;
    let about = (found.revision, on);
    let view = DwellingView::new(roster, &found.dwelling, &found.reckoning, about);
    Ok((found.revision, view))
}

/// The view, with its revision as an `ETag`.
pub(super) fn tagged(
    status: StatusCode,
    (revision, view): (u64, impl Serialize),
) -> impl IntoResponse {
    (
        status,
        [(header::ETAG, format!("\"{revision}\""))],
        Json(view),
    )
}

pub(crate) async fn put(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    IfRevision(if_revision): IfRevision,
    Body(body): Body<DwellingBody>,
) -> Result<impl IntoResponse, Problem> {
    let id = known_dwelling(&api.roster, &principal, Action::ChangeRoster, &id)?;
    authorise(&principal, Action::ChangeRoster, Some(&body.place))?;
    let is_new = api.roster.book().household(&id).is_none();
    let place = body.place.clone();
    let dwelling = Dwelling {
        id: id.clone(),
        place: body.place,
        number: body.number,
        area: body.area_m2,
        tenure: body.tenure,
        beds: body.beds,
        from: body.from,
        to: body.to,
    };
    let step = Step {
        change: Change::PutDwelling(dwelling),
        if_revision,
    };
    let applied = api
        .roster
        .apply(Batch::one(principal.actor.clone(), body.why, step))
        .await?;
    if done(&applied)?.is_some() {
        let what = if is_new {
            "dwelling added"
        } else {
            "dwelling changed"
        };
        looks::changed(&api, &principal, id.as_str(), Some(place), what).await?;
    }
    let roster = api.roster.clone();
    let view = blocking("read a dwelling", move || view(&roster, &id, None)).await??;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(tagged(status, view))
}

pub(crate) async fn history(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Asked(query): Asked<HistoryQuery>,
) -> Result<Json<Page<ChangeView>>, Problem> {
    let id = known_dwelling(&api.roster, &principal, Action::SeeRoster, &id)?;
    let sees_names = may(&principal, Action::SeeNames) && query.names != Some(false);
    let grounds = match sees_names {
        true => {
            let (reason, case) = (query.reason.clone(), query.case.clone());
            Some(Grounds::of(&api, &principal, &Why { reason, case }, false)?)
        }
        false => None,
    };
    let (roster, of) = (api.roster.clone(), id.clone());
    let read = move || history_page(&roster, &of, &query, sees_names);
    let found = blocking("read a history", read).await??;
    if let Some(grounds) = grounds {
        looks::names_seen(&api, &principal, &id, grounds).await?;
    }
    Ok(Json(found))
}

fn history_page(
    roster: &Roster,
    id: &DwellingId,
    query: &HistoryQuery,
    sees_names: bool,
) -> Result<Page<ChangeView>, Problem> {
    if roster.book().household(id).is_none() {
        return Err(Problem::not_found("no such dwelling"));
    }
    let paging = Paging {
        cursor: query.cursor.clone(),
        limit: query.limit,
    };
    let items = roster.history(id, paging.after()?, paging.limit())?;
    let next = match items.last() {
        Some(last) if !roster.history(id, Some(last.seq), 1)?.is_empty() => {
            Some(cursor_of(&last.seq))
        }
        Some(_) | None => None,
    };
    let items = items
        .into_iter()
        .map(|item| change_view(roster, item, sees_names));
    Ok(Page {
        items: items.collect::<Result<_, _>>()?,
        next_cursor: next,
    })
}

fn change_view(
    roster: &Roster,
    item: HistoryItem,
    sees_names: bool,
) -> Result<ChangeView, LedgerError> {
    let at = item.at;
    let (what, before, after) = match &item.what {
        Changed::Dwelling { before, after } => {
            let before = before.as_ref().map(|record| &record.dwelling);
            ("dwelling", json!(before), json!(after.dwelling))
        }
        Changed::Cardholder { before, after } => {
            let view = |record| CardholderView::new(roster, record, sees_names);
            let before = before.as_ref().map(view).transpose()?;
            ("cardholder", json!(before), json!(view(after)?))
        }
        Changed::Card { key, before, after } => {
            let view = |record| CardView::new(roster, None, (key, record), at);
            let before = before.as_ref().map(view).transpose()?;
            ("card", json!(before), json!(view(after)?))
        }
        Changed::Refused {
            asked,
            holder,
            day,
            reckoning,
        } => {
            let asked = json!({
                "asked": asked,
                "holder": holder,
                "day": day,
                "limit": reckoning.limit,
                "holders": reckoning.n_holders(),
                "reckoning": ReckoningView::new(reckoning),
            });
            ("refused", Value::Null, asked)
        }
    };
    Ok(ChangeView {
        seq: item.seq,
        at,
        by: item.by,
        why: item.why.filter(|_| sees_names),
        what,
        before,
        after,
    })
}
