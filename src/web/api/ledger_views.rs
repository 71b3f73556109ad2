//! What the API shows of the ledger, and how it says no.

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;

use crate::domain::access::CardState;
use crate::domain::card::CardKey;
use crate::domain::dwelling::{Day, Dwelling, Relation, Tenure};
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::ledger::{CardRecord, CardholderRecord};
use crate::domain::limit::FloorArea;
use crate::domain::place::Place;
use crate::domain::reckoning::{LimitBasis, Moment, Reckoning};
use crate::roster::{Applied, LedgerError, Outcome, Refusal, Roster};
use crate::time::WallTime;
use crate::web::problem::Problem;

/// A dwelling as the API shows it (contract, section 4).
#[derive(Debug, Serialize)]
pub(crate) struct DwellingView {
    id: DwellingId,
    place: Place,
    building: Option<String>,
    unit: Option<String>,
    number: String,
    area_m2: FloorArea,
    tenure: Tenure,
    beds: Option<u32>,
    from: Option<Day>,
    to: Option<Day>,
    limit: Option<u32>,
    holders: u32,
    free: Option<u32>,
    over_limit: bool,
    reckoning: ReckoningView,
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<Day>,
}

/// How the limit comes about.
#[derive(Debug, Serialize)]
pub(crate) struct ReckoningView {
    area_m2: FloorArea,
    m2_per_person: String,
    rule_version: u64,
    basis: LimitBasis,
    counted: Vec<CardholderId>,
    not_counted: Vec<NotCountedView>,
    surplus: Vec<CardholderId>,
}

/// Who does not count, and why.
#[derive(Debug, Serialize)]
pub(crate) struct NotCountedView {
    holder: CardholderId,
    why: String,
}

impl DwellingView {
    pub(crate) fn new(
        roster: &Roster,
        dwelling: &Dwelling,
        reckoning: &Reckoning,
        (revision, on): (u64, Option<Day>),
    ) -> DwellingView {
        let stairwell = match &dwelling.place {
            Place::Compound => None,
            Place::Stairwell(id) => roster.stairwell(id),
        };
        let (building, unit) = stairwell.map(|at| (at.building, at.unit)).unzip();
        DwellingView {
            id: dwelling.id.clone(),
            place: dwelling.place.clone(),
            building,
            unit,
            number: dwelling.number.clone(),
            area_m2: dwelling.area,
            tenure: dwelling.tenure,
            beds: dwelling.beds,
            from: dwelling.from,
            to: dwelling.to,
            limit: reckoning.limit,
            holders: reckoning.n_holders(),
            free: reckoning.n_free(),
            over_limit: reckoning.is_over(),
            reckoning: ReckoningView::new(reckoning),
            revision,
            on,
        }
    }
}

impl ReckoningView {
    pub(crate) fn new(reckoning: &Reckoning) -> ReckoningView {
        let not_counted = reckoning.not_counted.iter();
        ReckoningView {
            area_m2: reckoning.area,
            m2_per_person: short(reckoning.per_person),
            rule_version: reckoning.rule_version,
            basis: reckoning.basis,
            counted: reckoning.counted.clone(),
            not_counted: not_counted
                .map(|(holder, why)| NotCountedView {
                    holder: holder.clone(),
                    why: why.word().to_owned(),
                })
                .collect(),
            surplus: reckoning.surplus().to_vec(),
        }
    }
}

