//! `GET` and `POST /cards`, `GET` and `PUT /cards/{id}`, `POST /cards/{id}/revoke`, `/lost` and `/found`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;

use super::dwellings::{known_dwelling, tagged};
use super::ledger_views::{CardView, done, now, state_word};
use crate::domain::access::CardState;
use crate::domain::card::{CardKey, CardNumber};
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::right::Places;
use crate::roster::{Batch, CardFacts, Change, HeldCard, Household, Roster, Step, Validity};
use crate::supervise::blocking;
use crate::time::WallTime;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Body, Id, IfRevision};
use crate::web::page::{Page, Paging, gather};
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// What to list; all given conditions must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CardsQuery {
    dwelling: Option<DwellingId>,
    holder: Option<CardholderId>,
    /// `active`, `lost`, `revoked` or `expired`.
    state: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// A card to be issued.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssueBody {
    /// 4 to 32 hexadecimal digits.
    #[serde(alias = "number")]
    card: Option<String>,
    /// In place of the number: a card that was read at a door.
    capture: Option<String>,
    holder: CardholderId,
    valid_from: Option<WallTime>,
    valid_until: Option<WallTime>,
    #[serde(default)]
    why: String,
}

/// Other dates for a card.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatesBody {
    valid_from: Option<WallTime>,
    valid_until: Option<WallTime>,
    #[serde(default)]
    why: String,
}

/// Why a card's state changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhyBody {
    #[serde(default)]
    why: String,
}

pub(crate) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<CardsQuery>,
) -> Result<Json<Page<CardView>>, Problem> {
    authorise(&principal, Action::SeeRoster, None)?;
    let places = principal.places();
    blocking("list cards", move || page(&api.roster, &query, &places))
        .await?
        .map(Json)
}

fn page(roster: &Roster, query: &CardsQuery, places: &Places) -> Result<Page<CardView>, Problem> {
    let states = ["active", "lost", "revoked", "expired"];
    if query
        .state
        .as_deref()
        .is_some_and(|state| !states.contains(&state))
    {
        let detail = "state: one of active, lost, revoked, expired";
        return Err(Problem::bad_request(detail));
    }
    let paging = Paging {
        cursor: query.cursor.clone(),
        limit: query.limit,
    };
    let after: Option<(DwellingId, CardKey)> = paging.after()?;
    let (book, now) = (roster.book(), now(roster));
    // The dwelling of the last card is looked at again, for its further cards.
    let begun = after
        .as_ref()
        .and_then(|(dwelling, _)| book.household(dwelling));
    let rest = book.households(after.as_ref().map(|(dwelling, _)| dwelling));
    let homes: Box<dyn Iterator<Item = &Arc<Household>>> = match &query.dwelling {
        Some(dwelling) => Box::new(book.household(dwelling).into_iter()),
        None => Box::new(begun.into_iter().chain(rest)),
    };
    let homes = homes.filter(|home| places.has(&home.dwelling.place));
    let cards = homes.flat_map(|home| home.cards.iter().map(move |card| (home, card)));
    let rows = cards
        .map(|(home, card)| ((home.dwelling.id.clone(), card.key), card))
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
        .map(Ok);
    gather(rows, paging.limit(), |(dwelling, _), card| {
        let state = state_word(card.state, card.opens_until, now.at);
        let fits = query
            .holder
            .as_ref()
            .is_none_or(|holder| card.holder == *holder)
            && query.state.as_deref().is_none_or(|wanted| wanted == state);
        Ok(fits.then(|| held(dwelling, card, state)))
    })
}

fn held(dwelling: &DwellingId, card: &HeldCard, state: &'static str) -> CardView {
    CardView {
        id: card.key.card_id(),
        card_ref: card.number.tail(),
        holder: card.holder.clone(),
        dwelling: Some(dwelling.clone()),
        state,
        valid_from: card.valid_from,
        valid_until: card.valid_until,
        issued_at: card.issued_at,
        revision: card.revision,
    }
}

pub(crate) async fn one(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
) -> Result<impl IntoResponse, Problem> {
    authorise(&principal, Action::SeeRoster, None)?;
    let key = card_key(&id)?;
    let read = move || {
        known_card(&api.roster, &principal, Action::SeeRoster, &key)?;
        view(&api.roster, &key)
    };
    let view = blocking("read a card", read).await??;
    Ok(tagged(StatusCode::OK, view))
}

pub(crate) async fn issue(
    State(api): State<Api>,
    principal: Principal,
    Body(body): Body<IssueBody>,
) -> Result<impl IntoResponse, Problem> {
    authorise(&principal, Action::ChangeRoster, None)?;
    let number = number_of(&api, &principal, &body)?;
    let key = api.roster.card_hasher().key_of(&number);
    known_holder(&api.roster, &principal, &body.holder).await?;
    let facts = CardFacts {
        holder: body.holder,
        state: CardState::Active,
        validity: Validity {
            from: body.valid_from,
            until: body.valid_until,
        },
    };
    let change = Change::IssueCard(number, facts);
    let applied = api
        .roster
        .apply(Batch::one(principal.actor, body.why, change))
        .await?;
    let status = match done(&applied)? {
        Some(_) => StatusCode::CREATED,
        None => StatusCode::OK,
    };
    // Kept until now: who was refused may give the same card to somebody else.
    if let Some(capture) = &body.capture {
        api.next_cards.used(capture);
    }
    let view = blocking("read a card", move || view(&api.roster, &key)).await??;
    Ok(tagged(status, view))
}

