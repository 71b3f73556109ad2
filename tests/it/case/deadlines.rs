//! Deadlines under a simulated clock, with a real store and the real timer: escalations, restarts, a
//! condition that ends by itself, alerts of before there were cases.

use std::path::Path;
use std::time::Duration;

use stairgate::case::{Cases, CasesBase, StepAnswer};
use stairgate::domain::alert::{Alert, AlertKind};
use stairgate::domain::case::{
    Action, Case, CaseRules, CaseState, Grid, GridMap, MoveKind, Note, Party, Step, Tier,
};
use stairgate::domain::role::{Actor, ActorName, Role};
use stairgate::outbox::{self, Change, Outbox, OutboxBase, OutboxOptions};
use stairgate::store::{Store, StoreOptions, tables, verify};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::{HealthBoard, Registry, registry, scrape};
use stairgate::time::{Clock, TimeZone, WallTime};

use super::SOON;
use crate::harness::{eventually, temp_dir};
use crate::linkage::{alert, facts};

const NOON: WallTime = WallTime::from_unix_ms(1_795_320_000_000);

struct Bed {
    store: Store,
    clock: Clock,
    outbox: Outbox,
    cases: Cases,
    registry: Registry,
    supervisor: Supervisor,
}

fn rules() -> CaseRules {
    let party = |text: &str| Party::new(text).unwrap();
    let parties = [
        (Tier::Community, party("grid officer")),
        (Tier::Street, party("street office")),
        (Tier::District, party("district office")),
    ];
    let grid = Grid {
        name: "all".to_owned(),
        parties: parties.into(),
    };
    CaseRules {
        grids: GridMap {
            grids: vec![grid],
            of_rest: Some(0),
            ..GridMap::default()
        },
        ..CaseRules::default()
    }
}

impl Bed {
    fn start(folder: &Path, at: WallTime) -> Bed {
        let (supervisor, clock) = (Supervisor::new(), Clock::simulated(at));
        let mut registry = registry();
        let options = StoreOptions {
            path: folder.join("store"),
        };
        let store = Store::open(&options, &supervisor.group(), &mut registry).unwrap();
        let base = OutboxBase {
            store: store.clone(),
            clock: clock.clone(),
            supervisor: supervisor.clone(),
            board: HealthBoard::new(clock.clone()),
        };
        let options = OutboxOptions::default();
        let (outbox, _) = Outbox::start(base, options, Vec::new(), facts(), &mut registry).unwrap();
        outbox.set_case_rules(rules());
        let base = CasesBase {
            store: store.clone(),
            clock: clock.clone(),
            outbox: outbox.clone(),
            pictures: folder.join("pictures"),
            zone: TimeZone::utc(),
        };
        let cases = Cases::new(base, &mut registry);
        cases.watch_deadlines(&supervisor);
        Bed {
            store,
            clock,
            outbox,
            cases,
            registry,
            supervisor,
        }
    }

    async fn stop(self) -> WallTime {
        let now = self.clock.now();
        self.outbox.stop().await;
        self.supervisor.shutdown(SOON).await.unwrap();
        self.store.close().await;
        now
    }

