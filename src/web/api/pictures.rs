//! `POST /alerts/{id}/pictures` and `GET /alerts/{id}/pictures/{sha256}`: before and after.

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use serde::{Deserialize, Serialize};

use super::alerts::find;
use crate::case::{PICTURE_BYTES_MAX, PICTURES_MAX, PictureAnswer, PictureError};
use crate::domain::case::{Picture, PictureFormat, PictureWhen, StepKind};
use crate::domain::id::AlertId;
use crate::domain::role::Actor;
use crate::store::{Store, tables};
use crate::time::WallTime;
use crate::web::Api;
use crate::web::access::Action;
use crate::web::extract::{Asked, Id, Ids, Raw};
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// What the picture shows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PictureQuery {
    when: PictureWhen,
}

/// A picture as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct PictureView {
    sha256: String,
    when: PictureWhen,
    format: PictureFormat,
    bytes: u64,
    added_at: WallTime,
    added_by: Actor,
    url: String,
}

impl PictureView {
    fn new(alert: AlertId, picture: Picture) -> PictureView {
        PictureView {
            url: format!("/api/v1/alerts/{alert}/pictures/{}", picture.sha256),
            sha256: picture.sha256,
            when: picture.when,
            format: picture.format,
            bytes: picture.bytes,
            added_at: picture.added_at,
            added_by: picture.added_by,
        }
    }
}

/// The pictures of an alert's case.
pub(crate) fn of(store: &Store, alert: AlertId) -> Result<Vec<PictureView>, Problem> {
    let rows = store.scan(tables::CASE_PICTURES, &alert);
    rows.map(|row| Ok(PictureView::new(alert, row?.1)))
        .collect()
}

/// Its own limit on the body: everything else that is sent to us is small.
pub(crate) fn add() -> MethodRouter<Api> {
    post(add_one).layer(DefaultBodyLimit::max(PICTURE_BYTES_MAX))
}

async fn add_one(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Asked(query): Asked<PictureQuery>,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    let action = Action::MoveCase(StepKind::Resolve);
    let alert = find(&api, &principal, action, &id)?.id;
    let added = api
        .cases
        .add_picture(alert, principal.actor, query.when, body);
    let (status, picture) = match added.await? {
        PictureAnswer::Added(picture) => (StatusCode::CREATED, picture),
        PictureAnswer::Known(picture) => (StatusCode::OK, picture),
        PictureAnswer::NotAPicture => {
            let detail = "send the bytes of a JPEG or PNG file as the body";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "not-a-picture", detail));
        }
        PictureAnswer::TooLarge => {
            let detail = format!("a picture has {PICTURE_BYTES_MAX} bytes at most");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(Problem::new(status, "too-large", detail));
        }
        PictureAnswer::TooMany => {
            let detail = format!("this case has {PICTURES_MAX} pictures, as many as may be");
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "too-many-pictures",
                detail,
            ));
        }
        PictureAnswer::Done(state) => {
            let detail = format!("the case is {}; reopen it first", state.as_str());
            return Err(Problem::new(StatusCode::CONFLICT, "case-done", detail));
        }
        PictureAnswer::NoCase => return Err(Problem::not_found("no such alert with a case")),
    };
    Ok((status, Json(PictureView::new(alert, picture))).into_response())
}

pub(crate) async fn one(
    State(api): State<Api>,
    principal: Principal,
    Ids(id, sha256): Ids,
) -> Result<Response, Problem> {
    let alert = find(&api, &principal, Action::SeeClips, &id)?.id;
    let Some((picture, bytes)) = api.cases.picture(alert, &sha256).await? else {
        return Err(Problem::not_found("no such picture of this alert's case"));
    };
    let kind = HeaderValue::from_static(picture.format.media_type());
    // What a name names never changes, but who may see it may.
    let cache = HeaderValue::from_static("private, no-cache");
    Ok((
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)],
        bytes,
    )
        .into_response())
}

impl From<PictureError> for Problem {
    fn from(err: PictureError) -> Problem {
        Problem::internal(&err)
    }
}