/// The number that a body gives, or that of the card it names as captured.
fn number_of(api: &Api, principal: &Principal, body: &IssueBody) -> Result<CardNumber, Problem> {
    match (&body.card, &body.capture) {
        (Some(card), None) => {
            CardNumber::new(card.trim()).map_err(|err| Problem::bad_request(format!("card: {err}")))
        }
        (None, Some(capture)) => {
            let found = api.next_cards.card(capture, &principal.actor.name);
            found.ok_or_else(|| {
                let detail = "this card was read more than 5 minutes ago, by another account, or is issued \
                              already; read it again";
                Problem::new(StatusCode::CONFLICT, "capture-gone", detail)
            })
        }
        (Some(_), Some(_)) | (None, None) => {
            Err(Problem::bad_request("send either card or capture"))
        }
    }
}

pub(crate) async fn redate(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    IfRevision(if_revision): IfRevision,
    Body(body): Body<DatesBody>,
) -> Result<impl IntoResponse, Problem> {
    let key = card_key(&id)?;
    let validity = Validity {
        from: body.valid_from,
        until: body.valid_until,
    };
    let step = Step {
        change: Change::RedateCard(key, validity),
        if_revision,
    };
    change(api, principal, step, (key, body.why)).await
}

pub(crate) async fn revoke(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Body(body): Body<WhyBody>,
) -> Result<impl IntoResponse, Problem> {
    set_state(api, principal, &id, CardState::Revoked, body.why).await
}

pub(crate) async fn lose(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Body(body): Body<WhyBody>,
) -> Result<impl IntoResponse, Problem> {
    set_state(api, principal, &id, CardState::Lost, body.why).await
}

pub(crate) async fn find(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Body(body): Body<WhyBody>,
) -> Result<impl IntoResponse, Problem> {
    set_state(api, principal, &id, CardState::Active, body.why).await
}

async fn set_state(
    api: Api,
    principal: Principal,
    id: &str,
    state: CardState,
    why: String,
) -> Result<impl IntoResponse + use<>, Problem> {
    let key = card_key(id)?;
    let step = Step::from(Change::SetCardState(key, state));
    change(api, principal, step, (key, why)).await
}

async fn change(
    api: Api,
    principal: Principal,
    step: Step,
    (key, why): (CardKey, String),
) -> Result<impl IntoResponse + use<>, Problem> {
    authorise(&principal, Action::ChangeRoster, None)?;
    let (roster, by) = (api.roster.clone(), principal.actor.clone());
    let known = move || known_card(&roster, &principal, Action::ChangeRoster, &key);
    blocking("read a card", known).await??;
    let applied = api.roster.apply(Batch::one(by, why, step)).await?;
    done(&applied)?;
    let view = blocking("read a card", move || view(&api.roster, &key)).await??;
    Ok(tagged(StatusCode::OK, view))
}

/// Refuses a card of a dwelling where `action` may not be done. One that is not there is for its handler
/// to miss. Blocks.
fn known_card(
    roster: &Roster,
    principal: &Principal,
    action: Action,
    key: &CardKey,
) -> Result<(), Problem> {
    match roster.card(key)? {
        Some((dwelling, _)) => {
            known_dwelling(roster, principal, action, dwelling.as_str()).map(drop)
        }
        None => Ok(()),
    }
}

/// The same of who is to hold a card.
async fn known_holder(
    roster: &Roster,
    principal: &Principal,
    holder: &CardholderId,
) -> Result<(), Problem> {
    let (reader, holder) = (roster.clone(), holder.clone());
    let found = blocking("read a cardholder", move || reader.holder(&holder)).await??;
    match found {
        Some(record) => {
            let home = record.dwelling.as_str();
            known_dwelling(roster, principal, Action::ChangeRoster, home).map(drop)
        }
        None => Ok(()),
    }
}

fn view(roster: &Roster, key: &CardKey) -> Result<(u64, CardView), Problem> {
    let found = roster.card(key)?;
    let (dwelling, record) = found.ok_or_else(|| Problem::not_found("no such card"))?;
    let view = CardView::new(roster, Some(dwelling), (key, &record), now(roster).at)?;
    Ok((record.revision, view))
}

fn card_key(text: &str) -> Result<CardKey, Problem> {
    CardKey::from_card_id(text)
        .ok_or_else(|| Problem::bad_request("card id: 32 hexadecimal digits, as the API gave it"))
}
