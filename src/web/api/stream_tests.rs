//! Readers that were away for a day, for longer than steps are kept, or come from another store.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::case::{Action, Note, Step};
use crate::domain::id::DoorId;
use crate::domain::place::Place;
use crate::domain::role::{Actor, ActorName, Role};
use crate::linkage::SiteFacts;
use crate::outbox::{self, Change, FloodOptions, Outbox, OutboxBase, OutboxOptions};
use crate::store::{Store, StoreOptions, Txn, tables};
use crate::supervise::Supervisor;
use crate::telemetry::{HealthBoard, registry};
use crate::time::{Clock, TimeZone, WallTime};

const DAY: Duration = Duration::from_secs(86_400);
const START: WallTime = WallTime::from_unix_ms(1_795_320_000_000);

struct Bed {
    store: Store,
    clock: Clock,
    outbox: Outbox,
    live: LiveFeed,
    _supervisor: Supervisor,
}

impl Bed {
    fn start(folder: &Path) -> Bed {
        let (supervisor, clock) = (Supervisor::new(), Clock::simulated(START));
        let mut registry = registry();
        let options = StoreOptions {
            path: folder.to_owned(),
        };
        let store = Store::open(&options, &supervisor, &mut registry).unwrap();
        let base = OutboxBase {
            store: store.clone(),
            clock: clock.clone(),
            supervisor: supervisor.clone(),
            board: HealthBoard::new(clock.clone()),
        };
        let facts = SiteFacts {
            compound: "a".parse().unwrap(),
            name: "A".to_owned(),
            stairwells: BTreeMap::new(),
            time_zone: TimeZone::utc(),
            public_url: None,
        };
        let options = OutboxOptions {
            flood: FloodOptions {
                window: Duration::ZERO,
                ..FloodOptions::default()
            },
            ..OutboxOptions::default()
        };
        let (outbox, _) = Outbox::start(base, options, Vec::new(), facts, &mut registry).unwrap();
        let live = LiveFeed::new(store.clone(), outbox.clone(), &mut registry);
        Bed {
            store,
            clock,
            outbox,
            live,
            _supervisor: supervisor,
        }
    }

    fn later(&self, by: Duration) {
        self.clock.step(i64::try_from(by.as_nanos()).unwrap());
    }

    async fn raise(&self, numbers: std::ops::Range<u64>, kind: AlertKind) -> Vec<AlertId> {
        let (policy, now) = (self.outbox.raise_policy(), self.clock.now());
        let alerts: Vec<Alert> = numbers.map(|n| alert(n, kind, now)).collect();
        let ids = alerts.iter().map(|alert| alert.id).collect();
        let work = move |txn: &mut Txn<'_>| {
            for alert in &alerts {
                outbox::raise(txn, alert, &policy, false, now)?;
            }
            Ok(())
        };
        self.store.write(work).await.unwrap();
        self.outbox.wake();
        ids
    }

    async fn end(&self, id: AlertId) {
        let now = self.clock.now();
        let work = move |txn: &mut Txn<'_>| outbox::revise(txn, id, Change::Ended { at: now }, now);
        assert!(self.store.write(work).await.unwrap());
        self.outbox.wake();
    }

    /// Ends the case of an alert, as a revision of it.
    async fn cancel(&self, id: AlertId) {
        let (policy, now) = (self.outbox.raise_policy(), self.clock.now());
        let work = move |txn: &mut Txn<'_>| {
            let case = txn.get(tables::CASES, &id)?.expect("it has one");
            let step = Step {
                action: Action::Cancel,
                note: Some(Note::new("a drill").unwrap()),
            };
            let actor = Actor {
                name: ActorName::new("a").unwrap(),
                role: Role::Admin,
            };
            let taken = case.take(&step, &actor, &policy.cases, now);
            let Ok(crate::domain::case::Taken::Moved(moved)) = taken else {
                panic!("{taken:?}");
            };
            outbox::move_case(txn, &case, &moved, &policy, now)
        };
        self.store.write(work).await.unwrap();
        self.outbox.wake();
    }

    fn reader(&self, cursor: u64) -> Reader {
        Reader {
            _counted: self.live.count(),
            live: self.live.clone(),
            cursor,
            hello: None,
            snapshot: None,
            changes: self.live.changes(),
            places: Places::ALL,
            stop: CancellationToken::new(),
        }
    }

    /// The revision of every alert there is.
    fn revisions(&self) -> BTreeMap<String, u64> {
        let rows = self.store.scan(tables::ALERTS, &()).map(Result::unwrap);
        rows.map(|(id, alert)| (id.to_string(), u64::from(alert.revision)))
            .collect()
    }
}

