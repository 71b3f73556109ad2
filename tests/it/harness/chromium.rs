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
    let page = PAGE.replace("SOURCE", url);
    let seen: Arc<Mutex<Option<Played>>> = Arc::default();
    let report = Arc::clone(&seen);
    let app = Router::new()
        .route("/", get(move || async move { Html(page) }))
        .route(
            "/report",
            post(move |body: String| async move {
                let played = serde_json::from_str(&body).unwrap();
                report.lock().unwrap().get_or_insert(played);
            }),
        );
    let (site, supervisor) = serve(app).await;

    let dir = super::temp_dir();
    let mut command = Command::new("chromium");
    command
        .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-dev-shm-usage", "--no-first-run", "--mute-audio"])
        .args(["--disable-background-networking", "--no-proxy-server"])
        .arg("--autoplay-policy=no-user-gesture-required")
        .arg(format!("--user-data-dir={}", dir.path().display()))
        .arg(site)
        .env("HOME", dir.path());
    let mut browser = Process::start("chromium", &mut command, &dir.path().join("chromium.log"));
    eventually("Chromium plays to the end", Duration::from_secs(60), || {
        seen.lock().unwrap().is_some()
    })
    .await;
    browser.terminate(Duration::from_secs(10)).await;
    supervisor.shutdown(Duration::from_secs(10)).await.unwrap();
    let played = seen.lock().unwrap().take();
    played.unwrap()
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
