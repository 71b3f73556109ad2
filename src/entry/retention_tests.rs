//! What goes when it is past its time, and what never does.

use super::super::assemble::Assembled;
use super::super::commit::{Committed, commit};
use super::*;
use crate::domain::access::{Decision, Outcome, Reason};
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::case::{Action, Note, Step, Taken};
use crate::domain::clip::{ClipLength, ClipRecord, MissedReason};
use crate::domain::entry::Entry;
use crate::domain::id::DoorId;
use crate::domain::place::Place;
use crate::domain::role::{Actor, ActorName, Role};
use crate::domain::swipe::{ControllerResult, Direction, Method, SwipeKey};
use crate::outbox::{FloodOptions, LinkagePolicy, RaisePolicy};
use crate::store::{StoreOptions, verify};
use crate::supervise::Supervisor;

const DAY: Duration = Duration::from_secs(86_400);
const KEEP: Duration = Duration::from_secs(40 * 86_400);
/// The day on which the first entry is made.
const FIRST: WallTime = WallTime::from_unix_ms(1_795_307_415_120);

pub(in crate::entry) struct Bed {
    pub(in crate::entry) store: Store,
    policy: RaisePolicy,
    _folder: tempfile::TempDir,
}

impl Bed {
    pub(in crate::entry) fn new() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            path: folder.path().join("store"),
        };
        let mut registry = crate::telemetry::registry();
        let store = Store::open(&options, &Supervisor::new(), &mut registry).unwrap();
        let policy = RaisePolicy {
            linkages: vec![LinkagePolicy::new(linkage())],
            flood: FloodOptions {
                n_max: 1,
                ..FloodOptions::default()
            },
            ..RaisePolicy::default()
        };
        Bed {
            store,
            policy,
            _folder: folder,
        }
    }

    /// An entry at `at`, of a swipe that raised an alert.
    async fn enter(&self, seq: u64, at: WallTime) -> (EntryId, AlertId) {
        let assembled = assembled(seq, at);
        let id = assembled.entry.id;
        let policy = self.policy.clone();
        let work = move |txn: &mut Txn<'_>| commit(txn, assembled, &policy);
        assert_eq!(self.store.write(work).await.unwrap(), Committed::New);
        let entry = self.store.entry(&id).unwrap().unwrap();
        (id, entry.alerts[0])
    }

    /// As its courier leaves the delivery of `alert`.
    async fn becomes(&self, alert: AlertId, state: DeliveryState) {
        let work = move |txn: &mut Txn<'_>| {
            let key = (alert, linkage());
            let mut delivery = txn.get(tables::DELIVERIES, &key)?.unwrap();
            let place = (linkage(), delivery.raised_at, alert);
            txn.delete(tables::OUTBOX, &place);
            if state == DeliveryState::Dead {
                txn.put(tables::DEAD_LETTERS, &place, &())?;
            }
            delivery.state = state;
            txn.put(tables::DELIVERIES, &key, &delivery)?;
            // The outbox prunes its feed itself, which is tested there.
            for (step, change) in txn.scan(tables::ALERT_FEED, &(), 1_000)? {
                if change.alert == alert {
                    txn.delete(tables::ALERT_FEED, &step);
                }
            }
            Ok(())
        };
        self.store.write(work).await.unwrap();
    }

    async fn remove(&self, now: WallTime) -> usize {
        let n_removed = remove_old(&self.store, now, KEEP).await.unwrap();
        assert_eq!(verify(&self.store).unwrap(), Vec::new());
        n_removed
    }

    fn has_entry(&self, id: EntryId) -> bool {
        self.store.entry(&id).unwrap().is_some()
    }

    fn has_alert(&self, id: AlertId) -> bool {
        let alert = self.store.get(tables::ALERTS, &id).unwrap().is_some();
        let key = (id, linkage());
        let delivery = self.store.get(tables::DELIVERIES, &key).unwrap();
        assert_eq!(alert, delivery.is_some(), "they go together");
        alert
    }
}

fn linkage() -> LinkageId {
    LinkageId::new("duty-room").unwrap()
}

