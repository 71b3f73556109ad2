//! A session at a broker of the site's (rumqttc, MQTT 3.1.1).
//!
//! One connection is one rumqttc client: its state after a lost connection (packet ids, collisions,
//! pending requests) is known to go wrong, so nothing of it is kept. What must survive lives here and
//! on the desk: an outgoing message is due until its PUBACK, an incoming one is the broker's until
//! our PUBACK.
//!
//! The polling task waits for nobody but room in its own queue: receipts and outgoing messages are put
//! into the client by others, without waiting.

mod session;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{LastWill, MqttOptions, QoS, TlsConfiguration, Transport};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, info_span, warn};

use super::desk::{Desk, gateway_payload};
use super::event::DoorEvent;
use super::intake::Intake;
use super::metrics::Metrics;
use super::options::ExternalBroker;
use super::status::StatusBook;
use super::tls::{self, TlsError};
use crate::retry::Backoff;
use crate::supervise::Supervisor;
use crate::telemetry::Health;

use session::{Ended, Session};

/// Swipes taken from the broker and not yet with the rest of the gateway. Brokers send 20 at a time
/// unless told otherwise; one without such a limit is held back by TCP.
const INCOMING_MAX: usize = 1_024;
/// Between PINGREQs; a broker that does not answer is left after twice that.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The protocol's largest packet. What is too large for us must still be taken, or it would come
/// back for ever; `message_size_limit` at the broker keeps it small.
const PACKET_BYTES_MAX: usize = 268_435_455;
/// Our publishes may use this many packet ids; many more than are ever under way, so none is
/// used again while the broker has it.
const PACKET_IDS: u16 = 1_000;
/// A message that nobody could keep is asked for again after this, then after twice that…
const ASK_AGAIN: Backoff = backoff(5_000, 60_000);
/// Quiet for this long, the delays of `ASK_AGAIN` start anew.
const ASK_AGAIN_FORGET: Duration = Duration::from_secs(120);
/// A refused subscription is tried again after this: someone may have mended the broker's ACL.
const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(30);
const RECONNECT: Backoff = backoff(200, 10_000);
/// A session that lasted less was no success: another client with our id ends it again and again.
const WORKED: Duration = Duration::from_secs(10);
/// How long a refused log-in or certificate waits for someone to mend it.
const RECONNECT_REFUSED: Duration = Duration::from_secs(15);

/// What both carriers need.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) intake: Arc<Intake>,
    pub(super) desk: Arc<Desk>,
    pub(super) book: Arc<StatusBook>,
    pub(super) metrics: Metrics,
    /// Cancelled: nothing more is taken in.
    pub(super) intake_closed: CancellationToken,
    /// Cancelled: say goodbye.
    pub(super) goodbye: CancellationToken,
}

/// The running client.
#[derive(Debug)]
pub(super) struct Client {
    link: Arc<Link>,
}

/// What the tasks of the client share.
struct Link {
    context: Context,
    broker: ExternalBroker,
    options: MqttOptions,
    queue: mpsc::Sender<DoorEvent>,
    health: Health,
    session: Session,
    /// End this session and begin another, for a reason that is not an error.
    renew: Notify,
    /// A message of this session was dropped undone.
    undone: Arc<Notify>,
    /// A subscription was refused.
    refused: Notify,
}

/// Shows nothing of `options`: the password is in them.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("broker", &self.broker)
            .finish_non_exhaustive()
    }
}

const fn backoff(min_ms: u64, max_ms: u64) -> Backoff {
    let bounds = Backoff::new(
        Duration::from_millis(min_ms),
        Duration::from_millis(max_ms),
        30,
    );
    match bounds {
        Ok(backoff) => backoff,
        Err(_) => unreachable!(),
    }
}

impl Client {
    pub(super) fn start(
        broker: ExternalBroker,
        context: Context,
        events: mpsc::Sender<DoorEvent>,
        health: Health,
        supervisor: &Supervisor,
    ) -> Result<Client, TlsError> {
        let (queue, incoming) = mpsc::channel(INCOMING_MAX);
        let link = Arc::new(Link {
            options: mqtt_options(&broker, &context)?,
            context,
            broker,
            queue,
            health,
            session: Session::default(),
            renew: Notify::new(),
            undone: Arc::new(Notify::new()),
            refused: Notify::new(),
        });
        let span = || info_span!("mqtt");
        let closed = link.context.intake_closed.clone();
        supervisor.spawn("mqtt-forward", span(), forward(incoming, events, closed));
        let for_send = Arc::clone(&link);
        supervisor.keep("mqtt-send", span(), RECONNECT, move |token| {
            send(Arc::clone(&for_send), token)
        });
        let for_ask = Arc::clone(&link);
        supervisor.keep("mqtt-ask", span(), RECONNECT, move |token| {
            ask_again(Arc::clone(&for_ask), token)
        });
        let for_session = Arc::clone(&link);
        supervisor.keep("mqtt-session", span(), RECONNECT, move |token| {
            keep(Arc::clone(&for_session), token)
        });
        Ok(Client { link })
    }

