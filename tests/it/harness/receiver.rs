//! A police receiver of the tests: takes webhook messages and keeps them.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Answers 204 to every message and keeps its JSON.
#[derive(Debug)]
pub(crate) struct Receiver {
    url: String,
    received: Arc<Mutex<Vec<serde_json::Value>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// A receiver that listens on loopback.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's own peer, ended when dropped"
    )]
    pub(crate) async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    // A gateway that is killed leaves half a message; that is its affair.
                    answer(stream, &kept).await.unwrap_or_default();
                });
            }
        });
        Receiver {
            url,
            received,
            task,
        }
    }

    /// Where to post.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Every message so far, in order of arrival.
    pub(crate) fn received(&self) -> Vec<serde_json::Value> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(stream: TcpStream, kept: &Mutex<Vec<serde_json::Value>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut body_bytes = 0;
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 0 && line.trim() != "" {
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                body_bytes = length.trim().parse().unwrap();
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        let mut body = vec![0; body_bytes];
        stream.read_exact(&mut body).await?;
        if let Ok(message) = serde_json::from_slice(&body) {
            kept.lock().unwrap().push(message);
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
    }
}
