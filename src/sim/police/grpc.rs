//! The same receiver by gRPC: `AlertSink` of `proto/stairgate/linkage/v1/sink.proto`, with control over
//! its connections, so that it can die in the middle of a call.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream;
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};
use tracing::{Span, warn};

use super::fault::PoliceFault;
use super::{Heard, Shared, Via, accept};
use crate::linkage::grpc::wire;
use crate::linkage::grpc::wire::alert_sink_server::{AlertSink, AlertSinkServer};
use crate::supervise::Supervisor;
use crate::time::WallTime;

/// Connections handed on and not yet served.
const HANDED_ON_MAX: usize = 16;
/// Largest message taken; alerts have about one kilobyte.
const MESSAGE_BYTES_MAX: usize = 256 * 1_024;

/// Serves until `supervisor` ends; while [`PoliceFault::Down`], nobody listens at the address.
pub(super) fn start(
    shared: Arc<Shared>,
    listener: TcpListener,
    addr: SocketAddr,
    supervisor: &Supervisor,
) {
    let lines = Lines::default();
    let (handed_on, taken) = mpsc::channel(HANDED_ON_MAX);
    let sink = Sink {
        shared: Arc::clone(&shared),
        lines: lines.clone(),
    };
    let token = supervisor.token();
    let stop = token.clone();
    let serving = async move {
        let incoming = stream::unfold(taken, async |mut taken: mpsc::Receiver<Line>| {
            let line = taken.recv().await?;
            Some((io::Result::Ok(line), taken))
        });
        let service = AlertSinkServer::new(sink).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let served = Server::builder()
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
            .await;
        if let Err(error) = served {
            warn!(%error, "simulated police cannot serve gRPC");
        }
    };
    supervisor.spawn("simulated police grpc", Span::current(), serving);
    let listening = listen(shared, listener, addr, lines, handed_on, token);
    supervisor.spawn("simulated police grpc lines", Span::current(), listening);
}

/// Takes connections, and cuts them all when nobody is to be there.
async fn listen(
    shared: Arc<Shared>,
    first: TcpListener,
    addr: SocketAddr,
    lines: Lines,
    handed_on: mpsc::Sender<Line>,
    token: CancellationToken,
) {
    let mut fault = shared.fault.subscribe();
    let mut listener = Some(first);
    loop {
        if *fault.borrow_and_update() == PoliceFault::Down {
            listener = None;
            lines.cut();
        } else if listener.is_none() {
            listener = match TcpListener::bind(addr).await {
                Ok(listener) => Some(listener),
                Err(error) => {
                    warn!(%error, "simulated police cannot listen again");
                    return;
                }
            };
        }
        let stream = tokio::select! {
            biased;
            () = token.cancelled() => break,
            changed = fault.changed() => match changed {
                Ok(()) => continue,
                Err(_) => break,
            },
            stream = accept(listener.as_ref()) => stream,
        };
        drop(stream.set_nodelay(true));
        if handed_on.send(lines.line(stream)).await.is_err() {
            break;
        }
    }
    // A client that keeps its connection open would keep the server from ending.
    lines.cut();
}

struct Sink {
    shared: Arc<Shared>,
    lines: Lines,
}

#[tonic::async_trait]
impl AlertSink for Sink {
    async fn deliver(
        &self,
        request: Request<wire::DeliverRequest>,
    ) -> Result<Response<wire::Receipt>, Status> {
        self.know(&request)?;
        let Some(alert) = request.into_inner().alert else {
            return Err(Status::invalid_argument("no alert"));
        };
        let fault = *self.shared.fault.borrow();
        let is_taking = matches!(
            fault,
            PoliceFault::Clear | PoliceFault::Slow { .. } | PoliceFault::Truncate
        );
        let reference = self.shared.keep(heard(&alert), is_taking);
        self.misbehave(fault).await?;
        Ok(Response::new(wire::Receipt { reference }))
    }

    async fn check(
        &self,
        request: Request<wire::CheckRequest>,
    ) -> Result<Response<wire::CheckResponse>, Status> {
        self.know(&request)?;
        let fault = *self.shared.fault.borrow();
        self.misbehave(fault).await?;
        Ok(Response::new(wire::CheckResponse {}))
    }
}

