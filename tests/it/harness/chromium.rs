//! A real browser that plays a clip and says what it saw.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::response::Html;
use axum::routing::{get, post};
use serde::Deserialize;
use stairgate::supervise::Supervisor;

use super::process::Process;
use super::wait::eventually;

/// The page: plays as fast as the browser can and reports once, at the end or at an error.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><video id="v" muted></video><script>
const v = document.getElementById('v');
const say = error => fetch('/report', {method: 'POST', body: JSON.stringify({
  error, duration_s: v.duration || 0, width: v.videoWidth, height: v.videoHeight,
  n_frames: v.getVideoPlaybackQuality().totalVideoFrames})});
v.onended = () => say('');
v.onerror = () => say(`error ${v.error.code}: ${v.error.message}`);
v.src = "SOURCE";
v.playbackRate = 8;
v.play().catch(err => say(String(err)));
</script>"#;

/// The page that looks: seeks to each moment and reads the number drawn in the picture (its layout is in
/// `fixtures/README.md`); -1 when the fixed bars or the parity are wrong.
const LOOK_PAGE: &str = r#"<!doctype html><meta charset="utf-8"><video id="v" muted></video><script>
const v = document.getElementById('v');
const say = (error, numbers) => fetch('/report', {method: 'POST', body: JSON.stringify({
  error, duration_s: v.duration || 0, numbers})});
const look = () => {
  const c = new OffscreenCanvas(v.videoWidth, v.videoHeight).getContext('2d');
  c.drawImage(v, 0, 0);
  const wide = v.videoWidth / 20;
  const lit = i => c.getImageData((i + 0.5) * wide, wide / 2, 1, 1).data[1] > 127;
  let number = 0, ones = 0;
  for (let i = 2; i < 19; i++) ones += lit(i);
  for (let i = 0; i < 16; i++) number |= lit(i + 2) << i;
  return lit(0) && !lit(1) && lit(19) && ones % 2 == 1 ? number : -1;
};
v.onerror = () => say(`error ${v.error.code}: ${v.error.message}`, []);
const first = new Promise(shown => v.requestVideoFrameCallback(shown));
v.onloadeddata = async () => {
  await first;
  const numbers = [look()];
  for (const at of TIMES) {
    // The seek may end before its picture is there; when the picture is the one before, none comes.
    const shown = new Promise(shown => v.requestVideoFrameCallback(shown));
    await new Promise(seeked => { v.onseeked = seeked; v.currentTime = at; });
    await Promise.race([shown, new Promise(later => setTimeout(later, 1000))]);
    numbers.push(look());
  }
  say('', numbers);
};
// A server without ranges cannot be sought in; a blob can.
fetch('clip.mp4').then(answer => answer.blob()).then(blob => { v.src = URL.createObjectURL(blob); });
</script>"#;

/// What the browser showed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Looked {
    /// Empty when it could open the file.
    pub(crate) error: String,
    /// The length it believes the clip has, in seconds.
    pub(crate) duration_s: f64,
    /// The number in the first picture, before any seek, and then at each moment asked for.
    pub(crate) numbers: Vec<i32>,
}

/// Opens a numbered video in Chromium and seeks to each of `times_s`.
pub(crate) async fn look_at(file: &Path, times_s: &[f64]) -> Looked {
    let bytes = std::fs::read(file).unwrap();
    let clip = get(move || async move { ([(header::CONTENT_TYPE, "video/mp4")], bytes) });
    let page = LOOK_PAGE.replace("TIMES", &format!("{times_s:?}"));
    visit(page, Router::new().route("/clip.mp4", clip)).await
}

/// What the browser saw.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Played {
    /// Empty when it played to the end.
    pub(crate) error: String,
    /// The length it believes the clip has, in seconds.
    pub(crate) duration_s: f64,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Frames decoded, shown or not.
    pub(crate) n_frames: u32,
}

/// Plays `url` to its end in Chromium, at eight times its pace.
pub(crate) async fn play(url: &str) -> Played {
    visit(PAGE.replace("SOURCE", url), Router::new()).await
}

/// Opens `page` in Chromium, beside what `app` serves, and waits for what the page reports.
async fn visit<T>(page: String, app: Router) -> T
where
    T: serde::de::DeserializeOwned + Send + 'static,
{
    let seen: Arc<Mutex<Option<T>>> = Arc::new(Mutex::new(None));
    let report = Arc::clone(&seen);
    let app = app
        .route("/", get(move || async move { Html(page) }))
        .route(
            "/report",
            post(move |body: String| async move {
                let played = serde_json::from_str(&body).unwrap();
                report.lock().unwrap().get_or_insert(played);
            }),
        );
    let (site, supervisor) = serve(app).await;

    let (mut browser, _dir) = open(&site);
    eventually(
        "Chromium reports what it saw",
        Duration::from_secs(60),
        || seen.lock().unwrap().is_some(),
    )
    .await;
    browser.terminate(Duration::from_secs(10)).await;
    supervisor.shutdown(Duration::from_secs(10)).await.unwrap();
    let played = seen.lock().unwrap().take();
    played.unwrap()
}

/// Opens a page in Chromium; it ends with the process, and what it wrote with the folder.
pub(crate) fn open(url: &str) -> (Process, tempfile::TempDir) {
    let dir = super::temp_dir();
    let mut command = Command::new("chromium");
    command
        .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-dev-shm-usage", "--no-first-run", "--mute-audio"])
        .args(["--disable-background-networking", "--no-proxy-server"])
        .arg("--autoplay-policy=no-user-gesture-required")
        .arg(format!("--user-data-dir={}", dir.path().display()))
        .arg(url)
        .env("HOME", dir.path());
    let browser = Process::start("chromium", &mut command, &dir.path().join("chromium.log"));
    (browser, dir)
}

/// Plays a file, as [`play`] does.
pub(crate) async fn play_file(file: &Path) -> Played {
    let bytes = std::fs::read(file).unwrap();
    let clip = get(move || async move { ([(header::CONTENT_TYPE, "video/mp4")], bytes) });
    let (site, supervisor) = serve(Router::new().route("/clip.mp4", clip)).await;
    let played = play(&format!("{site}clip.mp4")).await;
    supervisor.shutdown(Duration::from_secs(10)).await.unwrap();
    played
}

/// Serves `app` on a free port; its address, and what ends it.
async fn serve(app: Router) -> (String, Supervisor) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let supervisor = Supervisor::new();
    let token = supervisor.token();
    supervisor.spawn("page", tracing::Span::none(), async move {
        let server = axum::serve(listener, app);
        tokio::select! {
            () = token.cancelled() => {}
            ended = server.into_future() => ended.unwrap(),
        }
    });
    (format!("http://{addr}/"), supervisor)
}
