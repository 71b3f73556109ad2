//! What the others are told of a receiver that is away: by name, once, and that it is back; also across
//! a restart, and when it has gone from the configuration. And that a count that grows is told.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use stairgate::domain::alert::Alert;
use stairgate::entry::Conditions;
use stairgate::footage::DiskReport;
use stairgate::outbox::OutboxEvent;
use stairgate::store::tables;
use stairgate::time::{Clock, WallTime};
use tokio::time::timeout;

use super::{Bed, SOON, fast, setup};
use crate::conditions::no_devices;
use crate::harness::{Logs, eventually, temp_dir};
use crate::linkage::facts;
use crate::linkage::receiver::Receiver;

/// 2026-11-22T00:30:15Z: in the middle of an hour, by which some alerts are counted.
const AT: WallTime = WallTime::from_unix_ms(1_795_307_415_120);

fn conditions(bed: &Bed) -> Conditions {
    Conditions {
        store: bed.store.clone(),
        outbox: bed.outbox.clone(),
        clock: bed.clock.clone(),
        options: Arc::new(ArcSwap::from_pointee(no_devices())),
    }
}

/// Takes in what the outbox tells, as the gateway does, up to the first that `is_it`.
async fn until(bed: &mut Bed, conditions: &Conditions, is_it: fn(&OutboxEvent) -> bool) {
    loop {
        let event = timeout(SOON, bed.events.recv()).await.unwrap().unwrap();
        let found = is_it(&event);
        conditions.take_outbox_event(event).await.unwrap();
        if found {
            return;
        }
    }
}

fn police_is_down(event: &OutboxEvent) -> bool {
    matches!(event, OutboxEvent::LinkageDown { linkage, .. } if linkage.as_str() == "police")
}

fn police_is_up(event: &OutboxEvent) -> bool {
    matches!(event, OutboxEvent::LinkageUp { linkage } if linkage.as_str() == "police")
}

fn n_standing(bed: &Bed) -> usize {
    bed.store.scan(tables::CONDITIONS, &()).count()
}

fn alerts(bed: &Bed) -> Vec<Alert> {
    let rows = bed.store.scan(tables::ALERTS, &());
    rows.map(|row| row.unwrap().1).collect()
}

#[tokio::test]
async fn the_others_are_told_by_name_who_is_away_and_that_it_is_back() {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    let (dir, mut police, office) = (temp_dir(), Receiver::start().await, Receiver::start().await);
    let setups = vec![setup("police", &police), setup("office", &office)];
    let mut bed = Bed::start(dir.path(), setups);
    let conditions = conditions(&bed);
    until(&mut bed, &conditions, police_is_up).await;
    police.vanish().await;
    until(&mut bed, &conditions, police_is_down).await;
    eventually("the office is told", SOON, || office.taken().len() == 1).await;
    let first = office.taken().remove(0);
    assert_eq!(first.text("kind"), "linkage-down");
    assert!(first.text("detail").starts_with("police: "), "{first:?}");
    police.come_back().await;
    until(&mut bed, &conditions, police_is_up).await;
    eventually("and that it is over", SOON, || office.taken().len() == 2).await;
    let second = office.taken().remove(1);
    assert_eq!((&second.id, second.revision), (&first.id, 2));
    assert!(second.json["ended_at"].is_string(), "{second:?}");
    assert_eq!(police.n_posts(), 0, "it is not told that it was away");
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn what_an_earlier_life_has_said_ends_when_the_receiver_is_there_and_can_be_said_again() {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    let (dir, mut police) = (temp_dir(), Receiver::start().await);
    police.vanish().await;
    let mut bed = Bed::start(dir.path(), vec![setup("police", &police)]);
    let told = conditions(&bed);
    until(&mut bed, &told, police_is_down).await;
    // It holds the store open.
    drop(told);
    bed.stop().await;

    police.come_back().await;
    bed = Bed::start(dir.path(), vec![setup("police", &police)]);
    let told = conditions(&bed);
    assert_eq!(n_standing(&bed), 1);
    until(&mut bed, &told, police_is_up).await;
    assert_eq!(n_standing(&bed), 0);
    assert!(alerts(&bed).iter().all(|alert| alert.ended_at.is_some()));

    police.vanish().await;
    until(&mut bed, &told, police_is_down).await;
    assert_eq!((n_standing(&bed), alerts(&bed).len()), (1, 2));
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn what_stands_on_a_receiver_that_is_no_longer_configured_ends() {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    let (dir, mut police, office) = (temp_dir(), Receiver::start().await, Receiver::start().await);
    police.vanish().await;
    let setups = vec![setup("police", &police), setup("office", &office)];
    let mut bed = Bed::start(dir.path(), setups);
    let conditions = conditions(&bed);
    until(&mut bed, &conditions, police_is_down).await;
    conditions.forget_unknown().await.unwrap();
    assert_eq!(n_standing(&bed), 1, "it is configured");
    let reloaded = bed.outbox.reload(vec![setup("office", &office)], facts());
    reloaded.await.unwrap();
    conditions.forget_unknown().await.unwrap();
    assert_eq!(n_standing(&bed), 0);
    let is_over = || {
        let taken = office.taken();
        taken
            .last()
            .is_some_and(|last| last.json["ended_at"].is_string())
    };
    eventually("the office knows", SOON, is_over).await;
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn a_count_that_grows_is_told_and_takes_no_room_in_the_feed() {
    let _logs = Logs::capture();
    let (dir, police) = (temp_dir(), Receiver::start().await);
    let setups = vec![setup("police", &police)];
    let clock = Clock::simulated(AT);
    let bed = Bed::start_with(dir.path(), setups, fast(), clock);
    let conditions = conditions(&bed);
    let mut before = DiskReport::default();
    for n_early_files in [1, 3, 4, 9, 20] {
        let report = DiskReport {
            n_early_files,
            ..DiskReport::default()
        };
        conditions.take_disk_report(before, report).await.unwrap();
        before = report;
    }
    let newest = || {
        police
            .taken()
            .last()
            .map(|taken| taken.json["count"].clone())
    };
    eventually("the whole count", SOON, || newest() == Some(20.into())).await;
    let all = alerts(&bed);
    assert_eq!((all.len(), all[0].count, all[0].revision), (1, 20, 5));
    // The raise, and the newest count.
    assert_eq!(bed.store.scan(tables::ALERT_FEED, &()).count(), 2);
    assert_eq!(police.n_repeats(), 0, "no key stands for two counts");
    bed.assert_sound();
    bed.stop().await;
}

/// Within the window of a flood the receiver hears of the first and then of the whole.
#[tokio::test]
async fn a_count_that_grows_fast_is_told_once_in_a_window() {
    let _logs = Logs::capture();
    let (dir, police) = (temp_dir(), Receiver::start().await);
    let mut options = fast();
    options.flood.window = Duration::from_millis(500);
    let setups = vec![setup("police", &police)];
    let bed = Bed::start_with(dir.path(), setups, options, Clock::simulated(AT));
    let conditions = conditions(&bed);
    let mut before = DiskReport::default();
    for n_early_files in 1..=50 {
        let report = DiskReport {
            n_early_files,
            ..DiskReport::default()
        };
        conditions.take_disk_report(before, report).await.unwrap();
        before = report;
    }
    let newest = || {
        police
            .taken()
            .last()
            .map(|taken| taken.json["count"].clone())
    };
    eventually("the whole count", SOON, || newest() == Some(50.into())).await;
    let n_messages = police.taken().len();
    assert!(n_messages < 12, "{n_messages} messages for 50 files");
    bed.stop().await;
}
