//! The webhook against an HTTP receiver, and against TLS that holds or does not.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stairgate::domain::id::LinkageId;
use stairgate::domain::secret::Secret;
use stairgate::linkage::Linkage;
use stairgate::linkage::webhook::{Webhook, WebhookOptions};
use stairgate::time::Clock;

use super::contract::{Peer, PeerManner, suite};
use super::envelope;
use super::receiver::{Manner, Receiver, SECRET};
use crate::harness::{Logs, temp_dir, tls};

/// A webhook to `url` that waits a second at most.
pub(crate) fn webhook(id: &str, url: url::Url) -> WebhookOptions {
    WebhookOptions {
        id: LinkageId::new(id).unwrap(),
        url,
        secret: Secret::new(SECRET),
        ca_file: None,
        connect_timeout: Duration::from_millis(500),
        total_timeout: Duration::from_secs(1),
    }
}

impl Peer for Receiver {
    fn linkage(&self) -> Arc<dyn Linkage> {
        let options = webhook("duty-room", self.url());
        Arc::new(Webhook::new(options, Clock::system()).unwrap())
    }

    fn behave(&self, manner: PeerManner) {
        Receiver::behave(
            self,
            match manner {
                PeerManner::Takes => Manner::Take,
                PeerManner::Refuses => Manner::Answer(422, "", r#"{"reason":"no such compound"}"#),
                PeerManner::NotReady => Manner::Answer(503, "", ""),
                PeerManner::Hangs => Manner::Hang,
                PeerManner::BreaksOff => Manner::Half,
            },
        );
    }

    fn taken(&self) -> Vec<(String, u64)> {
        let taken = Receiver::taken(self).into_iter();
        taken.map(|taken| (taken.id, taken.revision)).collect()
    }

    async fn vanish(&mut self) {
        Receiver::vanish(self).await;
    }

    async fn come_back(&mut self) {
        Receiver::come_back(self).await;
    }
}

#[tokio::test]
async fn the_webhook_keeps_the_contract_of_linkages() {
    let _logs = Logs::capture();
    suite(Receiver::start().await).await;
}

#[tokio::test]
async fn each_post_is_signed_and_keyed_as_the_contract_says() {
    let _logs = Logs::capture();
    let receiver = Receiver::start().await;
    let receipt = receiver.linkage().deliver(&envelope(1, 3)).await.unwrap();
    assert_eq!(receipt.text, "200 fixture-17");
    let taken = Receiver::taken(&receiver).remove(0);
    assert!(taken.signed);
    assert_eq!(taken.key, format!("{}.3", envelope(1, 3).id));
    assert_eq!(taken.text("kind"), "duress");
    assert_eq!(
        taken.text("summary_en"),
        "马涧花园一区: duress signal (gate), 2026-11-22 00:30:15"
    );
}

#[tokio::test]
async fn the_receivers_wish_to_wait_reaches_the_outbox_and_a_redirect_is_not_followed() {
    let _logs = Logs::capture();
    let receiver = Receiver::start().await;
    let linkage = receiver.linkage();
    Receiver::behave(&receiver, Manner::Answer(429, "retry-after: 7\r\n", ""));
    let err = linkage.deliver(&envelope(1, 1)).await.unwrap_err();
    assert_eq!(err.retry_after(), Some(Duration::from_secs(7)));
    let elsewhere = Manner::Answer(307, "location: /alerts\r\n", "");
    Receiver::behave(&receiver, elsewhere);
    let err = linkage.deliver(&envelope(1, 1)).await.unwrap_err();
    assert!(err.to_string().contains("307"), "{err}");
    assert_eq!(receiver.n_posts(), 2);
}

#[tokio::test]
async fn an_answer_without_an_end_is_read_to_the_cap_and_is_a_receipt() {
    let _logs = Logs::capture();
    let receiver = Receiver::start().await;
    Receiver::behave(&receiver, Manner::Endless);
    // Were it read to its end, the time would be up first, which is no receipt.
    let receipt = receiver.linkage().deliver(&envelope(1, 1)).await.unwrap();
    assert_eq!(receipt.text, "200");
    assert_eq!(Receiver::taken(&receiver).len(), 1);
}

/// An HTTPS server that takes every post, for the life of the process.
fn https_server(host: &str, dir: &Path) -> (u16, tls::TlsFiles) {
    let files = tls::make(dir);
    let config = Arc::new(files.server_config());
    let listener = TcpListener::bind((host, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream.unwrap());
            let mut head = [0; 4_096];
            // A client that does not trust us leaves in the middle of the handshake.
            if stream.read(&mut head).is_ok() {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                drop(stream.write_all(answer));
            }
        }
    };
    let supervisor = stairgate::supervise::Supervisor::new();
    drop(stairgate::supervise::thread(&supervisor, "https", serve).unwrap());
    (port, files)
}

#[tokio::test]
async fn only_the_pinned_authority_may_vouch_for_the_receiver() {
    let _logs = Logs::capture();
    let (dir, other_dir) = (temp_dir(), temp_dir());
    let (port, files) = https_server("127.0.0.1", dir.path());
    let (wrong_name_port, wrong_name) = https_server("127.0.0.2", other_dir.path());
    let to = |host: &str, port: u16, ca_file: Option<&Path>| {
        let url = format!("https://{host}:{port}/alerts").parse().unwrap();
        let mut options = webhook("police", url);
        options.ca_file = ca_file.map(Path::to_owned);
        Webhook::new(options, Clock::system()).unwrap()
    };
    let trusted = to("localhost", port, Some(&files.ca));
    trusted.deliver(&envelope(1, 1)).await.unwrap();
    for ((host, port), ca_file) in [
        (("localhost", port), Some(wrong_name.ca.as_path())),
        (("localhost", port), None),
        (
            ("127.0.0.2", wrong_name_port),
            Some(wrong_name.ca.as_path()),
        ),
    ] {
        let err = to(host, port, ca_file)
            .deliver(&envelope(1, 1))
            .await
            .unwrap_err();
        assert!(err.is_unreachable(), "{host}: {err:?}");
        let chain = stairgate::error::chain(&err).to_string();
        assert!(chain.contains("certificate"), "{host}: {chain}");
    }
}
