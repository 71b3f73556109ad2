//! The controller's side of a native door, for simulators and tests: it publishes swipes with QoS 1,
//! keeps each until its PUBACK and sends it again after a lost connection, as a good controller does.
//!
//! Not here: faults. Whoever wants a bad controller publishes what it likes with
//! [`DoorDevice::publish`] and switches it off and on.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rumqttc::{
    AsyncClient, Event, EventLoop, LastWill, MqttOptions, Outgoing, Packet, Publish, QoS,
    SubscribeFilter, TlsConfiguration, Transport,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::options::TlsOptions;
use super::tls::{self, TlsError};
use super::topics::{Leaf, TopicPrefixError, Topics};
use crate::domain::id::{CompoundId, DoorId};
use crate::domain::secret::Secret;
use crate::domain::swipe::DoorState;
use crate::error::chain;
use crate::retry::Backoff;
use crate::supervise::Supervisor;
use crate::time::WallTime;

const KEEP_ALIVE: Duration = Duration::from_secs(15);
const PACKET_BYTES_MAX: usize = 268_435_455;
/// Requests within the client; [`WINDOW`] publishes and a SUBSCRIBE fit.
const REQUESTS_MAX: usize = 64;
/// Publishes under way at a time.
const WINDOW: usize = 16;
/// Packet ids used: many more than are under way.
const PACKET_IDS: u16 = 1_000;
/// Decisions kept for a receiver that lags.
const DECISIONS_MAX: usize = 64;

/// Which door, and which broker.
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    /// Host name or address of the broker, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `None`: plain TCP.
    pub tls: Option<TlsOptions>,
    /// `None`: no log-in.
    pub credentials: Option<(String, Secret)>,
    /// First levels of every topic.
    pub topic_prefix: String,
    /// The compound.
    pub compound: CompoundId,
    /// The door; also the MQTT client id.
    pub door: DoorId,
    /// What it says of its firmware.
    pub firmware: String,
    /// Does it try again after a lost connection? Else it stays [`Link::Down`].
    pub reconnect: bool,
}

/// Why a controller cannot be simulated, or was not heard.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The topics cannot begin so.
    #[error("read the topic prefix")]
    TopicPrefix(#[source] TopicPrefixError),
    /// No broker could be trusted.
    #[error("set up TLS")]
    Tls(#[source] TlsError),
    /// No PUBACK in time. The message is kept and sent again until there is one.
    #[error("no PUBACK within {} ms", .within.as_millis())]
    Unacknowledged {
        /// How long we waited.
        within: Duration,
    },
    /// No connection in time.
    #[error("not connected within {} ms ({reason})", .within.as_millis())]
    Unconnected {
        /// How long we waited.
        within: Duration,
        /// What was wrong last.
        reason: String,
    },
    /// The controller has ended.
    #[error("the controller has ended")]
    Ended,
}

/// The connection of a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Connecting, or waiting to.
    Down {
        /// What was wrong last; empty at first.
        reason: String,
    },
    /// Connected, and its subscriptions were answered.
    Up {
        /// Topics that it was refused.
        refused: Vec<String>,
    },
}

/// A swipe as a controller sends it (contract, section 3). `Debug` hides the card.
#[derive(Clone, Serialize)]
pub struct SwipeMessage {
    /// 1.
    pub v: u8,
    /// Changes with each restart of `seq`.
    pub boot: String,
    /// Counts the swipes.
    pub seq: u64,
    /// The controller's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<WallTime>,
    /// Hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// `in`, `out`.
    pub direction: &'static str,
    /// `granted`, `denied`, `unknown`.
    pub result: &'static str,
    /// `card`, `pin`, `qr`, `button`, `remote`, `duress`.
    pub method: &'static str,
}

impl fmt::Debug for SwipeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwipeMessage")
            .field("boot", &self.boot)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

/// The gateway's answer to a swipe.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DecisionMessage {
    /// 1.
    pub v: u8,
    /// Of the swipe.
    pub boot: String,
    /// Of the swipe.
    pub seq: u64,
    /// Open?
    pub grant: bool,
    /// Why.
    pub reason: String,
}

/// The cards that the controller lets in by itself. `Debug` shows how many, not which.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CardsMessage {
    /// 1.
    pub v: u8,
    /// Grows with each change.
    pub version: u64,
    /// Hexadecimal digits, upper-case.
    pub cards: Vec<String>,
}

impl fmt::Debug for CardsMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardsMessage")
            .field("version", &self.version)
            .field("n_cards", &self.cards.len())
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct GatewayMessage {
    online: bool,
}

