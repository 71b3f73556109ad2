//! The connections of the embedded endpoint: CONNECT, PUBLISH, SUBSCRIBE, and the way to the door.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Display;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ntex::io::IoBoxed;
use ntex::service::{ServiceFactory, fn_factory_with_config, fn_service};
use ntex::time::Seconds;
use ntex::util::{Bytes as NtexBytes, Ready};
use ntex_mqtt::v3::codec::LastWill;
use ntex_mqtt::v3::{
    Control, ControlAck, Handshake, HandshakeAck, MqttServer, MqttSink, Publish, QoS, Session,
};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tracing::warn;

use super::access::{Access, Rights};
use crate::door::client::Context;
use crate::door::decode::PAYLOAD_BYTES_MAX;
use crate::door::desk::{Letter, Slip};
use crate::door::event::{Ack, DoorEvent};
use crate::door::intake::Message;
use crate::door::topics::printable;
use crate::telemetry::Throttle;

/// From the first byte to the whole CONNECT.
const CONNECT_TIMEOUT: Seconds = Seconds(5);
/// CONNECT with the largest last will that is read.
const CONNECT_BYTES_MAX: u32 = 80 << 10;
/// A packet from or to a controller that has logged in: the card list of a gate with 200,000 cards of 32
/// digits. Publishes over 64 KiB are rejected with a reason and a PUBACK, without being kept in
/// memory; beyond this the connection is closed.
const PACKET_BYTES_MAX: NonZeroU32 = NonZeroU32::new(8 << 20).expect("not zero");
/// Publishes of one connection that may wait for the disk.
const PUBLISHES_MAX: u16 = 64;
/// Their bytes.
const PUBLISH_BYTES_MAX: usize = 256 << 10;
/// Messages to one door under way at a time.
const TO_DOOR_MAX: u16 = 16;
/// Decisions that wait for one door; the oldest is dropped and counted.
const DECISIONS_MAX: usize = 64;
/// A controller that does not acknowledge for this long is left.
const PUBACK_TIMEOUT: Duration = Duration::from_secs(10);
/// For a controller that asks for no keep-alive.
const IDLE_MAX: Seconds = Seconds(300);
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Why the endpoint ends a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum EndpointError {
    /// Not its topic.
    #[error("a message on a topic that is not the controller's own")]
    Topic,
    /// The rest of the payload never came.
    #[error("a message that ends too early")]
    Cut,
    /// It could not be kept; the controller will send it again.
    #[error("a message that could not be kept")]
    Undone,
    /// We take nothing more.
    #[error("the gateway is stopping")]
    Closing,
}

/// The endpoint, shared by its connections; all on one thread.
pub(super) struct Server {
    pub(super) context: Context,
    access: watch::Receiver<Arc<Access>>,
    events: RefCell<Option<mpsc::Sender<DoorEvent>>>,
    connections: RefCell<BTreeMap<u64, Rc<Connection>>>,
    next_id: Cell<u64>,
    n_open: Cell<usize>,
    /// After each delivery and each end of a connection.
    progress: Notify,
    warnings: Throttle,
}

/// A place for a connection; empty until CONNECT was accepted.
pub(super) struct Slot {
    server: Rc<Server>,
    connection: RefCell<Option<Rc<Connection>>>,
}

/// A controller that has logged in.
struct Connection {
    id: u64,
    client_id: String,
    since: Instant,
    rights: Rights,
    sink: MqttSink,
    will: RefCell<Option<LastWill>>,
    /// Topics it has subscribed to.
    subscribed: RefCell<BTreeMap<String, QoS>>,
    /// Those of them whose retained message it has yet to get.
    due: RefCell<BTreeSet<String>>,
    decisions: RefCell<VecDeque<(String, bytes::Bytes)>>,
    /// It was refused topics that another configuration may allow.
    refused: Cell<bool>,
    /// A message to it waits for its PUBACK.
    delivering: Cell<bool>,
    gone: Cell<bool>,
    wake: Notify,
}

