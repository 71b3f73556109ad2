//! Alerts that always arrive: the outbox with real receivers on loopback, and a real store.

mod arrival;
mod crash;
mod kinds;
mod outage;
mod tls;
mod told;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stairgate::domain::alert::{Alert, Delivery, DeliveryState};
use stairgate::domain::id::LinkageId;
use stairgate::linkage::Linkage;
use stairgate::linkage::grpc::Grpc;
use stairgate::linkage::webhook::Webhook;
use stairgate::outbox::{
    self, Change, DeliveryFilter, FloodOptions, LinkagePolicy, LinkageSetup, Outbox, OutboxBase,
    OutboxEvent, OutboxOptions,
};
use stairgate::retry::Backoff;
use stairgate::store::{Store, StoreOptions, verify};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::{Component, HealthBoard, Registry};
use stairgate::time::Clock;
use tokio::sync::mpsc;

use crate::harness::eventually;
use crate::linkage::facts;
use crate::linkage::receiver::{Receiver, Taken};

/// Long enough for what takes some milliseconds on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// The contract's behaviour at a hundredth of its pace, each alert by itself.
fn fast() -> OutboxOptions {
    OutboxOptions {
        backoff: Backoff::new(Duration::from_millis(20), Duration::from_millis(600), 30).unwrap(),
        down_after: Duration::from_millis(200),
        probe_period: Duration::from_millis(300),
        flood: FloodOptions {
            window: Duration::ZERO,
            ..FloodOptions::default()
        },
        ..OutboxOptions::default()
    }
}

/// The `n`-th of `from`, round and round.
fn pick<T: Copy>(from: &[T], n: u64) -> T {
    from[usize::try_from(n).unwrap() % from.len()]
}

fn id(linkage: &str) -> LinkageId {
    LinkageId::new(linkage).unwrap()
}

fn setup(name: &str, receiver: &Receiver) -> LinkageSetup {
    setup_at(name, receiver.url())
}

fn setup_at(name: &str, url: url::Url) -> LinkageSetup {
    let options = super::linkage::webhook_options(name, url);
    LinkageSetup {
        linkage: Arc::new(Webhook::new(options, Clock::system()).unwrap()),
        policy: LinkagePolicy::new(id(name)),
    }
}

fn grpc_setup_at(name: &str, url: url::Url) -> LinkageSetup {
    let options = super::linkage::grpc_options(name, url);
    LinkageSetup {
        linkage: Arc::new(Grpc::new(options).unwrap()),
        policy: LinkagePolicy::new(id(name)),
    }
}

/// `linkage` under its own id.
fn setup_of(linkage: Arc<dyn Linkage>) -> LinkageSetup {
    LinkageSetup {
        policy: LinkagePolicy::new(linkage.id().clone()),
        linkage,
    }
}

/// A store and an outbox over it.
struct Bed {
    store: Store,
    clock: Clock,
    board: HealthBoard,
    registry: Registry,
    outbox: Outbox,
    events: mpsc::Receiver<OutboxEvent>,
    supervisor: Supervisor,
}

impl Bed {
    fn start(path: &Path, linkages: Vec<LinkageSetup>) -> Bed {
        Bed::start_with(path, linkages, fast(), Clock::system())
    }

    fn start_with(
        path: &Path,
        linkages: Vec<LinkageSetup>,
        options: OutboxOptions,
        clock: Clock,
    ) -> Bed {
        let supervisor = Supervisor::new();
        let mut registry = stairgate::telemetry::registry();
        let store_options = StoreOptions {
            path: path.to_owned(),
        };
        let store = Store::open(&store_options, &supervisor, &mut registry).unwrap();
        let board = HealthBoard::new(clock.clone());
        let base = OutboxBase {
            store: store.clone(),
            clock: clock.clone(),
            supervisor: supervisor.clone(),
            board: board.clone(),
        };
        let (outbox, events) =
            Outbox::start(base, options, linkages, facts(), &mut registry).unwrap();
        Bed {
            store,
            clock,
            board,
            registry,
            outbox,
            events,
            supervisor,
        }
    }

    /// Ends it as a gateway does; the store can be opened again.
    async fn stop(self) {
        self.outbox.stop().await;
        self.supervisor.shutdown(SOON).await.unwrap();
        self.store.close().await;
    }

