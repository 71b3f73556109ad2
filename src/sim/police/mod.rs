//! A simulated receiver of alerts, as a police platform would run one: checks the signature, keeps what
//! it was told, and misbehaves on demand (contract, section 6).

mod fault;
mod grpc;
mod http;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use serde::Deserialize;
use sha2::Sha256;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Span, warn};
use url::Url;

use self::http::{Connection, NoRequest, Request};
use crate::domain::secret::Secret;
use crate::supervise::{ShutdownTimeout, Supervisor};
use crate::time::{Clock, WallTime};

pub use self::fault::{PoliceFault, PoliceFaultParseError};

/// Messages kept; beyond that the oldest are forgotten.
const MESSAGES_MAX: usize = 20_000;
/// Messages that a subscriber may lag behind.
const SUBSCRIBER_LAG_MAX: usize = 1_024;
/// Clients at a time.
const CLIENTS_MAX: usize = 64;
/// A message signed longer ago, or for so far in the future, may be a replay: refused.
const AGE_MAX: Duration = Duration::from_secs(5 * 60);
/// How long [`SimPolice::stop`] waits.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Where the receiver listens and what it shares with the gateway.
#[derive(Clone, Debug)]
pub struct SimPoliceOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to listen for gRPC besides; `None`: webhooks only.
    pub grpc_listen: Option<SocketAddr>,
    /// The key of the webhook's signature, and the bearer token of gRPC.
    pub secret: Secret,
}

/// The receiver cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SimPoliceError {
    /// The address cannot be listened on.
    #[error("listen for alerts on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The address does not fit into a URL.
    #[error("make a url of {addr}")]
    Url {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        #[source]
        source: url::ParseError,
    },
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// By a signed post.
    Webhook,
    /// By `AlertSink.Deliver`.
    Grpc,
}

impl Via {
    /// A word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Via::Webhook => "webhook",
            Via::Grpc => "grpc",
        }
    }
}

/// One message as it was received, whatever became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PoliceMessage {
    /// How it came.
    pub via: Via,
    /// The alert.
    pub id: String,
    /// Its revision.
    pub revision: u32,
    /// What it is about.
    pub kind: String,
    /// When it was raised, by the gateway's clock.
    pub raised_at: WallTime,
    /// When it was here whole.
    pub received_at: WallTime,
    /// The state of its clip, if an entry raised it.
    pub clip_state: Option<String>,
    /// Was it answered as taken, or would it have been but for a fault on the way back?
    pub is_taken: bool,
    /// Had this id and revision been taken before, the same way?
    pub is_repeat: bool,
    /// The whole envelope.
    pub body: serde_json::Value,
}

impl PoliceMessage {
    /// From the alert to its arrival; zero when the clocks say otherwise.
    pub fn delay(&self) -> Duration {
        self.received_at.since(self.raised_at)
    }
}

/// The parts of an envelope that a receiver goes by.
#[derive(Deserialize)]
struct Envelope {
    id: String,
    revision: u32,
    kind: String,
    raised_at: WallTime,
    #[serde(default)]
    clip: Option<EnvelopeClip>,
}

#[derive(Deserialize)]
struct EnvelopeClip {
    state: String,
}

/// What a message says, however it came.
struct Heard {
    via: Via,
    id: String,
    revision: u32,
    kind: String,
    raised_at: WallTime,
    clip_state: Option<String>,
    body: serde_json::Value,
}

/// The running receiver; it ends when it is dropped.
pub struct SimPolice {
    url: Url,
    grpc_url: Option<Url>,
    shared: Arc<Shared>,
    supervisor: Supervisor,
}

struct Shared {
    secret: Secret,
    clock: Clock,
    fault: watch::Sender<PoliceFault>,
    book: Mutex<Book>,
    told: broadcast::Sender<PoliceMessage>,
}

#[derive(Default)]
struct Book {
    messages: VecDeque<PoliceMessage>,
    taken: BTreeSet<(Via, String, u32)>,
    n_requests: u64,
    n_refused: u64,
}