    async fn raise(&self, n: u64, kind: AlertKind) -> Alert {
        let raised = alert(n, kind, "gate", self.clock.now());
        let (one, policy) = (raised.clone(), self.outbox.raise_policy());
        let work = move |txn: &mut stairgate::store::Txn<'_>| {
            outbox::raise(txn, &one, &policy, false, one.raised_at)
        };
        self.store.write(work).await.unwrap();
        self.outbox.wake();
        raised
    }

    /// The clock goes on by `s` seconds, and nobody rings: the timer must look by itself.
    fn later(&self, s: i64) {
        self.clock.step(s * 1_000_000_000);
    }

    fn case(&self, alert: &Alert) -> Case {
        self.cases.of(alert.id).unwrap().expect("it opened a case")
    }

    fn revision(&self, alert: &Alert) -> u32 {
        self.store
            .get(tables::ALERTS, &alert.id)
            .unwrap()
            .unwrap()
            .revision
    }

    async fn until(&self, alert: &Alert, what: &str, is_so: impl Fn(&Case) -> bool) -> Case {
        eventually(what, SOON, || is_so(&self.case(alert))).await;
        self.case(alert)
    }

    async fn take(&self, alert: &Alert, action: Action) -> StepAnswer {
        let actor = Actor {
            name: ActorName::new("officer").unwrap(),
            role: Role::DutyOfficer,
        };
        let note = Some(Note::new("seen").unwrap());
        self.cases
            .take(alert.id, actor, Step { action, note })
            .await
            .unwrap()
    }

    fn assert_sound(&self) {
        assert_eq!(verify(&self.store).unwrap(), []);
    }
}

fn kinds(case: &Case) -> Vec<MoveKind> {
    case.moves.iter().map(|made| made.kind).collect()
}

