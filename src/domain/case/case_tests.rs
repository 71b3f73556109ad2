//! Every step from every state by every role, deadlines, repeats, and what always holds of a case.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::role::ActorName;

const RAISED: WallTime = WallTime::from_unix_ms(1_795_000_000_000);

fn at(s: u64) -> WallTime {
    RAISED.plus(Duration::from_secs(s))
}

fn alert(kind: AlertKind) -> Alert {
    Alert {
        id: AlertId::derive(&[b"a"]),
        revision: 1,
        kind,
        raised_at: RAISED,
        place: Place::Compound,
        door: None,
        camera: None,
        entry: None,
        dwelling: None,
        count: 1,
        detail: String::new(),
        ended_at: None,
    }
}

fn party(text: &str) -> Party {
    Party::new(text).unwrap()
}

fn note(text: &str) -> Note {
    Note::new(text).unwrap()
}

fn rules() -> CaseRules {
    let parties = [
        (Tier::Community, party("grid officer")),
        (Tier::Street, party("street office")),
        (Tier::District, party("district office")),
    ];
    CaseRules {
        deadlines: Deadlines::default(),
        grids: GridMap {
            grids: vec![Grid {
                name: "grid-1".to_owned(),
                parties: parties.into(),
            }],
            of_compound: Some(0),
            ..GridMap::default()
        },
    }
}

fn actor(role: Role) -> Actor {
    let name = ActorName::new(role.as_str()).unwrap();
    Actor { name, role }
}

fn officer() -> Actor {
    actor(Role::DutyOfficer)
}

fn action(kind: StepKind) -> Action {
    match kind {
        StepKind::Acknowledge => Action::Acknowledge,
        StepKind::Dispatch => Action::Dispatch {
            party: None,
            tier: None,
        },
        StepKind::Accept => Action::Accept,
        StepKind::Resolve => Action::Resolve,
        StepKind::Verify => Action::Verify,
        StepKind::Close => Action::Close,
        StepKind::Reopen => Action::Reopen,
        StepKind::Cancel => Action::Cancel,
    }
}

fn step(kind: StepKind) -> Step {
    Step {
        action: action(kind),
        note: Some(note("seen on the spot")),
    }
}

fn opened(kind: AlertKind) -> Case {
    Case::open(&alert(kind), &rules(), RAISED).unwrap()
}

fn take(case: &Case, kind: StepKind, now: WallTime) -> Case {
    match case.take(&step(kind), &officer(), &rules(), now) {
        Ok(Taken::Moved(case)) => *case,
        other => panic!("{kind:?} from {:?}: {other:?}", case.state),
    }
}

/// A case in `state`, a second a step. Its newest step is one that no test repeats by chance.
fn in_state(state: CaseState) -> Case {
    use StepKind as K;
    let path: &[StepKind] = match state {
        CaseState::Raised => &[],
        CaseState::Acknowledged => &[K::Acknowledge],
        CaseState::Dispatched => &[K::Acknowledge, K::Dispatch],
        CaseState::Accepted => &[K::Acknowledge, K::Dispatch, K::Accept],
        CaseState::Resolved => &[K::Acknowledge, K::Dispatch, K::Accept, K::Resolve],
        CaseState::Verified => &[
            K::Acknowledge,
            K::Dispatch,
            K::Accept,
            K::Resolve,
            K::Verify,
        ],
        CaseState::Closed => &StepKind::REGULAR,
        CaseState::Cancelled => &[K::Cancel],
    };
    let mut case = opened(AlertKind::Duress);
    for (kind, s) in path.iter().zip(1..) {
        case = take(&case, *kind, at(s));
    }
    assert_eq!(case.state, state);
    case
}

