//! The signed webhook: `POST` of the envelope as JSON (public contract, section 6).
//!
//! Headers: `Idempotency-Key: {id}.{revision}`; `X-Stairgate-Timestamp`, whole seconds since 1970 in
//! decimal; `X-Stairgate-Signature: sha256=` and the lower-case hexadecimal HMAC-SHA-256 (RFC 2104)
//! of `{timestamp}.{body}` under the shared secret.
//!
//! | answer | means |
//! |---|---|
//! | 2xx | taken; a JSON object may carry `"reference"`, which is kept with the receipt |
//! | 2xx with `{"accepted": false}` | not taken: tried again, unless it also says `"retry": false` |
//! | 4xx except 408 and 429 | refused for good; `"reason"` or the body's beginning is kept |
//! | anything else, a redirect too | tried again; `Retry-After` in seconds is respected up to a minute |
//!
//! A probe is `OPTIONS` on the same URL; any answer but 5xx (501 is one: it has no `OPTIONS`) shows
//! that the receiver is there.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, Method, Response, StatusCode, redirect};
use serde::Deserialize;
use sha2::Sha256;
use url::Url;

use super::envelope::{AlertEnvelope, clean};
use super::{
    DeliveryError, Linkage, PEER_TEXT_CHARS_MAX, RETRY_AFTER_MAX, Receipt, SetupError, tls,
};
use crate::domain::id::LinkageId;
use crate::domain::secret::Secret;
use crate::time::Clock;

/// Bytes of an answer that are read; what comes after is of no interest.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// A webhook's receiver and what we share with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookOptions {
    /// The linkage's id.
    pub id: LinkageId,
    /// Where to post: `https`, or `http` within a closed network.
    pub url: Url,
    /// The key of the signature.
    pub secret: Secret,
    /// PEM file of the authorities that may vouch for the receiver; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for a connection; [`super::CONNECT_TIMEOUT`] unless there is reason.
    pub connect_timeout: Duration,
    /// Longest wait for the whole exchange; [`super::TOTAL_TIMEOUT`] unless there is reason.
    pub total_timeout: Duration,
}

/// A receiver reached by signed HTTP posts.
#[derive(Debug)]
pub struct Webhook {
    options: WebhookOptions,
    client: Client,
    clock: Clock,
}

/// What a receiver may say in its answer; everything else in it is ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    accepted: Option<bool>,
    retry: Option<bool>,
    reason: Option<String>,
    reference: Option<String>,
}

impl Webhook {
    /// Sets up the client; connects to nobody yet.
    ///
    /// # Errors
    /// [`SetupError`] when the URL, the authorities' file or the client is of no use.
    pub fn new(options: WebhookOptions, clock: Clock) -> Result<Webhook, SetupError> {
        if !matches!(options.url.scheme(), "http" | "https") {
            return Err(SetupError::Scheme {
                id: options.id,
                expected: "https:// or http://",
            });
        }
        tls::install_provider();
        let mut builder = Client::builder()
            .user_agent(concat!("stairgate/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .timeout(options.total_timeout)
            .redirect(redirect::Policy::none())
            // Alerts go where the configuration says, whatever the environment says.
            .no_proxy()
            // The outbox retries, and counts it.
            .retry(reqwest::retry::never());
        if let Some(path) = &options.ca_file {
            builder = builder.tls_certs_only(authorities(&options.id, path)?);
        }
        let client = builder.build().map_err(|source| SetupError::Client {
            id: options.id.clone(),
            source: source.into(),
        })?;
        Ok(Webhook {
            options,
            client,
            clock,
        })
    }

    async fn post(&self, envelope: &AlertEnvelope) -> Result<Receipt, DeliveryError> {
        let body = envelope.to_json();
        let timestamp = self.clock.now().unix_s().to_string();
        let request = self
            .client
            .post(self.options.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", envelope.idempotency_key())
            .header(
                "X-Stairgate-Signature",
                signature(&self.options.secret, &timestamp, &body),
            )
            .header("X-Stairgate-Timestamp", timestamp)
            .body(body);
        let response = request.send().await.map_err(|err| self.failed(err))?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let body = self.read_answer(response).await;
        judge(status, retry_after, body)
    }

    async fn ask(&self) -> Result<(), DeliveryError> {
        let url = self.options.url.clone();
        let request = self.client.request(Method::OPTIONS, url);
        let response = request.send().await.map_err(|err| self.failed(err))?;
        let status = response.status();
        if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
            return Err(DeliveryError::Busy {
                text: status.to_string(),
                retry_after: retry_after(response.headers()),
            });
        }
        Ok(())
    }

    /// The answer's beginning, to its end or to the cap.
    async fn read_answer(&self, mut response: Response) -> Result<Bytes, DeliveryError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|err| self.failed(err))? {
            let room = ANSWER_BYTES_MAX - body.len();
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if body.len() == ANSWER_BYTES_MAX {
                break;
            }
        }
        Ok(body.freeze())
    }

