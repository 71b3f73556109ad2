//! `POST /roster/import`, `GET /roster/export`, `/roster/report.xlsx` and `/roster/template.xlsx`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tracing::info;

use crate::roster::sheet::{
    self, ExportError, FileFormat, ImportError, ImportOptions, ImportReport, Language, Missing,
};
use crate::roster::{BeyondLimit, Mode};
use crate::supervise::blocking;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Nothing};
use crate::web::looks;
use crate::web::principal::Principal;
use crate::web::problem::Problem;

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const CSV: &str = "text/csv; charset=utf-8";

/// How a roster is imported.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportQuery {
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    mode: ModeWord,
    #[serde(default)]
    missing: Missing,
    #[serde(default)]
    beyond_limit: BeyondWord,
    #[serde(default)]
    why: String,
}

/// What becomes of the rest when rows are refused.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ModeWord {
    #[default]
    AllOrNothing,
    SkipRefused,
}

/// What becomes of persons beyond a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BeyondWord {
    #[default]
    Refuse,
    Admit,
}

/// What is exported, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    #[serde(default)]
    format: FileFormat,
    #[serde(default)]
    lang: Language,
}

/// Imports the body: 200 with the report when everything, or everything that was asked for, was taken;
/// 422 with the report when rows are refused and so nothing was.
pub(crate) async fn import(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<ImportQuery>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, Problem> {
    authorise(&principal, Action::ImportRoster, None)?;
    let beyond_limit = match query.beyond_limit {
        BeyondWord::Refuse => BeyondLimit::Refuse,
        BeyondWord::Admit => {
            authorise(&principal, Action::AdmitBeyondLimit, None)?;
            BeyondLimit::Admit
        }
    };
    let body = body.map_err(|err| {
        Problem::new(
            err.status(),
            "bad-request",
            format!("body: {}", err.body_text()),
        )
    })?;
    let turn = take_turn(&api)?;
    let options = ImportOptions {
        by: principal.actor.clone(),
        why: query.why,
        mode: match query.mode {
            ModeWord::AllOrNothing => Mode::AllOrNothing,
            ModeWord::SkipRefused => Mode::SkipRefused,
        },
        missing: query.missing,
        beyond_limit,
        is_dry_run: query.dry_run,
    };
    let report = sheet::import(&api.roster, body, &options, &|_| {}).await?;
    drop(turn);
    info!(
        by = %options.by.name,
        n_rows = report.rows,
        n_changes = report.n_changes(),
        n_refused_rows = report.refused_rows,
        dry_run = report.dry_run,
        applied = report.applied,
        "roster imported"
    );
    if report.applied {
        looks::changed(&api, &principal, "roster", None, report.in_audit()).await?;
    }
    Ok((status_of(&report), Json(report)).into_response())
}

fn status_of(report: &ImportReport) -> StatusCode {
    if report.dry_run || report.applied {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    }
}

pub(crate) async fn export(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<ExportQuery>,
) -> Result<Response, Problem> {
    authorise(&principal, Action::ExportRoster, None)?;
    let turn = take_turn(&api)?;
    let roster = api.roster.clone();
    let ExportQuery { format, lang } = query;
    let made = blocking("export the roster", move || roster.export(format, lang)).await??;
    drop(turn);
    let detail = format!("{} dwellings, {} cards", made.n_dwellings, made.n_cards);
    record(&api, &principal, "roster", detail).await?;
    Ok(match format {
        FileFormat::Xlsx => attachment("roster.xlsx", XLSX, made.bytes),
        FileFormat::Csv => attachment("roster.csv", CSV, made.bytes),
    })
}

pub(crate) async fn report(
    State(api): State<Api>,
    principal: Principal,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Response, Problem> {
    authorise(&principal, Action::SeeReports, None)?;
    let turn = take_turn(&api)?;
    let roster = api.roster.clone();
    let made = blocking("make the report", move || roster.report()).await??;
    drop(turn);
    let detail = format!("{} dwellings", made.n_dwellings);
    record(&api, &principal, "report", detail).await?;
    Ok(attachment("report.xlsx", XLSX, made.bytes))
}

/// The template holds nothing of the site, so everybody with an account may have it.
pub(crate) async fn template(Asked(Nothing {}): Asked<Nothing>) -> Result<Response, Problem> {
    let made = blocking("make the template", sheet::template).await?;
    let bytes = made.map_err(|err| Problem::internal(&err))?;
    Ok(attachment("template.xlsx", XLSX, bytes))
}

/// Who took what away, and when: durable before a byte of it leaves, and a line in the log.
async fn record(
    api: &Api,
    principal: &Principal,
    what: &str,
    detail: String,
) -> Result<(), Problem> {
    let by = &principal.actor;
    info!(by = %by.name, role = %by.role, what, detail, "roster exported");
    looks::exported(api, principal, what, detail).await
}

fn take_turn(api: &Api) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(&api.roster_files)
        .try_acquire_owned()
        .map_err(|_busy| {
            let detail = "another roster is being imported or exported; try again in a moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
        })
}

fn attachment(name: &str, kind: &'static str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, bytes).into_response()
}

impl From<ImportError> for Problem {
    fn from(err: ImportError) -> Problem {
        match err {
            ImportError::File(reason) => {
                let kind = reason.word();
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, reason.to_string())
                    .with("detail_zh", reason.zh())
            }
            ImportError::TooManyChanges { .. } => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-many-changes",
                err.to_string(),
            ),
            ImportError::Busy => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", err.to_string())
            }
            ImportError::Ledger(err) => Problem::from(err),
            ImportError::Blocking(err) => Problem::from(err),
        }
    }
}

impl From<ExportError> for Problem {
    fn from(err: ExportError) -> Problem {
        Problem::internal(&err)
    }
}