/// The loop of the contract, written out once more: row by state, column by step in the order of
/// `StepKind::ALL`; `-` is illegal, else the first letters of the state it leads to.
const TABLE: [(CaseState, &str); 8] = [
    //                          ack  disp acc  res  ver  clo  reo  can
    (
        CaseState::Raised,
        "        ack  -    -    -    -    -    -    can",
    ),
    (
        CaseState::Acknowledged,
        "  -    dis  -    -    -    -    -    can",
    ),
    (
        CaseState::Dispatched,
        "    -    dis  acc  -    -    -    -    can",
    ),
    (
        CaseState::Accepted,
        "      -    dis  -    res  -    -    -    can",
    ),
    (
        CaseState::Resolved,
        "      -    -    -    -    ver  -    ack  -",
    ),
    (
        CaseState::Verified,
        "      -    -    -    -    -    clo  ack  -",
    ),
    (
        CaseState::Closed,
        "        -    -    -    -    -    -    ack  -",
    ),
    (
        CaseState::Cancelled,
        "     -    -    -    -    -    -    ack  -",
    ),
];

fn state_of(word: &str) -> Option<CaseState> {
    match word {
        "-" => None,
        "ack" => Some(CaseState::Acknowledged),
        "dis" => Some(CaseState::Dispatched),
        "acc" => Some(CaseState::Accepted),
        "res" => Some(CaseState::Resolved),
        "ver" => Some(CaseState::Verified),
        "clo" => Some(CaseState::Closed),
        "can" => Some(CaseState::Cancelled),
        other => panic!("{other}"),
    }
}

/// Who may take which step, written out once more.
fn may(role: Role, kind: StepKind) -> bool {
    match role {
        Role::DutyOfficer | Role::Admin => true,
        Role::PropertyManager => matches!(kind, StepKind::Accept | StepKind::Resolve),
        Role::Installer | Role::Auditor => false,
    }
}

/// Must-show 6: all 8 states x 8 steps x 5 roles.
#[test]
fn every_step_from_every_state_by_every_role_is_as_the_table_says() {
    let mut n_taken = 0;
    for (state, row) in TABLE {
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words.len(), StepKind::ALL.len());
        let legal: Vec<StepKind> = StepKind::ALL
            .into_iter()
            .zip(&words)
            .filter(|(_, word)| **word != "-")
            .map(|(kind, _)| kind)
            .collect();
        for (kind, word) in StepKind::ALL.into_iter().zip(&words) {
            for role in Role::ALL {
                let case = in_state(state);
                let who = Actor {
                    name: ActorName::new("someone.else").unwrap(),
                    role,
                };
                let answer = case.take(&step(kind), &who, &rules(), at(100));
                if !may(role, kind) {
                    let allowed = kind.roles();
                    assert_eq!(answer, Err(Refusal::Role { allowed }), "{kind:?} {role}");
                    continue;
                }
                match (state_of(word), answer) {
                    (Some(next), Ok(Taken::Moved(moved))) => {
                        n_taken += 1;
                        assert_eq!(moved.state, next, "{state:?} {kind:?}");
                        assert_eq!(moved.moves.len(), case.moves.len() + 1);
                        let made = moved.moves.last().unwrap();
                        assert_eq!(made.kind, MoveKind::from(kind));
                        assert_eq!(made.by.as_ref(), Some(&who));
                        assert_eq!(made.at, at(100));
                        assert_eq!(
                            made.note.as_ref().map(Note::as_str),
                            Some("seen on the spot")
                        );
                        assert_eq!(moved.due_at.is_some(), next.is_open());
                    }
                    (
                        None,
                        Err(Refusal::Illegal {
                            state: told,
                            legal: told_legal,
                        }),
                    ) => {
                        assert_eq!((told, told_legal), (state, legal.clone()));
                    }
                    (expected, answer) => {
                        panic!("{state:?} {kind:?} {role}: {expected:?}, got {answer:?}")
                    }
                }
            }
        }
    }
    // 16 legal cells: accept and resolve for three roles, the other 14 for two.
    assert_eq!(n_taken, 14 * 2 + 2 * 3);
}

