//! `POST /doors/{id}/next-card`: waits for a card that nobody holds to be swiped at a door, so that it can
//! be issued (`POST /cards` with `capture`).

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use crate::domain::id::DoorId;
use crate::entry::Waited;
use crate::time::WallTime;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Id};
use crate::web::listener::Line;
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// Longest wait; a request has 30 s, and who still waits asks again.
const WAIT_S_MAX: u64 = 25;

/// How long to wait.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitQuery {
    wait_s: Option<u64>,
}

/// A card that came.
#[derive(Debug, Serialize)]
struct CapturedView {
    /// Names it once, within five minutes, for the account that waited.
    capture: String,
    card_ref: String,
    at: WallTime,
}

pub(crate) async fn wait(
    State(api): State<Api>,
    principal: Principal,
    line: Option<Extension<Line>>,
    Id(id): Id,
    Asked(query): Asked<WaitQuery>,
) -> Result<Response, Problem> {
    authorise(&principal, Action::NextCard, None)?;
    let no_door = || Problem::not_found("no such door");
    let door = DoorId::new(&id).or(Err(no_door()))?;
    let place = api.place_of_door(&door).ok_or_else(no_door)?;
    authorise(&principal, Action::NextCard, Some(&place))?;
    let wait_s = query.wait_s.unwrap_or(WAIT_S_MAX);
    if !(1..=WAIT_S_MAX).contains(&wait_s) {
        let detail = format!("wait_s: 1 to {WAIT_S_MAX}");
        return Err(Problem::bad_request(detail));
    }
    let within = Duration::from_secs(wait_s);
    let stop = line.map(|Extension(line)| line.stop).unwrap_or_default();
    let waited = tokio::select! {
        biased;
        () = stop.cancelled() => Waited::Nothing,
        waited = api.next_cards.wait(&door, &principal.actor.name, within) => waited,
    };
    match waited {
        Waited::Card(captured) => {
            let view = CapturedView {
                capture: captured.id,
                card_ref: captured.card_ref,
                at: api.video.clock().now(),
            };
            Ok(Json(view).into_response())
        }
        Waited::Nothing => Ok(StatusCode::NO_CONTENT.into_response()),
        Waited::Taken => {
            let detail = "somebody waits for a card at this door already";
            Err(Problem::new(StatusCode::CONFLICT, "door-taken", detail))
        }
    }
}
