//! `GET /audit` and `GET /audit/export.csv`: who did what, newest first.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::domain::audit::{AuditAct, AuditRecord, Reason};
use crate::domain::id::AlertId;
use crate::domain::place::Place;
use crate::domain::role::Actor;
use crate::store::{Store, tables};
use crate::supervise::blocking;
use crate::time::WallTime;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::Asked;
use crate::web::looks;
use crate::web::page::{Page, Paging, gather};
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// Records in one exported file, at most: more want a shorter time.
const EXPORT_RECORDS_MAX: usize = 100_000;
/// Records looked through for one exported file, at most.
const EXPORT_SCAN_MAX: usize = 500_000;
/// The first line of an exported file.
const COLUMNS: [&str; 13] = [
    "number", "at", "who", "role", "from", "act", "target", "place", "detail", "reason", "case",
    "previous", "hash",
];

/// Which records; all given conditions must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// The account.
    who: Option<String>,
    act: Option<AuditAct>,
    place: Option<Place>,
    /// First moment, inclusive.
    from: Option<WallTime>,
    /// First moment after, exclusive.
    to: Option<WallTime>,
    /// A part of the target, the detail, the reason or the address.
    q: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// A record as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct RecordView {
    number: u64,
    at: WallTime,
    by: Option<Actor>,
    from_address: Option<String>,
    act: AuditAct,
    target: String,
    place: Option<Place>,
    detail: String,
    reason: Option<Reason>,
    case: Option<AlertId>,
    hash: String,
}

impl RecordView {
    fn new(number: u64, record: AuditRecord) -> RecordView {
        let event = record.event;
        RecordView {
            number,
            at: event.at,
            by: event.by,
            from_address: event.from.map(|from| from.to_string()),
            act: event.act,
            target: event.target,
            place: event.place,
            detail: event.detail,
            reason: event.reason,
            case: event.case,
            hash: record.hash.to_string(),
        }
    }
}

pub(crate) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<AuditQuery>,
) -> Result<Json<Page<RecordView>>, Problem> {
    authorise(&principal, Action::SeeAudit, None)?;
    blocking("list the audit", move || page(&api.store, &query))
        .await?
        .map(Json)
}

/// A page of what fits: through the list of one account when one is asked for, else by time; no more than
/// `page::SCAN_MAX` records are looked at.
fn page(store: &Store, query: &AuditQuery) -> Result<Page<RecordView>, Problem> {
    let paging = Paging {
        cursor: query.cursor.clone(),
        limit: query.limit,
    };
    let wanted = Wanted::new(query);
    let pick = |number: u64| {
        let record = store.get(tables::AUDIT_LOG, &number)?;
        let record = record.filter(|record| wanted.fits(record));
        Ok(record.map(|record| RecordView::new(number, record)))
    };
    let (low, until) = (query.low(), query.until());
    if let Some(who) = &query.who {
        let high = paging.after()?.unwrap_or((who.clone(), until, 0));
        if high.0 != *who {
            return Err(Problem::bad_request("cursor: it is of another account"));
        }
        let low = (who.clone(), low, 0);
        let rows = store.range(tables::AUDIT_BY_WHO, who, Some(&low), Some(&high));
        return gather(
            rows.rev().map(|row| Ok(row?)),
            paging.limit(),
            |(_, _, number), ()| pick(*number),
        );
    }
    let high: (WallTime, u64) = paging.after()?.unwrap_or((until, 0));
    let rows = store.range(tables::AUDIT_BY_TIME, &(), Some(&(low, 0)), Some(&high));
    gather(
        rows.rev().map(|row| Ok(row?)),
        paging.limit(),
        |(_, number), ()| pick(*number),
    )
}

impl AuditQuery {
    fn low(&self) -> WallTime {
        self.from.unwrap_or(WallTime::from_unix_ns(i64::MIN))
    }

    fn until(&self) -> WallTime {
        self.to.unwrap_or(WallTime::from_unix_ns(i64::MAX))
    }
}

/// What a record must be like, besides its time and its account.
struct Wanted<'q> {
    query: &'q AuditQuery,
    /// In lower case.
    part: Option<String>,
}

