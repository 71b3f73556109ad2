//! `GET /alerts` and `GET /alerts/{id}`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::domain::alert::{Alert, AlertKind, Delivery, DeliveryState};
use crate::domain::id::{AlertId, CameraId, DoorId, DwellingId, EntryId, LinkageId};
use crate::domain::place::Place;
use crate::outbox::DeliveryId;
use crate::store::{Store, tables};
use crate::supervise::blocking;
use crate::time::WallTime;
use crate::web::Api;
use crate::web::extract::{Asked, Id};
use crate::web::page::{Page, Paging, gather};
use crate::web::problem::Problem;

/// What to list; all given conditions must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertsQuery {
    kind: Option<AlertKind>,
    from: Option<WallTime>,
    to: Option<WallTime>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// An alert as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct AlertView {
    id: AlertId,
    revision: u32,
    kind: AlertKind,
    severity: u8,
    title_zh: &'static str,
    title_en: &'static str,
    raised_at: WallTime,
    ended_at: Option<WallTime>,
    place: Place,
    door: Option<DoorId>,
    camera: Option<CameraId>,
    entry_id: Option<EntryId>,
    dwelling: Option<DwellingId>,
    count: u32,
    detail: String,
    deliveries: Vec<DeliveryView>,
}

/// Where the alert stands with one linkage.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryView {
    id: String,
    alert: AlertId,
    linkage: LinkageId,
    state: DeliveryState,
    revision: u32,
    delivered_revision: u32,
    n_attempts: u32,
    last_error: Option<String>,
    delivered_at: Option<WallTime>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> DeliveryView {
        DeliveryView {
            id: DeliveryId::of(&delivery).to_string(),
            alert: delivery.alert,
            linkage: delivery.linkage,
            state: delivery.state,
            revision: delivery.revision,
            delivered_revision: delivery.delivered_revision,
            n_attempts: delivery.n_attempts,
            last_error: delivery.last_error,
            delivered_at: delivery.delivered_at,
        }
    }
}

pub(crate) async fn list(
    State(api): State<Api>,
    Asked(query): Asked<AlertsQuery>,
) -> Result<Json<Page<AlertView>>, Problem> {
    blocking("list alerts", move || page(&api.store, &query))
        .await?
        .map(Json)
}

pub(crate) async fn one(State(api): State<Api>, Id(id): Id) -> Result<Json<AlertView>, Problem> {
    let id: AlertId = id
        .parse()
        .map_err(|err| Problem::bad_request(format!("alert id: {err}")))?;
    let alert = api.store.get(tables::ALERTS, &id)?;
    let alert = alert.ok_or_else(|| Problem::not_found("no such alert"))?;
    view(&api.store, alert).map(Json)
}

fn page(store: &Store, query: &AlertsQuery) -> Result<Page<AlertView>, Problem> {
    let paging = Paging {
        cursor: query.cursor.clone(),
        limit: query.limit,
    };
    let least = AlertId::from_bytes([0; 16]);
    let until = query.to.unwrap_or(WallTime::from_unix_ns(i64::MAX));
    let high = paging.after()?.unwrap_or((until, least));
    let low = (
        query.from.unwrap_or(WallTime::from_unix_ns(i64::MIN)),
        least,
    );
    let rows = store
        .range(tables::ALERTS_BY_TIME, &(), Some(&low), Some(&high))
        .rev();
    gather(rows.map(|row| Ok(row?)), paging.limit(), |key, ()| {
        let Some(alert) = store.get(tables::ALERTS, &key.1)? else {
            return Ok(None);
        };
        let wanted = query.kind.is_none_or(|kind| alert.kind == kind);
        if wanted {
            view(store, alert).map(Some)
        } else {
            Ok(None)
        }
    })
}

fn view(store: &Store, alert: Alert) -> Result<AlertView, Problem> {
    let mut deliveries = Vec::new();
    for row in store.scan(tables::DELIVERIES, &alert.id) {
        deliveries.push(row?.1.into());
    }
    let title = alert.kind.title();
    Ok(AlertView {
        id: alert.id,
        revision: alert.revision,
        kind: alert.kind,
        severity: alert.kind.severity(),
        title_zh: title.zh,
        title_en: title.en,
        raised_at: alert.raised_at,
        ended_at: alert.ended_at,
        place: alert.place,
        door: alert.door,
        camera: alert.camera,
        entry_id: alert.entry,
        dwelling: alert.dwelling,
        count: alert.count,
        detail: alert.detail,
        deliveries,
    })
}
