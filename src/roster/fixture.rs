//! A roster on a store of its own, for tests.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::dwelling::{Dwelling, Relation, Tenure};
use crate::domain::reckoning::AppliesTo;
use crate::domain::role::{Actor, ActorName, Role};
use crate::linkage::SiteFacts;
use crate::outbox::{Outbox, OutboxBase, OutboxOptions};
use crate::store::{Store, StoreOptions, tables};
use crate::supervise::Supervisor;
use crate::telemetry::{HealthBoard, registry};
use crate::time::Clock;

/// Where a roster lives, across restarts.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Clock,
    pub(crate) options: RosterOptions,
}

/// A roster that is open.
pub(crate) struct Open {
    pub(crate) roster: Roster,
    pub(crate) store: Store,
    supervisor: Supervisor,
}

impl Site {
    /// At `now`, with the stairwells `b03-u2` and `b04-u1` and 12 m² a person.
    pub(crate) fn new(now: &str) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::simulated(now.parse().unwrap());
        let options = options(folder.path());
        Site {
            folder,
            clock,
            options,
        }
    }

    /// With other options, in `folder`, now.
    pub(crate) fn of(folder: tempfile::TempDir, options: RosterOptions) -> Site {
        Site {
            folder,
            clock: Clock::system(),
            options,
        }
    }

    pub(crate) async fn try_open(&self) -> Result<Open, RosterOpenError> {
        let supervisor = Supervisor::new();
        let mut registry = registry();
        let options = StoreOptions {
            path: self.folder.path().join("store"),
        };
        let store = Store::open(&options, &supervisor, &mut registry).unwrap();
        let base = OutboxBase {
            store: store.clone(),
            clock: self.clock.clone(),
            supervisor: supervisor.clone(),
            board: HealthBoard::new(self.clock.clone()),
        };
        let facts = SiteFacts {
            compound: crate::domain::id::CompoundId::new("test").unwrap(),
            name: "Test".to_owned(),
            stairwells: BTreeMap::new(),
            time_zone: TimeZone::utc(),
            public_url: None,
        };
        let outbox = OutboxOptions::default();
        let outbox = Outbox::start(base, outbox, Vec::new(), facts, &mut registry).unwrap();
        let base = LedgerBase {
            store: store.clone(),
            outbox: outbox.0,
            clock: self.clock.clone(),
        };
        match Roster::open(base, self.options.clone()).await {
            Ok(roster) => Ok(Open {
                roster,
                store,
                supervisor,
            }),
            Err(err) => {
                end(supervisor, store).await;
                Err(err)
            }
        }
    }

    pub(crate) async fn open(&self) -> Open {
        self.try_open().await.unwrap()
    }

    /// The clock goes on by that many days.
    pub(crate) fn days_later(&self, n_days: i64) {
        self.clock.step(n_days * 86_400 * 1_000_000_000);
    }
}

/// Nobody holds the store any more.
async fn end(supervisor: Supervisor, store: Store) {
    let within = std::time::Duration::from_secs(5);
    supervisor.shutdown(within).await.unwrap();
    store.close().await;
}

impl Open {
    /// Ends it, so that it can be opened again.
    pub(crate) async fn close(self) {
        drop(self.roster);
        end(self.supervisor, self.store).await;
    }

    pub(crate) async fn one(&self, change: Change) -> Outcome {
        let batch = Batch::one(clerk(), "because", change);
        let applied = self.roster.apply(batch).await.unwrap();
        applied.outcomes.into_iter().next().unwrap()
    }

    /// The change is made, or was so already.
    #[track_caller]
    pub(crate) fn do_all(
        &self,
        changes: impl IntoIterator<Item = Change>,
    ) -> impl Future<Output = ()> {
        let batch = Batch {
            steps: changes.into_iter().map(Step::from).collect(),
            ..Batch::one(clerk(), "because", Change::RemoveHolder(holder_id("x")))
        };
        let roster = self.roster.clone();
        async move {
            let applied = roster.apply(batch).await.unwrap();
            assert!(applied.is_kept, "{:?}", applied.outcomes);
        }
    }

