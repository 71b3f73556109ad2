//! The HTTP face: JSON under `/api/v1`, health and metrics beside it.
//!
//! Nobody gets anything without an account but health, metrics and the description of this API; what an
//! account may is decided by `access::authorise` alone. No handler writes to the store; it calls the
//! module that owns the thing.

mod access;
mod api;
mod assets;
mod extract;
mod host;
mod listener;
mod live;
mod looks;
mod page;
mod principal;
mod problem;
mod serve;
mod viewer;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use tokio::sync::{Semaphore, watch};

use crate::account::Accounts;
use crate::camera::Cameras;
use crate::case::Cases;
use crate::clip::ClipShelf;
use crate::domain::case::StepKind;
use crate::domain::id::{CameraId, DoorId};
use crate::domain::place::Place;
use crate::door::Doors;
use crate::entry::{EntryOptions, NextCards};
use crate::footage::Footage;
use crate::live::Live;
use crate::outbox::Outbox;
use crate::roster::Roster;
use crate::store::Store;
use crate::telemetry::{HealthBoard, Registry};

use api::cases::step;
pub use host::Hosts;
pub use live::LiveFeed;
pub use problem::Problem;
pub use serve::serve;
pub use viewer::ViewerPlaces;

/// Longest time a request may take; a clip's export is well below a second.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// Largest request body but that of a roster: nothing else that is sent to us is larger than a few
/// words.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Largest roster uploaded.
const ROSTER_BYTES_MAX: usize = crate::roster::sheet::FILE_BYTES_MAX;

/// What every answer says to a browser: nothing is guessed, framed, embedded elsewhere or told on.
const EVERY_ANSWER: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        assets::CONTENT_SECURITY_POLICY,
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("permissions-policy"),
        assets::PERMISSIONS_POLICY,
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// What the handlers work with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    /// Entries, alerts, deliveries.
    pub store: Store,
    /// The cameras and how they are.
    pub cameras: Cameras,
    /// The doors and how they are.
    pub doors: Doors,
    /// Who may change what.
    pub accounts: Accounts,
    /// Deliveries that can be retried.
    pub outbox: Outbox,
    /// The cases of alerts, and the steps people take.
    pub cases: Cases,
    /// What streams of alerts read from.
    pub live: LiveFeed,
    /// Which doors and cameras there are, and where.
    pub site: Arc<ArcSwap<EntryOptions>>,
    /// Live video.
    pub video: Live,
    /// Who watches it.
    pub viewers: ViewerPlaces,
    /// Who waits for an unknown card at a door.
    pub next_cards: NextCards,
    /// Who may enter.
    pub roster: Roster,
    /// One roster is imported or exported at a time: each holds all names in memory.
    pub roster_files: Arc<Semaphore>,
    /// Exported clips.
    pub shelf: Arc<ClipShelf>,
    /// Kept footage, and whether its disk is there.
    pub footage: Footage,
    /// How every part is.
    pub board: HealthBoard,
    /// The names it may be asked under.
    pub hosts: Hosts,
    /// The metrics.
    pub registry: Arc<Registry>,
    /// True while swipes are taken.
    pub ready: watch::Receiver<bool>,
}

impl Api {
    /// Where a camera is; `None`: it is not configured.
    pub(crate) fn place_of_camera(&self, id: &CameraId) -> Option<Place> {
        self.site.load().cameras.get(id).cloned()
    }

    /// Where a door is; `None`: it is not configured.
    pub(crate) fn place_of_door(&self, id: &DoorId) -> Option<Place> {
        let site = self.site.load();
        site.doors.get(id).map(|door| door.place.clone())
    }
}

/// All routes.
pub fn router(api: Api) -> Router {
    let known = middleware::from_fn_with_state(api.clone(), principal::known);
    let for_accounts = duty_routes()
        .merge(office_routes())
        .merge(site_routes())
        .merge(watching());
    let v1 = for_accounts.route_layer(known).merge(routes_for_anyone());
    Router::new()
        .nest("/api/v1", v1)
        .route("/healthz", get(api::service::healthz))
        .route("/readyz", get(api::service::readyz))
        .route("/metrics", get(api::service::metrics))
        .fallback(assets::serve)
        .method_not_allowed_fallback(|| async {
            let detail = "this path does not take this method; see /api/v1/openapi.json";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
        })
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(api.clone(), known_host))
        .layer(middleware::from_fn(within_time))
        .with_state(api)
}

/// What nobody needs an account for.
fn routes_for_anyone() -> Router<Api> {
    Router::new().route("/openapi.json", get(api::openapi::document))
}

