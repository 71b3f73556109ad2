//! One connection to the broker, from CONNECT to its end.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, Outgoing, Packet, Publish,
    QoS, StateError, SubAck, SubscribeFilter, SubscribeReasonCode,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Context, Link};
use crate::door::desk::Slip;
use crate::door::event::Ack;
use crate::door::intake::Message;
use crate::error::chain;

/// Outgoing messages under way to the broker at a time.
const WINDOW: usize = 16;
/// Room in the client for our receipts and publishes: more than can ever be under way, so that
/// putting one in never waits.
const REQUESTS_MAX: usize = 4_096;
/// TCP, TLS and CONNACK together.
const CONNECT_TIMEOUT_S: u64 = 5;
const SUBACK_TIMEOUT: Duration = Duration::from_secs(10);
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// The rest of the gateway takes nothing for this long: say so.
const SLOW_INTAKE: Duration = Duration::from_secs(2);

/// How a session ended.
pub(super) enum Ended {
    /// We were told to stop.
    Stopped,
    /// We wanted a new one.
    Renewed,
    /// It broke.
    Failed(Failure),
}

/// Why a session broke.
pub(super) struct Failure {
    /// In words that say what to do.
    pub(super) reason: String,
    /// It will not mend by itself.
    pub(super) needs_someone: bool,
    /// How long the session had been there.
    pub(super) worked_for: Duration,
}

/// The session as the senders see it.
#[derive(Debug, Default)]
pub(super) struct Session {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    client: Option<AsyncClient>,
    /// Given to the client, not yet on the wire; in order.
    queued: VecDeque<Slip>,
    /// On the wire, by packet id.
    on_wire: HashMap<u16, Slip>,
}

impl Session {
    fn begin(&self, client: AsyncClient) {
        *self.state.lock() = State {
            client: Some(client),
            ..State::default()
        };
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.lock().client.is_some()
    }

    fn end(&self) {
        *self.state.lock() = State::default();
    }

    /// Gives letters to the client as long as there is room under way. Never waits.
    pub(super) fn pump(&self, context: &Context) {
        let mut state = self.state.lock();
        context.metrics.dropped(context.desk.take_n_stale());
        let Some(client) = state.client.clone() else {
            return;
        };
        while state.queued.len() + state.on_wire.len() < WINDOW {
            let Some(letter) = context.desk.next() else {
                return;
            };
            let given = client.try_publish(
                letter.topic,
                QoS::AtLeastOnce,
                letter.retain,
                letter.payload,
            );
            if given.is_err() {
                context.desk.put_back(&letter.slip);
                return;
            }
            state.queued.push_back(letter.slip);
        }
    }

    fn on_wire(&self, packet_id: u16) {
        let mut state = self.state.lock();
        if let Some(slip) = state.queued.pop_front() {
            state.on_wire.insert(packet_id, slip);
        }
    }

    fn acknowledged(&self, packet_id: u16, context: &Context) {
        let slip = self.state.lock().on_wire.remove(&packet_id);
        if let Some(slip) = slip {
            context.metrics.published(slip.kind());
            context.desk.taken(&slip);
        }
        self.pump(context);
    }
}

/// Where a session stands.
struct Progress {
    client: AsyncClient,
    /// Gone when the session is.
    alive: Arc<()>,
    filters: Vec<String>,
    /// CONNACK.
    connected_at: Option<Instant>,
    /// All subscriptions granted.
    healthy: bool,
    /// SUBSCRIBE is unanswered; until when.
    suback_until: Option<Instant>,
}

impl Progress {
    fn worked_for(&self) -> Duration {
        self.connected_at
            .map_or(Duration::ZERO, |connected_at| connected_at.elapsed())
    }
}

/// Runs one session until it ends.
pub(super) async fn run(link: &Arc<Link>, token: &CancellationToken) -> Ended {
    let (client, mut event_loop) = AsyncClient::new(link.options.clone(), REQUESTS_MAX);
    event_loop
        .network_options
        .set_connection_timeout(CONNECT_TIMEOUT_S)
        .set_tcp_nodelay(true);
    let mut progress = Progress {
        client: client.clone(),
        alive: Arc::new(()),
        filters: link.context.intake.filters(),
        connected_at: None,
        healthy: false,
        suback_until: None,
    };
    let ended = poll(link, token, &mut event_loop, &mut progress).await;
    link.session.end();
    let polite = match ended {
        Ended::Stopped => link.context.goodbye.is_cancelled(),
        Ended::Renewed => true,
        Ended::Failed(_) => false,
    };
    if polite && progress.connected_at.is_some() {
        // Else the broker would publish our last will. Receipts given before go first.
        say_goodbye(&client, &mut event_loop).await;
    }
    ended
}

