//! gRPC for programs of duty rooms: `AlertFeed` of `proto/stairgate/linkage/v1/feed.proto`.
//!
//! A listener of its own, so that neither the console nor the doors share its fate. Every call carries a
//! bearer token, which is looked at again while a subscription lasts. What a subscriber has not read
//! yet lies in the store, so a slow one costs a few records of memory and delays nobody; a clip goes
//! out in chunks at the reader's pace, by a task of its own.
//!
//! Not here: what is in an alert (`linkage::envelope`), what the feed is (`outbox`), what a step does
//! (`case`).

mod caller;
mod clip;
mod listener;
mod subscribe;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use tracing::error;

use crate::account::Accounts;
use crate::audit;
use crate::case::{Cases, StepAnswer};
use crate::clip::ClipShelf;
use crate::domain::audit::{AuditAct, AuditEvent};
use crate::domain::case::{Action, Case, MoveKind, Refusal, Step};
use crate::domain::id::AlertId;
use crate::domain::role::Role;
use crate::error::chain;
use crate::linkage::Include;
use crate::linkage::grpc::wire;
use crate::linkage::grpc::wire::alert_feed_server::{AlertFeed, AlertFeedServer};
use crate::outbox::Outbox;
use crate::store::Store;
use crate::supervise::Supervisor;
use crate::time::Clock;
use caller::Caller;

/// Subscriptions at a time; a duty room has a few dozen programs.
const SUBSCRIBERS_MAX: usize = 4_096;
/// Clips on their way out at a time; each holds its file (some megabytes) in memory.
const CLIPS_MAX: usize = 16;
/// Pages of the feed read from the disk at a time, whoever asks.
const READERS_MAX: usize = 8;
/// Largest request; ours are a few hundred bytes.
const REQUEST_BYTES_MAX: usize = 16 << 10;
/// Calls on one connection at a time.
const STREAMS_PER_CONNECTION_MAX: u32 = 128;
/// A peer that says nothing is pinged so often, and is gone when it does not answer within the time
/// after.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// A TLS handshake may take so long.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Who may read alerts and take clips away.
const READERS: [Role; 2] = [Role::DutyOfficer, Role::Auditor];

/// What the feed stands on.
#[derive(Clone, Debug)]
pub struct FeedBase {
    /// Entries, and where looks at clips are recorded.
    pub store: Store,
    /// Alerts and the order of their changes.
    pub outbox: Outbox,
    /// Where an acknowledgement goes.
    pub cases: Cases,
    /// Exported clips.
    pub shelf: Arc<ClipShelf>,
    /// Who asks.
    pub accounts: Accounts,
    /// The time.
    pub clock: Clock,
    /// Personal data that its readers get besides; nothing by default.
    pub include: Include,
    /// Where subscriptions run; cancelled, they end and their readers come back later.
    pub supervisor: Supervisor,
}

/// The files of the feed's TLS, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedTlsFiles {
    /// Our certificate, followed by those between it and the authority.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// Authorities that must vouch for each reader's certificate; `None`: readers need none.
    pub client_ca_file: Option<PathBuf>,
}

/// The feed cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// A file of certificates or keys cannot be read.
    #[error("read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Certificate and key are of no use.
    #[error("use the certificate and key of the gRPC listener")]
    Tls(#[source] tonic::transport::Error),
    /// The listener failed for good.
    #[error("serve the alert feed")]
    Serve(#[source] tonic::transport::Error),
}

/// The feed, ready to be served.
#[derive(Debug)]
pub struct Feed {
    service: Service,
    server: Server,
}

impl Feed {
    /// Reads the certificates; serves nobody yet.
    ///
    /// # Errors
    /// [`FeedError::File`], [`FeedError::Tls`].
    pub fn new(base: FeedBase, tls: Option<&FeedTlsFiles>) -> Result<Feed, FeedError> {
        let mut server = Server::builder()
            .max_concurrent_streams(Some(STREAMS_PER_CONNECTION_MAX))
            .http2_keepalive_interval(Some(KEEPALIVE.0))
            .http2_keepalive_timeout(Some(KEEPALIVE.1));
        if let Some(files) = tls {
            server = server
                .tls_config(server_tls(files)?)
                .map_err(FeedError::Tls)?;
        }
        let service = Service(Arc::new(Inner {
            subscribers: Arc::new(Semaphore::new(SUBSCRIBERS_MAX)),
            clips: Arc::new(Semaphore::new(CLIPS_MAX)),
            readers: Semaphore::new(READERS_MAX),
            base,
        }));
        Ok(Feed { service, server })
    }

    /// Serves on `listener` until the supervisor of the base is cancelled; subscriptions end with it.
    ///
    /// # Errors
    /// [`FeedError::Serve`].
    pub async fn serve(mut self, listener: TcpListener) -> Result<(), FeedError> {
        let stop = self.service.0.base.supervisor.token();
        let service =
            AlertFeedServer::new(self.service).max_decoding_message_size(REQUEST_BYTES_MAX);
        self.server
            .add_service(service)
            .serve_with_incoming_shutdown(listener::incoming(listener), stop.cancelled_owned())
            .await
            .map_err(FeedError::Serve)
    }
}

fn server_tls(files: &FeedTlsFiles) -> Result<ServerTlsConfig, FeedError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| FeedError::File {
            path: path.to_owned(),
            source,
        })
    };
    let identity = Identity::from_pem(read(&files.cert_file)?, read(&files.key_file)?);
    let mut config = ServerTlsConfig::new()
        .identity(identity)
        .timeout(HANDSHAKE_MAX);
    if let Some(path) = &files.client_ca_file {
        config = config.client_ca_root(Certificate::from_pem(read(path)?));
    }
    Ok(config)
}

