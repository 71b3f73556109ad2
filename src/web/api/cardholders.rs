//! `GET` and `POST /dwellings/{id}/cardholders`, `PUT` and `DELETE …/{holder}`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

use super::dwellings::{known_dwelling, tagged};
use super::ledger_views::{CardView, CardholderView, counting, done, dwelling_id, holder_id, now};
use crate::domain::dwelling::{Day, Relation};
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::person::{PersonMark, PersonName};
use crate::domain::right::Places;
use crate::roster::{Batch, Change, DwellingThen, HolderFacts, Roster, Step};
use crate::supervise::blocking;
use crate::web::Api;
use crate::web::access::{Action, may};
use crate::web::extract::{Asked, Body, Id, Ids, IfRevision};
use crate::web::looks::{self, Grounds, Why};
use crate::web::page::Page;
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// A cardholder to be added, or other facts of one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CardholderBody {
    /// Chosen by who adds; otherwise one is made up.
    id: Option<String>,
    name: String,
    relation: Relation,
    person_key: Option<String>,
    from: Option<Day>,
    to: Option<Day>,
    /// Only to move: the dwelling from now on.
    dwelling: Option<DwellingId>,
    #[serde(default)]
    why: String,
}

/// How cardholders are to be shown, and why someone looks at them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResidentsQuery {
    on: Option<Day>,
    /// False: without names, which needs no reason.
    names: Option<bool>,
    reason: Option<String>,
    case: Option<String>,
}

/// Why someone is removed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhyQuery {
    #[serde(default)]
    why: String,
}

/// A cardholder with cards, and whether the person counts.
#[derive(Debug, Serialize)]
pub(crate) struct ResidentView {
    #[serde(flatten)]
    holder: CardholderView,
    counted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    surplus: bool,
    /// Other dwellings in which the same person holds cards.
    also_in: Vec<DwellingId>,
    cards: Vec<CardView>,
}

pub(crate) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Asked(query): Asked<ResidentsQuery>,
) -> Result<Json<Page<ResidentView>>, Problem> {
    // Who may not see the roster may look for a person, and that begins with who lives where.
    let is_search = !may(&principal, Action::SeeRoster);
    let action = if is_search {
        Action::SearchPerson
    } else {
        Action::SeeRoster
    };
    let id = known_dwelling(&api.roster, &principal, action, &id)?;
    let sees_names = query.names != Some(false) && (is_search || may(&principal, Action::SeeNames));
    // Who lives where is a look at persons for who may not see the roster, also without their names.
    let grounds = match sees_names || is_search {
        true => {
            let (reason, case) = (query.reason, query.case);
            let why = Why { reason, case };
            Some(Grounds::of(&api, &principal, &why, is_search)?)
        }
        false => None,
    };
    let places = principal.places();
    let (roster, of) = (api.roster.clone(), id.clone());
    let read = move || residents(&roster, &of, query.on, (sees_names, &places));
    let found = blocking("list cardholders", read).await??;
    if let Some(grounds) = grounds {
        looks::names_seen(&api, &principal, &id, grounds).await?;
    }
    Ok(Json(found))
}

fn residents(
    roster: &Roster,
    id: &DwellingId,
    on: Option<Day>,
    (sees_names, places): (bool, &Places),
) -> Result<Page<ResidentView>, Problem> {
    let Some(then) = roster.dwelling(id, on)? else {
        return Err(Problem::not_found("no such dwelling"));
    };
    let DwellingThen {
        reckoning,
        holders,
        cards,
        ..
    } = then;
    let moment = now(roster);
    let mut items = Vec::with_capacity(holders.len());
    for record in &holders {
        let own = cards.iter().filter(|(_, card)| card.holder == record.id);
        let own = own.map(|card| CardView::new(roster, None, card, moment.at));
        let (counted, why_not) = counting(&reckoning, &record.id);
        let also_in = match on {
            None => also_in(roster, id, &record.person, places),
            Some(_) => BTreeSet::new(),
        };
        items.push(ResidentView {
            holder: CardholderView::new(roster, record, sees_names)?,
            counted,
            why_not: why_not.map(str::to_owned),
            surplus: reckoning.surplus().contains(&record.id),
            also_in: also_in.into_iter().collect(),
            cards: own.collect::<Result<_, _>>()?,
        });
    }
    // Bounded by the ledger, so one page holds all.
    Ok(Page {
        items,
        next_cursor: None,
    })
}

fn also_in(
    roster: &Roster,
    here: &DwellingId,
    person: &crate::domain::person::PersonKey,
    places: &Places,
) -> BTreeSet<DwellingId> {
    let book = roster.book();
    let others = book
        .households(None)
        .filter(|home| home.dwelling.id != *here && places.has(&home.dwelling.place));
    let with = others.filter(|home| {
        let mut people = home.residents.iter().map(|one| &one.occupant.person);
        people.any(|one| one == person)
    });
    with.map(|home| home.dwelling.id.clone()).collect()
}