/// A controller. Cheap to clone; clones share it. It ends with its supervisor or [`DoorDevice::end`].
#[derive(Clone, Debug)]
pub struct DoorDevice {
    shared: Arc<Shared>,
}

struct Shared {
    topics: Topics,
    door: DoorId,
    firmware: String,
    reconnect: bool,
    mqtt: MqttOptions,
    state: Mutex<State>,
    /// Has it power?
    power: watch::Sender<bool>,
    link: watch::Sender<Link>,
    decisions: broadcast::Sender<DecisionMessage>,
    cards: watch::Sender<Option<CardsMessage>>,
    gateway: watch::Sender<Option<bool>>,
    end: CancellationToken,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("door", &self.door)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    client: Option<AsyncClient>,
    /// Without PUBACK, by number.
    pending: BTreeMap<u64, Pending>,
    next_number: u64,
    unsent: VecDeque<u64>,
    queued: VecDeque<u64>,
    on_wire: HashMap<u16, u64>,
}

struct Pending {
    topic: String,
    payload: Bytes,
    retain: bool,
    acknowledged: oneshot::Sender<()>,
}

impl DoorDevice {
    /// Switches a controller on.
    ///
    /// # Errors
    /// [`DeviceError::TopicPrefix`], [`DeviceError::Tls`].
    pub fn start(
        options: DeviceOptions,
        supervisor: &Supervisor,
    ) -> Result<DoorDevice, DeviceError> {
        let topics = Topics::new(&options.topic_prefix, &options.compound)
            .map_err(DeviceError::TopicPrefix)?;
        let mqtt = mqtt_options(&options, &topics).map_err(DeviceError::Tls)?;
        let down = Link::Down {
            reason: String::new(),
        };
        let shared = Arc::new(Shared {
            topics,
            door: options.door,
            firmware: options.firmware,
            reconnect: options.reconnect,
            mqtt,
            state: Mutex::default(),
            power: watch::Sender::new(true),
            link: watch::Sender::new(down),
            decisions: broadcast::Sender::new(DECISIONS_MAX),
            cards: watch::Sender::new(None),
            gateway: watch::Sender::new(None),
            end: supervisor.token().child_token(),
        });
        let task = keep(Arc::clone(&shared));
        supervisor.spawn("door-device", tracing::Span::none(), task);
        Ok(DoorDevice { shared })
    }

    /// Its door.
    pub fn door(&self) -> &DoorId {
        &self.shared.door
    }

    /// Waits until it is connected.
    ///
    /// # Errors
    /// [`DeviceError::Unconnected`] when it is not within `within`.
    pub async fn connected(&self, within: Duration) -> Result<(), DeviceError> {
        let mut link = self.link();
        let up = link.wait_for(|link| matches!(link, Link::Up { .. }));
        if let Ok(Ok(_)) = tokio::time::timeout(within, up).await {
            return Ok(());
        }
        let reason = match &*self.shared.link.borrow() {
            Link::Down { reason } => reason.clone(),
            Link::Up { .. } => String::new(),
        };
        Err(DeviceError::Unconnected { within, reason })
    }

    /// Publishes a swipe and waits for its PUBACK.
    ///
    /// # Errors
    /// As [`DoorDevice::publish`].
    pub async fn swipe(&self, swipe: &SwipeMessage, within: Duration) -> Result<(), DeviceError> {
        let payload = serde_json::to_vec(swipe).expect("text and numbers always become JSON");
        let topic = self.shared.topics.door(&self.shared.door, Leaf::Swipe);
        self.publish(topic, payload.into(), false, within).await
    }

    /// Publishes the door's state and waits for its PUBACK.
    ///
    /// # Errors
    /// As [`DoorDevice::publish`].
    pub async fn state(
        &self,
        state: DoorState,
        at: WallTime,
        within: Duration,
    ) -> Result<(), DeviceError> {
        let payload = serde_json::json!({"v": 1, "at": at, "state": state}).to_string();
        let topic = self.shared.topics.door(&self.shared.door, Leaf::State);
        self.publish(topic, payload.into(), false, within).await
    }