pub(in crate::entry) fn assembled(seq: u64, at: WallTime) -> Assembled {
    let door = DoorId::new("b03-u2-door").unwrap();
    let key = SwipeKey {
        boot: "5f3a".to_owned(),
        seq,
    };
    let window = ClipLength::DEFAULT.around(at);
    let mut entry = Entry {
        id: key.entry_id(&door),
        door: door.clone(),
        place: Place::new("b03-u2").unwrap(),
        key,
        at,
        received_at: at,
        controller_at: None,
        card: None,
        dwelling: None,
        holder: None,
        direction: Direction::In,
        method: Method::Card,
        controller_result: ControllerResult::Denied,
        decision: Decision {
            outcome: Outcome::Denied,
            reason: Reason::UnknownCard,
            duress: false,
        },
        clips: vec![ClipRecord::missed(None, window, MissedReason::NoCamera)],
        alerts: Vec::new(),
    };
    let alert = Alert {
        id: AlertId::derive(&[entry.id.as_bytes()]),
        revision: 1,
        // Of severity 4: without a case, which has a test of its own.
        kind: AlertKind::LimitReached,
        raised_at: at,
        place: entry.place.clone(),
        door: Some(door),
        camera: None,
        entry: Some(entry.id),
        dwelling: None,
        count: 1,
        detail: String::new(),
        ended_at: None,
    };
    entry.alerts = vec![alert.id];
    Assembled {
        entry,
        alerts: vec![alert],
    }
}

/// `now` at which what was made at `at` is past every time by `margin`.
fn after_all(at: WallTime, margin: Duration) -> WallTime {
    at.plus(KEEP + ALERTS_LINGER + margin)
}

#[tokio::test]
async fn an_entry_goes_at_its_time_and_its_alert_with_its_delivery_soon_after() {
    let bed = Bed::new();
    let (old, old_alert) = bed.enter(1, FIRST).await;
    let (young, young_alert) = bed.enter(2, FIRST.plus(10 * DAY)).await;
    bed.becomes(old_alert, DeliveryState::Delivered).await;
    bed.becomes(young_alert, DeliveryState::Delivered).await;
    assert_eq!(bed.remove(FIRST.plus(KEEP)).await, 0, "not before its time");
    assert_eq!(bed.remove(FIRST.plus(KEEP + DAY)).await, 1);
    assert_eq!((bed.has_entry(old), bed.has_entry(young)), (false, true));
    assert!(bed.has_alert(old_alert));
    assert_eq!(bed.remove(after_all(FIRST, DAY)).await, 0);
    assert!(!bed.has_alert(old_alert));
    assert!(bed.has_alert(young_alert) && bed.has_entry(young));
    // Nothing is left over, but for the key that keeps a replayed swipe from a second entry.
    let policy = bed.policy.clone();
    let again = assembled(1, FIRST);
    let again = bed.store.write(move |txn| commit(txn, again, &policy));
    assert_eq!(again.await.unwrap(), Committed::Duplicate);
    assert_eq!(bed.store.scan(tables::ALERTS_BY_ENTRY, &()).count(), 1);
    bed.remove(FIRST.plus(2 * KEEP + DAY)).await;
    assert!(bed.store.get(tables::SEEN, &old).unwrap().is_none());
    assert_eq!(bed.store.scan(tables::SEEN_ALONE, &()).count(), 1);
}

#[tokio::test]
async fn an_alert_that_is_not_delivered_is_never_removed() {
    let bed = Bed::new();
    let (entry, alert) = bed.enter(1, FIRST).await;
    for years in 1..4 {
        bed.remove(FIRST.plus(years * 365 * DAY)).await;
        assert!(!bed.has_entry(entry));
        assert!(bed.has_alert(alert));
        let place = (linkage(), FIRST, alert);
        assert!(bed.store.get(tables::OUTBOX, &place).unwrap().is_some());
    }
    bed.becomes(alert, DeliveryState::Delivered).await;
    bed.remove(FIRST.plus(4 * 365 * DAY)).await;
    assert!(!bed.has_alert(alert));
}

#[tokio::test]
async fn a_dead_letter_stays_for_its_full_time() {
    let bed = Bed::new();
    let (_, alert) = bed.enter(1, FIRST).await;
    bed.becomes(alert, DeliveryState::Dead).await;
    bed.remove(after_all(FIRST, Duration::ZERO)).await;
    assert!(bed.has_alert(alert), "someone may retry it");
    bed.remove(after_all(FIRST, DAY)).await;
    assert!(!bed.has_alert(alert));
    assert_eq!(bed.store.scan(tables::DEAD_LETTERS, &()).count(), 0);
}

