//! Simulated doors: controllers that speak the contract's MQTT messages, with the faults of real ones.
//!
//! A door keeps the card list it was sent and opens by it when nobody answers. How long the broker's
//! acknowledgement and the gateway's decision took is measured. Not here: the link to the broker,
//! which keeps each message until its acknowledgement; that is `door::device`.

mod controller;
mod fault;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Span, debug, warn};

use self::controller::Controller;
use self::fault::Faults;
use crate::domain::card::CardNumber;
use crate::domain::id::{CompoundId, DoorId};
use crate::domain::secret::Secret;
use crate::domain::swipe::{ControllerResult, Direction, DoorState, Method, SwipeKey};
use crate::door::TlsOptions;
use crate::door::device::{
    CardsMessage, DecisionMessage, DeviceError, DeviceOptions, DoorDevice, Link,
};
use crate::door::topics::{Leaf, Topics};
use crate::supervise::{ShutdownTimeout, Supervisor};
use crate::time::Clock;

pub use self::fault::{DoorFault, DoorFaultParseError, Malformed};

/// A controller waits so long for a decision, then does as its own list says: five times what the
/// contract allows the gateway.
const DECISION_TIMEOUT: Duration = Duration::from_secs(1);
/// So long [`SimDoor::swipe`] waits for the acknowledgement; the controller goes on trying.
const ACK_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Swipes of a burst that are under way at a time.
const BURST_WIDTH: usize = 64;
/// Delays remembered for the quantiles of [`DoorStats`].
const DELAYS_MAX: usize = 10_000;
/// How long [`SimDoors::stop`] waits.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Who opens the door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoorMode {
    /// The controller, from its card list.
    #[default]
    Record,
    /// The gateway; when it does not answer within a second, the card list.
    Online,
}

/// One simulated door.
#[derive(Clone, Debug)]
pub struct SimDoorOptions {
    /// Its id, which is its MQTT client id too.
    pub id: DoorId,
    /// Its user name and password; `None`: no log-in.
    pub credentials: Option<(String, Secret)>,
    /// Who opens it.
    pub mode: DoorMode,
}

/// The simulated doors of a compound.
#[derive(Clone, Debug)]
pub struct SimDoorsOptions {
    /// The broker's host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `None`: plain TCP.
    pub tls: Option<TlsOptions>,
    /// The compound; the second level of every topic.
    pub compound: CompoundId,
    /// First levels of every topic, such as `stairgate`.
    pub topic_prefix: String,
    /// The doors; each id once.
    pub doors: Vec<SimDoorOptions>,
}

/// What a person does at a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimSwipe {
    /// The card; `None` for a button.
    pub card: Option<CardNumber>,
    /// Which way.
    pub direction: Direction,
    /// How.
    pub method: Method,
}

impl SimSwipe {
    /// A card held to the reader outside.
    pub fn card(card: CardNumber) -> SimSwipe {
        SimSwipe {
            card: Some(card),
            direction: Direction::In,
            method: Method::Card,
        }
    }
}

/// What became of a swipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwipeReport {
    /// Its identity at that door.
    pub key: SwipeKey,
    /// When the card was held to the reader.
    pub swiped_at: Instant,
    /// How many copies were published; more than 1 by [`DoorFault::Duplicate`].
    pub n_copies: u32,
    /// From the publish of the first copy to its PUBACK, times without connection included.
    pub acked_after: Duration,
    /// The decision, if one came in time.
    pub decision: Option<SimDecision>,
    /// Did the door open?
    pub has_opened: bool,
}

/// A decision as it came to a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimDecision {
    /// May the person pass?
    pub grant: bool,
    /// Why.
    pub reason: String,
    /// From the publish to its arrival.
    pub after: Duration,
}

/// Counts and delays since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoorStats {
    /// Swipes acknowledged.
    pub n_acked: u64,
    /// Decisions that came in time.
    pub n_decided: u64,
    /// Median and 99th percentile from publish to PUBACK, over the last 10,000.
    pub ack: Quantiles,
    /// The same from publish to decision.
    pub decision: Quantiles,
}

/// Of a set of delays; zero when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Half are at most this.
    pub p50: Duration,
    /// 99 of 100 are at most this.
    pub p99: Duration,
    /// All are at most this.
    pub max: Duration,
}

#[derive(Debug, Default)]
struct Tally {
    n_acked: u64,
    n_decided: u64,
    ack: Delays,
    decision: Delays,
}

#[derive(Debug, Default)]
struct Delays {
    delays: Vec<Duration>,
    next: usize,
}

/// One running door. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct SimDoor {
    shared: Arc<Shared>,
}

struct Shared {
    id: DoorId,
    mode: DoorMode,
    topics: Topics,
    device: DoorDevice,
    controller: Mutex<Controller>,
    tally: Arc<Mutex<Tally>>,
    clock: Clock,
}

/// The running doors; they end when it is dropped.
pub struct SimDoors {
    doors: BTreeMap<DoorId, SimDoor>,
    tally: Arc<Mutex<Tally>>,
    supervisor: Supervisor,
}

