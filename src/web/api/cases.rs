//! The closed loop: `POST /alerts/{id}/acknowledge`, `dispatch`, `accept`, `resolve`, `verify`, `close`,
//! `reopen`, `cancel`; and a case as the API shows it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, post};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::alerts::{AlertView, detailed, find};
use super::pictures::PictureView;
use crate::case::StepAnswer;
use crate::domain::case::{
    Action as CaseAction, Case, CaseState, Move, MoveKind, Note, Party, Refusal, Step, StepKind,
    Tier, legal_steps,
};
use crate::domain::id::AlertId;
use crate::domain::role::{Actor, Role};
use crate::supervise::blocking;
use crate::time::WallTime;
use crate::web::Api;
use crate::web::access::Action;
use crate::web::extract::{Id, Raw};
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// The handling of an alert, in short: what lists and the live feed show.
#[derive(Debug, Serialize)]
pub(crate) struct CaseView {
    state: CaseState,
    tier: Tier,
    party: Option<Party>,
    opened_at: WallTime,
    due_step: Option<StepKind>,
    due_at: Option<WallTime>,
    overdue: bool,
    overdue_since: Option<WallTime>,
    legal: Vec<StepKind>,
    last: Option<MoveView>,
}

/// The handling of an alert with all that happened.
#[derive(Debug, Serialize)]
pub(crate) struct DetailedCaseView {
    #[serde(flatten)]
    case: CaseView,
    moves: Vec<MoveView>,
    pictures: Vec<PictureView>,
}

/// One move of a case.
#[derive(Debug, Serialize)]
pub(crate) struct MoveView {
    kind: MoveKind,
    at: WallTime,
    by: Option<Actor>,
    note: Option<Note>,
    state: CaseState,
    tier: Tier,
    party: Option<Party>,
    late: bool,
}

impl From<&Move> for MoveView {
    fn from(made: &Move) -> MoveView {
        MoveView {
            kind: made.kind,
            at: made.at,
            by: made.by.clone(),
            note: made.note.clone(),
            state: made.state,
            tier: made.tier,
            party: made.party.clone(),
            late: made.late,
        }
    }
}

impl From<&Case> for CaseView {
    fn from(case: &Case) -> CaseView {
        CaseView {
            state: case.state,
            tier: case.tier,
            party: case.party.clone(),
            opened_at: case.opened_at(),
            due_step: case.state.due_step(),
            due_at: case.due_at,
            overdue: case.overdue_since.is_some(),
            overdue_since: case.overdue_since,
            legal: legal_steps(case.state),
            last: case.moves.last().map(MoveView::from),
        }
    }
}

impl DetailedCaseView {
    pub(crate) fn new(case: &Case, pictures: Vec<PictureView>) -> DetailedCaseView {
        DetailedCaseView {
            case: CaseView::from(case),
            moves: case.moves.iter().map(MoveView::from).collect(),
            pictures,
        }
    }
}

/// What a step may bring with it; nothing is an empty body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepBody {
    note: Option<String>,
    party: Option<String>,
    tier: Option<Tier>,
}

/// The route of one step.
pub(crate) fn step(kind: StepKind) -> MethodRouter<Api> {
    post(
        move |State(api): State<Api>, principal: Principal, Id(id): Id, Raw(body): Raw| {
            take(api, principal, id, kind, body)
        },
    )
}

async fn take(
    api: Api,
    principal: Principal,
    id: String,
    kind: StepKind,
    body: Bytes,
) -> Result<Json<AlertView>, Problem> {
    let alert = find(&api, &principal, Action::MoveCase(kind), &id)?.id;
    let step = read_step(kind, &body)?;
    match api.cases.take(alert, principal.actor, step).await? {
        StepAnswer::Taken(_) | StepAnswer::Repeated(_) => {}
        StepAnswer::Refused(refusal, case) => return Err(refused(kind, &refusal, &case)),
        StepAnswer::NoCase => {
            let detail = "this alert opened no case: it is of severity 4, or older than cases are";
            return Err(Problem::new(StatusCode::CONFLICT, "no-case", detail));
        }
        StepAnswer::NoAlert => return Err(Problem::not_found("no such alert")),
    }
    let view = blocking("show alert", move || detailed(&api.store, alert)).await??;
    Ok(Json(view))
}

/// The `{id}` of a path under `/alerts`.
pub(crate) fn alert_id(id: &str) -> Result<AlertId, Problem> {
    id.parse()
        .map_err(|err| Problem::bad_request(format!("alert id: {err}")))
}

fn read_step(kind: StepKind, body: &[u8]) -> Result<Step, Problem> {
    let body: Option<StepBody> = if body.is_empty() {
        None
    } else {
        serde_json::from_slice(body).map_err(|err| {
            Problem::bad_request(format!(
                "body: {err}; send JSON such as {{\"note\": \"…\"}}, or nothing"
            ))
        })?
    };
    let body = body.unwrap_or_default();
    let bad = |what: &str, err| Problem::bad_request(format!("{what} {err}"));
    let note = body.note.as_deref().map(Note::new).transpose();
    let note = note.map_err(|err| bad("note", err))?;
    let party = body.party.as_deref().map(Party::new).transpose();
    let party = party.map_err(|err| bad("party", err))?;
    let tier = body.tier;
    if kind != StepKind::Dispatch && (party.is_some() || tier.is_some()) {
        return Err(Problem::bad_request("party and tier belong to a dispatch"));
    }
    let action = match kind {
        StepKind::Acknowledge => CaseAction::Acknowledge,
        StepKind::Dispatch => CaseAction::Dispatch { party, tier },
        StepKind::Accept => CaseAction::Accept,
        StepKind::Resolve => CaseAction::Resolve,
        StepKind::Verify => CaseAction::Verify,
        StepKind::Close => CaseAction::Close,
        StepKind::Reopen => CaseAction::Reopen,
        StepKind::Cancel => CaseAction::Cancel,
    };
    Ok(Step { action, note })
}

fn refused(kind: StepKind, refusal: &Refusal, case: &Case) -> Problem {
    let step = kind.as_str();
    match refusal {
        // `authorise` has asked already; a role that changed in between is told the same.
        Refusal::Role { allowed } => {
            let allowed: Vec<&str> = allowed.iter().copied().map(Role::as_str).collect();
            let detail = format!("{step} needs {}", allowed.join(", "));
            Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
        }
        Refusal::Illegal { state, legal } => {
            let words: Vec<&str> = legal.iter().copied().map(StepKind::as_str).collect();
            let by = case.moves.last().and_then(|made| made.by.as_ref());
            let by = by.map(|by| format!(" by {}", by.name)).unwrap_or_default();
            let detail = format!(
                "{step} is not possible: the case is {}{by}; possible: {}",
                state.as_str(),
                words.join(", ")
            );
            Problem::new(StatusCode::CONFLICT, "illegal-step", detail)
                .with("state", json!(state))
                .with("legal", json!(legal))
        }
        Refusal::NoteMissing => {
            let detail = format!("{step} needs a note: send {{\"note\": \"what or why\"}}");
            Problem::new(StatusCode::BAD_REQUEST, "note-missing", detail)
        }
        Refusal::NoParty { tier } => {
            let detail = format!(
                "the grid map has nobody for {} on the tier {}: send {{\"party\": \"…\"}}",
                case.place,
                tier.as_str()
            );
            Problem::new(StatusCode::CONFLICT, "no-party", detail)
        }
        Refusal::TooManyMoves => {
            let detail = "this case has come back too often; what happens next is a new alert";
            Problem::new(StatusCode::CONFLICT, "too-many-moves", detail)
        }
    }
}