impl Slot {
    pub(super) fn open(server: &Rc<Server>) -> Slot {
        server.n_open.set(server.n_open.get() + 1);
        Slot {
            server: Rc::clone(server),
            connection: RefCell::new(None),
        }
    }

    fn connection(&self) -> Option<Rc<Connection>> {
        self.connection.borrow().clone()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Still there only after a panic in the connection's task.
        if let Some(connection) = self.connection.take() {
            self.server.forget(&connection);
        }
        self.server.n_open.set(self.server.n_open.get() - 1);
        self.server.progress.notify_one();
    }
}

/// The service of one connection.
pub(super) fn service(
    server: &Rc<Server>,
    slot: &Rc<Slot>,
) -> impl ServiceFactory<IoBoxed, Response = ()> + use<> {
    let shake = (Rc::clone(server), Rc::clone(slot));
    let control = (Rc::clone(server), Rc::clone(slot));
    let publish = (Rc::clone(server), Rc::clone(slot));
    MqttServer::new(fn_service(move |handshake: Handshake| {
        let (server, slot) = shake.clone();
        async move { Ok::<_, EndpointError>(server.connect(&slot, handshake)) }
    }))
    .control(fn_factory_with_config(move |_: Session<()>| {
        let (server, slot) = control.clone();
        Ready::<_, EndpointError>::Ok(fn_service(move |control: Control<EndpointError>| {
            Ready::<_, EndpointError>::Ok(server.control(&slot, control))
        }))
    }))
    .publish(fn_factory_with_config(move |_: Session<()>| {
        let parts = publish.clone();
        Ready::<_, EndpointError>::Ok(fn_service(move |publish: Publish| {
            let (server, slot) = parts.clone();
            async move { server.publish(&slot, publish).await }
        }))
    }))
    .connect_timeout(CONNECT_TIMEOUT)
    .frame_read_rate(Seconds(10), Seconds(60), 256)
    .max_qos(QoS::AtLeastOnce)
    .max_size(CONNECT_BYTES_MAX)
    .max_send(TO_DOOR_MAX)
    .max_receive(PUBLISHES_MAX)
    .max_receive_size(PUBLISH_BYTES_MAX)
    .handle_qos_after_disconnect(Some(QoS::AtLeastOnce))
    .finish()
}

impl Server {
    pub(super) fn new(
        context: Context,
        access: watch::Receiver<Arc<Access>>,
        events: mpsc::Sender<DoorEvent>,
    ) -> Server {
        Server {
            context,
            access,
            events: RefCell::new(Some(events)),
            connections: RefCell::default(),
            next_id: Cell::new(0),
            n_open: Cell::new(0),
            progress: Notify::new(),
            warnings: Throttle::new(WARN_EVERY),
        }
    }

    /// Connections, logged in or not.
    pub(super) fn n_open(&self) -> usize {
        self.n_open.get()
    }

    /// Connections that have not logged in.
    pub(super) fn n_strangers(&self) -> usize {
        let n_known = self.connections.borrow().len();
        self.n_open.get().saturating_sub(n_known)
    }

    /// Counts a refusal and says so, now and then.
    pub(super) fn refused(&self, reason: &'static str, why: &str, who: impl Display) {
        self.context.metrics.refused(reason);
        if let Some(n_more) = self.warnings.pass() {
            warn!(why, %who, n_more, "mqtt refused");
        }
    }

    /// Takes no message any more. Whoever sends one is cut off, and will send it again.
    pub(super) fn close_intake(&self) {
        self.events.take();
    }

    /// Cuts all connections.
    pub(super) fn close_all(&self) {
        for connection in self.connections.borrow().values() {
            connection.sink.close();
        }
    }

    /// Waits until no connection is left.
    pub(super) async fn all_gone(&self) {
        while self.n_open() > 0 {
            self.progress.notified().await;
        }
    }