async fn poll(
    link: &Arc<Link>,
    token: &CancellationToken,
    event_loop: &mut EventLoop,
    progress: &mut Progress,
) -> Ended {
    loop {
        let suback_until = progress.suback_until.unwrap_or_else(Instant::now);
        // Only the last branch goes round again: polling is not given up half-way and resumed.
        let event = tokio::select! {
            biased;
            () = token.cancelled() => return Ended::Stopped,
            () = link.context.goodbye.cancelled() => return Ended::Stopped,
            () = link.renew.notified() => return Ended::Renewed,
            () = tokio::time::sleep_until(suback_until), if progress.suback_until.is_some() => {
                return failed(progress, "the broker does not answer our SUBSCRIBE".to_owned());
            }
            event = event_loop.poll() => event,
        };
        let outcome = match event {
            Ok(event) => on_event(link, token, progress, event).await,
            Err(err) => Err(failure(link, progress, &err)),
        };
        if let Err(failure) = outcome {
            return Ended::Failed(failure);
        }
    }
}

async fn on_event(
    link: &Arc<Link>,
    token: &CancellationToken,
    progress: &mut Progress,
    event: Event,
) -> Result<(), Failure> {
    match event {
        Event::Incoming(Packet::ConnAck(ack)) => {
            progress.connected_at = Some(Instant::now());
            link.context.metrics.connections.set(1);
            link.context.book.connected(Instant::now());
            link.context.desk.reconnected(ack.session_present);
            link.session.begin(progress.client.clone());
            info!(session_present = ack.session_present, "mqtt connected");
            // Also in a session that is present: the answer is the proof that we are still let in,
            // and the statuses that the broker retains come with it.
            subscribe(progress)?;
        }
        Event::Incoming(Packet::SubAck(ack)) => on_suback(link, progress, &ack),
        Event::Incoming(Packet::Publish(publish)) => {
            on_publish(link, token, progress, publish).await;
        }
        Event::Incoming(Packet::PubAck(ack)) => {
            link.session.acknowledged(ack.pkid, &link.context);
        }
        Event::Outgoing(Outgoing::Publish(packet_id)) => link.session.on_wire(packet_id),
        Event::Outgoing(Outgoing::AwaitAck(_)) => {
            let reason = "the broker leaves messages of ours unacknowledged".to_owned();
            return Err(Failure::passing(progress, reason));
        }
        Event::Incoming(_) | Event::Outgoing(_) => {}
    }
    Ok(())
}

fn subscribe(progress: &mut Progress) -> Result<(), Failure> {
    let filters = progress.filters.iter();
    let filters = filters.map(|path| SubscribeFilter::new(path.clone(), QoS::AtLeastOnce));
    if progress.client.try_subscribe_many(filters).is_err() {
        let reason = "the MQTT client takes no SUBSCRIBE".to_owned();
        return Err(Failure::passing(progress, reason));
    }
    progress.suback_until = Some(Instant::now() + SUBACK_TIMEOUT);
    Ok(())
}

fn on_suback(link: &Arc<Link>, progress: &mut Progress, ack: &SubAck) {
    progress.suback_until = None;
    let granted = |code: &SubscribeReasonCode| {
        matches!(
            code,
            SubscribeReasonCode::Success(QoS::AtLeastOnce | QoS::ExactlyOnce)
        )
    };
    let codes = ack.return_codes.iter();
    let answered = progress.filters.iter().zip(codes);
    let refused: Vec<&str> = answered
        .filter(|(_, code)| !granted(code))
        .map(|(filter, _)| filter.as_str())
        .collect();
    if refused.is_empty() {
        progress.healthy = true;
        link.health.ok();
        info!("mqtt subscribed");
    } else {
        let filters = refused.join(", ");
        let user = user_text(link);
        let reason = format!(
            "the broker does not grant {user} the subscription to {filters} with QoS 1: allow it in the broker's ACL"
        );
        link.health.failed(&reason);
        warn!(filters, "mqtt subscription refused");
        link.refused.notify_one();
    }
    link.session.pump(&link.context);
}

