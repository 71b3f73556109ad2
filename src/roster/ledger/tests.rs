//! The rules of the ledger, on a real store.

use super::*;
use crate::domain::access::{CardState, Reason, Request};
use crate::domain::alert::AlertKind;
use crate::domain::card::CardNumber;
use crate::domain::ledger::Changed;
use crate::domain::swipe::Method;
use crate::roster::fixture::*;
use crate::roster::{Roster, RosterOpenError};

const NOW: &str = "2026-11-22T08:00:00+08:00";

fn key(roster: &Roster, number: &str) -> CardKey {
    roster.card_hasher().key_of(&number.parse().unwrap())
}

fn reason(roster: &Roster, number: &str, place: &str) -> Reason {
    let request = Request {
        card: Some(key(roster, number)),
        method: Method::Card,
        place: &stairwell(place),
        at: roster.moment().at,
    };
    roster.view().decide(&request).0.reason
}

/// Which cards the doors at `place` let in by themselves.
fn listed(roster: &Roster, place: &str) -> Vec<String> {
    let place = stairwell(place);
    let lists = roster.lists(&[place.clone()].into());
    let cards = lists[&place].cards.iter();
    cards.map(|card| card.reveal().to_owned()).collect()
}

#[track_caller]
fn refusal(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        Outcome::Done { .. } | Outcome::Unchanged => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn the_last_place_goes_once_and_a_second_card_is_free() {
    let site = Site::new(NOW);
    let open = site.open().await;
    open.do_all([
        Change::PutDwelling(dwelling("d1", "24.00")),
        add("h1", "d1"),
        issue("0A01", "h1"),
        add("h2", "d1"),
        issue("0A02", "h2"),
        issue("0A03", "h2"),
    ])
    .await;
    let Refusal::LimitReached { reckoning, day, .. } = refusal(open.one(add("h3", "d1")).await)
    else {
        panic!("the dwelling is full");
    };
    assert_eq!((reckoning.limit, reckoning.n_holders()), (Some(2), 2));
    assert_eq!(reckoning.counted, [holder_id("h1"), holder_id("h2")]);
    assert_eq!(
        (day.to_string().as_str(), reckoning.rule_version),
        ("2026-11-22", 1)
    );
    let alerts = open.alerts(AlertKind::LimitReached);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].dwelling, Some(dwelling_id("d1")));
    assert!(open.roster.holder(&holder_id("h3")).unwrap().is_none());
    assert_eq!(reason(&open.roster, "0A03", "b03-u2"), Reason::Ok);
    open.verify();
}

#[tokio::test]
async fn a_revoked_card_is_refused_at_once_and_leaves_its_doors_list_only() {
    let site = Site::new(NOW);
    let open = site.open().await;
    let mut other = dwelling("d2", "24.00");
    other.place = stairwell("b04-u1");
    open.do_all([
        Change::PutDwelling(dwelling("d1", "24.00")),
        Change::PutDwelling(other),
        add("h1", "d1"),
        add("h2", "d2"),
        issue("0A01", "h1"),
        issue("0A02", "h2"),
    ])
    .await;
    open.roster.take_changed_places();
    let card = key(&open.roster, "0A01");
    open.do_all([Change::SetCardState(card, CardState::Revoked)])
        .await;
    assert_eq!(reason(&open.roster, "0A01", "b03-u2"), Reason::RevokedCard);
    let changed = [Place::Compound, stairwell("b03-u2")].into();
    assert_eq!(open.roster.take_changed_places(), changed);
    assert!(listed(&open.roster, "b03-u2").is_empty());
    assert_eq!(listed(&open.roster, "compound"), ["0A02"]);
    // The same again changes nothing, and no list.
    let again = open
        .one(Change::SetCardState(card, CardState::Revoked))
        .await;
    assert_eq!(again, Outcome::Unchanged);
    assert!(open.roster.take_changed_places().is_empty());
    // It may be issued to someone else, in another dwelling.
    open.do_all([issue("0A01", "h2")]).await;
    assert_eq!(reason(&open.roster, "0A01", "b04-u1"), Reason::Ok);
    assert_eq!(reason(&open.roster, "0A01", "b03-u2"), Reason::WrongPlace);
    let taken = refusal(open.one(issue("0A01", "h1")).await);
    assert!(matches!(taken, Refusal::CardTaken { .. }), "{taken}");
    open.verify();
}

