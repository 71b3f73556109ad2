//! One session at a broker: who waits for which acknowledgement.
//!
//! One connection is one rumqttc client: what it keeps after a lost connection (packet ids, pending
//! requests, collisions) is known to go wrong, so nothing of it is used again. `publish` of rumqttc
//! says that a message is queued; here its PUBACK is counted.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAck, PubAckReason, PublishProperties};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::info_span;

use crate::linkage::envelope::clean;
use crate::linkage::{DeliveryError, PEER_TEXT_CHARS_MAX};
use crate::supervise::Supervisor;

/// What is published.
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) properties: PublishProperties,
}

/// An open session, or one that was.
#[derive(Debug)]
pub(super) struct Session {
    client: AsyncClient,
    waiting: Mutex<Waiting>,
    closing: CancellationToken,
}

type Waiter = oneshot::Sender<Result<PubAckReason, String>>;

#[derive(Debug, Default)]
struct Waiting {
    /// Handed to the client, in the order in which it will send them.
    queued: VecDeque<Waiter>,
    /// Sent, by packet id.
    sent: HashMap<u16, Waiter>,
    /// Why the session has ended.
    ended: Option<String>,
}

impl Session {
    /// Connects and waits for the broker's CONNACK.
    ///
    /// # Errors
    /// [`DeliveryError::Connect`], also when the broker refuses the log-in.
    pub(super) async fn open(
        options: MqttOptions,
        in_flight_max: u16,
        within: Duration,
        supervisor: &Supervisor,
    ) -> Result<Arc<Session>, DeliveryError> {
        // Room for all that may be under way, so that handing over never waits.
        let (client, mut events) = AsyncClient::new(options, usize::from(in_flight_max));
        match timeout(within, events.poll()).await {
            Ok(Ok(_)) => {}
            Ok(Err(err)) => return Err(DeliveryError::Connect(reason(&err).into())),
            Err(_) => {
                let why = DeliveryError::TimedOut(within);
                return Err(DeliveryError::Connect(Box::new(why)));
            }
        }
        let session = Arc::new(Session {
            client,
            waiting: Mutex::default(),
            closing: supervisor.token().child_token(),
        });
        let task = run(Arc::clone(&session), events);
        supervisor.spawn("mqtt-linkage", info_span!("mqtt-linkage"), task);
        Ok(session)
    }

    /// Can it be used?
    pub(super) fn is_open(&self) -> bool {
        self.waiting.lock().ended.is_none() && !self.closing.is_cancelled()
    }

    /// Ends it.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// Publishes with QoS 1; the reason of the broker's PUBACK.
    ///
    /// # Errors
    /// [`DeliveryError::Broken`] when the session ends before.
    ///
    /// # Cancel safety
    /// When dropped, the broker may or may not get it.
    pub(super) async fn publish(&self, message: Message) -> Result<PubAckReason, DeliveryError> {
        let (waiter, acknowledged) = oneshot::channel();
        {
            // Under one lock, so that the two queues have one order.
            let mut waiting = self.waiting.lock();
            if let Some(why) = &waiting.ended {
                return Err(DeliveryError::Broken(why.clone().into()));
            }
            let handed_over = self.client.try_publish_with_properties(
                message.topic,
                QoS::AtLeastOnce,
                false,
                message.payload,
                message.properties,
            );
            if let Err(err) = handed_over {
                return Err(DeliveryError::Broken(err.to_string().into()));
            }
            waiting.queued.push_back(waiter);
        }
        match acknowledged.await {
            Ok(Ok(reason)) => Ok(reason),
            Ok(Err(why)) => Err(DeliveryError::Broken(why.into())),
            Err(_) => Err(DeliveryError::Broken("the session ended".into())),
        }
    }

    fn take(&self, event: &Event) {
        match event {
            Event::Outgoing(Outgoing::Publish(id)) => self.sent(*id),
            Event::Incoming(Packet::PubAck(ack)) => self.acknowledged(ack),
            Event::Outgoing(_) | Event::Incoming(_) => {}
        }
    }

    fn sent(&self, id: u16) {
        let mut waiting = self.waiting.lock();
        if let Some(waiter) = waiting.queued.pop_front() {
            waiting.sent.insert(id, waiter);
        }
    }

    fn acknowledged(&self, ack: &PubAck) {
        if let Some(waiter) = self.waiting.lock().sent.remove(&ack.pkid) {
            // Who waited may have given up.
            drop(waiter.send(Ok(ack.reason)));
        }
    }

    fn ended(&self, why: &str) {
        let mut waiting = self.waiting.lock();
        waiting.ended = Some(why.to_owned());
        let queued = std::mem::take(&mut waiting.queued);
        let sent = std::mem::take(&mut waiting.sent);
        for waiter in queued.into_iter().chain(sent.into_values()) {
            drop(waiter.send(Err(why.to_owned())));
        }
    }
}

/// Polls the client until the connection or the session ends. Nothing else is awaited here, since a
/// poll that is dropped halfway may have read or written half.
async fn run(session: Arc<Session>, mut events: EventLoop) {
    let why = loop {
        let event = tokio::select! {
            biased;
            // The client goes with it, halfway or not.
            () = session.closing.cancelled() => break "the session was closed".to_owned(),
            event = events.poll() => event,
        };
        match event {
            Ok(event) => {
                session.take(&event);
                if matches!(event, Event::Incoming(Packet::Disconnect(_))) {
                    break "the broker ended the session".to_owned();
                }
            }
            Err(err) => break reason(&err),
        }
    };
    // What was read together with the end of the connection: a broker may acknowledge and hang up.
    for event in events.state.events.drain(..) {
        session.take(&event);
    }
    session.ended(&why);
}

/// What ended a connection, without the layers that say the same.
fn reason(err: &ConnectionError) -> String {
    let mut text = err.to_string();
    let mut source = std::error::Error::source(err);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    clean(&text, PEER_TEXT_CHARS_MAX)
}