impl<'q> Wanted<'q> {
    fn new(query: &'q AuditQuery) -> Wanted<'q> {
        let part = query.q.as_deref().map(str::trim);
        Wanted {
            query,
            part: part.filter(|part| !part.is_empty()).map(str::to_lowercase),
        }
    }

    fn fits(&self, record: &AuditRecord) -> bool {
        let event = &record.event;
        let query = self.query;
        if query.act.is_some_and(|act| act != event.act)
            || query.place.is_some() && query.place != event.place
        {
            return false;
        }
        let Some(part) = &self.part else {
            return true;
        };
        let from = event.from.map(|from| from.to_string());
        let case = event.case.map(|case| case.to_string());
        let texts = [
            Some(event.target.as_str()),
            Some(event.detail.as_str()),
            event.reason.as_ref().map(Reason::as_str),
            from.as_deref(),
            case.as_deref(),
        ];
        let mut texts = texts.into_iter().flatten();
        texts.any(|text| text.to_lowercase().contains(part))
    }
}

/// The records as a file, oldest first, with their hashes: what an auditor takes away to reckon the chain
/// again, and to compare with what the gateway has later.
pub(crate) async fn export(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<AuditQuery>,
) -> Result<Response, Problem> {
    authorise(&principal, Action::SeeAudit, None)?;
    let store = api.store.clone();
    let made = blocking("export the audit", move || csv(&store, &query)).await?;
    let (n_records, bytes) = made?;
    looks::exported(&api, &principal, "audit", format!("{n_records} records")).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"audit.csv\"",
        ),
    ];
    Ok((headers, bytes).into_response())
}

fn csv(store: &Store, query: &AuditQuery) -> Result<(usize, Vec<u8>), Problem> {
    let wanted = Wanted::new(query);
    // A spreadsheet knows UTF-8 by this mark.
    let mut text = String::from("\u{feff}");
    push_line(&mut text, COLUMNS);
    let mut n_records = 0;
    let (low, high) = ((query.low(), 0), (query.until(), 0));
    let rows = store.range(tables::AUDIT_BY_TIME, &(), Some(&low), Some(&high));
    for (n_seen, row) in rows.enumerate() {
        let ((_, number), ()) = row?;
        let Some(record) = store.get(tables::AUDIT_LOG, &number)? else {
            continue;
        };
        let by = record.event.by.as_ref().map(|by| by.name.as_str());
        let is_by = query.who.is_none() || query.who.as_deref() == by;
        if is_by && wanted.fits(&record) {
            n_records += 1;
            let columns = record.event.columns(number).into_iter();
            let hashes = [record.previous.to_string(), record.hash.to_string()];
            push_line(&mut text, columns.chain(hashes));
        }
        if n_records > EXPORT_RECORDS_MAX || n_seen >= EXPORT_SCAN_MAX {
            let detail = format!(
                "more than {EXPORT_RECORDS_MAX} records, or too many to look through; \
                 ask for a shorter time with from and to"
            );
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Problem::new(status, "too-many", detail));
        }
    }
    Ok((n_records, text.into_bytes()))
}

/// One line (RFC 4180). What a spreadsheet would take for a formula gets an apostrophe in front: some of
/// these texts were typed by strangers.
fn push_line<T: AsRef<str>>(text: &mut String, fields: impl IntoIterator<Item = T>) {
    for (idx, field) in fields.into_iter().enumerate() {
        let field = field.as_ref();
        if idx > 0 {
            text.push(',');
        }
        text.push('"');
        if field.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']) {
            text.push('\'');
        }
        text.push_str(&field.replace('"', "\"\""));
        text.push('"');
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_quotes_and_defuses_formulas() {
        let mut text = String::new();
        push_line(&mut text, ["1", "a \"b\", c", "=1+1", "'x", "", "二"]);
        let expected = "\"1\",\"a \"\"b\"\", c\",\"'=1+1\",\"''x\",\"\",\"二\"\r\n";
        assert_eq!(text, expected);
    }
}
