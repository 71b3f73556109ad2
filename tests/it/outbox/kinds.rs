//! Receivers of every kind at once: each misbehaves in its own way, each gets every alert once in effect
//! and in order, and none holds up another.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use stairgate::domain::alert::{Alert, AlertKind, DeliveryState};
use stairgate::linkage::webhook::Webhook;
use stairgate::sim::police::{PoliceFault, SimPolice};
use stairgate::time::Clock;
use tokio::time::Instant;

use super::{
    Bed, Message, SOON, arrive, assert_in_order, assert_order, fast, pick, setup, setup_of,
};
use crate::harness::{Logs, eventually, temp_dir, tls};
use crate::linkage::contract::{Peer, PeerManner};
use crate::linkage::receiver::{Manner, Receiver};
use crate::linkage::{Broker, alert, platform, webhook_options};

const KINDS: [AlertKind; 4] = [
    AlertKind::UnknownCard,
    AlertKind::Duress,
    AlertKind::DoorHeld,
    AlertKind::ExpiredCard,
];
/// How the platform behaves, in turns.
const FAULTS: [PoliceFault; 8] = [
    PoliceFault::Clear,
    PoliceFault::Refuse { status: 503 },
    PoliceFault::Clear,
    PoliceFault::Decline { may_retry: true },
    PoliceFault::Truncate,
    PoliceFault::Close,
    PoliceFault::Hang,
    PoliceFault::Down,
];
/// How the broker behaves, in turns.
const MANNERS: [PeerManner; 5] = [
    PeerManner::Takes,
    PeerManner::NotReady,
    PeerManner::Takes,
    PeerManner::BreaksOff,
    PeerManner::Hangs,
];

fn mixed(first: u64, n: u64, clock: &Clock) -> Vec<Alert> {
    let door = |n: u64| format!("d{}", n % 10);
    (first..first + n)
        .map(|n| alert(n, pick(&KINDS, n), &door(n / 3), clock.now()))
        .collect()
}

fn ids(alerts: &[Alert]) -> HashSet<String> {
    alerts.iter().map(|alert| alert.id.to_string()).collect()
}

/// What the platform took, each once, in the order it took it first.
fn by_grpc(police: &SimPolice) -> Vec<Message> {
    let taken = police.messages().into_iter();
    taken
        .filter(|message| message.is_taken && !message.is_repeat)
        .map(|message| Message::of(&message.body))
        .collect()
}

fn by_mqtt(broker: &Broker) -> Vec<Message> {
    broker.messages().iter().map(Message::of).collect()
}