#[tokio::test]
async fn a_smaller_area_takes_nobodys_card_and_raises_one_alert_while_it_stands() {
    let mut site = Site::new(NOW);
    let open = site.open().await;
    open.do_all([
        Change::PutDwelling(dwelling("d1", "36.00")),
        add("h1", "d1"),
        add("h2", "d1"),
        add("h3", "d1"),
        issue("0A01", "h1"),
        issue("0A03", "h3"),
    ])
    .await;
    open.do_all([Change::PutDwelling(dwelling("d1", "35.99"))])
        .await;
    assert_eq!(open.taken("d1"), (3, Some(2)));
    assert_eq!(reason(&open.roster, "0A01", "b03-u2"), Reason::Ok);
    assert_eq!(reason(&open.roster, "0A03", "b03-u2"), Reason::OverLimit);
    assert_eq!(listed(&open.roster, "b03-u2"), ["0A01", "0A03"]);
    // More of the same raises no more, and a new card for one who counts is no new person.
    open.do_all([
        Change::PutDwelling(dwelling("d1", "24.00")),
        issue("0A04", "h1"),
    ])
    .await;
    let full = refusal(open.one(add("h4", "d1")).await);
    assert_eq!(full.word(), "cardholder-limit-reached");
    assert_eq!(open.alerts(AlertKind::OverLimit).len(), 1);
    open.close().await;

    site.options.at_door = AtDoor::Deny;
    let open = site.open().await;
    assert_eq!(listed(&open.roster, "b03-u2"), ["0A01", "0A04"]);
    assert_eq!(open.alerts(AlertKind::OverLimit).len(), 1);
    open.do_all([Change::RemoveHolder(holder_id("h2"))]).await;
    assert_eq!(open.taken("d1"), (2, Some(2)));
    let alerts = open.alerts(AlertKind::OverLimit);
    assert!(alerts[0].ended_at.is_some(), "{alerts:?}");
    assert_eq!(reason(&open.roster, "0A03", "b03-u2"), Reason::Ok);
    open.do_all([Change::PutDwelling(dwelling("d1", "12.00"))])
        .await;
    assert_eq!(open.alerts(AlertKind::OverLimit).len(), 2);
    open.verify();
}

#[tokio::test]
async fn a_tighter_rule_is_the_next_version_and_a_looser_one_ends_the_alert() {
    let mut site = Site::new(NOW);
    let open = site.open().await;
    open.do_all([
        Change::PutDwelling(dwelling("d1", "24.00")),
        add("h1", "d1"),
        add("h2", "d1"),
        issue("0A02", "h2"),
    ])
    .await;
    site.days_later(1);
    site.options.limit = policy("15", &[]);
    open.roster.set_options(&site.options).await.unwrap();
    assert_eq!(open.roster.book().policy().version, 2);
    assert_eq!(open.taken("d1"), (2, Some(1)));
    assert_eq!(reason(&open.roster, "0A02", "b03-u2"), Reason::OverLimit);
    assert_eq!(open.alerts(AlertKind::OverLimit).len(), 1);
    // Yesterday's reckoning is by yesterday's rule.
    let yesterday = "2026-11-22".parse().unwrap();
    let then = open.roster.dwelling(&dwelling_id("d1"), Some(yesterday));
    let then = then.unwrap().unwrap();
    assert_eq!(
        (then.reckoning.rule_version, then.reckoning.limit),
        (1, Some(2))
    );
    open.roster.set_options(&site.options).await.unwrap();
    assert_eq!(
        open.roster.book().policy().version,
        2,
        "the same rule is no new version"
    );
    open.close().await;

    site.options.limit = policy("12", &[]);
    let open = site.open().await;
    assert_eq!(open.roster.book().policy().version, 3);
    assert!(open.alerts(AlertKind::OverLimit)[0].ended_at.is_some());
    assert_eq!(reason(&open.roster, "0A02", "b03-u2"), Reason::Ok);
    open.verify();
}

