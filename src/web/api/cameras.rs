//! `GET /cameras`: every camera, where it is and how it is.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::camera::CameraStatus;
use crate::domain::place::Place;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Nothing};
use crate::web::page::Page;
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// A camera as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct CameraView {
    #[serde(flatten)]
    status: CameraStatus,
    /// `None` for a moment while the configuration changes.
    place: Option<Place>,
}

pub(crate) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Page<CameraView>>, Problem> {
    authorise(&principal, Action::SeeHealth, None)?;
    let places = principal.places();
    let all = api.cameras.statuses().into_iter();
    let all = all.map(|status| CameraView {
        place: api.place_of_camera(&status.camera),
        status,
    });
    let is_everywhere = principal.scope().is_everywhere();
    let within = |view: &CameraView| match &view.place {
        Some(place) => places.has(place),
        None => is_everywhere,
    };
    // Bounded by the configuration, so one page holds all.
    Ok(Json(Page {
        items: all.filter(within).collect(),
        next_cursor: None,
    }))
}
