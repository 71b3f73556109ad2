//! `GET /healthz`, `/readyz`, `/metrics`: outside `/api/v1`, for machines that watch machines.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;

use crate::telemetry;
use crate::web::Api;
use crate::web::access::{Action, may};
use crate::web::gate;
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// May who asks see how everything is: from this machine or a named one, or by an account?
pub(crate) struct Watcher(bool);

impl FromRequestParts<Api> for Watcher {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Watcher, Infallible> {
        let by_account = || {
            let principal = Principal::find(parts, api);
            principal.is_ok_and(|principal| may(&principal, Action::SeeHealth))
        };
        let caller = gate::caller(api, parts);
        Ok(Watcher(api.front.may_watch(caller) || by_account()))
    }
}

/// The process answers, and how each part is, the latter only for who may watch. Always 200: a degraded
/// camera is no reason to restart the gateway.
pub(crate) async fn healthz(State(api): State<Api>, Watcher(may): Watcher) -> impl IntoResponse {
    let state = api.board.worst();
    if !may {
        return Json(json!({ "state": state }));
    }
    Json(json!({ "state": state, "components": api.board.snapshot() }))
}

/// 200 once swipes are taken and entries written, 503 while starting or stopping.
pub(crate) async fn readyz(State(api): State<Api>) -> impl IntoResponse {
    if *api.ready.borrow() {
        (StatusCode::OK, Json(json!({ "ready": true })))
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "ready": false })),
        )
    }
}

/// Prometheus text.
pub(crate) async fn metrics(
    State(api): State<Api>,
    Watcher(may): Watcher,
) -> Result<impl IntoResponse, Problem> {
    if !may {
        let detail = "the metrics are for this machine, for web.metrics_from, and for accounts that \
                      may see how everything is";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    let text = telemetry::scrape(&api.registry);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text))
}
