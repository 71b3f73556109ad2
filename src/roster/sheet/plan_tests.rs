//! Plans against a small model of the ledger: what a file says becomes so, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::access::CardState;
use crate::domain::card::{CardHasher, CardNumber};
use crate::domain::id::{CardholderId, DwellingId, StairwellId};
use crate::domain::ledger::DwellingRecord;
use crate::domain::place::Place;
use crate::roster::{Change, KnownCard, KnownHolder, Snapshot};
use crate::time::{TimeZone, WallTime};

/// A compound of `n_dwellings` over 93 stairwells of 42 buildings: `b01-u1`, `b01-u2`, `b01-u3`, …
pub(super) fn stairwells() -> Vec<(StairwellId, String, String)> {
    let units = (0..93).map(|n| (n % 42 + 1, n / 42 + 1));
    let id = |(building, unit): (i32, i32)| {
        let id = format!("b{building:02}-u{unit}");
        (
            StairwellId::new(&id).unwrap(),
            building.to_string(),
            unit.to_string(),
        )
    };
    units.map(id).collect()
}

fn options() -> ReadOptions {
    let wells = stairwells();
    let walls = wells
        .iter()
        .map(|(id, building, unit)| (id, building.as_str(), unit.as_str()));
    ReadOptions {
        places: Arc::new(PlaceBook::new(walls)),
        time_zone: TimeZone::named("Asia/Shanghai").unwrap(),
        today: "2026-11-22".parse().unwrap(),
    }
}

fn write_options(language: Language) -> WriteOptions {
    WriteOptions {
        time_zone: options().time_zone,
        language,
    }
}

/// Makes the changes as the ledger would, without its checks.
fn apply(snapshot: &mut Snapshot, plan: &Plan) {
    let hasher = CardHasher::new(&[7; 32]);
    for planned in &plan.steps {
        snapshot.seq += 1;
        let revision = snapshot.seq;
        match planned.change.clone() {
            Change::PutDwelling(dwelling) => {
                snapshot
                    .dwellings
                    .insert(dwelling.id.clone(), DwellingRecord { dwelling, revision });
            }
            Change::AddHolder(id, facts) => {
                let added_at = WallTime::from_unix_ms(i64::try_from(revision).unwrap());
                let holder = KnownHolder {
                    facts,
                    added_at,
                    revision,
                };
                assert!(snapshot.holders.insert(id, holder).is_none());
            }
            Change::ChangeHolder(id, facts) => {
                let holder = snapshot.holders.get_mut(&id).unwrap();
                holder.facts = facts;
            }
            Change::RemoveHolder(id) => {
                snapshot.holders.remove(&id).unwrap();
                let cards = snapshot
                    .cards
                    .values_mut()
                    .filter(|card| card.facts.holder == id);
                cards.for_each(|card| card.facts.state = CardState::Revoked);
            }
            Change::IssueCard(number, facts) => {
                assert!(snapshot.holders.contains_key(&facts.holder));
                let key = hasher.key_of(&number);
                let before = snapshot.cards.insert(
                    number,
                    KnownCard {
                        key,
                        facts,
                        revision,
                    },
                );
                assert!(before.is_none_or(|card| card.facts.state == CardState::Revoked));
            }
            Change::SetCardState(key, state) => card_of(snapshot, key).facts.state = state,
            Change::RedateCard(key, validity) => card_of(snapshot, key).facts.validity = validity,
        }
    }
}

fn card_of(snapshot: &mut Snapshot, key: crate::domain::card::CardKey) -> &mut KnownCard {
    snapshot
        .cards
        .values_mut()
        .find(|card| card.key == key)
        .unwrap()
}

const HEADING: &str = "dwelling,place,number,area_m2,tenure,holder,name,relation,person_key,to,card,state,valid_until";

fn planned(bytes: &[u8], snapshot: &Snapshot, missing: Missing) -> Plan {
    let book = read(bytes, &options()).unwrap();
    let wanted = gather(book, &addresses_of(snapshot));
    plan(wanted, snapshot, missing, &options().time_zone)
}

fn plan_of(rows: &str, snapshot: &Snapshot, missing: Missing) -> Plan {
    let text = format!("{HEADING}\n{rows}");
    planned(text.as_bytes(), snapshot, missing)
}

/// The words of the changes with their effects.
fn words(plan: &Plan) -> Vec<String> {
    let shown = |planned: &Planned| {
        let effect = &planned.effect;
        let holder = effect
            .holder
            .as_ref()
            .map(|id| format!(" {id}"))
            .unwrap_or_default();
        let card = effect
            .card
            .as_ref()
            .map(|tail| format!(" {tail}"))
            .unwrap_or_default();
        format!(
            "{} {}{holder}{card}: {}",
            planned.change.word(),
            effect.dwelling,
            effect.detail
        )
    };
    plan.steps.iter().map(shown).collect()
}