fn alert(n: u64, kind: AlertKind, raised_at: WallTime) -> Alert {
    Alert {
        id: AlertId::derive(&[&n.to_be_bytes()]),
        revision: 1,
        kind,
        raised_at,
        place: Place::Compound,
        door: Some(DoorId::new("gate").unwrap()),
        camera: None,
        entry: None,
        dwelling: None,
        count: 1,
        detail: String::new(),
        ended_at: None,
    }
}

/// What a viewer has made of the stream.
#[derive(Debug, Default)]
struct Viewer {
    last_id: u64,
    newest: HashMap<String, u64>,
    n_alerts: usize,
    snapshot: BTreeSet<String>,
    reasons: BTreeSet<String>,
}

impl Viewer {
    /// Reads all there is just now.
    async fn read_all(&mut self, reader: &mut Reader) {
        loop {
            let Some(chunk) = reader.ready().await.unwrap() else {
                return;
            };
            for event in std::str::from_utf8(&chunk)
                .unwrap()
                .split_terminator("\n\n")
            {
                self.take(event);
            }
        }
    }

    fn take(&mut self, event: &str) {
        let field = |name: &str| {
            let mut lines = event.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        if let Some(id) = field("id") {
            self.last_id = id.parse().unwrap();
        }
        let data: Value = serde_json::from_str(field("data").unwrap()).unwrap();
        match field("event").unwrap() {
            "alert" => {
                self.n_alerts += 1;
                let before = self.show(&data);
                assert!(before < data["revision"].as_u64(), "shown before: {data}");
            }
            "snapshot" => {
                self.reasons
                    .insert(data["reason"].as_str().unwrap().to_owned());
                for alert in data["alerts"].as_array().unwrap() {
                    let id = alert["id"].as_str().unwrap().to_owned();
                    assert!(self.snapshot.insert(id), "twice in the snapshot");
                    // How it is now, which the viewer may have known.
                    assert!(self.show(alert) <= alert["revision"].as_u64());
                }
            }
            other => panic!("{other}"),
        }
    }

    /// Takes the alert in; the revision known so far.
    fn show(&mut self, alert: &Value) -> Option<u64> {
        let id = alert["id"].as_str().unwrap().to_owned();
        self.newest.insert(id, alert["revision"].as_u64().unwrap())
    }

    fn knows(&self, all: &BTreeMap<String, u64>) -> bool {
        all.iter()
            .all(|(id, revision)| self.newest.get(id) == Some(revision))
    }
}

#[tokio::test]
async fn a_viewer_that_slept_for_a_day_gets_each_alert_once_as_it_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(folder.path());
    bed.raise(0..10, AlertKind::Duress).await;
    let mut viewer = Viewer::default();
    viewer.read_all(&mut bed.reader(0)).await;
    assert_eq!((viewer.n_alerts, viewer.last_id), (10, 10));
    // More than the ring holds, in many commits; some change more than once.
    for n in 0..20 {
        bed.later(DAY / 20);
        let ids = bed
            .raise(1_000 * n + 10..1_000 * n + 510, AlertKind::DoorHeld)
            .await;
        bed.end(ids[0]).await;
        bed.cancel(ids[0]).await;
    }
    bed.outbox.prune().await.unwrap();
    let mut reader = bed.reader(viewer.last_id);
    viewer.read_all(&mut reader).await;
    assert!(viewer.knows(&bed.revisions()) && viewer.reasons.is_empty());
    assert_eq!(
        viewer.n_alerts,
        10 + 20 * 500,
        "each once, at its newest revision"
    );
    // It is at the end now, and goes on live.
    let ids = bed.raise(90_000..90_001, AlertKind::Duress).await;
    viewer.read_all(&mut reader).await;
    bed.cancel(ids[0]).await;
    viewer.read_all(&mut reader).await;
    assert_eq!(viewer.newest[&ids[0].to_string()], 2);
}