impl Sink {
    fn know<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let sent = request.metadata().get("authorization");
        let token = sent.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if token == Some(self.shared.secret.reveal()) {
            return Ok(());
        }
        self.shared.book.lock().n_refused += 1;
        Err(Status::unauthenticated("wrong token"))
    }

    /// Does as the fault says; `Ok` when the call is to be answered.
    async fn misbehave(&self, fault: PoliceFault) -> Result<(), Status> {
        match fault {
            PoliceFault::Clear => Ok(()),
            PoliceFault::Refuse { status } if status == 429 || status >= 500 => {
                Err(Status::unavailable("as told"))
            }
            PoliceFault::Refuse { .. } | PoliceFault::Decline { may_retry: false } => {
                Err(Status::failed_precondition("as told"))
            }
            PoliceFault::Decline { may_retry: true } => Err(Status::aborted("as told")),
            PoliceFault::Slow { by } => {
                self.until_change(by).await;
                Ok(())
            }
            PoliceFault::Hang => {
                self.until_change(Duration::MAX).await;
                Err(Status::unavailable("cut short"))
            }
            PoliceFault::Close | PoliceFault::Truncate | PoliceFault::Down => {
                self.lines.cut();
                Err(Status::unavailable("cut"))
            }
        }
    }

    /// Waits so long, or until another fault is set.
    async fn until_change(&self, wait: Duration) {
        let mut fault = self.shared.fault.subscribe();
        fault.mark_unchanged();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = fault.changed() => {}
        }
    }
}

fn heard(alert: &wire::Alert) -> Heard {
    let clip = alert.clip.as_ref();
    let clip_state = clip.map(|clip| match clip.state() {
        wire::ClipState::Unspecified => "unspecified",
        wire::ClipState::Pending => "pending",
        wire::ClipState::Whole => "whole",
        wire::ClipState::Partial => "partial",
        wire::ClipState::Missed => "missed",
    });
    let place = alert.place.as_ref();
    Heard {
        via: Via::Grpc,
        id: alert.alert_id.clone(),
        revision: alert.revision,
        kind: alert.kind_word.clone(),
        raised_at: WallTime::from_unix_ms(alert.raised_at_unix_ms),
        clip_state: clip_state.map(str::to_owned),
        body: json!({
            "id": alert.alert_id,
            "revision": alert.revision,
            "kind": alert.kind_word,
            "severity": alert.severity,
            "count": alert.count,
            "compound": alert.compound,
            "place": {
                "id": place.map(|place| &place.id),
                "building": place.and_then(|place| place.building.as_ref()),
                "unit": place.and_then(|place| place.unit.as_ref()),
            },
            "door": alert.door,
            "camera": alert.camera,
            "entry_id": alert.entry_id,
            "clip": clip.map(|clip| json!({
                "state": clip_state,
                "reason": clip.reason,
                "url": clip.url,
                "sha256": clip.sha256,
            })),
            "summary_zh": alert.summary_zh,
            "summary_en": alert.summary_en,
            "detail": alert.detail,
            "card_tail": alert.card_tail,
            "dwelling": alert.dwelling,
            "case": alert.case.as_ref().map(|case| json!({
                "state": case.state,
                "tier": case.tier,
                "overdue": case.overdue,
            })),
        }),
    }
}

/// The connections of the receiver, which can be cut all at once.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<CancellationToken>>);

impl Lines {
    fn line(&self, stream: TcpStream) -> Line {
        let cut = self.0.lock().clone();
        Line {
            stream,
            cut: Box::pin(cut.cancelled_owned()),
        }
    }

    fn cut(&self) {
        std::mem::take(&mut *self.0.lock()).cancel();
    }
}

/// A connection that can be cut.
struct Line {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Line {
    fn is_cut(&mut self, context: &mut Context<'_>) -> bool {
        self.cut.as_mut().poll(context).is_ready()
    }
}

impl Connected for Line {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_cut(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_cut(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