pub(crate) async fn add(
    State(api): State<Api>,
    principal: Principal,
    Id(dwelling): Id,
    Body(body): Body<CardholderBody>,
) -> Result<impl IntoResponse, Problem> {
    let action = Action::ChangeRoster;
    let home = known_dwelling(&api.roster, &principal, action, &dwelling)?;
    let id = match &body.id {
        Some(id) => holder_id(id)?,
        None => holder_id(&format!("h-{:016x}", fastrand::u64(..)))?,
    };
    let facts = facts(&body, home.clone())?;
    let change = Change::AddHolder(id.clone(), facts);
    let applied = api
        .roster
        .apply(Batch::one(principal.actor.clone(), body.why, change))
        .await?;
    if done(&applied)?.is_some() {
        changed(&api, &principal, &home, &id, "added").await?;
    }
    let view = blocking("read a cardholder", move || view(&api.roster, &id)).await??;
    Ok(tagged(StatusCode::CREATED, view))
}

pub(crate) async fn change(
    State(api): State<Api>,
    principal: Principal,
    Ids(dwelling, holder): Ids,
    IfRevision(if_revision): IfRevision,
    Body(body): Body<CardholderBody>,
) -> Result<impl IntoResponse, Problem> {
    let action = Action::ChangeRoster;
    let home = known_dwelling(&api.roster, &principal, action, &dwelling)?;
    let id = found_in(&api.roster, &dwelling, &holder).await?;
    let to = match &body.dwelling {
        Some(to) => known_dwelling(&api.roster, &principal, action, to.as_str())?,
        None => home.clone(),
    };
    let step = Step {
        change: Change::ChangeHolder(id.clone(), facts(&body, to)?),
        if_revision,
    };
    let applied = api
        .roster
        .apply(Batch::one(principal.actor.clone(), body.why, step))
        .await?;
    if done(&applied)?.is_some() {
        changed(&api, &principal, &home, &id, "changed").await?;
    }
    let view = blocking("read a cardholder", move || view(&api.roster, &id)).await??;
    Ok(tagged(StatusCode::OK, view))
}

pub(crate) async fn remove(
    State(api): State<Api>,
    principal: Principal,
    Ids(dwelling, holder): Ids,
    IfRevision(if_revision): IfRevision,
    Asked(query): Asked<WhyQuery>,
) -> Result<StatusCode, Problem> {
    let action = Action::ChangeRoster;
    let home = known_dwelling(&api.roster, &principal, action, &dwelling)?;
    let id = found_in(&api.roster, &dwelling, &holder).await?;
    let step = Step {
        change: Change::RemoveHolder(id.clone()),
        if_revision,
    };
    let applied = api
        .roster
        .apply(Batch::one(principal.actor.clone(), query.why, step))
        .await?;
    if done(&applied)?.is_some() {
        changed(&api, &principal, &home, &id, "removed").await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Records the change by ids alone: the audit holds no names.
async fn changed(
    api: &Api,
    principal: &Principal,
    home: &DwellingId,
    id: &CardholderId,
    what: &str,
) -> Result<(), Problem> {
    let book = api.roster.book();
    let place = book.household(home).map(|home| home.dwelling.place.clone());
    let detail = format!("cardholder {id} {what}");
    looks::changed(api, principal, home.as_str(), place, detail).await
}

/// The cardholder's id, if the person is one of that dwelling.
async fn found_in(roster: &Roster, dwelling: &str, holder: &str) -> Result<CardholderId, Problem> {
    let (dwelling, id) = (dwelling_id(dwelling)?, holder_id(holder)?);
    let (roster, asked) = (roster.clone(), id.clone());
    let found = blocking("read a cardholder", move || roster.holder(&asked)).await??;
    let found = found.filter(|record| record.dwelling == dwelling && record.removed_at.is_none());
    match found {
        Some(_) => Ok(id),
        None => Err(Problem::not_found("no such cardholder in this dwelling")),
    }
}

fn facts(body: &CardholderBody, dwelling: DwellingId) -> Result<HolderFacts, Problem> {
    let name =
        PersonName::new(&body.name).map_err(|err| Problem::bad_request(format!("name: {err}")))?;
    let mark = body
        .person_key
        .as_deref()
        .filter(|mark| !mark.trim().is_empty());
    let person = mark
        .map(PersonMark::new)
        .transpose()
        .map_err(|err| Problem::bad_request(format!("person_key: {err}")))?;
    Ok(HolderFacts {
        dwelling,
        name,
        relation: body.relation.clone(),
        person,
        from: body.from,
        to: body.to,
    })
}

/// Who has just written it may see it.
fn view(roster: &Roster, id: &CardholderId) -> Result<(u64, CardholderView), Problem> {
    let record = roster.holder(id)?;
    let record = record.ok_or_else(|| Problem::not_found("no such cardholder"))?;
    let view = CardholderView::new(roster, &record, true)?;
    Ok((record.revision, view))
}
