//! One viewer of live video: a WebSocket over which many cameras are shown, until the viewer goes, its
//! right is taken away, or it does not keep to the protocol.
//!
//! Two halves run beside each other in one task: one reads what the viewer says, the other shows. No
//! queue of video stands between a camera and a viewer (`live` says why), so a slow viewer holds up
//! nothing but itself.

mod places;
mod show;
mod wire;

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::http::{HeaderMap, header, uri::Authority};
use futures_util::stream::SplitStream;
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Api;
use super::principal::Principal;

pub use places::ViewerPlaces;
pub(super) use places::ViewerSeat;
use show::Show;
use wire::Said;

/// Longest message that a viewer may send; its own have some hundred bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 4 << 10;
/// Cameras that a viewer may look at: the largest wall.
pub(super) const WATCHES_MAX: usize = 16;
/// Messages of a viewer that wait to be worked off; it is not read on meanwhile.
const SAID_MAX: usize = 16;
/// Messages that a viewer may send in a second: a wall of 16 that rolls says 32 at a time.
const SAID_PER_S_MAX: u32 = 200;
/// How long a viewer may take to say what it plays.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// How often a viewer is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(5);
/// A viewer of which nothing was heard for so long is gone: two pings and some.
const DEAD_AFTER: Duration = Duration::from_secs(15);
/// How long the farewell may take.
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);

/// Why a viewer is let go (RFC 6455, 7.4; from 4000 on our own).
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// It has gone by itself, or its connection is broken.
    Gone,
    /// 1001: the gateway stops.
    Stopping,
    /// 1008: it does not keep to the protocol.
    Breach(String),
    /// 1011: what it looks at cannot be recorded, so nothing is shown.
    Failed,
    /// 4403: its right was taken away or changed.
    Revoked,
    /// 4408: nothing was heard of it.
    Dead,
}

impl End {
    fn frame(&self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            End::Gone => return None,
            End::Stopping => (1001, "the gateway stops"),
            End::Breach(what) => (1008, what.as_str()),
            End::Failed => (1011, "the look cannot be recorded"),
            End::Revoked => (4403, "the right to look was taken away or changed"),
            End::Dead => (4408, "nothing was heard for too long"),
        };
        // A close frame has room for 123 bytes (RFC 6455, 5.5).
        let end = (0..=reason.len().min(120)).rev();
        let cut = end.into_iter().find_map(|end| reason.get(..end));
        Some(CloseFrame {
            code,
            reason: cut.unwrap_or_default().into(),
        })
    }
}

/// Does the request come from a page of ours? One without `Origin` comes from a program.
pub(super) fn is_of_our_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let Some(origin) = text(header::ORIGIN) else {
        return true;
    };
    let authority = |text: &str| text.parse::<Authority>().ok();
    let asked = text(header::HOST).and_then(authority);
    let from = origin
        .split_once("://")
        .and_then(|(_, rest)| authority(rest));
    asked.is_some() && from == asked
}

/// Shows `principal` what it asks for over `socket`, until one side ends it.
pub(super) async fn serve(
    socket: WebSocket,
    api: Api,
    principal: Principal,
    seat: ViewerSeat,
    stop: CancellationToken,
) {
    let (mut sink, stream) = socket.split();
    let (heard_tx, heard_rx) = mpsc::channel(SAID_MAX);
    let heard_at = Mutex::new(Instant::now());
    let revoked = principal.clone();
    let mut show = Show::new(api, principal);
    let end = tokio::select! {
        biased;
        () = stop.cancelled() => End::Stopping,
        () = revoked.revoked() => End::Revoked,
        end = listen(stream, heard_tx, &heard_at) => end,
        end = show.run(&mut sink, heard_rx, &heard_at) => end,
    };
    debug!(?end, "live viewer ends");
    if let Some(frame) = end.frame() {
        let farewell = sink.send(Message::Close(Some(frame)));
        if !matches!(timeout(FAREWELL_WITHIN, farewell).await, Ok(Ok(()))) {
            debug!("the viewer did not take the farewell");
        }
    }
    drop(seat);
}

/// Hears the viewer until it goes; what it says goes to `heard`.
async fn listen(
    mut stream: SplitStream<WebSocket>,
    heard: mpsc::Sender<Said>,
    heard_at: &Mutex<Instant>,
) -> End {
    let mut second = (Instant::now(), 0u32);
    while let Some(message) = stream.next().await {
        let now = Instant::now();
        *heard_at.lock() = now;
        if now.saturating_duration_since(second.0) >= Duration::from_secs(1) {
            second = (now, 0);
        }
        second.1 += 1;
        if second.1 > SAID_PER_S_MAX {
            return End::Breach("too many messages".to_owned());
        }
        let said = match message {
            Ok(Message::Text(text)) => wire::read(&text),
            Ok(Message::Binary(_)) => Err("messages are JSON text".to_owned()),
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Ok(Message::Close(_)) => return End::Gone,
            // Larger than may be, no WebSocket, or the connection is gone: then nobody reads this.
            Err(err) => Err(err.to_string()),
        };
        match said {
            Ok(said) => {
                if heard.send(said).await.is_err() {
                    return End::Gone;
                }
            }
            Err(what) => return End::Breach(what),
        }
    }
    End::Gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_a_page_of_ours_and_a_program_may_open_a_viewer() {
        let ours = |host: &'static str, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            is_of_our_origin(&headers)
        };
        assert!(ours("127.0.0.1:8080", None));
        assert!(ours("127.0.0.1:8080", Some("http://127.0.0.1:8080")));
        assert!(ours("gate.example", Some("https://gate.example")));
        for foreign in [
            "http://evil.example",
            "http://127.0.0.1:8081",
            "http://127.0.0.1:8080.evil.example",
            "null",
            "",
        ] {
            assert!(!ours("127.0.0.1:8080", Some(foreign)), "{foreign}");
        }
    }

    #[test]
    fn a_farewell_fits_into_its_frame() {
        let end = End::Breach("\u{95e8}".repeat(100));
        let frame = end.frame().unwrap();
        assert!(frame.reason.len() <= 123 && !frame.reason.is_empty());
        assert_eq!(End::Gone.frame(), None);
    }
}
