//! Alerts on the state of doors: none is swallowed and none is left standing, however close the
//! messages come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use stairgate::domain::clip::ClipLength;
use stairgate::domain::id::{CompoundId, DoorId};
use stairgate::domain::swipe::DoorState;
use stairgate::door::{Ack, DoorEvent};
use stairgate::entry::{Conditions, EntryOptions, SharedRule};
use stairgate::linkage::SiteFacts;
use stairgate::outbox::{Outbox, OutboxBase, OutboxOptions};
use stairgate::store::{Store, StoreOptions, tables, verify};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::{HealthBoard, registry};
use stairgate::time::{Clock, TimeZone};

use crate::harness::temp_dir;

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
    let site = EntryOptions {
        doors: BTreeMap::new(),
        cameras: BTreeMap::new(),
        online_doors: BTreeSet::new(),
        length: ClipLength::DEFAULT,
        clocks_agree_within: Duration::from_secs(2),
        card_shared: SharedRule::default(),
    };
    let options = Arc::new(ArcSwap::from_pointee(site));
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