/// Why a request is not taken: status and reason.
type Refusal = (u16, &'static str);

impl SimPolice {
    /// Starts the receiver.
    ///
    /// # Errors
    /// [`SimPoliceError`], see its variants.
    pub async fn start(
        options: SimPoliceOptions,
        clock: Clock,
        supervisor: &Supervisor,
    ) -> Result<SimPolice, SimPoliceError> {
        let (listener, url) = listen(options.listen, "/alerts").await?;
        let addr = listener.local_addr();
        let addr = addr.map_err(|source| SimPoliceError::Listen {
            addr: options.listen,
            source,
        })?;
        let shared = Arc::new(Shared {
            secret: options.secret,
            clock,
            fault: watch::Sender::new(PoliceFault::Clear),
            book: Mutex::default(),
            told: broadcast::Sender::new(SUBSCRIBER_LAG_MAX),
        });
        let supervisor = supervisor.group();
        let serving = serve(Arc::clone(&shared), listener, addr, supervisor.clone());
        supervisor.spawn("simulated police", Span::current(), serving);
        let mut grpc_url = None;
        if let Some(asked) = options.grpc_listen {
            let (listener, url) = listen(asked, "/").await?;
            let addr = listener.local_addr();
            let addr = addr.map_err(|source| SimPoliceError::Listen {
                addr: asked,
                source,
            })?;
            grpc::start(Arc::clone(&shared), listener, addr, &supervisor);
            grpc_url = Some(url);
        }
        Ok(SimPolice {
            url,
            grpc_url,
            shared,
            supervisor,
        })
    }

    /// Where to post alerts.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Where it serves `AlertSink`, if it does.
    pub fn grpc_url(&self) -> Option<&Url> {
        self.grpc_url.as_ref()
    }

    /// Behaves so from now on; requests in hand are cut short.
    pub fn set_fault(&self, fault: PoliceFault) {
        self.shared.fault.send_replace(fault);
    }

    /// Every message received whole and signed (the last 20,000), oldest first.
    pub fn messages(&self) -> Vec<PoliceMessage> {
        self.shared.book.lock().messages.iter().cloned().collect()
    }

    /// The messages received from now on, for a reader at most 1,024 behind.
    pub fn subscribe(&self) -> broadcast::Receiver<PoliceMessage> {
        self.shared.told.subscribe()
    }

    /// Posts so far, and those of them that were refused for what they are: unsigned,
    /// stale, unreadable.
    pub fn n_requests(&self) -> (u64, u64) {
        let book = self.shared.book.lock();
        (book.n_requests, book.n_refused)
    }

    /// Ends it.
    ///
    /// # Errors
    /// [`ShutdownTimeout`] when clients do not end within 5 s.
    pub async fn stop(&self) -> Result<(), ShutdownTimeout> {
        self.supervisor.shutdown(STOP_WITHIN).await
    }
}

impl Drop for SimPolice {
    fn drop(&mut self) {
        self.supervisor.token().cancel();
    }
}

async fn listen(addr: SocketAddr, path: &str) -> Result<(TcpListener, Url), SimPoliceError> {
    let failed = |source| SimPoliceError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let url = Url::parse(&format!("http://{addr}{path}"));
    let url = url.map_err(|source| SimPoliceError::Url { addr, source })?;
    Ok((listener, url))
}

/// Takes connections; while [`PoliceFault::Down`], nobody listens at the address.
async fn serve(shared: Arc<Shared>, first: TcpListener, addr: SocketAddr, supervisor: Supervisor) {
    let token = supervisor.token();
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    let mut fault = shared.fault.subscribe();
    let mut listener = Some(first);
    loop {
        let is_down = *fault.borrow_and_update() == PoliceFault::Down;
        if is_down {
            listener = None;
        } else if listener.is_none() {
            listener = match TcpListener::bind(addr).await {
                Ok(listener) => Some(listener),
                Err(error) => {
                    warn!(%error, "simulated police cannot listen again");
                    return;
                }
            };
        }
        let accepted = tokio::select! {
            biased;
            () = token.cancelled() => return,
            changed = fault.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            accepted = accept(listener.as_ref()) => accepted,
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            warn!("simulated police has too many clients");
            continue;
        };
        let client = converse(Arc::clone(&shared), accepted, token.clone());
        supervisor.spawn("simulated police client", Span::none(), async move {
            client.await;
            drop(place);
        });
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                warn!(%error, "simulated police cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one client. A change of fault cuts what hangs.
async fn converse(shared: Arc<Shared>, stream: TcpStream, token: CancellationToken) {
    let mut connection = Connection::new(stream);
    let mut fault = shared.fault.subscribe();
    loop {
        let read = token.run_until_cancelled(connection.read()).await;
        let request = match read {
            None | Some(Err(NoRequest::Gone)) => return,
            Some(Err(NoRequest::Bad(status))) => {
                connection.answer(status, "").await;
                return;
            }
            Some(Ok(request)) => request,
        };
        let now = *fault.borrow_and_update();
        let goes_on = tokio::select! {
            biased;
            () = token.cancelled() => false,
            goes_on = respond(&shared, &mut connection, &request, now) => goes_on,
            _ = fault.changed(), if waits(now) => false,
        };
        if !goes_on {
            return;
        }
    }
}

fn waits(fault: PoliceFault) -> bool {
    matches!(fault, PoliceFault::Hang | PoliceFault::Slow { .. })
}

/// Answers as the fault says; false when the connection ends.
async fn respond(
    shared: &Shared,
    connection: &mut Connection,
    request: &Request,
    fault: PoliceFault,
) -> bool {
    let is_taking = matches!(
        fault,
        PoliceFault::Clear | PoliceFault::Slow { .. } | PoliceFault::Truncate
    );
    let outcome = match request.method.as_str() {
        "POST" => shared.hear(request, is_taking),
        "OPTIONS" => Ok(None),
        _ => Err((405, "only POST and OPTIONS")),
    };
    match fault {
        PoliceFault::Clear => {}
        PoliceFault::Refuse { status } => {
            return connection.answer(status, r#"{"reason":"as told"}"#).await;
        }
        PoliceFault::Slow { by } => tokio::time::sleep(by).await,
        PoliceFault::Decline { may_retry } => {
            let text = format!(r#"{{"accepted":false,"retry":{may_retry},"reason":"as told"}}"#);
            return connection.answer(200, &text).await;
        }
        PoliceFault::Hang => return std::future::pending().await,
        PoliceFault::Close | PoliceFault::Down => return false,
        PoliceFault::Truncate => {
            connection
                .write("HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{\"accep")
                .await;
            return false;
        }
    }
    match outcome {
        Ok(Some(reference)) => {
            let text = format!(r#"{{"accepted":true,"reference":"{reference}"}}"#);
            connection.answer(200, &text).await
        }
        Ok(None) => connection.answer(204, "").await,
        Err((status, reason)) => {
            let text = format!(r#"{{"reason":"{reason}"}}"#);
            connection.answer(status, &text).await
        }
    }
}

impl Shared {
    /// Checks and keeps a message; its reference here.
    fn hear(&self, request: &Request, is_taking: bool) -> Result<Option<String>, Refusal> {
        let envelope = match self.check(request, self.clock.now()) {
            Ok(envelope) => envelope,
            Err(refusal) => {
                let mut book = self.book.lock();
                book.n_requests += 1;
                book.n_refused += 1;
                return Err(refusal);
            }
        };
        let heard = Heard {
            via: Via::Webhook,
            id: envelope.id,
            revision: envelope.revision,
            kind: envelope.kind,
            raised_at: envelope.raised_at,
            clip_state: envelope.clip.map(|clip| clip.state),
            body: serde_json::from_slice(&request.body).unwrap_or_default(),
        };
        Ok(Some(self.keep(heard, is_taking)))
    }

    /// Keeps a message that is what it should be; its reference here.
    fn keep(&self, heard: Heard, is_taking: bool) -> String {
        let received_at = self.clock.now();
        let mut book = self.book.lock();
        book.n_requests += 1;
        let key = (heard.via, heard.id.clone(), heard.revision);
        let is_repeat = book.taken.contains(&key);
        if is_taking {
            book.taken.insert(key);
        }
        let reference = format!("P{:06}", book.taken.len());
        let message = PoliceMessage {
            via: heard.via,
            id: heard.id,
            revision: heard.revision,
            kind: heard.kind,
            raised_at: heard.raised_at,
            received_at,
            clip_state: heard.clip_state,
            is_taken: is_taking,
            is_repeat,
            body: heard.body,
        };
        if book.messages.len() == MESSAGES_MAX {
            book.messages.pop_front();
        }
        book.messages.push_back(message.clone());
        drop(book);
        // Nobody need be subscribed.
        drop(self.told.send(message));
        reference
    }

    fn check(&self, request: &Request, now: WallTime) -> Result<Envelope, Refusal> {
        let timestamp = request.field("x-stairgate-timestamp");
        let timestamp = timestamp.ok_or((401, "no timestamp"))?;
        let signature = request.field("x-stairgate-signature");
        let signature = signature.and_then(|value| value.strip_prefix("sha256="));
        let signature = signature.and_then(|digits| hex::decode(digits).ok());
        let signature = signature.ok_or((401, "no signature"))?;
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.reveal().as_bytes())
            .expect("HMAC-SHA-256 takes a key of any length");
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(&request.body);
        if mac.verify_slice(&signature).is_err() {
            return Err((401, "wrong signature"));
        }
        let signed_s: i64 = timestamp.parse().or(Err((401, "no timestamp")))?;
        if now.unix_s().abs_diff(signed_s) > AGE_MAX.as_secs() {
            return Err((401, "stale timestamp"));
        }
        let envelope: Envelope =
            serde_json::from_slice(&request.body).or(Err((400, "no envelope")))?;
        let key = format!("{}.{}", envelope.id, envelope.revision);
        if request.field("idempotency-key") != Some(key.as_str()) {
            return Err((400, "wrong idempotency key"));
        }
        Ok(envelope)
    }
}