/// An area without places that say nothing: `12`, `12.5`.
fn short(area: FloorArea) -> String {
    let text = area.to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A cardholder as the API shows it; the name only to who may see it.
#[derive(Debug, Serialize)]
pub(crate) struct CardholderView {
    id: CardholderId,
    dwelling: DwellingId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    person_key: Option<String>,
    relation: Relation,
    from: Option<Day>,
    to: Option<Day>,
    added_at: WallTime,
    removed_at: Option<WallTime>,
    revision: u64,
}

impl CardholderView {
    pub(crate) fn new(
        roster: &Roster,
        record: &CardholderRecord,
        sees_names: bool,
    ) -> Result<CardholderView, LedgerError> {
        let person = match sees_names {
            true => Some(roster.person_of(record)?),
            false => None,
        };
        let (name, mark) = person.unzip();
        Ok(CardholderView {
            id: record.id.clone(),
            dwelling: record.dwelling.clone(),
            name: name.map(|name| name.reveal().to_owned()),
            person_key: mark.flatten().map(|mark| mark.reveal().to_owned()),
            relation: record.relation.clone(),
            from: record.from,
            to: record.to,
            added_at: record.added_at,
            removed_at: record.removed_at,
            revision: record.revision,
        })
    }
}

/// A card as the API shows it: never the whole number.
#[derive(Debug, Serialize)]
pub(crate) struct CardView {
    /// Opaque: tells nothing of the number.
    pub(super) id: String,
    /// `…` and four digits at most.
    pub(super) card_ref: String,
    pub(super) holder: CardholderId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dwelling: Option<DwellingId>,
    pub(super) state: &'static str,
    pub(super) valid_from: Option<WallTime>,
    pub(super) valid_until: Option<WallTime>,
    pub(super) issued_at: WallTime,
    pub(super) revision: u64,
}

impl CardView {
    pub(crate) fn new(
        roster: &Roster,
        dwelling: Option<DwellingId>,
        (key, record): (&CardKey, &CardRecord),
        now: WallTime,
    ) -> Result<CardView, LedgerError> {
        Ok(CardView {
            id: key.card_id(),
            card_ref: roster.tail_of(key, record)?,
            holder: record.holder.clone(),
            dwelling,
            state: state_word(record.state, record.valid_until, now),
            valid_from: record.valid_from,
            valid_until: record.valid_until,
            issued_at: record.issued_at,
            revision: record.revision,
        })
    }
}

/// `active`, `lost`, `revoked` or `expired`.
pub(super) fn state_word(state: CardState, until: Option<WallTime>, now: WallTime) -> &'static str {
    match state {
        CardState::Active if until.is_some_and(|until| until <= now) => "expired",
        CardState::Active => "active",
        CardState::Lost => "lost",
        CardState::Revoked => "revoked",
    }
}

/// What became of the one step of a batch: its revision and whether anything was done.
///
/// # Errors
/// The refusal, as a problem.
pub(crate) fn done(applied: &Applied) -> Result<Option<u64>, Problem> {
    match applied.outcomes.first() {
        Some(Outcome::Done { revision }) => Ok(Some(*revision)),
        Some(Outcome::Unchanged) => Ok(None),
        Some(Outcome::Refused(refusal)) => Err(refused(refusal)),
        None => Err(Problem::bad_request("nothing was asked")),
    }
}

/// A refusal as a problem document.
pub(crate) fn refused(refusal: &Refusal) -> Problem {
    let status = match refusal {
        Refusal::LimitReached { .. }
        | Refusal::HolderThere(_)
        | Refusal::CardTaken { .. }
        | Refusal::Crowded => StatusCode::CONFLICT,
        Refusal::NoDwelling(_) | Refusal::NoHolder(_) | Refusal::NoCard => StatusCode::NOT_FOUND,
        Refusal::NoPlace(_) | Refusal::DatesBackwards | Refusal::Beds | Refusal::Number => {
            StatusCode::BAD_REQUEST
        }
        Refusal::Stale { .. } => StatusCode::PRECONDITION_FAILED,
    };
    let problem = Problem::new(status, refusal.word(), refusal.to_string());
    match refusal {
        Refusal::LimitReached {
            dwelling,
            day,
            reckoning,
        } => problem
            .with("dwelling", dwelling.as_str())
            .with("limit", reckoning.limit)
            .with("holders", reckoning.n_holders())
            .with("area", reckoning.area.to_string())
            .with("area_m2", reckoning.area.to_string())
            .with("day", day.to_string())
            .with("reckoning", json!(ReckoningView::new(reckoning))),
        Refusal::CardTaken { holder, .. } => problem.with("holder", holder.as_str()),
        Refusal::Stale { found } => problem.with("revision", *found),
        Refusal::NoDwelling(_)
        | Refusal::NoHolder(_)
        | Refusal::NoCard
        | Refusal::NoPlace(_)
        | Refusal::HolderThere(_)
        | Refusal::DatesBackwards
        | Refusal::Beds
        | Refusal::Number
        | Refusal::Crowded => problem,
    }
}

/// Reads an id of the path.
pub(crate) fn dwelling_id(text: &str) -> Result<DwellingId, Problem> {
    DwellingId::new(text).map_err(|err| Problem::bad_request(format!("dwelling id: {err}")))
}

/// Reads an id of the path.
pub(crate) fn holder_id(text: &str) -> Result<CardholderId, Problem> {
    CardholderId::new(text).map_err(|err| Problem::bad_request(format!("holder id: {err}")))
}

/// Who counts of a dwelling's cardholders, and why not.
pub(super) fn counting<'r>(reckoning: &'r Reckoning, id: &CardholderId) -> (bool, Option<&'r str>) {
    let not = reckoning.not_counted.iter().find(|(one, _)| one == id);
    (
        reckoning.counted.contains(id),
        not.map(|(_, why)| why.word()),
    )
}

/// Now, and the compound's day of it.
pub(super) fn now(roster: &Roster) -> Moment {
    roster.moment()
}
