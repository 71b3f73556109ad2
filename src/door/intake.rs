//! A message in, what it says out: whose it is, in which dialect, and what is kept of one that
//! cannot be read. The same for both carriers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::decode::{Arrival, DecodeError, PAYLOAD_BYTES_MAX, Report};
use super::decode::{esp_rfid, native, uhppoted};
use super::event::{Ack, DoorEvent};
use super::metrics::Metrics;
use super::options::{Dialect, DoorOptions};
use super::status::StatusBook;
use super::topics::{Leaf, TOPIC_BYTES_MAX, Topic, Topics, printable};
use crate::domain::id::DoorId;
use crate::domain::swipe::{DoorState, Reject, Swipe};
use crate::error::chain;
use crate::time::{Clock, TimeZone, WallTime};

/// Reads messages for the configured doors.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) topics: Topics,
    zone: TimeZone,
    clock: Clock,
    book: Arc<StatusBook>,
    metrics: Metrics,
    routes: ArcSwap<Routes>,
}

/// How messages name the doors.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Routes {
    doors: BTreeSet<DoorId>,
    /// Topics that several controllers share, by topic.
    shared: BTreeMap<String, SharedTopic>,
    /// The shared topic of a door, for the rights of its log-in.
    topic_of: BTreeMap<DoorId, String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct SharedTopic {
    esp_rfid: BTreeMap<String, DoorId>,
    uhppoted: BTreeMap<(u32, Option<u8>), DoorId>,
}

/// What arrived.
pub(super) struct Message<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    /// Its length as sent; longer than `payload` when that was too large to be read.
    pub(super) payload_bytes: usize,
    pub(super) retained: bool,
    /// When its sender connected to us; `None`: it is at a broker.
    pub(super) connected: Option<Instant>,
}

/// What a message says; [`Heard::with`] adds the receipt it waits for.
#[derive(Debug)]
pub(super) enum Heard {
    Swipe(Swipe),
    State {
        door: DoorId,
        state: DoorState,
        at: WallTime,
    },
    Status {
        door: DoorId,
        online: bool,
        firmware: Option<String>,
    },
    Reject(Reject),
}

impl Heard {
    pub(super) fn with(self, ack: Ack) -> DoorEvent {
        match self {
            Heard::Swipe(swipe) => DoorEvent::Swipe { swipe, ack },
            Heard::State { door, state, at } => DoorEvent::State {
                door,
                state,
                at,
                ack,
            },
            Heard::Status {
                door,
                online,
                firmware,
            } => DoorEvent::Status {
                door,
                online,
                firmware,
                ack,
            },
            Heard::Reject(reject) => DoorEvent::Reject { reject, ack },
        }
    }
}

/// Why a message is rejected.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("read the payload")]
    Payload(#[source] DecodeError),
    #[error("the topic is none on which a door publishes")]
    Topic,
    #[error("no door of this name is configured")]
    UnknownDoor,
    #[error("no door is configured for this controller (see [door.match])")]
    Unmatched,
}

impl Routes {
    pub(super) fn new(doors: &[DoorOptions]) -> Routes {
        let mut routes = Routes::default();
        for door in doors {
            routes.doors.insert(door.id.clone());
            let topic = match &door.controller {
                Dialect::Native => continue,
                Dialect::EspRfid { topic, hostname } => {
                    let shared = routes.shared.entry(topic.clone()).or_default();
                    shared.esp_rfid.insert(hostname.clone(), door.id.clone());
                    topic
                }
                Dialect::Uhppoted {
                    topic,
                    device_id,
                    door: number,
                } => {
                    let shared = routes.shared.entry(topic.clone()).or_default();
                    let key = (*device_id, *number);
                    shared.uhppoted.insert(key, door.id.clone());
                    topic
                }
            };
            routes.topic_of.insert(door.id.clone(), topic.clone());
        }
        routes
    }

    pub(super) fn doors(&self) -> impl Iterator<Item = &DoorId> {
        self.doors.iter()
    }

    pub(super) fn shared_topics(&self) -> impl Iterator<Item = &String> {
        self.shared.keys()
    }

    pub(super) fn shared_topic_of(&self, door: &DoorId) -> Option<&String> {
        self.topic_of.get(door)
    }
}

impl Intake {
    pub(super) fn new(
        topics: Topics,
        zone: TimeZone,
        clock: Clock,
        doors: &[DoorOptions],
        parts: (Arc<StatusBook>, Metrics),
    ) -> Intake {
        Intake {
            topics,
            zone,
            clock,
            book: parts.0,
            metrics: parts.1,
            routes: ArcSwap::from_pointee(Routes::new(doors)),
        }
    }

    pub(super) fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// Returns whether other topics must be subscribed to now.
    pub(super) fn reroute(&self, doors: &[DoorOptions]) -> bool {
        let old = self.routes.swap(Arc::new(Routes::new(doors)));
        !old.shared.keys().eq(self.routes.load().shared.keys())
    }

