//! The rules of the roster file, which is taken over into an empty ledger.

use std::path::{Path, PathBuf};

use super::fixture::{self, Open, Site, options, stairwell};
use super::*;
use crate::domain::access::{Outcome, Reason, Request};
use crate::domain::card::CardNumber;
use crate::domain::reckoning::LimitBasis;
use crate::domain::swipe::Method;
use crate::time::Clock;

const HEADER: &str = "dwelling,place,number,area_m2,tenure,beds,holder,name,relation,card,state,valid_from,valid_until";
const NOW: &str = "2026-11-22T08:00:00+08:00";

struct Fixture(Site);

impl Fixture {
    fn new(now: &str) -> Fixture {
        Fixture(Site::new(now))
    }

    fn file(&self) -> PathBuf {
        self.0.folder.path().join("roster.csv")
    }

    /// Opens a roster that takes these rows over.
    async fn open(&mut self, rows: &str) -> Result<Open, RosterOpenError> {
        std::fs::write(self.file(), format!("{HEADER}\n{rows}")).unwrap();
        self.0.options.file = Some(self.file());
        self.0.try_open().await
    }

    fn refused(&self, text: &[u8]) -> String {
        let file = self.file();
        std::fs::write(&file, text).unwrap();
        let err = check_file(&file, &self.0.options, &self.0.clock).unwrap_err();
        let folder = format!("{}/", self.0.folder.path().display());
        err.to_string().replace(&folder, "")
    }
}

fn decide(roster: &Roster, card: &str, place: &Place, at: &str) -> (Outcome, Reason) {
    let card = roster.card_hasher().key_of(&CardNumber::new(card).unwrap());
    let request = Request {
        card: Some(card),
        method: Method::Card,
        place,
        at: at.parse().unwrap(),
    };
    let decision = roster.view().decide(&request).0;
    (decision.outcome, decision.reason)
}

/// The cards that doors at `place` let in by themselves.
fn numbers(roster: &Roster, place: &Place) -> Vec<String> {
    let lists = roster.lists(&[place.clone()].into());
    let cards = lists[place].cards.iter();
    cards.map(|card| card.reveal().to_owned()).collect()
}

fn reckoning(roster: &Roster, dwelling: &str) -> crate::domain::reckoning::Reckoning {
    let book = roster.book();
    let household = book.household(&fixture::dwelling_id(dwelling)).unwrap();
    household.reckon(book.policy(), roster.moment())
}

const TWO_DWELLINGS: &str = "\
b03-u2-301,b03-u2,301,94.30,rented,,h1,甲,tenant,0a1b2c3d01,active,2026-01-01,2027-01-01
b03-u2-301,,,,,,h1,,,0A1B2C3D02,lost,,
b03-u2-301,,,,,,h2,乙,tenant,0A1B2C3D03,,,
b04-u1-101,b04-u1,101,60,owner-occupied,,h3,丙,owner,0A1B2C3D04,active,,

b04-u1-102,b04-u1,102,60,dormitory,4,,,,,,,
";

#[tokio::test]
async fn cards_open_their_own_stairwell_and_the_gates() {
    let mut fixture = Fixture::new(NOW);
    let open = fixture.open(TWO_DWELLINGS).await.unwrap();
    let roster = &open.roster;
    let own = stairwell("b03-u2");
    let granted = (Outcome::Granted, Reason::Ok);
    assert_eq!(decide(roster, "0A1B2C3D01", &own, NOW), granted);
    assert_eq!(decide(roster, "0A1B2C3D01", &Place::Compound, NOW), granted);
    assert_eq!(decide(roster, "0A1B2C3D02", &own, NOW).1, Reason::LostCard);
    assert_eq!(
        decide(roster, "0A1B2C3D04", &own, NOW).1,
        Reason::WrongPlace
    );
    assert_eq!(
        decide(roster, "0A1B2C3D99", &own, NOW).1,
        Reason::UnknownCard
    );
    assert_eq!(numbers(roster, &own), ["0A1B2C3D01", "0A1B2C3D03"]);
    assert_eq!(
        numbers(roster, &Place::Compound),
        ["0A1B2C3D01", "0A1B2C3D03", "0A1B2C3D04"]
    );
    assert_eq!(roster.book().n_dwellings(), 3);
    let first = reckoning(roster, "b03-u2-301");
    assert_eq!((first.limit, first.n_holders()), (Some(7), 2));
    let dormitory = reckoning(roster, "b04-u1-102");
    assert_eq!(
        (dormitory.basis, dormitory.limit),
        (LimitBasis::Beds, Some(4))
    );
    open.verify();
}

#[tokio::test]
async fn a_card_is_valid_through_the_end_of_its_last_day_here() {
    let mut fixture = Fixture::new("2027-01-01T23:59:00+08:00");
    let open = fixture.open(TWO_DWELLINGS).await.unwrap();
    let roster = &open.roster;
    let own = stairwell("b03-u2");
    let last = decide(roster, "0A1B2C3D01", &own, "2027-01-01T23:59:59+08:00");
    assert_eq!(last.1, Reason::Ok);
    let after = decide(roster, "0A1B2C3D01", &own, "2027-01-02T00:00:00+08:00");
    assert_eq!(after.1, Reason::ExpiredCard);
    let before = decide(roster, "0A1B2C3D01", &own, "2025-12-31T23:59:59+08:00");
    assert_eq!(before.1, Reason::NotYetValid);
    let due = roster.next_due().unwrap();
    assert_eq!(due, "2027-01-02T00:00:00+08:00".parse().unwrap());
    assert_eq!(numbers(roster, &own).len(), 2);
    fixture.0.days_later(1);
    assert_eq!(numbers(roster, &own), ["0A1B2C3D03"]);
    assert_eq!(roster.look_at_due().await.unwrap(), 1);
    assert_eq!(roster.next_due(), None);
}

