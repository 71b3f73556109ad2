//! A real browser plays a clip: headless Chromium, told by a page of the test's own to report back.

use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

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

async fn serve(listener: &TcpListener, url: &str) -> Played {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let n_read = stream.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..n_read]).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let body = if path == "/" {
            page(url)
        } else {
            String::new()
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .unwrap();
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

fn page(url: &str) -> String {
    format!(
        r#"<!doctype html><video id="v" muted src="{url}"></video><script>
const v = document.getElementById("v");
v.addEventListener("error", () => fetch("/error/" + v.error.code + "/" + encodeURIComponent(v.error.message)));
v.addEventListener("ended", () => fetch(`/ended/${{v.duration}}/${{v.currentTime}}/${{v.videoWidth}}`));
v.addEventListener("loadedmetadata", () => {{ v.playbackRate = 8; v.play(); }});
</script>"#
    )
}