    /// Publishes anything anywhere with QoS 1 and waits for its PUBACK.
    ///
    /// # Errors
    /// [`DeviceError::Unacknowledged`] when there is none within `within`, [`DeviceError::Ended`].
    ///
    /// # Cancel safety
    /// Dropped, it is still sent.
    pub async fn publish(
        &self,
        topic: String,
        payload: Bytes,
        retain: bool,
        within: Duration,
    ) -> Result<(), DeviceError> {
        let (acknowledged, told) = oneshot::channel();
        self.shared.put(Pending {
            topic,
            payload,
            retain,
            acknowledged,
        });
        tokio::select! {
            biased;
            told = tokio::time::timeout(within, told) => match told {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(DeviceError::Ended),
                Err(_) => Err(DeviceError::Unacknowledged { within }),
            },
            () = self.shared.end.cancelled() => Err(DeviceError::Ended),
        }
    }

    /// Messages without PUBACK.
    pub fn n_pending(&self) -> usize {
        self.shared.state.lock().pending.len()
    }

    /// Takes its power away: no goodbye, so its last will is published. What was not acknowledged is
    /// kept, as in a controller's flash.
    pub fn switch_off(&self) {
        self.shared.power.send_replace(false);
    }

    /// Gives it power again.
    pub fn switch_on(&self) {
        self.shared.power.send_replace(true);
    }

    /// Its connection, now and as it changes.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.shared.link.subscribe()
    }

    /// The gateway's answers from now on.
    pub fn decisions(&self) -> broadcast::Receiver<DecisionMessage> {
        self.shared.decisions.subscribe()
    }

    /// The newest card list that it was given.
    pub fn cards(&self) -> watch::Receiver<Option<CardsMessage>> {
        self.shared.cards.subscribe()
    }

    /// What the gateway says of itself.
    pub fn gateway_online(&self) -> watch::Receiver<Option<bool>> {
        self.shared.gateway.subscribe()
    }

    /// Ends it for good, without a goodbye.
    pub fn end(&self) {
        self.shared.end.cancel();
    }
}

impl Shared {
    fn put(&self, pending: Pending) {
        let mut state = self.state.lock();
        let number = state.next_number;
        state.next_number += 1;
        state.pending.insert(number, pending);
        state.unsent.push_back(number);
        state.pump();
    }

    /// A new connection: everything without PUBACK goes again.
    fn begin(&self, client: AsyncClient) {
        let mut state = self.state.lock();
        state.client = Some(client);
        state.queued.clear();
        state.on_wire.clear();
        state.unsent = state.pending.keys().copied().collect();
        state.pump();
    }

    fn on_wire(&self, packet_id: u16) {
        let mut state = self.state.lock();
        if let Some(number) = state.queued.pop_front() {
            state.on_wire.insert(packet_id, number);
        }
    }

    fn acknowledged(&self, packet_id: u16) {
        let mut state = self.state.lock();
        let number = state.on_wire.remove(&packet_id);
        if let Some(pending) = number.and_then(|number| state.pending.remove(&number)) {
            // Nobody may be waiting any more.
            let _unheard = pending.acknowledged.send(()).is_err();
        }
        state.pump();
    }

    fn received(&self, publish: &Publish) {
        let own = |leaf| self.topics.door(&self.door, leaf);
        if publish.topic == own(Leaf::Decision) {
            if let Ok(decision) = serde_json::from_slice(&publish.payload) {
                // Nobody may be listening.
                drop(self.decisions.send(decision));
            }
        } else if publish.topic == own(Leaf::Cards) {
            if let Ok(cards) = serde_json::from_slice(&publish.payload) {
                self.cards.send_replace(Some(cards));
            }
        } else if publish.topic == self.topics.gateway_status()
            && let Ok(message) = serde_json::from_slice::<GatewayMessage>(&publish.payload)
        {
            self.gateway.send_replace(Some(message.online));
        }
    }
}

impl State {
    fn pump(&mut self) {
        let Some(client) = self.client.clone() else {
            return;
        };
        while self.queued.len() + self.on_wire.len() < WINDOW {
            let Some(number) = self.unsent.pop_front() else {
                return;
            };
            let Some(pending) = self.pending.get(&number) else {
                continue;
            };
            let (topic, payload) = (pending.topic.clone(), pending.payload.clone());
            let given = client.try_publish(topic, QoS::AtLeastOnce, pending.retain, payload);
            if given.is_err() {
                self.unsent.push_front(number);
                return;
            }
            self.queued.push_back(number);
        }
    }
}