#[test]
fn only_alerts_of_severity_1_to_3_open_a_case() {
    for kind in AlertKind::ALL {
        let case = Case::open(&alert(kind), &rules(), RAISED);
        assert_eq!(case.is_some(), kind.severity() <= 3, "{kind:?}");
    }
    let case = opened(AlertKind::Duress);
    assert_eq!(case.party, Some(party("grid officer")));
    assert_eq!(
        case.due_at,
        Some(at(60)),
        "severity 1 is taken note of within 60 s"
    );
}

#[test]
fn what_is_resolved_reopened_or_cancelled_needs_words() {
    for (state, kind) in [
        (CaseState::Accepted, StepKind::Resolve),
        (CaseState::Closed, StepKind::Reopen),
        (CaseState::Raised, StepKind::Cancel),
    ] {
        let silent = Step {
            action: action(kind),
            note: None,
        };
        let answer = in_state(state).take(&silent, &officer(), &rules(), at(100));
        assert_eq!(answer, Err(Refusal::NoteMissing));
    }
}

#[test]
fn a_step_taken_again_by_the_same_actor_changes_nothing() {
    let case = take(&opened(AlertKind::Duress), StepKind::Acknowledge, at(5));
    let again = |who: &Actor, step: &Step| case.take(step, who, &rules(), at(6));
    assert_eq!(
        again(&officer(), &step(StepKind::Acknowledge)),
        Ok(Taken::Repeated)
    );
    // Another one, or other words, is another step.
    let other = actor(Role::Admin);
    assert!(again(&other, &step(StepKind::Acknowledge)).is_err());
    let mut other_words = step(StepKind::Acknowledge);
    other_words.note = None;
    assert!(again(&officer(), &other_words).is_err());
    // A deadline that passed in between is no step.
    let escalated = case.expire(&rules(), at(500)).unwrap();
    let answer = escalated.take(&step(StepKind::Acknowledge), &officer(), &rules(), at(501));
    assert_eq!(answer, Ok(Taken::Repeated));
}

#[test]
fn a_dispatch_goes_to_the_grid_unless_someone_says_otherwise() {
    let case = in_state(CaseState::Acknowledged);
    let dispatch = |case: &Case, who: Option<&str>, tier| {
        let step = Step {
            action: Action::Dispatch {
                party: who.map(party),
                tier,
            },
            note: None,
        };
        case.take(&step, &officer(), &rules(), at(10))
    };
    let moved = |answer| match answer {
        Ok(Taken::Moved(case)) => *case,
        other => panic!("{other:?}"),
    };
    let mapped = moved(dispatch(&case, None, None));
    assert_eq!(mapped.party, Some(party("grid officer")));
    let higher = moved(dispatch(&case, None, Some(Tier::Street)));
    assert_eq!(
        (higher.tier, higher.party),
        (Tier::Street, Some(party("street office")))
    );
    let by_hand = moved(dispatch(&case, Some("night patrol"), None));
    assert_eq!(by_hand.party, Some(party("night patrol")));
    // The same once more is a repeat; back to the grid's party is not.
    assert_eq!(
        dispatch(&by_hand, Some("night patrol"), None),
        Ok(Taken::Repeated)
    );
    assert_eq!(
        moved(dispatch(&by_hand, None, None)).party,
        Some(party("grid officer"))
    );
    let nobody = CaseRules::default();
    let answer = case.take(&step(StepKind::Dispatch), &officer(), &nobody, at(10));
    let tier = Tier::Community;
    assert_eq!(answer, Err(Refusal::NoParty { tier }));
}