/// 36 m²: room for three.
const FULL: &str = "\
d1,b03-u2,301,36.00,rented,,h1,,tenant,0A01,,,
d1,,,,,,h2,,minor-child,0A02,,,
d1,,,,,,h3,,tenant,0A03,revoked,,
d1,,,,,,h4,,tenant,0A04,,,2020-01-01
d1,,,,,,h5,,tenant,0A05,,,
d1,,,,,,h6,,tenant,0A06,,,
d1,,,,,,h6,,,0A07,,,
d1,,,,,,h7,,tenant,0A08,,,
";

#[tokio::test]
async fn those_beyond_the_limit_are_surplus_and_only_living_cards_count() {
    let mut fixture = Fixture::new(NOW);
    let open = fixture.open(FULL).await.unwrap();
    let found = reckoning(&open.roster, "d1");
    assert_eq!((found.limit, found.n_holders()), (Some(3), 4));
    assert!(found.is_over());
    let own = stairwell("b03-u2");
    for card in ["0A01", "0A02", "0A05", "0A06", "0A07"] {
        assert_eq!(
            decide(&open.roster, card, &own, NOW).1,
            Reason::Ok,
            "{card}"
        );
    }
    let flagged = (Outcome::Granted, Reason::OverLimit);
    assert_eq!(decide(&open.roster, "0A08", &own, NOW), flagged);
    open.close().await;

    fixture.0.options.at_door = AtDoor::Deny;
    let strict = fixture.0.open().await;
    assert_eq!(decide(&strict.roster, "0A08", &own, NOW).0, Outcome::Denied);
    let listed = numbers(&strict.roster, &own);
    assert_eq!(listed, ["0A01", "0A02", "0A05", "0A06", "0A07"]);
}

#[tokio::test]
async fn without_a_file_every_card_is_unknown() {
    let open = Site::new(NOW).open().await;
    let reason = decide(&open.roster, "0A01", &Place::Compound, NOW).1;
    assert_eq!(reason, Reason::UnknownCard);
    assert!(numbers(&open.roster, &Place::Compound).is_empty());
}

#[tokio::test]
async fn a_bad_file_is_refused_and_a_good_one_is_taken_over_once() {
    let mut fixture = Fixture::new(NOW);
    let Err(err) = fixture.open("d1,nowhere,1,50,,,,,,,,,\n").await else {
        panic!("there is no such stairwell");
    };
    assert!(matches!(err, RosterOpenError::File(_)), "{err}");
    let open = fixture
        .open("d1,b03-u2,1,50,,,h1,,,0A01,,,\n")
        .await
        .unwrap();
    open.close().await;
    let open = fixture.open(TWO_DWELLINGS).await.unwrap();
    assert_eq!(numbers(&open.roster, &Place::Compound), ["0A01"]);
    open.close().await;
    std::fs::remove_file(fixture.file()).unwrap();
    let open = fixture.0.open().await;
    let items = open
        .roster
        .history(&fixture::dwelling_id("d1"), None, 10)
        .unwrap();
    assert!(
        items
            .iter()
            .all(|item| item.by.name.as_str() == "roster-file")
    );
    assert_eq!(items.len(), 3);
}

#[tokio::test]
async fn every_bad_row_is_named_at_once_without_names_or_numbers() {
    let fixture = Fixture::new(NOW);
    let rows = "\
d1,b99-u9,301,94.305,let,,h1,甲,tenant,0A1B2C3D01,stolen,2026-02-30,soon
d 2,b03-u2,302,50,,,h2,,,0A1B2C3D02,,,
d3,b03-u2,,50,,,h3,,,XYZ,,2026-02-01,2026-01-01
d3,b04-u1,,51,rented,,h1,,,0A1B2C3D01,,,
d3,,,,,,,,,0A1B2C3D05,,,
d3,,,,,,h3,其他,父母,,,,
d5,b03-u2,5,50,dormitory,,,,,,,,
d6,b03-u2,6,50,rented,4,,,,,,,
d4,b03-u2,304,50,,,h4,a,b,c,d,e,f,g
";
    let refused = fixture.refused(format!("{HEADER}\n{rows}").as_bytes());
    insta::assert_snapshot!("bad_rows", refused);
}

#[tokio::test]
async fn a_file_that_is_no_roster_says_what_it_should_be() {
    let fixture = Fixture::new(NOW);
    insta::assert_snapshot!("empty", fixture.refused(b""));
    let columns = fixture.refused(b"dwelling,card,colour\nd1,0A01,red\n");
    insta::assert_snapshot!("bad_columns", columns);
}

#[tokio::test]
async fn a_byte_order_mark_and_other_column_orders_are_fine() {
    let mut fixture = Fixture::new(NOW);
    let text = "\u{feff}card,holder,area_m2,number,place,dwelling\r\n0A01,h1,50,301,b03-u2,d1\r\n";
    std::fs::write(fixture.file(), text).unwrap();
    fixture.0.options.file = Some(fixture.file());
    let open = fixture.0.open().await;
    assert_eq!(numbers(&open.roster, &Place::Compound), ["0A01"]);
}

#[test]
fn the_example_roster_is_good() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/roster.csv");
    let report = check_file(&file, &options(Path::new("")), &Clock::system()).unwrap();
    assert_eq!((report.n_dwellings, report.over_limit.len()), (3, 0));
}
