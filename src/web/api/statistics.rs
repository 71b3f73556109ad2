//! `GET /statistics`, `/statistics.xlsx` and `/statistics/handover`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::case::{Handover, Period, Statistics, StatisticsError, StatisticsQuery};
use crate::domain::alert::AlertKind;
use crate::domain::case::Tier;
use crate::domain::place::Place;
use crate::time::WallTime;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::Asked;
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// Without `from`, figures are of the last 30 days.
const PERIOD_DEFAULT: Duration = Duration::from_secs(30 * 86_400);
/// Without `from`, a shift is 8 h long.
const SHIFT_DEFAULT: Duration = Duration::from_secs(8 * 3_600);
/// The media type of XLSX (ECMA-376, registered with IANA).
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// Which alerts to count.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FiguresQuery {
    from: Option<WallTime>,
    to: Option<WallTime>,
    kind: Option<AlertKind>,
    place: Option<Place>,
    tier: Option<Tier>,
    period: Option<PeriodWord>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PeriodWord {
    Day,
    Week,
    Month,
}

/// Which shift.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShiftQuery {
    from: Option<WallTime>,
    to: Option<WallTime>,
}

pub(crate) async fn figures(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<FiguresQuery>,
) -> Result<Json<Statistics>, Problem> {
    let query = read(&api, &principal, &query)?;
    Ok(Json(api.cases.statistics(query).await?))
}

pub(crate) async fn spreadsheet(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<FiguresQuery>,
) -> Result<Response, Problem> {
    let query = read(&api, &principal, &query)?;
    let label = query.from.utc_day();
    let bytes = api.cases.spreadsheet(query).await?;
    let disposition = format!("attachment; filename=\"statistics-{label}.xlsx\"");
    let disposition =
        HeaderValue::from_str(&disposition).unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(XLSX)),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, bytes).into_response())
}

pub(crate) async fn handover(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<ShiftQuery>,
) -> Result<Json<Handover>, Problem> {
    authorise(&principal, Action::SeeStatistics, None)?;
    let (from, to) = span(&api, query.from, query.to, SHIFT_DEFAULT)?;
    let places = principal.places();
    Ok(Json(api.cases.handover(from, to, places).await?))
}

fn read(
    api: &Api,
    principal: &Principal,
    query: &FiguresQuery,
) -> Result<StatisticsQuery, Problem> {
    authorise(principal, Action::SeeStatistics, query.place.as_ref())?;
    let (from, to) = span(api, query.from, query.to, PERIOD_DEFAULT)?;
    Ok(StatisticsQuery {
        from,
        to,
        kind: query.kind,
        place: query.place.clone(),
        places: principal.places(),
        tier: query.tier,
        period: match query.period {
            Some(PeriodWord::Day) | None => Period::Day,
            Some(PeriodWord::Week) => Period::Week,
            Some(PeriodWord::Month) => Period::Month,
        },
    })
}

fn span(
    api: &Api,
    from: Option<WallTime>,
    to: Option<WallTime>,
    default: Duration,
) -> Result<(WallTime, WallTime), Problem> {
    let to = to.unwrap_or_else(|| api.cases.now());
    let from = from.unwrap_or_else(|| to.minus(default));
    if from >= to {
        return Err(Problem::bad_request("from is not before to"));
    }
    Ok((from, to))
}

impl From<StatisticsError> for Problem {
    fn from(err: StatisticsError) -> Problem {
        match err {
            StatisticsError::TooMany => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Problem::new(status, "too-many", err.to_string())
            }
            StatisticsError::Store(_)
            | StatisticsError::Sheet(_)
            | StatisticsError::Blocking(_) => Problem::internal(&err),
        }
    }
}
