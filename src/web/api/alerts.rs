//! `GET /alerts` and `GET /alerts/{id}`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::cases::{CaseView, DetailedCaseView, alert_id};
use super::pictures;
use crate::domain::alert::{Alert, AlertKind, Delivery, DeliveryState};
use crate::domain::case::{CASE_SEVERITY_MAX, CaseListing, CaseState, LISTED_DONE, LISTED_OPEN};
use crate::domain::id::{AlertId, CameraId, DoorId, DwellingId, EntryId, LinkageId};
use crate::domain::place::Place;
use crate::domain::right::Places;
use crate::outbox::DeliveryId;
use crate::store::{Store, tables};
use crate::supervise::blocking;
use crate::time::WallTime;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Id};
use crate::web::page::{Page, Paging, gather};
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// What to list; all given conditions must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertsQuery {
    state: Option<StateFilter>,
    kind: Option<AlertKind>,
    from: Option<WallTime>,
    to: Option<WallTime>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// Where the case must stand.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StateFilter {
    Raised,
    Acknowledged,
    Dispatched,
    Accepted,
    Resolved,
    Verified,
    Closed,
    Cancelled,
    /// Anything is still to be done.
    Open,
    /// Closed or cancelled.
    Done,
    /// Open, and the step that is due now is overdue.
    Overdue,
}

impl StateFilter {
    /// The list to look through, and what fits in it.
    fn listed(self) -> (&'static str, impl Fn(CaseListing) -> bool) {
        let state = match self {
            StateFilter::Raised => Some(CaseState::Raised),
            StateFilter::Acknowledged => Some(CaseState::Acknowledged),
            StateFilter::Dispatched => Some(CaseState::Dispatched),
            StateFilter::Accepted => Some(CaseState::Accepted),
            StateFilter::Resolved => Some(CaseState::Resolved),
            StateFilter::Verified => Some(CaseState::Verified),
            StateFilter::Closed => Some(CaseState::Closed),
            StateFilter::Cancelled => Some(CaseState::Cancelled),
            StateFilter::Open | StateFilter::Done | StateFilter::Overdue => None,
        };
        let is_open = match self {
            StateFilter::Open | StateFilter::Overdue => true,
            StateFilter::Done => false,
            StateFilter::Raised
            | StateFilter::Acknowledged
            | StateFilter::Dispatched
            | StateFilter::Accepted
            | StateFilter::Resolved
            | StateFilter::Verified
            | StateFilter::Closed
            | StateFilter::Cancelled => state.is_some_and(CaseState::is_open),
        };
        let overdue_only = matches!(self, StateFilter::Overdue);
        let fits = move |listing: CaseListing| {
            state.is_none_or(|state| listing.state == state) && (listing.overdue || !overdue_only)
        };
        (if is_open { LISTED_OPEN } else { LISTED_DONE }, fits)
    }
}

/// An alert as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct AlertView {
    #[serde(flatten)]
    alert: AlertFacts,
    case: Option<ShownCase>,
    deliveries: Vec<DeliveryView>,
}

/// An alert as the live feed shows it: deliveries are no part of its revisions.
#[derive(Debug, Serialize)]
pub(crate) struct AlertEvent {
    #[serde(flatten)]
    alert: AlertFacts,
    case: Option<CaseView>,
}

/// A case in short, in lists, or with all that happened.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ShownCase {
    Short(CaseView),
    Detailed(DetailedCaseView),
}

/// What an alert says by itself.
#[derive(Debug, Serialize)]
struct AlertFacts {
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
    principal: Principal,
    Asked(query): Asked<AlertsQuery>,
) -> Result<Json<Page<AlertView>>, Problem> {
    authorise(&principal, Action::SeeAlerts, None)?;
    let places = principal.places();
    blocking("list alerts", move || page(&api.store, &query, &places))
        .await?
        .map(Json)
}

/// The alert of `id` for who may do `action` where it is, or the problem that says why not.
pub(crate) fn find(
    api: &Api,
    principal: &Principal,
    action: Action,
    id: &str,
) -> Result<Alert, Problem> {
    authorise(principal, action, None)?;
    let alert = api.store.get(tables::ALERTS, &alert_id(id)?)?;
    let alert = alert.ok_or_else(|| Problem::not_found("no such alert"))?;
    authorise(principal, action, Some(&alert.place))?;
    Ok(alert)
}

