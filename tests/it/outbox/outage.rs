//! Receivers that are away, moody, slow; and those beside them.

use std::time::Duration;

use stairgate::domain::alert::{Alert, AlertKind, DeliveryState};
use stairgate::outbox::OutboxEvent;
use stairgate::telemetry::State;
use stairgate::time::Clock;
use tokio::time::{Instant, timeout};

use super::{Bed, SOON, arrive, assert_in_order, fast, id, pick, setup};
use crate::harness::{Logs, eventually, temp_dir};
use crate::linkage::alert;
use crate::linkage::receiver::{Manner, Receiver};

const KINDS: [AlertKind; 4] = [
    AlertKind::UnknownCard,
    AlertKind::Duress,
    AlertKind::DoorHeld,
    AlertKind::ExpiredCard,
];

/// `n` alerts of mixed kinds at ten doors; ids from `first`.
fn mixed(first: u64, n: u64, clock: &Clock) -> Vec<Alert> {
    let door = |n: u64| format!("d{}", n % 10);
    (first..first + n)
        .map(|n| alert(n, pick(&KINDS, n), &door(n / 3), clock.now()))
        .collect()
}

/// How long it takes until `receiver` knows `alerts`, which were just raised.
async fn wait_of(receiver: &Receiver, alerts: &[Alert]) -> Duration {
    let raised = Instant::now();
    arrive(receiver, alerts, SOON).await;
    raised.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moody_receiver_gets_each_alert_in_order_and_delays_no_other() {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    let (dir, moody, calm) = (temp_dir(), Receiver::start().await, Receiver::start().await);
    let setups = vec![setup("moody", &moody), setup("calm", &calm)];
    let bed = Bed::start_with(dir.path(), setups, fast(), Clock::system());
    moody.behave(Manner::Moody);
    let alerts = mixed(0, 300, &bed.clock);
    let mut worst = Duration::ZERO;
    for chunk in alerts.chunks(10) {
        bed.raise(chunk.to_vec(), false).await;
        worst = worst.max(wait_of(&calm, chunk).await);
    }
    assert!(
        worst < Duration::from_secs(1),
        "the calm one waited {worst:?}"
    );
    arrive(&moody, &alerts, Duration::from_secs(90)).await;
    assert_in_order(&moody.taken(), &alerts);
    assert_in_order(&calm.taken(), &alerts);
    eventually("nothing waits", SOON, || {
        bed.deliveries(DeliveryState::Waiting).is_empty()
    })
    .await;
    assert!(moody.n_repeats() > 0, "some receipts were lost on the way");
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_day_away_ten_thousand_alerts_arrive_in_order_and_no_other_has_waited() {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    let (dir, mut away, calm) = (temp_dir(), Receiver::start().await, Receiver::start().await);
    away.vanish().await;
    let clock = Clock::simulated(Clock::system().now());
    let setups = vec![setup("away", &away), setup("calm", &calm)];
    let bed = Bed::start_with(dir.path(), setups, fast(), clock.clone());
    let mut alerts = Vec::new();
    let mut worst = Duration::ZERO;
    for hour in 0..24 {
        for part in 0..10 {
            let these = mixed(hour * 1_000 + part * 42, 42, &clock);
            bed.raise(these.clone(), false).await;
            worst = worst.max(wait_of(&calm, &these).await);
            alerts.extend(these);
        }
        clock.step(3_600 * 1_000_000_000);
    }
    let reason = || bed.health("away").reason;
    eventually("the health counts", SOON, || {
        reason().contains("10080 alerts wait")
    })
    .await;
    let oldest = r#"stairgate_outbox_oldest_age_seconds{linkage="away"}"#;
    assert!(bed.metric(oldest) > 23.0 * 3_600.0);
    assert_eq!(away.n_posts(), 0);

    let back = Instant::now();
    away.come_back().await;
    let missed: Vec<String> = alerts.iter().map(|alert| alert.id.to_string()).collect();
    // While it catches up, the other one still gets each new alert at once.
    for n in 100_000.. {
        if away.knows(&missed) {
            break;
        }
        assert!(back.elapsed() < Duration::from_secs(100), "it catches up");
        let one = mixed(n, 1, &clock);
        bed.raise(one.clone(), false).await;
        worst = worst.max(wait_of(&calm, &one).await);
        alerts.extend(one);
    }
    println!(
        "10,080 alerts after a day: {:?} after the return, the other waited {worst:?} at most",
        back.elapsed()
    );
    assert!(
        worst < Duration::from_secs(1),
        "the calm one waited {worst:?}"
    );
    arrive(&away, &alerts, SOON).await;
    assert_in_order(&away.taken(), &alerts);
    assert_in_order(&calm.taken(), &alerts);
    assert_eq!(away.n_repeats(), 0);
    eventually("all is well", SOON, || {
        bed.health("away").state == State::Ok
    })
    .await;
    bed.stop().await;
}

async fn next_event(bed: &mut Bed) -> OutboxEvent {
    timeout(SOON, bed.events.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_linkage_that_is_down_is_reported_once_and_when_it_is_back() {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    let (dir, mut police) = (temp_dir(), Receiver::start().await);
    let mut bed = Bed::start(dir.path(), vec![setup("police", &police)]);
    let linkage = id("police");
    let up = OutboxEvent::LinkageUp { linkage };
    assert_eq!(next_event(&mut bed).await, up, "a probe finds it");
    assert_eq!(bed.health("police").state, State::Ok);
    police.vanish().await;
    // Nobody raises anything: the probe notices.
    let down = next_event(&mut bed).await;
    let OutboxEvent::LinkageDown { linkage, reason } = down else {
        panic!("{down:?}");
    };
    assert_eq!(linkage, id("police"));
    assert!(reason.contains("refused"), "{reason}");
    assert_eq!(bed.health("police").state, State::Degraded);
    police.come_back().await;
    assert_eq!(next_event(&mut bed).await, up);
    assert!(bed.events.try_recv().is_err());
    assert_eq!(police.n_posts(), 0, "a probe delivers nothing");
    bed.stop().await;
}

#[tokio::test]
async fn a_receiver_that_answers_probes_but_takes_nothing_is_down() {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    let (dir, police) = (temp_dir(), Receiver::start().await);
    let mut bed = Bed::start(dir.path(), vec![setup("police", &police)]);
    police.behave(Manner::Answer(503, "", "maintenance"));
    let alerts = mixed(0, 40, &bed.clock);
    bed.raise(alerts.clone(), false).await;
    // A probe may have found it before the first alert did not.
    while !matches!(next_event(&mut bed).await, OutboxEvent::LinkageDown { .. }) {}
    assert!(bed.health("police").reason.contains("maintenance"));
    police.behave(Manner::Take);
    arrive(&police, &alerts, SOON).await;
    assert_in_order(&police.taken(), &alerts);
    bed.stop().await;
}

#[tokio::test]
async fn one_alert_that_always_fails_holds_up_only_its_own_door() {
    let _logs = Logs::capture();
    let (dir, police) = (temp_dir(), Receiver::start().await);
    let bed = Bed::start_with(
        dir.path(),
        vec![setup("police", &police)],
        fast(),
        Clock::system(),
    );
    let poison = alert(1, AlertKind::UnknownCard, "bad", bed.clock.now());
    let behind = alert(2, AlertKind::UnknownCard, "bad", bed.clock.now());
    let danger = alert(3, AlertKind::Duress, "bad", bed.clock.now());
    police.behave_to(&poison.id.to_string(), Manner::Answer(500, "", ""));
    bed.raise(vec![poison.clone(), behind.clone()], false).await;
    eventually("it fails", SOON, || police.n_posts() >= 1).await;
    let others = mixed(100, 60, &bed.clock);
    bed.raise(others.clone(), false).await;
    bed.raise(vec![danger.clone()], false).await;
    arrive(&police, &others, SOON).await;
    arrive(&police, &[danger], SOON).await;
    assert!(
        !police.revisions().contains_key(&behind.id.to_string()),
        "order of the door"
    );
    police.behave_to(&poison.id.to_string(), Manner::Take);
    arrive(&police, &[poison, behind], SOON).await;
    bed.stop().await;
}

#[tokio::test]
async fn patience_has_an_end_and_a_person_can_renew_it() {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    logs.expect("alert went to the dead letters");
    let (dir, mut police) = (temp_dir(), Receiver::start().await);
    police.vanish().await;
    let clock = Clock::simulated(Clock::system().now());
    let bed = Bed::start_with(
        dir.path(),
        vec![setup("police", &police)],
        fast(),
        clock.clone(),
    );
    let old = alert(1, AlertKind::UnknownCard, "gate", clock.now());
    bed.raise(vec![old.clone()], false).await;
    let attempts = || bed.deliveries(DeliveryState::Waiting)[0].n_attempts;
    eventually("it is tried", SOON, || attempts() >= 2).await;
    clock.step(73 * 3_600 * 1_000_000_000);
    let dead = || bed.deliveries(DeliveryState::Dead);
    eventually("it is given up", SOON, || dead().len() == 1).await;
    let why = dead()[0].last_error.clone().unwrap();
    assert!(why.starts_with("given up: "), "{why}");
    police.come_back().await;
    assert_eq!(bed.outbox.retry_all(None).await.unwrap(), 1);
    arrive(&police, &[old], SOON).await;
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urgent_alerts_are_received_within_milliseconds() {
    let _logs = Logs::capture();
    let (dir, police) = (temp_dir(), Receiver::start().await);
    let bed = Bed::start_with(
        dir.path(),
        vec![setup("police", &police)],
        fast(),
        Clock::system(),
    );
    let mut raised = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    for n in 0..250 {
        pace.tick().await;
        let one = alert(
            n,
            AlertKind::Duress,
            &format!("d{}", n % 10),
            bed.clock.now(),
        );
        raised.push((one.id.to_string(), Instant::now()));
        bed.raise(vec![one], false).await;
    }
    eventually("all arrive", SOON, || police.taken().len() == 250).await;
    let taken = police.taken();
    let at = |id: &String| taken.iter().find(|taken| taken.id == *id).unwrap().at;
    let mut delays: Vec<Duration> = raised.iter().map(|(id, since)| at(id) - *since).collect();
    delays.sort();
    let (p50, p99) = (delays[125], delays[247]);
    println!("50 alerts/s, raise begun to taken: p50 {p50:?}, p99 {p99:?}");
    // The product's bound is 50 ms at p99 on an idle machine; here the test's neighbours run too.
    assert!(p50 < Duration::from_millis(50), "p50 {p50:?}, p99 {p99:?}");
    bed.stop().await;
}