fn mqtt_options(options: &DeviceOptions, topics: &Topics) -> Result<MqttOptions, TlsError> {
    let host = if options.host.contains(':') {
        format!("[{}]", options.host)
    } else {
        options.host.clone()
    };
    let mut mqtt = MqttOptions::new(options.door.as_str(), host, options.port);
    mqtt.set_keep_alive(KEEP_ALIVE);
    mqtt.set_clean_session(false);
    mqtt.set_inflight(PACKET_IDS);
    mqtt.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    let status = topics.door(&options.door, Leaf::Status);
    let offline = r#"{"v":1,"online":false}"#;
    mqtt.set_last_will(LastWill::new(status, offline, QoS::AtLeastOnce, true));
    if let Some((username, password)) = &options.credentials {
        mqtt.set_credentials(username, password.reveal());
    }
    if let Some(tls) = &options.tls {
        let config = TlsConfiguration::Rustls(tls::client_config(tls)?);
        mqtt.set_transport(Transport::tls_with_config(config));
    }
    Ok(mqtt)
}

async fn keep(shared: Arc<Shared>) {
    let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2), 30)
        .expect("50 ms is less than 2 s");
    let mut delays = backoff.delays();
    let mut power = shared.power.subscribe();
    loop {
        tokio::select! {
            biased;
            () = shared.end.cancelled() => return,
            powered = power.wait_for(|on| *on) => if powered.is_err() {
                return;
            },
        }
        let reason = session(&shared, &mut power).await;
        debug!(door = %shared.door, reason, "controller disconnected");
        shared.state.lock().client = None;
        let was_up = matches!(&*shared.link.borrow(), Link::Up { .. });
        shared.link.send_replace(Link::Down { reason });
        if !shared.reconnect && *power.borrow() {
            return;
        }
        if was_up {
            delays.reset();
        }
        tokio::select! {
            biased;
            () = shared.end.cancelled() => return,
            () = tokio::time::sleep(delays.next_delay()) => {}
        }
    }
}

/// One connection; returns why it ended.
async fn session(shared: &Arc<Shared>, power: &mut watch::Receiver<bool>) -> String {
    let (client, mut event_loop) = AsyncClient::new(shared.mqtt.clone(), REQUESTS_MAX);
    event_loop.network_options.set_tcp_nodelay(true);
    let reason = tokio::select! {
        biased;
        () = shared.end.cancelled() => "ended".to_owned(),
        _ = power.wait_for(|on| !*on) => "switched off".to_owned(),
        reason = poll(shared, &client, &mut event_loop) => reason,
    };
    reason
}

async fn poll(shared: &Shared, client: &AsyncClient, event_loop: &mut EventLoop) -> String {
    let filters = [
        shared.topics.door(&shared.door, Leaf::Decision),
        shared.topics.door(&shared.door, Leaf::Cards),
        shared.topics.gateway_status(),
    ];
    loop {
        let event = match event_loop.poll().await {
            Ok(event) => event,
            Err(err) => return chain(&err).to_string(),
        };
        match event {
            Event::Incoming(Packet::ConnAck(_)) => {
                let filters = filters.iter().cloned();
                let filters = filters.map(|path| SubscribeFilter::new(path, QoS::AtLeastOnce));
                if client.try_subscribe_many(filters).is_err() {
                    return "the client takes no SUBSCRIBE".to_owned();
                }
            }
            Event::Incoming(Packet::SubAck(ack)) => {
                let answered = filters.iter().zip(&ack.return_codes);
                let refused = answered
                    .filter(|(_, code)| matches!(code, rumqttc::SubscribeReasonCode::Failure))
                    .map(|(filter, _)| filter.clone())
                    .collect();
                shared.announce();
                shared.begin(client.clone());
                shared.link.send_replace(Link::Up { refused });
            }
            Event::Incoming(Packet::Publish(publish)) => shared.received(&publish),
            Event::Incoming(Packet::PubAck(ack)) => shared.acknowledged(ack.pkid),
            Event::Outgoing(Outgoing::Publish(packet_id)) => shared.on_wire(packet_id),
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
}

impl Shared {
    /// Queues "I am here", behind what waits already.
    fn announce(&self) {
        let topic = self.topics.door(&self.door, Leaf::Status);
        let mut state = self.state.lock();
        // One that is still pending from the last connection says the same.
        if state.pending.values().any(|pending| pending.topic == topic) {
            return;
        }
        let payload =
            serde_json::json!({"v": 1, "online": true, "firmware": self.firmware}).to_string();
        let number = state.next_number;
        state.next_number += 1;
        let pending = Pending {
            topic,
            payload: payload.into(),
            retain: true,
            acknowledged: oneshot::channel().0,
        };
        state.pending.insert(number, pending);
    }
}