    /// Raises `alerts` in one transaction.
    async fn raise(&self, alerts: Vec<Alert>, clip_pending: bool) {
        let (policy, now) = (self.outbox.raise_policy(), self.clock.now());
        let work = move |txn: &mut stairgate::store::Txn<'_>| {
            for alert in &alerts {
                outbox::raise(txn, alert, &policy, clip_pending, now)?;
            }
            Ok(())
        };
        self.store.write(work).await.unwrap();
        self.outbox.wake();
    }

    async fn revise(&self, alert: &Alert, change: Change) -> bool {
        let (alert, now) = (alert.id, self.clock.now());
        let revised = self
            .store
            .write(move |txn| outbox::revise(txn, alert, change, now))
            .await
            .unwrap();
        self.outbox.wake();
        revised
    }

    fn deliveries(&self, state: DeliveryState) -> Vec<Delivery> {
        let filter = DeliveryFilter {
            state: Some(state),
            linkage: None,
        };
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.outbox.list(&filter, cursor.as_ref(), 500).unwrap();
            all.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return all;
            }
        }
    }

    fn health(&self, linkage: &str) -> Component {
        self.board.snapshot()[&format!("linkage/{linkage}")].clone()
    }

    fn metric(&self, line: &str) -> f64 {
        let text = stairgate::telemetry::scrape(&self.registry);
        let found = text.lines().find_map(|found| found.strip_prefix(line));
        let value = found.unwrap_or_else(|| panic!("no {line} in\n{text}"));
        value.trim().parse().unwrap()
    }

    fn assert_sound(&self) {
        let findings = verify(&self.store).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
    }
}

/// Waits until `receiver` knows of all `alerts`.
#[track_caller]
fn arrive<'a>(
    receiver: &'a Receiver,
    alerts: &'a [Alert],
    within: Duration,
) -> impl Future<Output = ()> + 'a {
    let ids: Vec<String> = alerts.iter().map(|alert| alert.id.to_string()).collect();
    let what = format!("{} alerts arrive", alerts.len());
    async move {
        eventually(&what, within, || receiver.knows(&ids)).await;
    }
}

/// What an order is seen by.
#[derive(Clone, Debug)]
struct Message {
    id: String,
    door: String,
    severity: u64,
}

impl Message {
    /// From the envelope's JSON.
    fn of(json: &serde_json::Value) -> Message {
        Message {
            id: json["id"].as_str().unwrap().to_owned(),
            door: json["door"].as_str().unwrap_or_default().to_owned(),
            severity: json["severity"].as_u64().unwrap(),
        }
    }
}

/// [`assert_order`], and each message is signed.
fn assert_in_order(taken: &[Taken], raised: &[Alert]) {
    assert!(taken.iter().all(|message| message.signed));
    let messages: Vec<Message> = taken.iter().map(|taken| Message::of(&taken.json)).collect();
    assert_order(&messages, raised);
}

/// Each alert is there, and the first messages of each door in the order of `raised`: routine and
/// urgent ones apart, and severity 1 may go past an urgent one that failed.
fn assert_order(messages: &[Message], raised: &[Alert]) {
    let numbers: HashMap<String, usize> = raised
        .iter()
        .enumerate()
        .map(|(n, alert)| (alert.id.to_string(), n))
        .collect();
    let mut seen = HashSet::new();
    let mut last: BTreeMap<(String, u64), usize> = BTreeMap::new();
    for message in messages {
        let Some(n) = numbers.get(&message.id).copied() else {
            continue;
        };
        if !seen.insert(message.id.clone()) {
            continue;
        }
        let severity = message.severity.min(3);
        // Which must not have come before if it was raised after.
        let none_later: &[u64] = match severity {
            1 => &[1, 2],
            2 => &[2],
            _ => &[3],
        };
        for other in none_later {
            let before = last.get(&(message.door.clone(), *other));
            assert!(
                before.is_none_or(|before| *before < n),
                "{n} came after {before:?}"
            );
        }
        last.insert((message.door.clone(), severity), n);
    }
    assert_eq!(seen.len(), raised.len());
}