    fn failed(&self, err: reqwest::Error) -> DeliveryError {
        // The URL may carry a token, and the linkage's id says enough.
        let err = err.without_url();
        let timed_out = err.is_timeout();
        if err.is_connect() {
            if timed_out {
                return DeliveryError::Connect(Box::new(DeliveryError::TimedOut(
                    self.options.connect_timeout,
                )));
            }
            return DeliveryError::Connect(innermost(&err));
        }
        if timed_out {
            return DeliveryError::TimedOut(self.options.total_timeout);
        }
        DeliveryError::Broken(innermost(&err))
    }
}

impl Linkage for Webhook {
    fn id(&self) -> &LinkageId {
        &self.options.id
    }

    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), DeliveryError>> {
        self.ask().boxed()
    }

    fn deliver<'a>(
        &'a self,
        envelope: &'a AlertEnvelope,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        self.post(envelope).boxed()
    }
}

/// The signature of `body` at `timestamp`: `sha256=` and 64 hexadecimal digits.
pub fn signature(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes())
        .expect("HMAC-SHA-256 takes a key of any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// What `status` and the answer mean. An answer that breaks off may have said anything, so it is no
/// receipt.
fn judge(
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Result<Bytes, DeliveryError>,
) -> Result<Receipt, DeliveryError> {
    let text = |body: &Bytes, answer: &Answer| match &answer.reason {
        Some(reason) => clean(&format!("{status}: {reason}"), PEER_TEXT_CHARS_MAX),
        None => {
            let shown = String::from_utf8_lossy(body);
            clean(&format!("{status} {shown}"), PEER_TEXT_CHARS_MAX)
        }
    };
    if status.is_success() {
        let body = body?;
        let answer = read(&body);
        return match (answer.accepted, answer.retry) {
            (Some(false), Some(false)) => Err(DeliveryError::Refused(text(&body, &answer))),
            (Some(false), _) => Err(DeliveryError::Busy {
                text: text(&body, &answer),
                retry_after,
            }),
            (Some(true) | None, _) => Ok(receipt(status, answer)),
        };
    }
    // With any other status the body is only a comment.
    let body = body.unwrap_or_default();
    let text = text(&body, &read(&body));
    let for_good = status.is_client_error()
        && status != StatusCode::REQUEST_TIMEOUT
        && status != StatusCode::TOO_MANY_REQUESTS;
    if for_good {
        return Err(DeliveryError::Refused(text));
    }
    Err(DeliveryError::Busy { text, retry_after })
}

fn receipt(status: StatusCode, answer: Answer) -> Receipt {
    let text = match answer.reference {
        Some(reference) => format!("{} {reference}", status.as_u16()),
        None => status.as_u16().to_string(),
    };
    Receipt {
        text: clean(&text, PEER_TEXT_CHARS_MAX),
    }
}

/// Receivers answer with whatever they like; only an object of ours says something.
fn read(body: &[u8]) -> Answer {
    serde_json::from_slice(body).unwrap_or_default()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = Duration::from_secs(seconds.parse().ok()?);
    Some(wait.min(RETRY_AFTER_MAX))
}

fn authorities(id: &LinkageId, path: &Path) -> Result<Vec<Certificate>, SetupError> {
    let pem = tls::authorities_pem(id, path)?;
    Certificate::from_pem_bundle(&pem).map_err(|source| SetupError::Client {
        id: id.clone(),
        source: source.into(),
    })
}

/// reqwest wraps the cause in layers that say the same; the innermost names what happened.
fn innermost(err: &reqwest::Error) -> Box<dyn std::error::Error + Send + Sync> {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text.into()
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