    /// Is there a session now?
    pub(super) fn is_connected(&self) -> bool {
        self.link.session.is_open()
    }

    /// The topics to subscribe to have changed.
    pub(super) fn renew(&self) {
        self.link.renew.notify_one();
    }
}

fn mqtt_options(broker: &ExternalBroker, context: &Context) -> Result<MqttOptions, TlsError> {
    let host = if broker.host.contains(':') {
        // rumqttc puts the port behind it.
        format!("[{}]", broker.host)
    } else {
        broker.host.clone()
    };
    let mut options = MqttOptions::new(broker.client_id.clone(), host, broker.port);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_session(false);
    options.set_manual_acks(true);
    options.set_inflight(PACKET_IDS);
    options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    let will = LastWill::new(
        context.intake.topics.gateway_status(),
        gateway_payload(false),
        QoS::AtLeastOnce,
        true,
    );
    options.set_last_will(will);
    if let Some(username) = &broker.username {
        let password = broker
            .password
            .as_ref()
            .map_or("", |secret| secret.reveal());
        options.set_credentials(username, password);
    }
    if let Some(tls) = &broker.tls {
        let config = TlsConfiguration::Rustls(tls::client_config(tls)?);
        options.set_transport(Transport::tls_with_config(config));
    }
    Ok(options)
}

/// One session after another until the end.
async fn keep(link: Arc<Link>, token: CancellationToken) -> Result<(), Infallible> {
    let mut delays = RECONNECT.delays();
    let mut n_sessions: u64 = 0;
    loop {
        if n_sessions > 0 {
            link.context.metrics.reconnects.inc();
        }
        n_sessions += 1;
        let ended = session::run(&link, &token).await;
        link.context.metrics.connections.set(0);
        let delay = match ended {
            Ended::Stopped => return Ok(()),
            Ended::Renewed => {
                info!("mqtt session renewed");
                Duration::ZERO
            }
            Ended::Failed(failure) => {
                if failure.worked_for > WORKED {
                    delays.reset();
                }
                let delay = if failure.needs_someone {
                    link.health.failed(&failure.reason);
                    RECONNECT_REFUSED
                } else {
                    link.health.degraded(&failure.reason);
                    delays.next_delay()
                };
                let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                warn!(reason = failure.reason, delay_ms, "mqtt session ended");
                delay
            }
        };
        tokio::select! {
            biased;
            () = token.cancelled() => return Ok(()),
            () = link.context.goodbye.cancelled() => return Ok(()),
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// Hands on what was taken from the broker. What is left when the intake closes stays the broker's.
async fn forward(
    mut incoming: mpsc::Receiver<DoorEvent>,
    events: mpsc::Sender<DoorEvent>,
    closed: CancellationToken,
) {
    loop {
        let event = tokio::select! {
            biased;
            () = closed.cancelled() => return,
            event = incoming.recv() => event,
        };
        let Some(event) = event else { return };
        tokio::select! {
            biased;
            () = closed.cancelled() => return,
            sent = events.send(event) => if sent.is_err() {
                return;
            },
        }
    }
}

/// Puts letters into the client when there are new ones; the session does so when there is room.
async fn send(link: Arc<Link>, token: CancellationToken) -> Result<(), Infallible> {
    loop {
        tokio::select! {
            biased;
            () = token.cancelled() => return Ok(()),
            () = link.context.desk.changed() => link.session.pump(&link.context),
        }
    }
}

/// After a message was dropped undone: a new session, in which the broker sends it again. After a
/// refused subscription: a new session, in which it is asked for again.
async fn ask_again(link: Arc<Link>, token: CancellationToken) -> Result<(), Infallible> {
    let mut delays = ASK_AGAIN.delays();
    let mut last = Instant::now();
    loop {
        let undone = tokio::select! {
            biased;
            () = token.cancelled() => return Ok(()),
            () = link.undone.notified() => true,
            () = link.refused.notified() => false,
        };
        if last.elapsed() > ASK_AGAIN_FORGET {
            delays.reset();
        }
        let delay = if undone {
            delays.next_delay()
        } else {
            SUBSCRIBE_AGAIN
        };
        tokio::select! {
            biased;
            () = token.cancelled() => return Ok(()),
            () = link.context.intake_closed.cancelled() => return Ok(()),
            () = tokio::time::sleep(delay) => {}
        }
        if undone {
            warn!("messages could not be kept, asking the broker for them again");
        }
        last = Instant::now();
        link.renew.notify_one();
    }
}
