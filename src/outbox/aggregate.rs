//! A flood of alerts of one door and kind becomes one alert with a count: the pure rule.
//!
//! A stuck reader that swipes ten times a second says one thing, not ten. Above the rate, further
//! occurrences raise the count of the alert that was raised last; each is remembered, none is
//! dropped. Severity 1 is never counted together: each may be another person in danger.

use std::time::Duration;

use crate::domain::alert::{Alert, Counted, Flood};
use crate::domain::id::AlertId;
use crate::time::WallTime;

/// Occurrences remembered of one door and kind, whatever is configured.
const REMEMBERED_MAX: u32 = 100;
/// Alerts of this severity and graver are never counted together.
const SEVERITY_ALWAYS_RAISED: u8 = 1;

/// From which rate on alerts of one door and kind are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloodOptions {
    /// So many within `window` are raised each by itself; 1 to 100.
    pub n_max: u32,
    /// How far back is looked; also how often a growing count is told to receivers. Zero: alerts are
    /// never counted together.
    pub window: Duration,
    /// A flood that goes on raises a new alert so long after the last: the old one may be closed.
    pub span_max: Duration,
}

impl Default for FloodOptions {
    /// 5 in 10 s, a new alert each hour.
    fn default() -> FloodOptions {
        FloodOptions {
            n_max: 5,
            window: Duration::from_secs(10),
            span_max: Duration::from_secs(3_600),
        }
    }
}

/// What to do with an occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Raise an alert of its own.
    Raise,
    /// Count it in that alert.
    CountIn(AlertId),
}

/// The row under which the flood of `alert`'s door (or camera) and kind is remembered; `None` for
/// alerts that are always raised: of severity 1, or of no device and no dwelling.
pub(super) fn flood_key(alert: &Alert) -> Option<(String, String)> {
    if alert.kind.severity() <= SEVERITY_ALWAYS_RAISED {
        return None;
    }
    let subject = subject(alert);
    (!subject.is_empty()).then(|| (subject, alert.kind.as_str().to_owned()))
}

/// What an alert is about: `door/<id>`, else `camera/<id>`, else `dwelling/<id>`, else empty.
pub(super) fn subject(alert: &Alert) -> String {
    match (&alert.door, &alert.camera, &alert.dwelling) {
        (Some(door), _, _) => format!("door/{door}"),
        (None, Some(camera), _) => format!("camera/{camera}"),
        (None, None, Some(dwelling)) => format!("dwelling/{dwelling}"),
        (None, None, None) => String::new(),
    }
}

/// Judges one more occurrence at `now` and remembers it in `flood`.
pub(super) fn judge(flood: &mut Flood, options: &FloodOptions, now: WallTime) -> Verdict {
    let n_max = usize::try_from(options.n_max.clamp(1, REMEMBERED_MAX)).unwrap_or(1);
    // The clock may have been set back: what lies in the future is as far away as it is ahead.
    let is_near = |at: WallTime, reach: Duration| now.since(at).max(at.since(now)) < reach;
    let n_near = flood
        .recent
        .iter()
        .filter(|at| is_near(**at, options.window))
        .count();
    flood.recent.push(now);
    let n_surplus = flood.recent.len().saturating_sub(n_max);
    flood.recent.drain(..n_surplus);
    match flood.last {
        Some(last) if n_near >= n_max && is_near(last.at, options.span_max) => {
            Verdict::CountIn(last.into)
        }
        Some(_) | None => Verdict::Raise,
    }
}