fn refused(plan: &Plan) -> Vec<String> {
    plan.refused.iter().map(ToString::to_string).collect()
}

fn notes(plan: &Plan) -> Vec<String> {
    plan.notes.iter().map(ToString::to_string).collect()
}

const FAMILY: &str = "\
d1,b03-u1,301,94.3,rented,h1,甲,tenant,P-1,,0A01,,2026-12-31
d1,,,,,,乙,,,2026-12-31,0A02,lost,
d1,,,,,,乙,,,,0A03,,
,b03-u1,302,50,,,丙,,,,,,
";

fn family() -> Snapshot {
    let mut snapshot = Snapshot::default();
    let plan = plan_of(FAMILY, &snapshot, Missing::Keeps);
    assert_eq!(refused(&plan), [""; 0]);
    apply(&mut snapshot, &plan);
    snapshot
}

#[test]
fn a_new_file_is_taken_whole_and_the_same_file_changes_nothing() {
    let plan = plan_of(FAMILY, &Snapshot::default(), Missing::Keeps);
    insta::assert_snapshot!("plan_new", words(&plan).join("\n"));
    let snapshot = family();
    assert_eq!(words(&plan_of(FAMILY, &snapshot, Missing::Keeps)), [""; 0]);
    assert_eq!(words(&plan_of(FAMILY, &snapshot, Missing::Ends)), [""; 0]);
}

#[test]
fn only_what_differs_changes_and_an_empty_cell_says_nothing() {
    let snapshot = family();
    let rows = "\
d1,b03-u1,301室,90.30,,h1,,owner,,2027-01-31,,,
d1,,,,,,乙,,,open,0A02,revoked,
d1,,,,,,乙,,,,0A04,,
b03-u1-302,b02-u1,302,,rented,,丙丙,,,,,,
,b03-u1,301,,,h1,,,,,0A01,lost,open
";
    let plan = plan_of(rows, &snapshot, Missing::Keeps);
    assert_eq!(refused(&plan), [""; 0]);
    insta::assert_snapshot!("plan_changes", words(&plan).join("\n"));
}

#[test]
fn what_the_file_does_not_name_ends_only_when_asked_and_only_in_its_dwellings() {
    let snapshot = family();
    let rows = "d1,,,,,h1,,,,,0A05,,\n";
    let keeps = plan_of(rows, &snapshot, Missing::Keeps);
    assert_eq!(words(&keeps), ["issue-card d1 h1 …05: "]);
    let ends = plan_of(rows, &snapshot, Missing::Ends);
    insta::assert_snapshot!("plan_ends", words(&ends).join("\n"));
}

#[test]
fn what_cannot_be_planned_is_refused_with_all_its_rows() {
    let snapshot = family();
    let rows = "\
d9,b03-u1,309,,rented,h9,甲,,,,0B01,,
d9,,,,,h9,,,,,0B02,,
d8,b03-u1,301,50,,h8,,,,,0B03,,
d6,b03-u1,306,50,,h6,,,,,0B06,,
d7,b03-u1,306,50,,h7,,,,,0B07,,
d1,,,,,,,,,,0B04,,
d1,,,,,,,,,,0A01,lost,
,b03-u1,302,,,,丙,,,,0A03,lost,
";
    let plan = plan_of(rows, &snapshot, Missing::Keeps);
    insta::assert_snapshot!("plan_refused", refused(&plan).join("\n"));
    assert_eq!(words(&plan), ["lose-card d1 h1 …01: "]);
}

#[test]
fn nobody_goes_while_a_refused_row_may_mean_them() {
    let mut snapshot = family();
    // Two of one name: a row that gives the name alone may mean either.
    let plan = plan_of("d1,,,,,h3,乙,,,,0A07,,\n", &snapshot, Missing::Keeps);
    assert_eq!(refused(&plan), [""; 0]);
    apply(&mut snapshot, &plan);
    let rows = "d1,,,,,,乙,,,,0A02,,\nd1,,,,,h1,,,,,0A01,,\n";
    let plan = plan_of(rows, &snapshot, Missing::Ends);
    assert_eq!(words(&plan), [""; 0]);
    insta::assert_snapshot!(
        "plan_stays",
        format!("{}\n{}", refused(&plan).join("\n"), notes(&plan).join("\n"))
    );
    // A cell that cannot be read is no different.
    let rows = "d1,,,,,,甲,,,,no card,,\nd1,,,,,h3,,,,,,,\n";
    let plan = plan_of(rows, &snapshot, Missing::Ends);
    assert_eq!(words(&plan), [""; 0]);
    assert_eq!((plan.refused.len(), plan.notes.len()), (1, 1));
}

