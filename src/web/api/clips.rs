//! `GET /entries/{id}/clip.mp4`, `/thumbnail.jpg`, `/manifest.json`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;

use super::entries::find;
use crate::clip::{self, ClipError};
use crate::domain::clip::{ClipRecord, ClipState, MissedReason};
use crate::domain::entry::Entry;
use crate::domain::id::CameraId;
use crate::supervise::blocking;
use crate::web::Api;
use crate::web::access::Action;
use crate::web::extract::{Asked, Id};
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// Widest thumbnail, in pixels.
const THUMBNAIL_WIDTH_MAX: u32 = 640;

/// Which of an entry's clips.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClipQuery {
    /// One of the door's cameras; the first when absent.
    camera: Option<CameraId>,
}

pub(crate) async fn video(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Asked(query): Asked<ClipQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = find(&api, &principal, Action::SeeClips, &id)?;
    let clip = settled(&entry, query.camera.as_ref())?;
    let exported = api.shelf.get(&entry.id, clip).await;
    let exported = exported.map_err(|err| clip_problem(&api, &err))?;
    let name = format!("{}-{}.mp4", entry.door, entry.at.file_label());
    let mut response = ranged(&exported.file, &headers, "video/mp4");
    let disposition = format!("inline; filename=\"{name}\"");
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

pub(crate) async fn thumbnail(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Asked(query): Asked<ClipQuery>,
) -> Result<Response, Problem> {
    let entry = find(&api, &principal, Action::SeeClips, &id)?;
    let clip = settled(&entry, query.camera.as_ref())?;
    let (root, clip, at) = (api.shelf.footage_root().to_owned(), clip.clone(), entry.at);
    let drawn = move || clip::thumbnail(&root, &clip, at, THUMBNAIL_WIDTH_MAX);
    let jpeg = blocking("draw thumbnail", drawn)
        .await?
        .map_err(|err| clip_problem(&api, &err))?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg"), PRIVATE], jpeg).into_response())
}

pub(crate) async fn manifest(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Asked(query): Asked<ClipQuery>,
) -> Result<Json<serde_json::Value>, Problem> {
    let entry = find(&api, &principal, Action::SeeClips, &id)?;
    let clip = settled(&entry, query.camera.as_ref())?;
    let exported = api.shelf.get(&entry.id, clip).await;
    let exported = exported.map_err(|err| clip_problem(&api, &err))?;
    Ok(Json(clip::manifest(&entry, clip, &exported)))
}

/// Pictures of people: nobody between the gateway and the viewer may keep them.
const PRIVATE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "private, no-store");

/// The clip of that camera, once there is one: 409 while it is made, 404 with the reason when missed.
fn settled<'a>(entry: &'a Entry, camera: Option<&CameraId>) -> Result<&'a ClipRecord, Problem> {
    let clip = match camera {
        None => entry.clip(),
        Some(id) => entry
            .clips
            .iter()
            .find(|clip| clip.camera.as_ref() == Some(id))
            .ok_or_else(|| Problem::not_found("camera: none of this entry's door"))?,
    };
    match clip.state {
        ClipState::Whole | ClipState::Partial => Ok(clip),
        ClipState::Pending => Err(Problem::new(
            StatusCode::CONFLICT,
            "clip-pending",
            format!(
                "the clip is being made; its window ends at {}",
                clip.window.to
            ),
        )),
        ClipState::Missed => {
            let why = clip.reason.map_or("unknown", MissedReason::as_str);
            Err(Problem::new(
                StatusCode::NOT_FOUND,
                "clip-missed",
                format!("there is no clip of this entry: {why}"),
            ))
        }
    }
}

fn clip_problem(api: &Api, err: &ClipError) -> Problem {
    match err {
        ClipError::Gone { .. } | ClipError::Read { .. } if !api.footage.is_there() => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "disk-away",
            "the footage disk is away, and the clip with it; see the health of footage",
        ),
        ClipError::Gone { .. } => Problem::new(
            StatusCode::NOT_FOUND,
            "clip-gone",
            "the footage of this clip is not on the disk; see the health of footage",
        ),
        ClipError::Busy { .. } => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "many clips are being made just now; ask again",
        ),
        other => Problem::internal(other),
    }
}

/// `file` as the client asks: whole, or the one byte range of its `Range` header (RFC 9110, 14).
fn ranged(file: &Bytes, headers: &HeaderMap, content_type: &'static str) -> Response {
    let size = file.len() as u64;
    let common = [
        (header::CONTENT_TYPE, content_type),
        (header::ACCEPT_RANGES, "bytes"),
        PRIVATE,
    ];
    let asked = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    let Some(asked) = asked.and_then(|text| http_range_header::parse_range_header(text).ok())
    else {
        return (common, Body::from(file.clone())).into_response();
    };
    let unsatisfiable = || {
        let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
        let detail = format!("the clip has {size} bytes");
        let status = StatusCode::RANGE_NOT_SATISFIABLE;
        (range, Problem::new(status, "range-not-satisfiable", detail)).into_response()
    };
    let Ok(ranges) = asked.validate(size) else {
        return unsatisfiable();
    };
    // Several ranges in one answer are never needed by a player: the whole file is a valid answer.
    let [range] = ranges.as_slice() else {
        return (common, Body::from(file.clone())).into_response();
    };
    let (Ok(from), Ok(to)) = (
        usize::try_from(*range.start()),
        usize::try_from(*range.end()),
    ) else {
        return unsatisfiable();
    };
    let part = file.slice(from..=to);
    let content_range = [(header::CONTENT_RANGE, format!("bytes {from}-{to}/{size}"))];
    (
        StatusCode::PARTIAL_CONTENT,
        common,
        content_range,
        Body::from(part),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str) -> (StatusCode, Option<String>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        let response = ranged(&Bytes::from_static(b"0123456789"), &headers, "video/mp4");
        let content_range = response.headers().get(header::CONTENT_RANGE);
        (
            response.status(),
            content_range.map(|value| value.to_str().unwrap().to_owned()),
        )
    }

    #[test]
    fn ranges_as_players_ask_them() {
        let partial = StatusCode::PARTIAL_CONTENT;
        assert_eq!(
            asked("bytes=0-"),
            (partial, Some("bytes 0-9/10".to_owned()))
        );
        assert_eq!(
            asked("bytes=2-4"),
            (partial, Some("bytes 2-4/10".to_owned()))
        );
        assert_eq!(
            asked("bytes=-3"),
            (partial, Some("bytes 7-9/10".to_owned()))
        );
        let (status, range) = asked("bytes=10-");
        assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(range, Some("bytes */10".to_owned()));
        assert_eq!(asked("nonsense"), (StatusCode::OK, None));
    }
}
