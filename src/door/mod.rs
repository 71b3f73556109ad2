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

pub mod decode;
mod desk;
mod event;
pub mod fuzz;
mod options;
mod status;
pub mod topics;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::domain::access::Decision;
use crate::domain::id::DoorId;
use crate::domain::swipe::SwipeKey;
use crate::supervise::Supervisor;
use crate::telemetry::{HealthBoard, Registry};
use crate::time::Clock;

use desk::Desk;
use status::StatusBook;
use topics::Topics;

pub use event::{Ack, CardList, DoorEvent};
pub use options::{
    Broker, Dialect, DoorCredential, DoorOptions, DoorsOptions, ESP_RFID_TOPIC, EmbeddedBroker,
    ExternalBroker, TlsOptions, UHPPOTED_TOPIC,
};
pub use status::DoorStatus;

/// Events that may wait for the rest of the gateway; beyond that the broker keeps them.
pub const EVENTS_MAX: usize = 64;

/// Why the doors cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The topics cannot begin so.
    #[error("read mqtt.topic_prefix")]
    TopicPrefix(#[source] topics::TopicPrefixError),
}

/// The doors of the compound. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub struct Doors {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    desk: Desk,
    book: StatusBook,
}

impl Doors {
    /// Starts to serve the doors; the receiver gets what they say, at most [`EVENTS_MAX`] at a time.
    ///
    /// # Errors
    /// [`DoorError`] when the options cannot work.
    pub fn start(
        options: DoorsOptions,
        _clock: Clock,
        _supervisor: &Supervisor,
        _board: &HealthBoard,
        _registry: &mut Registry,
    ) -> Result<(Doors, mpsc::Receiver<DoorEvent>), DoorError> {
        let topics = Topics::new(&options.topic_prefix, &options.compound)
            .map_err(DoorError::TopicPrefix)?;
        let shared = Shared {
            desk: Desk::new(topics),
            book: StatusBook::new(options.doors.iter().map(|door| &door.id)),
        };
        let (_events, receiver) = mpsc::channel(EVENTS_MAX);
        let doors = Doors {
            shared: Arc::new(shared),
        };
        Ok((doors, receiver))
    }

    /// Answers the swipe `key` of `door`. Never waits; an answer that cannot be sent within 5 s is
    /// dropped and counted.
    pub fn decide(&self, door: &DoorId, key: &SwipeKey, decision: &Decision) {
        self.shared.desk.put_decision(door, key, decision);
    }

    /// Gives `door` a new list of the cards that it lets in by itself; kept for it as a retained
    /// message and sent again whenever it may have been lost. A list no newer than the one held is
    /// ignored.
    pub fn set_cards(&self, door: &DoorId, list: &CardList) {
        if self.shared.desk.put_cards(door, list) {
            self.shared.book.listed(door, list.version);
        }
    }

    /// What is known of each door, by id.
    pub fn status(&self) -> Vec<DoorStatus> {
        self.shared.book.snapshot()
    }

    /// What is known of `door`; `None` when it is not configured.
    pub fn status_of(&self, door: &DoorId) -> Option<DoorStatus> {
        self.shared.book.get(door)
    }

    /// Takes nothing more from the doors; what is in hand may still be acknowledged. The receiver
    /// ends once it is empty. First step of an ordered stop.
    pub async fn stop_intake(&self) {}

    /// Says goodbye to the broker and ends. Last step of an ordered stop.
    pub async fn stop(&self) {}

    /// Where the embedded endpoint listens; `None` with an external broker.
    pub fn listen_addr(&self) -> Option<SocketAddr> {
        None
    }
}