    /// Waits until nothing is on its way to any door.
    pub(super) async fn all_delivered(&self) {
        let idle = |server: &Server| {
            let connections = server.connections.borrow();
            connections.values().all(|connection| connection.is_idle())
        };
        while !idle(self) {
            self.progress.notified().await;
        }
    }

    /// Gives `letter` to all who subscribed to its topic; returns how many they are.
    pub(super) fn deliver(&self, letter: &Letter) -> usize {
        let connections = self.connections.borrow();
        let subscribers = connections.values().filter(|connection| {
            let subscribed = connection.subscribed.borrow();
            subscribed.contains_key(&letter.topic)
        });
        let mut n_subscribers = 0;
        for connection in subscribers {
            n_subscribers += 1;
            match letter.slip {
                Slip::Gateway { .. } | Slip::Cards { .. } => {
                    connection.due.borrow_mut().insert(letter.topic.clone());
                }
                Slip::Decision { .. } => {
                    let mut decisions = connection.decisions.borrow_mut();
                    if decisions.len() == DECISIONS_MAX {
                        decisions.pop_front();
                        self.context.metrics.dropped(1);
                    }
                    decisions.push_back((letter.topic.clone(), letter.payload.clone()));
                }
            }
            connection.wake.notify_one();
        }
        n_subscribers
    }

    /// CONNECT.
    fn connect(self: &Rc<Self>, slot: &Rc<Slot>, handshake: Handshake) -> HandshakeAck<()> {
        let packet = handshake.packet();
        let who = printable(&packet.client_id);
        let username = packet.username.as_deref();
        let access = Arc::clone(&self.access.borrow());
        let Some(rights) = access.log_in(username, packet.password.as_deref()) else {
            self.refused("log-in", "unknown user or wrong password", who);
            return handshake.bad_username_or_pwd();
        };
        let intake = &self.context.intake;
        if let Some(will) = &packet.last_will
            && !rights.may_publish(&will.topic, intake)
        {
            self.refused("topic", "a last will on a topic that is not its own", who);
            return handshake.not_authorized();
        }
        let connection = Rc::new(Connection {
            id: self.next_id.get(),
            client_id: packet.client_id.to_string(),
            since: Instant::now(),
            rights,
            sink: handshake.sink(),
            will: RefCell::new(packet.last_will.clone()),
            subscribed: RefCell::default(),
            due: RefCell::default(),
            decisions: RefCell::default(),
            refused: Cell::new(false),
            delivering: Cell::new(false),
            gone: Cell::new(false),
            wake: Notify::new(),
        });
        let no_keep_alive = packet.keep_alive == 0;
        self.next_id.set(connection.id + 1);
        self.take_over(&connection);
        let known = Rc::clone(&connection);
        self.connections.borrow_mut().insert(connection.id, known);
        self.show_count();
        slot.connection.replace(Some(Rc::clone(&connection)));
        // It ends with the connection.
        drop(ntex::rt::spawn(bring(Rc::clone(self), connection)));
        let ack = handshake.ack((), false).max_packet_size(PACKET_BYTES_MAX);
        if no_keep_alive {
            return ack.idle_timeout(IDLE_MAX);
        }
        ack
    }

    /// The same controller connects again: the old connection ends, and its last will with it, since
    /// the controller is there.
    fn take_over(&self, new: &Connection) {
        if new.client_id.is_empty() {
            return;
        }
        for old in self.connections.borrow().values() {
            if old.client_id == new.client_id && old.rights.username() == new.rights.username() {
                old.will.take();
                old.sink.force_close();
            }
        }
    }

    /// Closes the connections that `access` would not give the same rights, and those that were refused
    /// something: they come again and are told anew. No last will: the controllers are there.
    pub(super) fn hang_up_on_others(&self, access: &Access) {
        for connection in self.connections.borrow().values() {
            if !access.still_gives(&connection.rights) || connection.refused.get() {
                connection.will.take();
                connection.sink.force_close();
            }
        }
    }

