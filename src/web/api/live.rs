//! `GET /live` and `GET /cameras/{id}/picture.jpg`: what cameras see now.

use std::time::Duration;

use axum::Extension;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::domain::audit::AuditAct;
use crate::domain::id::CameraId;
use crate::live::PictureFault;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Id, Nothing};
use crate::web::listener::{Line, STREAMS_MAX};
use crate::web::looks;
use crate::web::principal::Principal;
use crate::web::problem::Problem;
use crate::web::viewer::{self, MESSAGE_BYTES_MAX};

/// How long a client may take from our `101` to the first byte of its WebSocket.
const UPGRADE_WITHIN: Duration = Duration::from_secs(10);

/// Opens a viewer; `docs/live.md` says what goes over it.
pub(crate) async fn open(
    State(api): State<Api>,
    principal: Principal,
    line: Option<Extension<Line>>,
    Asked(Nothing {}): Asked<Nothing>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    authorise(&principal, Action::SeeLive, None)?;
    if !viewer::is_of_our_origin(&headers) {
        let detail = "a page of another origin may not open a viewer";
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            detail,
        ));
    }
    let upgrade = upgrade.map_err(|err| {
        let detail = format!("this path is a WebSocket: {}", err.body_text());
        Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket", detail)
    })?;
    let Some(seat) = api.viewers.take(&principal.actor.name) else {
        let detail = "as many live viewers are open as may be, of this account or in all";
        let status = StatusCode::TOO_MANY_REQUESTS;
        return Err(Problem::new(status, "too-many-viewers", detail));
    };
    let line = line.map(|Extension(line)| line);
    if line.as_ref().is_some_and(|line| !line.seat.become_stream()) {
        let detail = format!("{STREAMS_MAX} streams are open, as many as may be; try again later");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Problem::new(status, "too-many-streams", detail));
    }
    let stop = line.map(|line| line.stop).unwrap_or_default();
    let (socket_tx, socket_rx) = oneshot::channel();
    let video = api.video.clone();
    video.serve(async move {
        match timeout(UPGRADE_WITHIN, socket_rx).await {
            Ok(Ok(socket)) => viewer::serve(socket, api, principal, seat, stop).await,
            Ok(Err(_)) | Err(_) => debug!("a viewer went before it came"),
        }
    });
    let upgrade = upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX);
    // axum runs this in a task of its own; the viewer's is the supervisor's, which ends it in order.
    Ok(upgrade.on_upgrade(|socket| async move {
        if socket_tx.send(socket).is_err() {
            debug!("a viewer came too late");
        }
    }))
}

/// The newest key frame.
pub(crate) async fn picture(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Response, Problem> {
    let no_camera = || Problem::not_found("no such camera");
    let id = CameraId::new(&id).or(Err(no_camera()))?;
    let place = api.cameras.place(&id).ok_or_else(no_camera)?;
    authorise(&principal, Action::SeeLive, Some(&place))?;
    let look = AuditAct::PictureSeen { camera: id.clone() };
    looks::record(&api, &principal, look).await?;
    let drawn = match api.video.newest_picture(&id).await {
        Ok(drawn) => drawn,
        Err(err @ PictureFault::NoFrame) => {
            let status = StatusCode::NOT_FOUND;
            return Err(Problem::new(status, "no-picture", err.to_string()));
        }
        Err(err) => return Err(Problem::internal(&err)),
    };
    let age_ms = Instant::now()
        .saturating_duration_since(drawn.arrived)
        .as_millis();
    let taken = api.video.clock().at(drawn.arrived).http_date();
    let mut response = (
        [
            (header::CONTENT_TYPE, "image/jpeg"),
            (header::CACHE_CONTROL, "private, no-store"),
        ],
        drawn.jpeg,
    )
        .into_response();
    let headers = response.headers_mut();
    if let Ok(taken) = HeaderValue::from_str(&taken) {
        headers.insert(header::LAST_MODIFIED, taken);
    }
    let age = HeaderName::from_static("x-stairgate-age-ms");
    headers.insert(
        age,
        HeaderValue::from(u64::try_from(age_ms).unwrap_or(u64::MAX)),
    );
    Ok(response)
}
