//! The doors: their messages in, decisions and card lists out, over MQTT (contract, section 3).
//!
//! ```text
//! broker ── client ──┐                       ┌─► decode ─► DoorEvent + Ack ─► entry
//!                    ├─ intake (topic, bytes) ┤
//! doors ── embedded ─┘                       └─► status
//! ```
//! Two carriers, one meaning: [`Broker::External`] is a session at a broker of the site's
//! (rumqttc), [`Broker::Embedded`] an endpoint inside this process (ntex-mqtt). Either way a message
//! is acknowledged to its sender only when [`Ack::done`] says that it is durable.
//!
//! Not here: what a swipe means. That is `entry`.

mod client;
pub mod decode;
mod desk;
pub mod device;
mod embedded;
mod event;
pub mod fuzz;
mod intake;
mod metrics;
mod options;
mod status;
mod tls;
pub mod topics;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::domain::access::Decision;
use crate::domain::id::DoorId;
use crate::domain::swipe::SwipeKey;
use crate::supervise::Supervisor;
use crate::telemetry::{HealthBoard, Registry};
use crate::time::Clock;

use client::{Client, Context};
use desk::Desk;
use embedded::Embedded;
use intake::Intake;
use metrics::Metrics;
use status::StatusBook;
use topics::Topics;

pub use embedded::{CredentialError, EmbeddedError};
pub use event::{Ack, CardList, DoorEvent};
pub use options::{
    Broker, Dialect, DoorCredential, DoorOptions, DoorsOptions, ESP_RFID_TOPIC, EmbeddedBroker,
    ExternalBroker, TlsOptions, UHPPOTED_TOPIC,
};
pub use status::DoorStatus;
pub use tls::TlsError;