    /// Everything but CONNECT and PUBLISH.
    fn control(&self, slot: &Slot, control: Control<EndpointError>) -> ControlAck {
        let Some(connection) = slot.connection() else {
            return control.disconnect();
        };
        match control {
            Control::Subscribe(mut subscribe) => {
                for mut subscription in &mut subscribe {
                    let (filter, qos) = (subscription.topic().clone(), subscription.qos());
                    match self.subscribe(&connection, &filter, qos) {
                        Some(qos) => subscription.confirm(qos),
                        None => subscription.fail(),
                    }
                }
                connection.wake.notify_one();
                subscribe.ack()
            }
            Control::Unsubscribe(unsubscribe) => {
                let mut subscribed = connection.subscribed.borrow_mut();
                for filter in unsubscribe.iter() {
                    for topic in self.readable(&connection, filter) {
                        subscribed.remove(&topic);
                    }
                }
                unsubscribe.ack()
            }
            Control::Disconnect(disconnect) => {
                // In order: no last will (MQTT 3.1.1, 3.14.4).
                connection.will.take();
                disconnect.ack()
            }
            Control::ProtocolError(error) => {
                let why = error.get_ref().to_string();
                self.refused("protocol", &why, printable(&connection.client_id));
                error.ack()
            }
            other => other.ack(),
        }
    }

    /// The granted quality; `None`: refused.
    fn subscribe(&self, connection: &Connection, filter: &str, qos: QoS) -> Option<QoS> {
        let topics = self.readable(connection, filter);
        if topics.is_empty() {
            connection.refused.set(true);
            let who = printable(&connection.client_id);
            self.refused(
                "topic",
                "a subscription to topics that are not its own",
                who,
            );
            return None;
        }
        let qos = qos.min(QoS::AtLeastOnce);
        for topic in topics {
            if self.context.desk.retained(&topic).is_some() {
                connection.due.borrow_mut().insert(topic.clone());
            }
            connection.subscribed.borrow_mut().insert(topic, qos);
        }
        Some(qos)
    }

    fn readable(&self, connection: &Connection, filter: &str) -> Vec<String> {
        connection.rights.readable(filter, &self.context.intake)
    }

    /// PUBLISH; `Ok` is its PUBACK.
    async fn publish(&self, slot: &Slot, publish: Publish) -> Result<(), EndpointError> {
        let connection = slot.connection().ok_or(EndpointError::Topic)?;
        let topic = publish.publish_topic().to_owned();
        let intake = &self.context.intake;
        if !connection.rights.may_publish(&topic, intake) {
            let who = printable(&connection.client_id);
            self.refused("topic", "a message on a topic that is not its own", who);
            return Err(EndpointError::Topic);
        }
        let wants_ack = publish.qos() != QoS::AtMostOnce;
        let payload = read(&publish).await?;
        let message = Message {
            topic: &topic,
            payload: &payload,
            payload_bytes: publish.payload_size(),
            // A retain flag on the way to a broker asks it to keep the message; it says nothing
            // of the message's age.
            retained: false,
            connected: Some(connection.since),
        };
        let Some(heard) = intake.read(&message) else {
            return Ok(());
        };
        if !wants_ack {
            return self.pass_on(heard.with(Ack::nobody())).await;
        }
        let (ack, told) = Ack::watched();
        self.pass_on(heard.with(ack)).await?;
        match told.await {
            Ok(true) => Ok(()),
            // The controller keeps it and sends it again on its next connection.
            Ok(false) | Err(_) => Err(EndpointError::Undone),
        }
    }

    async fn pass_on(&self, event: DoorEvent) -> Result<(), EndpointError> {
        let events = self.events.borrow().clone();
        let events = events.ok_or(EndpointError::Closing)?;
        tokio::select! {
            biased;
            () = self.context.intake_closed.cancelled() => Err(EndpointError::Closing),
            sent = events.send(event) => sent.or(Err(EndpointError::Closing)),
        }
    }

