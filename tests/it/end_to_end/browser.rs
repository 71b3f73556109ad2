//! A real browser plays a clip: headless Chromium, told by a page of the test's own to report back.

use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::harness::http;
use crate::harness::process::Process;
use crate::harness::temp_dir;

/// What the browser's player said.
#[derive(Debug, PartialEq)]
pub(super) struct Played {
    /// Seconds the player takes the clip to last.
    pub(super) duration_s: f64,
    /// Where it stood when it said it had ended.
    pub(super) ended_s: f64,
    /// Width of the picture in pixels.
    pub(super) width: u32,
}

/// Plays the video at `url` to its end, eight times as fast as life.
///
/// # Panics
/// When the player reports an error or does not end within a minute.
pub(super) async fn play(url: &str) -> Played {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let dir = temp_dir();
    let mut command = Command::new("chromium");
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--mute-audio",
        ])
        .args([
            "--no-first-run",
            "--disable-background-networking",
            "--disable-sync",
        ])
        .args([
            "--disable-component-update",
            "--autoplay-policy=no-user-gesture-required",
        ])
        .arg(format!(
            "--user-data-dir={}",
            dir.path().join("profile").display()
        ))
        .arg("--remote-debugging-port=0")
        .arg(format!("http://{addr}/"));
    let mut browser = Process::start("chromium", &mut command, &dir.path().join("chromium.log"));
    let played = tokio::time::timeout(Duration::from_secs(60), serve(&listener, url)).await;
    browser.kill();
    played.expect("the clip plays to its end within a minute")
}

/// Serves the page, and the clip for it with the harness' token: a browser elsewhere has none.
async fn serve(listener: &TcpListener, url: &str) -> Played {
    // A player that has enough for now leaves its connection unread, so each is a task of its own.
    let mut connections = JoinSet::new();
    loop {
        let path = tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                connections.spawn(answer(stream, url.to_owned()));
                continue;
            }
            Some(path) = connections.join_next() => path.unwrap(),
        };
        if let Some(report) = path.strip_prefix("/ended/") {
            let numbers: Vec<f64> = report
                .split('/')
                .map(|text| text.parse().unwrap())
                .collect();
            return Played {
                duration_s: numbers[0],
                ended_s: numbers[1],
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "pixels"
                )]
                width: numbers[2] as u32,
            };
        }
        assert!(!path.starts_with("/error"), "the player failed: {path}");
    }
}

/// Answers one request; returns its path.
async fn answer(mut stream: TcpStream, url: String) -> String {
    let mut request = vec![0; 4096];
    let n_read = stream.read(&mut request).await.unwrap();
    let request = String::from_utf8_lossy(&request[..n_read]).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let (head, body) = match path.as_str() {
        "/clip.mp4" => clip(&url, &request).await,
        "/" => (
            "200 OK\r\nContent-Type: text/html".to_owned(),
            page().into(),
        ),
        _ => ("200 OK\r\nContent-Type: text/plain".to_owned(), Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // A player that seeks hangs up on what it asked for before.
    drop(stream.write_all(&[head.as_bytes(), &body].concat()).await);
    path
}

/// The gateway's answer for the clip: the range that was asked for, if one was.
async fn clip(url: &str, request: &str) -> (String, Vec<u8>) {
    let mut asked = http::client().get(url);
    if let Some(token) = http::token_of(url) {
        asked = asked.bearer_auth(token);
    }
    let range = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("range").then(|| value.trim())
    });
    if let Some(range) = range {
        asked = asked.header("range", range);
    }
    let answer = http::send(asked).await.unwrap();
    let mut head = format!("{} as the gateway says", answer.status);
    for name in ["content-type", "content-range", "accept-ranges"] {
        let value = answer.header(name);
        if !value.is_empty() {
            head.push_str(&format!("\r\n{name}: {value}"));
        }
    }
    (head, answer.body)
}

fn page() -> String {
    r#"<!doctype html><video id="v" muted src="/clip.mp4"></video><script>
const v = document.getElementById("v");
v.addEventListener("error", () => fetch("/error/" + v.error.code + "/" + encodeURIComponent(v.error.message)));
v.addEventListener("ended", () => fetch(`/ended/${v.duration}/${v.currentTime}/${v.videoWidth}`));
v.addEventListener("loadedmetadata", () => { v.playbackRate = 8; v.play(); });
</script>"#
        .to_owned()
}