pub(crate) async fn one(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
) -> Result<Json<AlertView>, Problem> {
    let id = find(&api, &principal, Action::SeeAlerts, &id)?.id;
    let view = blocking("show alert", move || detailed(&api.store, id)).await??;
    Ok(Json(view))
}

fn page(store: &Store, query: &AlertsQuery, places: &Places) -> Result<Page<AlertView>, Problem> {
    let paging = Paging {
        cursor: query.cursor.clone(),
        limit: query.limit,
    };
    let least = AlertId::from_bytes([0; 16]);
    let until = query.to.unwrap_or(WallTime::from_unix_ns(i64::MAX));
    let high: (WallTime, AlertId) = paging.after()?.unwrap_or((until, least));
    let low = (
        query.from.unwrap_or(WallTime::from_unix_ns(i64::MIN)),
        least,
    );
    let pick = |key: &(WallTime, AlertId), wanted: bool| {
        let Some(alert) = store.get(tables::ALERTS, &key.1)?.filter(|_| wanted) else {
            return Ok(None);
        };
        if query.kind.is_none_or(|kind| alert.kind == kind) && places.has(&alert.place) {
            in_short(store, alert).map(Some)
        } else {
            Ok(None)
        }
    };
    let Some(state) = query.state else {
        let rows = store.range(tables::ALERTS_BY_TIME, &(), Some(&low), Some(&high));
        let rows = rows.rev().map(|row| Ok((row?.0, true)));
        return gather(rows, paging.limit(), pick);
    };
    let (list, fits) = state.listed();
    let in_list = |(at, id)| (list.to_owned(), at, id);
    let rows = store.range(
        tables::CASES_BY_TIME,
        &list.to_owned(),
        Some(&in_list(low)),
        Some(&in_list(high)),
    );
    let rows = rows.rev().map(|row| {
        let ((_, at, id), listing) = row?;
        Ok(((at, id), fits(listing)))
    });
    gather(rows, paging.limit(), pick)
}

/// The alert with its deliveries and all that happened to its case. Reads the disk.
pub(crate) fn detailed(store: &Store, id: AlertId) -> Result<AlertView, Problem> {
    let alert = store.get(tables::ALERTS, &id)?;
    let alert = alert.ok_or_else(|| Problem::not_found("no such alert"))?;
    let case = match store.get(tables::CASES, &id)? {
        Some(case) => {
            let pictures = pictures::of(store, id)?;
            Some(ShownCase::Detailed(DetailedCaseView::new(&case, pictures)))
        }
        None => None,
    };
    Ok(AlertView {
        case,
        deliveries: deliveries(store, id)?,
        alert: AlertFacts::from(alert),
    })
}

fn in_short(store: &Store, alert: Alert) -> Result<AlertView, Problem> {
    let case = case_of(store, &alert)?;
    Ok(AlertView {
        case: case.map(ShownCase::Short),
        deliveries: deliveries(store, alert.id)?,
        alert: AlertFacts::from(alert),
    })
}

/// The alert as the live feed shows it. Reads the disk.
pub(crate) fn event(store: &Store, alert: Alert) -> Result<AlertEvent, Problem> {
    Ok(AlertEvent {
        case: case_of(store, &alert)?,
        alert: AlertFacts::from(alert),
    })
}

fn case_of(store: &Store, alert: &Alert) -> Result<Option<CaseView>, Problem> {
    if alert.kind.severity() > CASE_SEVERITY_MAX {
        return Ok(None);
    }
    let case = store.get(tables::CASES, &alert.id)?;
    Ok(case.as_ref().map(CaseView::from))
}

fn deliveries(store: &Store, id: AlertId) -> Result<Vec<DeliveryView>, Problem> {
    let rows = store.scan(tables::DELIVERIES, &id);
    rows.map(|row| Ok(row?.1.into())).collect()
}

impl From<Alert> for AlertFacts {
    fn from(alert: Alert) -> AlertFacts {
        let title = alert.kind.title();
        AlertFacts {
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
        }
    }
}
