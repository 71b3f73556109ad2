//! Errors as RFC 9457 problem documents.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;

use crate::error::chain;
use crate::roster::LedgerError;
use crate::store::StoreError;

/// A refusal or a failure as the client sees it: what, where, and what to do.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// A word for programs, such as `clip-pending`; part of the contract.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status' own words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong and what to do, for people.
    detail: String,
    /// What a program needs besides; each name is part of the contract (RFC 9457, 3.2).
    #[serde(flatten)]
    more: BTreeMap<&'static str, serde_json::Value>,
    /// Sent as `Retry-After`.
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem of `kind` with `status`.
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Problem {
        let title = status.canonical_reason().unwrap_or("Error");
        Problem {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            more: BTreeMap::new(),
            retry_after_s: None,
        }
    }

    /// The same with one more member.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Problem {
        self.more.insert(name, value.into());
        self
    }

    /// The same with the seconds after which it is worth trying again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Problem {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The HTTP status.
    #[cfg(test)]
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// 500: our fault. The cause is logged here and not shown.
    pub fn internal(err: &(dyn std::error::Error + 'static)) -> Problem {
        error!(error = %chain(err), "request failed");
        let detail = "the gateway could not answer; its log says why";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl From<StoreError> for Problem {
    fn from(err: StoreError) -> Problem {
        Problem::internal(&err)
    }
}

impl From<LedgerError> for Problem {
    fn from(err: LedgerError) -> Problem {
        match err {
            LedgerError::Why | LedgerError::TooManySteps { .. } => {
                Problem::bad_request(err.to_string())
            }
            LedgerError::Store(_) | LedgerError::Vault(_) => Problem::internal(&err),
        }
    }
}

impl From<crate::supervise::BlockingError> for Problem {
    fn from(err: crate::supervise::BlockingError) -> Problem {
        Problem::internal(&err)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after_s = self.retry_after_s;
        let mut response = (status, Json(self)).into_response();
        if let Some(seconds) = retry_after_s {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}
