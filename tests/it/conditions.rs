//! Alerts on the state of doors: none is swallowed and none is left standing, however close the
//! messages come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use stairgate::domain::alert::{Alert, AlertKind};
use stairgate::domain::clip::ClipLength;
use stairgate::domain::id::{CompoundId, DoorId};
use stairgate::domain::swipe::DoorState;
use stairgate::door::{Ack, DoorEvent};
use stairgate::entry::{Conditions, EntryOptions, SharedRule};
use stairgate::footage::DiskReport;
use stairgate::linkage::SiteFacts;
use stairgate::outbox::{Outbox, OutboxBase, OutboxOptions};
use stairgate::store::{Store, StoreOptions, tables, verify};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::{HealthBoard, registry};
use stairgate::time::{Clock, TimeZone};

use crate::harness::temp_dir;

/// A site without doors and cameras.
pub(crate) fn no_devices() -> EntryOptions {
    EntryOptions {
        doors: BTreeMap::new(),
        cameras: BTreeMap::new(),
        online_doors: BTreeSet::new(),
        length: ClipLength::DEFAULT,
        clocks_agree_within: Duration::from_secs(2),
        late_max: Duration::from_secs(30 * 86_400),
        card_shared: SharedRule::default(),
    }
}

fn conditions(folder: &std::path::Path) -> Conditions {
    let (supervisor, clock) = (Supervisor::new(), Clock::system());
    let mut registry = registry();
    let options = StoreOptions {
        path: folder.join("store"),
    };
    let store = Store::open(&options, &supervisor, &mut registry).unwrap();
    let board = HealthBoard::new(clock.clone());
    let base = OutboxBase {
        store: store.clone(),
        clock: clock.clone(),
        supervisor,
        board,
    };
    let facts = SiteFacts {
        compound: CompoundId::new("test-1").unwrap(),
        name: "Test".to_owned(),
        stairwells: BTreeMap::new(),
        time_zone: TimeZone::utc(),
        public_url: None,
    };
    let started = Outbox::start(
        base,
        OutboxOptions::default(),
        Vec::new(),
        facts,
        &mut registry,
    );
    let options = Arc::new(ArcSwap::from_pointee(no_devices()));
    Conditions {
        store,
        outbox: started.unwrap().0,
        clock,
        options,
    }
}

fn says(state: DoorState) -> DoorEvent {
    let door = DoorId::new("b03-u2-door").unwrap();
    DoorEvent::State {
        door,
        state,
        at: Clock::system().now(),
        ack: Ack::nobody(),
    }
}

#[tokio::test]
async fn a_door_forced_and_shut_in_one_commit_alerts_each_time_and_ends_each_time() {
    let folder = temp_dir();
    let conditions = conditions(folder.path());
    for n_pairs in 1..=6 {
        // All at once, as after a time without the broker: they meet in one group commit.
        let pair = [DoorState::Forced, DoorState::Closed];
        let events = pair.map(|state| conditions.take_door_event(says(state)));
        for done in join_all(events).await {
            done.unwrap();
        }
        let alerts: Vec<_> = conditions
            .store
            .scan(tables::ALERTS, &())
            .map(Result::unwrap)
            .collect();
        assert_eq!(alerts.len(), n_pairs);
        assert!(
            alerts.iter().all(|(_, alert)| alert.ended_at.is_some()),
            "{alerts:?}"
        );
    }
    assert_eq!(conditions.store.scan(tables::CONDITIONS, &()).count(), 0);
    assert_eq!(verify(&conditions.store).unwrap(), Vec::new());
}

#[tokio::test]
async fn a_forced_door_reported_twice_alerts_once() {
    let folder = temp_dir();
    let conditions = conditions(folder.path());
    for state in [DoorState::Forced, DoorState::Forced, DoorState::Open] {
        conditions.take_door_event(says(state)).await.unwrap();
    }
    let alerts: Vec<_> = conditions
        .store
        .scan(tables::ALERTS, &())
        .map(Result::unwrap)
        .collect();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].1.ended_at, None);
}

/// What stands on the footage disk, by its detail, and what has ended.
fn of_the_disk(conditions: &Conditions) -> (BTreeSet<String>, usize) {
    let alerts = conditions.store.scan(tables::ALERTS, &());
    let alerts: Vec<Alert> = alerts.map(|row| row.unwrap().1).collect();
    assert!(alerts.iter().all(|alert| alert.kind == AlertKind::DiskLow));
    let standing = alerts.iter().filter(|alert| alert.ended_at.is_none());
    let standing: BTreeSet<String> = standing.map(|alert| alert.detail.clone()).collect();
    (
        standing,
        alerts
            .iter()
            .filter(|alert| alert.ended_at.is_some())
            .count(),
    )
}

#[tokio::test]
async fn a_disk_that_goes_while_it_is_low_is_told_and_low_stays_when_it_is_back() {
    let folder = temp_dir();
    let conditions = conditions(folder.path());
    let fine = DiskReport {
        is_low: Some(false),
        ..DiskReport::default()
    };
    let low = DiskReport {
        is_low: Some(true),
        free_bytes: 7_000_000,
        ..DiskReport::default()
    };
    let away = DiskReport {
        is_away: true,
        ..low
    };
    let told = |before, report| conditions.take_disk_report(before, report);
    told(fine, low).await.unwrap();
    told(low, away).await.unwrap();
    let (standing, n_ended) = of_the_disk(&conditions);
    let both = ["7 MB free", "footage disk is away"].map(str::to_owned);
    assert_eq!((standing, n_ended), (BTreeSet::from(both.clone()), 0));
    told(away, low).await.unwrap();
    let (standing, n_ended) = of_the_disk(&conditions);
    assert_eq!((standing, n_ended), (BTreeSet::from([both[0].clone()]), 1));
    // As after a restart: the first report of a process ends what an earlier one left standing.
    told(DiskReport::default(), fine).await.unwrap();
    assert_eq!(of_the_disk(&conditions), (BTreeSet::new(), 2));
    assert_eq!(verify(&conditions.store).unwrap(), Vec::new());
}

#[tokio::test]
async fn every_early_deletion_is_counted_in_an_alert_also_while_the_disk_is_low() {
    let folder = temp_dir();
    let conditions = conditions(folder.path());
    let low = DiskReport {
        is_low: Some(true),
        ..DiskReport::default()
    };
    let mut before = DiskReport::default();
    // Some reports are never seen, since the receiver was busy: their files are in the next.
    for n_early_files in [0, 2, 7] {
        let early_bytes = n_early_files * 1_000_000;
        let report = DiskReport {
            n_early_files,
            early_bytes,
            ..low
        };
        conditions.take_disk_report(before, report).await.unwrap();
        before = report;
    }
    let alerts = conditions.store.scan(tables::ALERTS, &());
    let alerts: Vec<Alert> = alerts.map(|row| row.unwrap().1).collect();
    // Two, if the hour turned just now.
    let early = alerts
        .iter()
        .filter(|alert| alert.detail.contains("before their time"));
    assert_eq!(early.map(|alert| alert.count).sum::<u32>(), 7);
    assert!(alerts.iter().any(|alert| alert.detail == "0 MB free"));
}
