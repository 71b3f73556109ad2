//! Where a scenario makes things happen in its compound: swipes and door states, cameras that fail.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use stairgate::domain::card::CardNumber;
use stairgate::domain::id::DoorId;
use stairgate::domain::swipe::{Direction, DoorState, Method};
use stairgate::sim::cameras::{CameraFault, SimCameras};
use stairgate::sim::demo_site::DemoSite;
use stairgate::sim::doors::{SimDoors, SimSwipe};
use stairgate::supervise::Supervisor;

struct Things {
    /// The cameras' doors, in the order of the cameras.
    order: Vec<DoorId>,
    cameras: SimCameras,
    doors: SimDoors,
}

type Answer = Result<String, (StatusCode, String)>;

/// Serves `POST /cameras/{door}/{fault}`, `/doors/{door}/swipe/{card}`, `/doors/{door}/duress/{card}` and
/// `/doors/{door}/state/{state}` on loopback; the address.
///
/// A camera is named by the door it sees. `fault` is in the words of [`CameraFault`].
pub(super) async fn serve(
    site: &DemoSite,
    cameras: SimCameras,
    doors: SimDoors,
    supervisor: &Supervisor,
) -> String {
    let things = Things {
        order: site.doors().into_iter().map(|door| door.id).collect(),
        cameras,
        doors,
    };
    let app = Router::new()
        .route("/cameras/{door}/{fault}", post(set_fault))
        .route("/doors/{door}/swipe/{card}", post(swipe))
        .route("/doors/{door}/duress/{card}", post(duress))
        .route("/doors/{door}/state/{state}", post(report))
        .with_state(Arc::new(things));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let token = supervisor.token();
    supervisor.spawn("control", tracing::Span::none(), async move {
        tokio::select! {
            () = token.cancelled() => {}
            ended = axum::serve(listener, app).into_future() => ended.unwrap(),
        }
    });
    format!("http://{addr}")
}

async fn set_fault(
    State(things): State<Arc<Things>>,
    Path((door, fault)): Path<(String, String)>,
) -> Answer {
    let idx = things.order.iter().position(|id| id.as_str() == door);
    let idx = idx.ok_or_else(|| no_such(&door))?;
    let fault: CameraFault = fault.parse().map_err(bad)?;
    things.cameras.set_fault(idx, fault).map_err(bad)?;
    Ok(String::new())
}

async fn swipe(state: State<Arc<Things>>, path: Path<(String, String)>) -> Answer {
    hold(state, path, Method::Card).await
}

async fn duress(state: State<Arc<Things>>, path: Path<(String, String)>) -> Answer {
    hold(state, path, Method::Duress).await
}

/// The answer comes when the broker has the swipe.
async fn hold(
    State(things): State<Arc<Things>>,
    Path((door, card)): Path<(String, String)>,
    method: Method,
) -> Answer {
    let swipe = SimSwipe {
        card: Some(CardNumber::new(&card).map_err(bad)?),
        direction: Direction::In,
        method,
    };
    let door = things.door(&door)?;
    let report = door.swipe(&swipe).await.map_err(bad)?;
    Ok(report.has_opened.to_string())
}

async fn report(
    State(things): State<Arc<Things>>,
    Path((door, state)): Path<(String, String)>,
) -> Answer {
    let state: DoorState = serde_json::from_value(state.into()).map_err(bad)?;
    things.door(&door)?.report_state(state).await.map_err(bad)?;
    Ok(String::new())
}

impl Things {
    fn door(&self, id: &str) -> Result<stairgate::sim::doors::SimDoor, (StatusCode, String)> {
        let id = DoorId::new(id).map_err(bad)?;
        self.doors.get(&id).ok_or_else(|| no_such(id.as_str()))
    }
}

fn bad(err: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, err.to_string())
}

fn no_such(door: &str) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, format!("no door {door}"))
}