    pub(crate) fn alerts(&self, kind: AlertKind) -> Vec<Alert> {
        let alerts = self.store.scan(tables::ALERTS, &());
        let alerts = alerts.map(|row| row.unwrap().1);
        alerts.filter(|alert| alert.kind == kind).collect()
    }

    /// Places that are taken in a dwelling, and its limit.
    pub(crate) fn taken(&self, dwelling: &str) -> (u32, Option<u32>) {
        let book = self.roster.book();
        let household = book.household(&dwelling_id(dwelling)).unwrap();
        let reckoning = household.reckon(book.policy(), self.roster.moment());
        (reckoning.n_holders(), reckoning.limit)
    }

    /// The store is clean.
    pub(crate) fn verify(&self) {
        assert_eq!(crate::store::verify(&self.store).unwrap(), Vec::new());
    }
}

pub(crate) fn options(folder: &Path) -> RosterOptions {
    let stairwell = |id: &str, building: &str| {
        let id = StairwellId::new(id).unwrap();
        let stairwell = Stairwell {
            id: id.clone(),
            building: building.to_owned(),
            unit: "1".to_owned(),
        };
        (id, stairwell)
    };
    RosterOptions {
        file: None,
        stairwells: [stairwell("b03-u2", "3"), stairwell("b04-u1", "4")].into(),
        time_zone: TimeZone::named("Asia/Shanghai").unwrap(),
        limit: policy("12", &["minor-child"]),
        at_door: AtDoor::Alert,
        hasher: CardHasher::new(&[7; 32]),
        key_file: folder.join("ledger.key"),
    }
}

pub(crate) fn policy(per_person: &str, exempt: &[&str]) -> LimitPolicy {
    LimitPolicy {
        version: 1,
        per_person: per_person.parse().unwrap(),
        applies_to: AppliesTo::All,
        exempt_relations: exempt
            .iter()
            .map(|word| Relation::new(word).unwrap())
            .collect(),
    }
}

pub(crate) fn clerk() -> Actor {
    Actor {
        name: ActorName::new("clerk").unwrap(),
        role: Role::PropertyManager,
    }
}

pub(crate) fn dwelling_id(id: &str) -> DwellingId {
    DwellingId::new(id).unwrap()
}

pub(crate) fn holder_id(id: &str) -> CardholderId {
    CardholderId::new(id).unwrap()
}

pub(crate) fn stairwell(id: &str) -> Place {
    Place::new(id).unwrap()
}

/// A rented dwelling of `area` in `b03-u2`.
pub(crate) fn dwelling(id: &str, area: &str) -> Dwelling {
    Dwelling {
        id: dwelling_id(id),
        place: stairwell("b03-u2"),
        number: "301".to_owned(),
        area: area.parse().unwrap(),
        tenure: Tenure::Rented,
        beds: None,
        from: None,
        to: None,
    }
}

/// A tenant of `dwelling` without dates.
pub(crate) fn facts(dwelling: &str, name: &str) -> HolderFacts {
    HolderFacts {
        dwelling: dwelling_id(dwelling),
        name: PersonName::new(name).unwrap(),
        relation: Relation::new("tenant").unwrap(),
        person: None,
        from: None,
        to: None,
    }
}

pub(crate) fn add(id: &str, dwelling: &str) -> Change {
    Change::AddHolder(holder_id(id), facts(dwelling, "Test Person"))
}

pub(crate) fn issue(number: &str, holder: &str) -> Change {
    let facts = CardFacts {
        holder: holder_id(holder),
        state: crate::domain::access::CardState::Active,
        validity: Validity::default(),
    };
    Change::IssueCard(number.parse().unwrap(), facts)
}