    /// The connection of `slot` has ended, whatever the way.
    pub(super) async fn gone(&self, slot: &Slot) {
        let Some(connection) = slot.connection.take() else {
            return;
        };
        self.forget(&connection);
        let Some(will) = connection.will.take() else {
            return;
        };
        let heard = self.context.intake.read(&Message {
            topic: &will.topic,
            payload: &will.message,
            payload_bytes: will.message.len(),
            retained: false,
            connected: Some(connection.since),
        });
        if let Some(heard) = heard {
            // When we are stopping, that a door goes is no news.
            drop(self.pass_on(heard.with(Ack::nobody())).await);
        }
    }

    fn forget(&self, connection: &Connection) {
        connection.gone.set(true);
        connection.wake.notify_one();
        self.connections.borrow_mut().remove(&connection.id);
        self.show_count();
        self.progress.notify_one();
    }

    fn show_count(&self) {
        let n_connections = self.connections.borrow().len();
        let shown = i64::try_from(n_connections).unwrap_or(i64::MAX);
        self.context.metrics.connections.set(shown);
    }
}

impl Connection {
    fn is_idle(&self) -> bool {
        !self.delivering.get() && self.due.borrow().is_empty() && self.decisions.borrow().is_empty()
    }
}

/// The payload; of one that is too large only its end is waited for.
async fn read(publish: &Publish) -> Result<NtexBytes, EndpointError> {
    if publish.payload_size() <= PAYLOAD_BYTES_MAX {
        return publish.read_all().await.or(Err(EndpointError::Cut));
    }
    let mut n_bytes = 0;
    while n_bytes < publish.payload_size() {
        match publish.read().await {
            Ok(Some(chunk)) => n_bytes += chunk.len(),
            Ok(None) | Err(_) => return Err(EndpointError::Cut),
        }
    }
    Ok(NtexBytes::new())
}

/// Brings one connection its messages, one after another.
async fn bring(server: Rc<Server>, connection: Rc<Connection>) {
    while !connection.gone.get() {
        let Some((topic, payload, retain, kind)) = next(&server, &connection) else {
            connection.wake.notified().await;
            continue;
        };
        connection.delivering.set(true);
        let delivered = send(&connection, topic, &payload, retain).await;
        connection.delivering.set(false);
        server.progress.notify_one();
        if delivered {
            server.context.metrics.published(kind);
        } else if !connection.gone.get() {
            connection.sink.force_close();
            return;
        }
    }
}

/// Retained messages first; their newest content is looked up when it is their turn.
fn next(
    server: &Server,
    connection: &Connection,
) -> Option<(String, bytes::Bytes, bool, &'static str)> {
    loop {
        let due = connection.due.borrow_mut().pop_first();
        let Some(topic) = due else { break };
        if let Some(payload) = server.context.desk.retained(&topic) {
            let is_status = topic == server.context.intake.topics.gateway_status();
            let kind = if is_status { "status" } else { "cards" };
            return Some((topic, payload, true, kind));
        }
    }
    let (topic, payload) = connection.decisions.borrow_mut().pop_front()?;
    Some((topic, payload, false, "decision"))
}

/// Returns whether the controller has it.
async fn send(connection: &Connection, topic: String, payload: &[u8], retain: bool) -> bool {
    if !connection.sink.is_open() {
        return false;
    }
    let qos = connection.subscribed.borrow().get(&topic).copied();
    let mut publish = connection.sink.publish(topic);
    if retain {
        publish = publish.retain();
    }
    let payload = NtexBytes::copy_from_slice(payload);
    match qos {
        // Unsubscribed meanwhile.
        None => true,
        Some(QoS::AtMostOnce) => publish.send_at_most_once(payload).is_ok(),
        Some(QoS::AtLeastOnce | QoS::ExactlyOnce) => {
            let sent = tokio::time::timeout(PUBACK_TIMEOUT, publish.send_at_least_once(payload));
            matches!(sent.await, Ok(Ok(())))
        }
    }
}