/// Entries, alerts, cases and figures: what a duty room works with.
fn duty_routes() -> Router<Api> {
    Router::new()
        .route("/entries", get(api::entries::list))
        .route("/entries/{id}", get(api::entries::one))
        .route("/entries/{id}/clip.mp4", get(api::clips::video))
        .route("/entries/{id}/thumbnail.jpg", get(api::clips::thumbnail))
        .route("/entries/{id}/manifest.json", get(api::clips::manifest))
        .route("/alerts", get(api::alerts::list))
        .route("/alerts/stream", get(api::stream::open))
        .route("/alerts/{id}", get(api::alerts::one))
        .route("/alerts/{id}/acknowledge", step(StepKind::Acknowledge))
        .route("/alerts/{id}/dispatch", step(StepKind::Dispatch))
        .route("/alerts/{id}/accept", step(StepKind::Accept))
        .route("/alerts/{id}/resolve", step(StepKind::Resolve))
        .route("/alerts/{id}/verify", step(StepKind::Verify))
        .route("/alerts/{id}/close", step(StepKind::Close))
        .route("/alerts/{id}/reopen", step(StepKind::Reopen))
        .route("/alerts/{id}/cancel", step(StepKind::Cancel))
        .route("/alerts/{id}/pictures", api::pictures::add())
        .route("/alerts/{id}/pictures/{sha256}", get(api::pictures::one))
        .route("/statistics", get(api::statistics::figures))
        .route("/statistics.xlsx", get(api::statistics::spreadsheet))
        .route("/statistics/handover", get(api::statistics::handover))
}

/// Dwellings, cardholders and cards.
fn office_routes() -> Router<Api> {
    let upload_limit = axum::extract::DefaultBodyLimit::max(ROSTER_BYTES_MAX);
    Router::new()
        .route("/dwellings", get(api::dwellings::list))
        .route(
            "/dwellings/{id}",
            get(api::dwellings::one).put(api::dwellings::put),
        )
        .route("/dwellings/{id}/history", get(api::dwellings::history))
        .route(
            "/dwellings/{id}/cardholders",
            get(api::cardholders::list).post(api::cardholders::add),
        )
        .route(
            "/dwellings/{id}/cardholders/{holder}",
            put(api::cardholders::change).delete(api::cardholders::remove),
        )
        .route("/cards", get(api::cards::list).post(api::cards::issue))
        .route("/cards/{id}", get(api::cards::one).put(api::cards::redate))
        .route("/cards/{id}/revoke", post(api::cards::revoke))
        .route("/cards/{id}/lost", post(api::cards::lose))
        .route("/cards/{id}/found", post(api::cards::find))
        .route(
            "/roster/import",
            post(api::roster_files::import).layer(upload_limit),
        )
        .route("/roster/export", get(api::roster_files::export))
        .route("/roster/report.xlsx", get(api::roster_files::report))
        .route("/roster/template.xlsx", get(api::roster_files::template))
}

/// Cameras, doors and linkages, and how they are.
fn site_routes() -> Router<Api> {
    Router::new()
        .route("/deliveries", get(api::deliveries::list))
        .route("/deliveries/retry", post(api::deliveries::retry_all))
        .route("/deliveries/{id}/retry", post(api::deliveries::retry))
        .route("/cameras", get(api::cameras::list))
        .route("/doors", get(api::doors::list))
        .route("/linkages", get(api::deliveries::linkages))
}

/// What cameras see, what happened around a case, figures for charts, cards read at doors.
fn watching() -> Router<Api> {
    Router::new()
        .route("/live", get(api::live::open))
        .route("/cameras/{id}/picture.jpg", get(api::live::picture))
        .route("/alerts/{id}/trail", get(api::trail::trail))
        .route("/figures/hours", get(api::figures::hours))
        .route("/figures/cameras", get(api::figures::cameras))
        .route("/figures/storage", get(api::figures::storage))
        .route("/doors/{id}/next-card", post(api::next_card::wait))
}

/// Refuses what was not meant for us, before anything else looks at it.
async fn known_host(State(api): State<Api>, request: Request, next: Next) -> Response {
    match api.hosts.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Ends a request that takes too long, and sets the headers every answer has.
async fn within_time(request: Request, next: Next) -> Response {
    let mut response = match tokio::time::timeout(REQUEST_TIME_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = "the gateway is overloaded; try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "time-out", detail).into_response()
        }
    };
    let headers = response.headers_mut();
    for (name, value) in EVERY_ANSWER {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
