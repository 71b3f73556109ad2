//! Doors through real carriers: mosquitto and the embedded endpoint.

mod embedded;
mod external;

use std::collections::BTreeSet;
use std::time::Duration;

use stairgate::domain::card::CardNumber;
use stairgate::domain::id::{CompoundId, DoorId};
use stairgate::domain::secret::Secret;
use stairgate::door::device::{DeviceOptions, DoorDevice, SwipeMessage};
use stairgate::door::{
    Broker, CardList, Dialect, DoorEvent, DoorOptions, Doors, DoorsOptions, ExternalBroker,
    TlsOptions,
};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::{HealthBoard, Registry, State};
use stairgate::time::{Clock, TimeZone};
use tokio::sync::mpsc;

use crate::harness::{Mosquitto, eventually};

/// Long enough for anything that goes right on a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn compound() -> CompoundId {
    CompoundId::new("majian-1").unwrap()
}

fn door(n: usize) -> DoorId {
    DoorId::new(&format!("d{n}")).unwrap()
}

fn native(n_doors: usize) -> Vec<DoorOptions> {
    let option = |n| DoorOptions {
        id: door(n),
        controller: Dialect::Native,
    };
    (1..=n_doors).map(option).collect()
}

fn at_broker(broker: &Mosquitto) -> Broker {
    Broker::External(ExternalBroker {
        host: "localhost".to_owned(),
        port: broker.addr().port(),
        tls: broker.tls().map(|tls| TlsOptions {
            ca_file: Some(tls.ca.clone()),
        }),
        client_id: "stairgate-majian-1".to_owned(),
        username: None,
        password: None,
    })
}

/// The part of a gateway that this is about.
struct Gateway {
    doors: Doors,
    events: mpsc::Receiver<DoorEvent>,
    board: HealthBoard,
    registry: Registry,
    supervisor: Supervisor,
}

impl Gateway {
    fn start(broker: Broker, doors: Vec<DoorOptions>) -> Gateway {
        Gateway::try_start(broker, doors).unwrap()
    }

    fn try_start(
        broker: Broker,
        doors: Vec<DoorOptions>,
    ) -> Result<Gateway, stairgate::door::DoorError> {
        let board = HealthBoard::new(Clock::system());
        let mut registry = stairgate::telemetry::registry();
        let supervisor = Supervisor::new();
        let options = DoorsOptions {
            compound: compound(),
            topic_prefix: "stairgate".to_owned(),
            time_zone: TimeZone::utc(),
            broker,
            doors,
        };
        let clock = Clock::system();
        let (doors, events) = Doors::start(options, clock, &supervisor, &board, &mut registry)?;
        Ok(Gateway {
            doors,
            events,
            board,
            registry,
            supervisor,
        })
    }

    fn mqtt_health(&self) -> (State, String) {
        let line = self.board.snapshot()["mqtt"].clone();
        (line.state, line.reason)
    }

    async fn healthy(&self) {
        eventually("mqtt is healthy", SOON, || {
            self.mqtt_health().0 == State::Ok
        })
        .await;
    }

    async fn next(&mut self) -> DoorEvent {
        tokio::time::timeout(SOON, self.events.recv())
            .await
            .expect("an event in time")
            .expect("the doors go on")
    }

    /// Takes swipes and acknowledges them until all of `wanted` have come; returns how many came
    /// more than once.
    async fn take_swipes(&mut self, wanted: impl IntoIterator<Item = u64>) -> usize {
        let mut missing: BTreeSet<u64> = wanted.into_iter().collect();
        let mut n_repeated = 0;
        while !missing.is_empty() {
            match self.next().await {
                DoorEvent::Swipe { swipe, ack } => {
                    if !missing.remove(&swipe.key.seq) {
                        n_repeated += 1;
                    }
                    ack.done();
                }
                DoorEvent::State { ack, .. } | DoorEvent::Status { ack, .. } => ack.done(),
                DoorEvent::Reject { reject, .. } => panic!("{reject:?}"),
            }
        }
        n_repeated
    }

    /// The next swipe, with its receipt.
    async fn next_swipe(&mut self) -> (stairgate::domain::swipe::Swipe, stairgate::door::Ack) {
        loop {
            match self.next().await {
                DoorEvent::Swipe { swipe, ack } => return (swipe, ack),
                DoorEvent::State { ack, .. } | DoorEvent::Status { ack, .. } => ack.done(),
                DoorEvent::Reject { reject, .. } => panic!("{reject:?}"),
            }
        }
    }

    /// Ends at once, as if the power had gone.
    async fn crash(self) {
        self.supervisor.shutdown(SOON).await.unwrap();
    }

    fn metric(&self, line: &str) -> Option<u64> {
        let text = stairgate::telemetry::scrape(&self.registry);
        let value = text.lines().find_map(|l| l.strip_prefix(line))?.trim();
        value.parse().ok()
    }
}

fn device_options(port: u16, n: usize) -> DeviceOptions {
    DeviceOptions {
        host: "localhost".to_owned(),
        port,
        tls: None,
        credentials: None,
        topic_prefix: "stairgate".to_owned(),
        compound: compound(),
        door: door(n),
        firmware: "simulated 1".to_owned(),
        reconnect: true,
    }
}

async fn device(port: u16, n: usize, supervisor: &Supervisor) -> DoorDevice {
    let device = DoorDevice::start(device_options(port, n), supervisor).unwrap();
    device.connected(SOON).await.unwrap();
    device
}

fn swipe(seq: u64) -> SwipeMessage {
    SwipeMessage {
        v: 1,
        boot: "5f3a".to_owned(),
        seq,
        at: Some(Clock::system().now()),
        card: Some("04A1B2C3D4".to_owned()),
        direction: "in",
        result: "granted",
        method: "card",
    }
}

fn cards(version: u64, n: u32) -> CardList {
    let card = |n: u32| CardNumber::new(&format!("{n:08X}")).unwrap();
    CardList {
        version,
        cards: (0..n).map(card).collect(),
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

/// Runs `task` beside the test.
#[expect(
    clippy::disallowed_methods,
    reason = "a test awaits what it starts, or ends"
)]
fn beside<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(task)
}