#[tokio::test]
async fn a_viewer_away_for_longer_than_steps_are_kept_is_told_what_is_open_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(folder.path());
    let seen = bed.raise(0..3, AlertKind::Duress).await;
    let mut viewer = Viewer::default();
    viewer.read_all(&mut bed.reader(0)).await;
    // Missed: 250 that stay open, one that is done, and one that is only for the record.
    let missed = bed.raise(10..260, AlertKind::Duress).await;
    let done = bed.raise(300..301, AlertKind::Duress).await;
    bed.cancel(done[0]).await;
    bed.raise(400..401, AlertKind::ClockSkew).await;
    bed.later(DAY * 31);
    // Still kept: one of the old ones has moved since, and a new one.
    bed.cancel(missed[7]).await;
    let kept = bed.raise(500..502, AlertKind::DoorHeld).await;
    assert!(bed.outbox.prune().await.unwrap() > 0);

    let mut away = Viewer {
        last_id: viewer.last_id,
        ..Viewer::default()
    };
    let mut reader = bed.reader(away.last_id);
    away.read_all(&mut reader).await;
    assert_eq!(away.reasons, ["cursor-too-old".to_owned()].into());
    let open: BTreeSet<String> = seen
        .iter()
        .chain(missed.iter().filter(|id| **id != missed[7]))
        .map(ToString::to_string)
        .collect();
    assert_eq!(away.snapshot, open, "what is open and told by no kept step");
    let told: BTreeSet<String> = [missed[7], kept[0], kept[1]]
        .map(|id| id.to_string())
        .into();
    let rest: BTreeSet<String> = away.newest.keys().cloned().collect();
    assert_eq!(
        rest.difference(&open).cloned().collect::<BTreeSet<_>>(),
        told
    );
    assert_eq!(away.last_id, bed.live.newest().unwrap());
    // Once told, it is like everybody else.
    bed.cancel(kept[0]).await;
    let (mut again, mut reader) = (Viewer::default(), bed.reader(away.last_id));
    again.read_all(&mut reader).await;
    assert_eq!((again.n_alerts, again.reasons.len()), (1, 0));
}

#[tokio::test]
async fn a_viewer_of_another_store_is_told_so_and_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(folder.path());
    bed.raise(0..5, AlertKind::Duress).await;
    let (mut viewer, mut reader) = (Viewer::default(), bed.reader(70_000));
    viewer.read_all(&mut reader).await;
    assert_eq!(viewer.reasons, ["cursor-unknown".to_owned()].into());
    assert!(viewer.snapshot.is_empty(), "the feed itself tells all five");
    assert!(viewer.knows(&bed.revisions()));
    assert_eq!((viewer.n_alerts, viewer.last_id), (5, 5));
}

/// Whoever comes and goes, whatever is pruned meanwhile: in the end each viewer knows every alert that
/// is open, at its newest revision, and was shown none twice.
#[tokio::test]
async fn coming_and_going_at_random_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(folder.path());
    let mut random = fastrand::Rng::with_seed(5);
    let mut viewers: Vec<Viewer> = (0..8).map(|_| Viewer::default()).collect();
    let mut open: Vec<AlertId> = Vec::new();
    let mut n_raised = 0;
    for _ in 0..400 {
        match random.u32(0..10) {
            0..4 => {
                let n = random.u64(1..5);
                open.extend(bed.raise(n_raised..n_raised + n, AlertKind::Duress).await);
                n_raised += n;
            }
            4 | 5 if !open.is_empty() => {
                let id = open.swap_remove(random.usize(..open.len()));
                bed.cancel(id).await;
            }
            6 => {
                bed.later(DAY * random.u32(1..8));
                bed.outbox.prune().await.unwrap();
            }
            _ => {
                let viewer = &mut viewers[random.usize(..8)];
                viewer.snapshot.clear();
                let mut reader = bed.reader(viewer.last_id);
                viewer.read_all(&mut reader).await;
            }
        }
    }
    let all = bed.revisions();
    for viewer in &mut viewers {
        viewer.snapshot.clear();
        viewer.read_all(&mut bed.reader(viewer.last_id)).await;
        for id in &open {
            let id = id.to_string();
            assert_eq!(viewer.newest.get(&id), all.get(&id), "{id}");
        }
    }
}
