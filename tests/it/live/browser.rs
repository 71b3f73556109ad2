//! A real browser looks: headless Chromium with a page of the test's own, which plays what comes by Media
//! Source Extensions and says what it saw.
//!
//! The page and the viewer must be of one origin, so the test stands between: it serves the page, and
//! hands the WebSocket on to the gateway with the token that a page cannot send.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use stairgate::supervise::Supervisor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::chromium;
use crate::harness::wait::eventually;

/// Plays for 10 s from the first frame on, at the live edge, and reports once. A frame's lag is the time
/// from the arrival of the last frame of its fragment at the gateway to its being shown; both clocks are
/// this machine's.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><video id="v" muted></video><script>
const v = document.getElementById('v'), source = new MediaSource(), queue = [], ends = [], lags = [];
let buffer = null, appending = null, begun = 0, done = false;
const report = error => {
  if (done) return;
  done = true;
  lags.sort((a, b) => a - b);
  const p95_ms = lags.length ? lags[Math.floor(lags.length * 0.95)] : 1e9;
  fetch('/report', {method: 'POST', body: JSON.stringify({error, p95_ms, n_shown: lags.length,
    n_frames: v.getVideoPlaybackQuality().totalVideoFrames})});
};
const pump = () => {
  if (!buffer || buffer.updating || !queue.length) return;
  appending = queue.shift();
  buffer.appendBuffer(appending.payload);
};
const appended = () => {
  const {buffered} = buffer;
  if (buffered.length) {
    const end = buffered.end(buffered.length - 1);
    if (appending.kind > 0) ends.push({end, arrived: appending.arrived});
    if (v.paused) { v.currentTime = end - 0.05; v.play().catch(err => report(String(err))); }
    else if (end - v.currentTime > 1) v.currentTime = end - 0.1;
  }
  pump();
};
const shown = (now, {mediaTime}) => {
  begun ||= performance.now();
  while (ends.length && ends[0].end <= mediaTime) ends.shift();
  if (ends.length) lags.push(Date.now() - ends[0].arrived);
  if (performance.now() - begun > 10000) report('');
  else v.requestVideoFrameCallback(shown);
};
v.requestVideoFrameCallback(shown);
v.onerror = () => report(`error ${v.error.code}: ${v.error.message}`);
v.src = URL.createObjectURL(source);
source.onsourceopen = () => {
  const socket = new WebSocket(`ws://${location.host}/api/v1/live`);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => socket.send('{"type":"hello","v":1,"codecs":["h264"]}');
  socket.onclose = event => report(`closed with ${event.code} ${event.reason}`);
  socket.onmessage = ({data}) => {
    if (typeof data === 'string') {
      const message = JSON.parse(data);
      if (message.type === 'welcome') socket.send('{"type":"watch","id":1,"camera":"CAMERA"}');
      if (message.type === 'closed') report(message.code);
      if (message.type === 'opened') {
        buffer = source.addSourceBuffer(message.mime);
        buffer.onupdateend = appended;
        buffer.onerror = () => report('the browser refuses a fragment');
      }
      return;
    }
    const head = new DataView(data);
    queue.push({kind: head.getUint8(1), arrived: Number(head.getBigUint64(8)), payload: data.slice(24)});
    pump();
  };
};
</script>"#;

/// What the browser saw.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Watched {
    /// Empty when it played all the time.
    pub(super) error: String,
    /// Frames decoded.
    pub(super) n_frames: u32,
    /// Of the frames that were shown, how late 95 % of them were at most, in milliseconds.
    pub(super) p95_ms: f64,
    /// Frames shown.
    #[expect(dead_code, reason = "for whoever reads a failure")]
    n_shown: u32,
}

type Seen = Arc<Mutex<Option<Watched>>>;

/// Looks at `camera` in Chromium for 10 s.
pub(super) async fn watch(web: &str, token: &str, camera: &str) -> Watched {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (seen, supervisor) = (Seen::default(), Supervisor::new());
    let page = PAGE.replace("CAMERA", camera);
    let (web, token) = (web.to_owned(), token.to_owned());
    let (report, connections, stop) = (Arc::clone(&seen), supervisor.group(), supervisor.token());
    supervisor.spawn("page", tracing::Span::none(), async move {
        loop {
            let (client, _) = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted.unwrap(),
            };
            let served = serve(
                client,
                page.clone(),
                (web.clone(), token.clone()),
                Arc::clone(&report),
            );
            let stop = stop.clone();
            connections.spawn("page-connection", tracing::Span::none(), async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = served => {}
                }
            });
        }
    });
    let (mut browser, _dir) = chromium::open(&url);
    let within = Duration::from_secs(60);
    eventually("Chromium reports what it saw", within, || {
        seen.lock().unwrap().is_some()
    })
    .await;
    browser.terminate(Duration::from_secs(10)).await;
    supervisor.shutdown(Duration::from_secs(10)).await.unwrap();
    let watched = seen.lock().unwrap().take();
    watched.unwrap()
}

/// One connection of the browser: the page, its report, or the viewer.
async fn serve(mut client: TcpStream, page: String, gateway: (String, String), seen: Seen) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let (line, rest) = head.split_once("\r\n").unwrap();
    let body = match line.split(' ').nth(1).unwrap() {
        "/api/v1/live" => return hand_on(client, line, rest, gateway).await,
        "/report" => {
            let lower = rest.to_ascii_lowercase();
            let (_, length) = lower.split_once("content-length: ").unwrap();
            let length = length.lines().next().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            client.read_exact(&mut body).await.unwrap();
            let watched = serde_json::from_slice(&body).unwrap();
            seen.lock().unwrap().get_or_insert(watched);
            String::new()
        }
        "/" => page,
        _ => String::new(),
    };
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    // A browser that ends does not take it.
    drop(client.write_all(answer.as_bytes()).await);
}

async fn hand_on(mut client: TcpStream, line: &str, rest: &str, (web, token): (String, String)) {
    let mut gateway = TcpStream::connect(web).await.unwrap();
    let head = format!("{line}\r\nAuthorization: Bearer {token}\r\n{rest}");
    gateway.write_all(head.as_bytes()).await.unwrap();
    // Ends with either side.
    drop(tokio::io::copy_bidirectional(&mut client, &mut gateway).await);
}
