//! The rules of the roster file.

use std::path::Path;

use super::*;
use crate::domain::access::{Outcome, Reason, Request};
use crate::domain::dwelling::Relation;
use crate::domain::reckoning::{AppliesTo, LimitBasis};
use crate::domain::swipe::Method;

const HEADER: &str = "dwelling,place,number,area_m2,tenure,beds,holder,name,relation,card,state,valid_from,valid_until";

fn options(file: Option<&Path>) -> RosterOptions {
    RosterOptions {
        file: file.map(Path::to_owned),
        stairwells: ["b03-u2", "b04-u1"]
            .map(|id| StairwellId::new(id).unwrap())
            .into(),
        time_zone: TimeZone::named("Asia/Shanghai").unwrap(),
        limit: LimitPolicy {
            version: 1,
            per_person: "12".parse().unwrap(),
            applies_to: AppliesTo::All,
            exempt_relations: [Relation::new("minor-child").unwrap()].into(),
        },
        at_door: AtDoor::Alert,
        hasher: CardHasher::new(&[7; 32]),
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    clock: Clock,
}

impl Fixture {
    fn new(now: &str) -> Fixture {
        Fixture {
            folder: tempfile::tempdir().unwrap(),
            clock: Clock::simulated(now.parse().unwrap()),
        }
    }

    fn write(&self, rows: &str) -> PathBuf {
        let file = self.folder.path().join("roster.csv");
        std::fs::write(&file, format!("{HEADER}\n{rows}")).unwrap();
        file
    }

    fn load(&self, rows: &str) -> Result<Roster, RosterError> {
        Roster::load(options(Some(&self.write(rows))), self.clock.clone())
    }

    fn refused(&self, text: &[u8]) -> String {
        let file = self.folder.path().join("roster.csv");
        std::fs::write(&file, text).unwrap();
        let err = Roster::load(options(Some(&file)), self.clock.clone()).unwrap_err();
        let folder = format!("{}/", self.folder.path().display());
        err.to_string().replace(&folder, "")
    }
}

fn stairwell(id: &str) -> Place {
    Place::Stairwell(StairwellId::new(id).unwrap())
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

fn numbers(cards: &[CardNumber]) -> Vec<&str> {
    cards.iter().map(CardNumber::reveal).collect()
}

const TWO_DWELLINGS: &str = "\
b03-u2-301,b03-u2,301,94.30,rented,,h1,甲,tenant,0a1b2c3d01,active,2026-01-01,2027-01-01
b03-u2-301,,,,,,h1,,,0A1B2C3D02,lost,,
b03-u2-301,,,,,,h2,乙,tenant,0A1B2C3D03,,,
b04-u1-101,b04-u1,101,60,owner-occupied,,h3,丙,owner,0A1B2C3D04,active,,

b04-u1-102,b04-u1,102,60,dormitory,4,,,,,,,
";

#[tokio::test(start_paused = true)]
async fn cards_open_their_own_stairwell_and_the_gates() {
    let fixture = Fixture::new("2026-11-22T08:00:00+08:00");
    let roster = fixture.load(TWO_DWELLINGS).unwrap();
    let at = "2026-11-22T08:00:00+08:00";
    let own = stairwell("b03-u2");
    let granted = (Outcome::Granted, Reason::Ok);
    assert_eq!(decide(&roster, "0A1B2C3D01", &own, at), granted);
    assert_eq!(decide(&roster, "0A1B2C3D01", &Place::Compound, at), granted);
    assert_eq!(decide(&roster, "0A1B2C3D02", &own, at).1, Reason::LostCard);
    assert_eq!(
        decide(&roster, "0A1B2C3D04", &own, at).1,
        Reason::WrongPlace
    );
    assert_eq!(
        decide(&roster, "0A1B2C3D99", &own, at).1,
        Reason::UnknownCard
    );
    assert_eq!(
        numbers(&roster.cards_of(&own)),
        ["0A1B2C3D01", "0A1B2C3D03"]
    );
    assert_eq!(
        numbers(&roster.cards_of(&Place::Compound)),
        ["0A1B2C3D01", "0A1B2C3D03", "0A1B2C3D04"]
    );
    let dwellings = roster.dwellings();
    assert_eq!(dwellings.len(), 3);
    assert_eq!(dwellings[0].reckoning.limit, Some(7));
    assert_eq!(dwellings[0].reckoning.n_holders(), 2);
    assert_eq!(dwellings[2].reckoning.basis, LimitBasis::Beds);
    assert_eq!(dwellings[2].reckoning.limit, Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_card_is_valid_through_the_end_of_its_last_day_here() {
    let fixture = Fixture::new("2027-01-01T23:59:59+08:00");
    let roster = fixture.load(TWO_DWELLINGS).unwrap();
    let own = stairwell("b03-u2");
    let last = decide(&roster, "0A1B2C3D01", &own, "2027-01-01T23:59:59+08:00");
    assert_eq!(last.1, Reason::Ok);
    let after = decide(&roster, "0A1B2C3D01", &own, "2027-01-02T00:00:00+08:00");
    assert_eq!(after.1, Reason::ExpiredCard);
    let before = decide(&roster, "0A1B2C3D01", &own, "2025-12-31T23:59:59+08:00");
    assert_eq!(before.1, Reason::NotYetValid);
    let change = roster.next_change().unwrap();
    assert_eq!(change, "2027-01-02T00:00:00+08:00".parse().unwrap());
    assert_eq!(roster.cards_of(&own).len(), 2);
    fixture.clock.step(1_000_000_000);
    assert_eq!(numbers(&roster.cards_of(&own)), ["0A1B2C3D03"]);
    assert_eq!(roster.next_change(), None);
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

#[tokio::test(start_paused = true)]
async fn those_beyond_the_limit_are_surplus_and_only_living_cards_count() {
    let fixture = Fixture::new("2026-11-22T08:00:00+08:00");
    let roster = fixture.load(FULL).unwrap();
    let reckoning = &roster.dwellings()[0].reckoning;
    assert_eq!((reckoning.limit, reckoning.n_holders()), (Some(3), 4));
    assert!(reckoning.is_over());
    let at = "2026-11-22T08:00:00+08:00";
    let own = stairwell("b03-u2");
    for card in ["0A01", "0A02", "0A05", "0A06", "0A07"] {
        assert_eq!(decide(&roster, card, &own, at).1, Reason::Ok, "{card}");
    }
    assert_eq!(
        decide(&roster, "0A08", &own, at),
        (Outcome::Granted, Reason::OverLimit)
    );

    let mut options = options(Some(&fixture.write(FULL)));
    options.at_door = AtDoor::Deny;
    let strict = Roster::load(options, fixture.clock.clone()).unwrap();
    assert_eq!(decide(&strict, "0A08", &own, at).0, Outcome::Denied);
    let listed = strict.cards_of(&own);
    assert_eq!(numbers(&listed), ["0A01", "0A02", "0A05", "0A06", "0A07"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_file_every_card_is_unknown() {
    let clock = Clock::simulated("2026-11-22T08:00:00Z".parse().unwrap());
    let roster = Roster::load(options(None), clock).unwrap();
    let reason = decide(&roster, "0A01", &Place::Compound, "2026-11-22T08:00:00Z").1;
    assert_eq!(reason, Reason::UnknownCard);
    assert!(roster.cards_of(&Place::Compound).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_bad_file_leaves_the_roster_as_it_was() {
    let fixture = Fixture::new("2026-11-22T08:00:00+08:00");
    let roster = fixture.load(TWO_DWELLINGS).unwrap();
    fixture.write("d1,nowhere,1,50,,,,,,,,,\n");
    assert!(roster.reload().is_err());
    assert_eq!(roster.dwellings().len(), 3);
    fixture.write("d1,b03-u2,1,50,,,h1,,,0A01,,,\n");
    roster.reload().unwrap();
    assert_eq!(numbers(&roster.cards_of(&Place::Compound)), ["0A01"]);
}

#[tokio::test(start_paused = true)]
async fn every_bad_row_is_named_at_once_without_names_or_numbers() {
    let fixture = Fixture::new("2026-11-22T08:00:00+08:00");
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

#[tokio::test(start_paused = true)]
async fn a_file_that_is_no_roster_says_what_it_should_be() {
    let fixture = Fixture::new("2026-11-22T08:00:00+08:00");
    insta::assert_snapshot!("empty", fixture.refused(b""));
    let columns = fixture.refused(b"dwelling,card,colour\nd1,0A01,red\n");
    insta::assert_snapshot!("bad_columns", columns);
    let gbk = [
        HEADER.as_bytes(),
        b"\nd1,b03-u2,1,50,,,h1,\xd5\xc5,,0A01,,,\n",
    ]
    .concat();
    insta::assert_snapshot!("not_utf8", fixture.refused(&gbk));
}

#[tokio::test(start_paused = true)]
async fn a_byte_order_mark_and_other_column_orders_are_fine() {
    let fixture = Fixture::new("2026-11-22T08:00:00+08:00");
    let file = fixture.folder.path().join("roster.csv");
    let text = "\u{feff}card,holder,area_m2,number,place,dwelling\r\n0A01,h1,50,301,b03-u2,d1\r\n";
    std::fs::write(&file, text).unwrap();
    let roster = Roster::load(options(Some(&file)), fixture.clock.clone()).unwrap();
    assert_eq!(numbers(&roster.cards_of(&Place::Compound)), ["0A01"]);
}

#[tokio::test(start_paused = true)]
async fn the_example_roster_is_good() {
    let clock = Clock::simulated("2026-11-22T08:00:00+08:00".parse().unwrap());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/roster.csv");
    let roster = Roster::load(options(Some(&file)), clock).unwrap();
    assert_eq!(roster.dwellings().len(), 3);
    assert_eq!(roster.cards_of(&stairwell("b03-u2")).len(), 3);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        cells in proptest::collection::vec(
            proptest::collection::vec(".{0,6}|d1|b03-u2|12.5|rented|dormitory|h1|0A01|lost|2026-02-30", 0..14),
            0..8,
        ),
        junk in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
    ) {
        let rows: Vec<String> = cells.iter().map(|row| row.join(",")).collect();
        let mut bytes = format!("{HEADER}\n{}\n", rows.join("\n")).into_bytes();
        bytes.extend(junk);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roster.csv");
        std::fs::write(&file, bytes).unwrap();
        drop(Roster::load(options(Some(&file)), Clock::system()));
    }
}