/// Remembers that `alert` was raised at `now`: from now on occurrences are counted in it.
pub(super) fn raised(flood: &mut Flood, alert: AlertId, now: WallTime) {
    flood.last = Some(Counted {
        into: alert,
        at: now,
    });
    flood.told = None;
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::domain::alert::AlertKind;
    use crate::domain::id::{CameraId, DoorId};
    use crate::domain::place::Place;
    use proptest::prelude::*;

    /// Runs occurrences at `ms`; for each, the index of the alert that stands for it.
    fn run(ms: &[i64]) -> Vec<usize> {
        let options = FloodOptions::default();
        let mut flood = Flood::default();
        let id = |n: usize| AlertId::derive(&[&n.to_be_bytes()]);
        let mut stands_for = Vec::new();
        let numbers: HashMap<AlertId, usize> = (0..ms.len()).map(|n| (id(n), n)).collect();
        for (n, ms) in ms.iter().enumerate() {
            let now = WallTime::from_unix_ms(*ms);
            let alert = match judge(&mut flood, &options, now) {
                Verdict::Raise => {
                    raised(&mut flood, id(n), now);
                    n
                }
                Verdict::CountIn(into) => numbers[&into],
            };
            assert!(flood.recent.len() <= 5);
            stands_for.push(alert);
        }
        stands_for
    }

    #[test]
    fn five_in_ten_seconds_are_raised_and_the_rest_counted() {
        let ms: Vec<i64> = (0..8).map(|n| n * 1_000).collect();
        assert_eq!(run(&ms), [0, 1, 2, 3, 4, 4, 4, 4]);
    }

    #[test]
    fn five_in_ten_seconds_for_ever_are_never_counted() {
        let ms: Vec<i64> = (0..100).map(|n| n * 2_000).collect();
        assert_eq!(run(&ms), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_flood_that_ended_starts_afresh() {
        let mut ms: Vec<i64> = (0..8).map(|n| n * 100).collect();
        ms.push(60_000);
        assert_eq!(run(&ms), [0, 1, 2, 3, 4, 4, 4, 4, 8]);
    }

    #[test]
    fn a_flood_of_a_day_raises_an_alert_each_hour() {
        let ms: Vec<i64> = (0..86_400).map(|n| n * 1_000).collect();
        let mut alerts = run(&ms);
        alerts.dedup();
        assert_eq!(alerts.len(), 5 + 23);
    }

    #[test]
    fn a_clock_set_back_ends_a_flood_rather_than_prolonging_it() {
        let mut ms: Vec<i64> = (0..8).map(|n| 3_600_000 + n * 100).collect();
        ms.extend([0, 20_000, 40_000]);
        assert_eq!(run(&ms), [0, 1, 2, 3, 4, 4, 4, 4, 8, 9, 10]);
    }

    #[test]
    fn persons_in_danger_and_alerts_of_no_device_are_always_raised() {
        let mut alert = Alert {
            id: AlertId::derive(&[b"a"]),
            revision: 1,
            kind: AlertKind::UnknownCard,
            raised_at: WallTime::from_unix_ms(0),
            place: Place::Compound,
            door: Some(DoorId::new("gate").unwrap()),
            camera: Some(CameraId::new("gate-cam").unwrap()),
            entry: None,
            count: 1,
            detail: String::new(),
            ended_at: None,
            dwelling: None,
        };
        let key = ("door/gate".to_owned(), "unknown-card".to_owned());
        assert_eq!(flood_key(&alert), Some(key));
        alert.door = None;
        assert_eq!(subject(&alert), "camera/gate-cam");
        alert.camera = None;
        assert_eq!(flood_key(&alert), None);
        alert.door = Some(DoorId::new("gate").unwrap());
        alert.kind = AlertKind::Duress;
        assert_eq!(flood_key(&alert), None);
    }

    proptest! {
        #[test]
        fn every_occurrence_stands_for_itself_or_for_an_earlier_one(
            gaps in prop::collection::vec(0i64..5_000, 0..200),
        ) {
            let ms: Vec<i64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let stands_for = run(&ms);
            for (n, alert) in stands_for.iter().enumerate() {
                prop_assert!(*alert <= n);
                // Only a flood is counted: five others lie within the ten seconds before.
                if *alert < n {
                    prop_assert!(n >= 5 && ms[n] - ms[n - 5] < 10_000);
                }
            }
        }
    }
}
