//! `GET /doors`: every door, where it is and how it is.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::domain::place::Place;
use crate::door::DoorStatus;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Nothing};
use crate::web::page::Page;
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// A door as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct DoorView {
    #[serde(flatten)]
    status: DoorStatus,
    /// `None` for a moment while the configuration changes.
    place: Option<Place>,
}

pub(crate) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Page<DoorView>>, Problem> {
    authorise(&principal, Action::SeeHealth, None)?;
    let places = principal.places();
    let all = api.doors.status().into_iter();
    let all = all.map(|status| DoorView {
        place: api.place_of_door(&status.door),
        status,
    });
    let is_everywhere = principal.scope().is_everywhere();
    let within = |view: &DoorView| match &view.place {
        Some(place) => places.has(place),
        None => is_everywhere,
    };
    // Bounded by the configuration, so one page holds all.
    Ok(Json(Page {
        items: all.filter(within).collect(),
        next_cursor: None,
    }))
}
