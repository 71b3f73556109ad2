//! What the ledger costs with 100,000 cards: deciding, starting, issuing, taking an import, making the list
//! of a gate. `cargo bench --bench ledger`, with another number of cards as `-- 20000`.
//!
//! Targets: decide ≤ 5 µs, start ≤ 2 s, issue p99 ≤ 10 ms, an import of 10,000 dwellings and 30,000 cards
//! < 10 s.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use stairgate::domain::access::{AtDoor, CardState, Request};
use stairgate::domain::card::{CardHasher, CardNumber};
use stairgate::domain::dwelling::{Dwelling, Relation, Tenure};
use stairgate::domain::id::{CardholderId, CompoundId, DwellingId, StairwellId};
use stairgate::domain::person::PersonName;
use stairgate::domain::place::{Place, Stairwell};
use stairgate::domain::reckoning::{AppliesTo, LimitPolicy};
use stairgate::domain::role::{Actor, ActorName, Role};
use stairgate::domain::swipe::Method;
use stairgate::linkage::SiteFacts;
use stairgate::outbox::{Outbox, OutboxBase, OutboxOptions};
use stairgate::roster::{
    Batch, BeyondLimit, CardFacts, Change, HolderFacts, LedgerBase, Mode, Roster, RosterOptions,
    Step, Validity,
};
use stairgate::store::{Store, StoreOptions};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::{HealthBoard, registry};
use stairgate::time::{Clock, TimeZone};
use tokio::time::Instant;

const CARDS: usize = 100_000;
const HOLDERS_PER_DWELLING: usize = 3;
const STAIRWELLS: usize = 93;
const IMPORT_DWELLINGS: usize = 10_000;
const ISSUES: usize = 2_000;
const DECISIONS: usize = 1_000_000;

struct Open {
    roster: Roster,
    store: Store,
    supervisor: Supervisor,
}

fn stairwell(number: usize) -> StairwellId {
    StairwellId::new(&format!("s{:02}", number % STAIRWELLS)).expect("a slug")
}

fn options(folder: &Path) -> RosterOptions {
    let stairwells = (0..STAIRWELLS).map(|number| {
        let id = stairwell(number);
        let stairwell = Stairwell {
            id: id.clone(),
            building: format!("{}", number / 2),
            unit: format!("{}", number % 2),
        };
        (id, stairwell)
    });
    RosterOptions {
        file: None,
        stairwells: stairwells.collect(),
        time_zone: TimeZone::utc(),
        limit: LimitPolicy {
            version: 1,
            per_person: "12".parse().expect("an area"),
            applies_to: AppliesTo::All,
            exempt_relations: [].into(),
        },
        at_door: AtDoor::Alert,
        hasher: CardHasher::new(&[7; 32]),
        key_file: folder.join("ledger.key"),
    }
}

async fn open(folder: &Path) -> Open {
    let (supervisor, clock) = (Supervisor::new(), Clock::system());
    let mut registry = registry();
    let store = StoreOptions {
        path: folder.join("store"),
    };
    let store = Store::open(&store, &supervisor, &mut registry).expect("a store");
    let base = OutboxBase {
        store: store.clone(),
        clock: clock.clone(),
        supervisor: supervisor.clone(),
        board: HealthBoard::new(clock.clone()),
    };
    let facts = SiteFacts {
        compound: CompoundId::new("bench").expect("a slug"),
        name: "Bench".to_owned(),
        stairwells: BTreeMap::new(),
        time_zone: TimeZone::utc(),
        public_url: None,
    };
    let outbox = Outbox::start(
        base,
        OutboxOptions::default(),
        Vec::new(),
        facts,
        &mut registry,
    );
    let base = LedgerBase {
        store: store.clone(),
        outbox: outbox.expect("an outbox").0,
        clock,
    };
    let roster = Roster::open(base, options(folder)).await.expect("a roster");
    Open {
        roster,
        store,
        supervisor,
    }
}

async fn close(open: Open) {
    drop(open.roster);
    open.supervisor
        .shutdown(Duration::from_secs(5))
        .await
        .expect("no task is left");
    open.store.close().await;
}

fn number(card: usize) -> CardNumber {
    CardNumber::new(&format!("04{card:010X}")).expect("hexadecimal digits")
}

/// A dwelling with its holders and a card for each.
fn household(dwelling: usize) -> Vec<Step> {
    let id = DwellingId::new(&format!("d{dwelling}")).expect("a slug");
    let facts = Dwelling {
        id: id.clone(),
        place: Place::Stairwell(stairwell(dwelling)),
        number: format!("{dwelling}"),
        area: "94.30".parse().expect("an area"),
        tenure: Tenure::Rented,
        beds: None,
        from: None,
        to: None,
    };
    let mut steps = vec![Step::from(Change::PutDwelling(facts))];
    for n in 0..HOLDERS_PER_DWELLING {
        let holder = CardholderId::new(&format!("d{dwelling}-h{n}")).expect("a slug");
        steps.push(add(holder.clone(), id.clone()).into());
        steps.push(issue(dwelling * HOLDERS_PER_DWELLING + n, holder).into());
    }
    steps
}

