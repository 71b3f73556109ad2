//! `GET /site`, `POST /site/check`, `PUT /site`, `POST /site/spreadsheet`, `GET /site/template.xlsx` and
//! `GET /site/missing`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use crate::domain::place::Place;
use crate::site::{
    self, MissingFacts, MissingItem, SheetReport, SiteChange, SiteEditor, SiteError, SiteReport,
    SiteView,
};
use crate::spreadsheet::FileReason;
use crate::store::{StoreError, tables};
use crate::supervise::blocking;
use crate::telemetry::State as PartState;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::api::{health, probes};
use crate::web::extract::{Asked, Body, Nothing, Raw};
use crate::web::page::Page;
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// Largest change taken: ten thousand cameras fit, as in the configuration file.
const CHANGE_BYTES_MAX: usize = 8 << 20;
/// Largest spreadsheet taken.
const SHEET_BYTES_MAX: usize = crate::spreadsheet::FILE_BYTES_MAX;
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// The routes of an installer.
pub(crate) fn routes() -> axum::Router<Api> {
    let change_limit = DefaultBodyLimit::max(CHANGE_BYTES_MAX);
    let sheet_limit = DefaultBodyLimit::max(SHEET_BYTES_MAX);
    axum::Router::new()
        .route("/site", get(view).put(put).layer(change_limit))
        .route("/site/check", post(check).layer(change_limit))
        .route("/site/probe", post(probes::camera))
        .route("/site/missing", get(missing))
        .route("/site/template.xlsx", get(template))
        .route("/site/spreadsheet", post(spreadsheet).layer(sheet_limit))
        .route("/linkages/{id}/probe", post(probes::linkage))
        .route("/health", get(health::list))
}

pub(crate) async fn view(
    State(api): State<Api>,
    principal: Principal,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<SiteView>, Problem> {
    authorise(&principal, Action::SeeSite, None)?;
    Ok(Json(api.site_desk.read().await?))
}

pub(crate) async fn check(
    State(api): State<Api>,
    principal: Principal,
    Body(change): Body<SiteChange>,
) -> Result<Json<SiteReport>, Problem> {
    authorise(&principal, Action::ChangeSite, None)?;
    Ok(Json(api.site_desk.check(change).await?))
}

pub(crate) async fn put(
    State(api): State<Api>,
    principal: Principal,
    Body(change): Body<SiteChange>,
) -> Result<Response, Problem> {
    authorise(&principal, Action::ChangeSite, None)?;
    let by = SiteEditor {
        actor: principal.actor.clone(),
        from: principal.from,
    };
    let report = api.site_desk.put(change, by).await?;
    let status = if report.problems.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    Ok((status, Json(report)).into_response())
}

/// The template holds nothing of the site.
pub(crate) async fn template(
    principal: Principal,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Response, Problem> {
    authorise(&principal, Action::ChangeSite, None)?;
    let made = blocking("make the site's template", site::template).await?;
    let bytes = made.map_err(|err| Problem::internal(err.as_ref()))?;
    let headers = [
        (header::CONTENT_TYPE, XLSX),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"site.xlsx\"",
        ),
    ];
    Ok((headers, bytes).into_response())
}

pub(crate) async fn spreadsheet(
    State(api): State<Api>,
    principal: Principal,
    Raw(bytes): Raw,
) -> Result<Json<SheetReport>, Problem> {
    authorise(&principal, Action::ChangeSite, None)?;
    let site = api.site_desk.read().await?;
    let read = move || site::read_sheet(&bytes, site);
    let report = blocking("read the site's spreadsheet", read).await?;
    Ok(Json(report.map_err(unread)?))
}

fn unread(reason: FileReason) -> Problem {
    let (en, zh) = match reason {
        FileReason::NoHeadings => (
            "no row has the headings of a site (take the template)".to_owned(),
            "没有找到标题行（请下载模板）".to_owned(),
        ),
        reason => (reason.to_string(), reason.zh()),
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reason.word(), en).with("detail_zh", zh)
}

pub(crate) async fn missing(
    State(api): State<Api>,
    principal: Principal,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Page<MissingItem>>, Problem> {
    authorise(&principal, Action::SeeSite, None)?;
    let site = api.site_desk.read().await?;
    let work = move || Ok::<_, StoreError>(site::missing_items(&site, &facts(&api, &site)?));
    let items = blocking("look for what is missing", work).await??;
    // Bounded by the configuration, so one page holds all.
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

fn facts(api: &Api, site: &SiteView) -> Result<MissingFacts, StoreError> {
    let statuses = api.cameras.statuses();
    let cameras_up = statuses.into_iter().filter(|status| status.up);
    let doors = api.doors.status();
    let mut doors_swiped = BTreeSet::new();
    for status in &doors {
        let newest = api.store.scan(tables::ENTRIES_BY_DOOR, &status.door).next();
        if newest.transpose()?.is_some() {
            doors_swiped.insert(status.door.to_string());
        }
    }
    let board = api.board.snapshot();
    let is_up = |id: &str| {
        let part = board.get(&format!("linkage/{id}"));
        part.is_some_and(|part| part.state == PartState::Ok)
    };
    let linkages = site.linkages.iter().map(|linkage| &linkage.id);
    let book = api.roster.book();
    let places = book.households(None).map(|home| &home.dwelling.place);
    Ok(MissingFacts {
        cameras_up: cameras_up.map(|status| status.camera.to_string()).collect(),
        doors_heard: doors
            .iter()
            .filter(|door| door.last_seen.is_some() || door.online == Some(true))
            .map(|door| door.door.to_string())
            .collect(),
        doors_swiped,
        linkages_up: linkages.filter(|id| is_up(id)).cloned().collect(),
        places_with_dwellings: places.map(Place::to_string).collect(),
        n_cards: book.n_cards(),
    })
}

impl From<SiteError> for Problem {
    fn from(err: SiteError) -> Problem {
        let detail = err.to_string();
        let (status, kind) = match &err {
            SiteError::Unreadable(_) => (StatusCode::CONFLICT, "site-unreadable"),
            SiteError::ChangedMeanwhile { .. } => (StatusCode::CONFLICT, "changed-meanwhile"),
            SiteError::NotWritable(_) => (StatusCode::CONFLICT, "not-writable"),
            SiteError::NotApplied(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not-applied"),
            SiteError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            SiteError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        };
        let problem = Problem::new(status, kind, detail);
        match err {
            SiteError::Unreadable(problems) => problem.with("problems", json!(problems)),
            SiteError::ChangedMeanwhile { version } => problem.with("version", version),
            SiteError::NotWritable(_)
            | SiteError::NotApplied(_)
            | SiteError::Busy
            | SiteError::Stopping => problem,
        }
    }
}