#[tokio::test]
async fn an_alert_that_stands_stays_and_one_that_ended_lately_too() {
    let bed = Bed::new();
    let (_, alert) = bed.enter(1, FIRST).await;
    bed.becomes(alert, DeliveryState::Delivered).await;
    let key = "door-offline/b03-u2-door".to_owned();
    let at = key.clone();
    let stands = bed
        .store
        .write(move |txn| txn.put(tables::CONDITIONS, &at, &alert));
    stands.await.unwrap();
    let late = after_all(FIRST, 10 * DAY);
    bed.remove(late).await;
    assert!(bed.has_alert(alert));
    let ended = bed.store.write(move |txn| {
        let mut row = txn.get(tables::ALERTS, &alert)?.unwrap();
        row.ended_at = Some(late);
        txn.delete(tables::CONDITIONS, &key);
        txn.put(tables::ALERTS, &alert, &row)
    });
    ended.await.unwrap();
    bed.remove(late.plus(DAY)).await;
    assert!(bed.has_alert(alert));
    bed.remove(after_all(late, DAY)).await;
    assert!(!bed.has_alert(alert));
}

#[tokio::test]
async fn the_alert_that_counts_a_flood_outlives_every_entry_that_names_it() {
    let bed = Bed::new();
    let (first, alert) = bed.enter(1, FIRST).await;
    let later = FIRST.plus(Duration::from_secs(5));
    let (second, counted_in) = bed.enter(2, later).await;
    assert_eq!(alert, counted_in, "a flood is one alert");
    bed.becomes(alert, DeliveryState::Delivered).await;
    // Between the two.
    let between = FIRST.plus(KEEP + Duration::from_secs(2));
    assert_eq!(bed.remove(between).await, 1);
    assert_eq!((bed.has_entry(first), bed.has_entry(second)), (false, true));
    assert!(bed.has_alert(alert));
}

#[tokio::test]
async fn alerts_that_stay_do_not_keep_others_from_their_turn() {
    let mut bed = Bed::new();
    bed.policy.flood.window = Duration::ZERO;
    let n_stay = u64::try_from(BATCH_MAX).unwrap() + 10;
    for seq in 0..n_stay {
        bed.enter(seq, FIRST).await;
    }
    let (_, alert) = bed.enter(n_stay, FIRST.plus(DAY)).await;
    bed.becomes(alert, DeliveryState::Delivered).await;
    bed.remove(after_all(FIRST, 2 * DAY)).await;
    assert!(!bed.has_alert(alert));
    let n_waiting = bed.store.scan(tables::OUTBOX, &()).count();
    assert_eq!(n_waiting, BATCH_MAX + 10);
}

#[tokio::test]
async fn an_alert_whose_case_is_open_stays_and_goes_with_its_case_when_it_is_done() {
    let bed = Bed::new();
    let mut one = assembled(1, FIRST);
    let alert = one.alerts[0].id;
    one.alerts[0].kind = AlertKind::WrongPlace;
    let policy = bed.policy.clone();
    let entered = bed.store.write(move |txn| commit(txn, one, &policy));
    entered.await.unwrap();
    bed.becomes(alert, DeliveryState::Delivered).await;
    bed.remove(after_all(FIRST, DAY)).await;
    assert!(bed.has_alert(alert), "someone is still answerable for it");
    let policy = bed.policy.clone();
    let done = bed.store.write(move |txn| {
        let case = txn.get(tables::CASES, &alert)?.unwrap();
        let step = Step {
            action: Action::Cancel,
            note: Some(Note::new("a drill").unwrap()),
        };
        let actor = Actor {
            name: ActorName::new("a").unwrap(),
            role: Role::DutyOfficer,
        };
        let Ok(Taken::Moved(moved)) = case.take(&step, &actor, &policy.cases, FIRST) else {
            panic!("it can be cancelled");
        };
        outbox::move_case(txn, &case, &moved, &policy, FIRST)
    });
    done.await.unwrap();
    bed.becomes(alert, DeliveryState::Delivered).await;
    bed.remove(after_all(FIRST, DAY)).await;
    assert!(!bed.has_alert(alert));
    assert_eq!(bed.store.scan(tables::CASES, &()).count(), 0);
    assert_eq!(bed.store.scan(tables::CASES_BY_TIME, &()).count(), 0);
    assert_eq!(bed.store.scan(tables::CASE_MOVES, &()).count(), 0);
}
