//! Figures against values reckoned by hand.

use super::*;
use crate::domain::case::{Action, CaseRules, Note, Party, Step, Taken};
use crate::domain::id::AlertId;
use crate::domain::role::{Actor, ActorName, Role};

/// 2026-11-22T16:00:00Z, midnight at the start of 2026-11-23 in Shanghai: a Monday.
const MIDNIGHT: WallTime = WallTime::from_unix_ms(1_795_363_200_000);

fn at(s: i64) -> WallTime {
    WallTime::from_unix_ms(MIDNIGHT.unix_ms() + s * 1_000)
}

fn alert(n: u8, kind: AlertKind, place: &str, raised_s: i64) -> Alert {
    Alert {
        id: AlertId::derive(&[&[n]]),
        revision: 1,
        kind,
        raised_at: at(raised_s),
        place: Place::new(place).unwrap(),
        door: None,
        camera: None,
        entry: None,
        dwelling: None,
        count: 1,
        detail: String::new(),
        ended_at: None,
    }
}

/// The case of `alert` after the steps at these seconds after its raise.
fn case(alert: &Alert, steps: &[(StepKind, u64)]) -> Case {
    let rules = CaseRules::default();
    let officer = Actor {
        name: ActorName::new("a").unwrap(),
        role: Role::Admin,
    };
    let mut case = Case::open(alert, &rules, alert.raised_at).unwrap();
    for (kind, s) in steps {
        let action = match kind {
            StepKind::Acknowledge => Action::Acknowledge,
            StepKind::Dispatch => Action::Dispatch {
                party: Some(Party::new("patrol").unwrap()),
                tier: None,
            },
            StepKind::Accept => Action::Accept,
            StepKind::Resolve => Action::Resolve,
            StepKind::Verify => Action::Verify,
            StepKind::Close => Action::Close,
            StepKind::Reopen => Action::Reopen,
            StepKind::Cancel => Action::Cancel,
        };
        let note = Some(Note::new("n").unwrap());
        let now = alert.raised_at.plus(Duration::from_secs(*s));
        match case.take(&Step { action, note }, &officer, &rules, now) {
            Ok(Taken::Moved(moved)) => case = *moved,
            other => panic!("{other:?}"),
        }
    }
    case
}

fn query(period: Period) -> StatisticsQuery {
    StatisticsQuery {
        from: at(-86_400),
        to: at(86_400 * 40),
        kind: None,
        place: None,
        places: Places::ALL,
        tier: None,
        period,
    }
}

/// Six alerts:
///
/// | | kind | place | raised (s from Monday 0:00) | case |
/// |---|---|---|---|---|
/// | 1 | duress (1) | compound | -10 (Sunday) | all steps at 10 20 30 40 50 60: closed |
/// | 2 | duress (1) | compound | 0 | acknowledged at 50, resolved never: open, accept due at 300+... |
/// | 3 | duress (1) | b1 | 10 | acknowledged at 70 (late: 60 s) |
/// | 4 | tamper (2) | b1 | 20 | cancelled at 5 |
/// | 5 | tamper (2) | b1 | 30 | escalated at 300 to the street, then acknowledged at 400 |
/// | 6 | clock-skew (4) | b1 | 40 | none |
fn facts(now: WallTime) -> Vec<Facts> {
    use StepKind as K;
    let mut facts = Vec::new();
    let whole: Vec<(StepKind, u64)> = K::REGULAR.into_iter().zip((10..).step_by(10)).collect();
    for (alert, steps) in [
        (alert(1, AlertKind::Duress, "compound", -10), whole),
        (
            alert(2, AlertKind::Duress, "compound", 0),
            vec![(K::Acknowledge, 50)],
        ),
        (
            alert(3, AlertKind::Duress, "b1", 10),
            vec![(K::Acknowledge, 70)],
        ),
        (alert(4, AlertKind::Tamper, "b1", 20), vec![(K::Cancel, 5)]),
    ] {
        facts.push(Facts::new(&alert, Some(&case(&alert, &steps)), now));
    }
    let fifth = alert(5, AlertKind::Tamper, "b1", 30);
    let escalated = case(&fifth, &[])
        .expire(&CaseRules::default(), at(330))
        .unwrap();
    let officer = Actor {
        name: ActorName::new("a").unwrap(),
        role: Role::Admin,
    };
    let step = Step {
        action: Action::Acknowledge,
        note: None,
    };
    let taken = escalated.take(&step, &officer, &CaseRules::default(), at(430));
    let Ok(Taken::Moved(acknowledged)) = taken else {
        panic!("{taken:?}");
    };
    facts.push(Facts::new(&fifth, Some(&acknowledged), now));
    let sixth = alert(6, AlertKind::ClockSkew, "b1", 40);
    facts.push(Facts::new(&sixth, None, now));
    facts
}