#[test]
fn a_deadline_that_passes_moves_the_case_up_and_gives_the_same_time_again() {
    let case = opened(AlertKind::Duress);
    assert_eq!(case.expire(&rules(), at(59)), None);
    let street = case.expire(&rules(), at(60)).unwrap();
    assert_eq!(
        (street.state, street.tier),
        (CaseState::Raised, Tier::Street)
    );
    assert_eq!(street.party, Some(party("street office")));
    assert_eq!(
        (street.overdue_since, street.due_at),
        (Some(at(60)), Some(at(120)))
    );
    // The timer was away for an hour: one tier at a time all the same.
    let district = street.expire(&rules(), at(3_600)).unwrap();
    assert_eq!(
        (district.tier, district.due_at),
        (Tier::District, Some(at(3_660)))
    );
    assert_eq!(district.overdue_since, Some(at(60)));
    let last = district.expire(&rules(), at(3_660)).unwrap();
    assert_eq!((last.tier, last.due_at), (Tier::District, None));
    assert_eq!(last.moves.last().unwrap().kind, MoveKind::Overdue);
    assert_eq!(
        last.expire(&rules(), at(9_999)),
        None,
        "there is nobody above"
    );
    let taken = take(&last, StepKind::Acknowledge, at(4_000));
    assert!(taken.moves.last().unwrap().late && taken.was_late(at(4_000)));
    assert_eq!((taken.overdue_since, taken.due_at), (None, Some(at(4_120))));
    assert_eq!(
        taken.tier,
        Tier::District,
        "who was called in stays answerable"
    );
}

#[test]
fn a_late_step_is_late_even_if_the_timer_did_not_come_first() {
    let late = take(&opened(AlertKind::Duress), StepKind::Acknowledge, at(61));
    assert!(late.moves.last().unwrap().late);
    let in_time = take(&opened(AlertKind::Duress), StepKind::Acknowledge, at(59));
    assert!(!in_time.moves.last().unwrap().late && !in_time.was_late(at(60)));
    let cancelled = take(&opened(AlertKind::Duress), StepKind::Cancel, at(100));
    assert!(
        !cancelled.moves.last().unwrap().late,
        "cancelling has no deadline"
    );
}

#[test]
fn a_condition_that_ends_by_itself_is_noted_and_ends_nothing() {
    let case = opened(AlertKind::CameraOffline);
    let noted = case.condition_ended(at(30)).unwrap();
    assert_eq!((noted.state, noted.due_at), (case.state, case.due_at));
    assert_eq!(noted.moves.last().unwrap().kind, MoveKind::ConditionEnded);
    assert_eq!(in_state(CaseState::Closed).condition_ended(at(30)), None);
}

