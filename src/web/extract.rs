//! What is read from a request's path and query, with problem documents for what cannot be read.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
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
