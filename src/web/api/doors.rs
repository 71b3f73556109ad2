//! `GET /doors`: every door and how it is.

use axum::Json;
use axum::extract::State;

use crate::door::DoorStatus;
use crate::web::Api;
use crate::web::extract::{Asked, Nothing};
use crate::web::page::Page;

pub(crate) async fn list(
    State(api): State<Api>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Json<Page<DoorStatus>> {
    // Bounded by the configuration, so one page holds all.
    Json(Page {
        items: api.doors.status(),
        next_cursor: None,
    })
}
