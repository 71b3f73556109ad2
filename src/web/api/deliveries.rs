//! `GET /deliveries`, `POST /deliveries/{id}/retry` and `GET /linkages`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::alerts::DeliveryView;
use crate::domain::alert::DeliveryState;
use crate::domain::id::LinkageId;
use crate::outbox::{DeliveryCursor, DeliveryFilter, DeliveryId};
use crate::supervise::blocking;
use crate::telemetry::Component;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Id};
use crate::web::page::{Page, Paging};
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// What to list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveriesQuery {
    state: Option<DeliveryState>,
    linkage: Option<LinkageId>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// A receiver of alerts and how it is.
#[derive(Debug, Serialize)]
pub(crate) struct LinkageView {
    linkage: LinkageId,
    health: Option<Component>,
}

pub(crate) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<DeliveriesQuery>,
) -> Result<Json<Page<DeliveryView>>, Problem> {
    authorise(&principal, Action::SeeDeliveries, None)?;
    let paging = Paging {
        cursor: query.cursor,
        limit: query.limit,
    };
    let cursor = paging
        .cursor
        .as_deref()
        .map(str::parse::<DeliveryCursor>)
        .transpose();
    let cursor = cursor.map_err(|err| Problem::bad_request(format!("cursor: {err}")))?;
    let filter = DeliveryFilter {
        state: query.state,
        linkage: query.linkage,
    };
    let limit = paging.limit();
    let listed = move || api.outbox.list(&filter, cursor.as_ref(), limit);
    let page = blocking("list deliveries", listed).await??;
    Ok(Json(Page {
        items: page.items.into_iter().map(DeliveryView::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    }))
}

pub(crate) async fn retry(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    authorise(&principal, Action::RetryDeliveries, None)?;
    let id: DeliveryId = id
        .parse()
        .map_err(|err| Problem::bad_request(format!("delivery id: {err}")))?;
    match api.outbox.retry(id.clone()).await? {
        Some(true) => {
            info!(delivery = %id, by = %principal.actor.name, "dead letter taken up again");
            Ok(StatusCode::ACCEPTED)
        }
        Some(false) => Err(Problem::new(
            StatusCode::CONFLICT,
            "not-dead",
            "this delivery was not given up: it waits or has been delivered",
        )),
        None => Err(Problem::not_found("no such delivery")),
    }
}

/// Which dead letters are taken up again.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryQuery {
    /// Those of this linkage; of all when absent.
    linkage: Option<LinkageId>,
}

/// How many were taken up again.
#[derive(Debug, Serialize)]
pub(crate) struct Retried {
    retried: usize,
}

pub(crate) async fn retry_all(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<RetryQuery>,
) -> Result<(StatusCode, Json<Retried>), Problem> {
    authorise(&principal, Action::RetryDeliveries, None)?;
    let known = |id: &LinkageId| {
        let policy = api.outbox.raise_policy();
        policy.linkages.iter().any(|linkage| linkage.id == *id)
    };
    if let Some(id) = &query.linkage
        && !known(id)
    {
        return Err(Problem::not_found("no such linkage"));
    }
    let retried = api.outbox.retry_all(query.linkage.as_ref()).await?;
    let linkage = query.linkage.as_ref().map(tracing::field::display);
    info!(retried, linkage, by = %principal.actor.name, "dead letters taken up again");
    Ok((StatusCode::ACCEPTED, Json(Retried { retried })))
}

pub(crate) async fn linkages(
    State(api): State<Api>,
    principal: Principal,
) -> Result<Json<Page<LinkageView>>, Problem> {
    authorise(&principal, Action::SeeHealth, None)?;
    let health: BTreeMap<String, Component> = api.board.snapshot();
    let policy = api.outbox.raise_policy();
    let items = policy.linkages.iter().map(|linkage| LinkageView {
        linkage: linkage.id.clone(),
        health: health.get(&format!("linkage/{}", linkage.id)).cloned(),
    });
    // Bounded by the configuration, so one page holds all.
    Ok(Json(Page {
        items: items.collect(),
        next_cursor: None,
    }))
}