#[tokio::test]
async fn an_ended_tenancy_frees_its_place_by_itself_and_its_card_opens_nothing() {
    let site = Site::new(NOW);
    let open = site.open().await;
    let mut leaving = facts("d1", "Test Person");
    leaving.to = Some("2026-11-22".parse().unwrap());
    open.do_all([
        Change::PutDwelling(dwelling("d1", "12.00")),
        Change::AddHolder(holder_id("h1"), leaving),
        issue("0A01", "h1"),
    ])
    .await;
    assert_eq!(
        refusal(open.one(add("h2", "d1")).await).word(),
        "cardholder-limit-reached"
    );
    // One who comes after is promised the place.
    let mut coming = facts("d1", "Test Person");
    coming.from = Some("2026-11-23".parse().unwrap());
    open.do_all([
        Change::AddHolder(holder_id("h3"), coming),
        issue("0A03", "h3"),
    ])
    .await;
    assert_eq!(listed(&open.roster, "b03-u2"), ["0A01"]);
    assert_eq!(reason(&open.roster, "0A03", "b03-u2"), Reason::NotYetValid);
    open.roster.take_changed_places();
    site.days_later(1);
    // Nothing had to run for that.
    assert_eq!(open.taken("d1"), (1, Some(1)));
    assert_eq!(reason(&open.roster, "0A01", "b03-u2"), Reason::ExpiredCard);
    assert_eq!(reason(&open.roster, "0A03", "b03-u2"), Reason::Ok);
    assert_eq!(
        refusal(open.one(add("h2", "d1")).await).word(),
        "cardholder-limit-reached"
    );
    // The lists are told.
    assert_eq!(open.roster.look_at_due().await.unwrap(), 1);
    assert!(
        open.roster
            .take_changed_places()
            .contains(&stairwell("b03-u2"))
    );
    assert_eq!(listed(&open.roster, "b03-u2"), ["0A03"]);
    assert_eq!(open.roster.look_at_due().await.unwrap(), 0);
    open.verify();
}

#[tokio::test]
async fn a_tenancy_that_begins_in_a_full_dwelling_raises_the_alert_when_it_does() {
    let mut site = Site::new(NOW);
    let open = site.open().await;
    let mut coming = facts("d1", "Test Person");
    coming.from = Some("2026-11-23".parse().unwrap());
    open.do_all([
        Change::PutDwelling(dwelling("d1", "24.00")),
        add("h1", "d1"),
        Change::AddHolder(holder_id("h2"), coming),
        Change::PutDwelling(dwelling("d1", "12.00")),
    ])
    .await;
    assert!(open.alerts(AlertKind::OverLimit).is_empty());
    site.days_later(1);
    assert_eq!(open.roster.look_at_due().await.unwrap(), 1);
    assert_eq!(open.alerts(AlertKind::OverLimit).len(), 1);
    open.close().await;
    // What begins while nobody looks is told at the next start.
    site.options.limit = policy("6", &[]);
    let open = site.open().await;
    assert!(open.alerts(AlertKind::OverLimit)[0].ended_at.is_some());
    open.verify();
}

#[tokio::test]
async fn who_moves_takes_the_cards_along_and_is_checked_there() {
    let site = Site::new(NOW);
    let open = site.open().await;
    let mut small = dwelling("d2", "12.00");
    small.place = stairwell("b04-u1");
    open.do_all([
        Change::PutDwelling(dwelling("d1", "24.00")),
        Change::PutDwelling(small),
        add("h1", "d1"),
        add("h2", "d1"),
        issue("0A01", "h1"),
        issue("0A02", "h2"),
        Change::ChangeHolder(holder_id("h1"), facts("d2", "Test Person")),
    ])
    .await;
    assert_eq!(reason(&open.roster, "0A01", "b04-u1"), Reason::Ok);
    assert_eq!(reason(&open.roster, "0A01", "b03-u2"), Reason::WrongPlace);
    assert_eq!(listed(&open.roster, "b03-u2"), ["0A02"]);
    let moved = Change::ChangeHolder(holder_id("h2"), facts("d2", "Test Person"));
    assert_eq!(
        refusal(open.one(moved).await).word(),
        "cardholder-limit-reached"
    );
    assert_eq!(
        (open.taken("d1"), open.taken("d2")),
        ((1, Some(2)), (1, Some(1)))
    );
    site.days_later(1);
    open.do_all([Change::RemoveHolder(holder_id("h1"))]).await;
    assert_eq!(reason(&open.roster, "0A01", "b04-u1"), Reason::RevokedCard);
    let on = Some("2026-11-22".parse().unwrap());
    let old = open
        .roster
        .dwelling(&dwelling_id("d1"), on)
        .unwrap()
        .unwrap();
    let new = open
        .roster
        .dwelling(&dwelling_id("d2"), on)
        .unwrap()
        .unwrap();
    assert_eq!(old.reckoning.counted, [holder_id("h2")]);
    assert_eq!(new.reckoning.counted, [holder_id("h1")]);
    assert_eq!(new.cards.len(), 1);
    // One who was removed may come back, and waits for a card like anyone.
    open.do_all([add("h1", "d1")]).await;
    assert_eq!(open.taken("d1"), (2, Some(2)));
    open.verify();
}

