//! `GET /alerts/stream`: alerts and their changes as server-sent events, which resume where they were.
//!
//! The id of an event is the number of its step in the feed of all alerts (`ALERT_FEED`). Whoever comes
//! back with it, in `Last-Event-ID` or `?after=`, goes on behind it: across a lost connection, a restart
//! of the gateway, a night. Steps are kept for 30 days; a reader that was away for longer is told so by
//! `snapshot` events with all that is open and not in the feed any more, and goes on with the rest.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::domain::id::AlertId;
use crate::domain::right::Places;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::Asked;
use crate::web::listener::{Line, STREAMS_MAX};
use crate::web::live::{Counted, LiveFeed, Next, event};
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// A quiet stream says so often that it is alive: well below the minute after which proxies cut a
/// silent connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A reader that lost its connection comes back after so long, in milliseconds.
const RETRY_MS: u64 = 2_000;
/// A comment: readers pass it over.
const ALIVE: &[u8] = b": alive\n\n";

/// From where on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamQuery {
    /// The id of the last event that was worked off; `Last-Event-ID` goes before it. 0: all that is kept.
    after: Option<u64>,
}

pub(crate) async fn open(
    State(api): State<Api>,
    principal: Principal,
    line: Option<Extension<Line>>,
    Asked(query): Asked<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    authorise(&principal, Action::SeeAlerts, None)?;
    let asked = last_event_id(&headers)?.or(query.after);
    let line = line.map(|Extension(line)| line);
    if line.as_ref().is_some_and(|line| !line.seat.become_stream()) {
        let detail = format!("{STREAMS_MAX} streams are open, as many as may be; try again later");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Problem::new(status, "too-many-streams", detail));
    }
    let changes = api.live.changes();
    let (cursor, hello) = match asked {
        Some(cursor) => (cursor, Bytes::from(format!("retry: {RETRY_MS}\n\n"))),
        // It has a cursor from the start, so that nothing is missed if it never sees an event.
        None => {
            let newest = api.live.newest()?;
            let ready = event("ready", Some(newest), &format!("{{\"cursor\":{newest}}}"));
            let hello = [format!("retry: {RETRY_MS}\n").as_bytes(), &ready].concat();
            (newest, Bytes::from(hello))
        }
    };
    let reader = Reader {
        _counted: api.live.count(),
        live: api.live,
        cursor,
        hello: Some(hello),
        snapshot: None,
        changes,
        places: principal.places(),
        stop: line.map(|line| line.stop).unwrap_or_default(),
    };
    let body = stream::unfold(reader, |mut reader| async move {
        let chunk = reader.next().await?;
        Some((Ok::<Bytes, Infallible>(chunk), reader))
    });
    // Who may see something else from now on, or nothing, comes back and is told.
    let body = body.take_until(async move { principal.revoked().await });
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        // The connection is counted as a stream; what is asked next comes over another.
        (header::CONNECTION, HeaderValue::from_static("close")),
        // For nginx, which otherwise waits until a buffer is full.
        (
            header::HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    // A browser that has seen no event yet sends none, some programs send an empty one.
    if text.is_empty() {
        return Ok(None);
    }
    let cursor = text.parse().or(Err(Problem::bad_request(
        "Last-Event-ID: send the id of the last event, unchanged",
    )))?;
    Ok(Some(cursor))
}

/// One stream.
struct Reader {
    live: LiveFeed,
    /// The last step it was sent.
    cursor: u64,
    hello: Option<Bytes>,
    snapshot: Option<Snapshot>,
    changes: watch::Receiver<()>,
    places: Places,
    stop: CancellationToken,
    _counted: Counted,
}

/// What a reader is told that was away for too long.
struct Snapshot {
    reason: &'static str,
    left: VecDeque<AlertId>,
    resumes_after: u64,
}

impl Reader {
    /// What to send next; `None` ends the stream: the gateway stops, or the store cannot be read (the
    /// reader comes back and is told).
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(hello) = self.hello.take() {
            return Some(hello);
        }
        let stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            chunk = self.read() => match chunk {
                Ok(chunk) => Some(chunk),
                Err(_) => {
                    // The cause was logged where the problem was made.
                    debug!("stream ended by a failure");
                    None
                }
            },
        }
    }

    async fn read(&mut self) -> Result<Bytes, Problem> {
        loop {
            if let Some(chunk) = self.ready().await? {
                return Ok(chunk);
            }
            if !self.rings().await {
                return Ok(Bytes::from_static(ALIVE));
            }
        }
    }

    /// What can be sent just now; `None` when the reader has seen all there is.
    async fn ready(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(snapshot) = &mut self.snapshot {
                let (reason, id) = (snapshot.reason, snapshot.resumes_after);
                let part = self
                    .live
                    .snapshot_part(&mut snapshot.left, (reason, id), &self.places)
                    .await?;
                if snapshot.left.is_empty() {
                    self.cursor = snapshot.resumes_after;
                    self.snapshot = None;
                }
                return Ok(Some(part));
            }
            // Before looking, so that what comes meanwhile rings again.
            self.changes.mark_unchanged();
            match self.live.after(self.cursor, &self.places).await? {
                Next::Batch(batch) => {
                    self.cursor = batch.cursor;
                    if !batch.events.is_empty() {
                        return Ok(Some(batch.events));
                    }
                    if batch.is_end {
                        return Ok(None);
                    }
                }
                Next::Lost(bounds) => {
                    let reason = if self.cursor > bounds.newest {
                        "cursor-unknown"
                    } else {
                        "cursor-too-old"
                    };
                    self.snapshot = Some(Snapshot {
                        reason,
                        left: self.live.open_alerts().await?,
                        resumes_after: bounds.pruned_to,
                    });
                }
            }
        }
    }

    /// Waits for something new; false when there was nothing for [`HEARTBEAT`].
    async fn rings(&mut self) -> bool {
        match timeout(HEARTBEAT, self.changes.changed()).await {
            Ok(Ok(())) => true,
            // The sender lives as long as the outbox, which `live` holds.
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
