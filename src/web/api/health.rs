//! `GET /health`: every camera, door, linkage, disk and clock, and how it is.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;

use crate::domain::place::Place;
use crate::error::chain;
use crate::site::{HealthFacts, HealthItem, health_items};
use crate::store::tables;
use crate::supervise::blocking;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Nothing};
use crate::web::page::Page;
use crate::web::principal::Principal;
use crate::web::problem::Problem;

pub(crate) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Page<HealthItem>>, Problem> {
    authorise(&principal, Action::SeeHealth, None)?;
    let places = principal.places();
    let looked = blocking("look at every part", move || health_items(&facts(&api))).await?;
    // Parts that are nowhere in particular are everyone's.
    let is_within = |item: &HealthItem| item.place.as_ref().is_none_or(|at| places.has(at));
    let items = looked.into_iter().filter(is_within).collect();
    // Bounded by the configuration, so one page holds all.
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

fn facts(api: &Api) -> HealthFacts {
    let site = api.site.load();
    let disk = api.footage.space();
    let newest = api.store.scan(tables::ENTRIES, &()).next_back();
    let store_trouble = newest.and_then(Result::err);
    let cameras = site.cameras.iter();
    let cameras = cameras.map(|(id, place)| (format!("camera/{id}"), place.clone()));
    let doors = site.doors.values();
    let doors = doors.map(|door| (format!("door/{}", door.id), door.place.clone()));
    let places: BTreeMap<String, Place> = cameras.chain(doors).collect();
    HealthFacts {
        board: api.board.snapshot(),
        cameras: api.cameras.statuses(),
        doors: api.doors.status(),
        places,
        disk,
        store_trouble: store_trouble.map(|err| chain(&err).to_string()),
    }
}
