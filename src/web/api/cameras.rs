//! `GET /cameras`: every camera and how it is.

use axum::Json;
use axum::extract::State;

use crate::camera::CameraStatus;
use crate::web::Api;
use crate::web::extract::{Asked, Nothing};
use crate::web::page::Page;

pub(crate) async fn list(
    State(api): State<Api>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Json<Page<CameraStatus>> {
    let items = api.cameras.statuses();
    // Bounded by the configuration, so one page holds all.
    Json(Page {
        items,
        next_cursor: None,
    })
}