#[tokio::test]
async fn what_nobody_takes_goes_up_tier_by_tier_and_each_is_a_revision() {
    let folder = temp_dir();
    let bed = Bed::start(folder.path(), NOON);
    let duress = bed.raise(1, AlertKind::Duress).await;
    let minor = bed.raise(2, AlertKind::ClockSkew).await;
    assert_eq!(bed.cases.of(minor.id).unwrap(), None);
    bed.later(61);
    let case = bed
        .until(&duress, "street", |case| case.tier == Tier::Street)
        .await;
    assert_eq!(
        case.party.as_ref().map(Party::as_str),
        Some("street office")
    );
    assert_eq!((case.state, bed.revision(&duress)), (CaseState::Raised, 2));
    bed.later(61);
    let case = bed
        .until(&duress, "district", |case| case.tier == Tier::District)
        .await;
    assert_eq!((bed.revision(&duress), case.due_at.is_some()), (3, true));
    bed.later(61);
    let case = bed
        .until(&duress, "the end of the tiers", |case| {
            case.due_at.is_none()
        })
        .await;
    let expected = [
        MoveKind::Opened,
        MoveKind::Escalated,
        MoveKind::Escalated,
        MoveKind::Overdue,
    ];
    assert_eq!(
        (kinds(&case), bed.revision(&duress)),
        (expected.to_vec(), 4)
    );
    // Each is told in the feed, in order and once.
    let page = bed.outbox.feed_after(0).unwrap();
    assert_eq!(page.read_to, 5, "two raises and three moves");
    assert_eq!(
        page.records.last().map(|record| record.alert.revision),
        Some(4)
    );

    let StepAnswer::Taken(case) = bed.take(&duress, Action::Acknowledge).await else {
        panic!("late, but taken");
    };
    assert!(case.moves.last().unwrap().late);
    let text = scrape(&bed.registry);
    for line in [
        "stairgate_cases_escalations_total{tier=\"street\"} 1",
        "stairgate_cases_escalations_total{tier=\"district\"} 1",
        "stairgate_cases_steps_total{step=\"acknowledge\",outcome=\"taken\"} 1",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn a_step_in_time_starts_the_next_deadline() {
    let folder = temp_dir();
    let bed = Bed::start(folder.path(), NOON);
    let duress = bed.raise(1, AlertKind::Duress).await;
    bed.later(50);
    bed.take(&duress, Action::Acknowledge).await;
    // Past the first deadline, within the second: nothing happens. A second alert, which does go up,
    // shows that the timer has looked.
    let other = bed.raise(2, AlertKind::Duress).await;
    bed.later(100);
    bed.until(&other, "the other goes up", |case| {
        case.tier == Tier::Street
    })
    .await;
    assert_eq!(bed.case(&duress).tier, Tier::Community);
    bed.later(21);
    let case = bed
        .until(&duress, "no dispatch", |case| case.tier == Tier::Street)
        .await;
    assert_eq!(case.state, CaseState::Acknowledged);
    let dispatch = Action::Dispatch {
        party: None,
        tier: None,
    };
    let StepAnswer::Taken(case) = bed.take(&duress, dispatch).await else {
        panic!("it can be dispatched");
    };
    assert_eq!(
        case.party.as_ref().map(Party::as_str),
        Some("street office")
    );
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn a_restart_forgets_no_deadline() {
    let folder = temp_dir();
    let bed = Bed::start(folder.path(), NOON);
    let duress = bed.raise(1, AlertKind::Duress).await;
    let now = bed.stop().await;
    // Away for an hour: the deadline passed meanwhile.
    let bed = Bed::start(folder.path(), now.plus(Duration::from_secs(3_600)));
    let case = bed
        .until(&duress, "street", |case| case.tier == Tier::Street)
        .await;
    // The street has its minute, too.
    assert_eq!(kinds(&case), [MoveKind::Opened, MoveKind::Escalated]);
    assert!(case.due_at.is_some_and(|due| due > bed.clock.now()));
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn a_thousand_deadlines_that_pass_at_once_are_all_met() {
    let folder = temp_dir();
    let bed = Bed::start(folder.path(), NOON);
    let (policy, now) = (bed.outbox.raise_policy(), bed.clock.now());
    let work = move |txn: &mut stairgate::store::Txn<'_>| {
        for n in 0..1_000 {
            let one = alert(n, AlertKind::Duress, "gate", now);
            outbox::raise(txn, &one, &policy, false, now)?;
        }
        Ok(())
    };
    bed.store.write(work).await.unwrap();
    bed.later(61);
    let all_moved = || {
        let cases = bed.store.scan(tables::CASES, &());
        cases
            .filter(|row| row.as_ref().unwrap().1.tier == Tier::Street)
            .count()
            == 1_000
    };
    eventually("all go up", SOON, all_moved).await;
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn a_condition_that_ended_is_noted_and_the_case_goes_on() {
    let folder = temp_dir();
    let bed = Bed::start(folder.path(), NOON);
    let held = bed.raise(1, AlertKind::DoorHeld).await;
    let (id, now) = (held.id, bed.clock.now());
    let end = move |txn: &mut stairgate::store::Txn<'_>| {
        outbox::revise(txn, id, Change::Ended { at: now }, now)
    };
    assert!(bed.store.write(end).await.unwrap());
    let case = bed.case(&held);
    assert_eq!(kinds(&case), [MoveKind::Opened, MoveKind::ConditionEnded]);
    assert_eq!((case.state, bed.revision(&held)), (CaseState::Raised, 2));
    // One step ends it, with the reason.
    let StepAnswer::Taken(case) = bed.take(&held, Action::Cancel).await else {
        panic!("it can be cancelled");
    };
    assert_eq!(case.state, CaseState::Cancelled);
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn nothing_is_counted_into_an_alert_whose_case_is_done() {
    let folder = temp_dir();
    let bed = Bed::start(folder.path(), NOON);
    let mut last = None;
    for n in 0..6 {
        last = Some(bed.raise(n, AlertKind::UnknownCard).await);
    }
    let is_there = |alert: &Alert| bed.store.get(tables::ALERTS, &alert.id).unwrap().is_some();
    assert!(
        !is_there(&last.unwrap()),
        "the sixth within 10 s is counted"
    );
    let fifth = alert(4, AlertKind::UnknownCard, "gate", NOON);
    bed.take(&fifth, Action::Cancel).await;
    let next = bed.raise(6, AlertKind::UnknownCard).await;
    assert!(is_there(&next), "nobody looks at the fifth any more");
    assert_eq!(bed.case(&next).state, CaseState::Raised);
    let after = bed.raise(7, AlertKind::UnknownCard).await;
    assert!(!is_there(&after), "counted in the new one");
    bed.assert_sound();
    bed.stop().await;
}