#[test]
fn who_a_name_means_does_not_depend_on_the_order_of_rows() {
    let named_first = "d1,b03-u1,301,94.3,rented,,甲,,,,0A01,,";
    let by_id = "d1,,,,,h2,,,,,0A02,,";
    let both = "d1,,,,,h2,甲,,,,,,";
    let another = "d1,,,,,h1,甲,,,,,,";
    for rows in [
        [named_first, by_id, both],
        [by_id, both, named_first],
        [both, named_first, by_id],
    ] {
        let plan = plan_of(&rows.join("\n"), &Snapshot::default(), Missing::Ends);
        assert_eq!(refused(&plan), [""; 0]);
        let issued = |word: &String| word.starts_with("issue-card d1 h2");
        assert_eq!(words(&plan).iter().filter(|word| issued(word)).count(), 2);
    }
    for rows in [[named_first, both, another], [both, another, named_first]] {
        let plan = plan_of(&rows.join("\n"), &Snapshot::default(), Missing::Ends);
        let reasons: Vec<&str> = plan
            .refused
            .iter()
            .map(|found| found.reason.word())
            .collect();
        assert!(reasons.contains(&"two-of-that-name"), "{reasons:?}");
    }
}

#[test]
fn a_refused_row_lends_nobody_its_id() {
    let rows = "\
d1,b03-u1,301,94.3,rented,h1,甲,,,,0A01,,
d2,b03-u1,302,50,rented,h9,乙,,,,0A09,,
";
    let mut snapshot = Snapshot::default();
    let plan = plan_of(rows, &snapshot, Missing::Keeps);
    apply(&mut snapshot, &plan);
    // Rows 1 and 3 contradict each other about h9; row 2 means the 甲 that the ledger has.
    let rows = "d1,,,,,h9,甲,,,,,,\nd1,,,,,,甲,,,,0A02,,\nd2,,,,,h9,乙,,,,,,\n";
    let plan = plan_of(rows, &snapshot, Missing::Keeps);
    assert_eq!(words(&plan), ["issue-card d1 h1 …02: "]);
    assert_eq!(plan.refused.len(), 2, "{:?}", refused(&plan));
}

#[test]
fn a_card_and_a_person_may_change_hands() {
    let snapshot = family();
    let rows = "\
,b03-u1,302,,,,丙,,,,0A01,,
b03-u1-302,,,,,h1,,,,,,,
";
    let plan = plan_of(rows, &snapshot, Missing::Keeps);
    assert_eq!(refused(&plan), [""; 0]);
    insta::assert_snapshot!("plan_moves", words(&plan).join("\n"));
}

/// A whole site: 42 buildings, 93 stairwells, 1,500 dwellings, synthetic people.
fn site() -> Vec<u8> {
    let wells = stairwells();
    let mut text = format!("{HEADING}\n");
    let mut n_cards = 0;
    for n in 0..1_500_usize {
        let (well, _, _) = &wells[n % wells.len()];
        let number = format!("{}0{}", n / wells.len() / 4 + 1, n / wells.len() % 4 + 1);
        let id = format!("{well}-{number}");
        let area = format!("{}.{:02}", 36 + n % 100, n % 97);
        let tenure = ["rented", "owner-occupied", "rented"][n % 3];
        for holder in 0..=n % 4 {
            let facts = if holder == 0 {
                format!("{well},{number},{area},{tenure}")
            } else {
                ",,,".to_owned()
            };
            n_cards += 1;
            let until = ["", "2027-06-30"][n % 2];
            let state = ["", "active", "lost"][(n + holder) % 3];
            text += &format!(
                "{id},{facts},{id}-{holder},住户{n}之{holder},tenant,,,{n_cards:010X},{state},{until}\n"
            );
        }
    }
    text.into_bytes()
}