async fn all_there(
    what: &str,
    within: Duration,
    wanted: &HashSet<String>,
    messages: impl Fn() -> Vec<Message>,
) {
    eventually(what, within, || {
        let there: HashSet<String> = messages().into_iter().map(|message| message.id).collect();
        wanted.is_subset(&there)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_of_every_kind_that_misbehave_hold_up_no_other() {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    let (dir, calm, moody) = (temp_dir(), Receiver::start().await, Receiver::start().await);
    let (police, broker) = (platform().await, Broker::start().await);
    moody.behave(Manner::Moody);
    // Nobody speaks TLS at this port, so its TLS never holds.
    let unsafe_url = format!("https://127.0.0.1:{}/", calm.url().port().unwrap());
    let mut unsafe_options = webhook_options("unsafe", unsafe_url.parse().unwrap());
    unsafe_options.ca_file = Some(tls::make(dir.path()).ca);
    let unsafe_one = Webhook::new(unsafe_options, Clock::system()).unwrap();
    let setups = vec![
        setup("calm", &calm),
        setup("moody", &moody),
        setup_of(Peer::linkage(&police)),
        setup_of(Peer::linkage(&broker)),
        setup_of(Arc::new(unsafe_one)),
    ];
    let bed = Bed::start_with(dir.path(), setups, fast(), Clock::system());
    let alerts = mixed(0, 300, &bed.clock);
    let mut worst = Duration::ZERO;
    for (turn, chunk) in (0..).zip(alerts.chunks(10)) {
        police.set_fault(pick(&FAULTS, turn));
        broker.behave(pick(&MANNERS, turn));
        bed.raise(chunk.to_vec(), false).await;
        let raised = Instant::now();
        arrive(&calm, chunk, SOON).await;
        worst = worst.max(raised.elapsed());
    }
    println!("the calm one waited {worst:?} at most");
    assert!(
        worst < Duration::from_secs(1),
        "the calm one waited {worst:?}"
    );
    police.set_fault(PoliceFault::Clear);
    broker.behave(PeerManner::Takes);
    let (wanted, within) = (ids(&alerts), Duration::from_secs(60));
    all_there("all by gRPC", within, &wanted, || by_grpc(&police)).await;
    all_there("all by MQTT", within, &wanted, || by_mqtt(&broker)).await;
    arrive(&moody, &alerts, within).await;
    assert_in_order(&calm.taken(), &alerts);
    assert_in_order(&moody.taken(), &alerts);
    assert_order(&by_grpc(&police), &alerts);
    assert_order(&by_mqtt(&broker), &alerts);
    assert!(
        police.messages().iter().any(|message| message.is_repeat),
        "some receipts were lost"
    );
    // What has nowhere to go waits, and is told of.
    eventually("only the unsafe one waits", SOON, || {
        bed.deliveries(DeliveryState::Waiting).len() == alerts.len()
    })
    .await;
    let reason = bed.health("unsafe").reason;
    assert!(reason.contains("300 alerts wait"), "{reason}");
    bed.assert_sound();
    bed.stop().await;
}

/// `peer` is away for a simulated day while 10,080 alerts are raised, and gets them all in order.
async fn a_day_away<P: Peer>(mut peer: P, messages: impl Fn(&P) -> Vec<Message>) {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    let dir = temp_dir();
    peer.vanish().await;
    let clock = Clock::simulated(Clock::system().now());
    let setups = vec![setup_of(Peer::linkage(&peer))];
    let bed = Bed::start_with(dir.path(), setups, fast(), clock.clone());
    let mut alerts = Vec::new();
    for hour in 0..24 {
        let these = mixed(hour * 1_000, 420, &clock);
        bed.raise(these.clone(), false).await;
        alerts.extend(these);
        clock.step(3_600 * 1_000_000_000);
    }
    assert!(messages(&peer).is_empty());
    let back = Instant::now();
    peer.come_back().await;
    let (wanted, within) = (ids(&alerts), Duration::from_secs(100));
    all_there("all are taken", within, &wanted, || messages(&peer)).await;
    println!(
        "10,080 alerts after a day: {:?} after the return",
        back.elapsed()
    );
    assert_order(&messages(&peer), &alerts);
    assert_eq!(messages(&peer).len(), alerts.len(), "each once in effect");
    eventually("nothing waits", SOON, || {
        bed.deliveries(DeliveryState::Waiting).is_empty()
    })
    .await;
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_day_away_a_platform_gets_ten_thousand_alerts_in_order() {
    a_day_away(platform().await, by_grpc).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_day_away_a_broker_gets_ten_thousand_alerts_in_order() {
    a_day_away(Broker::start().await, by_mqtt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_taken_up_again_each_once() {
    let mut logs = Logs::capture();
    logs.expect("alert went to the dead letters");
    let (dir, police, other) = (temp_dir(), Receiver::start().await, Receiver::start().await);
    police.behave(Manner::Answer(422, "", r#"{"reason":"no such compound"}"#));
    let setups = vec![setup("police", &police), setup("other", &other)];
    let bed = Bed::start_with(dir.path(), setups, fast(), Clock::system());
    let alerts = mixed(0, 600, &bed.clock);
    bed.raise(alerts.clone(), false).await;
    let dead = || bed.deliveries(DeliveryState::Dead);
    eventually("all are refused", Duration::from_secs(30), || {
        dead().len() == 600
    })
    .await;
    let why = dead()[0].last_error.clone().unwrap();
    assert!(why.contains("no such compound"), "{why}");
    let police_id = super::id("police");
    // It refuses them all again, faster than they are taken up: that must not go on for ever.
    assert_eq!(bed.outbox.retry_all(Some(&police_id)).await.unwrap(), 600);
    assert_eq!(
        bed.outbox
            .retry_all(Some(&super::id("other")))
            .await
            .unwrap(),
        0
    );
    eventually("all are refused again", Duration::from_secs(30), || {
        dead().len() == 600 && police.n_posts() == 1_200
    })
    .await;
    police.behave(Manner::Take);
    assert_eq!(bed.outbox.retry_all(None).await.unwrap(), 600);
    arrive(&police, &alerts, Duration::from_secs(30)).await;
    bed.assert_sound();
    bed.stop().await;
}