#[test]
fn figures_are_those_reckoned_by_hand() {
    let zone = TimeZone::named("Asia/Shanghai").unwrap();
    // At 100 s: the second waits for its dispatch since 50 s, and has 120 s for it; none is overdue.
    let statistics = reckon(&facts(at(100)), &query(Period::Day), &zone);
    let total = &statistics.total;
    assert_eq!((total.alerts, total.cases), (6, 5));
    assert_eq!((total.open, total.closed, total.cancelled), (3, 1, 1));
    // One closed of the four that were no false alarm.
    assert_eq!(total.closure_rate, Some(0.25));
    // The third (70 s for 60 s) and the fifth.
    assert_eq!(
        (total.overdue, total.escalated, total.overdue_now),
        (2, 1, 0)
    );
    // 10 s, 50 s, 70 s, 400 s: the second and the fourth of four.
    let acknowledged = total.steps["acknowledge"];
    assert_eq!(acknowledged.n, 4);
    assert_eq!(
        (acknowledged.p50_ms, acknowledged.p95_ms),
        (Some(50_000), Some(400_000))
    );
    let closed = total.steps["close"];
    assert_eq!(
        (closed.n, closed.p50_ms, closed.p95_ms),
        (1, Some(60_000), Some(60_000))
    );

    let duress = &statistics.by_kind["duress"];
    assert_eq!((duress.cases, duress.closure_rate), (3, Some(1.0 / 3.0)));
    let times = duress.steps["acknowledge"];
    assert_eq!(
        (times.n, times.p50_ms, times.p95_ms),
        (3, Some(50_000), Some(70_000))
    );
    let tamper = &statistics.by_kind["tamper"];
    assert_eq!((tamper.cases, tamper.closure_rate), (2, Some(0.0)));
    let skew = &statistics.by_kind["clock-skew"];
    assert_eq!((skew.alerts, skew.cases, skew.closure_rate), (1, 0, None));
    assert_eq!(skew.steps["acknowledge"], StepTimes::default());

    let places: Vec<_> = statistics
        .by_place
        .iter()
        .map(|(at, of)| (at.as_str(), of.alerts))
        .collect();
    assert_eq!(places, [("b1", 4), ("compound", 2)]);
    let tiers: Vec<_> = statistics
        .by_tier
        .iter()
        .map(|(at, of)| (at.as_str(), of.cases))
        .collect();
    assert_eq!(tiers, [("community", 4), ("street", 1)]);
    let days: Vec<_> = statistics
        .by_period
        .iter()
        .map(|(at, of)| (at.as_str(), of.alerts))
        .collect();
    assert_eq!(days, [("2026-11-22", 1), ("2026-11-23", 5)]);
}

#[test]
fn what_is_overdue_now_depends_on_now() {
    let zone = TimeZone::utc();
    // The second was to be dispatched by 170 s, the third by 10 + 70 + 120 = 200 s.
    for (now_s, n_overdue_now) in [(169, 0), (170, 1), (199, 1), (200, 2)] {
        let statistics = reckon(&facts(at(now_s)), &query(Period::Day), &zone);
        assert_eq!(statistics.total.overdue_now, n_overdue_now, "at {now_s} s");
    }
}

#[test]
fn periods_are_those_of_the_compounds_calendar() {
    let zone = TimeZone::named("Asia/Shanghai").unwrap();
    let of = |s, period| period_of(at(s), period, &zone);
    assert_eq!(of(-1, Period::Day), "2026-11-22");
    assert_eq!(
        (of(-1, Period::Week), of(0, Period::Week)),
        ("2026-W47".into(), "2026-W48".into())
    );
    assert_eq!(of(8 * 86_400, Period::Month), "2026-12");
    // 2027-01-01 is a Friday: it belongs to the last week of 2026.
    assert_eq!(of(39 * 86_400, Period::Week), "2026-W53");
}

#[test]
fn a_percentile_is_a_time_that_occurred() {
    assert_eq!(nearest_rank(&[], 50), None);
    assert_eq!(nearest_rank(&[7], 95), Some(7));
    let hundred: Vec<u64> = (1..=100).collect();
    assert_eq!(
        (nearest_rank(&hundred, 50), nearest_rank(&hundred, 95)),
        (Some(50), Some(95))
    );
    let twenty: Vec<u64> = (1..=20).collect();
    assert_eq!(nearest_rank(&twenty, 95), Some(19));
}

#[test]
fn the_spreadsheet_has_a_sheet_for_each_way_to_group() {
    let zone = TimeZone::utc();
    let statistics = reckon(&facts(at(100)), &query(Period::Day), &zone);
    let bytes = super::super::sheet::write(&statistics, &zone).unwrap();
    assert!(bytes.starts_with(b"PK"), "an XLSX is a ZIP");
}