#[test]
fn a_site_exported_is_the_same_site_imported_in_every_format() {
    let mut first = Snapshot::default();
    let whole = planned(&site(), &first, Missing::Keeps);
    assert_eq!(refused(&whole), [""; 0]);
    apply(&mut first, &whole);
    assert_eq!((first.dwellings.len(), first.cards.len()), (1_500, 3_750));
    let wells: BTreeSet<&Place> = first
        .dwellings
        .values()
        .map(|d| &d.dwelling.place)
        .collect();
    assert_eq!(wells.len(), 93);
    for (format, language) in [
        (FileFormat::Xlsx, Language::Zh),
        (FileFormat::Csv, Language::En),
    ] {
        let bytes = write(&rows_of(&first), format, &write_options(language)).unwrap();
        let again = planned(&bytes, &first, Missing::Ends);
        assert_eq!(
            (again.steps.len(), again.refused.len()),
            (0, 0),
            "{format:?}"
        );
        let mut second = Snapshot::default();
        let anew = planned(&bytes, &second, Missing::Keeps);
        apply(&mut second, &anew);
        assert!(is_same(&first, &second), "{format:?}");
    }
}

/// Do two ledgers say the same, and count the same people first?
fn is_same(a: &Snapshot, b: &Snapshot) -> bool {
    let facts = |s: &Snapshot| -> (Vec<_>, BTreeMap<CardholderId, _>, BTreeMap<CardNumber, _>) {
        (
            s.dwellings
                .values()
                .map(|record| record.dwelling.clone())
                .collect(),
            s.holders
                .iter()
                .map(|(id, holder)| (id.clone(), holder.facts.clone()))
                .collect(),
            s.cards
                .iter()
                .map(|(number, card)| (number.clone(), card.facts.clone()))
                .collect(),
        )
    };
    let order = |s: &Snapshot| {
        let mut order: Vec<(DwellingId, WallTime, CardholderId)> = s
            .holders
            .iter()
            .map(|(id, holder)| (holder.facts.dwelling.clone(), holder.added_at, id.clone()))
            .collect();
        order.sort();
        order.into_iter().map(|(_, _, id)| id).collect::<Vec<_>>()
    };
    facts(a) == facts(b) && order(a) == order(b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever two files say, one after the other: each is taken once, and an export says it again.
    #[test]
    fn any_file_is_taken_once(
        first in proptest::collection::vec(row(), 1..12),
        second in proptest::collection::vec(row(), 1..12),
        ends in proptest::bool::ANY,
    ) {
        let mut snapshot = Snapshot::default();
        let missing = if ends { Missing::Ends } else { Missing::Keeps };
        for rows in [first, second] {
            let rows = rows.join("\n");
            let plan = plan_of(&rows, &snapshot, missing);
            apply(&mut snapshot, &plan);
            let again = plan_of(&rows, &snapshot, missing);
            // What was refused may have become possible, as when an address has become free; and when
            // nothing is refused any more, what the file does not name ends.
            let was_refused = |at: &RowAt| plan.refused.iter().any(|found| found.at == *at);
            let may_end = !plan.refused.is_empty() && again.refused.is_empty();
            let anew = again.steps.iter().filter(|planned| {
                let is_end = planned.effect.detail == "not in the file";
                !(was_refused(&planned.at) || may_end && is_end)
            });
            prop_assert_eq!(anew.count(), 0, "{:?}", words(&again));
        }
        let rows = rows_of(&snapshot);
        let bytes = write(&rows, FileFormat::Csv, &write_options(Language::Zh)).unwrap();
        if !snapshot.dwellings.is_empty() {
            let again = planned(&bytes, &snapshot, Missing::Ends);
            prop_assert_eq!(words(&again), Vec::<String>::new());
            prop_assert_eq!(refused(&again), Vec::<String>::new());
        }
    }
}

/// A row of few dwellings, people and cards, so that they meet.
fn row() -> impl Strategy<Value = String> {
    (
        prop_oneof!["d[12]", Just(String::new())],
        prop_oneof![
            "b0[12]-u1,30[12],50,rented",
            "b0[12]-u1,30[12],,",
            Just(",,,".to_owned())
        ],
        prop_oneof!["h[123],", ",[甲乙]", "h[123],[甲乙]", Just(",".to_owned())],
        prop_oneof![Just(""), Just("tenant"), Just("owner")],
        prop_oneof![Just(""), Just("2026-12-31"), Just("open")],
        prop_oneof!["0A0[1234]", Just(String::new())],
        prop_oneof![Just(""), Just("active"), Just("lost"), Just("revoked")],
        prop_oneof![Just(""), Just("2026-12-31"), Just("长期")],
    )
        .prop_map(|(dwelling, facts, who, relation, to, card, state, until)| {
            let (state, until) = if card.is_empty() {
                ("", "")
            } else {
                (state, until)
            };
            let (relation, to) = if who == "," { ("", "") } else { (relation, to) };
            format!("{dwelling},{facts},{who},{relation},,{to},{card},{state},{until}")
        })
}