    /// What to subscribe to at a broker.
    pub(super) fn filters(&self) -> Vec<String> {
        let own = [Leaf::Swipe, Leaf::State, Leaf::Status];
        let own = own.into_iter().map(|leaf| self.topics.every_door(leaf));
        own.chain(self.routes.load().shared_topics().cloned())
            .collect()
    }

    /// Reads `message`; `None`: nothing that anybody needs to know.
    pub(super) fn read(&self, message: &Message<'_>) -> Option<Heard> {
        let arrival = Arrival {
            received_at: self.clock.now(),
            arrived: Instant::now(),
            retained: message.retained,
        };
        let routes = self.routes.load();
        let mut door = None;
        match self.understand(&routes, message, &arrival, &mut door) {
            Ok((door, report)) => self.heard(door, report, &arrival, message.connected),
            Err(unread) => {
                let label = door.as_ref().map_or("", DoorId::as_str);
                self.metrics.swipe(label, "rejected");
                Some(Heard::Reject(Reject {
                    door,
                    topic: printable(message.topic),
                    reason: match &unread {
                        Unread::Payload(err) => chain(err).to_string(),
                        other => other.to_string(),
                    },
                    payload_bytes: u64::try_from(message.payload_bytes).unwrap_or(u64::MAX),
                }))
            }
        }
    }

    /// Sets `whose` as soon as the door is known, so that a reject can name it.
    fn understand(
        &self,
        routes: &Routes,
        message: &Message<'_>,
        arrival: &Arrival,
        whose: &mut Option<DoorId>,
    ) -> Result<(DoorId, Report), Unread> {
        if message.topic.len() > TOPIC_BYTES_MAX {
            return Err(Unread::Topic);
        }
        if let Some(shared) = routes.shared.get(message.topic) {
            within_limit(message)?;
            return self.shared(shared, message.payload, arrival, whose);
        }
        let (door, leaf) = match self.topics.read(message.topic) {
            Topic::Door { door, leaf } => (door, leaf),
            Topic::GatewayStatus | Topic::Other => return Err(Unread::Topic),
        };
        if !routes.doors.contains(&door) {
            return Err(Unread::UnknownDoor);
        }
        *whose = Some(door.clone());
        within_limit(message)?;
        let report = match leaf {
            Leaf::Swipe => native::swipe(message.payload).map(Report::Swipe),
            Leaf::State => native::state(message.payload),
            // How MQTT clears a retained message.
            Leaf::Status if message.payload.is_empty() => Ok(Report::Nothing),
            Leaf::Status => native::status(message.payload),
            Leaf::Decision | Leaf::Cards => return Err(Unread::Topic),
        };
        Ok((door, report.map_err(Unread::Payload)?))
    }

    fn shared(
        &self,
        shared: &SharedTopic,
        payload: &[u8],
        arrival: &Arrival,
        whose: &mut Option<DoorId>,
    ) -> Result<(DoorId, Report), Unread> {
        if !shared.esp_rfid.is_empty() {
            let message = esp_rfid::read(payload).map_err(Unread::Payload)?;
            let door = shared.esp_rfid.get(message.hostname());
            let door = door.ok_or(Unread::Unmatched)?.clone();
            *whose = Some(door.clone());
            let report = message.report(arrival.received_at);
            return Ok((door, report.map_err(Unread::Payload)?));
        }
        let message = uhppoted::read(payload).map_err(Unread::Payload)?;
        let device = message.device_id();
        let door = shared
            .uhppoted
            .get(&(device, message.door()))
            .or_else(|| shared.uhppoted.get(&(device, None)));
        let door = door.ok_or(Unread::Unmatched)?.clone();
        *whose = Some(door.clone());
        let report = message.report(&self.zone).map_err(Unread::Payload)?;
        Ok((door, report))
    }

    fn heard(
        &self,
        door: DoorId,
        report: Report,
        arrival: &Arrival,
        connected: Option<Instant>,
    ) -> Option<Heard> {
        let received_at = arrival.received_at;
        match report {
            Report::Swipe(parts) => {
                let mut swipe = parts.arrived(door, arrival);
                self.metrics.swipe(swipe.door.as_str(), "decoded");
                swipe.may_have_waited = !self.book.swiped(&swipe, connected);
                Some(Heard::Swipe(swipe))
            }
            Report::State { state, at } => {
                self.book.stated(&door, state, received_at);
                Some(Heard::State {
                    door,
                    state,
                    at: at.unwrap_or(received_at),
                })
            }
            Report::Status { online, firmware } => {
                let at = (received_at, arrival.arrived);
                self.book.reported(&door, online, firmware.as_deref(), at);
                Some(Heard::Status {
                    door,
                    online,
                    firmware,
                })
            }
            Report::Nothing => None,
        }
    }
}

fn within_limit(message: &Message<'_>) -> Result<(), Unread> {
    if message.payload_bytes > PAYLOAD_BYTES_MAX {
        let n_bytes = message.payload_bytes;
        return Err(Unread::Payload(DecodeError::TooLarge { n_bytes }));
    }
    Ok(())
}