/// What answers the calls. Cheap to clone.
#[derive(Clone, Debug)]
struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: FeedBase,
    subscribers: Arc<Semaphore>,
    clips: Arc<Semaphore>,
    readers: Semaphore,
}

#[tonic::async_trait]
impl AlertFeed for Service {
    type SubscribeStream = BoxStream<'static, Result<wire::AlertRecord, Status>>;
    type GetClipStream = BoxStream<'static, Result<wire::Chunk, Status>>;

    async fn subscribe(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let caller = Caller::of(&request, &self.0.base.accounts)?;
        caller.require(&READERS)?;
        let stream = subscribe::open(self, caller, request.into_inner()).await?;
        Ok(Response::new(stream))
    }

    async fn acknowledge(
        &self,
        request: Request<wire::AcknowledgeRequest>,
    ) -> Result<Response<wire::AcknowledgeResponse>, Status> {
        let caller = Caller::of(&request, &self.0.base.accounts)?;
        let from = request.remote_addr().map(|from| from.ip());
        let by = caller.actor.clone();
        let alert = request.into_inner().alert_id;
        let alert: AlertId = alert
            .parse()
            .map_err(|err| Status::invalid_argument(format!("alert_id: {err}")))?;
        let step = Step {
            action: Action::Acknowledge,
            note: None,
        };
        // Who may is the case's to say.
        let answer = self.0.base.cases.take(alert, caller.actor, step).await;
        let answer = answer.map_err(|err| internal("acknowledge", &err))?;
        if let StepAnswer::Taken(case) = &answer {
            let change = AuditEvent {
                at: self.0.base.clock.now(),
                by: Some(by),
                from,
                act: AuditAct::Change,
                target: format!("case {alert}"),
                place: Some(case.place.clone()),
                detail: "acknowledge, by the feed".to_owned(),
                reason: None,
                case: Some(alert),
            };
            let recorded = audit::append(&self.0.base.store, change).await;
            recorded.map_err(|err| internal("record the change", &err))?;
        }
        acknowledged(answer).map(Response::new)
    }

    async fn get_clip(
        &self,
        request: Request<wire::GetClipRequest>,
    ) -> Result<Response<Self::GetClipStream>, Status> {
        let caller = Caller::of(&request, &self.0.base.accounts)?;
        caller.require(&READERS)?;
        let from = request.remote_addr();
        let stream = clip::open(self, caller, from, request.into_inner()).await?;
        Ok(Response::new(stream))
    }
}

fn acknowledged(answer: StepAnswer) -> Result<wire::AcknowledgeResponse, Status> {
    let case = match answer {
        StepAnswer::Taken(case) | StepAnswer::Repeated(case) => case,
        StepAnswer::Refused(Refusal::Role { allowed }, _) => {
            let words: Vec<&str> = allowed.iter().map(|role| role.as_str()).collect();
            let text = format!("acknowledging needs the role {}", words.join(" or "));
            return Err(Status::permission_denied(text));
        }
        StepAnswer::Refused(_, case) => return Err(Status::failed_precondition(standing(&case))),
        StepAnswer::NoCase => {
            return Err(Status::failed_precondition(
                "alerts of severity 4 have no case",
            ));
        }
        StepAnswer::NoAlert => return Err(Status::not_found("no such alert")),
    };
    let mut moves = case.moves.iter().rev();
    let Some(step) = moves.find(|step| step.kind == MoveKind::Acknowledge) else {
        return Err(Status::internal("the step is recorded but not found"));
    };
    let by = step.by.as_ref().map(|actor| actor.name.to_string());
    Ok(wire::AcknowledgeResponse {
        acknowledged_at_unix_ms: step.at.unix_ms(),
        acknowledged_by: by.unwrap_or_default(),
    })
}

/// Where a case stands that cannot be acknowledged, and since when.
fn standing(case: &Case) -> String {
    let state = case.state.as_str();
    match case
        .moves
        .last()
        .and_then(|last| Some((last.at, last.by.as_ref()?)))
    {
        Some((at, by)) => format!("its case is {state} since {at}, by {}", by.name),
        None => format!("its case is {state}"),
    }
}

/// An error of ours: the log has the cause, the caller a word.
fn internal<E>(what: &'static str, err: &E) -> Status
where
    E: std::error::Error + 'static,
{
    error!(error = %chain(err), what, "alert feed call failed");
    Status::internal(format!(
        "{what}: the gateway's own trouble; its log says what"
    ))
}