async fn on_publish(
    link: &Arc<Link>,
    token: &CancellationToken,
    progress: &Progress,
    publish: Publish,
) {
    if link.context.intake_closed.is_cancelled() {
        // Not acknowledged: it stays with the broker.
        return;
    }
    let heard = link.context.intake.read(&Message {
        topic: &publish.topic,
        payload: &publish.payload,
        payload_bytes: publish.payload.len(),
        retained: publish.retain,
        connected: None,
    });
    let ack = receipt(link, progress, &publish);
    let Some(heard) = heard else {
        ack.done();
        return;
    };
    let event = heard.with(ack);
    let Err(full) = link.queue.try_send(event) else {
        return;
    };
    let event = full.into_inner();
    // Not polling holds the broker back through TCP; receipts are sent as soon as we go on.
    let slow = tokio::time::sleep(SLOW_INTAKE);
    tokio::pin!(slow);
    let sent = link.queue.send(event);
    tokio::pin!(sent);
    loop {
        tokio::select! {
            biased;
            () = token.cancelled() => return,
            () = link.context.intake_closed.cancelled() => return,
            _ = &mut sent => break,
            () = &mut slow, if !slow.is_elapsed() => {
                warn!("swipes are kept more slowly than they come");
                link.health.degraded("swipes are kept more slowly than they come; the broker keeps them: look at the disk");
            }
        }
    }
    if slow.is_elapsed() && progress.healthy {
        link.health.ok();
    }
}

/// The receipt of `publish`, good for this connection only: on the next one the broker sends again
/// what it has no receipt for.
fn receipt(link: &Arc<Link>, progress: &Progress, publish: &Publish) -> Ack {
    if publish.qos == QoS::AtMostOnce {
        return Ack::nobody();
    }
    let mut id = Publish::new(String::new(), publish.qos, Vec::new());
    id.pkid = publish.pkid;
    let client = progress.client.clone();
    let session = Arc::downgrade(&progress.alive);
    let undone = Arc::clone(&link.undone);
    Ack::new(move |done| {
        if session.strong_count() == 0 {
            // The connection is gone; on the next one it comes again anyway.
            return;
        }
        if !done || client.try_ack(&id).is_err() {
            undone.notify_one();
        }
    })
}

async fn say_goodbye(client: &AsyncClient, event_loop: &mut EventLoop) {
    if client.try_disconnect().is_err() {
        return;
    }
    let until_sent = async {
        while let Ok(event) = event_loop.poll().await {
            if matches!(event, Event::Outgoing(Outgoing::Disconnect)) {
                return;
            }
        }
    };
    if tokio::time::timeout(GOODBYE_TIMEOUT, until_sent)
        .await
        .is_err()
    {
        warn!("the broker does not take our goodbye");
    }
}

impl Failure {
    fn passing(progress: &Progress, reason: String) -> Failure {
        Failure {
            reason,
            needs_someone: false,
            worked_for: progress.worked_for(),
        }
    }
}

fn failed(progress: &Progress, reason: String) -> Ended {
    Ended::Failed(Failure::passing(progress, reason))
}

fn user_text(link: &Link) -> String {
    match &link.broker.username {
        Some(name) => format!("user {name:?}"),
        None => "us (without log-in)".to_owned(),
    }
}

fn failure(link: &Link, progress: &Progress, err: &ConnectionError) -> Failure {
    let broker = format!("{}:{}", link.broker.host, link.broker.port);
    let (reason, needs_someone) = match err {
        ConnectionError::ConnectionRefused(code) => refusal(link, *code),
        ConnectionError::Tls(err) => (
            format!(
                "TLS with the broker at {broker} fails ({}): check the port and mqtt.ca_file",
                chain(err)
            ),
            true,
        ),
        ConnectionError::Io(err) if progress.connected_at.is_none() => (
            format!("the broker at {broker} cannot be reached ({err})"),
            false,
        ),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            (format!("the broker at {broker} does not answer"), false)
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            (format!("the broker at {broker} no longer answers"), false)
        }
        ConnectionError::MqttState(StateError::ConnectionAborted)
            if progress.connected_at.is_some() =>
        {
            (
                format!(
                    "the broker at {broker} closed the connection; if it keeps doing so, another client may use the client id {:?}",
                    link.broker.client_id
                ),
                false,
            )
        }
        other => (
            format!(
                "the connection to the broker at {broker} broke ({})",
                chain(other)
            ),
            false,
        ),
    };
    Failure {
        reason,
        needs_someone,
        worked_for: progress.worked_for(),
    }
}

fn refusal(link: &Link, code: ConnectReturnCode) -> (String, bool) {
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            let user = user_text(link);
            let reason = format!(
                "the broker does not let {user} in: check mqtt.username and mqtt.password_file"
            );
            (reason, true)
        }
        ConnectReturnCode::BadClientId => (
            format!(
                "the broker refuses the client id {:?}",
                link.broker.client_id
            ),
            true,
        ),
        ConnectReturnCode::RefusedProtocolVersion => {
            ("the broker does not speak MQTT 3.1.1".to_owned(), true)
        }
        ConnectReturnCode::ServiceUnavailable | ConnectReturnCode::Success => {
            ("the broker says that it is unavailable".to_owned(), false)
        }
    }
}
