//! gRPC to a police platform: the gateway calls `AlertSink` (`proto/stairgate/linkage/v1/sink.proto`).
//!
//! | status | means |
//! |---|---|
//! | `OK`, `ALREADY_EXISTS` | taken; the receipt's `reference` is kept |
//! | `INVALID_ARGUMENT`, `NOT_FOUND`, `FAILED_PRECONDITION`, `OUT_OF_RANGE`, `PERMISSION_DENIED` | refused for good |
//! | any other, or none | tried again; `grpc-retry-pushback-ms` is respected up to a minute |
//!
//! `UNAUTHENTICATED` and `UNIMPLEMENTED` speak of how the two are set up, not of the message: it is
//! tried again until someone has mended that, and the linkage is down until then.
//!
//! Not here: the feed that the gateway itself serves (`feed`).

mod convert;
pub mod wire;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use url::Url;

use super::dial::{Dial, Line};
use super::envelope::{AlertEnvelope, clean};
use super::{
    DeliveryError, Linkage, PEER_TEXT_CHARS_MAX, RETRY_AFTER_MAX, Receipt, SetupError, tls,
};
use crate::domain::id::{CompoundId, LinkageId};
use crate::domain::secret::Secret;
use wire::alert_sink_client::AlertSinkClient;

/// Bytes of an answer that are taken: a reference has a few dozen.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// The kernel asks an idle peer for a sign of life so often, so that a line that was cut without a
/// word is noticed between two alerts.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);
/// HTTP/2 pings while a call is open, at the pace that gRPC servers allow by default (they hang up on
/// who pings more often than every 5 minutes). Between calls the outbox's probe is the sign of life.
const HTTP2_KEEPALIVE: Duration = Duration::from_secs(300);

/// A platform that is reached by gRPC, and what we share with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcOptions {
    /// The linkage's id.
    pub id: LinkageId,
    /// Where the platform listens: `https`, or `http` within a closed network. The path is not used.
    pub url: Url,
    /// Whose gateway this is; told in `Check`.
    pub compound: CompoundId,
    /// Sent as `authorization: Bearer …`; `None`: the client certificate says who we are.
    pub token: Option<Secret>,
    /// PEM file of the authorities that may vouch for the platform; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, for a platform that asks for one (mutual TLS).
    pub identity: Option<IdentityFiles>,
    /// Longest wait for a connection; [`super::CONNECT_TIMEOUT`] unless there is reason.
    pub connect_timeout: Duration,
    /// Longest wait for one call, also told to the platform as its deadline;
    /// [`super::TOTAL_TIMEOUT`] unless there is reason.
    pub total_timeout: Duration,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// PEM file of the certificate, followed by those between it and the authority.
    pub cert_file: PathBuf,
    /// PEM file of its key.
    pub key_file: PathBuf,
}

/// A platform reached by gRPC.
#[derive(Debug)]
pub struct Grpc {
    options: GrpcOptions,
    endpoint: Endpoint,
    authorization: Option<MetadataValue<Ascii>>,
    dial: Dial<Channel>,
}

impl Grpc {
    /// Sets up the client; connects to nobody yet.
    ///
    /// # Errors
    /// [`SetupError`] when the URL, a file, or the token is of no use.
    pub fn new(options: GrpcOptions) -> Result<Grpc, SetupError> {
        let authorization = match &options.token {
            Some(token) => Some(authorization(&options.id, token)?),
            None => None,
        };
        Ok(Grpc {
            endpoint: endpoint(&options)?,
            authorization,
            dial: Dial::default(),
            options,
        })
    }

    async fn give(&self, envelope: &AlertEnvelope) -> Result<Receipt, DeliveryError> {
        let within = self.options.total_timeout;
        let until = Instant::now() + within;
        let line = self.line().await?;
        let message = wire::DeliverRequest {
            alert: Some(envelope.into()),
        };
        let request = self.request(message, until);
        let mut client =
            AlertSinkClient::new(line.end.clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
        let status = match timeout_at(until, client.deliver(request)).await {
            Ok(Ok(answer)) => return Ok(receipt(&answer.into_inner().reference)),
            Ok(Err(status)) if status.code() == Code::AlreadyExists => return Ok(receipt("")),
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded("no answer"),
        };
        Err(self.failed(&line, status).await)
    }

    async fn ask(&self) -> Result<(), DeliveryError> {
        let within = self.options.total_timeout;
        let until = Instant::now() + within;
        let line = self.line().await?;
        let message = wire::CheckRequest {
            compound: self.options.compound.to_string(),
        };
        let request = self.request(message, until);
        let mut client =
            AlertSinkClient::new(line.end.clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
        let status = match timeout_at(until, client.check(request)).await {
            Ok(Ok(_)) => return Ok(()),
            // It serves AlertSink without this call, or it serves something else: only a delivery
            // can tell, and nothing speaks against it.
            Ok(Err(status)) if status.code() == Code::Unimplemented => return Ok(()),
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded("no answer"),
        };
        Err(self.failed(&line, status).await)
    }

    fn request<T>(&self, message: T, until: Instant) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(until - Instant::now());
        if let Some(authorization) = &self.authorization {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", authorization.clone());
        }
        request
    }

    async fn line(&self) -> Result<Line<Channel>, DeliveryError> {
        // tonic dials again by itself where a connection has ended between two calls.
        self.dial.line(|_| true, self.connect()).await
    }

    async fn connect(&self) -> Result<Channel, DeliveryError> {
        let within = self.options.connect_timeout;
        match timeout(within, self.endpoint.connect()).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(err)) => Err(DeliveryError::Connect(innermost(&err))),
            Err(_) => Err(DeliveryError::Connect(Box::new(DeliveryError::TimedOut(
                within,
            )))),
        }
    }

    /// What a failed call over `line` means.
    async fn failed(&self, line: &Line<Channel>, status: Status) -> DeliveryError {
        let error = judge(&status, self.options.total_timeout);
        match &error {
            DeliveryError::Broken(_) => {
                self.dial.hang_up(line).await;
                // Was it the message or the platform that went? One more dial tells, so that nobody
                // knocks at a closed door three times.
                match self.line().await {
                    Err(gone) => gone,
                    Ok(_) => error,
                }
            }
            // The line may have been cut without a word: the next call takes a new one.
            DeliveryError::TimedOut(_) => {
                self.dial.hang_up(line).await;
                error
            }
            DeliveryError::Connect(_) | DeliveryError::Busy { .. } | DeliveryError::Refused(_) => {
                error
            }
        }
    }
}