impl SimDoors {
    /// Connects all doors, each with a connection of its own.
    ///
    /// # Errors
    /// [`DeviceError`] when the topics cannot begin so or the broker could not be trusted.
    pub fn start(
        options: &SimDoorsOptions,
        clock: &Clock,
        supervisor: &Supervisor,
    ) -> Result<SimDoors, DeviceError> {
        let supervisor = supervisor.group();
        let tally = Arc::new(Mutex::new(Tally::default()));
        let mut doors = BTreeMap::new();
        let topics = Topics::new(&options.topic_prefix, &options.compound)
            .map_err(DeviceError::TopicPrefix)?;
        for door in &options.doors {
            let device = DeviceOptions {
                host: options.host.clone(),
                port: options.port,
                tls: options.tls.clone(),
                credentials: door.credentials.clone(),
                topic_prefix: options.topic_prefix.clone(),
                compound: options.compound.clone(),
                door: door.id.clone(),
                firmware: concat!("simulated ", env!("CARGO_PKG_VERSION")).to_owned(),
                reconnect: true,
            };
            let shared = Arc::new(Shared {
                id: door.id.clone(),
                mode: door.mode,
                topics: topics.clone(),
                device: DoorDevice::start(device, &supervisor)?,
                controller: Mutex::new(Controller::new()),
                tally: Arc::clone(&tally),
                clock: clock.clone(),
            });
            let task = listen(Arc::clone(&shared), supervisor.token());
            supervisor.spawn("simulated door", Span::current(), task);
            doors.insert(door.id.clone(), SimDoor { shared });
        }
        Ok(SimDoors {
            doors,
            tally,
            supervisor,
        })
    }

    /// The door `id`.
    pub fn get(&self, id: &DoorId) -> Option<SimDoor> {
        self.doors.get(id).cloned()
    }

    /// All doors, by id.
    pub fn all(&self) -> impl Iterator<Item = &SimDoor> {
        self.doors.values()
    }

    /// Counts and delays over all doors.
    pub fn stats(&self) -> DoorStats {
        let tally = self.tally.lock();
        DoorStats {
            n_acked: tally.n_acked,
            n_decided: tally.n_decided,
            ack: tally.ack.quantiles(),
            decision: tally.decision.quantiles(),
        }
    }

    /// Ends all doors.
    ///
    /// # Errors
    /// [`ShutdownTimeout`] when they do not end within 5 s.
    pub async fn stop(&self) -> Result<(), ShutdownTimeout> {
        self.supervisor.shutdown(STOP_WITHIN).await
    }
}

impl Drop for SimDoors {
    fn drop(&mut self) {
        self.supervisor.token().cancel();
    }
}

impl SimDoor {
    /// Its id.
    pub fn id(&self) -> &DoorId {
        &self.shared.id
    }

    /// Is it connected, so that a swipe can be published?
    pub fn is_online(&self) -> bool {
        matches!(&*self.shared.device.link().borrow(), Link::Up { .. })
    }

    /// Version and length of the card list it holds; `None` before the first.
    pub fn cards(&self) -> Option<(u64, usize)> {
        self.shared.controller.lock().cards()
    }

    /// Sets `fault`.
    pub fn set_fault(&self, fault: DoorFault) {
        let mut controller = self.shared.controller.lock();
        let faults = &mut controller.faults;
        match fault {
            DoorFault::Clear => *faults = Faults::default(),
            DoorFault::Duplicate { n_more } => faults.n_more = n_more,
            DoorFault::Late { by } => faults.late = by,
            DoorFault::Malformed(malformed) => faults.malformed = Some(malformed),
            DoorFault::Retained => faults.retained = true,
            DoorFault::NoTime => faults.no_time = true,
            DoorFault::ClockOffset { ms } => faults.clock_offset_ms = ms,
            DoorFault::Reboot => controller.reboot(),
            DoorFault::Unplug => self.shared.device.switch_off(),
            DoorFault::Plug => self.shared.device.switch_on(),
        }
    }

    /// A swipe: reported until acknowledged; then, where the gateway opens the door, its decision is
    /// awaited for a second.
    ///
    /// # Errors
    /// [`DeviceError`] when not acknowledged within half an hour or when the doors have ended.
    ///
    /// # Cancel safety
    /// The swipe is taken; it may or may not be reported when dropped.
    pub async fn swipe(&self, swipe: &SimSwipe) -> Result<SwipeReport, DeviceError> {
        let shared = &self.shared;
        let swiped_at = Instant::now();
        let (report, faults) = {
            let mut controller = shared.controller.lock();
            let report = controller.swipe(swipe, shared.mode, shared.clock.now());
            (report, controller.faults)
        };
        if !faults.late.is_zero() {
            sleep_until(swiped_at + faults.late).await;
        }
        let published_at = Instant::now();
        self.report(&report.payload, faults.retained).await?;
        let acked_after = published_at.elapsed();
        for _ in 0..faults.n_more {
            self.report(&report.payload, faults.retained).await?;
        }
        let decision = match shared.mode {
            DoorMode::Record => None,
            DoorMode::Online => {
                let until = published_at + DECISION_TIMEOUT;
                match timeout_at(until, report.answer).await {
                    Ok(Ok(answer)) => Some(SimDecision {
                        grant: answer.grant,
                        reason: answer.reason,
                        after: answer.at.saturating_duration_since(published_at),
                    }),
                    Ok(Err(_)) | Err(_) => None,
                }
            }
        };
        let mut controller = shared.controller.lock();
        controller.forget(&report.key);
        let by_itself = match report.result {
            ControllerResult::Unknown => controller.decide(swipe),
            own @ (ControllerResult::Granted | ControllerResult::Denied) => own,
        };
        drop(controller);
        shared.tally.lock().add(acked_after, decision.as_ref());
        Ok(SwipeReport {
            key: report.key,
            swiped_at,
            n_copies: faults.n_more + 1,
            acked_after,
            has_opened: decision
                .as_ref()
                .map_or(by_itself == ControllerResult::Granted, |decision| {
                    decision.grant
                }),
            decision,
        })
    }