#[tokio::test]
async fn one_person_in_two_dwellings_is_known_as_one_and_counts_once_in_each() {
    let site = Site::new(NOW);
    let open = site.open().await;
    let marked = |dwelling: &str| {
        let mut facts = facts(dwelling, "Test Person");
        facts.person = Some(crate::domain::person::PersonMark::new("P-17").unwrap());
        facts
    };
    open.do_all([
        Change::PutDwelling(dwelling("d1", "12.00")),
        Change::PutDwelling(dwelling("d2", "12.00")),
        Change::AddHolder(holder_id("h1"), marked("d1")),
        Change::AddHolder(holder_id("h2"), marked("d2")),
        Change::AddHolder(holder_id("h3"), marked("d1")),
    ])
    .await;
    assert_eq!(open.taken("d1"), (1, Some(1)));
    let person = |id: &str| open.roster.holder(&holder_id(id)).unwrap().unwrap().person;
    assert_eq!(person("h1"), person("h2"));
    // Without the mark the second of one dwelling is another person, for whom there is no place.
    let apart = Change::ChangeHolder(holder_id("h3"), facts("d1", "Test Person"));
    assert_eq!(
        refusal(open.one(apart).await).word(),
        "cardholder-limit-reached"
    );
    open.verify();
}

#[tokio::test]
async fn all_or_nothing_keeps_nothing_and_skip_refused_the_rest() {
    let site = Site::new(NOW);
    let open = site.open().await;
    let steps: Vec<Step> = [
        Change::PutDwelling(dwelling("d1", "12.00")),
        add("h1", "d1"),
        add("h2", "d1"),
        issue("0A01", "h1"),
        issue("0A02", "h9"),
    ]
    .map(Step::from)
    .into();
    let mut batch = Batch {
        steps,
        ..Batch::one(clerk(), "because", add("x", "x"))
    };
    let rehearsed = open.roster.rehearse(&batch).unwrap();
    assert_eq!(rehearsed.outcomes.len(), 5);
    let applied = open.roster.apply(batch.clone()).await.unwrap();
    assert_eq!(applied.outcomes, rehearsed.outcomes);
    assert!(!applied.is_kept);
    assert_eq!(open.roster.book().n_dwellings(), 0);
    assert_eq!(
        open.alerts(AlertKind::LimitReached).len(),
        1,
        "the refusal is told"
    );
    batch.mode = Mode::SkipRefused;
    let applied = open.roster.apply(batch.clone()).await.unwrap();
    assert!(applied.is_kept);
    let words: Vec<&str> = applied
        .outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Done { .. } => "done",
            Outcome::Unchanged => "unchanged",
            Outcome::Refused(refusal) => refusal.word(),
        })
        .collect();
    let expected = [
        "done",
        "done",
        "cardholder-limit-reached",
        "done",
        "no-holder",
    ];
    assert_eq!(words, expected);
    batch.if_seq = Some(applied.seq - 1);
    assert!(open.roster.apply(batch).await.unwrap().is_stale);
    open.verify();
}

#[tokio::test]
async fn what_someone_else_has_changed_is_not_overwritten() {
    let site = Site::new(NOW);
    let open = site.open().await;
    let put = |area: &str, if_revision: u64| {
        let step = Step {
            change: Change::PutDwelling(dwelling("d1", area)),
            if_revision: Some(if_revision),
        };
        open.roster.apply(Batch::one(clerk(), "", step))
    };
    let made = put("12.00", 0).await.unwrap();
    let Outcome::Done { revision } = made.outcomes[0] else {
        panic!("{made:?}");
    };
    assert!(put("24.00", revision).await.unwrap().is_kept);
    let stale = put("36.00", revision).await.unwrap();
    assert!(
        matches!(stale.outcomes[0], Outcome::Refused(Refusal::Stale { .. })),
        "{stale:?}"
    );
    assert_eq!(open.taken("d1"), (0, Some(2)));
}

