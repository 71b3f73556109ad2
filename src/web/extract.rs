//! What is read from a request's path, query and body, with problem documents for what cannot be read.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The query, every key of which must be known.
pub(super) struct Asked<T>(pub(super) T);

/// The `{id}` of the path.
pub(super) struct Id(pub(super) String);

/// The body's bytes, within the route's limit.
pub(super) struct Raw(pub(super) Bytes);
/// The two ids of the path.
pub(super) struct Ids(pub(super) String, pub(super) String);

/// The body, as JSON.
pub(super) struct Body<T>(pub(super) T);

/// The revision in `If-Match`, as an `ETag` of ours wrote it; `If-None-Match: *` is revision 0.
pub(super) struct IfRevision(pub(super) Option<u64>);

/// A query without any key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Asked<T>, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Asked(query)),
            Err(err) => Err(Problem::bad_request(format!("query: {}", err.body_text()))),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Id, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Id(id)),
            Err(err) => Err(Problem::bad_request(format!("path: {}", err.body_text()))),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Raw, Problem> {
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Raw(bytes)),
            Err(err) if err.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "the body is larger than this path takes",
            )),
            Err(err) => Err(Problem::bad_request(format!("body: {}", err.body_text()))),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Ids, Problem> {
        match Path::<(String, String)>::from_request_parts(parts, state).await {
            Ok(Path((one, other))) => Ok(Ids(one, other)),
            Err(err) => Err(Problem::bad_request(format!("path: {}", err.body_text()))),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Body(body)),
            Err(err) => {
                let detail = format!("body: {}", err.body_text());
                Err(Problem::new(err.status(), "bad-request", detail))
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfRevision {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<IfRevision, Problem> {
        let text = |name| {
            parts
                .headers
                .get(name)
                .map(|value| value.to_str().unwrap_or(""))
        };
        if text(header::IF_NONE_MATCH) == Some("*") {
            return Ok(IfRevision(Some(0)));
        }
        let Some(tag) = text(header::IF_MATCH) else {
            return Ok(IfRevision(None));
        };
        match tag.trim().trim_matches('"').parse() {
            Ok(revision) => Ok(IfRevision(Some(revision))),
            Err(_) if tag.trim() == "*" => Ok(IfRevision(None)),
            Err(_) => Err(Problem::bad_request(
                "If-Match: use the ETag of the last answer",
            )),
        }
    }
}