    /// `n` swipes, `per_second` of them each second, at most 64 under way at a time. In the order in
    /// which they were acknowledged.
    pub async fn burst(
        &self,
        swipe: &SimSwipe,
        n: u32,
        per_second: u32,
    ) -> Vec<Result<SwipeReport, DeviceError>> {
        let begun = Instant::now();
        let each = Duration::from_secs(1) / per_second.max(1);
        let swipes = stream::iter(0..n).map(|idx| async move {
            sleep_until(begun + each * idx).await;
            self.swipe(swipe).await
        });
        swipes.buffer_unordered(BURST_WIDTH).collect().await
    }

    /// Publishes the last `n` swipes again, as controllers do after a loss of power; 64 at most.
    ///
    /// # Errors
    /// As [`SimDoor::swipe`].
    pub async fn replay(&self, n: usize) -> Result<(), DeviceError> {
        let payloads = self.shared.controller.lock().last_reports(n);
        for payload in payloads {
            self.report(&payload, false).await?;
        }
        Ok(())
    }

    /// Reports a state of the door itself.
    ///
    /// # Errors
    /// As [`SimDoor::swipe`].
    pub async fn report_state(&self, state: DoorState) -> Result<(), DeviceError> {
        let shared = &self.shared;
        let payload = shared.controller.lock().state(state, shared.clock.now());
        let topic = shared.topics.door(&shared.id, Leaf::State);
        shared
            .device
            .publish(topic, payload, false, ACK_TIMEOUT)
            .await
    }

    async fn report(&self, payload: &Bytes, is_retained: bool) -> Result<(), DeviceError> {
        let shared = &self.shared;
        let topic = shared.topics.door(&shared.id, Leaf::Swipe);
        let payload = payload.clone();
        shared
            .device
            .publish(topic, payload, is_retained, ACK_TIMEOUT)
            .await
    }
}

/// Takes in what the gateway sends to the door.
async fn listen(shared: Arc<Shared>, token: CancellationToken) {
    let mut cards = shared.device.cards();
    let mut decisions = shared.device.decisions();
    loop {
        // Both channels are cancel-safe, and their senders live in the device that we hold.
        tokio::select! {
            biased;
            () = token.cancelled() => return,
            decision = decisions.recv() => match decision {
                Ok(decision) => shared.take_decision(decision),
                Err(error) => warn!(door = %shared.id, %error, "simulated door missed decisions"),
            },
            changed = cards.changed() => if changed.is_ok() {
                let list: Option<CardsMessage> = cards.borrow_and_update().clone();
                if let Some(list) = list {
                    shared.controller.lock().take_cards(list);
                }
            },
        }
    }
}

impl Shared {
    fn take_decision(&self, decision: DecisionMessage) {
        let is_awaited = self
            .controller
            .lock()
            .take_decision(decision, Instant::now());
        if !is_awaited {
            debug!(door = %self.id, "simulated door got a decision it does not wait for");
        }
    }
}

impl Tally {
    fn add(&mut self, acked_after: Duration, decision: Option<&SimDecision>) {
        self.n_acked += 1;
        self.ack.add(acked_after);
        if let Some(decision) = decision {
            self.n_decided += 1;
            self.decision.add(decision.after);
        }
    }
}

impl Delays {
    fn add(&mut self, delay: Duration) {
        match self.delays.get_mut(self.next) {
            Some(oldest) => *oldest = delay,
            None => self.delays.push(delay),
        }
        self.next = (self.next + 1) % DELAYS_MAX;
    }

    fn quantiles(&self) -> Quantiles {
        let mut sorted = self.delays.clone();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let idx = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(idx).copied().unwrap_or_default()
        };
        Quantiles {
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_full_ring_forget_the_oldest() {
        let mut delays = Delays::default();
        assert_eq!(delays.quantiles(), Quantiles::default());
        for ms in 0..15_000 {
            delays.add(Duration::from_millis(ms));
        }
        let quantiles = delays.quantiles();
        assert_eq!(quantiles.max, Duration::from_millis(14_999));
        assert_eq!(quantiles.p50, Duration::from_millis(9_999));
        assert_eq!(quantiles.p99, Duration::from_millis(14_899));
    }
}