#[test]
fn what_keeps_coming_back_is_raised_anew() {
    let mut case = in_state(CaseState::Cancelled);
    let mut n = 0;
    loop {
        n += 1;
        match case.take(&step(StepKind::Reopen), &officer(), &rules(), at(n)) {
            Ok(Taken::Moved(reopened)) => case = take(&reopened, StepKind::Cancel, at(n)),
            Err(Refusal::TooManyMoves) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(case.moves.len() <= MOVES_MAX + 1);
}

#[test]
fn deadlines_are_of_the_kind_else_of_the_severity_else_the_default() {
    let quick = Allowances {
        acknowledge: Duration::from_secs(7),
        ..Allowances::of_severity(2)
    };
    let slow = Allowances {
        acknowledge: Duration::from_secs(70),
        ..Allowances::of_severity(2)
    };
    let deadlines = Deadlines {
        by_severity: BTreeMap::from([(2, slow)]),
        by_kind: BTreeMap::from([(AlertKind::Tamper, quick)]),
    };
    assert_eq!(deadlines.of(AlertKind::Tamper), quick);
    assert_eq!(deadlines.of(AlertKind::UnknownCard), slow);
    assert_eq!(deadlines.of(AlertKind::Duress), Allowances::of_severity(1));
    for kind in StepKind::REGULAR {
        assert!(Allowances::of_severity(1).of(kind) < Allowances::of_severity(3).of(kind));
    }
}

#[test]
fn words_are_those_serde_writes() {
    let json = |value: &dyn Fn() -> serde_json::Value| value().as_str().unwrap().to_owned();
    for state in CaseState::ALL {
        assert_eq!(
            json(&|| serde_json::to_value(state).unwrap()),
            state.as_str()
        );
    }
    for kind in StepKind::ALL {
        assert_eq!(json(&|| serde_json::to_value(kind).unwrap()), kind.as_str());
        let made = MoveKind::from(kind);
        assert_eq!(json(&|| serde_json::to_value(made).unwrap()), kind.as_str());
        assert_eq!(made.step(), Some(kind));
    }
    for tier in Tier::ALL {
        assert_eq!(json(&|| serde_json::to_value(tier).unwrap()), tier.as_str());
    }
}

#[test]
fn notes_and_parties_are_plain_and_bounded() {
    assert_eq!(Note::new("  two\nlines ").unwrap().as_str(), "two\nlines");
    assert!(Party::new(&"\u{5f20}".repeat(64)).is_ok());
    for bad in ["", "  ", "a\u{1b}[2J", &"x".repeat(501)] {
        assert!(Note::new(bad).is_err(), "{bad:?}");
    }
    assert!(Party::new(&"x".repeat(65)).is_err());
}

#[derive(Clone, Debug)]
enum Event {
    Step(StepKind, Role),
    Wait(u64),
    Ended,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (prop::sample::select(&StepKind::ALL[..]), prop::sample::select(&Role::ALL[..]))
            .prop_map(|(kind, role)| Event::Step(kind, role)),
        3 => (0u64..200_000).prop_map(Event::Wait),
        1 => Just(Event::Ended),
    ];
    prop::collection::vec(event, 0..120)
}

proptest! {
    /// Whatever people do and whenever, the record is whole and no case is lost out of sight.
    #[test]
    fn whatever_happens_the_case_keeps_its_promises(events in events()) {
        let rules = rules();
        let mut case = opened(AlertKind::UnknownCard);
        let mut s = 0;
        for event in events {
            let before = case.clone();
            match event {
                Event::Wait(wait) => {
                    s += wait;
                    while let Some(expired) = case.expire(&rules, at(s)) {
                        prop_assert!(expired.tier >= case.tier && expired.state == case.state);
                        case = expired;
                    }
                }
                Event::Ended => {
                    if let Some(noted) = case.condition_ended(at(s)) {
                        case = noted;
                    }
                }
                Event::Step(kind, role) => {
                    match case.take(&step(kind), &actor(role), &rules, at(s)) {
                        Ok(Taken::Moved(moved)) => {
                            prop_assert!(legal_steps(case.state).contains(&kind));
                            case = *moved;
                        }
                        Ok(Taken::Repeated) => {}
                        Err(Refusal::Illegal { legal, .. }) => prop_assert!(!legal.contains(&kind)),
                        Err(Refusal::Role { allowed }) => prop_assert!(!allowed.contains(&role)),
                        Err(Refusal::TooManyMoves) => prop_assert!(case.moves.len() >= MOVES_MAX),
                        Err(other) => prop_assert!(false, "{other:?}"),
                    }
                }
            }
            // The past is never rewritten.
            prop_assert_eq!(&before.moves[..], &case.moves[..before.moves.len()]);
            let newest = case.moves.last().unwrap();
            prop_assert_eq!((newest.state, newest.tier), (case.state, case.tier));
            // Every step has its actor; what nobody did has none.
            for made in &case.moves {
                prop_assert_eq!(made.by.is_some(), made.kind.step().is_some());
            }
            // An open case always has a deadline to come, or has been to the highest tier and is overdue.
            if case.state.is_open() {
                let waits = case.due_at.is_some_and(|due| due > at(s));
                let told_all = case.tier == Tier::District && case.overdue_since.is_some();
                prop_assert!(waits || told_all);
            } else {
                prop_assert!(case.due_at.is_none() && case.overdue_since.is_none());
            }
            prop_assert!(case.moves.len() <= 3 * MOVES_MAX);
            let packed = rmp_serde::to_vec_named(&case).unwrap();
            prop_assert_eq!(&rmp_serde::from_slice::<Case>(&packed).unwrap(), &case);
        }
    }
}