impl Linkage for Grpc {
    fn id(&self) -> &LinkageId {
        &self.options.id
    }

    fn kind(&self) -> &'static str {
        "grpc"
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), DeliveryError>> {
        self.ask().boxed()
    }

    fn deliver<'a>(
        &'a self,
        envelope: &'a AlertEnvelope,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        self.give(envelope).boxed()
    }
}

fn authorization(id: &LinkageId, token: &Secret) -> Result<MetadataValue<Ascii>, SetupError> {
    let value = MetadataValue::try_from(format!("Bearer {}", token.reveal()));
    let Ok(mut value) = value else {
        return Err(SetupError::Token { id: id.clone() });
    };
    value.set_sensitive(true);
    Ok(value)
}

fn endpoint(options: &GrpcOptions) -> Result<Endpoint, SetupError> {
    let id = &options.id;
    let refused = |source: tonic::transport::Error| SetupError::Client {
        id: id.clone(),
        source: source.into(),
    };
    let (Some(host), true) = (
        options.url.host_str(),
        matches!(options.url.scheme(), "http" | "https"),
    ) else {
        return Err(SetupError::Scheme {
            id: id.clone(),
            expected: "https:// or http://",
        });
    };
    let scheme = options.url.scheme();
    let port = options.url.port_or_known_default().unwrap_or(443);
    let endpoint = Endpoint::from_shared(format!("{scheme}://{host}:{port}"))
        .map_err(refused)?
        .user_agent(concat!("stairgate/", env!("CARGO_PKG_VERSION")))
        .map_err(refused)?
        .connect_timeout(options.connect_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(TCP_KEEPALIVE))
        .http2_keep_alive_interval(HTTP2_KEEPALIVE)
        .keep_alive_while_idle(false);
    if scheme == "http" {
        return Ok(endpoint);
    }
    endpoint.tls_config(client_tls(options)?).map_err(refused)
}

fn client_tls(options: &GrpcOptions) -> Result<ClientTlsConfig, SetupError> {
    tls::install_provider();
    let id = &options.id;
    let mut config = ClientTlsConfig::new().timeout(options.connect_timeout);
    config = match &options.ca_file {
        Some(path) => {
            let pem = tls::authorities_pem(id, path)?;
            config.ca_certificate(Certificate::from_pem(pem))
        }
        None => config.with_native_roots(),
    };
    if let Some(files) = &options.identity {
        let cert = tls::read_pem(id, "cert_file", &files.cert_file)?;
        let key = tls::read_pem(id, "key_file", &files.key_file)?;
        config = config.identity(Identity::from_pem(cert, key));
    }
    Ok(config)
}

fn receipt(reference: &str) -> Receipt {
    let text = format!("OK {reference}");
    Receipt {
        text: clean(&text, PEER_TEXT_CHARS_MAX),
    }
}

/// What a status means, whoever made it.
fn judge(status: &Status, within: Duration) -> DeliveryError {
    // A status that the platform sent has no source; one that stands for a broken line has.
    if let Some(source) = status.source() {
        return DeliveryError::Broken(innermost(source));
    }
    let text = format!("{:?} {}", status.code(), status.message());
    let text = clean(&text, PEER_TEXT_CHARS_MAX);
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::PermissionDenied => DeliveryError::Refused(text),
        Code::DeadlineExceeded => DeliveryError::TimedOut(within),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => DeliveryError::Busy {
            text,
            retry_after: pushback(status.metadata()),
        },
    }
}

/// How long the platform asks us to wait (gRPC A6, `grpc-retry-pushback-ms`).
fn pushback(metadata: &MetadataMap) -> Option<Duration> {
    let ms = metadata.get("grpc-retry-pushback-ms")?.to_str().ok()?;
    let wait = Duration::from_millis(ms.parse().ok()?);
    Some(wait.min(RETRY_AFTER_MAX))
}

/// tonic and hyper wrap the cause in layers that say the same; the innermost names what happened.
fn innermost(err: &dyn Error) -> Box<dyn Error + Send + Sync> {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    clean(&text, PEER_TEXT_CHARS_MAX).into()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