/// Events that may wait for the rest of the gateway; beyond that the broker keeps them.
pub const EVENTS_MAX: usize = 64;
/// At a stop, how long the doors' last messages from us may take.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);
/// At a stop, how long the tasks may take after that.
const END_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the doors cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The topics cannot begin so.
    #[error("read mqtt.topic_prefix")]
    TopicPrefix(#[source] topics::TopicPrefixError),
    /// The session at the broker needs a name.
    #[error("mqtt.client_id is empty, and the broker keeps our messages under it")]
    ClientId,
    /// The embedded endpoint does not start.
    #[error("start the embedded MQTT endpoint")]
    Embedded(#[source] EmbeddedError),
    /// No broker could be trusted.
    #[error("set up TLS for mqtts://")]
    Tls(#[source] TlsError),
}

/// The doors of the compound. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub struct Doors {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    context: Context,
    carrier: Carrier,
    group: Supervisor,
}

#[derive(Debug)]
enum Carrier {
    Client(Client),
    Embedded(Embedded),
}

impl Doors {
    /// Starts to serve the doors; the receiver gets what they say, at most [`EVENTS_MAX`] at a time.
    /// A broker that is away is no error: health line `mqtt` says so, and it is tried again for ever.
    ///
    /// # Errors
    /// [`DoorError`] when the options cannot work.
    pub fn start(
        options: DoorsOptions,
        clock: Clock,
        supervisor: &Supervisor,
        board: &HealthBoard,
        registry: &mut Registry,
    ) -> Result<(Doors, mpsc::Receiver<DoorEvent>), DoorError> {
        let context = context(&options, clock, board, registry)?;
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let group = supervisor.group();
        let health = board.component("mqtt");
        let carrier = match options.broker {
            Broker::External(broker) => {
                if broker.client_id.is_empty() {
                    return Err(DoorError::ClientId);
                }
                let client = Client::start(broker, context.clone(), events, health, &group);
                Carrier::Client(client.map_err(DoorError::Tls)?)
            }
            Broker::Embedded(broker) => {
                let endpoint = Embedded::start(&broker, context.clone(), events, health, &group);
                Carrier::Embedded(endpoint.map_err(DoorError::Embedded)?)
            }
        };
        let doors = Doors {
            shared: Arc::new(Shared {
                context,
                carrier,
                group,
            }),
        };
        Ok((doors, receiver))
    }

    /// Answers the swipe `key` of `door`. Never waits; an answer that cannot be sent within 5 s is
    /// dropped and counted.
    pub fn decide(&self, door: &DoorId, key: &SwipeKey, decision: &Decision) {
        let context = &self.shared.context;
        let n_dropped = context.desk.put_decision(door, key, decision);
        context.metrics.dropped(n_dropped);
    }

    /// Gives `door` a new list of the cards that it lets in by itself; kept for it as a retained
    /// message and sent again whenever it may have been lost. A list no newer than the one held is
    /// ignored.
    pub fn set_cards(&self, door: &DoorId, list: &CardList) {
        let context = &self.shared.context;
        if context.desk.put_cards(door, list) {
            context.book.listed(door, list.version);
        }
    }

    /// Would we know if the controller of `door` had connected anew? Of the endpoint inside, always; at a
    /// broker, when the controller was seen to say so, by its status or its last will.
    pub fn knows_link_of(&self, door: &DoorId) -> bool {
        match &self.shared.carrier {
            Carrier::Embedded(_) => true,
            Carrier::Client(_) => self.shared.context.book.announces(door),
        }
    }

    /// Takes in what was learnt of the clock of `door`: what to add to its time to get ours, in ns.
    pub fn set_skew(&self, door: &DoorId, skew_ns: Option<i64>) {
        self.shared.context.book.set_skew(door, skew_ns);
    }

    /// What is known of each door, by id.
    pub fn status(&self) -> Vec<DoorStatus> {
        self.shared.context.book.snapshot()
    }

    /// What is known of `door`; `None` when it is not configured.
    pub fn status_of(&self, door: &DoorId) -> Option<DoorStatus> {
        self.shared.context.book.get(door)
    }

    /// Serves these doors from now on: others than before, with other controllers or other log-ins at the
    /// endpoint inside.
    ///
    /// # Errors
    /// [`CredentialError`]: the log-ins cannot be meant so, and nothing has changed.
    pub fn reload(
        &self,
        doors: &[DoorOptions],
        credentials: &[DoorCredential],
    ) -> Result<(), CredentialError> {
        let context = &self.shared.context;
        if let Carrier::Embedded(_) = &self.shared.carrier {
            embedded::check(credentials)?;
        }
        context.book.set_doors(doors.iter().map(|door| &door.id));
        let new_topics = context.intake.reroute(doors);
        info!(n_doors = doors.len(), new_topics, "doors reloaded");
        match &self.shared.carrier {
            Carrier::Client(client) if new_topics => client.renew(),
            Carrier::Client(_) => {}
            // Last, so that who comes again meets the new doors.
            Carrier::Embedded(endpoint) => endpoint.reload(credentials)?,
        }
        Ok(())
    }

    /// Takes nothing more from the doors; what is in hand may still be acknowledged, and decisions
    /// still go out. The receiver ends once it is empty. First step of an ordered stop.
    pub fn stop_intake(&self) {
        self.shared.context.intake_closed.cancel();
    }

    /// Says goodbye to the broker and ends; takes at most 5 s. Last step of an ordered stop.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the tasks to the supervisor that they were started under.
    pub async fn stop(&self) {
        let context = &self.shared.context;
        self.stop_intake();
        let connected = match &self.shared.carrier {
            Carrier::Client(client) => client.is_connected(),
            Carrier::Embedded(_) => true,
        };
        if connected {
            context.desk.put_online(false);
            let farewell = tokio::time::timeout(FAREWELL_TIMEOUT, context.desk.clear());
            if farewell.await.is_ok() {
                context.goodbye.cancel();
            } else {
                // Without a goodbye the broker publishes our last will, which says the same.
                warn!("the last messages to the doors were not taken");
            }
        }
        if let Carrier::Embedded(endpoint) = &self.shared.carrier {
            let ended = tokio::time::timeout(END_TIMEOUT, endpoint.ended());
            if ended.await.is_err() {
                warn!("the embedded MQTT endpoint does not end");
            }
        }
        if self.shared.group.shutdown(END_TIMEOUT).await.is_err() {
            warn!("the tasks of the doors do not end");
        }
    }

    /// Where the embedded endpoint listens; `None` with an external broker.
    pub fn listen_addr(&self) -> Option<SocketAddr> {
        match &self.shared.carrier {
            Carrier::Client(_) => None,
            Carrier::Embedded(endpoint) => Some(endpoint.addr()),
        }
    }
}

fn context(
    options: &DoorsOptions,
    clock: Clock,
    board: &HealthBoard,
    registry: &mut Registry,
) -> Result<Context, DoorError> {
    let topics =
        Topics::new(&options.topic_prefix, &options.compound).map_err(DoorError::TopicPrefix)?;
    let metrics = Metrics::register(registry);
    let book = Arc::new(StatusBook::new(board));
    book.set_doors(options.doors.iter().map(|door| &door.id));
    let parts = (Arc::clone(&book), metrics.clone());
    let zone = options.time_zone.clone();
    let intake = Intake::new(topics.clone(), zone, clock, &options.doors, parts);
    Ok(Context {
        intake: Arc::new(intake),
        desk: Arc::new(Desk::new(topics)),
        book,
        metrics,
        intake_closed: CancellationToken::new(),
        goodbye: CancellationToken::new(),
    })
}