#[tokio::test]
async fn every_change_is_in_the_history_with_who_and_why() {
    let site = Site::new(NOW);
    let open = site.open().await;
    open.do_all([
        Change::PutDwelling(dwelling("d1", "12.00")),
        add("h1", "d1"),
    ])
    .await;
    open.do_all([Change::PutDwelling(dwelling("d1", "24.00"))])
        .await;
    let home = dwelling_id("d1");
    let items = open.roster.history(&home, None, 10).unwrap();
    let seqs: Vec<u64> = items.iter().map(|item| item.seq).collect();
    assert_eq!(seqs, [3, 2, 1]);
    assert!(
        items
            .iter()
            .all(|item| item.by == clerk() && item.why.as_deref() == Some("because"))
    );
    let Changed::Dwelling {
        before: Some(before),
        after,
    } = &items[0].what
    else {
        panic!("{:?}", items[0]);
    };
    let areas = (
        before.dwelling.area.to_string(),
        after.dwelling.area.to_string(),
    );
    assert_eq!(areas, ("12.00".to_owned(), "24.00".to_owned()));
    assert_eq!(open.roster.history(&home, Some(3), 10).unwrap().len(), 2);
}

#[tokio::test]
async fn a_new_key_seals_everything_anew_and_the_old_one_is_then_not_needed() {
    let site = Site::new(NOW);
    let open = site.open().await;
    open.do_all([
        Change::PutDwelling(dwelling("d1", "12.00")),
        add("h1", "d1"),
        issue("0A1B2C3D01", "h1"),
        Change::RemoveHolder(holder_id("h1")),
    ])
    .await;
    open.close().await;
    let file = &site.options.key_file;
    LedgerKeys::rotate(file).unwrap();
    let open = site.open().await;
    let name = |open: &Open| {
        let record = open.roster.holder(&holder_id("h1")).unwrap().unwrap();
        let (name, _) = open.roster.person_of(&record).unwrap();
        name.reveal().to_owned()
    };
    assert_eq!(name(&open), "Test Person");
    open.close().await;
    std::fs::remove_file(old_file(file)).unwrap();
    let open = site.open().await;
    assert_eq!(name(&open), "Test Person");
    let items = open.roster.history(&dwelling_id("d1"), None, 10).unwrap();
    assert!(
        items
            .iter()
            .all(|item| item.why.as_deref() == Some("because"))
    );
    let cards = open.roster.snapshot().unwrap().cards;
    let number: CardNumber = "0A1B2C3D01".parse().unwrap();
    assert_eq!(cards[&number].facts.state, CardState::Revoked);
    open.close().await;
    // Another key altogether opens nothing, and a lost one is not made anew.
    std::fs::write(file, [9; 32]).unwrap();
    assert!(matches!(
        site.try_open().await,
        Err(RosterOpenError::Open(_))
    ));
    std::fs::remove_file(file).unwrap();
    let Err(err) = site.try_open().await else {
        panic!("the key is gone");
    };
    assert!(
        crate::error::chain(&err).to_string().contains("restore it"),
        "{err:?}"
    );
}

#[tokio::test]
async fn a_restart_finds_what_was_and_the_file_holds_no_name_and_no_number() {
    let site = Site::new(NOW);
    let open = site.open().await;
    open.do_all([
        Change::PutDwelling(dwelling("d1", "94.30")),
        Change::AddHolder(holder_id("h1"), facts("d1", "Zaphod Testperson")),
        issue("0A1B2C3D4E5F", "h1"),
    ])
    .await;
    let before = open.roster.snapshot().unwrap();
    open.close().await;
    let open = site.open().await;
    let after = open.roster.snapshot().unwrap();
    assert_eq!(before.holders, after.holders);
    assert_eq!(before.cards, after.cards);
    assert_eq!(reason(&open.roster, "0A1B2C3D4E5F", "b03-u2"), Reason::Ok);
    open.close().await;
    let db = std::fs::read(site.folder.path().join("store/db")).unwrap();
    let holds = |text: &[u8]| db.windows(text.len()).any(|window| window == text);
    assert!(holds(b"b03-u2"), "what is not personal can be found");
    assert!(!holds(b"Zaphod") && !holds(b"0A1B2C3D4E5F") && !holds(b"because"));
}
