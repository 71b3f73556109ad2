//! `GET /healthz`, `/readyz`, `/metrics`: outside `/api/v1`, for machines that watch machines.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;

use crate::telemetry;
use crate::web::Api;

/// The process answers, and how each part is. Always 200: a degraded camera is no reason to restart
/// the gateway.
pub(crate) async fn healthz(State(api): State<Api>) -> impl IntoResponse {
    let components = api.board.snapshot();
    Json(json!({ "state": api.board.worst(), "components": components }))
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
pub(crate) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let text = telemetry::scrape(&api.registry);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text)
}
