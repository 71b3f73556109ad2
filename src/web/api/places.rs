//! `GET /places`: the stairwells, with the building and unit that people call them by.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::domain::id::StairwellId;
use crate::domain::place::Place;
use crate::web::Api;
use crate::web::extract::{Asked, Nothing};
use crate::web::page::Page;
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// A stairwell as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct PlaceView {
    id: StairwellId,
    building: String,
    unit: String,
}

/// Every account may know where it is: no right of its own, but only places of its buildings.
pub(crate) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Page<PlaceView>>, Problem> {
    let places = principal.places();
    let all = api.roster.stairwells().into_iter();
    let within = all.filter(|it| places.has(&Place::Stairwell(it.id.clone())));
    let items = within.map(|it| PlaceView {
        id: it.id,
        building: it.building,
        unit: it.unit,
    });
    // Bounded by the configuration, so one page holds all.
    Ok(Json(Page {
        items: items.collect(),
        next_cursor: None,
    }))
}