fn add(holder: CardholderId, dwelling: DwellingId) -> Change {
    let facts = HolderFacts {
        dwelling,
        name: PersonName::new("Bench Person").expect("a name"),
        relation: Relation::new("tenant").expect("a word"),
        person: None,
        from: None,
        to: None,
    };
    Change::AddHolder(holder, facts)
}

fn issue(card: usize, holder: CardholderId) -> Change {
    let facts = CardFacts {
        holder,
        state: CardState::Active,
        validity: Validity::default(),
    };
    Change::IssueCard(number(card), facts)
}

fn batch(steps: Vec<Step>, mode: Mode) -> Batch {
    Batch {
        by: Actor {
            name: ActorName::new("bench").expect("a name"),
            role: Role::PropertyManager,
        },
        why: String::new(),
        steps,
        mode,
        beyond_limit: BeyondLimit::Refuse,
        if_seq: None,
    }
}

async fn import(roster: &Roster, dwellings: std::ops::Range<usize>, mode: Mode) -> Duration {
    let steps: Vec<Step> = dwellings.flat_map(household).collect();
    let started = Instant::now();
    let applied = roster.apply(batch(steps, mode)).await.expect("applied");
    assert!(applied.is_kept, "nothing is refused");
    started.elapsed()
}

fn decide(roster: &Roster, n_cards: usize) -> Duration {
    let hasher = roster.card_hasher();
    let keys: Vec<_> = (0..1_000)
        .map(|n| hasher.key_of(&number(n * 7_919 % n_cards)))
        .collect();
    let (place, at) = (Place::Compound, roster.moment().at);
    let started = Instant::now();
    let mut n_known = 0;
    for key in keys.iter().cycle().take(DECISIONS) {
        let request = Request {
            card: Some(*key),
            method: Method::Card,
            place: &place,
            at,
        };
        n_known += usize::from(roster.view().decide(&request).1.is_some());
    }
    assert_eq!(n_known, DECISIONS, "every card is known");
    started.elapsed() / u32::try_from(DECISIONS).expect("a million")
}

/// The median, the 99th of 100, and the longest.
async fn issues(roster: &Roster, n_cards: usize) -> [Duration; 3] {
    let mut took = Vec::with_capacity(ISSUES);
    for n in 0..ISSUES {
        let dwelling = n * 13 % (n_cards / HOLDERS_PER_DWELLING);
        let holder = CardholderId::new(&format!("d{dwelling}-h0")).expect("a slug");
        let change = issue(n_cards + n, holder);
        let started = Instant::now();
        let applied = roster
            .apply(batch(vec![change.into()], Mode::AllOrNothing))
            .await;
        took.push(started.elapsed());
        assert!(applied.expect("applied").is_kept, "it is not refused");
    }
    took.sort();
    let at = |share: usize| *took.get(took.len() * share / 100).expect("there are some");
    [at(50), at(99), *took.last().expect("there are some")]
}

#[tokio::main]
async fn main() {
    let n_cards = std::env::args()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(CARDS);
    let n_dwellings = n_cards / HOLDERS_PER_DWELLING;
    let n_cards = n_dwellings * HOLDERS_PER_DWELLING;
    // Not in memory: what is measured is a disk.
    let folder = tempfile::tempdir_in("target").expect("a folder");
    let opened = open(folder.path()).await;
    let n_import = IMPORT_DWELLINGS.min(n_dwellings);
    let at_once = import(&opened.roster, 0..n_import, Mode::AllOrNothing).await;
    let in_pieces = import(&opened.roster, n_import..n_dwellings, Mode::SkipRefused).await;
    close(opened).await;
    let started = Instant::now();
    let opened = open(folder.path()).await;
    let start = started.elapsed();
    let decision = decide(&opened.roster, n_cards);
    let [p50, p99, longest] = issues(&opened.roster, n_cards).await;
    let started = Instant::now();
    let lists = opened.roster.lists(&[Place::Compound].into());
    let gate = started.elapsed();
    let n_listed = lists
        .get(&Place::Compound)
        .map_or(0, |list| list.cards.len());
    close(opened).await;
    println!("{n_cards} cards in {n_dwellings} dwellings");
    println!("| what | measured | target |\n|---|---|---|");
    println!("| decide | {decision:?} | 5 µs |");
    println!("| start: open the store and read the ledger | {start:?} | 2 s |");
    println!("| issue, median | {p50:?} | |");
    println!("| issue, p99 | {p99:?} | 10 ms |");
    println!("| issue, longest of {ISSUES} | {longest:?} | |");
    let n_import_cards = n_import * HOLDERS_PER_DWELLING;
    println!("| {n_import} dwellings, {n_import_cards} cards, at once | {at_once:?} | 10 s |");
    let n_rest = n_dwellings - n_import;
    println!("| {n_rest} more dwellings, in pieces | {in_pieces:?} | |");
    println!("| list of a gate with {n_listed} cards | {gate:?} | |");
}
